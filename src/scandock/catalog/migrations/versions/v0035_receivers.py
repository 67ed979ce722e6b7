"""DICOM receivers, and the peers that we call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make their tables."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    empty, false, true = sa.text("''"), sa.text("false"), sa.text("true")
    op.create_table(
        "receiver",
        sa.Column("id", number, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("title", sa.String(length=16), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("bind", sa.String(length=64), server_default=empty, nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=true, nullable=False),
        sa.Column("label", sa.Text(), server_default=empty, nullable=False),
        sa.Column("tls", sa.Boolean(), server_default=false, nullable=False),
        sa.Column("client_certificates", sa.String(length=8), server_default=sa.text("'off'"), nullable=False),
        sa.Column("allow_list", sa.Text(), server_default=empty, nullable=False),
        sa.Column("allow_list_enabled", sa.Boolean(), server_default=false, nullable=False),
        sa.Column("project_uuid", sa.String(length=36), nullable=True),
        sa.Column("destination", sa.String(length=10), nullable=True),
        sa.Column("account_id", number, nullable=False),
        sa.Column("closing", sa.String(length=8), server_default=sa.text("'idle'"), nullable=False),
        sa.Column("idle_seconds", sa.Integer(), nullable=True),
        sa.Column("max_associations", sa.Integer(), nullable=True),
        sa.Column("max_object_bytes", sa.BigInteger(), nullable=True),
        sa.Column("anonymize", sa.Boolean(), server_default=true, nullable=False),
        sa.Column("rules_enabled", sa.Boolean(), server_default=false, nullable=False),
        sa.Column("project_rules", sa.Text(), server_default=empty, nullable=False),
        sa.Column("subject_rules", sa.Text(), server_default=empty, nullable=False),
        sa.Column("session_rules", sa.Text(), server_default=empty, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "client_certificates IN ('off', 'optional', 'required')", name=op.f("ck_receiver_client_certificates")
        ),
        sa.CheckConstraint("destination IN ('prearchive', 'archive')", name=op.f("ck_receiver_destination")),
        sa.CheckConstraint("closing IN ('idle', 'release')", name=op.f("ck_receiver_closing")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_receiver_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receiver")),
        sa.UniqueConstraint("uuid", name=op.f("uq_receiver_uuid")),
        sa.UniqueConstraint("title", "port", name=op.f("uq_receiver_title_port")),
    )
    op.create_index(op.f("ix_receiver_project_uuid"), "receiver", ["project_uuid"])
    op.create_index(op.f("ix_receiver_account_id"), "receiver", ["account_id"])
    op.create_table(
        "dicom_peer",
        sa.Column("id", number, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("title", sa.String(length=16), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("tls", sa.Boolean(), server_default=false, nullable=False),
        sa.Column("label", sa.Text(), server_default=empty, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dicom_peer")),
        sa.UniqueConstraint("uuid", name=op.f("uq_dicom_peer_uuid")),
        sa.UniqueConstraint("title", name=op.f("uq_dicom_peer_title")),
    )
