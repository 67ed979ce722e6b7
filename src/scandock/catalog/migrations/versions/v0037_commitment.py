"""Files are found by their SOP Instance UIDs; requests for storage commitment.

Old files get their hashes in the background (`services.commitment`), by the index of those that have none.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns of files and the table of requests."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    empty = sa.text("''")
    op.add_column("file", sa.Column("sop_hash", sa.BigInteger()))
    op.add_column("file", sa.Column("sop_key", sa.BigInteger()))
    for name, column, where in (
        ("ix_file_sop_hash", "sop_hash", "sop_hash IS NOT NULL"),
        ("ix_file_sop_key", "sop_key", "sop_key IS NOT NULL"),
        ("ix_file_unhashed", "tree_id", "sop_uid IS NOT NULL AND sop_hash IS NULL"),
    ):
        condition = sa.text(where)
        op.create_index(op.f(name), "file", [column], sqlite_where=condition, postgresql_where=condition)
    op.create_table(
        "commitment",
        sa.Column("id", number, nullable=False),
        sa.Column("peer", sa.String(length=16), nullable=False),
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("receiver_id", number),
        sa.Column("called", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("newest_upload", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("message", sa.Text(), server_default=empty, nullable=False),
        sa.Column("wanted", sa.LargeBinary(), nullable=False),
        sa.Column("result", sa.LargeBinary()),
        sa.CheckConstraint("state IN ('waiting', 'decided', 'told', 'failed')", name=op.f("ck_commitment_state")),
        sa.ForeignKeyConstraint(
            ["receiver_id"], ["receiver.id"], name=op.f("fk_commitment_receiver_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitment")),
    )
    op.create_index(op.f("ix_commitment_state_due"), "commitment", ["state", "due"])
    op.create_index(op.f("ix_commitment_receiver_id"), "commitment", ["receiver_id"])
