"""Overlays leave samples out and replace captions; nothing in them is silently without effect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.index import Row
from trainer.data.overlay import Overlay, apply_overlay, joined, unknown_names, without_effect
from trainer.data.overlay_file import load_overlay, write_overlay
from trainer.data.probe import Facts
from trainer.data.sources.base import VARIANT
from trainer.errors import DataError

NAMES = ("a.png", "b.png", "c/d.png")


def rows(*names: str) -> list[Row]:
    return [Row(n, "", Facts(8, 8), None, b"x", f"text of {n}", None) for n in names]


def test_samples_are_left_out_with_their_reasons_and_captions_replaced() -> None:
    """The rest passes unchanged, in order."""
    overlay = Overlay({"b.png": "too dark", "c/d.png": ""}, {"a.png": ("one", "two")})
    lost: list[tuple[str, str]] = []
    met: set[str] = set()
    kept = list(
        apply_overlay(overlay, rows(*NAMES, "z.png"), lose=lambda *x: lost.append(x), met=met)
    )
    assert [row.relpath for row in kept] == ["a.png", "z.png"]
    assert [row.text for row in kept] == [f"one{VARIANT}two", "text of z.png"]
    assert lost == [("b.png", "too dark"), ("c/d.png", "left out by the overlay")]
    assert met == set(NAMES)


def test_a_replaced_caption_cures_an_unreadable_one() -> None:
    """The reason why there was none is gone."""
    broken = rows("a.png")[0]._replace(text=None, text_reason="a.txt is not UTF-8 text")
    (row,) = apply_overlay(Overlay(captions={"a.png": ("fine",)}), [broken])
    assert (row.text, row.text_reason) == ("fine", None)


def test_names_that_nobody_has_are_told() -> None:
    """With a count and the names; nothing is told when all were met."""
    overlay = Overlay({"a.png": "", "gone.png": ""}, {"lost.png": ("x",)}, "o.toml")
    (finding,) = unknown_names(overlay, {"a.png"}, "cats")
    assert (finding.code, finding.level, finding.where) == ("DAT097", "warn", "o.toml")
    assert finding.evidence["names"] == ["gone.png", "lost.png"]
    assert unknown_names(overlay, {"a.png", "gone.png", "lost.png"}, "cats") == []


@pytest.mark.parametrize(("source", "told"), [("filename", 1), ("textfile", 0), ("table", 0)])
def test_captions_for_a_dataset_that_reads_none_are_told(source: str, told: int) -> None:
    """They would have no effect; exclusions still have."""
    assert len(without_effect(Overlay({}, {"a": ("x",)}), source, "cats")) == told
    assert without_effect(Overlay({"a": ""}), source, "cats") == []


def test_the_digest_follows_what_changes_the_data() -> None:
    """Order, reasons and place do not; a name or a caption does."""
    one = Overlay({"a": "dark", "b": "x"}, {"c": ("t",), "d": ("u",)}, "here")
    same = Overlay({"b": "", "a": ""}, {"d": ("u",), "c": ("t",)}, "there")
    assert one.digest == same.digest
    others = [
        Overlay({"a": ""}, one.captions),
        Overlay(one.exclude, {"c": ("t",), "d": ("U",)}),
        Overlay(one.exclude, {"c": ("t", "u"), "d": ("u",)}),
        Overlay(),
    ]
    assert len({one.digest, *(o.digest for o in others)}) == 5


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda t: t.strip())


@given(
    st.dictionaries(TEXT, st.text(st.characters(exclude_categories=["Cs"])), max_size=4),
    st.dictionaries(TEXT, st.lists(TEXT.map(str.strip), min_size=1, max_size=3), max_size=4),
    st.sampled_from(["o.toml", "o.json"]),
)
def test_what_is_written_is_read(tmp_path_factory, exclude, captions, name) -> None:
    """Any name and text, in both formats."""
    path = tmp_path_factory.mktemp("o") / name
    overlay = Overlay(exclude, {n: tuple(t) for n, t in captions.items()})
    write_overlay(path, overlay)
    read = load_overlay(path)
    assert (read.exclude, read.captions) == (overlay.exclude, overlay.captions)
    assert read.digest == overlay.digest


def test_writing_keeps_comments_and_what_a_person_wrote(tmp_path: Path) -> None:
    """Entries are added below; a person's reason wins over a new one."""
    path = tmp_path / "cats.toml"
    path.write_text(
        '# mine\n[exclude]\n"a.png" = "ugly"   # really\n[captions]\n"b.png" = "my words"\n'
    )
    old = load_overlay(path)
    new = Overlay({"a.png": "DAT070", "c.png": "DAT070"}, {"b.png": ("theirs",), "d.png": ("d",)})
    write_overlay(path, joined(old, new))
    text = path.read_text()
    assert text.startswith("# mine\n")
    assert "# really" in text
    again = load_overlay(path)
    assert again.exclude == {"a.png": "ugly", "c.png": "DAT070"}
    assert again.captions == {"b.png": ("my words",), "d.png": ("d",)}


def test_a_sample_that_is_left_out_needs_no_caption() -> None:
    """Joining drops captions of excluded samples."""
    both = joined(Overlay({}, {"a": ("x",)}), Overlay({"a": "copy"}))
    assert (both.exclude, both.captions) == ({"a": "copy"}, {})


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("[exclude", "Expected"),
        ("[excluded]\n'a' = 'x'", "excluded"),
        ("exclude = ['a']", "name = text"),
        ("[exclude]\na = 1", "'a'"),
        ("[captions]\na = ''", "'a'"),
        ("[captions]\na = []", "'a'"),
        ("[captions]\na = ['x', 2]", "'a'"),
    ],
)
def test_a_wrong_overlay_is_refused_with_the_reason(tmp_path: Path, text: str, about: str) -> None:
    """DAT098; a misspelt table would otherwise be without effect."""
    path = tmp_path / "o.toml"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        load_overlay(path)
    assert caught.value.finding.code == "DAT098"
    assert about in caught.value.finding.message


def test_missing_and_undecodable_files_are_refused(tmp_path: Path) -> None:
    """As are JSON files that hold something else."""
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "list.json").write_text(json.dumps([1]))
    for name in ("none.toml", "bad.toml", "list.json"):
        with pytest.raises(DataError, match="DAT098"):
            load_overlay(tmp_path / name)
