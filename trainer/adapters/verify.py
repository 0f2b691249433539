"""Verified saves: a written file counts only after it was read back and compared (B07).

Checked: the expected tensors and no others, shapes, finite values, bit equality with memory,
scale, and that training left the adapter with an effect. A file that fails is moved aside.
"""

from __future__ import annotations

from pathlib import Path

import torch

from trainer.adapters.io import read_adapter
from trainer.adapters.layouts import UP, AdapterTensors
from trainer.errors import TrainerError
from trainer.findings import Finding, finding


def verify_file(path: Path, expected: AdapterTensors, *, trained: bool) -> list[Finding]:
    """Problems of a written adapter; empty when it is exactly what is in memory."""
    try:
        found = read_adapter(path, expected.modules)
    except TrainerError as error:
        return [_bad(path, error.finding.message)]
    problems = _compare(path, found, expected)
    ups = [t for name, t in found.tensors.items() if name.endswith(UP)]
    if trained and ups and not any(t.any() for t in ups):
        problems.append(
            finding(
                "LOR005",
                f"{path.name} does nothing: every up-projection is zero",
                where=str(path),
                why="training never moved it",
                fix="check optimizer.lr and that the loss reaches the adapter",
                level="warn",
            )
        )
    return problems


def _compare(path: Path, found: AdapterTensors, expected: AdapterTensors) -> list[Finding]:
    missing = sorted(expected.tensors.keys() - found.tensors.keys())
    unknown = sorted(found.tensors.keys() - expected.tensors.keys())
    problems = []
    if missing:
        problems.append(_bad(path, f"{len(missing)} tensors are missing, first {missing[0]}"))
    if unknown:
        problems.append(_bad(path, f"{len(unknown)} tensors are unknown, first {unknown[0]}"))
    for name in sorted(expected.tensors.keys() & found.tensors.keys()):
        ours, theirs = expected.tensors[name], found.tensors[name]
        if ours.shape != theirs.shape:
            problems.append(_bad(path, f"{name} has shape {tuple(theirs.shape)}"))
        elif not torch.isfinite(theirs).all():
            problems.append(_bad(path, f"{name} holds NaN or infinity"))
        elif not torch.equal(ours, theirs.to(ours.dtype)):
            problems.append(_bad(path, f"{name} differs from memory"))
    for module in expected.modules:
        if found.alphas.get(module) != expected.alphas[module]:
            problems.append(_bad(path, f"alpha of {module} is {found.alphas.get(module)}"))
            break
    return problems


def _bad(path: Path, what: str) -> Finding:
    return finding(
        "LOR001",
        f"{path.name}: {what}",
        where=str(path),
        why="the file would not act as the trained adapter does",
        fix="the training state is intact: resume the run to write it again",
    )


def quarantine(path: Path) -> Path:
    """Move a failing file aside so that nobody takes it home."""
    return path.rename(path.with_name(f"bad-{path.name}"))
