"""Rules on quantised weights."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.catalog.facts import FamilyFacts
from trainer.catalog.quants import QUANTS
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig


def quantised_base_is_frozen(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.model.mode == "full" and config.compute.quant.base is not None:
        yield Problem(
            code="CFG280",
            key="compute.quant.base",
            message="full training cannot train quantised weights",
            why="an update is smaller than the step between two values of so few bits",
            fix='remove compute.quant.base, or set model.mode = "adapter"',
            patch={"compute.quant.base": None},
        )


def family_bears_quantisation(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    name = config.compute.quant.base
    if name is None:
        return
    level, key = QUANTS[name].level, "compute.quant.base"
    good = ", ".join(sorted(facts.quant_levels)) or "none"
    if level in facts.quant_refused:
        yield Problem(
            code="CFG281",
            key=key,
            message=f"{facts.display_name} cannot be trained on a base in {level}",
            why="its predictions are spoilt",
            fix=f"formats that it bears: {good}",
            patch={key: None},
        )
    elif level not in facts.quant_levels:
        yield Problem(
            code="CFG282",
            key=key,
            level="warn",
            message=f"{facts.display_name} is not known to keep its quality in {level}",
            why="the adapter learns to mend rounding errors that the full base does not have",
            fix=f"formats that it bears: {good}",
        )


def as_many_encoders(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    given, there = config.compute.quant.text_encoders, len(facts.text_encoders)
    if len(given) > there:
        yield Problem(
            code="CFG283",
            key="compute.quant.text_encoders",
            idle=True,
            message=f"{facts.display_name} has {there} text encoders, {len(given)} are listed",
            fix="list one entry for each, in the pipeline's order",
            patch={"compute.quant.text_encoders": list(given[:there])},
        )


def settings_of_a_quantised_base(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    quant = config.compute.quant
    base = quant.base is not None
    encoders = any(name != "none" for name in quant.text_encoders)
    idle = {
        "modulation": quant.modulation and not base,
        "keep": bool(quant.keep) and not base,
        "via": "via" in quant.model_fields_set and not (base or encoders),
    }
    for name, without in idle.items():
        if without:
            yield Problem(
                code="CFG284",
                key=f"compute.quant.{name}",
                idle=True,
                message=f"nothing is quantised that compute.quant.{name} could act on",
                fix="set compute.quant.base, or remove it",
                patch={f"compute.quant.{name}": None},
            )


RULES = (
    quantised_base_is_frozen,
    family_bears_quantisation,
    as_many_encoders,
    settings_of_a_quantised_base,
)
