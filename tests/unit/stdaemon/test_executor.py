"""The local executor with real processes: identity, double delivery, withdrawal, clearing up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from stdaemon.exec import local
from stdaemon.exec.base import Ticket
from stdaemon.exec.launcher import CANNOT_START, LOCK_NAME
from stdaemon.exec.local import LEASE, LocalExecutor, holders, is_foreign
from tests.support.daemon import until
from trainer.runs.files import read_json
from trainer.runs.heartbeat import process_identity, same_process
from trainer.runs.layout import RunDir

WAITS = "import sys; sys.stdin = open('/dev/zero', 'rb'); import signal; signal.pause()"


@pytest.fixture
def ticket(tmp_path: Path) -> Iterator[Ticket]:
    made = Ticket(RunDir(tmp_path / "run").create(), 1, os.urandom(8).hex(), ("cpu:0",))
    yield made
    for process in holders(made.lease):
        process.kill()


def python(code: str) -> LocalExecutor:
    return LocalExecutor([sys.executable, "-c", code])


def ended(executor: LocalExecutor, ticket: Ticket):
    until(lambda: executor.observe(ticket).end is not None, 20)
    return executor.observe(ticket).end


def running(executor: LocalExecutor, ticket: Ticket) -> dict:
    executor.start(ticket)
    until(lambda: executor.observe(ticket).trainer is not None, 20)
    trainer = executor.observe(ticket).trainer
    assert trainer is not None
    return trainer


def test_a_trainer_is_named_before_it_does_anything(ticket: Ticket) -> None:
    """`pid.json` is there, with this very process, when the first line of the trainer runs."""
    executor = python(
        "import json, os, sys\n"
        f"record = json.load(open({str(ticket.folder / 'pid.json')!r}))\n"
        "sys.exit(0 if record['trainer']['pid'] == os.getpid() else 1)"
    )
    executor.start(ticket)
    end = ended(executor, ticket)
    assert (end.code, end.signal) == (0, None)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import sys; sys.exit(77)", (77, None)),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", (None, 9)),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", (None, 15)),
    ],
)
def test_the_end_is_what_the_system_says(ticket: Ticket, code: str, expected) -> None:
    """Exit codes and signals arrive as they were; TERM is not swallowed by the launcher."""
    executor = python(code)
    executor.start(ticket)
    end = ended(executor, ticket)
    assert (end.code, end.signal) == expected


def test_a_start_delivered_twice_runs_once(ticket: Ticket) -> None:
    """Two launchers for one ticket, at the same time and again at the end: one trainer."""
    executor = python("print('ran', flush=True)")
    executor.start(ticket)
    executor.start(ticket)
    ended(executor, ticket)
    executor.start(ticket)
    until(lambda: not executor._children or executor.reap() or not executor._children, 20)
    assert ticket.run.log.read_text().count("ran") == 1


def test_a_withdrawn_start_never_runs(ticket: Ticket) -> None:
    """A launcher that comes too late reads the mark and does nothing."""
    executor = python("print('ran', flush=True)")
    assert executor.revoke(ticket)
    executor.start(ticket)
    until(lambda: executor.reap() or not executor._children, 20)
    assert executor.observe(ticket).pending
    assert "ran" not in ticket.run.log.read_text()


def test_a_start_that_is_taken_up_cannot_be_withdrawn(ticket: Ticket) -> None:
    """Under the launcher's lock there is no moment at which both happen."""
    import fcntl

    executor = python(WAITS)
    fd = os.open(ticket.run.path / LOCK_NAME, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert not executor.revoke(ticket)
    os.close(fd)
    running(executor, ticket)
    assert not executor.revoke(ticket)
    assert executor.collect(ticket)
    assert not executor.revoke(ticket), "it has run, so its end is to be booked"


def test_another_lease_is_another_attempt(ticket: Ticket) -> None:
    """Records of a lease that a restored database does not know are not believed."""
    executor = python("print('ran', flush=True)")
    executor.start(ticket)
    ended(executor, ticket)
    again = Ticket(ticket.run, 1, os.urandom(8).hex(), ("cpu:0",))
    assert executor.observe(again).pending
    executor.start(again)
    assert ended(executor, again).code == 0
    assert ticket.run.log.read_text().count("ran") == 2


def test_a_worker_that_outlives_its_trainer_is_cleared_away(ticket: Ticket) -> None:
    """Even one in a session of its own; a bystander without the lease is not touched."""
    worker = f"[sys.executable, '-c', {WAITS!r}]"
    executor = python(f"import subprocess, sys; subprocess.Popen({worker}, start_new_session=True)")
    bystander = subprocess.Popen([sys.executable, "-c", WAITS])
    executor.start(ticket)
    assert ended(executor, ticket).code == 0
    left = list(holders(ticket.lease))
    assert [p.cmdline()[1:] for p in left if p.cmdline()[1] == "-c"] == [["-c", WAITS]]
    assert executor.collect(ticket)
    assert list(holders(ticket.lease)) == []
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_frozen_launcher_does_not_hide_the_end(ticket: Ticket, monkeypatch) -> None:
    """The launcher is stopped and the trainer killed: noticed within the time, then cleared."""
    monkeypatch.setattr(local, "WIDOWED_S", 0.2)
    executor = python(WAITS)
    trainer = running(executor, ticket)
    launcher = read_json(ticket.folder / "pid.json")["launcher"]
    os.kill(launcher["pid"], signal.SIGSTOP)
    os.kill(trainer["pid"], signal.SIGKILL)
    assert ended(executor, ticket).reason == "killed_signal"
    assert executor.collect(ticket)
    until(lambda: executor.reap() or not same_process(launcher), 5)


def test_term_wakes_a_stopped_trainer(ticket: Ticket) -> None:
    """SIGSTOPped, it could not hear TERM: it is continued as well."""
    executor = python(
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *a: sys.exit(75))\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()"
    )
    trainer = running(executor, ticket)
    until(lambda: "ready" in ticket.run.log.read_text(), 10)
    os.kill(trainer["pid"], signal.SIGSTOP)
    until(lambda: psutil.Process(trainer["pid"]).status() == psutil.STATUS_STOPPED, 5)
    assert executor.signal(ticket, trainer, signal.SIGTERM)
    assert ended(executor, ticket).code == 75


