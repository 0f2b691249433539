"""A decoded frame becomes upright 8-bit sRGB, whatever the film stores.

Films without a colour matrix in their header get the usual one for their size. HDR films (PQ,
HLG) are converted so that their diffuse white becomes white; what shines brighter is clipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainer.data.bad import BadSample
from trainer.data.video import turns_of

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Pixels = NDArray[np.uint8]
UNKNOWN = 2  # of every colour property of a frame
HDR_CURVES = (16, 18)  # SMPTE 2084 (PQ) and ARIB STD-B67 (HLG)
BT709, BT601, BT2020 = 1, 5, 9
SRGB_CURVE = 13
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
        clear = any(part.is_alpha for part in frame.format.components)
        pixels = self._rgb(frame, "rgba" if clear else "rgb24")
        pixels = np.rot90(pixels, turns_of(frame.rotation))
        return np.ascontiguousarray(_flat(pixels, self._background) if clear else pixels)

    def _rgb(self, frame: VideoFrame, layout: str) -> Pixels:
        hdr = frame.color_trc in HDR_CURVES
        converted = self._reformatter.reformat(
            frame,
            width=self._size[0],
            height=self._size[1],
            format=layout,
            src_colorspace=_matrix(frame, hdr),
            interpolation=self._scaling,
            dst_color_trc=SRGB_CURVE if hdr else None,
            dst_color_primaries=BT709 if hdr else None,
        )
        pixels = converted.to_ndarray()
        assert pixels.dtype == np.uint8
        return pixels  # pyright: ignore[reportReturnType]  # 8 bit by its layout


def _matrix(frame: VideoFrame, hdr: bool) -> int | None:
    """Where the frame does not say how its brightness and colour were split: the usual way."""
    if frame.colorspace != UNKNOWN or frame.format.is_rgb:
        return None
    if hdr:
        return BT2020
    large = frame.width >= HD_WIDTH or frame.height >= HD_HEIGHT
    return BT709 if large else BT601


def _flat(pixels: Pixels, background: NDArray[np.uint32]) -> Pixels:
    """RGBA over the background."""
    alpha = pixels[..., 3:].astype(np.uint32)
    mixed = pixels[..., :3] * alpha + background * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)
