"""What verification learns is a row for many files: when they were read whole, and their MD5s.

The columns of `file` stay as they are, and are read where there is nothing newer. Rounds that run begin again, so that
each ends with spans of all of its files; what they have read already is not read again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    for name, column in (
        ("verified_files", sa.Column("verified", sa.BigInteger(), nullable=False)),
        ("file_md5", sa.Column("body", sa.LargeBinary(), nullable=False)),
    ):
        op.create_table(
            name,
            sa.Column("tree_id", number, nullable=False),
            sa.Column("first_n", sa.Integer(), nullable=False),
            sa.Column("last_n", sa.Integer(), nullable=False),
            column,
            sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f(f"fk_{name}_tree_id"), ondelete="CASCADE"),
            sa.PrimaryKeyConstraint("tree_id", "first_n", name=op.f(f"pk_{name}")),
            sqlite_with_rowid=name != "verified_files",  # packed digests are too long for a table that is its index
        )
    op.execute("UPDATE verification SET done_n = -1 WHERE begun IS NOT NULL")
