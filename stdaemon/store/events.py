"""Events of the daemon: numbered, stored, never changed."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from stdaemon.store.tables import event


def add_event(db: Connection, kind: str, job: str | None, data: dict[str, Any]) -> None:
    db.execute(insert(event).values(ts=round(time.time(), 3), kind=kind, job=job, data=data))


def events_after(
    db: Connection, seq: int, *, job: str | None = None, limit: int = 1000
) -> list[Row[Any]]:
    query = select(event).where(event.c.seq > seq).order_by(event.c.seq).limit(limit)
    if job is not None:
        query = query.where(event.c.job == job)
    return list(db.execute(query).all())


def last_seq(db: Connection) -> int:
    return db.execute(select(func.max(event.c.seq))).scalar() or 0
