"""The store refuses what must not happen, whatever the code above it does."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from sqlalchemy.exc import IntegrityError

from stdaemon.jobs.actions import perform
from stdaemon.jobs.errors import Refusal
from stdaemon.jobs.states import ACTIVE, allowed
from stdaemon.jobs.submit import submit
from stdaemon.settings import Settings
from stdaemon.store import jobs as store
from stdaemon.store.db import Database
from stdaemon.store.events import events_after
from stdaemon.store.leases import leased, release_leases, take_lease
from stdaemon.wire.jobs import TERMINAL, Action, ActionRequest, JobSubmit, State
from tests.support.daemon import JOB


@pytest.fixture
def db(tmp_path) -> Database:
    made = Database(f"sqlite:///{tmp_path / 'daemon.db'}")
    made.migrate()
    return made


def add(db: Database, tmp_path, **fields):
    request = JobSubmit(text=JOB.format(steps=5), **fields)
    return submit(db, Settings(runs_dir=tmp_path / "runs"), request, user="ana")


def test_same_request_id_is_the_same_job(db, tmp_path):
    """A repeated submission has no second effect."""
    first, new = add(db, tmp_path, request_id="r1")
    second, again = add(db, tmp_path, request_id="r1")
    assert (new, again) == (True, False)
    assert first.id == second.id
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_invalid_configuration_is_refused_with_findings(db, tmp_path):
    """Nothing is queued that the trainer would refuse."""
    text = 'preset = "demo/pretrain"\n[train]\nstepz = 5\n'
    with pytest.raises(Refusal) as refusal:
        submit(db, Settings(runs_dir=tmp_path), JobSubmit(text=text), user="ana")
    assert refusal.value.status == 422
    assert any("stepz" in f.message for f in refusal.value.findings)
    assert not list(tmp_path.glob("*/events.jsonl"))


def test_two_writers_cannot_both_win(db, tmp_path):
    """Compare-and-set: the second transition from the same row is refused."""
    row, _ = add(db, tmp_path)
    with db.write() as writer:
        store.transition(writer, row, State.HELD, cause="a", actor="x", hold_reasons=["user"])
    with pytest.raises(store.Conflict), db.write() as writer:
        store.transition(writer, row, State.CANCELLED, cause="b", actor="y")


def test_device_cannot_be_leased_twice(db, tmp_path):
    """The database itself refuses a second active lease."""
    with db.write() as writer:
        take_lease(writer, "l1", "box", ["cpu:0"], "j1", 1)
    with pytest.raises(IntegrityError), db.write() as writer:
        take_lease(writer, "l2", "box", ["cpu:0"], "j2", 1)
    with db.write() as writer:
        release_leases(writer, "j1")
        take_lease(writer, "l3", "box", ["cpu:0"], "j2", 1)


class Life(RuleBasedStateMachine):
    """Random users and a random world; what must hold is checked after every step."""

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.db = Database(f"sqlite:///{self.folder.name}/daemon.db")
        self.db.migrate()
        self.settings = Settings(runs_dir=f"{self.folder.name}/runs")  # type: ignore[arg-type]
        self.ids: list[str] = []
        self.states: dict[str, str] = {}

    def teardown(self) -> None:
        self.db.close()
        self.folder.cleanup()

    @precondition(lambda self: len(self.ids) < 6)
    @rule(hold=st.booleans())
    def submit(self, hold: bool) -> None:
        request = JobSubmit(text=JOB.format(steps=5), hold=hold)
        row, _ = submit(self.db, self.settings, request, user="ana")
        self.ids.append(row.id)

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), action=st.sampled_from([a for a in Action if a is not Action.RERUN]))
    def act(self, data, action: Action) -> None:
        job = data.draw(st.sampled_from(self.ids))
        with contextlib.suppress(Refusal):  # impossible actions are refused, not carried out
            perform(self.db, self.settings, job, action, ActionRequest(), user="ana")

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def world(self, data) -> None:
        """The engine's side: start a queued job, or end a live one."""
        job = data.draw(st.sampled_from(self.ids))
        with self.db.write() as writer:
            row = store.by_id(writer, job)
            held = leased(writer, "box")
            if row.state == State.QUEUED and not held:
                take_lease(writer, f"{job}-{row.state_seq}", "box", ["cpu:0"], job, 1)
                store.transition(writer, row, State.STARTING, cause="world", actor="daemon")
            elif row.state in ACTIVE:
                target = data.draw(st.sampled_from(sorted(State)))
                if allowed(State(row.state), State(target)):
                    store.transition(writer, row, State(target), cause="world", actor="daemon")
                    if target not in ACTIVE:
                        release_leases(writer, job)

    @invariant()
    def history_is_whole(self) -> None:
        if not hasattr(self, "db"):
            return
        with self.db.read() as reader:
            events = events_after(reader, 0, limit=100_000)
            rows = [store.by_id(reader, job) for job in self.ids]
            held = leased(reader, "box")
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        states: dict[str, str | None] = {}
        for event in events:
            assert states.get(event.job) == event.data["old"]
            old = State(event.data["old"]) if event.data["old"] else None
            assert allowed(old, State(event.data["new"]))
            states[event.job] = event.data["new"]
        assert states == {row.id: row.state for row in rows}
        live = {row.id for row in rows if row.state in ACTIVE}
        assert set(held.values()) <= live
        assert not any(row.state in TERMINAL and row.id in held.values() for row in rows)


TestLife = Life.TestCase
TestLife.settings = hypothesis_settings(max_examples=8, stateful_step_count=25, deadline=None)


@pytest.mark.slow
def test_life_for_long():
    """The same with thousands of operations."""
    from hypothesis.stateful import run_state_machine_as_test

    long = hypothesis_settings(max_examples=60, stateful_step_count=50, deadline=None)
    run_state_machine_as_test(Life, settings=long)
