"""Receivers know that they were disabled with all others; associations have the number that the log names."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("receiver", sa.Column("stopped", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column(
        "dicom_association", sa.Column("number", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
