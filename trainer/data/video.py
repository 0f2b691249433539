"""What the header of a film says.

Size and rate stand in every container; the number of frames does in some, the others have their
packets counted. How a film is turned is only told with a frame, so the first one is decoded where
the container can turn one. Nothing else is decoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainer.data.bad import BadSample
from trainer.data.container import MICROSECOND, File, decoded, film, opened, sound
from trainer.data.pixels import demand_believable
from trainer.data.probe import Facts
from trainer.data.video_times import indexed, listed, mean_rate

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

SURE = 0.01  # a nominal rate this near to the measured one is the true one


def video_facts(file: File) -> Facts:
    """Upright size, number of frames, mean rate, duration, and the sound that goes with it.

    An animated GIF is a film too. BadSample when there is none, or it cannot be read.
    """
    with opened(file) as container:
        stream = film(container)
        demand_believable(stream.width, stream.height)
        nominal = float(stream.average_rate or stream.guessed_rate or 0)
        frames, rate = _length(container, stream, nominal)
        width, height = _upright_size(container, stream)
        track = sound(container)
        return Facts(
            width=width,
            height=height,
            frames=frames,
            fps=rate,
            duration_s=frames / rate if rate else _duration_s(container, stream),
            channels=track.channels if track else 0,
            rate=track.rate if track else 0,
        )


def _length(container: InputContainer, stream: VideoStream, nominal: float) -> tuple[int, float]:
    """Number of frames, and how many a second are shown on average."""
    index = indexed(stream)
    if index is not None:
        return _some(len(index)), nominal
    times = listed(container, stream)
    measured = mean_rate(times.shown, stream)
    if measured and abs(nominal - measured) > SURE * measured:
        return _some(times.count), measured
    return _some(times.count), nominal


def _some(frames: int) -> int:
    if not frames:
        raise BadSample("it holds no frames")
    return frames


def _upright_size(container: InputContainer, stream: VideoStream) -> tuple[int, int]:
    width, height = shown_size(stream)
    turned = quarter_turns(container, stream) % 2
    return (height, width) if turned else (width, height)


def shown_size(stream: VideoStream) -> tuple[int, int]:
    """Size in square pixels, before turning: DVDs and some cameras store narrow ones."""
    shape = stream.sample_aspect_ratio
    if not shape or shape == 1:
        return stream.width, stream.height
    return max(1, round(stream.width * shape)), stream.height


def quarter_turns(container: InputContainer, stream: VideoStream) -> int:
    """Quarter turns counter-clockwise that make the film upright: 0 to 3. Moves the position."""
    if not {"mov", "mp4", "matroska"} & set(container.format.name.split(",")):
        return 0
    container.seek(stream.start_time or 0, stream=stream)
    frame = next(decoded(container, stream), None)
    if frame is None:
        raise BadSample("it holds no frames")
    return turns_of(frame.rotation)


def turns_of(degrees: float) -> int:
    return round(degrees / 90) % 4


def _duration_s(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) * MICROSECOND
