"""Captions, funnel, columns, plan: what is used, why the rest is not, what the hash covers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config.schema.captions import CaptionConfig
from trainer.data.captions import drawn_caption, variants
from trainer.data.dataset import Dataset
from trainer.data.funnel import EXAMPLES, Funnel, judge
from trainer.data.geometry import GeometrySpec, Placement
from trainer.data.index import Row
from trainer.data.plan import demand_batches, make_plan, remarks
from trainer.data.probe import Facts
from trainer.data.selection import make_table, sample_id
from trainer.data.sources.local import Folder
from trainer.data.strings import pack
from trainer.data.table import Table
from trainer.errors import DataError

DATASET = Dataset(
    id="a",
    source=Folder(Path("/data/a"), "image", None),
    geometry=GeometrySpec(area=64 * 64, align=16),
    caption=CaptionConfig(),
    missing_caption="fail",
    background="ffffff",
    seed=1,
)


def row(name: str, size: tuple[int, int] = (64, 64), text: str | None = "a cat", **given) -> Row:
    content = given.pop("content", name.encode().ljust(16)[:16])
    base = Row(f"{name}.png", "", Facts(*size), None, content, text, None)
    return base._replace(**given)


def table(*rows: Row, dataset: Dataset = DATASET) -> Table:
    return make_table(dataset, rows, Funnel(dataset.id, dataset.source.name))


# --- captions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "text", "expected"),
    [
        ({}, "one\ntwo", ("one", "two")),
        ({}, None, ()),
        ({"source": "filename"}, "ignored", ("red apple 2",)),
        ({"source": "instanceprompt", "prompt": "sks"}, "ignored", ("sks",)),
        ({"prompt": "sks", "prepend": True}, "one\ntwo", ("sks one", "sks two")),
        ({"prompt": "sks", "prepend": True, "source": "filename"}, None, ("sks red apple 2",)),
    ],
)
def test_caption_sources(config, text, expected):
    """Each source gives its variants; prepend puts the prompt in front of every one."""
    assert variants("sub/red_apple__2.png", text, CaptionConfig(**config)) == expected


def test_variants_are_drawn_evenly_and_repeatably():
    """Each of three variants gets about a third of the visits, the same ones every time."""
    texts = ("x", "y", "z")
    draws = [drawn_caption(texts, 0.0, seed=1, sample_id=5, visit=v) for v in range(3000)]
    assert draws == [drawn_caption(texts, 0.0, seed=1, sample_id=5, visit=v) for v in range(3000)]
    assert all(900 < n < 1100 for n in Counter(draws).values())
    other = [drawn_caption(texts, 0.0, seed=1, sample_id=6, visit=v) for v in range(3000)]
    assert draws != other


def test_dropout_takes_its_share():
    """A quarter of the draws is the empty caption; 0 and 1 are exact."""
    draws = [drawn_caption(("x",), 0.25, seed=1, sample_id=5, visit=v) for v in range(4000)]
    assert 900 < draws.count("") < 1100
    assert drawn_caption(("x",), 0.0, seed=1, sample_id=5, visit=0) == "x"
    assert drawn_caption(("x",), 1.0, seed=1, sample_id=5, visit=0) == ""


# --- strings -------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.text()), st.data())
def test_packed_texts_come_back(texts, data):
    """Packing loses nothing, whatever the texts; take keeps the asked rows in order."""
    packed = pack(texts)
    assert list(packed) == texts
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=5)) if texts else []
    assert list(packed.take(rows)) == [texts[r] for r in rows]


# --- funnel --------------------------------------------------------------------------------


def test_every_lost_picture_has_its_stage_and_reason():
    """The funnel counts stage by stage and names who was lost where."""
    geometry = replace(DATASET.geometry, min_size=50)
    dataset = replace(DATASET, geometry=geometry, missing_caption="skip")
    funnel = Funnel("a", "/data/a")
    rows = [
        row("broken", reason="the file is empty", content=None),
        row("vanished", content=None),
        row("tiny", (40, 90)),
        row("mute", text=None),
        row("blank", text=None, text_reason="blank.txt is empty"),
        row("good"),
    ]
    made = make_table(dataset, rows, funnel)
    assert str(funnel) == "found 6 → readable 4 → size 3 → caption 1 → used 1"
    assert list(made.relpaths) == ["good.png"]
    assert {s: [n for n, _ in loss.examples] for s, loss in funnel.lost.items()} == {
        "unreadable": ["broken.png", "vanished.png"],
        "small": ["tiny.png"],
        "uncaptioned": ["mute.png"],
        "bad caption": ["blank.png"],
    }
    found = funnel.findings(*funnel.lost)
    assert [(f.code, f.level) for f in found] == [
        ("DAT003", "warn"),
        ("DAT005", "info"),
        ("DAT006", "warn"),
        ("DAT007", "warn"),
    ]
    assert all(f.message and f.why and f.fix and f.where for f in found)


@pytest.mark.parametrize(
    ("policy", "captions"), [("empty", ("",)), ("filename", ("mute",)), ("skip", None)]
)
def test_policies_for_missing_captions(policy, captions):
    """empty and filename stand in for the caption; skip leaves the picture out."""
    made = table(
        row("good"), row("mute", text=None), dataset=replace(DATASET, missing_caption=policy)
    )
    assert len(made) == (1 if captions is None else 2)
    if captions is not None:
        assert made.captions(1) == captions


def lossy(found: int, broken: int) -> Funnel:
    funnel = Funnel("a", "/data/a", found=found, used=found - broken)
    for number in range(broken):
        funnel.lose("unreadable", f"{number}.png", "the file is empty")
    return funnel


@pytest.mark.parametrize(
    ("found", "broken", "code"),
    [
        (50, 1, None),
        (8, 1, None),
        (100, 5, None),
        (100, 6, "DAT004"),
        (8, 2, "DAT004"),
        (3, 3, "DAT002"),
    ],
)
def test_a_few_broken_files_are_left_out_many_end_the_run(found, broken, code):
    """One file, or five in a hundred, is a warning; more is DAT004; all is DAT002."""
    if code is None:
        judge(lossy(found, broken), on_corrupt="skip", missing_caption="fail")
        return
    with pytest.raises(DataError) as error:
        judge(lossy(found, broken), on_corrupt="skip", missing_caption="fail")
    assert error.value.finding.code == code
    assert "the file is empty" in error.value.finding.why


def test_on_corrupt_fail_names_the_files():
    """With on_corrupt = fail the first broken file ends the run, with the list."""
    with pytest.raises(DataError) as error:
        judge(lossy(100, 3), on_corrupt="fail", missing_caption="fail")
    problem = error.value.finding
    assert (problem.code, problem.level, problem.evidence["count"]) == ("DAT003", "error", 3)
    assert [f["path"] for f in problem.evidence["files"]] == ["0.png", "1.png", "2.png"]


def test_missing_captions_are_one_finding_with_the_first_names():
    """A thousand missing captions are listed once, with twenty examples and the count."""
    funnel = Funnel("a", "/data/a", found=2000, used=1000)
    for number in range(1000):
        funnel.lose("uncaptioned", f"{number}.png", "there is no .txt file beside it")
    with pytest.raises(DataError) as error:
        judge(funnel, on_corrupt="skip", missing_caption="fail")
    assert len(error.value.findings) == 1
    assert error.value.finding.evidence["count"] == 1000
    assert len(error.value.finding.evidence["files"]) == EXAMPLES


# --- table and plan ------------------------------------------------------------------------


def test_max_samples_depends_on_names_not_on_order_or_neighbours():
    """The choice is by hash: adding files replaces at most as many as are added."""
    dataset = replace(DATASET, max_samples=4)
    few = [row(f"p{n}") for n in range(10)]
    chosen = set(table(*few, dataset=dataset).relpaths)
    assert len(chosen) == 4
    assert set(table(*reversed(few), dataset=dataset).relpaths) == chosen
    more = set(table(*few, row("q0"), dataset=dataset).relpaths)
    assert len(chosen - more) <= 1


def test_pools_hold_one_size_each_and_every_row_once():
    """A pool is a bucket; together the pools are the table."""
    sizes = [(64, 64), (128, 64), (64, 128), (65, 64), (200, 100)]
    plan = make_plan([table(*(row(f"p{n}", sizes[n % 5]) for n in range(20)))])
    assert sum(p.rows for p in plan.pools) == 20
    seen = set()
    for number, pool in enumerate(plan.pools):
        items = [plan.item(number, r) for r in range(pool.rows)]
        assert len({i.placement.target for i in items}) == 1
        assert [i.sample_id for i in items] == sorted(i.sample_id for i in items)
        seen |= {i.sample_id for i in items}
    assert seen == {sample_id("a", f"p{n}.png") for n in range(20)}


def test_random_crop_follows_the_picture_not_its_name():
    """Renaming moves no crop (so nothing is encoded again); another seed does."""
    geometry = replace(DATASET.geometry, position="random", aspect="square")
    dataset = replace(DATASET, geometry=geometry)

    def crop(name: str, dataset: Dataset) -> Placement:
        return table(row(name, (640, 64), content=b"x" * 16), dataset=dataset).item(0).placement

    one = crop("p", dataset)
    assert crop("q", replace(dataset, id="b")) == one
    assert crop("p", replace(dataset, seed=2)) != one


CHANGES = {
    "id": {"id": "b"},
    "resolution": {"geometry": GeometrySpec(area=128 * 128, align=16)},
    "crop": {"geometry": replace(DATASET.geometry, aspect="square")},
    "prompt": {"caption": CaptionConfig(prompt="sks", prepend=True)},
    "dropout": {"caption": CaptionConfig(dropout=0.1)},
    "background": {"background": "000000"},
    "repeats": {"repeats": 2},
    "leftover": {"leftover": "pad"},
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_hash_covers_what_shapes_the_training(change):
    """Every setting that changes samples or their order changes the plan's hash."""
    rows = [row("p"), row("q")]
    base = make_plan([table(*rows)]).plan_hash
    changed = make_plan([table(*rows, dataset=replace(DATASET, **CHANGES[change]))]).plan_hash
    assert base != changed


