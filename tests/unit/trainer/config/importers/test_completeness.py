"""Nothing is lost: every key has an outcome, every option is known, every outcome is sound."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.trainer.config.importers.conftest import BASE, PICTURES, Run, options, statuses
from trainer.config.importers.report import STATUSES, Imported
from trainer.config.importers.simpletuner.convert import import_simpletuner
from trainer.config.importers.simpletuner.datasets.entry import flattened
from trainer.config.importers.simpletuner.datasets.table import KNOWN
from trainer.config.importers.simpletuner.options.table import AREAS, OPTIONS
from trainer.config.importers.simpletuner.sweep import UNKNOWN
from trainer.config.keys import all_keys, generic
from trainer.config.layers import leaves
from trainer.config.load import parse_document

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3000),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        [
            *("true", "False", "1e-4", "None", "lora", "flux", "sdxl", "cosine", "area"),
            *("1024x768", "[1, 2]", '{"a": 1}', "{env:HOME}", "textfile", "parquet", "aws"),
            *("random", "latest"),
        ]
    ),
    st.lists(st.integers() | st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
RUNS = st.dictionaries(
    st.sampled_from(sorted(OPTIONS)) | st.text(st.characters(codec="utf-8"), min_size=1),
    VALUES,
    max_size=12,
)
ENTRIES = st.dictionaries(
    st.sampled_from(sorted({name.split(".")[0] for name in KNOWN})) | st.text(min_size=1),
    VALUES | st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=3),
    max_size=10,
)


def imported_from(config: dict[str, Any], entries: list[Any]) -> Imported:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "pictures").mkdir()
        (root / "config.json").write_text(json.dumps(config))
        (root / "sets.json").write_text(json.dumps(entries))
        paths = [root / "config.json", root / "sets.json"]
        return import_simpletuner(paths, base_dir=root, env={})


def source_keys(config: dict[str, Any], entries: list[Any]) -> list[str]:
    keys = list(config)
    for index, entry in enumerate(entries):
        for path, _ in flattened(entry):
            keys.append(f"datasets[{index}].{path}" if path else f"datasets[{index}]")
    return sorted(keys)


@settings(max_examples=60, deadline=None)
@given(RUNS, st.lists(ENTRIES, max_size=3), st.booleans())
def test_every_key_of_the_source_has_one_outcome(
    extra: dict[str, Any], entries: list[Any], with_base: bool
) -> None:
    """Whatever keys and values there are, known ones and unknown ones; and the job parses."""
    config = (BASE if with_base else {}) | extra
    imported = imported_from(config, entries)
    assert sorted(k.key for k in imported.keys) == source_keys(config, entries)
    assert all(k.status in STATUSES for k in imported.keys)
    assert all(k.note for k in imported.keys if k.status in ("unsupported", "ignored"))
    written = dict(leaves(parse_document(imported.text, "toml", "x").data))
    assert written.keys() == dict(leaves(imported.config)).keys()
    assert {generic(path) for path in written} <= all_keys().keys()
    invalid = {"CFG003", "CFG004", "CFG006"} & {f.code for f in imported.findings}
    assert not invalid, imported.text
    json.dumps(imported.document())


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z_]{12,20}", fullmatch=True), VALUES, max_size=6))
def test_unknown_keys_are_unsupported_with_their_place(extra: dict[str, Any]) -> None:
    """With file and line, beside those that are known."""
    extra = {k: v for k, v in extra.items() if k not in OPTIONS}
    imported = imported_from(BASE | extra, [PICTURES | extra])
    known = {k.key: k for k in imported.keys}
    for name in extra:
        for key in (name, *(k for k in known if k.startswith(f"datasets[0].{name}"))):
            assert known[key].status == "unsupported" or "empty" in known[key].note
            assert ".json:" in known[key].where
    assert sum(f.code == "IMP004" for f in imported.findings) >= len(extra)


def test_all_options_of_the_source_are_known() -> None:
    """As many as its registry has, each once, in its areas."""
    assert len(OPTIONS) == sum(len(options_) for options_ in AREAS.values()) == 558
    assert {a: len(o) for a, o in AREAS.items()} == {
        "job": 8,
        "model": 32,
        "family": 60,
        "adapter": 20,
        "text encoder": 9,
        "precision": 29,
        "memory": 36,
        "attention": 8,
        "length": 6,
        "optimizer": 16,
        "schedule": 7,
        "noise": 42,
        "loss": 8,
        "techniques": 69,
        "ema": 8,
        "validation": 72,
        "evaluation": 9,
        "data": 49,
        "cache": 13,
        "checkpoint": 11,
        "tracking": 19,
        "distributed": 23,
        "debug": 4,
    }


SENSIBLE: dict[str, Any] = {
    "model_family": "sdxl",
    "model_type": "full",
    "optimizer": "torch-adamw",
    "lora_type": "standard",
    "max_train_steps": 500,
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_has_an_outcome(run: Run, name: str) -> None:
    """Alone beside the usual ones, with a value that it could have; never as an unknown key."""
    imported = run(options(**{name: SENSIBLE.get(name, 1)}))
    record = next(k for k in imported.keys if k.key == name)
    assert UNKNOWN not in record.note
    assert record.status == "mapped" or record.note
    if record.to:
        assert generic(record.to.replace("[]", "[0]")) in all_keys()


def test_an_option_that_others_depend_on_exists() -> None:
    """A gate that is no option would silence what it guards."""
    gates = {rule.gate for rule in OPTIONS.values() if rule.gate}
    assert gates <= OPTIONS.keys()
    targets = {rule.to for rule in OPTIONS.values() if rule.to}
    assert targets <= all_keys().keys()


def test_the_report_names_keys_as_the_source_does(run: Run) -> None:
    """So that they can be found there."""
    imported = run(options() | {"--seed": 3, "adam-epsilon": 1e-8})
    found = statuses(imported)
    assert found["--seed"] == "mapped"
    assert found["adam-epsilon"] == "ignored"
