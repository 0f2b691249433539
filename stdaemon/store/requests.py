"""Request ids: what makes a repeated request harmless.

An id counts within its scope (one endpoint), and only for the same content: the same id with
another content is a mistake of the client and is told as one.
"""

from __future__ import annotations

import hashlib
import time

from sqlalchemy import Connection, delete, insert, select

from stdaemon.store.tables import request

KEPT_S = 7 * 86400.0


class Reused(Exception):
    """The id was used before for a request with other content."""


def digest(content: str) -> str:
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def earlier_job(db: Connection, scope: str, request_id: str, content: str) -> str | None:
    """Job that an earlier request with this id was about."""
    query = select(request).where(request.c.scope == scope, request.c.id == request_id)
    row = db.execute(query).one_or_none()
    if row is not None and row.digest != digest(content):
        raise Reused(request_id)
    return row.job if row is not None else None


def remember(db: Connection, scope: str, request_id: str, content: str, job_id: str) -> None:
    """Record the request in the transaction that carries it out; old ones are forgotten."""
    now = time.time()
    db.execute(delete(request).where(request.c.created_at < now - KEPT_S))
    db.execute(
        insert(request).values(
            scope=scope, id=request_id, digest=digest(content), job=job_id, created_at=now
        )
    )
