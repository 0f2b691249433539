"""The source of a dataset; what a kind needs is imported only when a job uses it."""

from __future__ import annotations

from pathlib import Path

from trainer.config.schema.captions import CaptionConfig
from trainer.config.schema.data import DatasetConfig
from trainer.config.schema.media import AudioConfig
from trainer.config.schema.sources import SourceConfig
from trainer.data.captions import caption_file
from trainer.data.sound import lyrics_file
from trainer.data.sources.base import Kind, Source
from trainer.data.sources.columns import caption_columns
from trainer.data.sources.local import Folder
from trainer.data.sources.songs import Songs

S3 = "s3://"


def build_source(
    dataset: DatasetConfig, caption: CaptionConfig, audio: AudioConfig, state: Path
) -> Source:
    """The place where the samples of `dataset` lie, and how their captions are read there.

    `state` is a folder for what a source remembers of large places; it may be removed.
    """
    place = dataset.source or SourceConfig(path=dataset.path)
    texts = caption_file(caption)
    match place.kind:
        case "local":
            folder = Folder(Path(_path(place)), dataset.kind, texts, dataset.suffix)
            lyrics = lyrics_file(audio) if dataset.kind == "audio" else None
            return Songs(folder, lyrics) if lyrics else folder
        case "s3":
            from trainer.data.sources.s3 import Objects

            bucket = _bucket(place, place.bucket)
            return Objects(bucket, place.prefix, dataset.kind, texts, dataset.suffix)
        case "tar":
            from trainer.data.sources.tar import Tars

            return Tars(_shards(place), dataset.kind, texts, dataset.suffix, state)
        case "table":
            from trainer.data.sources.table import Tables
            from trainer.data.sources.tablenames import Columns

            columns = Columns(
                media=place.media_column,
                name=place.name_column,
                prefix=place.prefix,
                extension=place.extension or "",
            )
            return Tables(_path(place), dataset.kind, columns, caption_columns(caption))
        case "hf":
            return _hub(place, dataset.kind, caption)


def _hub(place: SourceConfig, kind: Kind, caption: CaptionConfig) -> Source:
    from trainer.data.sources.hf import HubColumns, HubDataset
    from trainer.data.sources.hub import Wanted

    wanted = Wanted(
        path=_path(place), subset=place.subset, split=place.split, revision=place.revision
    )
    columns = HubColumns(media=place.media_column, name=place.name_column)
    return HubDataset(wanted, kind, columns, caption_columns(caption))


def _path(place: SourceConfig) -> str:
    assert place.path is not None, "lint demands a path"
    return place.path


def _bucket(place: SourceConfig, name: str | None):
    from trainer.data.sources.objects import Bucket, Place

    assert name is not None, "lint demands a bucket"
    return Bucket(Place(name, place.endpoint, place.region, place.profile))


def _shards(place: SourceConfig):
    from trainer.data.sources.shards import LocalShards, RemoteShards

    path = _path(place)
    if not path.startswith(S3):
        return LocalShards(path)
    bucket, _, prefix = path.removeprefix(S3).partition("/")
    return RemoteShards(_bucket(place, bucket), prefix)
