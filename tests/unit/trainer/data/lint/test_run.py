"""The linter as a whole: remembering, stopping, overlays, mixing, films, sheets."""

from __future__ import annotations

import io
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.support.procedural import picture
from tests.unit.trainer.data.lint.looking import flagged, job, linted, quiet, subject_of
from trainer.config.schema.data import DatasetConfig
from trainer.config.schema.media import VideoConfig
from trainer.data.lint import memory
from trainer.data.lint.flag import Group, Sample
from trainer.data.lint.geometry import check_geometry, mixing
from trainer.data.lint.media import check_media
from trainer.data.lint.run import gather, lint
from trainer.data.overlay_file import load_overlay
from trainer.data.probe import Facts
from trainer.data.survey.scan import scan_all, scan_document
from trainer.errors import ConfigError, Preempted


def fill(folder: Path, count: int, first: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        picture(number, 128).resize((256, 256)).save(folder / f"{number:03d}.png")
        (folder / f"{number:03d}.txt").write_text(f"a drawing of shapes, number {number}")
    return folder


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the pictures that were decoded."""
    names: list[str] = []
    original = memory._measure
    monkeypatch.setattr(memory, "_measure", lambda p: names.append(p.relpath) or original(p))
    return names


def test_a_second_look_decodes_only_what_is_new(tmp_path: Path, decoded: list[str]) -> None:
    """By content: a renamed picture is known, a changed one is not."""
    folder = fill(tmp_path / "set", 6)
    first = linted(folder)
    assert sorted(decoded) == [f"{n:03d}.png" for n in range(6)]
    decoded.clear()
    assert linted(folder) == first
    assert decoded == []
    (folder / "000.png").rename(folder / "zzz.png")
    picture(90).save(folder / "001.png")
    linted(folder)
    assert decoded == ["001.png"]


def test_the_same_bytes_are_decoded_once(tmp_path: Path, decoded: list[str]) -> None:
    """However many copies there are."""
    folder = fill(tmp_path / "set", 1)
    for name in ("b.png", "c.png"):
        (folder / name).write_bytes((folder / "000.png").read_bytes())
    linted(folder)
    assert len(decoded) == 1


def test_stopping_keeps_what_was_looked_at(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next call decodes only the rest."""
    monkeypatch.setattr(memory, "CHUNK", 4)
    monkeypatch.setattr(memory, "THREADS", 1)
    subject = subject_of(fill(tmp_path / "set", 20))
    parts = scan_all(subject, quiet())
    watch = quiet()
    tick = watch.tick

    def stopping(stage: str, done: int, total: int | None = None) -> None:
        watch.stop = stage.startswith("looking") and done >= 8
        tick(stage, done, total)

    monkeypatch.setattr(watch, "tick", stopping)
    with pytest.raises(Preempted):
        gather(subject, parts, watch)
    (stored,) = sqlite3.connect(tmp_path / "cache" / "lint" / "measures.db").execute(
        "SELECT count(*) FROM measure"
    )
    assert stored[0] == 8
    decoded.clear()
    gather(subject, parts, quiet())
    assert len(decoded) == 12


def test_figures_of_another_version_are_made_again(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their meaning may have changed."""
    folder = fill(tmp_path / "set", 2)
    linted(folder)
    decoded.clear()
    monkeypatch.setattr(memory, "VERSION", 10**6)
    linted(folder)
    assert len(decoded) == 2


def test_a_fixed_dataset_is_clean_and_says_so(tmp_path: Path) -> None:
    """--fix writes; with the overlay in use the remarks are gone and the samples too."""
    folder = fill(tmp_path / "set", 6)
    (folder / "copy.png").write_bytes((folder / "000.png").read_bytes())
    (folder / "copy.txt").write_text("a cafÃ© with shapes, number 77")
    (folder / "001.txt").write_text("itâ€™s number one of the shapes")
    data = {"id": "cats", "path": str(folder)}
    place = job(tmp_path / "job.json", data)
    document, _ = linted(place, resolution=None, fix=True)
    (written,) = document["overlays"]
    path = tmp_path / "cats.overlay.toml"
    assert written == {
        "dataset": "cats",
        "path": str(path),
        "excluded": 1,
        "captions": 1,
        "in_use": False,
    }
    overlay = load_overlay(path)
    assert list(overlay.exclude) == ["copy.png"]
    assert overlay.captions == {"001.png": ("it’s number one of the shapes",)}
    used = job(tmp_path / "used.json", data | {"overlay": str(path)})
    document, findings = linted(used, resolution=None)
    assert flagged(document, findings) == {}
    part = scan_all(subject_of(used, resolution=None), quiet())[0]
    (lost,) = scan_document([part])["datasets"][0]["excluded"]
    assert lost == {"path": "copy.png", "reason": overlay.exclude["copy.png"]}
    assert "copy.png" not in list(part.table.relpaths)
    assert part.table.captions(1) == ("it’s number one of the shapes",)


def test_a_second_fix_adds_to_the_overlay_in_use(tmp_path: Path) -> None:
    """Hand edits stay; --exclude leaves out codes of judgement as well."""
    folder = fill(tmp_path / "set", 4)
    picture(50).point(lambda v: v * 0.1).save(folder / "dark.png")
    (folder / "dark.txt").write_text("darkness")
    mine = tmp_path / "mine.toml"
    mine.write_text('# my notes\n[exclude]\n"002.png" = "I do not like it"\n')
    place = job(tmp_path / "job.json", {"id": "cats", "path": str(folder), "overlay": str(mine)})
    document, _ = linted(place, resolution=None, exclude=["dat079"])
    assert document["overlays"][0]["in_use"]
    assert mine.read_text().startswith("# my notes")
    assert set(load_overlay(mine).exclude) == {"002.png", "dark.png"}


def test_an_unknown_code_is_refused_before_any_work(tmp_path: Path, decoded: list[str]) -> None:
    """With the codes there are."""
    with pytest.raises(ConfigError, match="DAT999"):
        linted(fill(tmp_path / "set", 1), exclude=["DAT999"])
    assert decoded == []


def test_the_sheet_shows_what_was_found(tmp_path: Path) -> None:
    """A PNG; also when there is nothing to show."""
    folder = fill(tmp_path / "set", 3)
    (folder / "copy.png").write_bytes((folder / "000.png").read_bytes())
    (folder / "torn.png").write_bytes((folder / "001.png").read_bytes()[:9000])
    linted(folder, sheet=tmp_path / "sheets" / "found.png")
    with Image.open(tmp_path / "sheets" / "found.png") as sheet:
        assert sheet.format == "PNG"
        assert sheet.height > 400
    linted(fill(tmp_path / "clean", 2, first=40), sheet=tmp_path / "none.png")
    with Image.open(tmp_path / "none.png") as sheet:
        assert sheet.height < 100


def bare(number: int, id: str, count: int, **settings) -> Group:
    """A group of samples without files."""

    class Data:
        role, kind = "train", settings.get("kind", "image")
        repeats = settings.get("repeats", 1)
        video = settings.get("video", VideoConfig())
        geometry = None

    Data.id = id  # type: ignore[attr-defined]
    samples = [Sample(number, f"{n}.png", Facts(99, 99), b"", ("x",), None) for n in range(count)]
    config = DatasetConfig(id=id, path="x", weight=settings.get("weight", 1.0))
    return Group(number, Data, config, settings.get("sound", False), samples)  # type: ignore[arg-type]


def test_uneven_mixing_is_told_by_what_one_sample_gets(tmp_path: Path) -> None:
    """With epochs by repeats, with streams by weight per sample."""
    config = subject_of(fill(tmp_path / "set", 1)).config
    even = [bare(0, "a", 10), bare(1, "b", 1000)]
    assert mixing(config, even) == []
    (finding,) = mixing(config, [bare(0, "a", 10, repeats=20), bare(1, "b", 1000)])
    assert "20.0 times" in finding.message
    assert finding.evidence["shares"] == {"a": 0.1667, "b": 0.8333}
    stream = subject_of(tmp_path / "set", 'data.mix="stream"').config
    (finding,) = mixing(stream, even)
    assert "100.0 times" in finding.message


def test_a_lone_shape_among_many_is_told(tmp_path: Path) -> None:
    """Not when there are several of it, and not in small sets."""
    folder = tmp_path / "set"
    fill(folder, 24)
    picture(70).resize((520, 200)).save(folder / "wide.png")
    (folder / "wide.txt").write_text("a wide drawing of shapes")
    document, findings = linted(folder)
    assert flagged(document, findings)["DAT082"] == {"wide.png"}
    for number in range(5):
        picture(80 + number).resize((520, 200)).save(folder / f"wide-{number}.png")
    subject = subject_of(folder)
    (group,) = gather(subject, scan_all(subject, quiet()), quiet())
    assert list(check_geometry(group)) == []


def film(frames: int, fps: float, seconds: float, channels: int = 0) -> Sample:
    facts = Facts(64, 64, frames, fps, seconds, channels)
    return Sample(0, f"{frames}-{seconds}.mp4", facts, b"", (), None)


def test_films_that_are_too_short_or_silent() -> None:
    """Counted at the rate that is trained; sound only where it is needed."""
    video = VideoConfig(frames=33, fps=8.0)
    base = bare(0, "films", 0, kind="video", video=video)
    samples = [film(96, 24.0, 4.0, 2), film(120, 24.0, 5.0), film(40, 8.0, 5.0, 1)]
    told = list(check_media(replace(base, needs_sound=True, samples=samples)))
    assert [(f.code, f.path) for f in told] == [
        ("DAT093", "96-4.0.mp4"),
        ("DAT095", "120-5.0.mp4"),
    ]
    assert told[0].detail == "32 frames at 8 fps, 33 are needed"
    assert [f.code for f in check_media(replace(base, samples=samples))] == ["DAT093"]


def test_lengths_unlike_the_rest() -> None:
    """Four times longer or shorter than the median, unless that is common."""
    base = bare(0, "sounds", 0, kind="audio")
    lengths = [5.0, 6.0, 7.0, 5.5, 4.0, 6.5, 5.0, 6.0, 7.5, 5.0, 60.0]
    samples = [film(0, 0.0, s + n / 1000, 1) for n, s in enumerate(lengths)]
    assert [f.path for f in check_media(replace(base, samples=samples))] == ["0-60.01.mp4"]
    assert list(check_media(replace(base, samples=samples + samples[-1:] * 4))) == []


def test_findings_come_worst_first_and_the_sums_are_shown(tmp_path: Path) -> None:
    """The epoch arithmetic is part of the document."""
    folder = fill(tmp_path / "set", 6)
    clear = picture(60).convert("RGBA")
    clear.putalpha(128)
    file = io.BytesIO()
    clear.save(file, "PNG")
    (folder / "clear.png").write_bytes(file.getvalue())
    (folder / "clear.txt").write_text("a ghost of shapes")
    (folder / "torn.png").write_bytes((folder / "001.png").read_bytes()[:9000])
    (folder / "torn.txt").write_text("half of some shapes")
    document, findings = linted(folder, "train.batch_size=4", "train.accumulate=2")
    assert [f.level for f in findings] == sorted(
        [f.level for f in findings], key=["error", "warn", "info"].index
    )
    assert document["epoch"]["shown"][-1].startswith("2 batches / accumulate 2 = 1 steps")


def test_an_empty_folder_is_no_crash(tmp_path: Path) -> None:
    """Nothing found, nothing flagged."""
    (tmp_path / "set").mkdir()
    document, findings = linted(tmp_path / "set")
    assert (document["files"], findings) == ([], [])
    subject = subject_of(tmp_path / "set")
    assert lint(subject, [], quiet())[1] == []
