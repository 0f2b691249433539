"""A folder of songs: beside each recording its caption and its lyrics.

What the index keeps of a song is both texts, the lyrics behind LYRICS; so a changed lyrics file is
noticed as a changed caption is, and the lyrics go to the text encoder with every variant of the
caption.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from trainer.data.captions import CaptionFile, Text
from trainer.data.sources.base import LYRICS, Found, Stamp
from trainer.data.sources.local import Folder, stamp_of


class Songs:
    """The recordings of a folder with the lyrics beside them."""

    hashed = True

    def __init__(self, folder: Folder, lyrics: CaptionFile) -> None:
        self._folder = folder
        self._lyrics = lyrics

    @property
    def name(self) -> str:
        return self._folder.name

    @property
    def identity(self) -> str:
        return f"{self._folder.identity}|{self._lyrics.tag}"

    def listing(self) -> Iterator[Found]:
        for found in self._folder.listing():
            try:
                sung = stamp_of(self._beside(found).stat())
            except OSError:
                sung = None
            yield replace(found, caption=_both(found.caption, sung))

    def open(self, relpath: str, locator: str) -> BinaryIO:
        return self._folder.open(relpath, locator)

    def caption(self, found: Found) -> Text:
        """The caption and, behind LYRICS, the lyrics; one of them may be missing."""
        text, reason = self._read(lambda: self._folder.caption(found))
        path = self._beside(found)
        lyrics, silent = self._read(lambda: self._lyrics.parse(path.read_bytes(), path.name))
        if lyrics is None:
            return text, reason or silent
        return f"{text or ''}{LYRICS}{lyrics}", None

    def close(self) -> None:
        self._folder.close()

    @staticmethod
    def _read(read) -> Text:
        try:
            return read()
        except FileNotFoundError:
            return None, None

    def _beside(self, found: Found) -> Path:
        place = found.locator or f"{self._folder.root}/{found.relpath}"
        return Path(os.path.splitext(place)[0] + self._lyrics.suffix)


def _both(one: Stamp | None, two: Stamp | None) -> Stamp | None:
    """A stamp that changes when either does."""
    if one is None or two is None:
        return one or two
    return (one[0] + two[0], max(one[1], two[1]), one[2] ^ two[2])
