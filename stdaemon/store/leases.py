"""Leases of devices. An index of the database forbids a second active one of the same device."""

from __future__ import annotations

import time
from collections.abc import Iterable

from sqlalchemy import Connection, and_, insert, select, update

from stdaemon.store.tables import lease


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
