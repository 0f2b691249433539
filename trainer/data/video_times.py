"""When each frame of a film is shown, without decoding any.

The container's own index answers where it is complete; otherwise the packets are listed, which
reads the file once but decodes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.data.container import File, film, opened, packets

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

JITTER = 0.2  # of a frame's mean duration: what cameras vary without meaning anything by it


class Key(NamedTuple):
    """A frame at which decoding can begin."""

    shown: int
    stored: int  # its place in the order of decoding; some containers are searched by that


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Display times in units of the stream's time base; none where the container has none."""

    count: int
    shown: NDArray[np.int64]  # sorted
    keys: tuple[Key, ...]

    def key_before(self, number: int) -> Key | None:
        """The last key frame at or before frame `number`."""
        if number >= len(self.shown):
            return None
        return max((key for key in self.keys if key.shown <= self.shown[number]), default=None)

    def key_at(self, shown: int | None) -> int | None:
        """Number of the key frame that is shown at this time."""
        if shown is None or all(key.shown != shown for key in self.keys):
            return None
        return int(np.searchsorted(self.shown, shown))


def listed(container: InputContainer, stream: VideoStream) -> Times:
    """Times of all frames by listing the packets."""
    shown: list[int] = []
    keys: list[Key] = []
    count = 0
    for packet in packets(container, stream):
        if packet.is_discard:  # hidden by an edit list
            continue
        count += 1
        if packet.pts is None:
            continue
        shown.append(packet.pts)
        if packet.is_keyframe:
            keys.append(Key(packet.pts, packet.pts if packet.dts is None else packet.dts))
    times = np.unique(np.array(shown, dtype=np.int64))
    if len(times) != count:  # some without a time, or two at the same
        return Times(count, np.empty(0, dtype=np.int64), ())
    return Times(count, times, tuple(keys))


def indexed(stream: VideoStream) -> NDArray[np.int64] | None:
    """Times by the container's index, in decoding order; None where it does not list all frames."""
    entries = stream.index_entries
    if not stream.frames or len(entries) != stream.frames:
        return None
    return np.array([e.timestamp for e in entries if not e.is_discard], dtype=np.int64)


def mean_rate(shown: NDArray[np.int64], stream: VideoStream) -> float:
    """Frames a second between the first and the last; 0 where that is not known."""
    if len(shown) < 2 or not stream.time_base:
        return 0.0
    span_s = float((shown[-1] - shown[0]) * stream.time_base)
    return (len(shown) - 1) / span_s if span_s > 0 else 0.0


def frame_rate_varies(file: File) -> bool:
    """Whether frames are shown for different times, beyond the rounding of the container.

    Frames of such a film are picked by number, at its mean rate, so motion in it is uneven.
    BadSample as for `video_facts`.
    """
    with opened(file) as container:
        stream = film(container)
        times = indexed(stream)
        if times is None:
            times = listed(container, stream).shown
        steps = np.diff(np.sort(times))
        if not len(steps):
            return False
        return bool(np.abs(steps - steps.mean()).max() > 1 + JITTER * steps.mean())
