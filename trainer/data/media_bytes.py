"""Whether what came from the web is a sample, and which ending its file gets."""

from __future__ import annotations

import io
import mimetypes
import os
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from trainer.data.bad import BadSample
from trainer.data.download import Limits, Unfetched, download
from trainer.data.probe import probe
from trainer.data.sources.base import Kind
from trainer.data.sources.names import ENDINGS

MAGIC: tuple[tuple[int, bytes, str], ...] = (  # offset, what stands there, ending
    (0, b"\x89PNG", ".png"),
    (0, b"\xff\xd8\xff", ".jpg"),
    (0, b"GIF8", ".gif"),
    (8, b"WEBP", ".webp"),
    (0, b"BM", ".bmp"),
    (0, b"II*\0", ".tiff"),
    (0, b"MM\0*", ".tiff"),
    (4, b"ftypavif", ".avif"),
    (4, b"ftyphei", ".heic"),
)


class Sample(NamedTuple):
    ending: str
    data: bytes


def sample_at(url: str, *, kind: Kind, limits: Limits, stopped: Callable[[float], bool]) -> Sample:
    """What an address gives; Unfetched when that is nothing, or no sample of this kind."""
    answer = download(url, limits, stopped)
    ending = _ending(answer.data, answer.kind, url, kind)
    if ending is None:
        raise Unfetched(f"what came is no {kind} but {answer.kind}")
    try:
        probe(io.BytesIO(answer.data), kind)
    except BadSample as error:
        raise Unfetched(f"what came is no {kind}: {error}") from error
    return Sample(ending, answer.data)


def _ending(data: bytes, told: str, url: str, kind: Kind) -> str | None:
    """By the first bytes of pictures; of others by the address, then by what the server says."""
    for offset, magic, ending in MAGIC:
        if data.startswith(magic, offset) and ending in ENDINGS[kind]:
            return ending
    guesses = (os.path.splitext(urlsplit(url).path)[1].lower(), mimetypes.guess_extension(told))
    return next((g for g in guesses if g in ENDINGS[kind]), None)
