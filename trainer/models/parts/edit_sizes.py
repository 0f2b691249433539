"""Sizes of pictures within the edit pipelines.

These bring every picture to about a million pixels, by a function of their module that has no
argument to turn it off. The text encoder is shown pictures as that function says, here as there.
The autoencoder is given them as they are: a reference is trained at the size of its dataset, so
validation has to keep the size that it was asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from PIL.Image import Image

NAME = "calculate_dimensions"
MILLION = 1024 * 1024


def module_of(pipeline: Any) -> Any:
    """The module whose constants and functions the pipeline uses."""
    return sys.modules[type(pipeline).__module__]


def resized(pipeline: Any, picture: Image, area: int = MILLION) -> Image:
    """The picture in about `area` pixels, as the pipeline cuts and fits it."""
    found = module_of(pipeline).calculate_dimensions(area, picture.width / picture.height)
    return pipeline.image_processor.resize(picture, found[1], found[0])


class AsGiven:
    """In front of an edit pipeline: pictures keep their size, and so does what is drawn."""

    def __call__(self, **kwargs: Any) -> Any:
        given = kwargs["image"]
        whole: Any = super()
        with _sizes_kept(module_of(self), given if isinstance(given, list) else [given]):
            return whole.__call__(**kwargs)


@contextmanager
def _sizes_kept(module: Any, pictures: Sequence[Image]) -> Iterator[None]:
    """Within the block the function of the module answers with the sizes of these pictures."""
    before: Callable[[int, float], tuple[Any, ...]] = getattr(module, NAME)
    sizes = {picture.width / picture.height: picture.size for picture in pictures}

    def kept(area: int, ratio: float) -> tuple[Any, ...]:
        return (*sizes[ratio], *before(area, ratio)[2:])  # some have a third, unused value

    setattr(module, NAME, kept)
    try:
        yield
    finally:
        setattr(module, NAME, before)
