"""Where a rehearsal writes: beside the run and beside the cache, so that their disks are tried.

Nothing is made in the run directory or in the shared cache, and both scratch folders are removed
again, however the rehearsal ends.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.errors import TrainerError
from trainer.findings import finding

PREFIX = ".rehearsal-"


@contextmanager
def scratch_beside(target: Path, what: str, key: str) -> Iterator[Path]:
    """A folder on the disk of `target`, which need not exist; `key` is the option that names it."""
    made = _make(target, what, key)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _make(target: Path, what: str, key: str) -> Path:
    try:
        if target.exists() and not (target.is_dir() and os.access(target, os.W_OK | os.X_OK)):
            raise PermissionError(f"{target} is not a folder that can be written")
        return Path(tempfile.mkdtemp(prefix=PREFIX, dir=_existing(target.parent)))
    except OSError as error:
        raise TrainerError(
            finding(
                "RUN030",
                f"the {what} cannot be written: {error.strerror or error}",
                where=str(target),
                why="the run would end at the first file that it writes",
                fix=f"set {key} to a folder that can be written",
            )
        ) from error


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it: folders made on the way would stay behind."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder
