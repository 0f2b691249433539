"""The source of a dataset; what a kind needs is imported only when a job uses it."""

from __future__ import annotations

from pathlib import Path

from trainer.config.schema.captions import CaptionConfig
from trainer.config.schema.data import DatasetConfig
from trainer.config.schema.sources import SourceConfig
from trainer.data.captions import caption_file
from trainer.data.sources.base import Source
from trainer.data.sources.local import Folder


def build_source(dataset: DatasetConfig, caption: CaptionConfig) -> Source:
    """The place where the samples of `dataset` lie, and how their captions are read there."""
    place = dataset.source or SourceConfig(path=dataset.path)
    texts = caption_file(caption)
    match place.kind:
        case "local":
            assert place.path is not None, "lint demands a path"
            return Folder(Path(place.path), dataset.kind, texts, dataset.suffix)
        case _:
            raise NotImplementedError(place.kind)
