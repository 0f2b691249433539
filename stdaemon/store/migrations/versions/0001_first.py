"""Jobs, attempts, events, leases and request ids."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("user", sa.String(120), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("state_seq", sa.Integer, nullable=False),
        sa.Column("phase", sa.String(16)),
        sa.Column("stop_intent", sa.String(16)),
        sa.Column("stop_since", sa.Float),
        sa.Column("stop_stage", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("reason", sa.String(32)),
        sa.Column("family", sa.String(40), nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("hold_reasons", sa.JSON, nullable=False),
        sa.Column("blocked_by", sa.String(200)),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("run_dir", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("format", sa.String(8), nullable=False),
        sa.Column("base_dir", sa.Text, nullable=False),
        sa.Column("overrides", sa.JSON, nullable=False),
        sa.Column("origins", sa.JSON, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("not_before", sa.Float, nullable=False),
        sa.Column("devices", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("started_at", sa.Float),
        sa.Column("ended_at", sa.Float),
        sa.Column("step", sa.Integer),
        sa.Column("total", sa.Integer),
        sa.Column("loss", sa.Float),
        sa.Column("it_s", sa.Float),
        sa.Column("eta_s", sa.Float),
        sa.Column("event_offset", sa.Integer, nullable=False),
        sa.Column("event_seq", sa.Integer, nullable=False),
        sa.Column("findings", sa.JSON, nullable=False),
        sa.Column("retry_of", sa.String(16)),
    )
    _history()
    _leases()
    op.create_table(
        "request",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("job", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )


def _history() -> None:
    op.create_table(
        "attempt",
        sa.Column("job", sa.String(16), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("lease", sa.String(32), nullable=False),
        sa.Column("devices", sa.JSON, nullable=False),
        sa.Column("pid", sa.Integer),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("ended_at", sa.Float),
        sa.Column("exit_code", sa.Integer),
        sa.Column("signal", sa.Integer),
        sa.Column("reason", sa.String(32)),
    )
    op.create_table(
        "event",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("ts", sa.Float, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("job", sa.String(16), index=True),
        sa.Column("data", sa.JSON, nullable=False),
    )


def _leases() -> None:
    op.create_table(
        "lease",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("device", sa.String(80), primary_key=True),
        sa.Column("host", sa.String(120), nullable=False),
        sa.Column("job", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("released_at", sa.Float),
    )
    op.create_index(
        "lease_active",
        "lease",
        ["host", "device"],
        unique=True,
        sqlite_where=sa.text("released_at IS NULL"),
        postgresql_where=sa.text("released_at IS NULL"),
    )


def downgrade() -> None:
    for name in ("request", "lease", "event", "attempt", "job"):
        op.drop_table(name)
