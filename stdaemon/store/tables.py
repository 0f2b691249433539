"""Tables of the store. The run directories are the truth; this is an index over them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()

job = Table(
    "job",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("name", String(120), nullable=False),
    Column("user", String(120), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("state_seq", Integer, nullable=False),
    Column("phase", String(16)),
    Column("stop_intent", String(16)),
    Column("stop_since", Float),
    Column("stop_stage", Integer, nullable=False, server_default=text("0")),
    Column("reason", String(32)),
    Column("family", String(40), nullable=False),
    Column("mode", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("hold_reasons", JSON, nullable=False),
    Column("blocked_by", String(200)),
    Column("tags", JSON, nullable=False),
    Column("run_dir", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("format", String(8), nullable=False),
    Column("base_dir", Text, nullable=False),
    Column("overrides", JSON, nullable=False),
    Column("origins", JSON, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("not_before", Float, nullable=False),
    Column("devices", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("step", Integer),
    Column("total", Integer),
    Column("loss", Float),
    Column("it_s", Float),
    Column("eta_s", Float),
    Column("event_offset", Integer, nullable=False),
    Column("event_seq", Integer, nullable=False),
    Column("findings", JSON, nullable=False),
    Column("retry_of", String(16)),
)

# Two jobs never share a run directory.
Index("job_run_dir", job.c.run_dir, unique=True)

attempt = Table(
    "attempt",
    metadata,
    Column("job", String(16), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("lease", String(32), nullable=False),
    Column("devices", JSON, nullable=False),
    Column("pid", Integer),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("exit_code", Integer),
    Column("signal", Integer),
    Column("reason", String(32)),
)

event = Table(
    "event",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("ts", Float, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("job", String(16), index=True),
    Column("data", JSON, nullable=False),
)

lease = Table(
    "lease",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("device", String(80), primary_key=True),
    Column("host", String(120), nullable=False),
    Column("job", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("since", Float, nullable=False),
    Column("released_at", Float),
)

# Two active leases of one device cannot exist, whatever the code above does.
Index(
    "lease_active",
    lease.c.host,
    lease.c.device,
    unique=True,
    sqlite_where=lease.c.released_at.is_(None),
    postgresql_where=lease.c.released_at.is_(None),
)

request = Table(
    "request",
    metadata,
    Column("scope", String(80), primary_key=True),
    Column("id", String(200), primary_key=True),
    Column("digest", String(32), nullable=False),
    Column("job", String(16), nullable=False),
    Column("created_at", Float, nullable=False, index=True),
)
