"""Which catalog has a bucket: of those that were restored, the one that came last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; the catalog that is there is the first."""
    op.add_column("object_store", sa.Column("generation", sa.Integer(), server_default=sa.text("0"), nullable=False))
