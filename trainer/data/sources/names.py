"""Which names are samples, and how names are shown."""

from __future__ import annotations

import os

from trainer.data.sources.base import Kind

_IMAGE = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif")
_HEIF = (".heic", ".heif")
_VIDEO = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".gif")
_AUDIO = (".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac")
ENDINGS: dict[Kind, frozenset[str]] = {
    "image": frozenset(_IMAGE + _HEIF),
    "video": frozenset(_VIDEO),
    "audio": frozenset(_AUDIO),
    "caption": frozenset({".txt"}),
}
MASK = ".mask"  # always a partner, never a sample of its own


def is_sample(name: str, kind: Kind, suffix: str | None = None) -> bool:
    """Whether a file of this name is listed; `suffix` asks for partners beside samples."""
    stem, ending = os.path.splitext(name)
    if ending.lower() not in ENDINGS[kind]:
        return False
    return stem.endswith(suffix) if suffix else not stem.endswith(MASK)


def is_hidden(path: str) -> bool:
    """Whether a name of the path begins with a dot: left out everywhere, as of `._cat.png`."""
    return path.startswith(".") or "/." in path


def shown(name: str) -> str:
    """The name as printable text, whatever its encoding was."""
    return name.encode("utf-8", "backslashreplace").decode()


def partner_name(relpath: str, suffix: str | None) -> str:
    """What a sample and its partners have in common: the path without its ending."""
    stem = os.path.splitext(relpath)[0]
    return stem.removesuffix(suffix) if suffix else stem
