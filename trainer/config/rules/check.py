"""Run all cross-field rules.

A rule is a generator `(config, facts) -> Problem`; it names the key it blames, and this module
adds the place where that key was set. Rules see a structurally valid configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from trainer import catalog
from trainer.catalog.facts import FamilyFacts
from trainer.config.layers import Origin
from trainer.config.rules import (
    adapter,
    assistant,
    batches,
    beside,
    captions,
    cascade,
    conditioning,
    control,
    data,
    editing,
    experts,
    geometry,
    interval,
    kinds,
    length,
    media,
    memory,
    mixing,
    model,
    noise,
    optimizer,
    quant,
    sides,
    sources,
    speed,
    validation,
    variants,
)
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig
from trainer.config.suggest import nearest
from trainer.findings import Finding, finding

USER_LAYERS = ("file", "environment", "command line")

Rule = Callable[[JobConfig, FamilyFacts], Iterator[Problem]]

RULES: tuple[Rule, ...] = (
    *model.RULES,
    *cascade.RULES,
    *adapter.RULES,
    *variants.RULES,
    *assistant.RULES,
    *length.RULES,
    *optimizer.RULES,
    *quant.RULES,
    *memory.RULES,
    *speed.RULES,
    *noise.RULES,
    *interval.RULES,
    *data.RULES,
    *kinds.RULES,
    *geometry.RULES,
    *sides.RULES,
    *captions.RULES,
    *mixing.RULES,
    *media.RULES,
    *sources.RULES,
    *conditioning.RULES,
    *editing.RULES,
    *control.RULES,
    *batches.RULES,
    *validation.RULES,
    *beside.RULES,
    *experts.RULES,
)


def check_rules(config: JobConfig, place: Callable[[str], Origin]) -> list[Finding]:
    """All findings of all rules; `place` tells which layer set a key, and where."""
    family = config.model.family
    if family not in catalog.FAMILIES:
        return [_unknown_family(family, place("model.family").where)]
    facts = catalog.family_facts(family)
    found = (problem for rule in RULES for problem in rule(config, facts))
    return [_finding(problem, place(problem.key)) for problem in _once(found)]


def _once(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Several datasets may inherit what is wrong with one setting."""
    seen: set[tuple[str, str, str]] = set()
    for problem in problems:
        identity = (problem.code, problem.key, problem.message)
        if identity not in seen:
            seen.add(identity)
            yield problem


def _finding(problem: Problem, origin: Origin) -> Finding:
    inherited = origin.layer not in USER_LAYERS
    return finding(
        problem.code,
        problem.message,
        where=origin.where,
        why=problem.why,
        fix=problem.fix,
        level="info" if problem.idle and inherited else problem.level,
        patch=None if problem.idle and inherited else problem.patch,
        key=problem.key,
    )


def _unknown_family(family: str, where: str) -> Finding:
    near = nearest(family, catalog.FAMILIES)
    listed = ", ".join(sorted(catalog.FAMILIES))
    return finding(
        "CFG011",
        f"unknown model family {family!r}",
        where=where,
        fix=f"did you mean {near[0]!r}? known: {listed}" if near else f"known: {listed}",
        patch={"model.family": near[0]} if near else None,
        key="model.family",
    )
