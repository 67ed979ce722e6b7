"""A host says where it can't import, and which folder on its machine it has its id from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0069"
down_revision = "0065"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both to the hosts that are known: of these neither is, until they begin to serve again."""
    op.add_column("host", sa.Column("folder", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("host", sa.Column("problem", sa.String(32), nullable=False, server_default=sa.text("''")))
