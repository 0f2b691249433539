"""Pictures that validation edits: read before anything else, so a wrong path costs no time."""

from __future__ import annotations

from math import sqrt
from pathlib import Path

from PIL import Image

from trainer.catalog.facts import FamilyFacts
from trainer.config.schema.root import JobConfig
from trainer.data.bad import BadSample
from trainer.data.datasets import square_size
from trainer.data.pixels import read_picture
from trainer.errors import ConfigError
from trainer.findings import finding


def read_inputs(config: JobConfig, facts: FamilyFacts) -> list[Image.Image]:
    """The pictures of `validation.inputs`, RGB, in about the area of the pictures drawn;
    ConfigError names what cannot be read."""
    if not config.validation.enabled:
        return []
    width, height = square_size(config, facts)
    background, multiple = config.data.background, facts.pixel_multiple
    pictures = [_read(Path(given.path), background) for given in config.validation.inputs]
    return [fitted(picture, width * height, multiple) for picture in pictures]


def _read(path: Path, background: str) -> Image.Image:
    try:
        return read_picture(path, background)
    except BadSample as error:
        raise ConfigError(
            finding(
                "DAT042",
                f"cannot read the picture {path}: {error}",
                where="validation.inputs",
                fix="name a picture file, or remove the entry",
            )
        ) from error


def fitted(picture: Image.Image, area: int, multiple: int) -> Image.Image:
    """The picture in about `area` pixels, its sides multiples of `multiple`, not cut."""
    scale = sqrt(area / (picture.width * picture.height))
    width, height = (
        max(multiple, round(side * scale / multiple) * multiple)
        for side in (picture.width, picture.height)
    )
    return picture.resize((width, height), Image.Resampling.LANCZOS)
