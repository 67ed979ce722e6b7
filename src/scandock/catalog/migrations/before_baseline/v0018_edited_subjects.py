"""Subjects get the time of their last edit: no session of theirs changes when a person says something of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: of what is there, nothing is known of edits."""
    op.add_column("subject", sa.Column("modified", sa.BigInteger(), nullable=True))
