"""Rules on the adapters that validation pictures are drawn with."""

from __future__ import annotations

import os
from collections.abc import Iterator

from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig


def file_exists(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for index, adapter in enumerate(config.validation.adapters):
        if not os.path.isfile(adapter.path):
            yield Problem(
                code="CFG273",
                key=f"validation.adapters[{index}].path",
                message=f"{adapter.path} does not exist",
                fix="name a .safetensors file of an adapter for this model",
            )


def acts(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for index, adapter in enumerate(config.validation.adapters):
        if adapter.strength == 0:
            yield Problem(
                code="CFG274",
                key=f"validation.adapters[{index}].strength",
                message=f"adapter {adapter.label} has strength 0",
                why="its pictures would be the same as without it",
                fix="give it another strength, or remove it",
            )


def names_differ(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    labels = [adapter.label for adapter in config.validation.adapters]
    for index, label in enumerate(labels):
        if label in labels[:index]:
            yield Problem(
                code="CFG275",
                key=f"validation.adapters[{index}].name",
                message=f"two adapters are called {label}",
                why="their pictures could not be told apart",
                fix="give each of them a name",
            )


def settings_act(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    validation = config.validation
    told = validation.model_fields_set
    idle: dict[str, str] = {}
    if "adapters" in told and not validation.texts:
        idle["adapters"] = "nothing is drawn"
    if "adapters_only" in told and not validation.adapters:
        idle["adapters_only"] = "there are no validation.adapters"
    if "adapter_strength" in told and config.model.mode == "full":
        idle["adapter_strength"] = "all weights are trained, and these have no strength"
    for name, reason in idle.items():
        yield Problem(
            code="CFG276",
            key=f"validation.{name}",
            idle=True,
            message=f"validation.{name} has no effect: {reason}",
            fix=f"remove validation.{name}",
            patch={f"validation.{name}": None},
        )


RULES = (file_exists, acts, names_differ, settings_act)
