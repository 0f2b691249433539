"""The engine over a fake world: what it does when starts are lost, jobs break, time passes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from stdaemon.store.db import ReadOnly
from stdaemon.wire.jobs import Action
from tests.support.daemon_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_a_start_lost_in_a_crash_costs_no_attempt(bench: Bench) -> None:
    """Booked but never launched: the next daemon launches the same attempt."""
    job = bench.submit()
    bench.world.lose_starts = True
    bench.turn()
    assert bench.state(job) == "starting"
    bench.world.lose_starts = False
    bench.restart()
    bench.turn()
    trainer = bench.trainer(job)
    assert trainer.ticket.attempt == 1
    assert len(bench.attempts(job)) == 1
    bench.world.report(trainer)
    bench.world.finish(trainer, 0)
    bench.turn()
    assert bench.state(job) == "succeeded"


def test_a_launch_that_never_reports_is_withdrawn_and_tried_again(bench: Bench) -> None:
    """After the grace time the start is revoked, counted, and its device given back."""
    job = bench.submit()
    bench.world.lose_starts = True
    bench.turn()
    lease = bench.attempts(job)[0].lease
    bench.turn(after=bench.settings.spawn_grace_s + 1)
    assert lease in bench.world.revoked
    assert bench.leases() == {}
    row = bench.row(job)
    assert (row.state, row.reason, row.failures) == ("queued", "launcher_error", 1)


def test_trouble_with_one_job_holds_up_no_other(tmp_path: Path, caplog) -> None:
    """A job that cannot be looked at is told of once; the others run."""
    bench = Bench(tmp_path, devices=2)
    broken = bench.submit()
    bench.turn()
    bench.world.broken.add(Path(bench.row(broken).run_dir).name)
    with caplog.at_level(logging.ERROR, "stdaemon"):
        for _ in range(5):
            bench.turn()
        good, trainer = bench.running()
        bench.world.finish(trainer, 0)
        bench.turn()
    assert bench.state(good) == "succeeded"
    assert sum("cannot be looked at" in r.message for r in caplog.records) == 1
    bench.close()


def test_back_off_doubles_and_attempts_are_limited(bench: Bench) -> None:
    """A killed trainer is tried three times, each time after twice the wait."""
    job = bench.submit()
    waits = []
    for _ in range(3):
        bench.turn()
        bench.world.die(bench.trainer(job), 9)
        bench.turn()
        if bench.state(job) == "queued":
            waits.append(bench.row(job).not_before - bench.now)
            bench.turn(after=waits[-1] / 2)
            assert bench.state(job) == "queued"
            assert "next attempt" in bench.row(job).blocked_by
            bench.now += waits[-1] / 2
    assert waits == [30.0, 60.0]
    assert (bench.state(job), bench.row(job).reason) == ("failed", "killed_signal")
    assert len(bench.attempts(job)) == 3


def test_preemption_is_never_counted_and_cannot_spin(bench: Bench) -> None:
    """Exit 75 goes back to the queue for ever, but not faster than the base wait (B09)."""
    job = bench.submit()
    for number in range(1, 8):
        bench.turn()
        trainer = bench.trainer(job)
        assert trainer.ticket.attempt == number
        started = bench.now
        bench.world.finish(trainer, 75, "preempt")
        bench.turn(after=1.0)
        row = bench.row(job)
        assert (row.state, row.reason, row.failures) == ("queued", "preempted", 0)
        bench.now = started + bench.settings.retry_base_s
    bench.turn()
    trainer = bench.trainer(job)
    bench.world.finish(trainer, 75, "preempt")
    bench.turn(after=3600.0)
    assert bench.trainer(job).ticket.attempt == 9, "a long attempt is followed at once"


def test_a_lease_is_kept_until_the_devices_are_free(bench: Bench) -> None:
    """Whatever cannot be cleared away keeps the device, and the job its state."""
    job, trainer = bench.running()
    bench.world.sticky = True
    bench.world.finish(trainer, 0)
    bench.turn()
    assert (bench.state(job), bench.leases()) == ("running", {"gpu0": job})
    bench.world.sticky = False
    bench.turn()
    assert (bench.state(job), bench.leases()) == ("succeeded", {})


def test_silence_is_told_once_and_so_is_the_return(bench: Bench) -> None:
    """A trainer that lives but does not report is an event, not a guess about its end."""
    job, trainer = bench.running()
    for _ in range(3):
        bench.turn(after=bench.settings.silent_after_s + 1)
    bench.world.report(trainer)
    bench.turn()
    bench.turn()
    told = [e.data["silent"] for e in bench.events(job) if e.kind == "job.silent"]
    assert told == [True, False]
    assert bench.state(job) == "running"


def test_a_failure_without_a_finding_quotes_the_log(bench: Bench) -> None:
    """The trainer died before it could report: its last line is in the job's findings."""
    job, trainer = bench.running()
    trainer.ticket.run.log.write_text("loading\n\x1b[31mModuleNotFoundError: torch\x1b[0m\n\n")
    bench.world.finish(trainer, 1)
    bench.turn()
    found = bench.row(job).findings[-1]
    assert (found["code"], found["why"]) == ("RUN107", "ModuleNotFoundError: torch")


