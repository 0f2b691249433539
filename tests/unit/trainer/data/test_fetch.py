"""Addresses of a table become tar shards: once each, whatever interrupts, and with reasons."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from tests.support import child
from tests.support.indexed import picture, scanned
from tests.support.s3 import answering, silent
from trainer.data import fetch as module
from trainer.data.captions import CaptionFile, parse_text
from trainer.data.download import Limits, Unfetched, download
from trainer.data.fetch import Report, fetch
from trainer.data.fetched import only_one
from trainer.data.sources.columns import CaptionColumns
from trainer.data.sources.shards import LocalShards
from trainer.data.sources.tar import Tars
from trainer.errors import DataError

CAPTION = CaptionColumns(("caption",), None)
QUICK = Limits(timeout_s=0.3, tries=2, pause_s=0.01)


def png(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16 + number, 16), (number, 0, 0)).save(file, "PNG")
    return file.getvalue()


def send(handler, status: int = 200, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in ({"Content_Length": str(len(body))} | headers).items():
        if value:
            handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)
    handler.close_connection = True


class Web:
    """A site whose /N.png is a picture; other paths answer as told. Counts requests."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, Callable] = {}

    def answer(self, handler) -> None:
        path = handler.path
        self.asked[path] += 1
        if path in self.answers:
            self.answers[path](handler)
        elif path.endswith(".png"):
            send(handler, body=png(int(path[1:-4])), Content_Type="image/png")
        else:
            send(handler, 404)


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    with answering(web.answer) as address:
        web.address = address
        yield web


def table(folder: Path, web: Web, paths: list[str], name: str = "t.jsonl") -> Path:
    rows = [
        {"url": web.address + p, "caption": [f"words {n}", "x\ny"]} for n, p in enumerate(paths)
    ]
    (folder / name).write_text("\n".join(map(json.dumps, rows)))
    return folder / name


def fetched(table: Path, to: Path, **rest) -> Report:
    return fetch(table, to, **({"captions": CAPTION, "limits": QUICK, "concurrency": 4} | rest))


def held(to: Path) -> list[str]:
    """Names in all shards."""
    names = []
    for shard in sorted(to.glob("*.tar")):
        with tarfile.open(shard) as tar:
            names += tar.getnames()
    return names


def rows_of(to: Path) -> list[int]:
    return [int(name[:10]) for name in held(to) if not name.endswith(".txt")]


def test_a_table_becomes_a_source(tmp_path, web):
    """Pictures and captions are read from the shards as from any others."""
    report = fetched(table(tmp_path, web, [f"/{n}.png" for n in range(5)]), tmp_path / "to")
    assert (report.rows, report.samples, report.failed, report.finished) == (5, 5, 0, True)
    text = CaptionFile(".txt", ".txt", parse_text)
    source = Tars(LocalShards(str(tmp_path / "to")), "image", text, None, tmp_path / "state")
    rows = scanned(source, tmp_path / "i" / "t.db")
    assert list(rows) == [f"000000.tar/{n:010d}.png" for n in range(5)]
    assert rows["000000.tar/0000000003.png"].text == "words 3\nx y"
    assert picture(source, rows["000000.tar/0000000003.png"]).width == 19


def test_shards_are_bounded_and_do_not_depend_on_timing(tmp_path, web):
    """In the order of rows, byte for byte the same with one or many at once."""
    path = table(tmp_path, web, [f"/{n}.png" for n in range(12)])
    for to, concurrency in (("one", 1), ("many", 8)):
        report = fetched(path, tmp_path / to, shard_bytes=200, concurrency=concurrency)
        assert report.shards == 4
    one, many = (sorted((tmp_path / to).glob("*.tar")) for to in ("one", "many"))
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in many]
    assert rows_of(tmp_path / "one") == list(range(12))


def test_nothing_is_fetched_twice(tmp_path, web):
    """A second fetch of a finished table asks for nothing."""
    path = table(tmp_path, web, ["/1.png", "/2.png"])
    fetched(path, tmp_path / "to")
    assert fetched(path, tmp_path / "to").samples == 2
    assert web.asked == {"/1.png": 1, "/2.png": 1}


def test_a_stopped_fetch_goes_on(tmp_path, web):
    """What was fetched before is kept; the rest follows, nothing twice."""
    path = table(tmp_path, web, [f"/{n}.png" for n in range(10)])
    seen = []
    report = fetched(
        path,
        tmp_path / "to",
        on_progress=lambda done, failed: seen.append(done),
        should_stop=lambda: len(seen) >= 4,
    )
    assert (report.finished, report.rows, seen) == (False, 4, [1, 2, 3, 4])
    assert fetched(path, tmp_path / "to").finished
    assert rows_of(tmp_path / "to") == list(range(10))


