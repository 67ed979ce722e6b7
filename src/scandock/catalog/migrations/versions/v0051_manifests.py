"""Up to 1,000 files are one row, a manifest. A worker writes those of trees that are there, in the background."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

WITHOUT = sa.text("NOT manifests")


def upgrade() -> None:
    """Make the table, empty; trees say that they have none."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("tree", sa.Column("manifests", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_index("ix_tree_without_manifests", "tree", ["id"], sqlite_where=WITHOUT, postgresql_where=WITHOUT)
    op.create_table(
        "manifest",
        sa.Column("tree_id", number, nullable=False),
        sa.Column("first_n", sa.Integer(), nullable=False),
        sa.Column("last_n", sa.Integer(), nullable=False),
        sa.Column("first_resource", sa.Integer(), nullable=False),
        sa.Column("last_resource", sa.Integer(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_manifest_tree_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tree_id", "first_n", name=op.f("pk_manifest")),
    )
    if op.get_bind().dialect.name == "postgresql":  # it is packed already
        op.execute("ALTER TABLE manifest ALTER COLUMN body SET STORAGE EXTERNAL")
        op.execute("ALTER TABLE file_md5 ALTER COLUMN body SET STORAGE EXTERNAL")
