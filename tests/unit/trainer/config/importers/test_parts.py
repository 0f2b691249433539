"""Parts of the importers: reading values, the ledger of keys, the job in the making."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.config.importers import values
from trainer.config.importers.draft import Draft, refused
from trainer.config.importers.ledger import Item, Ledger
from trainer.config.importers.simpletuner import lenient
from trainer.config.importers.simpletuner.datasets.geometry import size_text
from trainer.config.units import parse_resolution

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("value", "kind", "wanted"),
    [
        ("Yes", "bool", True),
        (0, "bool", False),
        ("maybe", "bool", None),
        ("1e-4", "float", 1e-4),
        ("3.0", "int", 3),
        (3.5, "int", None),
        ("nan", "float", None),
        (True, "int", None),
        (1.5, "text", "1.5"),
        ("a, b", "texts", ["a", "b"]),
        ('["a", 1]', "texts", ["a", "1"]),
        ([["a"]], "texts", None),
    ],
)
def test_values_that_are_written_as_text(value: Any, kind: Any, wanted: Any) -> None:
    """Every form in which the sources write them."""
    assert values.read(value, kind) == wanted


@given(ANYTHING, st.sampled_from(["bool", "int", "float", "text", "texts"]))
def test_reading_a_value_never_fails(value: Any, kind: Any) -> None:
    """None says that it cannot be read; a value always has the kind that was asked for."""
    found = values.read(value, kind)
    wanted = {"bool": bool, "int": int, "float": (int, float), "text": str, "texts": list}
    assert found is None or isinstance(found, wanted[kind])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"a": 1}', {"a": 1}),
        ("{'a': True}", {"a": True}),
        ("[1", None),
        ("a", None),
        ("{1}", None),
    ],
)
def test_structures_in_texts(text: str, wanted: Any) -> None:
    """JSON, or a Python literal, as some of the source's options are."""
    assert values.structure(text) == wanted


def test_a_key_is_settled_once() -> None:
    """The first outcome stays; keys nobody settled are a mistake of ours."""
    ledger = Ledger([Item("--a", "a", 1), Item("b", "b", 2)])
    ledger.mapped("a", "x.y")
    ledger.ignored("a", "too late")
    ledger.unsupported("nobody", "is not there")
    assert ledger.open_names() == ["b"]
    with pytest.raises(AssertionError):
        ledger.records()
    ledger.approximated("b", "z", "nearly")
    assert [(r.key, r.status) for r in ledger.records()] == [
        ("--a", "mapped"),
        ("b", "approximated"),
    ]


def test_of_several_keys_the_last_counts() -> None:
    """The others are ignored, and say which one it is."""
    ledger = Ledger([Item("a", "n", 1), Item("b", "n", 2), Item("c", "n", 3, weak=True)])
    assert ledger.value("n") == 2
    ledger.mapped("n", "x")
    assert [r.status for r in ledger.records()] == ["ignored", "mapped", "ignored"]


def test_a_draft_writes_the_order_of_the_schema() -> None:
    """Values before sub-tables, lists of tables, comments on their lines; read back the same."""
    draft = Draft()
    draft.set("data.datasets[0].id", "a")
    draft.set("data.datasets[0].conditioning[0].dataset", "b")
    draft.set("data.datasets[0].conditioning[0].options", {"invert": True})
    draft.set("data.datasets[0].crop.position", "face", "the largest")
    draft.set("data.datasets[0].repeats", 2)
    draft.set("data.datasets[1].id", "b")
    draft.set("train.steps", 5, "a note\nof two lines")
    draft.set("data.mix", "epoch")
    text = draft.toml("From there")
    assert tomllib.loads(text) == draft.data
    assert text.startswith("# From there\n")
    assert 'position = "face" # the largest' in text
    assert "steps = 5 # a note of two lines" in text
    assert text.index("[train]") < text.index("[data]") < text.index("mix =")


@given(st.dictionaries(st.text(min_size=1), st.text()), st.text())
def test_a_draft_survives_any_text(options: dict[str, str], text: str) -> None:
    """Whatever the source wrote, the file can be read."""
    draft = Draft()
    draft.set("job.notes", text)
    draft.set("data.datasets[0].conditioning[0].options", options)
    try:
        draft.toml("").encode()
    except UnicodeEncodeError:  # half a surrogate pair is no text at all
        return
    assert tomllib.loads(draft.toml("")) == draft.data


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        ("train.steps", 5, False),
        ("train.steps", 0, True),
        ("train.steps", "5", True),
        ("optimizer.lr", 1, False),
        ("optimizer.lr", float("nan"), True),
        ("optimizer.lr", None, True),
        ("data.datasets[3].crop.position", "face", False),
        ("data.datasets[3].crop.position", "nose", True),
    ],
)
def test_the_schema_judges_each_value(path: str, value: Any, wrong: bool) -> None:
    """A value is refused with a reason before it stands in the job."""
    assert bool(refused(path, value)) == wrong


@given(st.floats(1e-3, 9e4), st.sampled_from(["pixel", "area", "pixel_area"]))
def test_sizes_are_written_with_their_unit(value: float, unit: str) -> None:
    """The text is one that the job understands, without an exponent."""
    found = parse_resolution(size_text(value, unit))
    number = {"pixel": found.edge, "area": (found.area or 0) / 1e6, "pixel_area": found.square}[
        unit
    ]
    # areas are whole pixels: an edge below 1 may become 0 or 1
    assert number == pytest.approx(value, abs=0.71 if unit != "area" else 1e-5)


@given(ANYTHING)
def test_strict_json_is_read_as_it_is(value: Any) -> None:
    """Leniency changes nothing where none is needed."""
    import json

    text = json.dumps(value)
    data, _, told = lenient.parse(text, "x")
    assert json.dumps(data) == text
    assert told == []
