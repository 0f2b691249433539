"""Run-directory files survive torn writes and give gap-free sequences."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.errors import ConfigError
from trainer.runs.control import ControlReader, send
from trainer.runs.events import EventTail, EventWriter, read_events
from trainer.runs.files import drop_torn_tail, last_line
from trainer.runs.heartbeat import process_identity, same_process
from trainer.runs.lock import acquire
from trainer.runs.metrics import MetricsWriter, read_metrics


def test_numbering_continues_over_attempts_and_torn_lines(tmp_path):
    """A kill in the middle of a line costs that line only; the next attempt leaves no gap."""
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path, "r")
    writer.emit("phase", phase="scan", state="begin")
    writer.emit("phase", phase="scan", state="end")
    writer.close()
    with path.open("ab") as file:
        file.write(b'{"seq":3,"kind":"pha')
    again = EventWriter(path, "r")
    assert again.emit("run.start", attempt=2) == 3
    assert [e["seq"] for e in read_events(path)] == [1, 2, 3]
    assert [e["seq"] for e in read_events(path, after=1)] == [2, 3]


def test_unknown_kind_is_a_programming_error(tmp_path):
    """Kinds are a closed list, because clients rely on it."""
    with pytest.raises(AssertionError, match="unknown event kind"):
        EventWriter(tmp_path / "e", "r").emit("something")


@given(cut=st.integers(0, 60), lines=st.integers(0, 3))
def test_torn_tail_is_cut_at_the_last_newline(tmp_path_factory, cut, lines):
    """Whatever byte a write stopped at, whole lines stay and nothing else."""
    path = tmp_path_factory.mktemp("torn") / "f"
    whole = b"".join(json.dumps({"n": i}).encode() + b"\n" for i in range(lines))
    path.write_bytes(whole + b"x" * cut)
    drop_torn_tail(path)
    assert path.read_bytes() == whole
    assert (last_line(path) or {}).get("n") == (lines - 1 if lines else None)


def test_tail_delivers_each_record_once(tmp_path):
    """An incremental reader never sees half a line, twice a line, or a gap."""
    path = tmp_path / "events.jsonl"
    writer, tail, seen = EventWriter(path, "r"), EventTail(path), []
    for number in range(10):
        writer.emit("progress", step=number)
        if number % 3 == 0:
            seen += tail.poll()
    seen += tail.poll()
    assert [e["step"] for e in seen] == list(range(10))


def test_metrics_forget_steps_after_the_checkpoint(tmp_path):
    """Steps that will be taken again are cut, the others keep their bytes."""
    writer = MetricsWriter(tmp_path / "m")
    writer.append({"step": s, "loss": 0.1 * s} for s in range(1, 6))
    kept = b"".join((tmp_path / "m").read_bytes().splitlines(keepends=True)[:3])
    writer.truncate_after(3)
    assert (tmp_path / "m").read_bytes() == kept
    writer.append([{"step": 4, "loss": 1.0}])
    assert [r["step"] for r in read_metrics(tmp_path / "m")] == [1, 2, 3, 4]


def test_commands_of_an_earlier_attempt_are_not_applied(tmp_path):
    """A stop that ended attempt 1 does not end attempt 2."""
    path = tmp_path / "control.jsonl"
    send(path, "stop", intent="pause")
    reader = ControlReader(path)
    assert reader.poll() == []
    sent = send(path, "checkpoint")
    assert [(c.id, c.command) for c in reader.poll()] == [(sent, "checkpoint")]
    assert reader.poll() == []


def test_recycled_pid_is_not_the_same_process():
    """Same pid, other start time: another process."""
    record = process_identity(os.getpid())
    assert same_process(record)
    assert not same_process(record | {"start_ticks": record["start_ticks"] - 1})
    assert not same_process(record | {"boot_id": "other"})
    assert not same_process({"pid": 2**22 + 1, "start_ticks": 1, "boot_id": record["boot_id"]})


def test_second_trainer_is_refused(tmp_path):
    """Two processes cannot hold one run directory."""
    fd = acquire(tmp_path / ".lock")
    with pytest.raises(ConfigError, match="RUN002"):
        acquire(tmp_path / ".lock")
    os.close(fd)
    os.close(acquire(tmp_path / ".lock"))
