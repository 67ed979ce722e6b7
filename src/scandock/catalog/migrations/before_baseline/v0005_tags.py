"""Resources get the tags that people give them by XNAT's dialect."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, empty for what is there."""
    op.add_column("resource", sa.Column("tags", sa.Text(), server_default=sa.text("''"), nullable=False))