def test_hash_covers_pictures_and_captions_but_not_the_place():
    """Other bytes, another caption, another file: another hash. A moved folder: the same."""
    base = make_plan([table(row("p"), row("q"))]).plan_hash
    elsewhere = Folder(Path("/elsewhere"), "image", None)
    moved = replace(DATASET, source=elsewhere, max_samples=9)
    assert make_plan([table(row("p"), row("q"), dataset=moved)]).plan_hash == base
    for other in (row("q", content=b"!" * 16), row("q", text="a dog"), row("r")):
        assert make_plan([table(row("p"), other)]).plan_hash != base


def test_remarks_tell_what_was_perhaps_not_meant():
    """Enlarged, cut off and doubled pictures and small buckets are reported with counts."""
    same = b"s" * 16
    plan = make_plan(
        [
            table(
                row("small", (32, 32)),
                row("long", (1000, 100)),
                row("one", (64, 128), content=same),
                row("two", (64, 128), content=same),
            )
        ]
    )
    found = {f.code: f for f in remarks(plan, batch_size=2)}
    assert found["DAT008"].evidence["count"] == 1
    assert "2.0x" in found["DAT008"].message
    assert found["DAT014"].evidence["count"] == 1
    assert found["DAT009"].evidence["example"] == ["one.png", "two.png"]
    assert found["DAT010"].evidence["samples"] == 2
    assert found["DAT010"].level == "info"


def test_dropping_everything_is_refused():
    """drop with buckets below the batch size: warned per bucket, refused when none is left."""
    dataset = replace(DATASET, leftover="drop")
    plan = make_plan([table(row("p"), row("q"), dataset=dataset)])
    demand_batches(plan, 2)
    assert [f.level for f in remarks(plan, 3) if f.code == "DAT010"] == ["warn"]
    with pytest.raises(DataError) as error:
        demand_batches(plan, 3)
    assert error.value.finding.code == "DAT011"


def test_rows_can_be_taken():
    """A subset keeps all columns together."""
    part = table(row("p"), row("q", (128, 64), "a dog"), row("r")).take(np.array([1]))
    assert list(part.relpaths) == ["q.png"]
    assert part.captions(0) == ("a dog",)
    assert part.item(0).width == 128