def test_a_recycled_process_id_is_never_signalled(ticket: Ticket) -> None:
    """Same number, other start time or other boot: another process."""
    bystander = subprocess.Popen([sys.executable, "-c", WAITS])
    record = process_identity(bystander.pid)
    for change in ({"start_ticks": record["start_ticks"] - 1}, {"boot_id": "another"}):
        assert not python("").signal(ticket, record | change, signal.SIGKILL)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_the_trainer_sees_its_devices_and_lease(tmp_path: Path) -> None:
    """GPUs by uuid, an empty list on the CPU slot."""
    show = f"import os; print([os.environ[k] for k in ('CUDA_VISIBLE_DEVICES', '{LEASE}')])"
    for devices, shown in ((("GPU-a", "GPU-b"), "GPU-a,GPU-b"), (("cpu:0",), "")):
        run = RunDir(tmp_path / (shown or "cpu")).create()
        ticket = Ticket(run, 1, os.urandom(8).hex(), devices)
        executor = python(show)
        executor.start(ticket)
        ended(executor, ticket)
        assert f"['{shown}', '{ticket.lease}']" in run.log.read_text()


def test_a_program_that_cannot_start_is_an_end(ticket: Ticket) -> None:
    """No such program: an exit code of its own, and the reason in the run's log."""
    executor = LocalExecutor(["/nonexistent/python"])
    executor.start(ticket)
    assert ended(executor, ticket).code == CANNOT_START
    assert "No such file" in ticket.run.log.read_text()


def test_foreign_means_alive_and_not_ours(ticket: Ticket) -> None:
    """The test itself is foreign, a trainer is not, and a process that is gone is neither."""
    executor = python(WAITS)
    trainer = running(executor, ticket)
    assert not is_foreign(trainer["pid"])
    assert is_foreign(os.getpid())
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert not is_foreign(gone.pid)
