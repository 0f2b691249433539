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


def swap_needs_recomputation(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.compute.offload.blocks is None:
        return
    key, checkpointing = "compute.offload.blocks", config.compute.checkpointing
    if config.model.mode == "full":
        yield Problem(
            code="CFG289",
            key=key,
            message="full training changes every weight, so none can stay in host memory",
            fix=f"remove {key}",
            patch={key: None},
        )
    elif not checkpointing.enabled:
        yield Problem(
            code="CFG289",
            key=key,
            message="swapped blocks need gradient checkpointing",
            why="computing a block again is what brings its weights back for the backward pass",
            fix="set compute.checkpointing.enabled = true",
            patch={"compute.checkpointing.enabled": True},
        )
    elif checkpointing.interval > 1:
        yield Problem(
            code="CFG289",
            key=key,
            message="swapped blocks need gradient checkpointing of every block",
            why="a block that is not computed again would find its weights gone in backward",
            fix="set compute.checkpointing.interval = 1",
            patch={"compute.checkpointing.interval": 1},
        )


def offloading_acts(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    offload = config.compute.offload
    if "ring" in offload.model_fields_set and offload.blocks is None:
        yield Problem(
            code="CFG291",
            key="compute.offload.ring",
            idle=True,
            message="no blocks are swapped",
            fix="set compute.offload.blocks, or remove compute.offload.ring",
            patch={"compute.offload.ring": None},
        )
    if config.compute.device != "cpu":
        return
    for name in ("blocks", "text_encoders", "vae"):
        if getattr(offload, name):
            yield Problem(
                code="CFG291",
                key=f"compute.offload.{name}",
                idle=True,
                message="training runs on the CPU: all weights are in host memory anyway",
                fix=f"remove compute.offload.{name}",
                patch={f"compute.offload.{name}": None},
            )


def quantised_or_offloaded(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    quantised = any(name != "none" for name in config.compute.quant.text_encoders)
    if config.compute.offload.text_encoders and quantised:
        yield Problem(
            code="CFG292",
            key="compute.offload.text_encoders",
            message="text encoders are quantised and offloaded",
            why="quantised weights are made of several tensors, which the hooks do not move",
            fix="remove compute.offload.text_encoders; quantised encoders are small",
            patch={"compute.offload.text_encoders": None},
        )


RULES = (
    checkpointing_is_on,
    inputs_have_somewhere_to_go,
    several_encoders,
    swap_needs_recomputation,
    offloading_acts,
    quantised_or_offloaded,
)
