"""Columns of tables: which hold pictures, names and captions, and what their values say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from trainer.config.schema.captions import CaptionConfig
from trainer.config.suggest import nearest
from trainer.data.captions import USUAL as USUAL_CAPTIONS
from trainer.data.captions import texts
from trainer.data.sources.base import VARIANT, Kind
from trainer.errors import DataError
from trainer.findings import finding

USUAL_MEDIA: dict[Kind, tuple[str, ...]] = {
    "image": ("image", "image_path", "img", "jpg", "png", "webp"),
    "video": ("video", "video_path", "mp4"),
    "audio": ("audio", "audio_path", "wav", "flac", "mp3"),
    "caption": (),
}
USUAL_PATH = ("file_name", "filename", "file", "path", "filepath", "file_path")
USUAL_URL = ("url", "image_url", "link")


@dataclass(frozen=True, slots=True)
class CaptionColumns:
    """Where the captions of a row stand; `fallback` is read where the others are empty."""

    columns: tuple[str, ...]  # none: the first of the usual ones that there is
    fallback: str | None

    @property
    def tag(self) -> str:
        return f"columns:{self.columns}:{self.fallback}"

    def all_of(self, known: Sequence[str]) -> tuple[str, ...]:
        """The columns to read."""
        columns = self.columns or tuple(c for c in USUAL_CAPTIONS if c in known)[:1]
        return columns + ((self.fallback,) if self.fallback else ())

    def text(self, columns: Sequence[str], values: Sequence[Any]) -> str | None:
        """The captions of a row joined by VARIANT; `columns` are those of `all_of`."""
        found = [texts(v, c) for c, v in zip(columns, values, strict=True)]
        fallback = found.pop() if self.fallback else []
        joined = [text for each in found for text in each] or fallback
        return VARIANT.join(joined) or None


def caption_columns(config: CaptionConfig) -> CaptionColumns | None:
    """The columns that a dataset reads captions from, if it reads any."""
    if config.source != "table":
        return None
    columns = [config.column] if isinstance(config.column, str) else config.column or []
    return CaptionColumns(tuple(columns), config.fallback_column)


class MediaColumn(NamedTuple):
    """The column with the samples; `embedded` when it holds their bytes, not paths."""

    name: str
    embedded: bool


def media_column(
    kind: Kind, known: Sequence[str], embedded: Sequence[str], where: str
) -> MediaColumn:
    """The column that looks like the samples; DataError when none does, or several do."""
    usual = [c for c in USUAL_MEDIA[kind] if c in embedded]
    if len(found := usual or embedded) == 1:
        return MediaColumn(found[0], True)
    if len(found) > 1:
        raise no_column(None, known, where, f"{_listed(found)} all hold bytes")
    for name in (*USUAL_MEDIA[kind], *USUAL_PATH, *USUAL_URL):
        if name in known:
            return MediaColumn(name, False)
    raise no_column(None, known, where, "no column looks like pictures, paths or recordings")


def no_column(name: str | None, known: Iterable[str], where: str, why: str = "") -> DataError:
    """A column is not there, or must be named."""
    known = list(known)
    near = nearest(name, known) if name else []
    asked = f"there is no column {name!r}" if name else why
    return DataError(
        finding(
            "DAT028",
            f"{where}: {asked}; columns: {_listed(known)}",
            where=where,
            fix=f"did you mean {near[0]!r}?" if near else "name one of the columns",
        )
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:30])
    return f"{shown} and {len(names) - 30} more" if len(names) > 30 else shown or "none"
