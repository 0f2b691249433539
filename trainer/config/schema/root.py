"""The whole job: one section per concern (options.md §3)."""

from __future__ import annotations

from trainer.config.schema.adapter import AdapterConfig
from trainer.config.schema.base import Section
from trainer.config.schema.cache import CacheConfig
from trainer.config.schema.checkpoint import CheckpointConfig
from trainer.config.schema.compute import ComputeConfig
from trainer.config.schema.data import DataConfig
from trainer.config.schema.debug import DebugConfig
from trainer.config.schema.ema import EmaConfig
from trainer.config.schema.eval import EvalConfig
from trainer.config.schema.job import JobSection
from trainer.config.schema.loss import LossConfig
from trainer.config.schema.model import ModelConfig
from trainer.config.schema.noise import NoiseConfig
from trainer.config.schema.optimizer import OptimizerConfig
from trainer.config.schema.schedule import ScheduleConfig
from trainer.config.schema.train import TrainConfig
from trainer.config.schema.validation import ValidationConfig


class JobConfig(Section):
    """A job file after all defaults are filled in."""

    job: JobSection = JobSection()
    """Identity of the run."""
    model: ModelConfig
    """Which model is trained."""
    adapter: AdapterConfig = AdapterConfig()
    """The adapter, when mode is adapter."""
    train: TrainConfig = TrainConfig()
    """Length and batch."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Update rule and step size."""
    schedule: ScheduleConfig = ScheduleConfig()
    """Course of the learning rate."""
    noise: NoiseConfig = NoiseConfig()
    """Noise levels."""
    loss: LossConfig = LossConfig()
    """Loss."""
    ema: EmaConfig = EmaConfig()
    """Average of the weights."""
    data: DataConfig = DataConfig()
    """Datasets."""
    cache: CacheConfig = CacheConfig()
    """Cache of encoded samples."""
    validation: ValidationConfig = ValidationConfig()
    """Pictures made while training."""
    eval: EvalConfig = EvalConfig()
    """Numbers measured while training."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """Saving and resuming."""
    compute: ComputeConfig = ComputeConfig()
    """Device, precision, memory."""
    debug: DebugConfig = DebugConfig()
    """Logging."""
