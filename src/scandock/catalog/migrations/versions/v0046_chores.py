"""What several hosts do by turns has a row each, by which one of them takes it; each keeps what it saw of the clock."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; what the one host saw last is kept."""
    op.create_table(
        "chore",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chore")),
    )
    op.create_table(
        "clock_host",
        sa.Column("start", sa.String(length=64), nullable=False),
        sa.Column("wall", sa.BigInteger(), nullable=False),
        sa.Column("since_start", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("start", name=op.f("pk_clock_host")),
    )
    op.execute("INSERT INTO clock_host (start, wall, since_start) SELECT start, wall, since_start FROM clock_seen")
