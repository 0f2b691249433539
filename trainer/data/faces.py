"""Where the largest face of a picture is, for crops that keep it.

OpenCV's frontal Haar cascade: a small detector from 2001 that ships with the 4.x packages, needs no
download and no GPU, and takes some tens of milliseconds a picture. It finds upright faces that
look at the camera and are not small; profiles and drawn faces are mostly missed, and a picture in
which it finds none is cut at random (`geometry.place`). OpenCV 5 dropped both the detector and
its data, hence the bound in the extra `faces`.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trainer.data.geometry import Focus
from trainer.errors import ConfigError
from trainer.findings import finding

LONG_EDGE = 640  # pixels that are searched; larger pictures are made smaller first
SMALLEST = 16  # a face is found down to this fraction of the short edge
_STEP = 1.1  # between two sizes of the search window
_AGREEING = 5  # windows that must overlap: fewer find more faces and more of what is none

_own = threading.local()  # a cascade may not be used by two threads at once


def find_face(picture: Image.Image) -> Focus | None:
    """Centre of the largest face as shares of width and height; None where none is found.

    Of two faces of one size the upper, then the left one counts. ConfigError when OpenCV is
    missing or too new.
    """
    detector = _detector()
    grey = picture.convert("L")
    grey.thumbnail((LONG_EDGE, LONG_EDGE), Image.Resampling.BOX)
    smallest = max(24, min(grey.size) // SMALLEST)  # the cascade was trained on 24 x 24
    found = detector.detectMultiScale(
        np.asarray(grey), _STEP, _AGREEING, minSize=(smallest, smallest)
    )
    if not len(found):
        return None
    x, y, width, height = max(
        (tuple(map(int, face)) for face in found), key=lambda f: (f[2] * f[3], -f[1], -f[0])
    )
    return (x + width / 2) / grey.width, (y + height / 2) / grey.height


def demand_detector() -> None:
    """ConfigError now rather than at the first picture, where faces cannot be found."""
    _detector()


def _detector() -> Any:  # cv2 has no types for what it returns
    if not hasattr(_own, "detector"):
        _own.detector = _load()
    return _own.detector


def _load() -> Any:
    try:
        import cv2
    except ModuleNotFoundError as error:
        raise _unusable("the package opencv-python-headless is not installed") from error
    folder = getattr(getattr(cv2, "data", None), "haarcascades", None)
    path = Path(folder or ".") / "haarcascade_frontalface_default.xml"
    if folder is None or not hasattr(cv2, "CascadeClassifier") or not path.is_file():
        raise _unusable(f"OpenCV {cv2.__version__} has no face detector")
    return cv2.CascadeClassifier(str(path))


def _unusable(why: str) -> ConfigError:
    return ConfigError(
        finding(
            "RUN013",
            f"faces cannot be found: {why}",
            where="crop.position",
            fix="pip install 'simpletuner-terminal[faces]', or choose another crop.position",
        )
    )
