"""The import core: projects, subjects, sessions, trees, uploads, intents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite numbers rows by itself only where the key is its INTEGER."""


def upgrade() -> None:
    """Make every table, in the order of their foreign keys."""
    _projects()
    _uploads()
    _subjects()
    _trees()
    _files()
    _session()
    _placing()


def _projects() -> None:
    """Projects with their settings, and the site's rules."""
    op.create_table(
        "project",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("title", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("prearchive_code", sa.Integer(), server_default=sa.text("4"), nullable=False),
        sa.Column("identified", sa.String(length=8), server_default="accept", nullable=False),
        sa.Column("petmr", sa.String(length=8), server_default="petmr", nullable=False),
        sa.Column("separate_secondary", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("identified IN ('accept', 'warn', 'hold')", name=op.f("ck_project_identified")),
        sa.CheckConstraint("petmr IN ('petmr', 'pet')", name=op.f("ck_project_petmr")),
        sa.CheckConstraint("prearchive_code IN (0, 4, 5)", name=op.f("ck_project_prearchive_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("key", name=op.f("uq_project_key")),
        sa.UniqueConstraint("name", name=op.f("uq_project_name")),
    )
    op.create_table(
        "routing_rules",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('project', 'subject', 'session')", name=op.f("ck_routing_rules_kind")),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_routing_rules")),
    )


def _uploads() -> None:
    """Imports, and which of their entries need an eye."""
    op.create_table(
        "upload",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=32), server_default=sa.text("''"), nullable=False),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("token", sa.String(length=32), server_default=sa.text("''"), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("report", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("finished", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("source IN ('cli', 'server')", name=op.f("ck_upload_source")),
        sa.CheckConstraint(
            "state IN ('receiving', 'received', 'running', 'placed', 'held', 'partly', 'refused', 'failed', "
            "'cancelled')",
            name=op.f("ck_upload_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
        sa.UniqueConstraint("uuid", name=op.f("uq_upload_uuid")),
    )
    op.create_index(op.f("ix_upload_state"), "upload", ["state"], unique=False)
    op.create_table(
        "upload_exception",
        sa.Column("upload_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["upload.id"], name=op.f("fk_upload_exception_upload_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("upload_id", "n", name=op.f("pk_upload_exception")),
        sqlite_with_rowid=False,
    )


def _subjects() -> None:
    """Subjects, and the patients that each stands for."""
    op.create_table(
        "subject",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("label", sa.String(length=128), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_subject_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subject")),
        sa.UniqueConstraint("project_id", "key", name=op.f("uq_subject_project_id_key")),
        sa.UniqueConstraint("uuid", name=op.f("uq_subject_uuid")),
    )
    op.create_table(
        "subject_patient",
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.id"], name=op.f("fk_subject_patient_subject_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("subject_id", "patient_id", name=op.f("pk_subject_patient")),
    )


def _trees() -> None:
    """Immutable sets of files, their scans and resources."""
    op.create_table(
        "tree",
        sa.Column("id", ID, nullable=False),
        sa.Column("upload_id", ID, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("files", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('staged', 'current', 'retired')", name=op.f("ck_tree_state")),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_tree_upload_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tree")),
    )
    op.create_index(op.f("ix_tree_upload_id"), "tree", ["upload_id"], unique=False)
    op.create_table(
        "scan",
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("scan_id", sa.String(length=128), nullable=False),
        sa.Column("series_uid", sa.Text(), nullable=True),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("xsi_type", sa.String(length=64), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_scan_tree_id")),
        sa.PrimaryKeyConstraint("tree_id", "n", name=op.f("pk_scan")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "resource",
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("scan_n", sa.Integer(), nullable=True),
        sa.Column("label", sa.String(length=128), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("format", sa.String(length=32), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_resource_tree_id")),
        sa.PrimaryKeyConstraint("tree_id", "n", name=op.f("pk_resource")),
        sqlite_with_rowid=False,
    )


def _files() -> None:
    """What trees hold; no row says where its tree stands."""
    op.create_table(
        "file",
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("resource_n", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sop_uid", sa.Text(), nullable=True),
        sa.Column("frames", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("dataset_at", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("md5", sa.LargeBinary(length=16), nullable=True),
        sa.Column("verified", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_file_tree_id")),
        sa.PrimaryKeyConstraint("tree_id", "n", name=op.f("pk_file")),
        sqlite_with_rowid=False,
    )


def _session() -> None:
    """What shows a tree."""
    op.create_table(
        "session",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("subject_id", ID, nullable=True),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("label", sa.String(length=128), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("place", sa.String(length=10), nullable=False),
        sa.Column("timestamp", sa.String(length=18), server_default=sa.text("''"), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("study_uid", sa.Text(), nullable=True),
        sa.Column("patient_id", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("by_hand", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("ecat", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("xsi_type", sa.String(length=64), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("warnings", sa.Text(), nullable=False),
        sa.Column("held_code", sa.String(length=32), server_default=sa.text("''"), nullable=False),
        sa.Column("held_message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("held_remedy", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("scans", sa.Integer(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("place IN ('archive', 'prearchive')", name=op.f("ck_session_place")),
        sa.CheckConstraint("state IN ('ready', 'conflict')", name=op.f("ck_session_state")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_session_project_id")),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.id"], name=op.f("fk_session_subject_id")),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_session_tree_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint(
            "project_id", "place", "timestamp", "key", name=op.f("uq_session_project_id_place_timestamp_key")
        ),
        sa.UniqueConstraint("uuid", name=op.f("uq_session_uuid")),
    )
    op.create_index(op.f("ix_session_project_id_key"), "session", ["project_id", "key"], unique=False)
    op.create_index(op.f("ix_session_project_id_study_uid"), "session", ["project_id", "study_uid"], unique=False)
    op.create_index(op.f("ix_session_subject_id"), "session", ["subject_id"], unique=False)
    op.create_index(op.f("ix_session_tree_id"), "session", ["tree_id"], unique=False)


def _placing() -> None:
    """What is about to be shown, and which names that touches."""
    op.create_table(
        "intent",
        sa.Column("id", ID, nullable=False),
        sa.Column("upload_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("staged", sa.Text(), nullable=False),
        sa.Column("inode", sa.BigInteger(), nullable=False),
        sa.Column("base_inode", sa.BigInteger(), nullable=True),
        sa.Column("base_tree_id", ID, nullable=True),
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("keep_base", sa.Boolean(), nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('intent', 'published', 'done')", name=op.f("ck_intent_state")),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_intent_tree_id")),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_intent_upload_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intent")),
        sa.UniqueConstraint("upload_id", "n", name=op.f("uq_intent_upload_id_n")),
    )
    op.create_table(
        "reservation",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("upload_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["upload.id"], name=op.f("fk_reservation_upload_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_reservation")),
    )
    op.create_index(op.f("ix_reservation_upload_id"), "reservation", ["upload_id"], unique=False)
