"""Events know their transaction on PostgreSQL, so that one that is committed late is told all the same."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, which is 0 of all that is there, and the index of the others."""
    op.add_column("event", sa.Column("txid", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    where = sa.text("txid > 0")
    op.create_index(op.f("ix_event_txid"), "event", ["txid", "id"], sqlite_where=where, postgresql_where=where)
