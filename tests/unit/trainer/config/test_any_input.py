"""Whatever a job file or an override says, the answer is findings, never an exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from trainer.config.keys import all_keys, leaf_keys
from trainer.config.layers import Layer, merge, nested
from trainer.config.resolve import resolve
from trainer.findings import at_or_above

WORDS = sorted({p.rpartition(".")[2] for p in all_keys()} | {"preset", "schema", "x"})
SCALAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(max_size=6),
    st.sampled_from(["flux", "sdxl", "adamw", "sdxl/lora-12gb", "preset:demo/model", "5%", "~x"]),
)
VALUE = st.recursive(
    SCALAR,
    lambda v: st.lists(v, max_size=2) | st.dictionaries(st.sampled_from(WORDS), v, max_size=3),
    max_leaves=6,
)
SHORT = [p for p in leaf_keys() if "[]" not in p]
SET = st.dictionaries(st.sampled_from(SHORT), VALUE, max_size=4)


def is_answered(text: str, **more: Any) -> None:
    resolved = resolve(text, format="json", base_dir=Path("/nowhere"), env={}, **more)
    if resolved.config is None:
        assert at_or_above(resolved.findings, "error")
    for found in resolved.findings:
        assert str(found)
    if resolved.config is not None:
        json.dumps(resolved.effective())


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.sampled_from(WORDS), VALUE, max_size=4))
@example({"model": {"path": "a\0b"}})
@example({"data": {"datasets": [3]}})
@example({"data": {"datasets": {"id": "a"}}})
@example({"data": {"defaults": {"caption": 3}, "datasets": [{"caption": {}}]}})
@example({"model": []})
@example({"job": {"seed": 10**400}})
@example({"schema": "effective/1"})
def test_any_file(data: dict[str, Any]) -> None:
    """Wrong shapes at any depth."""
    is_answered(json.dumps(data))


@settings(deadline=None, max_examples=150)
@given(SET)
def test_any_value_of_any_key(values: dict[str, Any]) -> None:
    """Right keys with wrong values."""
    data = merge([Layer("", nested(path, value), {}) for path, value in values.items()])[0]
    is_answered(json.dumps({"model": {"family": "flux"}} | data))


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from([*leaf_keys(), "a[", "a]b", "[0]", "."]), st.text()), max_size=3
    )
)
@example([("data.datasets[]", "x")])
@example([("data.datasets[0]", "x")])
@example([("model", "x")])
@example([("validation.prompts[0]", "x")])
def test_any_override(pairs: list[tuple[str, str]]) -> None:
    """On the command line: keys and values are texts of any kind."""
    text = '{"model": {"family": "flux"}}'
    is_answered(text, overrides=[f"{key}={value}" for key, value in pairs])
    is_answered(text, unset=[key for key, _ in pairs])
