"""Up to 1,000 files are one row, a manifest. A worker brings over those of trees that are there, in the background."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

WITH_ROWS = sa.text("file_rows > 0")
WITH_ORIGIN = sa.text("origin IS NOT NULL")


def upgrade() -> None:
    """Make the tables, empty; trees say that their files are rows."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    default = "2" if is_postgresql else "0"  # without writing a row
    op.add_column("tree", sa.Column("file_rows", sa.Integer(), server_default=sa.text(default), nullable=False))
    if is_postgresql:
        op.alter_column("tree", "file_rows", server_default=sa.text("0"))
    else:
        op.execute("UPDATE tree SET file_rows = 2")
    op.create_index("ix_tree_with_rows", "tree", ["id"], sqlite_where=WITH_ROWS, postgresql_where=WITH_ROWS)
    op.create_table(
        "manifest",
        sa.Column("id", number, nullable=False),
        sa.Column("tree_id", number, nullable=False),
        sa.Column("first_n", sa.Integer(), nullable=False),
        sa.Column("last_n", sa.Integer(), nullable=False),
        sa.Column("first_resource", sa.Integer(), nullable=False),
        sa.Column("last_resource", sa.Integer(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_manifest_tree_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_manifest")),
        sa.UniqueConstraint("tree_id", "first_n", name=op.f("uq_manifest_tree_id_first_n")),
    )
    op.create_table(
        "object_block",
        sa.Column("id", number, nullable=False),
        sa.Column("part", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_object_block")),
    )
    op.create_index(op.f("ix_object_block_part"), "object_block", ["part"])
    op.add_column("ecat_file", sa.Column("origin", sa.LargeBinary(16)))
    op.create_index(
        "ix_ecat_file_origin", "ecat_file", ["origin"], sqlite_where=WITH_ORIGIN, postgresql_where=WITH_ORIGIN
    )
    op.execute(  # there are few of them
        "UPDATE ecat_file SET origin ="
        " (SELECT file.origin FROM file WHERE file.tree_id = ecat_file.tree_id AND file.n = ecat_file.n)"
    )
    if is_postgresql:  # they are packed already, or can't be
        for table in ("manifest", "file_md5", "object_block"):
            op.execute(f"ALTER TABLE {table} ALTER COLUMN body SET STORAGE EXTERNAL")
