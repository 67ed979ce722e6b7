"""Imports wait for a disk, rights or a catalog that fail, and count how often they did; the clock is watched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: no import has waited yet. And the table: the clock has not been looked at."""
    op.add_column("reception", sa.Column("outages", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "clock_seen",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wall", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.String(length=64), nullable=False),
        sa.Column("since_start", sa.BigInteger(), nullable=False),
        sa.Column("held_until", sa.BigInteger(), nullable=False),
        sa.Column("jumped", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock_seen")),
    )
