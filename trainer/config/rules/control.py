"""Rules on control nets: which families have them, what they look at, and what goes with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.conditioning import made_into
from trainer.config.rules.problem import Problem
from trainer.config.schema.data import DatasetConfig
from trainer.config.schema.root import JobConfig

SECTION = "model.controlnet"


def family_has_them(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if controls(config) and "controlnet" not in facts.supports:
        yield Problem(
            code="CFG300",
            key="model.mode",
            message=f"{facts.display_name} has no control nets here",
            fix='set model.mode to "adapter" or "full"',
        )


def pictures_control(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    """Each sample has one picture for the net, cut as the sample is."""
    if not controls(config):
        return
    for number, dataset in enumerate(config.data.datasets):
        if not dataset.enabled or dataset.role not in ("train", "prior", "eval"):
            continue
        found = partners(config, dataset)
        if not found:
            yield Problem(
                code="CFG301",
                key=f"data.datasets[{number}].conditioning",
                message=f"the samples of {dataset.id} have no conditioning pictures, and a control "
                "net learns from nothing else",
                fix='add conditioning = [{generate = "canny"}], or a dataset with '
                'role = "conditioning"',
            )
        if len(found) > 1 and (config.data.conditioning_mix != "random" or dataset.role == "eval"):
            yield Problem(
                code="CFG302",
                key=f"data.datasets[{number}].conditioning",
                message=f"the samples of {dataset.id} have {len(found)} conditioning pictures "
                "each, and a control net looks at one",
                fix='set data.conditioning_mix = "random" to show one of them at a time '
                "(held-out samples need exactly one), or remove the others",
            )
        for index in found:
            if dataset.conditioning[index].match == "loose":
                key = f"data.datasets[{number}].conditioning[{index}].match"
                yield Problem(
                    code="CFG303",
                    key=key,
                    message="a control picture is laid over its sample, so it needs its shape",
                    fix="remove match",
                    patch={key: None},
                )


def partners(config: JobConfig, dataset: DatasetConfig) -> list[int]:
    """Places of the conditioning pictures in a dataset's list of partners."""
    entries = enumerate(dataset.conditioning)
    return [index for index, entry in entries if made_into(config, entry) == "conditioning"]


def settings_act(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    net, scale = config.model.controlnet, "control_scale" in config.validation.model_fields_set
    if not controls(config):
        given = ["validation.control_scale"] if scale else []
        given += [f"{SECTION}.{name}" for name in sorted(net.model_fields_set)]
        for key in given:
            yield _idle(key, "no control net is trained", 'set model.mode = "controlnet", or ')
        return
    if scale and not config.validation.inputs:
        yield _idle("validation.control_scale", "validation has no control pictures")
    for name in sorted(net.model_fields_set & {"layers", "single_layers"}):
        key = f"{SECTION}.{name}"
        if net.path is not None:
            yield _idle(key, "the control net of model.controlnet.path has its own number")
        elif name not in facts.control_layers:
            yield _idle(key, f"control nets of {facts.display_name} have no choice of it")


def _idle(key: str, why: str, instead: str = "") -> Problem:
    return Problem(
        code="CFG304",
        key=key,
        idle=True,
        message=f"{key} has no effect: {why}",
        fix=f"{instead}remove {key}",
        patch={key: None},
    )


def path_is_a_folder(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    path = config.model.controlnet.path
    if path is not None and Path(path).is_file():
        yield Problem(
            code="CFG305",
            key=f"{SECTION}.path",
            message=f"{Path(path).name} is a single file",
            why="what a control net consists of is read from the config.json beside its weights",
            fix="name the folder that diffusers saved it in, or its hub id",
        )


def prompts_draw_the_base(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if controls(config) and config.validation.enabled and config.validation.prompts:
        yield Problem(
            code="CFG307",
            key="validation.prompts",
            level="warn",
            message="pictures of plain prompts are drawn without the control net and never change",
            fix="move the prompts to [[validation.inputs]], each with a control picture",
        )


def goes_together(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if not controls(config):
        return
    flavour = facts.flavours.get(config.model.flavour or "")
    if flavour is not None and flavour.edits:
        yield Problem(
            code="CFG308",
            key="model.flavour",
            message="a checkpoint that edits pictures shows them to its text encoder as well",
            why="a control net is trained beside one that draws from text",
            fix="choose a flavour that draws from text",
        )
    if config.model.options.flux.attention_mask:
        yield Problem(
            code="CFG308",
            key="model.options.flux.attention_mask",
            message="control nets of Flux attend to the padding of the text",
            why="diffusers' control net takes no mask, so net and model would see different texts",
            fix="remove it",
            patch={"model.options.flux.attention_mask": None},
        )


def controls(config: JobConfig) -> bool:
    return config.model.mode == "controlnet"


RULES = (
    family_has_them,
    pictures_control,
    settings_act,
    path_is_a_folder,
    prompts_draw_the_base,
    goes_together,
)
