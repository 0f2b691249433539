"""Jobs, attempts, leases and request ids; the only place that changes a job's state."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, update

from stdaemon.jobs.states import ACTIVE, allowed
from stdaemon.store.events import add_event
from stdaemon.store.tables import attempt, job, lease, request
from stdaemon.wire.jobs import State

JobRow = Row[Any]


class Conflict(Exception):
    """Another writer changed the job meanwhile, or the table forbids the transition."""


def transition(
    db: Connection, row: JobRow, new: State, *, cause: str, actor: str, **fields: Any
) -> JobRow:
    """Compare-and-set of a job's state, with its event, in the caller's transaction."""
    old = State(row.state)
    if not allowed(old, new):
        raise Conflict(f"{old} -> {new} is not a transition")
    changed = db.execute(
        update(job)
        .where(job.c.id == row.id, job.c.state_seq == row.state_seq)
        .values(state=new, state_seq=row.state_seq + 1, **fields)
    )
    if changed.rowcount != 1:
        raise Conflict(f"job {row.id} was changed by another writer")
    _tell(db, row.id, old, new, cause, actor)
    return by_id(db, row.id)


def _tell(
    db: Connection, job_id: str, old: State | None, new: State, cause: str, actor: str
) -> None:
    data = {"old": old, "new": new, "cause": cause, "actor": actor}
    add_event(db, "job.state", job_id, data)


def create(db: Connection, values: dict[str, Any], *, actor: str) -> JobRow:
    """Insert a job; its first state is written like every other."""
    number = (db.execute(select(func.max(job.c.number))).scalar() or 0) + 1
    db.execute(insert(job).values(number=number, state_seq=1, **values))
    _tell(db, values["id"], None, State(values["state"]), "submitted", actor)
    return by_id(db, values["id"])


def by_id(db: Connection, job_id: str) -> JobRow:
    return db.execute(select(job).where(job.c.id == job_id)).one()


def find(db: Connection, ref: str) -> list[JobRow]:
    """Jobs that a reference may mean: id, number, unique id prefix, or newest of a name."""
    exact = db.execute(select(job).where(job.c.id == ref)).all()
    if exact:
        return list(exact)
    if ref.isdigit():
        numbered = db.execute(select(job).where(job.c.number == int(ref))).all()
        if numbered:
            return list(numbered)
    named = select(job).where(job.c.name == ref).order_by(job.c.number.desc()).limit(1)
    found = db.execute(named).all()
    if found:
        return list(found)
    return list(db.execute(select(job).where(job.c.id.startswith(ref, autoescape=True))).all())


def page(
    db: Connection, *, states: Sequence[str], q: str | None, before: int | None, limit: int
) -> list[JobRow]:
    """Newest first, below number `before`."""
    query = select(job).order_by(job.c.number.desc()).limit(limit)
    if states:
        query = query.where(job.c.state.in_(states))
    if before is not None:
        query = query.where(job.c.number < before)
    if q:
        like = f"%{q}%"
        query = query.where(or_(job.c.name.like(like), job.c.id.like(like)))
    return list(db.execute(query).all())


def counts(db: Connection) -> dict[str, int]:
    rows = db.execute(select(job.c.state, func.count()).group_by(job.c.state)).all()
    return {row[0]: row[1] for row in rows}


def in_states(db: Connection, states: Iterable[State]) -> list[JobRow]:
    query = select(job).where(job.c.state.in_(list(states))).order_by(job.c.number)
    return list(db.execute(query).all())


def active(db: Connection) -> list[JobRow]:
    return in_states(db, ACTIVE)


def set_fields(db: Connection, job_id: str, **fields: Any) -> None:
    """Change fields that are no state (progress, reasons)."""
    assert "state" not in fields, "states change through transition() only"
    db.execute(update(job).where(job.c.id == job_id).values(**fields))


def run_dir_taken(db: Connection, run_dir: str) -> bool:
    return db.execute(select(job.c.id).where(job.c.run_dir == run_dir)).first() is not None


# --- attempts ------------------------------------------------------------------------------


def add_attempt(
    db: Connection, job_id: str, number: int, lease_id: str, devices: list[str]
) -> None:
    db.execute(
        insert(attempt).values(
            job=job_id, number=number, lease=lease_id, devices=devices, started_at=time.time()
        )
    )


def set_attempt(db: Connection, job_id: str, number: int, **fields: Any) -> None:
    where = and_(attempt.c.job == job_id, attempt.c.number == number)
    db.execute(update(attempt).where(where).values(**fields))


def attempts(db: Connection, job_id: str) -> list[Row[Any]]:
    query = select(attempt).where(attempt.c.job == job_id).order_by(attempt.c.number)
    return list(db.execute(query).all())


# --- leases --------------------------------------------------------------------------------


def take_lease(
    db: Connection, lease_id: str, host: str, devices: Iterable[str], job_id: str, number: int
) -> None:
    for device in devices:
        db.execute(
            insert(lease).values(
                id=lease_id,
                device=device,
                host=host,
                job=job_id,
                attempt=number,
                since=time.time(),
            )
        )


def release_leases(db: Connection, job_id: str) -> None:
    where = and_(lease.c.job == job_id, lease.c.released_at.is_(None))
    db.execute(update(lease).where(where).values(released_at=time.time()))


def leased(db: Connection, host: str) -> dict[str, str]:
    """Device -> job of active leases."""
    where = and_(lease.c.host == host, lease.c.released_at.is_(None))
    return {r.device: r.job for r in db.execute(select(lease).where(where)).all()}


# --- request ids ---------------------------------------------------------------------------


def request_job(db: Connection, request_id: str) -> str | None:
    """Job that an earlier request with this id was about."""
    return db.execute(select(request.c.job).where(request.c.id == request_id)).scalar()


def remember_request(db: Connection, request_id: str, action: str, job_id: str) -> None:
    db.execute(
        insert(request).values(id=request_id, action=action, job=job_id, created_at=time.time())
    )
