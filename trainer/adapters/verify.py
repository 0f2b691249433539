"""Verified saves: a written file counts only after it was read back and compared (B07).

Checked: the expected tensors and no others, shapes, finite values, bit equality with memory,
scale, that training left the adapter with an effect, and that the file, loaded by the diffusers
pipeline class as a second adapter of the live model, gives the same output. A ComfyUI file that
the class would refuse for its alpha tensors is put under Diffusers names first. A file that fails
is moved aside.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.adapters import plain
from trainer.adapters.io import read_adapter, read_file
from trainer.adapters.layouts import (
    DORA_SCALE,
    UP,
    AdapterTensors,
    detect,
    scaled_in,
    to_diffusers,
)
from trainer.catalog.facts import FamilyFacts
from trainer.errors import TrainerError
from trainer.findings import Finding, finding
from trainer.models.base import Family
from trainer.models.parts.diffusers_classes import quiet

SECOND = "reread"
TOLERANCE = {torch.float32: 1e-6}  # of the largest output; lower precisions: 2e-2


def verify_file(
    path: Path, expected: AdapterTensors, *, trained: bool, facts: FamilyFacts | None = None
) -> list[Finding]:
    """Problems of a written adapter; empty when it is exactly what is in memory."""
    try:
        found = read_adapter(path, expected.modules, facts)
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


def verify_output(
    path: Path, family: Family, expected: Tensor, *, active: str, dtype: torch.dtype
) -> list[Finding]:
    """Load the file where users load it and compare the model's output with `expected`.

    `dtype` is that of the adapter `active`; a loader may compute a bf16 one in fp32.
    """
    try:
        with _second_adapter(path, family, active):
            found = family.probe()
    except Exception as error:  # any way of not loading is the finding
        return [_other(path, f"the diffusers pipeline does not load it: {error}")]
    share = max(TOLERANCE.get(d, 2e-2) for d in (dtype, family.denoiser_dtype))
    limit = share * max(1.0, float(expected.abs().max()))
    difference = float((found - expected).abs().max())
    if difference <= limit:  # false for NaN too
        return []
    return [_other(path, f"its output differs from memory by {difference:.2g}")]


@contextmanager
def _second_adapter(path: Path, family: Family, active: str) -> Iterator[None]:
    """Within the block the denoiser acts with the adapter of the file instead of `active`."""
    try:
        with torch.random.fork_rng(), _calm():
            attach(path, family, SECOND)
            family.denoiser.set_adapter(SECOND)
            yield
    finally:
        if SECOND in family.denoiser.peft_config:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                family.denoiser.delete_adapters(SECOND)
        family.denoiser.set_adapter(active)  # also makes its weights trainable again


def attach(path: Path, family: Family, name: str) -> None:
    """Load the file onto the live denoiser as adapter `name`, as users do."""
    with _calm():
        pipeline = family.pipeline()
        if hasattr(pipeline, "load_lora_weights"):
            _load(pipeline, path, family, name)
        else:
            plain.load_into(family.denoiser, family.facts, path, name)


@contextmanager
def _calm() -> Iterator[None]:
    """Libraries warn of absent text encoders, and of a second adapter, which is meant here."""
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _load(pipeline: Any, path: Path, family: Family, name: str) -> None:
    """As users do; where diffusers would leave something out, by our own key table."""
    tensors, _ = read_file(path)
    if _understood(tensors, family):
        pipeline.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name=name)
        return
    modules = [module for module, _ in family.denoiser.named_modules()]
    adapter = scaled_in(read_adapter(path, modules, family.facts))
    named = to_diffusers(adapter, family.facts.denoiser_slot)
    pipeline.load_lora_weights(named, adapter_name=name)


def _understood(tensors: Mapping[str, Tensor], family: Family) -> bool:
    """Whether diffusers reads all of a file.

    It drops DoRA's scales from ComfyUI files with a warning, of UNets it takes one alpha for all
    modules, and some families' loaders know no alpha tensors.
    """
    if any(key.endswith(DORA_SCALE) for key in tensors):
        return False
    alphas = {float(value) for key, value in tensors.items() if key.endswith(".alpha")}
    if detect(tensors) == "kohya-unet":
        return len(alphas) <= 1
    return family.facts.diffusers_reads_alpha or not alphas


def _other(path: Path, what: str) -> Finding:
    return finding(
        "LOR006",
        f"{path.name}: {what}",
        where=str(path),
        why="the file would not act as the trained adapter does",
        fix="the training state is intact: resume the run to write it again",
    )


def _bad(path: Path, what: str) -> Finding:
    return finding(
        "LOR001",
        f"{path.name}: {what}",
        where=str(path),
        why="the file would not act as the trained adapter does",
        fix="the training state is intact: resume the run to write it again",
    )


def quarantine(path: Path) -> Path:
    """Move a failing file or folder aside so that nobody takes it home."""
    aside = path.with_name(f"bad-{path.name}")
    if aside.is_dir():
        shutil.rmtree(aside)
    return path.rename(aside)
