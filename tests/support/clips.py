"""Small films and recordings whose content says where it is from.

Frame number n of a film is a picture of the bits of n, so that decoding can be checked frame by
frame, whatever the codec does to the pixels. A recording is a rising tone, so that every moment
of it sounds different.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

BITS = 8  # frames 0 to 255
Pixels = NDArray[np.uint8]


def need_av() -> Any:
    """PyAV, or skip the tests of the module that calls this."""
    return pytest.importorskip("av", reason="PyAV is not installed (extra media)")


def numbered(number: int, width: int, height: int) -> Pixels:
    """The bits of `number` as upright stripes, the highest to the left, in the upper half; below
    it is black to the left and white to the right."""
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        picture[: height // 2, left:right] = 255 * (number >> (BITS - 1 - bit) & 1)
    picture[height // 2 :, width // 2 :] = 255
    return picture


def number_of(picture: Pixels) -> int:
    """The number that an upright picture shows."""
    height, width = picture.shape[:2]
    bits = [
        int(picture[height // 4, (2 * bit + 1) * width // (2 * BITS)].mean() > 127)
        for bit in range(BITS)
    ]
    return int("".join(map(str, bits)), 2)


def is_upright(picture: Pixels) -> bool:
    height, width = picture.shape[:2]
    below = picture[3 * height // 4]
    return bool(below[width // 8].mean() < 80 and below[7 * width // 8].mean() > 175)


def make_film(
    path: Path,
    frames: int = 24,
    *,
    size: tuple[int, int] = (64, 48),
    rate: int = 24,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    rotation: int = 0,
    times: Sequence[int] | None = None,
    pictures: Iterable[Pixels] | None = None,
    layout: str = "rgb24",
    sound: Recording | None = None,
) -> Path:
    """A film of `frames` numbered frames, or of `pictures`, of an upright `size`.

    `rotation` stores it turned by so many degrees with the mark that turns it back; `times` are
    display times in frames, for an uneven rate.
    """
    av = need_av()
    with av.open(path, "w", options=container or {}) as out:
        stream = out.add_stream(codec, rate=rate, options=options or {"g": "12"})
        stream.width, stream.height = size[::-1] if rotation % 180 else size
        stream.pix_fmt = pixels
        if rotation:
            stream.set_display_rotation(rotation)
        track = sound.stream(out) if sound else None
        for number, picture in enumerate(pictures or (numbered(n, *size) for n in range(frames))):
            stored = np.ascontiguousarray(np.rot90(picture, -rotation // 90))
            frame = av.VideoFrame.from_ndarray(stored, layout)
            frame.pts, frame.time_base = times[number] if times else number, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if sound:
            sound.write(out, track)
    return path


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A tone that rises from 200 Hz by 40 Hz a second; `start_s` delays it within a film."""

    seconds: float = 3.0
    rate: int = 44100
    channels: int = 2
    codec: str = "pcm_s16le"
    loudness: float = 0.5
    start_s: float = 0.0
    options: dict[str, str] = field(default_factory=dict)

    def samples(self) -> NDArray[np.float32]:
        """[C, n]; the second channel is half as loud as the first."""
        tone = rising_tone(np.arange(round(self.seconds * self.rate)) / self.rate)
        scales = [[self.loudness], [self.loudness / 2]][: self.channels]
        return (tone * np.array(scales)).astype(np.float32)

    def stream(self, out: Any) -> Any:
        layout = "stereo" if self.channels == 2 else "mono"
        return out.add_stream(self.codec, rate=self.rate, layout=layout, options=self.options)

    def write(self, out: Any, track: Any) -> None:
        av = need_av()
        samples, block = self.samples(), 1024
        for start in range(0, samples.shape[1], block):
            part = np.ascontiguousarray(samples[:, start : start + block])
            frame = av.AudioFrame.from_ndarray(part, "fltp", track.layout.name)
            frame.sample_rate = self.rate
            frame.pts = start + round(self.start_s * self.rate)
            frame.time_base = Fraction(1, self.rate)
            out.mux(track.encode(frame))
        out.mux(track.encode())


def rising_tone(time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sin(2 * np.pi * (200 * time_s + 20 * time_s**2))


def make_recording(path: Path, recording: Recording = Recording()) -> Path:
    with need_av().open(path, "w") as out:
        recording.write(out, recording.stream(out))
    return path
