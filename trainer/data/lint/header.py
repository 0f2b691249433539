"""What a picture file says of itself: format, frames, colour, turn, JPEG quality.

The quality of a JPEG file is estimated by comparing its luminance table with the one of annex K of
ITU-T T.81, by the scale that the common encoder uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

ORIENTATION = 0x0112
ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")
DEEP = ("I", "I;16", "I;16B", "I;16L")
ANNEX_K_SUM = 3688  # of the 64 luminance values at quality 50


@dataclass(frozen=True, slots=True)
class Header:
    format: str
    frames: int
    mode: str
    profile: str
    orientation: int
    jpeg_quality: int | None


def read(image: Image.Image) -> Header:
    """Facts of an opened picture; to be asked before it is decoded."""
    mode = image.mode
    pages = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # MPO: 3D cameras
    return Header(
        format=image.format or "",
        frames=int(pages),
        mode=mode,
        profile=profile_name(image.info.get("icc_profile")),
        orientation=_orientation(image),
        jpeg_quality=quality_of(getattr(image, "quantization", None)),
    )


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, without making Pillow decode a PNG in search of it."""
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return 1
    value = image.getexif().get(ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def quality_of(tables: dict[int, Any] | None) -> int | None:
    """About the quality (1 to 100) a JPEG file was saved with."""
    if not tables or 0 not in tables:
        return None
    scale = 100 * sum(tables[0]) / ANNEX_K_SUM
    quality = 5000 / scale if scale > 100 else (200 - scale) / 2
    return max(1, min(100, round(quality)))


def profile_name(profile: bytes | None) -> str:
    """Name of a colour profile; "" for sRGB and for none."""
    if not profile:
        return ""
    name = _description(profile)
    grey = profile[16:20] == b"GRAY"
    if "srgb" in name.lower() or name.lower() in ("c2", "c2ci") or (grey and not name):
        return ""  # C2: the minimal sRGB profile that image services attach
    return name or "unnamed profile"


def _description(profile: bytes) -> str:
    """The text of the tag `desc` of an ICC profile (v2: ASCII, v4: UTF-16)."""
    count = int.from_bytes(profile[128:132], "big")
    for number in range(min(count, 100)):
        entry = profile[132 + 12 * number : 144 + 12 * number]
        if entry[:4] != b"desc":
            continue
        start, length = int.from_bytes(entry[4:8], "big"), int.from_bytes(entry[8:12], "big")
        tag = profile[start : start + length]
        if tag[:4] == b"desc":
            size = int.from_bytes(tag[8:12], "big")
            return tag[12 : 12 + size].split(b"\0")[0].decode("ascii", "replace").strip()
        if tag[:4] == b"mluc":
            size, offset = int.from_bytes(tag[20:24], "big"), int.from_bytes(tag[24:28], "big")
            return tag[offset : offset + size].decode("utf-16-be", "replace").strip("\0 ")
    return ""


def flatten(image: Image.Image) -> tuple[float, Image.Image]:
    """Share of pixels that are not opaque, and the picture as RGB on white."""
    if image.mode in DEEP:
        values = np.asarray(image).clip(0, 65535)
        return 0.0, Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if image.mode not in ALPHA and "transparency" not in image.info:
        return 0.0, image.convert("RGB")
    front = image.convert("RGBA")
    opaque = front.getchannel("A").histogram()[255]
    share = 1.0 - opaque / (front.width * front.height)
    back = Image.new("RGBA", front.size, "white")
    return share, Image.alpha_composite(back, front).convert("RGB")
