"""What DICOM receivers take: studies while they come, the last associations, and which receivers listen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make their tables."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    empty, zero = sa.text("''"), sa.text("0")
    op.create_table(
        "received_study",
        sa.Column("upload_id", number, nullable=False),
        sa.Column("receiver_id", number),
        sa.Column("calling", sa.String(length=16), nullable=False),
        sa.Column("called", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("objects", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("begun", sa.BigInteger(), nullable=False),
        sa.Column("heard", sa.BigInteger(), nullable=False),
        sa.Column("rate", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("wish", sa.String(length=8), server_default=empty, nullable=False),
        sa.Column("closed_by", sa.String(length=8), server_default=empty, nullable=False),
        sa.CheckConstraint("wish IN ('', 'close', 'discard')", name=op.f("ck_received_study_wish")),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["upload.id"], name=op.f("fk_received_study_upload_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["receiver_id"], ["receiver.id"], name=op.f("fk_received_study_receiver_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("upload_id", name=op.f("pk_received_study")),
    )
    op.create_index(op.f("ix_received_study_receiver_id"), "received_study", ["receiver_id"])
    op.create_table(
        "dicom_association",
        sa.Column("id", number, nullable=False),
        sa.Column("receiver_id", number),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("called", sa.String(length=16), nullable=False),
        sa.Column("calling", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("security", sa.Text(), server_default=empty, nullable=False),
        sa.Column("begun", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger()),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("message", sa.Text(), server_default=empty, nullable=False),
        sa.Column("objects", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("failures", sa.BigInteger(), server_default=zero, nullable=False),
        sa.CheckConstraint(
            "outcome IN ('open', 'released', 'ended', 'rejected', 'failed')",
            name=op.f("ck_dicom_association_outcome"),
        ),
        sa.ForeignKeyConstraint(
            ["receiver_id"], ["receiver.id"], name=op.f("fk_dicom_association_receiver_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dicom_association")),
    )
    op.create_index(op.f("ix_dicom_association_receiver_id_id"), "dicom_association", ["receiver_id", "id"])
    op.create_table(
        "receiver_state",
        sa.Column("receiver_id", number, nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("listening", sa.Boolean(), nullable=False),
        sa.Column("message", sa.Text(), server_default=empty, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["receiver_id"], ["receiver.id"], name=op.f("fk_receiver_state_receiver_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("receiver_id", "host", name=op.f("pk_receiver_state")),
        sqlite_with_rowid=False,
    )
    op.add_column("receiver", sa.Column("by_option", sa.Boolean(), server_default=sa.text("false"), nullable=False))
