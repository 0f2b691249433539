"""The properties that every family has, and the table of which tests showed them.

A test marked `conformance("check")` and parametrised by `kind` shows one property of one family.
At the end of a run the results are printed as a table; a contract test sees to it that no family
lacks a check.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from trainer.catalog.facts import FamilyFacts

CHECKS: Mapping[str, str] = {
    "text": "cached text equals what the diffusers pipeline encodes",
    "latents": "latents are normalised and come back; a seed per picture",
    "forward": "the call equals that of the bare denoiser",
    "loss": "ten losses equal those of a diffusers training script",
    "sign": "one latent is overfitted, and the real pipeline samples nearer to it",
    "checkpointing": "recomputed activations change no bit of the gradients",
    "sync": "no value is read from the device in a step",
    "sample": "the real pipeline draws from cached text",
    "lora": "adapter files act in the pipeline class as in memory",
    "keys": "names in adapter files are frozen, and ComfyUI maps each of them",
    "lycoris": "a LyCORIS adapter trains, is saved and acts again",
    "full": "a whole model trains, is saved and opens as the component",
    "resume": "a run that was cut continues to the same bits",
    "quantised": "an adapter trains on a base in fewer bits, in each format that the family bears",
    "controlnet": "a control net starts as nothing, learns to look, and draws in its pipeline",
}


def concerns(check: str, facts: FamilyFacts) -> bool:
    """Whether a family has what the check is about."""
    if check == "quantised":
        return bool(facts.quant_levels)
    return check != "controlnet" or "controlnet" in facts.supports


Result = tuple[str, str, str]  # kind, check, outcome


def checks_of(item: pytest.Item) -> list[tuple[str, str]]:
    """Kind and check of everything that a test shows."""
    spec = getattr(item, "callspec", None)
    if spec is None or "kind" not in spec.params:
        return []
    return [(spec.params["kind"], mark.args[0]) for mark in item.iter_markers("conformance")]


def results(reports: Iterable[Any]) -> list[Result]:
    """Of the reports of a run, also of one in several processes."""
    found = []
    for report in reports:
        for name, value in getattr(report, "user_properties", ()):
            if name == "conformance" and (report.when == "call" or report.outcome != "passed"):
                found.append((*value, report.outcome))
    return found


def table(found: Iterable[Result]) -> list[str]:
    """Families down, checks across: the number of tests that passed, or what went wrong."""
    cells: dict[tuple[str, str], list[str]] = {}
    for kind, check, outcome in found:
        cells.setdefault((kind, check), []).append(outcome)
    kinds = sorted({kind for kind, _ in cells})
    width = max(map(len, kinds), default=0)
    head = " ".join([" " * width, *(f"{check:>{max(6, len(check))}}" for check in CHECKS)])
    rows = [head]
    for kind in kinds:
        row = [f"{kind:<{width}}"]
        for check in CHECKS:
            row.append(f"{_cell(cells.get((kind, check), [])):>{max(6, len(check))}}")
        rows.append(" ".join(row))
    return rows


def _cell(outcomes: list[str]) -> str:
    if "failed" in outcomes:
        return "FAILED"
    passed = outcomes.count("passed")
    return str(passed) if passed else ("skip" if outcomes else "–")