@pytest.mark.parametrize("fault", ["fetch.after_shard@2=kill", "fetch.after_manifest@2=kill"])
def test_killed_at_any_point_no_row_is_lost_or_doubled(tmp_path, web, fault):
    """SIGKILL between shard and manifest, or after both."""
    path = table(tmp_path, web, [f"/{n}.png" for n in range(9)])
    code = child.run(lambda: fetched(path, tmp_path / "to", shard_bytes=200), fault)
    assert code == -signal.SIGKILL
    with open(tmp_path / "to" / "manifest.jsonl", "a") as file:
        file.write('{"shard": "00')  # as if it had died within a line
    assert fetched(path, tmp_path / "to", shard_bytes=200).samples == 9
    assert rows_of(tmp_path / "to") == list(range(9))
    assert not list((tmp_path / "to").glob("*.part"))


def test_failures_are_listed_with_reasons(tmp_path, web):
    """Each kind of failure, by row and address; the others are kept."""
    web.answers = {
        "/gone": lambda h: send(h, 404),
        "/page": lambda h: send(h, body=b"<html>not found", Content_Type="text/html"),
        "/big": lambda h: send(h, Content_Length="999999999"),
        "/endless": lambda h: send(h, body=b"x" * 5000, Content_Length=""),
        "/cut.png": lambda h: send(h, body=png(1)[:40]),
        "/busy": lambda h: send(h, 503),
        "/short": lambda h: send(h, body=b"x", Content_Length="10"),
        "/file": lambda h: send(h, 302, Location="file:///etc/hostname"),
        "/loop": lambda h: send(h, 302, Location="/loop"),
    }
    path = table(tmp_path, web, ["/0.png", *web.answers, "/1.png"])
    extra = [{"url": u, "caption": "x"} for u in ("", None, "ftp://x/y.png", "a.png", "http://[/")]
    path.write_text(path.read_text() + "\n" + "\n".join(map(json.dumps, extra)))
    limits = Limits(timeout_s=5, tries=2, pause_s=0.01, max_bytes=1000)
    report = fetched(path, tmp_path / "to", limits=limits)
    assert (report.samples, report.failed) == (2, 14)
    assert report.findings[0].code == "DAT032"
    lines = (tmp_path / "to" / "failures.jsonl").read_text().splitlines()
    reasons = {f["url"].removeprefix(web.address): f["reason"] for f in map(json.loads, lines)}
    assert "404" in reasons["/gone"]
    assert "text/html" in reasons["/page"]
    assert reasons["/big"] == "999999999 bytes, more than 1000"
    assert reasons["/endless"] == "more than 1000 bytes"
    assert reasons["/cut.png"].startswith("what came is no image")
    assert reasons["/busy"].startswith("503")
    assert reasons["/short"] == "the transfer broke after 1 of 10 bytes, 2 times"
    assert reasons["/file"]
    assert reasons["/loop"]
    assert reasons["ftp://x/y.png"] == reasons["a.png"] == "not an http or https address"
    assert "valid" in reasons["http://[/"]
    assert web.asked["/busy"] == web.asked["/short"] == 2
    assert web.asked["/gone"] == 1


def test_failures_are_tried_again_on_request(tmp_path, web):
    """Only those; what works now leaves the list and comes into a shard of its own."""
    web.answers = {"/7": lambda h: send(h, 404), "/8": lambda h: send(h, 404)}
    path = table(tmp_path, web, ["/0.png", "/7", "/2.png", "/8"])
    assert fetched(path, tmp_path / "to").failed == 2
    web.answers["/7"] = lambda h: send(h, body=png(7))
    report = fetched(path, tmp_path / "to", retry_failed=True)
    assert (report.samples, report.failed, report.rows) == (3, 1, 4)
    assert web.asked == {"/0.png": 1, "/7": 2, "/2.png": 1, "/8": 2}
    assert sorted(rows_of(tmp_path / "to")) == [0, 1, 2]
    web.answers["/8"] = web.answers["/7"]
    assert fetched(path, tmp_path / "to", retry_failed=True).failures is None
    assert not (tmp_path / "to" / "failures.jsonl").exists()


