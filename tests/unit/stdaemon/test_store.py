"""The store refuses what must not happen, whatever the code above it does."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from stdaemon.jobs.errors import Refusal
from stdaemon.jobs.submit import submit
from stdaemon.settings import Settings
from stdaemon.store import jobs as store
from stdaemon.store.db import Database
from stdaemon.store.leases import release_leases, take_lease
from stdaemon.wire.jobs import JobSubmit, State
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
