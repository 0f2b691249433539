"""Everything the linter wants to know of a picture's bytes, from one decoding.

Large JPEG files are decoded at a fraction of their size (the whole file is still read, so damage
is found). What depends on names, settings or thresholds is decided later, from these figures, so
they can be remembered by content hash.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from trainer.data.bad import BadSample
from trainer.data.lint import header, look
from trainer.data.lint.perceptual import colours, hashes
from trainer.data.pixels import open_picture

VERSION = 4  # raise it when a figure changes its meaning
WORKING = 1024  # longest side on which sharpness is judged
DRAFT_FROM = 2 * WORKING  # longer JPEG files are decoded at a fraction

Grey = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Measures:
    """Figures of one picture; `reason` is set, and the rest is empty, where it does not decode."""

    reason: str | None = None
    format: str = ""
    frames: int = 1
    mode: str = ""
    profile: str = ""  # name of the colour profile, where it is not sRGB
    orientation: int = 1  # EXIF
    transparent: float = 0.0  # share of pixels that are not opaque
    jpeg_quality: int | None = None  # estimated from the quantisation table
    blocks: float = 0.0  # excess of steps at the borders of 8 x 8 blocks
    sharpness: float | None = None  # None: nothing in it that could be sharp
    dark: int = 0  # 1st, 50th and 99th percentile of luminance, 0 to 255
    middle: int = 0
    bright: int = 0
    lowest: int = 0
    highest: int = 0
    bars: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # left, top, right, bottom
    hashes: tuple[str, ...] = ()  # perceptual, hexadecimal; () where there is too little in it
    colours: str = ""  # 8 x 8 RGB, hexadecimal
    uneven: bool = False  # of a film: its frame rate varies

    def dump(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))


def parse(text: str) -> Measures:
    data = json.loads(text)
    data["bars"], data["hashes"] = tuple(data["bars"]), tuple(data["hashes"])
    return Measures(**data)


def measure(file: BinaryIO) -> Measures | None:
    """Decode and measure; damage is told, None is a format that cannot be opened here.

    OSError with an errno (the place refuses) is raised.
    """
    try:
        with open_picture(file) as image:
            facts = header.read(image)
            drafted = _draft(image)
            image.load()
            return _measured(image, facts, drafted)
    except (UnidentifiedImageError, BadSample):
        return None
    except OSError as error:
        if error.errno is not None:
            raise
        return Measures(reason=str(error))
    except Exception as error:  # Pillow's plugins raise many kinds for broken files
        return Measures(reason=f"{type(error).__name__}: {error}")


def _draft(image: Image.Image) -> bool:
    """Whether the picture will be decoded smaller than it is."""
    if image.format not in ("JPEG", "MPO") or max(image.size) <= DRAFT_FROM:
        return False
    before = image.size
    factor = WORKING / max(before)
    image.draft(None, (round(before[0] * factor), round(before[1] * factor)))
    return image.size != before


def _measured(image: Image.Image, facts: header.Header, drafted: bool) -> Measures:
    transparent, flat = header.flatten(image)
    full = flat.convert("L")
    grey = np.asarray(_working(full), dtype=np.float32)
    small = full.resize((128, 128), Image.Resampling.BOX)
    low, middle, high = look.levels(full)
    lowest, highest = map(int, full.getextrema())  # type: ignore[arg-type]
    enough = high - low >= look.FLAT
    return Measures(
        format=facts.format,
        frames=facts.frames,
        mode=facts.mode,
        profile=facts.profile,
        orientation=facts.orientation,
        transparent=round(transparent, 4),
        jpeg_quality=facts.jpeg_quality,
        blocks=0.0 if drafted else round(look.blockiness(full), 3),
        sharpness=look.sharpness(grey),
        dark=low,
        middle=middle,
        bright=high,
        lowest=lowest,
        highest=highest,
        bars=look.bars(np.asarray(_thumbnail(full), dtype=np.float32)),
        hashes=hashes(small) if enough else (),
        colours=colours(flat) if enough else "",
    )


def _working(grey: Image.Image) -> Image.Image:
    return _limited(grey, WORKING)


def _thumbnail(grey: Image.Image) -> Image.Image:
    return _limited(grey, look.THUMB)


def _limited(image: Image.Image, side: int) -> Image.Image:
    """The picture with at most `side` pixels along its longer edge."""
    longest = max(image.size)
    if longest <= side:
        return image
    width, height = (max(1, round(edge * side / longest)) for edge in image.size)
    return image.resize((width, height), Image.Resampling.BOX, reducing_gap=2.0)
