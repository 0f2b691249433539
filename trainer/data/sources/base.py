"""What the index needs of a place that holds samples.

A source lists its samples in the order of their names, opens one, and reads the caption beside
one. It keeps no state of its own between runs and never writes to the place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, Protocol

Kind = Literal["image", "video", "audio", "caption"]
Stamp = tuple[int, int, int]  # size, time, identity: equal as long as the object is unchanged

VARIANT = "\x1e"  # between two captions of one sample, where their source keeps them apart
LYRICS = "\x1d"  # before the lyrics of a song, at the end of its caption


@dataclass(frozen=True, slots=True)
class Found:
    """A sample as it was listed; `relpath` uses "/" and is printable whatever the name was."""

    relpath: str
    locator: str  # what `Source.open` needs beside it to find the sample again; may be empty
    stamp: Stamp | None  # None: listed, but not there (a link to nowhere)
    caption: Stamp | None  # of the caption beside it, None where there is none
    content: bytes | None = None  # digest of its bytes, where the source knows one unread


class Source(Protocol):
    """One place with samples of one kind."""

    @property
    def name(self) -> str:
        """For messages: a folder, or a URL without secrets."""
        ...

    @property
    def hashed(self) -> bool:
        """A sample's content is the digest of its bytes, so that a reader can check it."""
        ...

    @property
    def identity(self) -> str:
        """Names the index: everything that changes what is listed, and how captions are read."""
        ...

    def listing(self) -> Iterator[Found]:
        """Every sample, sorted by `relpath` as text; DataError when the place cannot be listed.

        Called once per start, so it must not open the samples.
        """
        ...

    def open(self, relpath: str, locator: str) -> BinaryIO:
        """The bytes of a sample, seekable. OSError says that the place refused it for now;
        any other lasting fault is told by what the bytes are. Called from several threads."""
        ...

    def caption(self, found: Found) -> tuple[str | None, str | None]:
        """(captions joined by VARIANT, None), or (None, why there is none).

        Called for samples whose `caption` stamp is new. OSError: try again at the next scan.
        """
        ...

    def close(self) -> None: ...
