"""`stune data` as a person types it: every verb, for people and programs, and what goes wrong."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator

import pytest
from PIL import Image

from tests.support.cli import Home, cli_home, until
from tests.support.pictures import make_folder
from tests.support.s3 import answering

SIZE = ("--resolution", "64px2")


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with cli_home(OMP_NUM_THREADS="1") as home:
        folder = make_folder(home.path / "set", 9, sizes=((64, 64), (128, 64)))
        (folder / "p003.png").write_bytes((folder / "p003.png").read_bytes()[:80])
        (folder / "copy.png").write_bytes((folder / "p001.png").read_bytes())
        (folder / "copy.txt").write_text("a copy")
        (folder / "p005.txt").unlink()
        yield home


def contents(home: Home) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (home.path / "set").iterdir()}


def test_scan_shows_the_funnel_and_every_loss(home):
    """Ten pictures, one without a caption; the cut one has a whole header, so lint finds it."""
    done = home.stune("data", "scan", "set")
    assert done.code == 0
    assert "found 10 → readable 10 → size 10 → caption 9 → used 9" in done.out
    assert "p005.png" in done.out + done.err
    (one,) = home.stune("data", "scan", "set", "--json").data["datasets"]
    assert (one["found"], one["used"], one["lost"]) == (10, 9, {"uncaptioned": 1})


def test_stats_and_buckets_add_up(home):
    """The same samples in histograms, buckets and steps."""
    stats = home.stune("data", "stats", "set", *SIZE, "--json").data
    assert stats["datasets"][0]["used"] == 9
    plain = home.stune("data", "stats", "set", *SIZE, "--plain", env={"NO_COLOR": "1"})
    assert plain.code == 0
    assert not re.search(r"\x1b|█", plain.out)
    assert max(map(len, plain.out.splitlines())) <= 80
    done = home.stune("data", "buckets", "set", *SIZE, "--json")
    assert sum(bucket["samples"] for bucket in done.data) == 9


def test_captions_are_counted_and_filtered(home):
    """Words over all captions; a filter names the samples that hold it."""
    done = home.stune("data", "captions", "set", "--filter", "copy", "--json")
    (one,) = done.data["datasets"]
    assert one["missing"] == 1
    assert "copy.png" in done.out


def test_preview_writes_a_contact_sheet(home):
    """A real picture with the chosen samples on it."""
    sheet = home.path / "sheet.png"
    done = home.stune(
        "data", "preview", "set", *SIZE, "--count", "4", "--out", str(sheet), "--json"
    )
    assert done.code == 0
    with Image.open(sheet) as picture:
        picture.load()
        assert min(picture.size) > 100


def test_lint_writes_an_overlay_that_training_honours(home):
    """The copy and the cut file are left out, the files stay, and the next scan says why."""
    before = contents(home)
    overlay = home.path / "overlay.toml"
    done = home.stune("data", "lint", "set", *SIZE, "--fix", "--overlay", str(overlay), "--json")
    assert done.code in (0, 1)
    codes = {finding["code"] for finding in json.loads(done.out)["findings"]}
    assert {"DAT009", "DAT070"} <= codes
    assert contents(home) == before
    job = home.path / "job.toml"
    job.write_text(
        '[model]\nfamily = "sdxl"\n[train]\nsteps = 1\n[data]\nmissing_caption = "skip"\n'
        '[[data.datasets]]\nid = "a"\npath = "set"\noverlay = "overlay.toml"\n'
    )
    (one,) = home.stune("data", "scan", "job.toml", "--json").data["datasets"]
    left_out = {e["path"] for e in one["excluded"]}
    assert left_out in ({"copy.png", "p003.png"}, {"p001.png", "p003.png"})
    assert one["used"] == 7


def test_second_lint_says_the_same(home):
    """What was measured is remembered by content, and remembered right."""
    first = home.stune("data", "lint", "set", *SIZE, "--json")
    again = home.stune("data", "lint", "set", *SIZE, "--json")
    assert json.loads(first.out)["findings"] == json.loads(again.out)["findings"]


def test_fetch_makes_shards_and_lists_what_failed(home):
    """Addresses become samples of a tar source; a dead one has its reason; again costs nothing."""
    asked: list[str] = []

    def answer(request) -> None:
        asked.append(request.path)
        file = home.path / "set" / request.path.lstrip("/")
        data = file.read_bytes() if file.exists() else b""
        request.send_response(200 if data else 404)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    with answering(answer) as address:
        table = home.path / "table.csv"
        rows = [f"{address}/p00{n}.png,number {n}" for n in (0, 1, 2)] + [f"{address}/x.png,none"]
        table.write_text("url,caption\n" + "\n".join(rows) + "\n")
        done = home.stune("data", "fetch", "table.csv", "--to", "shards", "--tries", "1", "--json")
        assert (done.code, done.data["samples"], done.data["failed"]) == (0, 3, 1)
        count = len(asked)
        assert home.stune("data", "fetch", "table.csv", "--to", "shards").code == 0
        assert len(asked) == count
    job = home.path / "shards.toml"
    job.write_text(
        '[model]\nfamily = "sdxl"\n[train]\nsteps = 1\n[[data.datasets]]\nid = "a"\n'
        'source = { kind = "tar", path = "shards" }\n'
    )
    (one,) = home.stune("data", "scan", "shards.toml", "--json").data["datasets"]
    assert one["used"] == 3


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("scan", "nowhere"), "does not exist"),
        (("lint", "set", "--fail-on", "doom"), "is not a level"),
        (("stats", "set", "--kind", "smell"), "is not one of"),
        (("stats", "set", "--family", "fluxx"), "family"),
        (("fetch", "set/p000.txt", "--to", "t"), "p000.txt"),
        (("buckets", "set", "--resolution", "large"), "resolution"),
    ],
)
def test_mistakes_are_told_without_a_traceback(home, argv, told):
    """What is wrong and what to do, on stderr; the exit code says that it failed."""
    done = home.stune("data", *argv)
    assert done.code != 0
    assert told in done.err
    assert "Traceback" not in done.err


def test_interrupt_ends_it_and_keeps_what_was_read(home):
    """Ctrl-C: no traceback, and the next scan finishes."""
    make_folder(home.path / "many", 400)
    child = home.popen("data", "lint", "many", *SIZE)
    until(lambda: any((home.path / "many").iterdir()))
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode != 0 or b"remark" in err or b"note" in err
    assert b"Traceback" not in err
    assert home.stune("data", "scan", "many", "--json").data["datasets"][0]["used"] == 400
