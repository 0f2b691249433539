"""Relative paths: SimpleTuner takes them from its working directory, a job from its file's folder.

The working directory is not in the files, but it is above them: the configuration usually lies in
its `config` folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_EXAMPLES = "config/examples/"


@dataclass(frozen=True, slots=True)
class Places:
    """`source` is the folder of the imported file, `target` the one of the job that is written."""

    source: Path
    target: Path

    def found(self, text: str) -> Path:
        """Where a path of the source leads: the nearest place where it exists, going upwards."""
        path = _expanded(text)
        if path.is_absolute():
            return path
        above = self._above()
        for folder in above:
            if _exists(folder / text):
                return folder / text
        if text.startswith(_EXAMPLES):  # lies beside the imported example, wherever that is
            for folder in (self.source, *self.source.parents[:2]):
                if _exists(found := folder / text.removeprefix(_EXAMPLES)):
                    return found
        return above[-1] / path

    def written(self, text: str) -> str:
        """The path as the job must write it: unchanged where that leads to the same place."""
        if "://" in text:
            return text
        found = self.found(text)
        if _normal(self.target / _expanded(text)) == _normal(found):
            return text
        return str(_normal(found))

    def model(self, text: str) -> str:
        """The place of weights: a hub id stays one, unless a folder of that name exists."""
        local = text.startswith((".", "/", "~")) or _exists(self.found(text))
        return self.written(text) if local else text

    def _above(self) -> list[Path]:
        """The folders from the file's own up to the one that holds `config`, else just its own."""
        folders = [self.source, *self.source.parents]
        names = [folder.name for folder in folders]
        return folders[: names.index("config") + 2] if "config" in names else folders[:1]


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # the home of nobody
        return Path(text)


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path.absolute()))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # no path at all: a null byte, or far too long
        return False
