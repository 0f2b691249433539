"""Keep the newest checkpoints and remove the rest, only ever after a newer one is complete."""

from __future__ import annotations

import shutil
from pathlib import Path

from trainer.ckpt.verify import checkpoints
from trainer.faults import point
from trainer.runs.layout import STAGING_PREFIX


def prune(root: Path, keep: int) -> list[Path]:
    """Remove all but the newest `keep` checkpoints; returns the removed paths.

    A folder is renamed to a staging name first, so a kill in the middle of removing never leaves
    a half-empty folder that looks like a checkpoint.
    """
    removed = []
    for folder in checkpoints(root)[keep:]:
        doomed = folder.rename(folder.with_name(f"{STAGING_PREFIX}gone-{folder.name}"))
        point("ckpt.during_prune")
        shutil.rmtree(doomed, ignore_errors=True)
        removed.append(folder)
    return removed
