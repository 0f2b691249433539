"""What is trained on."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from trainer.config.schema.base import Section, changes
from trainer.config.schema.captions import CaptionConfig
from trainer.config.schema.media import AudioConfig, VideoConfig
from trainer.config.schema.sources import SourceConfig
from trainer.config.units import ResolutionText

_RESULT = changes("result")
_SIZE = changes("memory", "time", "disk", "result")


class CropConfig(Section):
    """Cut pictures to their bucket."""

    position: Literal["center", "random", "corner", "face"] = Field(
        default="center", json_schema_extra=_RESULT
    )
    """Which part is kept; random is fixed per picture by the seed, face keeps the largest face."""
    aspect: Literal["preserve", "square", "closest", "random"] = Field(
        default="preserve", json_schema_extra=_RESULT
    )
    """Keep the picture's own shape (nearest bucket), cut a square, or cut to one of `aspects`:
    the closest, or one drawn for each picture."""
    aspects: list[float] = Field(default_factory=list, json_schema_extra=_RESULT)
    """Shapes as width / height, for aspect closest and random."""
    weights: list[float] = Field(default_factory=list, json_schema_extra=_RESULT)
    """How often random draws each of `aspects`; default: all alike."""
    variants: int = Field(default=1, ge=1, le=64, json_schema_extra=changes("disk", "result"))
    """Random crops that are made and cached of each picture; each draw uses one."""


class DownsampleConfig(Section):
    """Large pictures are only made this much smaller before they are cut, so a crop shows a part
    of them in more detail."""

    above: ResolutionText = Field(json_schema_extra=_RESULT)
    """Applies to pictures larger than this."""
    to: ResolutionText = Field(json_schema_extra=_RESULT)
    """Size before the cut; never smaller than the training size."""


class ActiveConfig(Section):
    """When a dataset takes part."""

    from_step: int = Field(default=0, ge=0, json_schema_extra=_RESULT)
    """First optimiser step, counted from 0."""
    to_step: int | None = Field(default=None, ge=1, json_schema_extra=_RESULT)
    """Step at which it stops taking part."""
    from_epoch: int = Field(default=0, ge=0, json_schema_extra=_RESULT)
    """First epoch, counted from 0."""
    to_epoch: int | None = Field(default=None, ge=1, json_schema_extra=_RESULT)
    """Epoch at which it stops taking part."""


class ConditioningConfig(Section):
    """A partner of every sample: of another dataset, or made from the sample itself."""

    dataset: str | None = Field(default=None, json_schema_extra=_RESULT)
    """Id of the dataset with the partners (role conditioning or mask); same names, same
    folders."""
    generate: (
        Literal["canny", "depth", "low_resolution", "jpeg", "random_masks", "first_frame"] | None
    ) = Field(default=None, json_schema_extra=changes("time", "disk", "result"))
    """How a partner is made from the sample."""
    match: Literal["strict", "loose"] = Field(default="strict", json_schema_extra=_RESULT)
    """Strict partners are cut exactly as their sample; loose ones have a size of their own."""
    options: dict[str, Any] = Field(default_factory=dict, json_schema_extra=_RESULT)
    """Settings of the generator, or of a mask; `stune explain` lists them."""


class SampleDefaults(Section):
    """Settings that datasets share unless they say otherwise."""

    resolution: ResolutionText | None = Field(default=None, json_schema_extra=_SIZE)
    """Training size: 1024px2 (area), 1.0mp (area) or 1024px (short edge); default by family."""
    caption: CaptionConfig = Field(default_factory=CaptionConfig)
    """Captions."""
    crop: CropConfig = Field(default_factory=CropConfig)
    """Cropping."""
    video: VideoConfig = Field(default_factory=VideoConfig)
    """Frames of videos."""
    audio: AudioConfig = Field(default_factory=AudioConfig)
    """Length and form of recordings."""


class DatasetConfig(Section):
    """One set of samples."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", json_schema_extra=_RESULT)
    """Name of the dataset, unique in the job; samples keep their random streams by it."""
    path: str | None = Field(default=None, json_schema_extra=changes("result", path="path"))
    """Folder, searched recursively; short for source.path of kind local."""
    source: SourceConfig | None = Field(default=None, json_schema_extra=_RESULT)
    """Where the samples lie, when that is not a folder."""
    kind: Literal["image", "video", "audio", "caption"] = Field(
        default="image", json_schema_extra=_RESULT
    )
    """What the samples are; caption: text files alone."""
    role: Literal["train", "eval", "prior", "conditioning", "mask"] = Field(
        default="train", json_schema_extra=_RESULT
    )
    """Trained on; only measured (held-out loss); keeps what the base model predicts; or partners
    of another dataset's samples."""
    enabled: bool = Field(default=True, json_schema_extra=_RESULT)
    """Take part in the job."""
    resolution: ResolutionText | None = Field(default=None, json_schema_extra=_SIZE)
    """Training size; default: data.defaults.resolution."""
    repeats: int = Field(default=1, ge=1, json_schema_extra=_RESULT)
    """How often each sample is seen per epoch (mix epoch)."""
    weight: float = Field(default=1.0, gt=0, json_schema_extra=_RESULT)
    """Share of batches relative to the other datasets (mix stream)."""
    batch_size: int | None = Field(default=None, ge=1, json_schema_extra=_SIZE)
    """Samples per batch of this dataset; default: train.batch_size."""
    active: ActiveConfig | None = Field(default=None, json_schema_extra=_RESULT)
    """Steps or epochs in which it takes part; default: always."""
    slider: float | None = Field(default=None, json_schema_extra=_RESULT)
    """Adapter strength for its batches: positive, negative or 0 for neutral samples of a slider."""
    timestep_offset: float = Field(default=0.0, json_schema_extra=_RESULT)
    """Added to the normal draw before the sigmoid of logit-normal times."""
    crop: CropConfig | None = Field(default=None, json_schema_extra=_RESULT)
    """Cropping; default: data.defaults.crop."""
    caption: CaptionConfig | None = Field(default=None, json_schema_extra=_RESULT)
    """Captions; default: data.defaults.caption."""
    video: VideoConfig | None = Field(default=None, json_schema_extra=_RESULT)
    """Frames; default: data.defaults.video."""
    audio: AudioConfig | None = Field(default=None, json_schema_extra=_RESULT)
    """Length and form of recordings; default: data.defaults.audio."""
    conditioning: list[ConditioningConfig] = Field(default_factory=list, json_schema_extra=_RESULT)
    """Partners of its samples: masks, control pictures, references."""
    min_size: int | None = Field(default=None, ge=1, json_schema_extra=_RESULT)
    """Skip pictures whose short edge is smaller, in pixels."""
    min_aspect: float | None = Field(default=None, gt=0, json_schema_extra=_RESULT)
    """Skip pictures with a smaller width / height."""
    max_aspect: float | None = Field(default=None, gt=0, json_schema_extra=_RESULT)
    """Skip pictures with a larger width / height."""
    max_upscale: float | None = Field(default=None, ge=1, json_schema_extra=_RESULT)
    """Skip pictures that would be enlarged by more than this factor."""
    downsample: DownsampleConfig | None = Field(default=None, json_schema_extra=_RESULT)
    """Make large pictures smaller before they are cut."""
    max_samples: int | None = Field(default=None, ge=1, json_schema_extra=_RESULT)
    """Use at most this many, chosen by hash, so the choice does not depend on order."""
    leftover: Literal["carry", "drop", "pad", "merge"] = Field(
        default="carry", json_schema_extra=_RESULT
    )
    """Samples that do not fill a batch: next epoch, dropped, filled up by repetition, or cut to
    the nearest larger bucket."""
    suffix: str | None = Field(default=None, pattern=r"^[._-]\w+$", json_schema_extra=_RESULT)
    """Partners lie beside the samples under their name with this ending, as ".mask"."""
    overlay: str | None = Field(default=None, json_schema_extra=changes("result", path="path"))
    """File made by `stune data lint --fix`: samples left out and captions replaced."""


