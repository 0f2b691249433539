"""Names in order and captions beside samples, for any names."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from trainer.data.sources.beside import with_captions
from trainer.data.sources.names import is_sample
from trainer.data.sources.order import in_order, sorted_on_disk

texts = st.text(st.characters(codec="utf-8"), max_size=6)


@given(st.lists(texts))
def test_order_is_that_of_text(names):
    """Whatever the order in the table, names come as Python sorts them, rows of one name too."""
    rows = list(zip(names, range(len(names)), strict=True))
    found = [(name, [row for _, row in same]) for name, same in in_order(lambda: rows)]
    assert [name for name, _ in found] == sorted(set(names))
    assert {name: [n for n, other in enumerate(names) if other == name] for name in names} == dict(
        found
    )


@given(st.lists(st.tuples(texts, st.integers(0, 9), texts)))
def test_sorting_on_disk_keeps_every_row(rows):
    """Nothing is lost or merged."""
    assert sorted(sorted_on_disk(rows)) == sorted(rows)


names = st.lists(
    st.builds("".join, st.tuples(st.text("ab./-", max_size=5), st.sampled_from([".png", ".txt"]))),
    unique=True,
)


@given(names)
def test_captions_are_found_in_one_pass(names):
    """The pass over a sorted listing finds what a look into all of it would."""
    listed = sorted(names)
    found = list(with_captions([(n, n) for n in listed], lambda n: n.endswith(".png"), ".txt"))
    assert found == [
        (n, n, caption if (caption := os.path.splitext(n)[0] + ".txt") in names else None)
        for n in listed
        if n.endswith(".png")
    ]


def test_few_names_wait_at_a_time():
    """A long listing is passed on as it comes, not held until its end."""
    seen = 0

    def entries():
        nonlocal seen
        for number in range(1000):
            for ending in (".png", ".txt"):
                seen += 1
                yield f"{number:04d}{ending}", number

    for done, _ in enumerate(with_captions(entries(), lambda n: is_sample(n, "image"), ".txt"), 1):
        assert seen <= 2 * done + 2
