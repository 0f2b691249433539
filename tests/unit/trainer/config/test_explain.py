"""`explain` and the JSON Schema know every key."""

from __future__ import annotations

import tomllib

import pytest

from trainer.config.explain import GROUPS, explain
from trainer.config.jsonschema import json_schema
from trainer.config.keys import all_keys, leaf_keys
from trainer.config.layers import nested
from trainer.config.resolve import resolve
from trainer.config.schema.root import JobConfig
from trainer.errors import ConfigError


@pytest.mark.parametrize("path", list(all_keys()))
def test_every_key_can_be_explained(path: str) -> None:
    """B04 acceptance 3: a sentence, a type, related keys, an example."""
    about = explain(path)
    assert about.key == path
    assert about.doc.endswith(".")
    assert about.type
    assert about.example
    assert about.keys if about.type == "section" else about.related
    assert path not in about.related
    for name in (*about.keys, *about.related):
        assert name in all_keys()


@pytest.mark.parametrize("path", list(leaf_keys()))
def test_every_example_is_valid(path: str) -> None:
    """Pasted into a job file it parses, and its value is one that the key takes."""
    example = explain(path).example
    assert tomllib.loads(example)
    family = "" if path.startswith("model.") else '\n[model]\nfamily = "flux"\n'
    found = resolve(example + family, env={}).findings
    assert not [f for f in found if f.code in ("CFG003", "CFG004", "CFG006")], found


def test_an_effect_is_one_of_four() -> None:
    """Only keys that change nothing but names or pictures have none."""
    without = {p for p in leaf_keys() if not explain(p).effect}
    assert without == {
        "job.name",
        "job.tags",
        "job.notes",
        "validation.negative",
        "validation.guidance",
        "validation.seed",
        "validation.adapter_strength",
        "validation.control_scale",
        "validation.adapters[].name",
        "validation.adapters[].strength",
        "validation.adapters[].together",
        "model.options.deepfloyd.augment.validation",
        "debug.log_level",
    }


def test_defaults_by_family_and_by_optimiser() -> None:
    """What a default depends on is listed value by value."""
    shifts = explain("noise.shift").families
    assert shifts["flux"] == shifts["sd3"] == 3.0
    assert "sdxl" not in shifts  # its times are drawn evenly
    assert explain("validation.guidance").families["flux schnell"] == 0.0
    assert explain("optimizer.lr").families["prodigy adapter"] == 1.0
    assert explain("optimizer.args.d_coef").families == {"prodigy": 1.0}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("data.datasets[3].path", "data.datasets[].path"),
        ("data.datasets", "data.datasets"),
        ("rank", "adapter.rank"),
        ("learning_rate", "optimizer.lr"),
    ],
)
def test_short_and_foreign_names_are_understood(name: str, key: str) -> None:
    """An item, a last part that is unique, another trainer's name."""
    assert explain(name).key == key


def test_an_unknown_key_gets_the_nearest_names() -> None:
    """As a finding, not as a KeyError."""
    with pytest.raises(ConfigError, match=r"optimizer\.lr"):
        explain("optimizer.lrr")


def test_groups_name_real_keys() -> None:
    """A renamed key must not leave a dead relation behind."""
    assert {p for group in GROUPS for p in group} <= all_keys().keys()


def test_schema_describes_every_field() -> None:
    """For editors: a description on every property, unknown keys refused, nothing internal."""
    schema = json_schema()
    sections = [schema, *schema["$defs"].values()]
    assert len(sections) >= 24
    for section in sections:
        assert section["additionalProperties"] is False
        for name, field in section["properties"].items():
            assert field["description"], name
            assert not {"changes", "path"} & field.keys()


def test_every_section_is_frozen_and_strict() -> None:
    """A section that forgets its base would accept unknown keys."""
    for key in all_keys().values():
        config = key.owner.model_config
        assert config.get("extra") == "forbid"
        assert config.get("frozen")
        assert config.get("strict")
    with pytest.raises(ValueError, match="frozen"):
        JobConfig.model_validate(nested("model.family", "flux")).train.steps = 3  # type: ignore[misc]


def test_options_of_generators_are_listed():
    """Each with what it is, its bounds and its default."""
    about = explain("data.datasets[].conditioning[].options")
    assert about.choices["jpeg.quality"].endswith("a whole number from 1 to 95; 25")
    assert "mask.segmentation" in about.choices
    assert set(explain("data.datasets[].conditioning[].generate").choices) >= {"canny", "depth"}
