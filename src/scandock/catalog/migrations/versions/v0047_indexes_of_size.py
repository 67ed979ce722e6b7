"""Lists of all sessions are sorted by indexes, and trees that nothing shows are found without looking at all others.

Imports of folders know by the clock of the folder's file system which files are theirs.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

SORTED = ("key", "modified", "bytes", "created")


def upgrade() -> None:
    """Make the indexes, and add the column."""
    op.add_column("inbox_import", sa.Column("before", sa.BigInteger()))
    for column in SORTED:
        op.create_index(op.f(f"ix_session_place_{column}_id"), "session", ["place", column, "id"])
    where = sa.text("state <> 'current'")
    op.create_index(op.f("ix_tree_not_current"), "tree", ["id"], sqlite_where=where, postgresql_where=where)
