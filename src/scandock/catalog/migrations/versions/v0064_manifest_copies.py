"""Where the bucket has a copy of what is known of a tree; of those that are there a worker writes them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None

UNCOPIED = sa.text("name IS NOT NULL AND manifest IS NULL")


def upgrade() -> None:
    """Add the column and the index of the trees without a copy."""
    op.add_column("stored_tree", sa.Column("manifest", sa.Text()))
    op.create_index(
        "ix_stored_tree_uncopied", "stored_tree", ["number"], sqlite_where=UNCOPIED, postgresql_where=UNCOPIED
    )
