"""Rules on the part of the noise levels that is trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import NormalDist

from trainer.catalog.facts import FamilyFacts, Prediction
from trainer.config.rules.problem import Problem
from trainer.config.schema.noise import NoiseConfig
from trainer.config.schema.root import JobConfig

RARE = 0.01  # share of a density below which rejection draws a hundred times and more
AUTO_SHIFT = math.exp(1.15)  # of the automatic shift at 1024 pixels


def interval_holds_something(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    part = config.noise.interval
    if part.low >= part.high:
        given = part.model_fields_set
        yield Problem(
            code="CFG220",
            key=f"noise.interval.{'low' if 'low' in given else 'high'}",
            message=f"no noise level lies between {part.low:g} and {part.high:g}",
            fix="low must be below high; 0 is clean, 1 is noise",
        )


def density_reaches_interval(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    part = config.noise.interval
    inside = part.low < part.high and facts.prediction is Prediction.FLOW
    if not inside or part.fit != "reject":
        return
    share = density_inside(config.noise, facts)
    if share < RARE:
        yield Problem(
            code="CFG221",
            key="noise.interval",
            level="warn",
            message=f"only {share:.2%} of the drawn noise levels lie between {part.low:g} and "
            f"{part.high:g}",
            why="of so little of its tail the density keeps no useful shape, and each time is "
            "drawn over and over",
            fix='set noise.interval.fit = "rescale", or a shift that moves the density there',
            patch={"noise.interval.fit": "rescale"},
        )


def fit_acts(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    part = config.noise.interval
    if "fit" not in part.model_fields_set:
        return
    discrete = facts.prediction is not Prediction.FLOW
    if discrete or (part.low, part.high) == (0.0, 1.0):
        yield Problem(
            code="CFG222",
            key="noise.interval.fit",
            idle=True,
            message="the times of a discrete schedule are uniform, whichever way they are fitted"
            if discrete
            else "all noise levels are trained, so nothing has to be fitted",
            fix="remove noise.interval.fit",
            patch={"noise.interval.fit": None},
        )


def density_inside(noise: NoiseConfig, facts: FamilyFacts) -> float:
    """Share of the shifted and warped density of a flow family that lies in the interval."""
    shift = noise.shift if noise.shift is not None else facts.shift
    factor = AUTO_SHIFT if shift == "auto" else float(shift or 1.0)
    sampling = noise.sampling or facts.sigma_sampling or "sigmoid"
    cdf = _cdf(noise, sampling)
    bounds = [noise.interval.low, noise.interval.high]
    if sampling == "sigmoid" and facts.sigma_warp == "ends":
        bounds = [_before_warp(s) for s in bounds]
    low, high = (s / (factor - (factor - 1.0) * s) for s in bounds)
    return cdf(high) - cdf(low)


def _before_warp(sigma: float) -> float:
    """What `to_the_ends` of trainer.objective.flow makes this noise level of."""
    if sigma < 0.25:
        return math.sqrt(sigma)
    return 0.5 if sigma < 0.75 else 1.0 - math.sqrt(1.0 - sigma)


def _cdf(noise: NoiseConfig, sampling: str) -> Callable[[float], float]:
    """Distribution function of a density before its shift."""
    if sampling == "uniform":
        return lambda s: s
    if sampling == "beta":
        return lambda s: _beta_below(s, noise.beta.alpha, noise.beta.beta)

    def sigmoid(s: float) -> float:
        if not 0.0 < s < 1.0:
            return s
        return NormalDist().cdf(math.log(s / (1.0 - s)) / noise.sigmoid_scale)

    return sigmoid


def _beta_below(s: float, alpha: float, beta: float, parts: int = 2000) -> float:
    """Share of a beta density below `s`, summed over equal parts of the whole range."""
    middles = [(n + 0.5) / parts for n in range(parts)]
    heights = [x ** (alpha - 1.0) * (1.0 - x) ** (beta - 1.0) for x in middles]
    return sum(h for x, h in zip(middles, heights, strict=True) if x < s) / sum(heights)


RULES = (interval_holds_something, density_reaches_interval, fit_acts)
