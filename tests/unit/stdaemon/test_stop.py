"""The stop ladder on a clock of the test: ask, TERM, KILL, each in its time."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from stdaemon.wire.jobs import Action
from tests.support.daemon_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def begin(bench: Bench, action: Action = Action.STOP):
    """A running job that was asked to stop at the bench's own time."""
    job, trainer = bench.running()
    bench.act(job, action)
    with bench.db.write() as writer:
        from stdaemon.store.jobs import set_fields

        set_fields(writer, job, stop_since=bench.now)
    bench.turn()
    return job, trainer


def test_a_willing_trainer_is_only_asked(bench: Bench) -> None:
    """It saves and leaves by itself: no signal at all."""
    job, trainer = begin(bench)
    assert bench.world.asked_to_stop(trainer)
    bench.world.finish(trainer, 75, "stop")
    bench.turn()
    assert (bench.state(job), bench.row(job).reason) == ("cancelled", "user_stop")
    assert trainer.signals == []


def test_a_deaf_trainer_gets_term_then_kill(bench: Bench) -> None:
    """Not a second early, not a rung left out."""
    bench.world.deaf = True
    job, trainer = begin(bench)
    settings = bench.settings
    bench.turn(after=settings.stop_grace_s - 1)
    assert trainer.signals == []
    bench.turn(after=1)
    assert trainer.signals == [signal.SIGTERM]
    bench.turn(after=settings.term_grace_s - 1)
    assert trainer.signals == [signal.SIGTERM]
    bench.turn(after=1)
    assert trainer.signals == [signal.SIGTERM, signal.SIGKILL]
    bench.turn()
    assert (bench.state(job), bench.leases()) == ("cancelled", {})


def test_the_ladder_goes_on_after_a_crash_of_the_daemon(bench: Bench) -> None:
    """A rung that was taken is not taken again, and none is forgotten."""
    bench.world.deaf = True
    job, trainer = begin(bench)
    bench.restart()
    bench.turn(after=bench.settings.stop_grace_s)
    bench.restart()
    bench.turn(after=bench.settings.term_grace_s)
    bench.restart()
    bench.turn()
    assert trainer.signals == [signal.SIGTERM, signal.SIGKILL]
    assert bench.state(job) == "cancelled"


def test_saving_gets_more_time_but_not_on_trust_for_ever(bench: Bench) -> None:
    """A fresh report of saving extends the grace; an old one does not."""
    bench.world.deaf = True
    _, trainer = begin(bench)
    bench.world.report(trainer, saving=True, ts=bench.now + bench.settings.stop_grace_s)
    bench.turn(after=bench.settings.stop_grace_s + 60)
    assert trainer.signals == []
    bench.turn(after=120)
    assert trainer.signals == [signal.SIGTERM]


def test_a_trainer_that_has_not_reported_gets_term_at_once(bench: Bench) -> None:
    """It reads no commands yet: a stop message would be lost, and it has nothing to save."""
    job = bench.submit()
    bench.turn()
    trainer = bench.trainer(job)
    bench.act(job, Action.CANCEL)
    bench.turn()
    assert trainer.signals == [signal.SIGTERM]
    bench.turn()
    assert bench.state(job) == "cancelled"


def test_a_start_nobody_took_up_is_stopped_at_once(bench: Bench) -> None:
    """No launcher has reported: the start is withdrawn, without the grace time."""
    job = bench.submit()
    bench.world.lose_starts = True
    bench.turn()
    bench.act(job, Action.STOP)
    bench.turn()
    assert (bench.state(job), bench.leases()) == ("cancelled", {})


@pytest.mark.parametrize(
    ("first", "then", "end"),
    [
        (Action.PAUSE, Action.PAUSE, "paused"),
        (Action.PAUSE, Action.STOP, "cancelled"),
        (Action.PAUSE, Action.CANCEL, "cancelled"),
        (Action.CANCEL, Action.PAUSE, "cancelled"),
        (Action.STOP, Action.CANCEL, "cancelled"),
    ],
)
def test_the_more_final_wish_wins(bench: Bench, first, then, end) -> None:
    """Asking again never weakens a stop, and a sharper one is told as an event."""
    job, trainer = begin(bench, first)
    bench.act(job, then, reason="changed my mind")
    bench.world.finish(trainer, 75, "stop")
    bench.turn()
    assert bench.state(job) == end
    sharper = [e for e in bench.events(job) if e.kind == "job.stop_intent"]
    order = [Action.PAUSE, Action.STOP, Action.CANCEL]
    assert bool(sharper) is (order.index(then) > order.index(first))
    assert all(e.data["note"] == "changed my mind" for e in sharper)


def test_a_job_that_finished_while_being_stopped_succeeded(bench: Bench) -> None:
    """The honest state is what really happened."""
    job, trainer = begin(bench, Action.CANCEL)
    bench.world.finish(trainer, 0)
    bench.turn()
    assert bench.state(job) == "succeeded"


def test_a_resumed_job_starts_its_next_attempt(bench: Bench) -> None:
    """Pause gives the device to others; resume queues the job for the next attempt."""
    job, trainer = begin(bench, Action.PAUSE)
    bench.world.finish(trainer, 75, "pause")
    bench.turn()
    other, running = bench.running()
    bench.act(job, Action.RESUME)
    bench.turn()
    assert (bench.state(job), bench.leases()) == ("queued", {"gpu0": other})
    bench.world.finish(running, 0)
    bench.turn()
    bench.turn()
    assert (bench.state(job), bench.row(job).attempt) == ("starting", 2)
