"""Opening films and recordings: the one place that imports PyAV.

Whatever a broken file makes the decoders raise leaves this module as `BadSample`. PyAV comes with
the extra `media`; only a job that has such samples needs it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, overload

from trainer.data.bad import BadSample
from trainer.errors import DataError
from trainer.findings import finding

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
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
    """The container in an open file or at a path; an open file is read from its beginning.

    What the file refuses may pass; what the decoders refuse is in the bytes and stays.
    """
    av = library()
    try:
        with open(file, "rb") if isinstance(file, (str, Path)) else nullcontext(file) as place:
            if not place.seek(0, os.SEEK_END):
                raise BadSample("the file is empty")
            place.seek(0)
            with av.open(place, "r", metadata_errors="replace") as container:
                yield container
    except av.error.FFmpegError as error:
        raise BadSample(error.strerror or str(error)) from error
    except OSError as error:
        raise BadSample(error.strerror or str(error), lasting=False) from error


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


def packets(container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[Packet]:
    """What is left of a stream, undecoded."""
    # Where another stream begins late, PyAV stumbles over it when all packets are through.
    with suppress(IndexError):
        yield from (packet for packet in container.demux(stream) if packet.size)


@overload
def decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]: ...
@overload
def decoded(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]: ...
def decoded(container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[Any]:
    """What is left of a stream, decoded."""
    with suppress(IndexError):  # as above
        yield from container.decode(stream)
