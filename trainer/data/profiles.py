"""Colour profiles: a picture made for another colour space is converted to sRGB.

Most pictures carry no profile, or one that is sRGB under some name; those cost a look-up. Whether
a profile is sRGB is decided by what it does to a few colours, not by its name. A profile that is
broken, or made for another kind of picture, is ignored, as viewers do.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

SAME = 2  # levels of 255 that a conversion may change and still be no conversion
LARGEST_BYTES = 4 << 20  # printers' profiles are below; what is above is no profile
PROBE = 9  # levels of each channel in the test picture
_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}  # picture mode -> colour space of a profile


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB of a picture in mode RGB, L or CMYK whose colours are those of `profile`."""
    assert image.mode in _SPACES, "a picture without alpha and palette"
    conversion = _conversion(profile, image.mode) if profile else None
    if conversion is None and image.mode == "L" and profile:
        image = image.convert("RGB")  # grey pictures often carry the profile of a screen
        conversion = _conversion(profile, "RGB")
    if conversion is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    return ImageCms.applyTransform(image, conversion) or image


@lru_cache(maxsize=64)
def _conversion(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The conversion to sRGB; None where there is none to make."""
    if len(profile) > LARGEST_BYTES:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = getattr(source.profile, "xcolor_space", None)
        if space != _SPACES[mode]:
            return None
        conversion = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return conversion if _changes(conversion, mode) else None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _changes(conversion: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether any of a few colours comes out different."""
    levels = np.linspace(0, 255, PROBE).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(*[levels] * len(Image.new(mode, (1, 1)).getbands())), axis=-1)
    flat = grid.reshape(1, -1, grid.shape[-1])
    probe = Image.fromarray(flat[..., 0] if mode == "L" else flat, mode)
    before = np.asarray(probe.convert("RGB"), dtype=np.int16)
    after = np.asarray(ImageCms.applyTransform(probe, conversion), dtype=np.int16)
    return bool(np.abs(after - before).max() > SAME)
