"""Rules on noise levels and loss."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.catalog.facts import FamilyFacts, Prediction
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig


def flow_keys_on_flow(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if facts.prediction is Prediction.FLOW:
        return
    for key in sorted(config.noise.model_fields_set - {"interval"}):
        yield Problem(
            code="CFG070",
            key=f"noise.{key}",
            idle=True,
            message=f"{facts.display_name} draws its times uniformly",
            why=f"noise.{key} acts on flow models only",
            fix=f"remove noise.{key}",
            patch={f"noise.{key}": None},
        )


def snr_on_discrete(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.loss.snr.gamma is not None and facts.prediction is Prediction.FLOW:
        yield Problem(
            code="CFG071",
            key="loss.snr.gamma",
            idle=True,
            message=f"min-SNR weighting is not defined for {facts.display_name}",
            why="flow models weigh noise levels by how often they draw them",
            fix="remove loss.snr.gamma",
            patch={"loss.snr.gamma": None},
        )


def density_parameters_used(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    sampling = config.noise.sampling or facts.sigma_sampling
    if facts.prediction is not Prediction.FLOW:
        return
    for key, user in (("sigmoid_scale", "sigmoid"), ("beta", "beta")):
        if key in config.noise.model_fields_set and sampling != user:
            yield Problem(
                code="CFG072",
                key=f"noise.{key}",
                idle=True,
                message=f"noise.{key} has no effect on {sampling} sampling",
                fix=f'set noise.sampling = "{user}", or remove noise.{key}',
                patch={f"noise.{key}": None},
            )


def shift_positive(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    shift = config.noise.shift
    if isinstance(shift, (int, float)) and shift <= 0:
        yield Problem(
            code="CFG073",
            key="noise.shift",
            message=f"shift {shift:g} must be positive",
            fix="1 means no shift",
            patch={"noise.shift": 1.0},
        )


def huber_keys_used(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if "huber" in config.loss.model_fields_set and config.loss.kind == "l2":
        yield Problem(
            code="CFG074",
            key="loss.huber",
            idle=True,
            message="loss.kind is l2, so [loss.huber] has no effect",
            fix='set loss.kind = "huber", or remove [loss.huber]',
            patch={"loss.huber": None},
        )


def shift_moderate(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    shift = config.noise.shift
    if isinstance(shift, float) and shift > 20:
        yield Problem(
            code="CFG075",
            key="noise.shift",
            level="warn",
            message=f"with a shift of {shift:g} nearly all training is at pure noise",
            why="details would not be learned",
            fix='1 to 6 is usual; "auto" follows the resolution',
        )


def beta_has_body(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    beta = config.noise.beta
    if config.noise.sampling == "beta" and min(beta.alpha, beta.beta) < 0.2:
        yield Problem(
            code="CFG076",
            key="noise.beta",
            level="warn",
            message=f"a beta density of ({beta.alpha:g}, {beta.beta:g}) lies at its ends",
            why="times of 0 and 1 teach little",
            fix="use parameters of 0.5 or more",
        )


RULES = (
    flow_keys_on_flow,
    snr_on_discrete,
    density_parameters_used,
    shift_positive,
    huber_keys_used,
    shift_moderate,
    beta_has_body,
)
