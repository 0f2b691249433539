"""Write a checkpoint so that a kill at any instant leaves either the old one or the new one.

Protocol (B01): hidden staging directory on the same file system, every file written and synced,
the manifest with sizes and hashes last, one rename, sync of the parent. "Latest" is later found
by verifying manifests; no pointer file is trusted.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from trainer.ckpt import state as names
from trainer.ckpt.state import TrainingState
from trainer.ckpt.tree import flatten
from trainer.faults import point
from trainer.runs.files import fsync_dir
from trainer.runs.layout import STAGING_PREFIX, step_name

Export = Callable[[Path], None]


def save_checkpoint(root: Path, state: TrainingState, *, export: Export | None = None) -> Path:
    """Store `state` under `root`; `export` may add ready-to-use files to the staging folder."""
    final = root / step_name(state.progress.step)
    staging = root / f"{STAGING_PREFIX}{final.name}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        _write_parts(staging, state)
        if export is not None:
            export(staging)
        point("ckpt.before_manifest")
        _write_manifest(staging, state)
        point("ckpt.after_manifest")
    except OSError:
        shutil.rmtree(staging, ignore_errors=True)  # a full disk needs the space back
        raise
    if final.exists():  # the same step again, after a resume that fell back past it
        shutil.rmtree(final)
    os.rename(staging, final)
    point("ckpt.after_rename")
    fsync_dir(root)
    return final


def _write_parts(folder: Path, state: TrainingState) -> None:
    write_tensors(folder / names.TRAINABLE, state.trainable)
    point("ckpt.after_trainable")
    tensors: dict[str, Tensor] = {}
    document = flatten(state.optimizer, tensors)
    write_tensors(folder / names.OPTIMIZER_TENSORS, tensors)
    point("ckpt.after_optimizer_tensors")
    _write_json(folder / names.OPTIMIZER, document)
    point("ckpt.after_optimizer")
    if state.ema is not None:
        write_tensors(folder / names.EMA, state.ema)
    point("ckpt.after_ema")
    _write_json(folder / names.PROGRESS, asdict(state.progress))
    point("ckpt.after_progress")


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    save_file({k: v.detach().to("cpu").contiguous() for k, v in tensors.items()}, path)
    _sync(path)


def _write_json(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, sort_keys=True))
    _sync(path)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_manifest(folder: Path, state: TrainingState) -> None:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    listing = {
        str(p.relative_to(folder)): {"bytes": p.stat().st_size, "blake2b": digest(p)} for p in files
    }
    document = {
        "schema": names.SCHEMA,
        "step": state.progress.step,
        "identity": state.identity,
        "files": listing,
    }
    _write_json(folder / names.MANIFEST, document | {"checksum": document_digest(document)})
    for parent in {p.parent for p in files}:
        fsync_dir(parent)
    fsync_dir(folder)


def document_digest(document: dict[str, Any]) -> str:
    """Digest by which a manifest vouches for itself."""
    text = json.dumps(document, sort_keys=True)
    return blake2b(text.encode(), digest_size=20).hexdigest()


def digest(path: Path) -> str:
    hasher = blake2b(digest_size=20)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()
