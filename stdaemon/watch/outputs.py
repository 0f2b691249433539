"""What a run has produced: checkpoints and pictures, read from its directory."""

from __future__ import annotations

import json
from pathlib import Path

from stdaemon.wire.checkpoints import Checkpoint
from stdaemon.wire.samples import Sample
from trainer.runs.files import read_json
from trainer.runs.layout import RunDir, step_of


def checkpoints(run: RunDir) -> list[Checkpoint]:
    """Newest first; sizes are checked here, contents when the trainer resumes."""
    if not run.checkpoints.exists():
        return []
    found = []
    for folder in run.checkpoints.iterdir():
        step = step_of(folder.name)
        if step is not None:
            found.append(_checkpoint(run, folder, step))
    return sorted(found, key=lambda c: -c.step)


def _checkpoint(run: RunDir, folder: Path, step: int) -> Checkpoint:
    total, whole = 0, True
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        for name, expected in manifest["files"].items():
            path = folder / name
            size = path.stat().st_size if path.exists() else -1
            whole = whole and size == expected["bytes"]
            total += max(0, size)
    except (OSError, ValueError, KeyError):
        whole = False
    return Checkpoint(
        step=step,
        path=str(folder.relative_to(run.path)),
        bytes=total,
        created=folder.stat().st_mtime,
        verified=whole,
    )


def samples(run: RunDir) -> list[Sample]:
    """All finished picture sets, oldest first, then the comparison sheet."""
    if not run.samples.exists():
        return []
    found: list[Sample] = []
    steps = sorted((s, p) for p in run.samples.iterdir() if (s := step_of(p.name)) is not None)
    for step, folder in steps:
        meta = read_json(folder / "meta.json")
        for image in meta["images"] if meta else []:
            found.append(
                Sample(
                    step=step,
                    path=str((folder / image["file"]).relative_to(run.path)),
                    prompt=image["prompt"],
                    seed=image["seed"],
                    width=image["width"],
                    height=image["height"],
                )
            )
    return found
