"""Frames have the colours and the shape in which a player shows them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.support.clips import make_film, need_av, number_of, numbered
from trainer.data.video import video_facts
from trainer.data.video_colour import Canvas
from trainer.data.video_hdr import BT2020_TO_BT709, _light, sdr
from trainer.data.video_read import read_frames

av = need_av()


def plain_frame(codes: tuple[float, float, float], pixels: str, size=(64, 48)) -> Any:
    """A frame of one colour: codes of brightness and of two differences."""
    width, height = size
    kind = np.uint16 if "10" in pixels else np.uint8
    planes = np.repeat(np.round(codes).astype(kind), np.array([4, 1, 1]) * (width * height // 4))
    return av.VideoFrame.from_ndarray(planes.reshape(height * 3 // 2, width), pixels)


def red(kr: float, kb: float) -> tuple[float, float, float]:
    """8-bit limited-range codes of pure red under a colour matrix."""
    return 16 + 219 * kr, 128 - 224 * kr / (2 * (1 - kb)), 128 + 224 * 0.5


@pytest.mark.parametrize(
    ("tag", "matrix", "size"),
    [
        (1, (0.2126, 0.0722), (64, 48)),
        (5, (0.299, 0.114), (64, 48)),
        (2, (0.299, 0.114), (64, 48)),  # unmarked and small: as of old
        (2, (0.2126, 0.0722), (1280, 64)),  # unmarked and large
        (5, (0.299, 0.114), (1280, 64)),
    ],
)
def test_colour_matrix(tag, matrix, size):
    """Red is red under the matrix that the film names, or that its size implies."""
    frame = plain_frame(red(*matrix), "yuv420p", size)
    frame.colorspace = tag
    pixel = Canvas(size, "ffffff").upright(frame)[5, 5]
    assert np.abs(pixel.astype(int) - (255, 0, 0)).max() <= 3


# Signal level and sRGB code of greys, where FFmpeg's own conversion, another path, agrees.
GREYS = {
    16: {0.0: 0, 0.14995: 15, 0.29960: 63, 0.44008: 136, 0.50808: 185, 0.58069: 255, 1.0: 255},
    18: {0.0: 0, 0.17321: 38, 0.38730: 103, 0.54409: 151, 0.75: 255, 1.0: 255},
}


@pytest.mark.parametrize("curve", GREYS)
@pytest.mark.parametrize("matrix", [9, 2])
def test_hdr_greys(curve, matrix):
    """PQ and HLG: paper white (203 cd/m2, 75 % signal) becomes white, black stays black."""
    for level, code in GREYS[curve].items():
        frame = plain_frame((64 + 876 * level, 512, 512), "yuv420p10le")
        frame.colorspace, frame.color_trc, frame.color_primaries = matrix, curve, 9
        pixel = Canvas((64, 48), "ffffff").upright(frame)[5, 5]
        assert np.abs(pixel.astype(int) - code).max() <= 2


@pytest.mark.parametrize("curve", [16, 18])
def test_hdr_colours(curve):
    """A red that sRGB has comes out as that red; the primaries of sRGB need no change."""
    red_709 = np.array([1.0, 0.0, 0.0])
    for primaries, light in ((1, red_709), (9, np.linalg.inv(BT2020_TO_BT709) @ red_709)):
        codes = np.array([[np.searchsorted(_light(curve), v * 0.2) for v in light]], np.uint16)
        pixel = sdr(codes[None], curve, primaries)[0, 0]
        assert pixel[0] > 60
        assert pixel[1:].max() <= 8


def test_transparent_films_show_the_background(tmp_path):
    """Where a film is clear, the configured colour shows; half-clear pixels are mixed."""
    picture = np.zeros((48, 64, 4), dtype=np.uint8)
    picture[:, :32] = (255, 0, 0, 255)
    picture[24:, 32:] = (0, 0, 0, 128)
    film = make_film(
        tmp_path / "f.mkv", codec="ffv1", pixels="bgra", pictures=[picture], layout="rgba"
    )
    frame = read_frames(film, [0], "#00ff00")[0]
    assert frame[10, 10].tolist() == [255, 0, 0]
    assert frame[10, 50].tolist() == [0, 255, 0]
    assert frame[40, 50].tolist() == [0, 127, 0]


def test_narrow_pixels_are_widened(tmp_path):
    """A film stored with pixels that are not square has the size it is shown at."""
    path = tmp_path / "f.mkv"
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.sample_aspect_ratio = Fraction(4, 3)
        for n in range(3):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(n, 64, 48), "rgb24")))
        out.mux(stream.encode())
    assert video_facts(path)[:3] == (85, 48, 3)
    frames = read_frames(path, [1, 2], "ffffff")
    assert frames.shape == (2, 48, 85, 3)
    assert [number_of(frame) for frame in frames] == [1, 2]
