"""By how much dates that a wrong clock gave may be too early, and since when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns: no date is doubted yet."""
    for name in ("doubted", "doubted_since"):
        column = sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        op.add_column("clock_seen", column)
