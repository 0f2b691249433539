"""From a file to pixels: header, decoding, colour and crop.

Whatever a picture is made of (palette, alpha, CMYK, 16 bit, first frame of an animation, EXIF
orientation), the result is upright 8-bit RGB on the configured background.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from trainer.data.geometry import Placement

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif"})
MAX_PIXELS = 400_000_000  # more than any camera; beyond it a file is hostile or broken
_TURNED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
_ORIENTATION = 0x0112


class BadPicture(Exception):
    """The file cannot be used as a picture; `str()` says why."""


def picture_size(path: Path) -> tuple[int, int]:
    """Upright width and height from the header alone."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                width, height = image.size
                turned = image.getexif().get(_ORIENTATION) in _TURNED
    except Exception as error:  # Pillow's plugins raise many kinds for broken files
        raise BadPicture(_why(path, error)) from error
    if width * height > MAX_PIXELS:
        raise BadPicture(f"{width} x {height} pixels are more than is believable")
    return (height, width) if turned else (width, height)


def read_picture(path: Path, background: str) -> Image.Image:
    """The whole picture, upright, RGB."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                image.seek(0)
                image.load()
                upright = ImageOps.exif_transpose(image)
                return _rgb(upright, background)
    except Exception as error:
        raise BadPicture(_why(path, error)) from error


def _why(path: Path, error: Exception) -> str:
    if path.exists() and path.stat().st_size == 0:
        return "the file is empty"
    if isinstance(error, Image.DecompressionBombError):
        return "the header announces absurdly many pixels"
    return f"{type(error).__name__}: {error}"


def _rgb(image: Image.Image, background: str) -> Image.Image:
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        values = np.asarray(image).astype(np.float64)
        top = 255.0 if values.max() <= 255 else 65535.0
        return Image.fromarray((values / top * 255.0).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        front = image.convert("RGBA")
        colour = "#" + background.removeprefix("#")
        back = Image.new("RGBA", front.size, colour)
        return Image.alpha_composite(back, front).convert("RGB")
    return image.convert("RGB")


def crop(image: Image.Image, placement: Placement) -> Tensor:
    """Resize and cut: float tensor [3, H, W] in -1..1."""
    width, height = placement.resize
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    w, h = placement.target
    box = (placement.left, placement.top, placement.left + w, placement.top + h)
    pixels = np.asarray(image.crop(box), dtype=np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().div_(127.5).sub_(1.0)
