"""Imports wait for a disk, rights or a catalog that fail, and count how often they did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: no import has waited yet."""
    op.add_column("reception", sa.Column("outages", sa.Integer(), server_default=sa.text("0"), nullable=False))
