"""A decoded frame becomes upright 8-bit sRGB, whatever the film stores.

Films without a colour matrix in their header get the usual one for their size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.bad import BadSample
from trainer.data.video import turns_of
from trainer.data.video_hdr import CURVES, sdr

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Pixels = NDArray[np.uint8]
UNKNOWN = 2  # of every colour property of a frame
BT709, BT601, BT2020 = 1, 5, 9  # colour matrices
HD_WIDTH, HD_HEIGHT = 1280, 720  # from here on BT.709 is what an unmarked film means


class Canvas:
    """Converts the frames of one film: the converter is kept from frame to frame.

    `size` is the film's size in square pixels before turning, `background` six hexadecimal digits.
    """

    def __init__(self, size: tuple[int, int], background: str) -> None:
        from av.video.reformatter import Interpolation, VideoReformatter

        self._size = size
        self._stored: tuple[int, int] | None = None
        self._background = np.array(list(bytes.fromhex(background.removeprefix("#"))), np.uint32)
        self._reformatter = VideoReformatter()
        self._scaling = Interpolation.BICUBIC

    def upright(self, frame: VideoFrame) -> Pixels:
        """[H, W, 3]; BadSample where the film changes its size."""
        stored = frame.width, frame.height
        if self._stored not in (None, stored):
            raise BadSample(f"its size changes from {self._stored} to {stored}")
        self._stored = stored
        if frame.color_trc in CURVES:
            pixels = sdr(self._rgb(frame, "rgb48le"), frame.color_trc, frame.color_primaries)
        elif any(part.is_alpha for part in frame.format.components):
            pixels = _flat(self._rgb(frame, "rgba"), self._background)
        else:
            pixels = self._rgb(frame, "rgb24")
        return np.ascontiguousarray(np.rot90(pixels, turns_of(frame.rotation)))

    def _rgb(self, frame: VideoFrame, layout: str) -> NDArray[Any]:
        width, height = self._size
        converted = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=layout,
            src_colorspace=_matrix(frame),
            interpolation=self._scaling,
        )
        return converted.to_ndarray()


def _matrix(frame: VideoFrame) -> int | None:
    """Where the frame does not say how its brightness and colour were split: the usual way."""
    if frame.colorspace != UNKNOWN or frame.format.is_rgb:
        return None
    if frame.color_trc in CURVES:
        return BT2020
    large = frame.width >= HD_WIDTH or frame.height >= HD_HEIGHT
    return BT709 if large else BT601


def _flat(pixels: Pixels, background: NDArray[np.uint32]) -> Pixels:
    """RGBA over the background."""
    alpha = pixels[..., 3:].astype(np.uint32)
    mixed = pixels[..., :3] * alpha + background * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)
