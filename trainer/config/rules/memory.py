"""Rules on gradient checkpointing, offloading and other levers of memory."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig


def checkpointing_is_on(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    checkpointing = config.compute.checkpointing
    if checkpointing.enabled:
        return
    for name in ("mode", "interval"):
        if name in checkpointing.model_fields_set:
            yield Problem(
                code="CFG286",
                key=f"compute.checkpointing.{name}",
                idle=True,
                message=f"gradient checkpointing is off, so {name} has no effect",
                fix="set compute.checkpointing.enabled = true, or remove it",
                patch={f"compute.checkpointing.{name}": None},
            )


def inputs_have_somewhere_to_go(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.compute.checkpointing.mode == "offload" and config.compute.device == "cpu":
        yield Problem(
            code="CFG287",
            key="compute.checkpointing.mode",
            idle=True,
            message="on the CPU, inputs of blocks are in host memory already",
            why="offload would copy them from there to there",
            fix='use mode = "layer"',
            patch={"compute.checkpointing.mode": "layer"},
        )


def several_encoders(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.compute.text_encoders == "sequential" and len(facts.text_encoders) < 2:
        yield Problem(
            code="CFG288",
            key="compute.text_encoders",
            idle=True,
            message=f"{facts.display_name} has one text encoder",
            why="it is loaded alone, used and dropped in any case",
            fix="remove compute.text_encoders",
            patch={"compute.text_encoders": None},
        )


RULES = (checkpointing_is_on, inputs_have_somewhere_to_go, several_encoders)
