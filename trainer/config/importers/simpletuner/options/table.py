"""All options of SimpleTuner's registry, and its defaults."""

from __future__ import annotations

from trainer.config.importers.simpletuner.options import compute, model, objective, run, training
from trainer.config.importers.simpletuner.options.rule import Rule

AREAS: dict[str, dict[str, Rule]] = {
    "job": model.JOB,
    "model": model.MODEL,
    "family": model.FAMILY,
    "adapter": training.ADAPTER,
    "text encoder": training.TEXT_ENCODER,
    "precision": compute.PRECISION,
    "memory": compute.MEMORY,
    "attention": compute.ATTENTION,
    "length": training.LENGTH,
    "optimizer": training.OPTIMIZER,
    "schedule": training.SCHEDULE,
    "noise": objective.NOISE,
    "loss": objective.LOSS,
    "techniques": objective.TECHNIQUES,
    "ema": objective.EMA,
    "validation": run.VALIDATION,
    "evaluation": run.EVALUATION,
    "data": run.DATA,
    "cache": run.CACHE,
    "checkpoint": run.CHECKPOINT,
    "tracking": run.TRACKING,
    "distributed": compute.DISTRIBUTED,
    "debug": compute.DEBUG,
}

OPTIONS: dict[str, Rule] = {
    name: rule for options in AREAS.values() for name, rule in options.items()
}
