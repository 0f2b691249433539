"""Rules on where samples lie: each kind of source has its own keys, and secrets have no place."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from glob import has_magic
from urllib.parse import urlsplit

from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.problem import Problem
from trainer.config.rules.uses import caption_uses
from trainer.config.schema.data import DatasetConfig
from trainer.config.schema.root import JobConfig
from trainer.config.schema.sources import SourceConfig

SERVICE = ("endpoint", "region", "profile")
KEYS: dict[str, tuple[str, ...]] = {  # kind -> keys that it reads; needed ones first
    "local": ("path",),
    "s3": ("bucket", "prefix", *SERVICE),
    "tar": ("path", *SERVICE),
    "table": ("path", "prefix", "media_column", "name_column", "extension"),
    "hf": ("path", "split", "subset", "revision", "media_column", "name_column"),
}
S3 = "s3://"
ACCESS_KEY = re.compile(r"(AKIA|ASIA)[A-Z0-9]{12,}")
USER_INFO = re.compile(r"^\w+://[^/@]*:[^/@]*@")
IN_ROWS = ("table", "hf")


def _sources(config: JobConfig) -> Iterator[tuple[str, DatasetConfig, SourceConfig]]:
    for index, dataset in enumerate(config.data.datasets):
        if dataset.source is not None:
            yield f"data.datasets[{index}]", dataset, dataset.source


def one_place(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for index, dataset in enumerate(config.data.datasets):
        if dataset.path is None and dataset.source is None:
            yield Problem(
                code="CFG180",
                key=f"data.datasets[{index}]",
                message=f"dataset {dataset.id} has no path",
                fix='add path = "FOLDER", or a source',
            )
        if dataset.path is not None and dataset.source is not None:
            yield Problem(
                code="CFG181",
                key=f"data.datasets[{index}].path",
                message=f"dataset {dataset.id} has both a path and a source",
                why="a path is short for a source of kind local",
                fix="remove one of them",
            )


def keys_apply(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, _, source in _sources(config):
        for name in sorted(source.model_fields_set - {"kind", *KEYS[source.kind]}):
            yield _idle(f"{key}.source.{name}", f"{name} has no effect on kind {source.kind}")
        if source.kind == "tar" and not (source.path or "").startswith(S3):
            for name in sorted(source.model_fields_set & {*SERVICE}):
                yield _idle(f"{key}.source.{name}", f"{name} has no effect on local shards")


def _idle(key: str, message: str) -> Problem:
    return Problem(
        code="CFG182",
        key=key,
        idle=True,
        message=message,
        fix="remove it, or set source.kind to what is meant",
        patch={key: None},
    )


def needed_keys(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, dataset, source in _sources(config):
        needed = KEYS[source.kind][0]
        if not getattr(source, needed):
            yield Problem(
                code="CFG183",
                key=f"{key}.source.{needed}",
                message=f"dataset {dataset.id}: a source of kind {source.kind} needs {needed}",
                fix=f"set source.{needed}",
            )


def no_secrets(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, _, source in _sources(config):
        for name in sorted(source.model_fields_set):
            value = getattr(source, name)
            if isinstance(value, str) and (ACCESS_KEY.search(value) or USER_INFO.match(value)):
                yield Problem(
                    code="CFG184",
                    key=f"{key}.source.{name}",
                    message=f"{name} holds what looks like a key or a password",
                    why="job files are copied into run directories and shown to others",
                    fix="put it into a profile of ~/.aws and set source.profile to its name, or "
                    "into the AWS_* environment variables",
                )


def endpoint_is_url(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, _, source in _sources(config):
        if source.endpoint is None:
            continue
        try:
            parts = urlsplit(source.endpoint)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            fits = False
        if not fits:
            yield Problem(
                code="CFG185",
                key=f"{key}.source.endpoint",
                message=f"{source.endpoint!r} is no address of a service",
                fix='write it as "https://HOST"',
            )


def captions_are_there(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for use in caption_uses(config):
        dataset, source = use.dataset, use.value.source
        rows = dataset.source is not None and dataset.source.kind in IN_ROWS
        shared = "source" in use.defaults.model_fields_set  # which others may need as it is
        needs = source in ("textfile", "json") or (dataset.kind == "caption" and source != "table")
        if rows and needs:
            yield Problem(
                code="CFG187",
                key=use.key("source"),
                message=f"dataset {dataset.id}: no caption files lie beside rows",
                fix='set caption.source = "table", and caption.column to the column',
                patch=None if shared else {f"{use.own}.source": "table"},
            )


def ending_has_dot(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, _, source in _sources(config):
        if source.extension is not None and not re.match(r"\.\w", source.extension):
            yield Problem(
                code="CFG188",
                key=f"{key}.source.extension",
                message=f"{source.extension!r} does not begin with a dot",
                fix=f'write ".{source.extension.strip(".")}"',
                patch={f"{key}.source.extension": f".{source.extension.strip('.')}"},
            )


def nothing_beside_rows(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, dataset, source in _sources(config):
        if dataset.suffix is not None and source.kind in IN_ROWS:
            yield Problem(
                code="CFG189",
                key=f"{key}.suffix",
                idle=True,
                message=f"dataset {dataset.id}: no partners lie beside rows",
                fix="set source.media_column to the column with the partners, and "
                "source.name_column to one that both datasets share",
                patch={f"{key}.suffix": None},
            )


def place_of(dataset: DatasetConfig) -> str:
    """Where the samples lie, in one text: equal for datasets that read the same."""
    source = dataset.source or SourceConfig(path=dataset.path)
    reads = {name: getattr(source, name) for name in KEYS[source.kind]}
    return f"{source.kind} {dataset.suffix} {reads}"


def missing_place(dataset: DatasetConfig) -> tuple[str, str, str] | None:
    """(code, key below the dataset, what is wrong) when a local path is not what it must be."""
    source = dataset.source or SourceConfig(path=dataset.path)
    key, path = "path" if dataset.source is None else "source.path", source.path
    if not path or source.kind in ("s3", "hf") or path.startswith(S3):
        return None
    if source.kind == "local":
        if not os.path.isdir(path):
            what = "is not a folder" if os.path.exists(path) else "does not exist"
            return "DAT001", key, f"{path} {what}"
    elif not has_magic(path) and not os.path.exists(path):
        return "DAT026", key, f"{path} does not exist"
    return None


RULES = (
    one_place,
    keys_apply,
    needed_keys,
    no_secrets,
    endpoint_is_url,
    captions_are_there,
    ending_has_dot,
    nothing_beside_rows,
)
