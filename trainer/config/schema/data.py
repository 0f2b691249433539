"""What is trained on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section
from trainer.config.units import ResolutionText


class CaptionConfig(Section):
    """Where captions come from and how they are varied."""

    source: Literal["textfile", "filename", "instanceprompt"] = "textfile"
    """A .txt file of the same name, the file name itself, or one prompt for all."""
    prompt: str | None = None
    """Prompt of instanceprompt, or text put in front with `prepend`."""
    prepend: bool = False
    """Put `prompt` in front of every caption."""
    dropout: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of draws that train with the empty caption (teaches guidance)."""


class CropConfig(Section):
    """Cut pictures to their bucket."""

    position: Literal["center", "random", "corner"] = "center"
    """Which part is kept; random is fixed per picture by the seed."""
    aspect: Literal["preserve", "square"] = "preserve"
    """Keep the picture's own shape (nearest bucket), or cut a square."""


class SampleDefaults(Section):
    """Settings that datasets share unless they say otherwise."""

    resolution: ResolutionText | None = None
    """Training size: 1024px2 (area), 1.0mp (area) or 1024px (short edge); default by family."""
    caption: CaptionConfig = CaptionConfig()
    """Captions."""
    crop: CropConfig = CropConfig()
    """Cropping."""


class DatasetConfig(Section):
    """One folder of pictures."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Name of the dataset, unique in the job."""
    path: str = Field(json_schema_extra={"path": True})
    """Folder, searched recursively."""
    role: Literal["train", "eval"] = "train"
    """Trained on, or only measured (held-out loss)."""
    resolution: ResolutionText | None = None
    """Training size; default: data.defaults.resolution."""
    repeats: int = Field(default=1, ge=1)
    """How often each sample is seen per epoch."""
    crop: CropConfig | None = None
    """Cropping; default: data.defaults.crop."""
    caption: CaptionConfig | None = None
    """Captions; default: data.defaults.caption."""
    min_size: int | None = Field(default=None, ge=1)
    """Skip pictures whose short edge is smaller, in pixels."""
    max_samples: int | None = Field(default=None, ge=1)
    """Use at most this many, chosen by hash, so the choice does not depend on order."""
    leftover: Literal["carry", "drop", "pad"] = "carry"
    """Samples that do not fill a batch: next epoch, dropped, or filled up by repetition."""


class DataConfig(Section):
    """Datasets and what becomes of bad input."""

    datasets: list[DatasetConfig] = Field(default_factory=list)
    """The folders."""
    defaults: SampleDefaults = SampleDefaults()
    """Settings that datasets share."""
    workers: int = Field(default=1, ge=0, le=64)
    """Threads that prepare batches ahead; does not change what is trained."""
    on_corrupt: Literal["skip", "fail"] = "skip"
    """An unreadable picture is put in quarantine and skipped, or ends the run."""
    missing_caption: Literal["fail", "skip", "filename", "empty"] = "fail"
    """What becomes of a picture without a caption."""
    background: str = Field(default="ffffff", pattern=r"^#?[0-9a-fA-F]{6}$")
    """Colour behind transparent pixels."""
