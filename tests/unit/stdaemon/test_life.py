"""Random users, a random world and crashes at any time: the books stay right (B05 acceptance 5).

Every rule is one operation on the service: the real store, actions and engine over fake trainers.
After each of them the invariants are checked, and the fake world itself fails the moment two
trainers share a device or a run directory.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stdaemon.jobs.errors import Refusal
from stdaemon.jobs.states import ACTIVE, allowed
from stdaemon.store.requests import Reused
from stdaemon.wire.jobs import TERMINAL, Action, State
from tests.support.daemon_bench import Bench
from tests.support.fake_executor import Trainer

ENDS = (0, 64, 70, 75, 76, 77)


class Life(RuleBasedStateMachine):
    """Two devices, up to eight jobs."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.bench = Bench(Path(self.folder.name), devices=2)
        self.jobs: list[str] = []
        self.ended: dict[str, tuple[str, float]] = {}
        self.requests: dict[str, str] = {}

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            self.bench.close()
            self.folder.cleanup()

    # --- users -----------------------------------------------------------------------------

    @precondition(lambda self: len(self.jobs) < 8)
    @rule(hold=st.booleans(), request=st.sampled_from([None, "a", "b"]))
    def submit(self, hold: bool, request: str | None) -> None:
        try:
            job = self.bench.submit(hold=hold, request_id=request)
        except Reused:
            assert request in self.requests
            return
        if request is not None:
            assert self.requests.setdefault(request, job) == job
        if job not in self.jobs:
            self.jobs.append(job)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), action=st.sampled_from([a for a in Action if a is not Action.RERUN]))
    def act(self, data, action: Action) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        before = self.bench.row(job)
        try:
            after = self.bench.act(job, action)
        except Refusal:
            after = self.bench.row(job)
            assert after == before
        if before.state in TERMINAL:
            assert after.state_seq == before.state_seq

    # --- the world -------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.0, 0.1, 5.0, 40.0, 130.0]))
    def turn(self, seconds: float) -> None:
        self.bench.turn(after=seconds)

    @rule()
    def crash(self) -> None:
        self.bench.restart()

    @rule(lose=st.booleans())
    def launching(self, lose: bool) -> None:
        self.bench.world.lose_starts = lose

    @rule(deaf=st.booleans(), sticky=st.booleans())
    def manners(self, deaf: bool, sticky: bool) -> None:
        self.bench.world.deaf, self.bench.world.sticky = deaf, sticky

    @precondition(lambda self: self.bench.world.alive())
    @rule(data=st.data())
    def report(self, data) -> None:
        trainer = self._alive(data)
        self.bench.world.report(trainer)
        self.bench.world.progress(trainer, 1)

    @precondition(lambda self: self.bench.world.alive())
    @rule(data=st.data(), code=st.sampled_from(ENDS))
    def leave(self, data, code: int) -> None:
        self.bench.world.finish(self._alive(data), code)

    @precondition(lambda self: self.bench.world.alive())
    @rule(data=st.data(), number=st.sampled_from([9, 11, 15]))
    def die(self, data, number: int) -> None:
        self.bench.world.die(self._alive(data), number)

    def _alive(self, data) -> Trainer:
        return data.draw(st.sampled_from(self.bench.world.alive()))

    # --- what must hold --------------------------------------------------------------------

    @invariant()
    def history_is_whole(self) -> None:
        events = self.bench.events()
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        states: dict[str, str | None] = {}
        for event in events:
            if event.kind == "job.state":
                old, new = event.data["old"], event.data["new"]
                assert states.get(event.job) == old
                assert allowed(State(old) if old else None, State(new))
                states[event.job] = new
        assert states == {job: self.bench.state(job) for job in self.jobs}

    @invariant()
    def ends_are_final(self) -> None:
        for job in self.jobs:
            row = self.bench.row(job)
            if row.state in TERMINAL:
                assert row.ended_at is not None
                end = (row.state, row.ended_at)
                assert self.ended.setdefault(job, end) == end

    @invariant()
    def attempts_are_counted(self) -> None:
        for job in self.jobs:
            row, attempts = self.bench.row(job), self.bench.attempts(job)
            assert [a.number for a in attempts] == list(range(1, row.attempt + 1))
            assert row.failures <= self.bench.settings.max_attempts
            open_ended = [a.number for a in attempts if a.ended_at is None]
            assert open_ended == ([row.attempt] if row.state in ACTIVE else [])

    @invariant()
    def devices_belong_to_live_jobs(self) -> None:
        leases = self.bench.leases()
        rows = [self.bench.row(job) for job in self.jobs]
        held = {d: row.id for row in rows if row.state in ACTIVE for d in row.devices}
        assert leases == held
        for trainer in self.bench.world.alive():
            for device in trainer.ticket.devices:
                assert leases.get(device) == trainer.ticket.run.path.name

    @invariant()
    def waiting_jobs_have_a_reason(self) -> None:
        for job in self.jobs:
            row = self.bench.row(job)
            assert bool(row.hold_reasons) is (row.state == State.HELD)


def settle(bench: Bench) -> None:
    """A world that behaves again: whatever was going on comes to an end."""
    bench.world.lose_starts = bench.world.deaf = bench.world.sticky = False
    for _ in range(60):
        bench.turn(after=1000.0)
        for trainer in bench.world.alive():
            bench.world.report(trainer)
            bench.turn()
            with contextlib.suppress(IndexError):
                bench.world.finish(trainer, 0)


class Ending(Life):
    """The same life, and at its end nothing may hang."""

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            settle(self.bench)
            for job in self.jobs:
                assert self.bench.state(job) in {*TERMINAL, State.HELD, State.PAUSED}
            assert self.bench.leases() == {}
        super().teardown()


QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much]
TestLife = Ending.TestCase
TestLife.settings = hypothesis_settings(
    max_examples=12, stateful_step_count=40, deadline=None, suppress_health_check=QUIET
)


@pytest.mark.slow
def test_life_for_long() -> None:
    """More than two thousand operations in long lives."""
    long = hypothesis_settings(
        max_examples=40, stateful_step_count=80, deadline=None, suppress_health_check=QUIET
    )
    run_state_machine_as_test(Ending, settings=long)