def test_a_busy_server_is_asked_again_after_its_own_pause(web):
    """Retry-After is kept, as seconds or as a date."""
    pauses = []

    def stopped(seconds: float) -> bool:
        pauses.append(seconds)
        return False

    for asked in ("7", "Mon, 01 Jan 2001 00:00:00 GMT"):
        left = [1]
        web.answers["/x"] = lambda h, left=left, asked=asked: (
            send(h, 429, Retry_After=asked) if left and left.pop() else send(h, body=b"done")
        )
        assert download(f"{web.address}/x", QUICK, stopped).data == b"done"
    assert [p for p in pauses if p] == [7.0, QUICK.pause_s]


def test_a_silent_server_costs_its_time_limit():
    """Not more."""
    with silent() as address, pytest.raises(Unfetched, match="no answer in time, 2 times"):
        download(f"{address}/x", QUICK, lambda s: False)


def test_odd_addresses_are_quoted(web):
    """Blanks and letters that a request line may not hold."""
    web.answers["/a%20%C3%BC.png?q=%C3%BC&p=a%20b"] = lambda h: send(h, body=b"x")
    assert download(f" {web.address}/a ü.png?q=ü&p=a%20b#top", QUICK, lambda s: False).data == b"x"


def test_a_stop_ends_waiting_downloads(tmp_path, web):
    """A server that takes its time does not hold up the end."""
    let_go = threading.Event()
    web.answers["/slow"] = lambda h: (let_go.wait(20), send(h, 404))
    path = table(tmp_path, web, ["/0.png", "/slow"])
    try:
        report = fetched(
            path,
            tmp_path / "to",
            limits=Limits(timeout_s=1),
            should_stop=lambda: web.asked["/slow"],
        )
        assert (report.finished, report.rows) == (False, 1)
    finally:
        let_go.set()


# --- what is refused ---------------------------------------------------------------------------


@contextmanager
def refused(code: str) -> Iterator[list[str]]:
    said: list[str] = []
    with pytest.raises(DataError) as error:
        yield said
    assert error.value.finding.code == code
    said.append(error.value.finding.message)


def test_a_folder_of_another_table(tmp_path, web):
    """Rows would be mixed."""
    fetched(table(tmp_path, web, ["/1.png"]), tmp_path / "to")
    with refused("DAT033"):
        fetched(table(tmp_path, web, ["/2.png"]), tmp_path / "to")
    assert rows_of(tmp_path / "to") == [0]


def test_a_folder_in_use(tmp_path, web):
    """Two fetches at once."""
    path = table(tmp_path, web, ["/1.png"])
    with only_one(tmp_path / "to"), refused("DAT033"):
        fetched(path, tmp_path / "to")


def test_columns_that_are_not_there(tmp_path, web):
    """Named, or looked for."""
    path = table(tmp_path, web, ["/1.png"])
    for wrong in ({"url_column": "link"}, {"captions": CaptionColumns(("text",), None)}):
        with refused("DAT028") as said:
            fetched(path, tmp_path / "to", **wrong)
        assert "columns: url, caption" in said[0]
    (tmp_path / "p.csv").write_text("path,caption\na.png,x\n")
    with refused("DAT028"):
        fetched(tmp_path / "p.csv", tmp_path / "to")


def test_a_full_disk(tmp_path, web, monkeypatch):
    """Told as such; whole shards are kept and the fetch goes on later."""
    from trainer import faults

    path = table(tmp_path, web, [f"/{n}.png" for n in range(9)])
    monkeypatch.setattr(faults, "_spec", "fetch.after_shard@2=enospc")
    monkeypatch.setattr(faults, "_passes", {})
    with refused("DAT034") as said:
        fetched(path, tmp_path / "to", shard_bytes=200)
    assert os.strerror(28) in said[0]
    monkeypatch.setattr(faults, "_spec", "")
    fetched(path, tmp_path / "to", shard_bytes=200)
    assert rows_of(tmp_path / "to") == list(range(9))


def test_memory_is_bounded_while_a_row_takes_its_time(tmp_path, web, monkeypatch):
    """Behind a slow row, only so much is fetched ahead."""
    monkeypatch.setattr(module, "WAITING_BYTES", 1)
    let_go = threading.Event()
    web.answers["/slow"] = lambda h: (let_go.wait(20), send(h, 404))
    path = table(tmp_path, web, ["/slow", *(f"/{n}.png" for n in range(100))])
    looks = []

    def look() -> bool:
        looks.append(sum(web.asked.values()))
        if len(looks) == 3:
            let_go.set()
        return False

    assert fetched(path, tmp_path / "to", limits=Limits(), should_stop=look).samples == 100
    assert looks[2] <= 2 * 4 * module.AHEAD
