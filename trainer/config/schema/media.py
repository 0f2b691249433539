"""How moving pictures and sound become samples of equal length."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section, changes

_RESULT = changes("result")
_SIZE = changes("memory", "time", "disk", "result")


class VideoConfig(Section):
    """Frames of a video sample."""

    frames: int | None = Field(default=None, ge=1, json_schema_extra=_SIZE)
    """Frames taken, lowered to what the family can hold; default: as many as the clip has."""
    min_frames: int = Field(default=1, ge=1, json_schema_extra=_RESULT)
    """Clips with fewer are left out."""
    max_frames: int | None = Field(default=None, ge=1, json_schema_extra=_SIZE)
    """Longer clips are cut to this."""
    fps: float | None = Field(default=None, gt=0, le=240, json_schema_extra=_SIZE)
    """Frames are picked at this rate; default: the clip's own."""
    interval: int = Field(default=1, ge=1, json_schema_extra=_RESULT)
    """Frame counts are lowered to a multiple of this, so that buckets fill."""
    start: Literal["beginning", "middle", "random"] = Field(
        default="beginning", json_schema_extra=_RESULT
    )
    """Which part of a longer clip is taken; random is fixed per clip by the seed."""


class AudioConfig(Section):
    """Length and form of an audio sample."""

    rate: int = Field(default=16000, ge=8000, le=192000, json_schema_extra=_SIZE)
    """Samples a second after resampling, in Hz."""
    channels: Literal[1, 2] = Field(default=1, json_schema_extra=_SIZE)
    """Mono or stereo."""
    interval_s: float = Field(default=3.0, gt=0, json_schema_extra=_RESULT)
    """Durations are lowered to a multiple of this, in seconds."""
    min_s: float = Field(default=0.0, ge=0, json_schema_extra=_RESULT)
    """Shorter recordings are left out."""
    max_s: float | None = Field(default=None, gt=0, json_schema_extra=_SIZE)
    """Longer recordings are cut to this."""
    truncate: Literal["beginning", "end", "random"] = Field(
        default="beginning", json_schema_extra=_RESULT
    )
    """Which part of a longer recording is kept; random is fixed per file by the seed."""
    lyrics_suffix: str | None = Field(default=None, json_schema_extra=_RESULT)
    """Ending of the file with the lyrics beside each recording, as ".lyrics.txt"."""
