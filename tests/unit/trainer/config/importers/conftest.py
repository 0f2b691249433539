"""A SimpleTuner run on disk: `config/config.json`, a dataset file beside it, pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainer.config.importers.report import Imported
from trainer.config.importers.simpletuner.convert import import_simpletuner
from trainer.config.layers import value_at

BASE: dict[str, Any] = {
    "model_family": "flux",
    "model_flavour": "dev",
    "model_type": "lora",
    "lora_rank": 16,
    "max_train_steps": 1000,
    "num_train_epochs": 0,
    "train_batch_size": 1,
    "learning_rate": 1e-4,
    "optimizer": "torch-adamw",
    "max_grad_norm": 1.0,
    "grad_clip_method": "norm",
}
PICTURES: dict[str, Any] = {
    "id": "pictures",
    "type": "local",
    "instance_data_dir": "pictures",
    "caption_strategy": "textfile",
}

Run = Callable[..., Imported]


def options(**changes: Any) -> dict[str, Any]:
    """The base configuration with changes; None takes an option out."""
    return {k: v for k, v in (BASE | changes).items() if v is not None}


def statuses(imported: Imported) -> dict[str, str]:
    return {k.key: k.status for k in imported.keys}


def notes(imported: Imported) -> dict[str, str]:
    return {k.key: k.note for k in imported.keys}


def job(imported: Imported, path: str) -> Any:
    """A value of the job that came out; None where nothing was written."""
    return value_at(imported.config, path)


def codes(imported: Imported, level: str = "error") -> list[str]:
    return [f.code for f in imported.findings if f.level == level]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "pictures").mkdir()
    return tmp_path


@pytest.fixture
def run(root: Path) -> Run:
    """Import a configuration and its datasets as they lie on disk."""

    def call(
        config: dict[str, Any] | None = None,
        datasets: list[Any] | None = None,
        env: dict[str, str] | None = None,
    ) -> Imported:
        config = options() if config is None else config
        (root / "config" / "config.json").write_text(json.dumps(config, indent=2))
        entries = [PICTURES] if datasets is None else datasets
        (root / "config" / "multidatabackend.json").write_text(json.dumps(entries, indent=2))
        return import_simpletuner([root / "config"], base_dir=root, env=env or {})

    return call
