"""Loading a Hugging Face dataset from wherever it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from trainer.data.sources.extras import missing_extra
from trainer.errors import DataError
from trainer.findings import finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which dataset: a saved folder, a folder of data files, or a hub id."""

    path: str
    split: str
    subset: str | None = None
    revision: str | None = None


def load(wanted: Wanted) -> Any:
    """The split as a `datasets.Dataset`; DataError when it cannot be had."""
    try:
        import datasets
    except ImportError as error:
        raise missing_extra("datasets", "hub", "Hugging Face datasets") from error
    datasets.disable_progress_bars()  # the trainer shows its own
    try:
        return _load(datasets, wanted)
    except DataError:
        raise
    except Exception as error:  # the library has many, of its own and of what it is built on
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise _unloadable(wanted, cause) from error


def _load(datasets: Any, wanted: Wanted) -> Any:
    saved = ("state.json", "dataset_dict.json")
    if not any(os.path.exists(os.path.join(wanted.path, name)) for name in saved):
        return datasets.load_dataset(
            wanted.path, name=wanted.subset, split=wanted.split, revision=wanted.revision
        )
    data = datasets.load_from_disk(wanted.path)
    if not isinstance(data, datasets.DatasetDict):
        return data
    if wanted.split not in data:
        raise _unloadable(wanted, f"it has no split {wanted.split!r}, only {', '.join(data)}")
    return data[wanted.split]


def _unloadable(wanted: Wanted, cause: str) -> DataError:
    return DataError(
        finding(
            "DAT031",
            f"the dataset {wanted.path} cannot be loaded: {cause}",
            where=wanted.path,
            fix="check source.path, source.subset, source.split and source.revision; a private "
            "one needs `hf auth login`",
        )
    )
