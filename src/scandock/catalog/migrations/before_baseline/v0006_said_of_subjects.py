"""Subjects get what people say of them by XNAT's dialect: their group, and their demographics."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: nothing is said of what is there."""
    op.add_column("subject", sa.Column("attributes", sa.Text(), server_default=sa.text("'{}'"), nullable=False))
