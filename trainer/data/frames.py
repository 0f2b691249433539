"""Which frames of a film are trained on: pure arithmetic on what its header says.

Frames are picked at the wanted rate by number, so a rate above the film's own changes nothing.
How many of them are taken is lowered to what the model's autoencoder can hold: families compress
time in blocks behind a first frame, so they take `offset` plus a multiple of `stride` frames
(4 k + 1: stride 4, offset 1).
"""

from __future__ import annotations

from math import ceil, floor

from trainer.config.schema.media import VideoConfig
from trainer.data.bad import BadSample
from trainer.data.geometry import Bucket
from trainer.data.probe import Facts

VideoBucket = tuple[int, int, int]  # width, height in pixels, frames


def frame_step(facts: Facts, video: VideoConfig) -> float:
    """Frames of the film from one picked frame to the next, at least 1."""
    if video.fps is None or facts.fps <= 0:
        return 1.0
    return max(1.0, facts.fps / video.fps)


def picked_fps(facts: Facts, video: VideoConfig) -> float:
    """Rate at which the picked frames follow each other; 0 where the film does not know its own."""
    return facts.fps / frame_step(facts, video)


def _after(steps: int, step: float) -> int:
    """Frames of the film from the first picked one to the one `steps` later."""
    return floor(steps * step + 0.5)


def available(facts: Facts, video: VideoConfig) -> int:
    """Frames that the whole film offers at the wanted rate."""
    step = frame_step(facts, video)
    count = ceil((facts.frames - 0.5) / step) if facts.frames else 0
    while count and _after(count - 1, step) >= facts.frames:
        count -= 1
    return count


def frame_count(facts: Facts, video: VideoConfig, *, stride: int = 1, offset: int = 0) -> int:
    """Frames taken of a film; BadSample says why it is too short.

    `interval` is counted from `offset`, so that 81 frames stay 81 with a stride of 4 and an
    interval of 8. `min_frames` looks at what the film offers, not at what is left of it.
    """
    assert stride > 0 <= offset, "a rule for frame counts"
    offered = available(facts, video)
    if offered < video.min_frames:
        raise BadSample(f"it has {_frames(offered, facts, video)}, fewer than {video.min_frames}")
    limits = [limit for limit in (video.frames, video.max_frames) if limit is not None]
    count = min([offered, *limits])
    count = _lowered(_lowered(count, video.interval, offset), stride, offset)
    if count < 1:
        why = f"the family takes {_rule(stride, offset)}" if stride > 1 else "too few"
        why = f"the interval is {video.interval}" if video.interval > 1 else why
        raise BadSample(f"it has {_frames(offered, facts, video)}; {why}")
    return count


def _lowered(count: int, step: int, offset: int) -> int:
    """The largest `offset` + k * `step` up to `count`; 0 where there is none."""
    return offset + (count - offset) // step * step if count >= offset else 0


def _frames(count: int, facts: Facts, video: VideoConfig) -> str:
    at = f" at {video.fps:g} fps" if frame_step(facts, video) > 1 else ""
    return f"{count} frame{'' if count == 1 else 's'}{at}"


def _rule(stride: int, offset: int) -> str:
    return f"{stride} k + {offset} frames" if offset else f"multiples of {stride} frames"


def frame_indices(facts: Facts, video: VideoConfig, count: int, draw: float) -> list[int]:
    """Numbers of the `count` frames taken, rising; `draw` in [0, 1) places a random start."""
    step = frame_step(facts, video)
    free = facts.frames - 1 - _after(count - 1, step)
    assert count > 0 <= free, "no more frames than the film offers"
    match video.start:
        case "beginning":
            first = 0
        case "middle":
            first = free // 2
        case "random":
            first = floor(draw * (free + 1))
    return [first + _after(number, step) for number in range(count)]


def frame_span(facts: Facts, video: VideoConfig, indices: list[int]) -> tuple[float, float]:
    """Start and length in seconds of the part of the film that the frames show: its sound."""
    assert facts.fps > 0, "a film of known rate"
    return indices[0] / facts.fps, len(indices) / picked_fps(facts, video)


def video_bucket(
    target: Bucket, facts: Facts, video: VideoConfig, *, stride: int = 1, offset: int = 0
) -> VideoBucket:
    """Films of one batch share their size and number of frames; BadSample as `frame_count`."""
    return (*target, frame_count(facts, video, stride=stride, offset=offset))
