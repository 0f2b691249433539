"""What is trained on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section, changes
from trainer.config.units import ResolutionText

_RESULT = changes("result")
_SIZE = changes("memory", "time", "disk", "result")


class CaptionConfig(Section):
    """Where captions come from and how they are varied."""

    source: Literal["textfile", "filename", "instanceprompt"] = Field(
        default="textfile", json_schema_extra=_RESULT
    )
    """A .txt file of the same name, the file name itself, or one prompt for all."""
    prompt: str | None = Field(default=None, json_schema_extra=_RESULT)
    """Prompt of instanceprompt, or text put in front with `prepend`."""
    prepend: bool = Field(default=False, json_schema_extra=_RESULT)
    """Put `prompt` in front of every caption."""
    dropout: float = Field(default=0.0, ge=0.0, le=1.0, json_schema_extra=_RESULT)
    """Share of draws that train with the empty caption (teaches guidance)."""


class CropConfig(Section):
    """Cut pictures to their bucket."""

    position: Literal["center", "random", "corner"] = Field(
        default="center", json_schema_extra=_RESULT
    )
    """Which part is kept; random is fixed per picture by the seed."""
    aspect: Literal["preserve", "square"] = Field(default="preserve", json_schema_extra=_RESULT)
    """Keep the picture's own shape (nearest bucket), or cut a square."""


class SampleDefaults(Section):
    """Settings that datasets share unless they say otherwise."""

    resolution: ResolutionText | None = Field(default=None, json_schema_extra=_SIZE)
    """Training size: 1024px2 (area), 1.0mp (area) or 1024px (short edge); default by family."""
    caption: CaptionConfig = Field(default_factory=CaptionConfig)
    """Captions."""
    crop: CropConfig = Field(default_factory=CropConfig)
    """Cropping."""


class DatasetConfig(Section):
    """One folder of pictures."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", json_schema_extra=_RESULT)
    """Name of the dataset, unique in the job; samples keep their random streams by it."""
    path: str = Field(json_schema_extra=changes("result", path="path"))
    """Folder, searched recursively."""
    role: Literal["train", "eval"] = Field(default="train", json_schema_extra=_RESULT)
    """Trained on, or only measured (held-out loss)."""
    resolution: ResolutionText | None = Field(default=None, json_schema_extra=_SIZE)
    """Training size; default: data.defaults.resolution."""
    repeats: int = Field(default=1, ge=1, json_schema_extra=_RESULT)
    """How often each sample is seen per epoch."""
    crop: CropConfig | None = Field(default=None, json_schema_extra=_RESULT)
    """Cropping; default: data.defaults.crop."""
    caption: CaptionConfig | None = Field(default=None, json_schema_extra=_RESULT)
    """Captions; default: data.defaults.caption."""
    min_size: int | None = Field(default=None, ge=1, json_schema_extra=_RESULT)
    """Skip pictures whose short edge is smaller, in pixels."""
    max_samples: int | None = Field(default=None, ge=1, json_schema_extra=_RESULT)
    """Use at most this many, chosen by hash, so the choice does not depend on order."""
    leftover: Literal["carry", "drop", "pad"] = Field(default="carry", json_schema_extra=_RESULT)
    """Samples that do not fill a batch: next epoch, dropped, or filled up by repetition."""


class DataConfig(Section):
    """Datasets and what becomes of bad input."""

    datasets: list[DatasetConfig] = Field(default_factory=list, json_schema_extra=_RESULT)
    """The folders."""
    defaults: SampleDefaults = Field(default_factory=SampleDefaults)
    """Settings that datasets share."""
    workers: int = Field(default=1, ge=0, le=64, json_schema_extra=changes("memory", "time"))
    """Threads that prepare batches ahead; does not change what is trained."""
    on_corrupt: Literal["skip", "fail"] = Field(default="skip", json_schema_extra=_RESULT)
    """An unreadable picture is put in quarantine and skipped, or ends the run."""
    missing_caption: Literal["fail", "skip", "filename", "empty"] = Field(
        default="fail", json_schema_extra=_RESULT
    )
    """What becomes of a picture without a caption."""
    background: str = Field(
        default="ffffff", pattern=r"^#?[0-9a-fA-F]{6}$", json_schema_extra=_RESULT
    )
    """Colour behind transparent pixels, six hexadecimal digits."""
