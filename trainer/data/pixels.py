"""From a file to pixels: header, decoding, colour and crop.

Whatever a picture is made of (palette, alpha, CMYK, 16 bit, first frame of an animation, EXIF
orientation, colour profile), the result is upright 8-bit sRGB on the configured background. HEIC
files need the extra `heif`, and only they do.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer.data.bad import BadSample
from trainer.data.geometry import Placement
from trainer.data.profiles import to_srgb

if TYPE_CHECKING:
    from torch import Tensor

MAX_PIXELS = 250_000_000  # beyond any single camera: a hostile header, or hours of memory swapping

Image.MAX_IMAGE_PIXELS = None  # judged here, by one limit and without a process-wide warning

_ORIENTATION = 0x0112
_UPRIGHT = {  # EXIF orientation -> what makes the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DEEP = ("I", "I;16", "I;16B", "I;16L")  # one channel of 16 bit
_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # brands


def picture_size(file: BinaryIO | Path | str) -> tuple[int, int]:
    """Upright width and height from the header alone."""
    try:
        with open_picture(file) as image:
            width, height = image.size
            demand_believable(width, height)
            return (height, width) if _orientation(image) >= 5 else (width, height)
    except Exception as error:  # Pillow's plugins raise many kinds for broken files
        raise _bad(file, error) from error


def read_picture(file: BinaryIO | Path | str, background: str) -> Image.Image:
    """The whole picture, upright, RGB."""
    try:
        with open_picture(file) as image:
            demand_believable(*image.size)
            turn = _UPRIGHT.get(_orientation(image))  # before decoding: some files repeat it later
            image.load()
            rgb = _rgb(image, background)
            return rgb if turn is None else rgb.transpose(turn)
    except Exception as error:
        raise _bad(file, error) from error


def demand_believable(width: int, height: int) -> None:
    """BadSample for a size that no sample has: a hostile header, or nothing at all."""
    if width * height > MAX_PIXELS:
        raise BadSample(f"its header announces {width} x {height} pixels")
    if width * height == 0:
        raise BadSample("it has no pixels")


def open_picture(file: BinaryIO | Path | str) -> Image.Image:
    """`Image.open` that learns to read HEIC when the first such file comes."""
    try:
        return Image.open(file)
    except Image.UnidentifiedImageError:
        if not _is_heif(file) or "HEIF" in Image.OPEN:
            raise
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        fix = "pip install 'simpletuner-terminal[heif]'"
        raise BadSample(f"HEIC pictures need another package: {fix}", lasting=False) from error
    register_heif_opener()
    return Image.open(file)


def _is_heif(file: BinaryIO | Path | str) -> bool:
    if isinstance(file, (str, Path)):
        with open(file, "rb") as opened:
            return _is_heif(opened)
    file.seek(0)
    head = file.read(12)
    file.seek(0)
    return head[4:8] == b"ftyp" and head[8:] in _HEIF


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, without making Pillow decode a PNG in search of it."""
    if image.format == "TIFF":  # Pillow turns these by itself, size included
        return 1
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return 1
    value = image.getexif().get(_ORIENTATION, 1)
    return value if value in _UPRIGHT else 1


def _bad(file: BinaryIO | Path | str, error: Exception) -> BadSample:
    if isinstance(error, BadSample):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        return BadSample(f"{error.strerror}", lasting=False)
    if _empty(file):
        return BadSample("the file is empty")
    if isinstance(error, Image.UnidentifiedImageError):
        return BadSample("it is not a picture of a known format")
    return BadSample(f"{type(error).__name__}: {error}")


def _empty(file: BinaryIO | Path | str) -> bool:
    if isinstance(file, (str, Path)):
        return os.path.exists(file) and os.path.getsize(file) == 0
    return not file.closed and file.seek(0, os.SEEK_END) == 0


def _rgb(image: Image.Image, background: str) -> Image.Image:
    if image.mode == "F":
        raise BadSample("it holds floating-point values, whose white is not defined")
    profile = image.info.get("icc_profile")
    if image.mode in _DEEP:
        values = np.asarray(image).clip(0, 65535)
        return to_srgb(Image.fromarray((values >> 8).astype(np.uint8)), profile)
    if image.mode in _ALPHA or "transparency" in image.info:
        front = image.convert("RGBA")
        colours = to_srgb(front.convert("RGB"), profile)
        back = Image.new("RGB", front.size, "#" + background.removeprefix("#"))
        return Image.composite(colours, back, front.getchannel("A"))
    if image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    return to_srgb(image, profile)


def cut(image: Image.Image, placement: Placement) -> NDArray[np.uint8]:
    """Resize and cut: [H, W, 3]."""
    if image.size != placement.resize:
        image = image.resize(placement.resize, Image.Resampling.LANCZOS)
    return np.asarray(image.crop(placement.box))


def crop(image: Image.Image, placement: Placement) -> Tensor:
    """Resize and cut: float tensor [3, H, W] in -1..1."""
    import torch  # here, because looking at pictures needs none of it

    pixels = cut(image, placement).astype(np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().div_(127.5).sub_(1.0)
