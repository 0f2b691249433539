"""Find and read the checkpoint to resume from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file

from trainer.ckpt import state as names
from trainer.ckpt.state import Progress, TrainingState
from trainer.ckpt.tree import restore
from trainer.ckpt.verify import newest_whole, quarantine, sweep_staging
from trainer.errors import NotResumable
from trainer.findings import Finding, finding

Report = Callable[[Path, str], None]


def find_checkpoint(root: Path, *, report: Report) -> Path | None:
    """Newest checkpoint that verifies; damaged ones are quarantined and reported.

    Raises NotResumable when there were checkpoints but none is whole.
    """
    sweep_staging(root)
    seen: list[str] = []
    for folder, reason in list(newest_whole(root)):
        if reason is None:
            return folder
        seen.append(f"{folder.name}: {reason}")
        report(quarantine(folder), reason)
    if seen:
        raise NotResumable(_none_left(root, seen))
    return None


def _none_left(root: Path, seen: list[str]) -> Finding:
    return finding(
        "RUN004",
        "no checkpoint of this run can be used",
        where=str(root),
        why="; ".join(seen),
        fix="the damaged ones are kept under bad-* names; start again in a new run directory",
    )


def read_identity(folder: Path) -> dict[str, object]:
    return json.loads((folder / names.MANIFEST).read_bytes())["identity"]


def read_checkpoint(folder: Path) -> TrainingState:
    """All parts of a verified checkpoint, tensors on CPU."""
    tensors = load_file(folder / names.OPTIMIZER_TENSORS)
    optimizer = restore(json.loads((folder / names.OPTIMIZER).read_bytes()), tensors)
    ema = folder / names.EMA
    return TrainingState(
        progress=Progress(**json.loads((folder / names.PROGRESS).read_bytes())),
        trainable=load_file(folder / names.TRAINABLE),
        optimizer=optimizer,
        ema=load_file(ema) if ema.exists() else None,
        identity=dict(read_identity(folder)),
    )
