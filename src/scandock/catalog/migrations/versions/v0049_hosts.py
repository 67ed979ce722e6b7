"""The hosts that serve a catalog, and when each was heard of last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "host",
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("boot", sa.String(36), nullable=False),
        sa.Column("role", sa.String(6), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("worker_seen", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.CheckConstraint("role IN ('web', 'worker', 'all')", name=op.f("ck_host_role")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_host")),
    )
