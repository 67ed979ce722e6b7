"""Sessions may be in quarantine, projects and subjects have files of their own, and archiving is followed by keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NO = sa.text("false")
EMPTY = sa.text("''")


def upgrade() -> None:
    """Add what is new: nothing that is there is in quarantine, and no project asks for it."""
    op.add_column("project", sa.Column("quarantine", sa.Boolean(), server_default=NO, nullable=False))
    op.add_column("session", sa.Column("quarantined", sa.Boolean(), server_default=NO, nullable=False))
    op.add_column("tracked", sa.Column("alive_until", sa.BigInteger()))
    op.add_column("tracked", sa.Column("entries", sa.Text(), server_default=EMPTY, nullable=False))
    op.add_column("tracked", sa.Column("succeeded", sa.Boolean()))
    op.add_column("tracked", sa.Column("final", sa.Text(), server_default=EMPTY, nullable=False))
    op.create_table(
        "shelf",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("subject_id", ID),
        sa.Column("key", sa.String(length=48), nullable=False),
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shelf")),
        sa.UniqueConstraint("uuid", name=op.f("uq_shelf_uuid")),
        sa.UniqueConstraint("project_id", "key", name=op.f("uq_shelf_project_id_key")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_shelf_project_id")),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.id"], name=op.f("fk_shelf_subject_id")),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_shelf_tree_id")),
    )
    op.create_index(op.f("ix_shelf_subject_id"), "shelf", ["subject_id"])
    op.create_index(op.f("ix_shelf_tree_id"), "shelf", ["tree_id"])
