"""Run all cross-field rules.

A rule is a generator `(config, facts) -> Problem`; it names the key it blames, and this module
adds the place where that key was set. Rules see a structurally valid configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trainer import catalog
from trainer.catalog.facts import FamilyFacts
from trainer.config.rules import adapter, data, length, model, noise, optimizer, validation
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig
from trainer.config.suggest import nearest
from trainer.findings import Finding, finding

Rule = Callable[[JobConfig, FamilyFacts], Iterator[Problem]]

RULES: tuple[Rule, ...] = (
    *model.RULES,
    *adapter.RULES,
    *length.RULES,
    *optimizer.RULES,
    *noise.RULES,
    *data.RULES,
    *validation.RULES,
)


def check_rules(config: JobConfig, place: Callable[[str], str]) -> list[Finding]:
    family = config.model.family
    if family not in catalog.FAMILIES:
        return [_unknown_family(family, place)]
    facts = catalog.family_facts(family)
    return [
        finding(
            problem.code,
            problem.message,
            where=place(problem.key),
            why=problem.why,
            fix=problem.fix,
            level=problem.level,
            patch=problem.patch,
            key=problem.key,
        )
        for rule in RULES
        for problem in rule(config, facts)
    ]


def _unknown_family(family: str, place: Callable[[str], str]) -> Finding:
    near = nearest(family, catalog.FAMILIES)
    listed = ", ".join(sorted(catalog.FAMILIES))
    return finding(
        "CFG011",
        f"unknown model family {family!r}",
        where=place("model.family"),
        fix=f"did you mean {near[0]!r}? known: {listed}" if near else f"known: {listed}",
        patch={"model.family": near[0]} if near else None,
        key="model.family",
    )
