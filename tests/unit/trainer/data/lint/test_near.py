"""Near duplicates (beyond.md B14): copies are found, distinct pictures are not, search is exact."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support.procedural import picture
from trainer.data.lint.duplicates import check_duplicates
from trainer.data.lint.flag import Group, Sample
from trainer.data.lint.measure import measure
from trainer.data.lint.near import groups, near_pairs
from trainer.data.probe import Facts

RECALL, FALSE = 0.95, 0.001


def sample(name: str, image: Image.Image) -> Sample:
    file = io.BytesIO()
    image.save(file, "PNG")
    return Sample(
        dataset=0,
        relpath=name,
        facts=Facts(image.width, image.height),
        content=name.encode(),
        captions=("a picture",),
        measures=measure(file),
    )


class Plain:
    """The part of a dataset that the check looks at."""

    id, role, kind = "set", "train", "image"


def group(samples: list[Sample], number: int = 0, dataset: object = Plain) -> Group:
    settings: object = None
    return Group(number, dataset, settings, False, samples)  # type: ignore[arg-type]


def copies(number: int) -> dict[str, Image.Image]:
    """Six copies of a picture, as they come about on the web."""
    rng = np.random.default_rng(10_000 + number)
    image = picture(number)
    cut = round(image.width * 0.02)
    left, top = rng.integers(0, cut + 1, 2).tolist()
    right, bottom = left + image.width - cut, top + image.height - cut
    size = int(rng.integers(120, 420))
    return {
        "jpeg": reopened(image, "JPEG", quality=55),
        "webp": reopened(image, "WEBP", quality=60),
        "resized": image.resize((size, size), Image.Resampling.BICUBIC),
        "cropped": image.crop((left, top, right, bottom)),
        "corner": image.crop((0, 0, image.width - cut, image.height - cut)),
        "all": reopened(image.crop((left, top, right, bottom)).resize((200, 200)), "JPEG"),
    }


def reopened(image: Image.Image, format: str, **options: object) -> Image.Image:
    file = io.BytesIO()
    image.save(file, format, **options)
    return Image.open(file).convert("RGB")


def recall(count: int) -> float:
    """Share of copies that are flagged, each compared with all originals."""
    originals = [sample(f"{n}", picture(n)) for n in range(count)]
    made = [sample(f"{n}-{k}", v) for n in range(0, count, 4) for k, v in copies(n).items()]
    found = groups_of([*originals, *made])
    caught = sum(found.get(s.relpath) == s.relpath.split("-")[0] for s in made)
    return caught / len(made)


def groups_of(samples: list[Sample]) -> dict[str, str]:
    """Name -> original number of what it was found together with."""
    flags = [f for f in check_duplicates([group(samples)]) if f.code == "DAT076"]
    together: dict[str, str] = {}
    for flag in flags:
        kept = flag.other.removeprefix("set/")
        for name in (flag.path, kept):
            together[name] = kept.split("-")[0]
    return together


def false_pairs(count: int) -> float:
    """Flagged pictures among distinct ones, as a share of the pictures."""
    flags = list(check_duplicates([group([sample(f"{n}", picture(n)) for n in range(count)])]))
    return len(flags) / count


def test_copies_are_found() -> None:
    """Re-encoded, resized, cropped by 2 %, and all of it: at least 95 %."""
    assert recall(80) >= RECALL


def test_distinct_pictures_are_kept_apart() -> None:
    """At most one in a thousand."""
    assert false_pairs(250) <= FALSE


@pytest.mark.slow
def test_full_size() -> None:
    """The figures of beyond.md B14: 2 000 distinct pictures, copies of 500 of them."""
    assert recall(2000) >= RECALL
    assert false_pairs(2000) <= FALSE


def test_colour_alone_makes_a_difference() -> None:
    """A red and a blue heart have the same grey shape; they are no copies."""
    shapes = []
    for colour in ("#d02020", "#2060d0", "#20b020"):
        image = Image.new("RGB", (128, 128), "white")
        image.paste(colour, (30, 40, 90, 100))
        image.paste(colour, (60, 20, 80, 110))
        shapes.append(sample(colour, image))
    assert list(check_duplicates([group(shapes)])) == []


def test_a_picture_without_content_is_nobodys_copy() -> None:
    """Nearly flat pictures have no shape to compare."""
    flat = [sample(f"{n}", Image.new("RGB", (64, 64), (100, 100, 100 + 2 * n))) for n in range(4)]
    assert list(check_duplicates([group(flat)])) == []


def test_the_largest_copy_is_kept() -> None:
    """The others are flagged and name it."""
    image = picture(7)
    made = [
        sample("small.png", image.resize((100, 100))),
        sample("large.png", image.resize((512, 512))),
        sample("middle.png", image),
    ]
    flags = list(check_duplicates([group(made)]))
    assert {f.path: f.other for f in flags} == {
        "small.png": "set/large.png",
        "middle.png": "set/large.png",
    }


def test_a_near_copy_in_the_held_out_data_is_a_leak() -> None:
    """It is the training side that is flagged, also with a copy on its own side."""

    class Held(Plain):
        id, role = "held", "eval"

    image = picture(3)
    train = [sample("a.png", image), sample("b.png", image.resize((200, 200)))]
    held = [sample("h.png", reopened(image, "JPEG", quality=60))]
    flags = list(check_duplicates([group(train), group(held, 1, Held)]))
    told = {(f.code, f.dataset, f.path) for f in flags}
    assert told == {("DAT077", "set", "a.png"), ("DAT076", "set", "b.png")}


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40),
    st.integers(0, 7),
    st.data(),
)
def test_search_equals_comparing_each_with_each(hashes, distance, data) -> None:
    """Nothing within the distance is missed and nothing beyond it is returned."""
    flips = data.draw(st.lists(st.integers(0, 63), max_size=9))
    turned = hashes[0]
    for bit in flips:
        turned ^= 1 << bit
    column = np.array([*hashes, turned], dtype=np.uint64)
    found = {tuple(p) for p in near_pairs(column, column, distance).tolist()}
    wanted = {
        (i, j)
        for i, a in enumerate(column.tolist())
        for j, b in enumerate(column.tolist())
        if (a ^ b).bit_count() <= distance
    }
    assert found == wanted


def test_search_in_chunks_gives_the_same(monkeypatch) -> None:
    """Many equal hashes are compared in bounded pieces."""
    column = np.array([5, 5, 5, 5, 1 << 40, 7] * 5, dtype=np.uint64)
    whole = near_pairs(column, column, 2).tolist()
    monkeypatch.setattr("trainer.data.lint.near.CHUNK", 7)
    assert near_pairs(column, column, 2).tolist() == whole


def test_groups_are_connected_and_sorted() -> None:
    """Chains join; what stands alone is no group."""
    pairs = np.array([[0, 3], [3, 5], [1, 2]])
    assert groups(7, pairs) == [[0, 3, 5], [1, 2]]
