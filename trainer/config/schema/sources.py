"""Where the samples of a dataset lie."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section, changes

_RESULT = changes("result")


class SourceConfig(Section):
    """A place that holds samples; which keys apply depends on `kind`."""

    kind: Literal["local", "s3", "tar", "table", "hf"] = Field(
        default="local", json_schema_extra=_RESULT
    )
    """A folder, an S3-compatible store, tar shards, a table, or a Hugging Face dataset."""
    path: str | None = Field(default=None, json_schema_extra=changes("result", path="model"))
    """Folder (local); shard, folder of shards or s3:// prefix (tar); file (table); saved folder
    or hub id (hf)."""
    bucket: str | None = Field(default=None, json_schema_extra=_RESULT)
    """Bucket of an S3-compatible store."""
    prefix: str = Field(default="", json_schema_extra=_RESULT)
    """Only keys that begin with this (s3); put before each path (table)."""
    endpoint: str | None = Field(default=None, json_schema_extra=changes("time"))
    """URL of an S3-compatible service that is not AWS (R2, Wasabi, MinIO)."""
    region: str | None = Field(default=None, json_schema_extra=changes("time"))
    """Region of the bucket."""
    profile: str | None = Field(default=None, json_schema_extra=changes("time"))
    """Profile of ~/.aws with the credentials; else the AWS_* environment variables are used.
    Secrets never stand in a job file."""
    split: str = Field(default="train", json_schema_extra=_RESULT)
    """Split of a Hugging Face dataset."""
    subset: str | None = Field(default=None, json_schema_extra=_RESULT)
    """Configuration name of a Hugging Face dataset."""
    revision: str | None = Field(default=None, json_schema_extra=_RESULT)
    """Commit, tag or branch of a Hugging Face dataset."""
    media_column: str | None = Field(default=None, json_schema_extra=_RESULT)
    """Column with embedded bytes, paths, or pictures (table, hf); default: found by its type."""
    name_column: str | None = Field(default=None, json_schema_extra=_RESULT)
    """Column with the name of each sample; default: its path, or the row number."""
    extension: str | None = Field(default=None, json_schema_extra=_RESULT)
    """Appended to each path of a table that has none, as ".png"."""
