"""Verified saves of LyCORIS files: read back, and opened by the LyCORIS library itself.

The library puts the file on the live denoiser, with our own change off, and must give the output
that the adapter gave. It replaces `forward`, and for full-matrix changes even the weights of the
layers, so all of that is put back afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from trainer.adapters.io import read_file
from trainer.adapters.lycoris import files, library
from trainer.adapters.lycoris.layer import adaptable
from trainer.errors import TrainerError
from trainer.findings import Finding, finding
from trainer.models.base import Family

TOLERANCE = {torch.float32: 1e-5}  # of the largest output
LOW = 5e-2  # in lower precisions, where the library adds the change to the rounded base weight


def verify_file(path: Path, expected: Mapping[str, files.Tensors]) -> list[Finding]:
    """Problems of a written file; empty when it holds exactly what is in memory, all finite."""
    try:
        found = files.read(path, expected)
    except TrainerError as error:
        return [_bad(path, error.finding.message)]
    theirs = {f"{m}.{n}": t for m, held in found.items() for n, t in held.items()}
    ours = {f"{m}.{n}": t for m, held in expected.items() for n, t in held.items()}
    if theirs.keys() != ours.keys():
        first = min(theirs.keys() ^ ours.keys())
        return [_bad(path, f"tensors are missing or unknown, first {first}")]
    wrong = [n for n, t in ours.items() if not torch.equal(t, theirs[n])]
    wrong += [n for n, t in theirs.items() if not torch.isfinite(t).all()]
    return [_bad(path, f"{wrong[0]} differs from memory or is not finite")] if wrong else []


def verify_output(
    path: Path, family: Family, expected: Tensor, *, dtype: torch.dtype
) -> list[Finding]:
    """Compare what the library makes of the file with `expected`; ours must be off meanwhile."""
    try:
        with opened(path, family.denoiser, family.denoiser_dtype):
            found = family.probe()
    except Exception as error:  # any way of not opening is the finding
        return [_other(path, f"the LyCORIS library does not open it: {error}")]
    share = max(TOLERANCE.get(d, LOW) for d in (dtype, family.denoiser_dtype))
    difference = float((found - expected).abs().max())
    if difference <= share * max(1.0, float(expected.abs().max())):  # false for NaN too
        return []
    return [_other(path, f"its output differs from memory by {difference:.2g}")]


@contextmanager
def opened(path: Path, denoiser: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Within the block the denoiser acts with the file, by the library's own code."""
    tensors, metadata = read_file(path)
    layers = [module for module in denoiser.modules() if adaptable(module)]
    kept = [(dict(m.__dict__), dict(m._parameters)) for m in layers]
    device = next(denoiser.parameters()).device
    try:
        with torch.random.fork_rng():
            networks = library.on(denoiser, tensors, json.loads(metadata["lycoris_config"]))
        for network in networks:
            network.to(device, dtype)
        yield
    finally:
        for module, (attributes, parameters) in zip(layers, kept, strict=True):
            for name in module.__dict__.keys() - attributes.keys():
                del module.__dict__[name]
            module.__dict__.update(attributes)
            module._parameters.update(parameters)


def idle(path: Path) -> Finding:
    """The trained adapter gives what the base model gives."""
    return finding(
        "LOR005",
        f"{path.name} does nothing: the model gives the same with and without it",
        where=str(path),
        why="training never moved it",
        fix="check optimizer.lr and that the loss reaches the adapter",
        level="warn",
    )


def _bad(path: Path, what: str) -> Finding:
    return _problem("LOR001", path, what)


def _other(path: Path, what: str) -> Finding:
    return _problem("LOR006", path, what)


def _problem(code: str, path: Path, what: str) -> Finding:
    return finding(
        code,
        f"{path.name}: {what}",
        where=str(path),
        why="the file would not act as the trained adapter does",
        fix="the training state is intact: resume the run to write it again",
    )
