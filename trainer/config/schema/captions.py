"""Where captions come from and how they are varied."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section, changes

_RESULT = changes("result")


class ShuffleConfig(Section):
    """Captions that are lists of tags, in other orders."""

    variants: int = Field(default=1, ge=1, le=64, json_schema_extra=changes("disk", "result"))
    """How many orders are made of each caption; each is encoded once."""
    separator: Literal["comma", "space", "period"] = Field(
        default="comma", json_schema_extra=_RESULT
    )
    """What stands between two tags."""
    keep: int = Field(default=0, ge=0, json_schema_extra=_RESULT)
    """Tags at the front that stay where they are."""
    include_original: bool = Field(default=True, json_schema_extra=_RESULT)
    """The written order is one more variant."""


class CaptionConfig(Section):
    """Where captions come from and how they are varied."""

    source: Literal["textfile", "json", "filename", "instanceprompt", "table"] = Field(
        default="textfile", json_schema_extra=_RESULT
    )
    """A text or .json file of the same name, the file name itself, one prompt for all, or a
    column."""
    suffix: str = Field(default=".txt", pattern=r"^\.[\w.]+$", json_schema_extra=_RESULT)
    """Ending of the caption file that replaces the one of the sample (textfile)."""
    column: str | list[str] | None = Field(default=None, json_schema_extra=_RESULT)
    """Column or columns, also nested as `a.b`, whose texts are the variants (table); key of the
    file (json)."""
    fallback_column: str | None = Field(default=None, json_schema_extra=_RESULT)
    """Column used where the others are empty."""
    prompt: str | list[str] | None = Field(default=None, json_schema_extra=_RESULT)
    """Prompt or prompts of instanceprompt, or text put in front with `prepend`."""
    prepend: bool = Field(default=False, json_schema_extra=_RESULT)
    """Put `prompt` in front of every caption."""
    split_lines: bool = Field(default=True, json_schema_extra=_RESULT)
    """Each line of a caption file is a variant of its own."""
    template: str | None = Field(default=None, json_schema_extra=_RESULT)
    """Text with {caption}, {name} (file name as words) or {folder}, filled for every sample."""
    filters: list[str] = Field(default_factory=list, json_schema_extra=_RESULT)
    """Applied in order: "text" is removed, "s/pattern/replacement/" replaces a regular
    expression."""
    shuffle: ShuffleConfig | None = Field(default=None, json_schema_extra=_RESULT)
    """Other orders of tags."""
    dropout: float = Field(default=0.0, ge=0.0, le=1.0, json_schema_extra=_RESULT)
    """Share of draws that train with the empty caption (teaches guidance)."""
