"""Layers: who wins, and that the origin names the winner."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config.layers import Layer, Origin, join, leaves, merge, nested, split, value_at
from trainer.errors import ConfigError

NAMES = st.sampled_from(["a", "b", "c"])
LEAF = st.one_of(st.integers(0, 9), st.lists(st.integers(0, 3), max_size=2), st.none())
TREE = st.recursive(
    LEAF,
    lambda child: st.one_of(
        st.dictionaries(NAMES, child, max_size=3),
        st.lists(st.dictionaries(NAMES, child, min_size=1, max_size=2), min_size=1, max_size=2),
    ),
    max_leaves=8,
)
LAYERS = st.lists(st.dictionaries(NAMES, TREE, max_size=3), min_size=1, max_size=4)


def last_setter(layers: list[Any], path: str) -> int:
    """By definition: the last layer in which the path, or a list around it, exists."""
    found = -1
    for number, data in enumerate(layers):
        here: Any = data
        for part in split(path):
            if isinstance(here, list):
                break
            if not isinstance(here, dict) or part not in here:
                break
            here = here[part]
        else:
            found = number
            continue
        if isinstance(here, list):
            found = number
    return found


@settings(deadline=None)
@given(LAYERS)
def test_origin_names_the_last_layer_that_set_the_value(data: list[dict[str, Any]]) -> None:
    """B04 acceptance 4: for every leaf of any stack of layers."""
    layers = [Layer(str(n), d, {}) for n, d in enumerate(data)]
    merged, origins = merge(layers)
    assert set(origins) == {path for path, _ in leaves(merged)}
    for path, value in leaves(merged):
        number = last_setter(data, path)
        assert origins[path] == Origin(str(number))
        assert value_at(data[number], path) == value


@settings(deadline=None)
@given(LAYERS)
def test_merging_leaves_its_input_alone(data: list[dict[str, Any]]) -> None:
    """Layers are shared between calls; a merge that wrote into one would leak values."""
    before = repr(data)
    merged, _ = merge([Layer("x", d, {}) for d in data])
    merged["a"] = {"changed": True}
    for value in merged.values():
        if isinstance(value, list):
            value.clear()
    assert repr(data) == before


@pytest.mark.parametrize("path", ["a", "a.b", "a[0]", "a[0].b", "a.b[12].c.d", "a[0][1]"])
def test_paths_survive_splitting(path: str) -> None:
    """`join` is the inverse of `split`."""
    assert join(split(path)) == path
    assert value_at(nested(path, 5), path) == 5


def test_a_list_is_replaced_whole() -> None:
    """Half of a list of datasets means nothing."""
    merged, origins = merge(
        [
            Layer("low", {"d": [{"id": 1, "x": 2}, {"id": 3}]}, {}),
            Layer("high", {"d": [{"id": 9}]}, {}),
        ]
    )
    assert merged == {"d": [{"id": 9}]}
    assert origins == {"d[0].id": Origin("high")}


def test_a_single_value_reaches_into_a_list() -> None:
    """By index, with an origin of its own; the next free index adds an item."""
    low = Layer("low", {"d": [{"id": 1, "x": 2}]}, {})
    high = Layer("high", {"d": {0: {"x": 5}, 1: {"id": 7}}}, {"d[0].x": "--set d[0].x"})
    merged, origins = merge([low, high])
    assert merged == {"d": [{"id": 1, "x": 5}, {"id": 7}]}
    assert origins["d[0].id"] == Origin("low")
    assert origins["d[0].x"] == Origin("high", "--set d[0].x")
    assert origins["d[1].id"].layer == "high"


def test_an_index_beyond_the_list_is_refused() -> None:
    """A gap cannot be filled."""
    with pytest.raises(ConfigError) as caught:
        merge([Layer("high", {"d": {2: {"id": 7}}}, {})])
    assert caught.value.finding.code == "CFG007"


def test_without_takes_keys_out_of_a_layer() -> None:
    """Nested keys and items of lists; the original stays."""
    layer = Layer("x", {"a": {"b": 1, "c": 2}, "d": [{"id": 1, "x": 2}]}, {})
    assert layer.without(["a.b", "d[0].x", "e.f"]).data == {"a": {"c": 2}, "d": [{"id": 1}]}
    assert layer.data["a"]["b"] == 1
