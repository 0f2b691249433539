"""Opening films and recordings: the one place that imports PyAV.

Whatever a broken file makes the decoders raise leaves this module as `BadSample`. PyAV comes with
the extra `media`; only a job that has such samples needs it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from trainer.data.bad import BadSample
from trainer.errors import DataError
from trainer.findings import finding

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

File = BinaryIO | Path | str
MICROSECOND = 1e-6  # unit of a container's duration


def library() -> Any:
    """The module `av`; DataError DAT040 when it is not installed."""
    try:
        import av
        import av.error
    except ImportError as error:
        raise DataError(
            finding(
                "DAT040",
                "video and audio cannot be read: PyAV is not installed",
                fix="pip install 'simpletuner-terminal[media]'",
            )
        ) from error
    return av


@contextmanager
def opened(file: File) -> Iterator[InputContainer]:
    """The container in an open file or at a path; an open file is read from its beginning."""
    av = library()
    try:
        place = os.fspath(file) if isinstance(file, (str, Path)) else file
        if not isinstance(place, str):
            place.seek(0)
        with av.open(place, "r", metadata_errors="replace") as container:
            yield container
    except (av.error.FFmpegError, OSError, UnicodeError) as error:
        raise _bad(file, error) from error


def _bad(file: File, error: Exception) -> BadSample:
    if isinstance(error, OSError):  # of the place; what is wrong with the bytes is another kind
        return BadSample(error.strerror or str(error), lasting=False)
    if _empty(file):
        return BadSample("the file is empty")
    return BadSample(getattr(error, "strerror", None) or str(error))


def _empty(file: File) -> bool:
    if isinstance(file, (str, Path)):
        return os.path.exists(file) and os.path.getsize(file) == 0
    return not file.closed and file.seek(0, os.SEEK_END) == 0


def film(container: InputContainer) -> VideoStream:
    """The first stream of moving pictures; cover art of recordings is none."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if stream.codec_context is None:
            raise BadSample("the codec of its pictures is not known")
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise BadSample("it holds no moving pictures")


def sound(container: InputContainer) -> AudioStream | None:
    """The first sound track, if there is one that can be decoded."""
    tracks = (s for s in container.streams.audio if s.codec_context is not None)
    return next(tracks, None)