def test_events_are_applied_once_over_restarts(bench: Bench) -> None:
    """Findings would show a repetition: each appears once however often the daemon restarts."""
    job, trainer = bench.running()
    for step in range(1, 8):
        note = {"code": "RUN012", "level": "warn", "message": f"m{step}"}
        bench.world.emit(trainer, "finding", finding=note)
        bench.world.progress(trainer, step)
        if step % 2:
            bench.turn()
        if step % 3 == 0:
            bench.restart()
    bench.turn()
    row = bench.row(job)
    told = [f["message"] for f in row.findings if f["code"] == "RUN012"]
    assert told == [f"m{n}" for n in range(1, 8)]
    assert row.step == 7


def test_a_full_store_is_read_only_and_recovers(bench: Bench) -> None:
    """No space for the database: changes are refused, trainers go on, later all is booked."""
    job, trainer = bench.running()
    with bench.db.read() as reader:
        pages = reader.exec_driver_sql("PRAGMA page_count").scalar()
    set_limit(bench, pages)
    with pytest.raises(ReadOnly):
        fill(bench)
    assert bench.db.read_only
    with pytest.raises(ReadOnly):
        bench.turn()
    assert trainer.alive
    bench.world.finish(trainer, 0)
    with pytest.raises(ReadOnly):
        bench.turn()
    set_limit(bench, 1 << 30)
    bench.turn()
    assert not bench.db.read_only
    assert bench.state(job) == "succeeded"


def fill(bench: Bench) -> None:
    for _ in range(200):
        bench.submit()


def set_limit(bench: Bench, pages: int) -> None:
    """SQLite's own limit behaves as a full disk does; it is one of each connection."""
    from sqlalchemy import event

    def limit(connection, record) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    bench.db.engine.dispose()
    event.listen(bench.db.engine, "connect", limit)


def test_a_job_deleted_from_disk_frees_its_device(bench: Bench) -> None:
    """Somebody removed the run directory: the trainer is ended before the lease is given back."""
    import shutil

    job, trainer = bench.running()
    shutil.rmtree(bench.row(job).run_dir)
    bench.world.trainers.pop(trainer.ticket.lease)  # nothing names it any more
    bench.restart()
    bench.turn()
    assert bench.leases() == {}
    assert bench.row(job).reason == "launcher_error"


def test_a_used_gpu_is_left_alone_with_the_reason(tmp_path: Path) -> None:
    """A device that another program uses is not given out; the job says why it waits."""
    bench = Bench(tmp_path)
    bench.devices["gpu0"] = "GPU 0 is used by another program (77)"
    job = bench.submit()
    bench.turn()
    assert bench.row(job).blocked_by == (
        "devices busy: 0 of 1 free; GPU 0 is used by another program (77)"
    )
    bench.devices["gpu0"] = None
    bench.turn()
    assert bench.state(job) == "starting"
    bench.close()


def test_a_cancelled_job_is_not_started(bench: Bench) -> None:
    """Cancel of a queued job is immediate and final."""
    job = bench.submit()
    assert bench.act(job, Action.CANCEL).state == "cancelled"
    bench.turn()
    assert bench.world.trainers == {}
