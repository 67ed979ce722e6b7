"""What a store in a bucket keeps in rows: trees and the places of their files, objects, parts of uploads, receipts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0051"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "object_store",
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_object_store")),
    )
    op.create_table(
        "store_attempt",
        sa.Column("upload", sa.String(128), nullable=False),
        sa.Column("token", sa.String(128), nullable=False),
        sa.Column("began", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("swept", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.PrimaryKeyConstraint("upload", "token", name=op.f("pk_store_attempt")),
    )
    op.create_table(
        "stored_object",
        sa.Column("id", number, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stored_object")),
        sa.UniqueConstraint("key", name=op.f("uq_stored_object_key")),
    )
    op.create_index(op.f("ix_stored_object_due"), "stored_object", ["due"])
    op.create_table(
        "stored_tree",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("upload", sa.String(128), nullable=True),
        sa.Column("token", sa.String(128), nullable=True),
        sa.Column("root", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("trash", sa.String(128), nullable=True),
        sa.Column("note", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("shown", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("gone", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_stored_tree")),
        sa.UniqueConstraint("name", name=op.f("uq_stored_tree_name")),
        sa.UniqueConstraint("trash", name=op.f("uq_stored_tree_trash")),
    )
    op.create_index(op.f("ix_stored_tree_upload"), "stored_tree", ["upload"])
    op.create_index(op.f("ix_stored_tree_gone"), "stored_tree", ["gone"])
    op.create_table(
        "file_place",
        sa.Column("tree_number", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.LargeBinary(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tree_number"], ["stored_tree.number"], name=op.f("fk_file_place_tree_number"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tree_number", "first", name=op.f("pk_file_place")),
    )
    op.create_table(
        "tree_object",
        sa.Column("tree_number", sa.BigInteger(), nullable=False),
        sa.Column("object_id", number, nullable=False),
        sa.ForeignKeyConstraint(
            ["tree_number"], ["stored_tree.number"], name=op.f("fk_tree_object_tree_number"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["object_id"], ["stored_object.id"], name=op.f("fk_tree_object_object_id")),
        sa.PrimaryKeyConstraint("tree_number", "object_id", name=op.f("pk_tree_object")),
    )
    op.create_index(op.f("ix_tree_object_object_id"), "tree_object", ["object_id"])
    op.create_table(
        "spool_part",
        sa.Column("upload", sa.String(128), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("upload", "at", name=op.f("pk_spool_part")),
    )
    op.create_table(
        "spool_writer",
        sa.Column("upload", sa.String(128), nullable=False),
        sa.Column("writer", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("upload", name=op.f("pk_spool_writer")),
    )
    op.create_table(
        "stored_receipt",
        sa.Column("upload", sa.String(128), nullable=False),
        sa.Column("staged", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("upload", "staged", name=op.f("pk_stored_receipt")),
    )