class DataConfig(Section):
    """Datasets and what becomes of bad input."""

    datasets: list[DatasetConfig] = Field(default_factory=list, json_schema_extra=_RESULT)
    """The datasets."""
    defaults: SampleDefaults = Field(default_factory=SampleDefaults)
    """Settings that datasets share."""
    mix: Literal["epoch", "stream"] = Field(default="epoch", json_schema_extra=_RESULT)
    """Every sample `repeats` times per epoch, or endless streams mixed by `weight`."""
    conditioning_mix: Literal["combined", "random"] = Field(
        default="combined", json_schema_extra=_RESULT
    )
    """With several partners a sample: all of them at once, or one per draw."""
    geometry: Literal["native", "reference"] = Field(default="native", json_schema_extra=_RESULT)
    """How sizes are chosen; reference: as SimpleTuner does, for imported jobs."""
    align: int | None = Field(default=None, ge=1, json_schema_extra=_SIZE)
    """Training sizes are multiples of this, in pixels; default by family."""
    scan: Literal["auto", "never"] = Field(default="auto", json_schema_extra=changes("time"))
    """List the sources at each start, or trust the index of the last one."""
    workers: int = Field(default=1, ge=0, le=64, json_schema_extra=changes("memory", "time"))
    """Threads that prepare batches ahead; does not change what is trained."""
    prefetch: int = Field(default=3, ge=1, le=64, json_schema_extra=changes("memory", "time"))
    """Batches that each worker prepares ahead."""
    on_corrupt: Literal["skip", "fail"] = Field(default="skip", json_schema_extra=_RESULT)
    """An unreadable sample is put in quarantine and skipped, or ends the run."""
    missing_caption: Literal["fail", "skip", "filename", "empty"] = Field(
        default="fail", json_schema_extra=_RESULT
    )
    """What becomes of a sample without a caption."""
    missing_partner: Literal["fail", "skip"] = Field(default="fail", json_schema_extra=_RESULT)
    """What becomes of a sample without its mask or conditioning picture."""
    background: str = Field(
        default="ffffff", pattern=r"^#?[0-9a-fA-F]{6}$", json_schema_extra=_RESULT
    )
    """Colour behind transparent pixels, six hexadecimal digits."""
