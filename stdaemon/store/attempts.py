"""Attempts: one row for each start of a trainer, kept for ever."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, and_, insert, select, update

from stdaemon.store.tables import attempt


def add_attempt(
    db: Connection, job_id: str, number: int, lease_id: str, devices: list[str], now: float
) -> None:
    db.execute(
        insert(attempt).values(
            job=job_id, number=number, lease=lease_id, devices=devices, started_at=now
        )
    )


def set_attempt(db: Connection, job_id: str, number: int, **fields: Any) -> None:
    where = and_(attempt.c.job == job_id, attempt.c.number == number)
    db.execute(update(attempt).where(where).values(**fields))


def attempts(db: Connection, job_id: str) -> list[Row[Any]]:
    query = select(attempt).where(attempt.c.job == job_id).order_by(attempt.c.number)
    return list(db.execute(query).all())
