"""Rules on the assistant adapter of distilled checkpoints."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig

PATH = "model.assistant.path"
FIX = "name a LoRA that was made for this checkpoint, or set model.assistant.enabled = false"


def assistant_exists(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.model.assistant.enabled and config.model.mode == "adapter":
        what = _absent(config.model.assistant.path, config.model.assistant.weight_name)
        if what is not None:
            yield Problem(code="CFG210", key=PATH, message=what, fix=FIX)


def _absent(path: str | None, name: str | None) -> str | None:
    if path is None or os.path.isfile(path):
        return None
    if os.path.isdir(path):
        found = Path(path, name).is_file() if name else any(Path(path).glob("*.safetensors"))
        return None if found else f"{path} has no file {name or 'with the ending .safetensors'}"
    hub = re.fullmatch(r"[\w.-]+/[\w.-]+", path)
    return None if hub else f"the assistant adapter {path} does not exist and is no hub id"


def assistant_is_used(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    """Settings that nothing reads; what a flavour brings of itself is no one's mistake."""
    assistant = config.model.assistant
    given = assistant.model_fields_set - {"enabled"}
    if config.model.mode == "full":
        why = "full training takes no assistant: it is an adapter beside another"
    elif assistant.path is None:
        why = "there is no assistant adapter that this could tell of"
    elif not assistant.enabled:
        why = "model.assistant.enabled is false"
        given -= {"path", "weight_name"}  # kept for the time when it is on again
    else:
        return
    if assistant.path is not None and assistant.path == _of_flavour(config, facts):
        given -= {"path", "weight_name"}
    for key in sorted(f"model.assistant.{name}" for name in given):
        yield Problem(
            code="CFG211", key=key, idle=True, message=why, fix=f"remove {key}", patch={key: None}
        )


def distilled_has_assistant(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if _of_flavour(config, facts) is None:
        return
    full = config.model.mode == "full"
    if full or not config.model.assistant.enabled:
        yield Problem(
            code="CFG212",
            key="model.mode" if full else "model.assistant.enabled",
            level="warn",
            message=f"{config.model.flavour} is distilled, and nothing keeps training from undoing "
            "that",
            why="what is trained will want more sampling steps and guidance",
            fix="train an adapter with the assistant of the flavour, or choose another flavour",
        )


def _of_flavour(config: JobConfig, facts: FamilyFacts) -> str | None:
    """The assistant that the flavour brings."""
    flavour = facts.flavours.get(config.model.flavour or "")
    return None if flavour is None else flavour.defaults.get(PATH)


RULES = (assistant_exists, assistant_is_used, distilled_has_assistant)
