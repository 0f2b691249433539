"""The whole job: one section per concern (options.md §3)."""

from __future__ import annotations

from pydantic import Field

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

    job: JobSection = Field(default_factory=JobSection)
    """Identity of the run."""
    model: ModelConfig
    """Which model is trained."""
    adapter: AdapterConfig = Field(default_factory=AdapterConfig)
    """The adapter, when mode is adapter."""
    train: TrainConfig = Field(default_factory=TrainConfig)
    """Length and batch."""
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    """Update rule and step size."""
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    """Course of the learning rate."""
    noise: NoiseConfig = Field(default_factory=NoiseConfig)
    """Noise levels."""
    loss: LossConfig = Field(default_factory=LossConfig)
    """Loss."""
    ema: EmaConfig = Field(default_factory=EmaConfig)
    """Average of the weights."""
    data: DataConfig = Field(default_factory=DataConfig)
    """Datasets."""
    cache: CacheConfig = Field(default_factory=CacheConfig)
    """Cache of encoded samples."""
    validation: ValidationConfig = Field(default_factory=ValidationConfig)
    """Pictures made while training."""
    eval: EvalConfig = Field(default_factory=EvalConfig)
    """Numbers measured while training."""
    checkpoint: CheckpointConfig = Field(default_factory=CheckpointConfig)
    """Saving and resuming."""
    compute: ComputeConfig = Field(default_factory=ComputeConfig)
    """Device, precision, memory."""
    debug: DebugConfig = Field(default_factory=DebugConfig)
    """Logging."""
