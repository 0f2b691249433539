"""Resumable streams: nothing lost, nothing twice, however often the connection breaks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from stdaemon.client.api import Client
from stdaemon.client.errors import Unreachable
from stdaemon.client.retry import Backoff
from stdaemon.client.stream import Resume, follow_events, follow_job_events, follow_log, frames
from stdaemon.client.transport.ssh import SshConnector
from stdaemon.client.transport.unix import UnixConnector
from tests.support import fake_ssh
from tests.support.unix_http import Handler, serve
from tests.unit.stdaemon_client.test_api import HELLO, JOB

TEXT = "".join(f"line {n}\n" for n in range(50))


def resume(**options: object) -> Resume:
    quick = Backoff(sleep=lambda s: None, uniform=lambda a, b: 1.0)
    return Resume(backoff=quick, **options)  # type: ignore[arg-type]


def client(short_dir: Path) -> Client:
    return Client(UnixConnector(short_dir / "s"))


def query(handler: Handler) -> dict[str, str]:
    return {k: v[0] for k, v in parse_qs(urlsplit(handler.path).query).items()}


def write(handler: Handler, record: dict[str, object]) -> None:
    handler.wfile.write(f"id: {record.get('seq', '')}\ndata: {json.dumps(record)}\n\n".encode())


def test_frames_join_lines_and_skip_comments() -> None:
    """The grammar of server-sent events."""
    lines = [": hi", "event: a", "data: 1", "data: 2", "id: 7", "", "", "data:x", "", "data: torn"]
    found = list(frames(lines))
    assert [(f.event, f.data, f.id) for f in found] == [("a", "1\n2", "7"), ("message", "x", "7")]


def test_a_log_arrives_whole_over_many_drops(short_dir: Path) -> None:
    """Every connection breaks after 40 bytes, some without a single one."""
    drops: list[float] = []

    def script(handler: Handler) -> None:
        if handler.path == "/v1/hello":
            handler.send(HELLO.model_dump_json().encode())
            return
        offset = int(query(handler)["offset"])
        handler.start_stream()
        if len(drops) % 3 == 2:
            return
        part = TEXT[offset : offset + 40]
        end = offset + len(part)
        chunk = {"offset": offset, "next_offset": end, "size": len(TEXT), "text": part}
        write(handler, chunk | {"done": end == len(TEXT)})
        handler.wfile.write(b": keep-alive\n\ndata: {torn")

    watch = resume(on_drop=lambda error, delay: drops.append(delay))
    with serve(short_dir / "s", script), client(short_dir) as api:
        chunks = list(follow_log(api, JOB.id, resume=watch))
    assert "".join(c.text for c in chunks) == TEXT
    assert len(drops) > 10
    assert max(drops) <= 1.0  # each success starts the waiting times anew


def test_a_log_over_ssh_survives_a_link_that_keeps_breaking(
    remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each ssh process dies after some hundred bytes, often inside a record."""
    monkeypatch.setenv("FAKE_SSH_DROP_BYTES", "900")
    text = "".join(f"{n:04d} {'x' * 60}\n" for n in range(60))

    def script(handler: Handler) -> None:
        if handler.path == "/v1/hello":
            handler.send(HELLO.model_dump_json().encode())
            return
        offset = int(query(handler)["offset"])
        handler.start_stream()
        while offset < len(text):
            end = min(len(text), offset + 130)
            chunk = {"offset": offset, "next_offset": end, "size": len(text)}
            write(handler, chunk | {"text": text[offset:end], "done": end == len(text)})
            offset = end

    drops: list[float] = []
    place = SshConnector(
        host="box",
        socket_path=str(remote / "s"),
        ssh=(sys.executable, fake_ssh.__file__),
        connect_timeout_s=20,
    )
    watch = resume(on_drop=lambda error, delay: drops.append(delay))
    with serve(remote / "s", script), Client(place) as api:
        chunks = list(follow_log(api, JOB.id, resume=watch))
    assert "".join(c.text for c in chunks) == text
    assert len(drops) > 3


def test_job_events_have_no_gap_and_no_repetition_and_end_with_the_job(short_dir: Path) -> None:
    """The server repeats old records and breaks off; the end comes from the state."""
    state = {"state": "running"}

    def script(handler: Handler) -> None:
        path = urlsplit(handler.path).path
        if path == "/v1/hello":
            handler.send(HELLO.model_dump_json().encode())
        elif path.endswith("/events/stream"):
            after = int(handler.headers.get("Last-Event-ID") or 0)
            assert after == int(query(handler)["after"])
            handler.start_stream()
            for seq in range(max(1, after), min(after + 3, 10) + 1):
                write(handler, {"seq": seq, "kind": "progress"})
            if after >= 8:
                state["state"] = "succeeded"
        elif path.endswith("/events"):
            handler.send(b'{"events": [{"seq": 11, "kind": "run.end"}], "last": 11}')
        else:
            job = JOB.model_dump(mode="json") | state
            handler.send(json.dumps(job).encode())

    with serve(short_dir / "s", script), client(short_dir) as api:
        seqs = [e["seq"] for e in follow_job_events(api, JOB.id, resume=resume())]
    assert seqs == list(range(1, 12))


def test_daemon_events_resume_after_the_last_numbered_one(short_dir: Path) -> None:
    """Unnumbered events (host figures) do not move the position."""
    asked: list[str] = []

    def script(handler: Handler) -> None:
        if handler.path == "/v1/hello":
            handler.send(HELLO.model_dump_json().encode())
            return
        after = query(handler)["after"]
        asked.append(after)
        handler.start_stream()
        write(handler, {"seq": int(after) + 1, "ts": 0, "kind": "job.state", "job": "a"})
        write(handler, {"seq": None, "ts": 0, "kind": "host.metrics"})

    found = []
    with serve(short_dir / "s", script), client(short_dir) as api:
        for event in follow_events(api, after=5, resume=resume()):
            found.append(event.seq)
            if len(found) == 6:
                break
    assert found == [6, None, 7, None, 8, None]
    assert asked[:3] == ["5", "6", "7"]


def test_a_daemon_that_stays_away_is_given_up(short_dir: Path) -> None:
    """After the agreed time the last error is raised (exit code 3)."""
    clock = iter(range(0, 1000, 30))
    watch = resume(give_up_s=100, monotonic=lambda: next(clock))
    with client(short_dir) as api, pytest.raises(Unreachable):
        list(follow_log(api, JOB.id, resume=watch))
    assert watch.backoff.attempts == 4
