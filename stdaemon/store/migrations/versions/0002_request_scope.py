"""Request ids count within an endpoint and for one content (ids of before are forgotten); a run
directory belongs to one job."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.drop_table("request")
    op.create_table(
        "request",
        sa.Column("scope", sa.String(80), primary_key=True),
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("job", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False, index=True),
    )
    op.create_index("job_run_dir", "job", ["run_dir"], unique=True)


def downgrade() -> None:
    op.drop_index("job_run_dir", "job")
    op.drop_table("request")
    op.create_table(
        "request",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("job", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
