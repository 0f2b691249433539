"""Films through the whole linter: uneven rates, short clips, sound, copies, damage."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.support.clips import make_film, need_av
from tests.support.procedural import picture
from tests.unit.trainer.data.lint.looking import flagged, job, linted, quiet, subject_of
from trainer.data.survey.preview import preview_document
from trainer.data.survey.scan import scan_all

need_av()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films") / "set"
    folder.mkdir()
    make_film(folder / "even.mp4", 30, size=(128, 64))
    uneven = [n + 5 * (n > 10) + 9 * (n > 20) for n in range(30)]
    make_film(folder / "uneven.mkv", 30, size=(128, 64), times=uneven)
    make_film(folder / "short.mp4", 7, size=(128, 64))
    make_film(folder / "tiny.mp4", 31, size=(64, 32))
    (folder / "copy.mp4").write_bytes((folder / "even.mp4").read_bytes())
    for number, path in enumerate(sorted(folder.iterdir())):
        path.with_suffix(".txt").write_text(f"stripes that move to the left, number {number}")
    return folder


def clips(path: Path, folder: Path, **settings: object) -> Path:
    dataset = {"id": "clips", "path": str(folder), "kind": "video", "resolution": "64px"}
    return job(path / "job.json", dataset | settings)


def test_each_remark_on_films(films: Path, tmp_path: Path) -> None:
    """Frames below need, variable rate, enlarging and copies; no remark on the sound track."""
    place = clips(tmp_path, films, video={"frames": 20})
    found = flagged(*linted(place, resolution=None))
    assert found == {
        "DAT093": {"short.mp4"},
        "DAT094": {"uneven.mkv"},
        "DAT008": {"tiny.mp4"},
        "DAT009": {"even.mp4"},
    }


def test_sound_is_missed_only_where_it_is_asked_for(films: Path, tmp_path: Path) -> None:
    """A dataset with audio settings needs a track in every film."""
    place = clips(tmp_path, films, audio={"rate": 16000})
    found = flagged(*linted(place, resolution=None))
    assert found["DAT095"] == {p.name for p in films.iterdir() if p.suffix != ".txt"}


def test_an_animation_is_remembered_as_picture_and_as_film(tmp_path: Path) -> None:
    """The same bytes in two datasets of different kinds do not mix up their figures."""
    frames = [picture(n, 64) for n in range(4)]
    folder = tmp_path / "set"
    folder.mkdir()
    frames[0].save(folder / "a.gif", save_all=True, append_images=frames[1:], duration=100)
    (folder / "a.txt").write_text("shapes that move")
    datasets = [{"id": kind, "path": str(folder), "kind": kind} for kind in ("image", "video")]
    for order in (datasets, datasets[::-1]):
        document, _ = linted(job(tmp_path / "job.json", *order), resolution=None)
        moving = [(f["dataset"], f["code"]) for f in document["files"] if f["code"] == "DAT071"]
        assert moving == [("image", "DAT071")]


def test_preview_shows_the_first_frame(films: Path, tmp_path: Path) -> None:
    """With its crop, on the sheet and for the terminal."""
    subject = subject_of(clips(tmp_path, films), resolution=None)
    out = tmp_path / "sheet.png"
    parts = scan_all(subject, quiet())
    document = preview_document(subject, parts, quiet(), count=3, out=out, thumbs=16)
    assert [s["thumb"]["width"] for s in document["samples"]] == [16] * 3
    with Image.open(out) as sheet:
        assert sheet.width > 3 * 200
