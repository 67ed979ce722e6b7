"""Uploads reserve their space for a while only: until an hour after their last byte."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: uploads that are under way have nothing reserved, and reserve again with their next bytes."""
    op.add_column("reception", sa.Column("reserved_until", sa.BigInteger()))
