"""The baseline: all that the tables were at version 0022, made at once.

A catalog of an older version is brought up to 0022 by the scripts of `before_baseline`, which end in these very tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
EMPTY = sa.text("''")


def upgrade() -> None:
    """Make every table, in the order of their foreign keys, and the triggers that keep the audit as it is."""
    op.create_table(
        "accession",
        sa.Column("number", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_accession")),
        sa.UniqueConstraint("uuid", name=op.f("uq_accession_uuid")),
    )
    op.create_table(
        "account",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("display", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("email", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("password", sa.Text()),
        sa.Column("identity", sa.Text()),
        sa.Column("admin", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("disabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("epoch", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("identity", name=op.f("uq_account_identity")),
        sa.UniqueConstraint("key", name=op.f("uq_account_key")),
        sa.UniqueConstraint("uuid", name=op.f("uq_account_uuid")),
    )
    op.create_table(
        "audit",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("account_id", ID),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), server_default=EMPTY, nullable=False),
        sa.Column("target", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("project", sa.String(length=64), server_default=EMPTY, nullable=False),
        sa.Column("address", sa.String(length=64), server_default=EMPTY, nullable=False),
        sa.Column("request_id", sa.String(length=64), server_default=EMPTY, nullable=False),
        sa.Column("outcome", sa.String(length=8), server_default=sa.text("'done'"), nullable=False),
        sa.Column("details", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("project_uuid", sa.String(length=36)),
        sa.CheckConstraint("outcome IN ('done', 'refused', 'failed')", name=op.f("ck_audit_outcome")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_account_id_id"), "audit", ["account_id", "id"])
    op.create_index(op.f("ix_audit_at"), "audit", ["at"])
    op.create_index(op.f("ix_audit_project_id"), "audit", ["project", "id"])
    op.create_index(op.f("ix_audit_project_uuid_id"), "audit", ["project_uuid", "id"])
    op.create_table(
        "clock_seen",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wall", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.String(length=64), nullable=False),
        sa.Column("since_start", sa.BigInteger(), nullable=False),
        sa.Column("held_until", sa.BigInteger(), nullable=False),
        sa.Column("jumped", sa.BigInteger(), nullable=False),
        sa.Column("doubted", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("doubted_since", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock_seen")),
    )
    op.create_table(
        "data_folder",
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_data_folder")),
    )
    op.create_table(
        "gone_subject",
        sa.Column("number", ID, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_gone_subject")),
    )
    op.create_table(
        "project",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("title", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("prearchive_code", sa.Integer(), server_default=sa.text("4"), nullable=False),
        sa.Column("identified", sa.String(length=8), server_default="accept", nullable=False),
        sa.Column("petmr", sa.String(length=8), server_default="petmr", nullable=False),
        sa.Column("separate_secondary", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("quarantine", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("uuid", sa.String(length=36), server_default=EMPTY, nullable=False),
        sa.Column("attributes", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("title_key", sa.String(length=64), server_default=EMPTY, nullable=False),
        sa.Column("secondary_key", sa.String(length=64), server_default=EMPTY, nullable=False),
        sa.CheckConstraint("identified IN ('accept', 'warn', 'hold')", name=op.f("ck_project_identified")),
        sa.CheckConstraint("petmr IN ('petmr', 'pet')", name=op.f("ck_project_petmr")),
        sa.CheckConstraint("prearchive_code IN (0, 4, 5)", name=op.f("ck_project_prearchive_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("key", name=op.f("uq_project_key")),
        sa.UniqueConstraint("name", name=op.f("uq_project_name")),
    )
    op.create_index(op.f("ix_project_secondary_key"), "project", ["secondary_key"])
    op.create_index(op.f("ix_project_title_key"), "project", ["title_key"])
    op.create_index(op.f("ix_project_uuid"), "project", ["uuid"], unique=True)
    op.create_table(
        "routing_rules",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('project', 'subject', 'session')", name=op.f("ck_routing_rules_kind")),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_routing_rules")),
    )
    op.create_table(
        "upload",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=32), server_default=EMPTY, nullable=False),
        sa.Column("message", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("token", sa.String(length=32), server_default=EMPTY, nullable=False),
        sa.Column("lease_until", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("report", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("finished", sa.BigInteger()),
        sa.CheckConstraint("source IN ('cli', 'server')", name=op.f("ck_upload_source")),
        sa.CheckConstraint(
            "state IN ('receiving', 'received', 'running', 'placed', 'held', 'partly', 'refused', 'failed',"
            " 'cancelled')",
            name=op.f("ck_upload_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
        sa.UniqueConstraint("uuid", name=op.f("uq_upload_uuid")),
    )
    op.create_index(op.f("ix_upload_state"), "upload", ["state"])
    op.create_table(
        "api_token",
        sa.Column("alias", sa.String(length=36), nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("scope", sa.String(length=8), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger()),
        sa.Column("parent_alias", sa.String(length=36)),
        sa.CheckConstraint("scope IN ('read', 'upload', 'all')", name=op.f("ck_api_token_scope")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_api_token_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["parent_alias"], ["api_token.alias"], name=op.f("fk_api_token_parent_alias"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alias", name=op.f("pk_api_token")),
    )
    op.create_index(op.f("ix_api_token_account_id"), "api_token", ["account_id"])
    op.create_index(op.f("ix_api_token_parent_alias"), "api_token", ["parent_alias"])
    op.create_table(
        "cached_file",
        sa.Column("upload_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("whole", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_cached_file_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["upload.id"], name=op.f("fk_cached_file_upload_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("upload_id", name=op.f("pk_cached_file")),
    )
    op.create_index(op.f("ix_cached_file_account_id_resource"), "cached_file", ["account_id", "resource"])
    op.create_table(
        "download_manifest",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_download_manifest_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_download_manifest")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_download_manifest_account_id_name")),
    )
    op.create_index(op.f("ix_download_manifest_created"), "download_manifest", ["created"])
    op.create_table(
        "event",
        sa.Column("id", ID, nullable=False),
        sa.Column("upload_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_event_account_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_event_upload_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index(op.f("ix_event_account_id_id"), "event", ["account_id", "id"])
    op.create_index(op.f("ix_event_upload_id_id"), "event", ["upload_id", "id"])
    op.create_table(
        "inbox_import",
        sa.Column("number", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("upload_id", ID),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("cleanup", sa.Boolean(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("cleaned", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_inbox_import_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["upload.id"], name=op.f("fk_inbox_import_upload_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_inbox_import")),
    )
    op.create_index(op.f("ix_inbox_import_account_id"), "inbox_import", ["account_id"])
    op.create_index(op.f("ix_inbox_import_upload_id"), "inbox_import", ["upload_id"])
    op.create_table(
        "member",
        sa.Column("project_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("role", sa.String(length=12), nullable=False),
        sa.CheckConstraint("role IN ('owner', 'member', 'collaborator')", name=op.f("ck_member_role")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_member_account_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_member_project_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", "account_id", name=op.f("pk_member")),
    )
    op.create_index(op.f("ix_member_account_id"), "member", ["account_id"])
    op.create_table(
        "progress",
        sa.Column("upload_id", ID, nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("entries_done", sa.BigInteger(), nullable=False),
        sa.Column("entries_total", sa.BigInteger()),
        sa.Column("bytes_done", sa.BigInteger(), nullable=False),
        sa.Column("bytes_total", sa.BigInteger()),
        sa.Column("sessions", sa.Text(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_progress_upload_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("upload_id", name=op.f("pk_progress")),
    )
    op.create_table(
        "project_access",
        sa.Column("project_id", ID, nullable=False),
        sa.Column("accessibility", sa.String(length=9), nullable=False),
        sa.CheckConstraint(
            "accessibility IN ('private', 'protected', 'public')", name=op.f("ck_project_access_accessibility")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_project_access_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_project_access")),
    )
    op.create_table(
        "project_alias",
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("alias", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_project_alias_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_project_alias")),
    )
    op.create_index(op.f("ix_project_alias_project_id"), "project_alias", ["project_id"])
    op.create_table(
        "project_deletion",
        sa.Column("project_id", ID, nullable=False),
        sa.Column("account_id", ID),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("begun", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_project_deletion_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_project_deletion")),
    )
    op.create_table(
        "project_maker",
        sa.Column("project_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_project_maker_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_project_maker_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_project_maker")),
    )
    op.create_index(op.f("ix_project_maker_account_id"), "project_maker", ["account_id"])
    op.create_table(
        "project_sums",
        sa.Column("project_id", ID, nullable=False),
        sa.Column("subjects", sa.BigInteger(), nullable=False),
        sa.Column("sessions", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_project_sums_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_project_sums")),
    )
    op.create_table(
        "reception",
        sa.Column("upload_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("project_id", ID),
        sa.Column("door", sa.String(length=9), nullable=False),
        sa.Column("size", sa.BigInteger()),
        sa.Column("received", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("metadata", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("mapping", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("idempotency_key", sa.Text()),
        sa.Column("expires", sa.BigInteger()),
        sa.Column("accepted", sa.BigInteger()),
        sa.Column("retry_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cancel", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("reserved_until", sa.BigInteger()),
        sa.Column("outages", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("door IN ('raw', 'multipart', 'tus', 'dimse')", name=op.f("ck_reception_door")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_reception_account_id")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_reception_project_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_reception_upload_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("upload_id", name=op.f("pk_reception")),
        sa.UniqueConstraint("account_id", "idempotency_key", name=op.f("uq_reception_account_id_idempotency_key")),
    )
    op.create_index(op.f("ix_reception_account_id"), "reception", ["account_id"])
    op.create_index(op.f("ix_reception_project_id"), "reception", ["project_id"])
    op.create_table(
        "reservation",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("upload_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["upload.id"], name=op.f("fk_reservation_upload_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_reservation")),
    )
    op.create_index(op.f("ix_reservation_upload_id"), "reservation", ["upload_id"])
    op.create_table(
        "saved_search",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("brief", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("tag", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_saved_search_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_search")),
        sa.UniqueConstraint("name", name=op.f("uq_saved_search_name")),
    )
    op.create_index(op.f("ix_saved_search_account_id"), "saved_search", ["account_id"])
    op.create_table(
        "subject",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("label", sa.String(length=128), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("attributes", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("modified", sa.BigInteger()),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_subject_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subject")),
        sa.UniqueConstraint("project_id", "key", name=op.f("uq_subject_project_id_key")),
        sa.UniqueConstraint("uuid", name=op.f("uq_subject_uuid")),
    )
    op.create_table(
        "subscription",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("account_id", ID),
        sa.Column("project_id", ID),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("states", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('email', 'webhook')", name=op.f("ck_subscription_kind")),
        sa.CheckConstraint("(account_id IS NULL) <> (project_id IS NULL)", name=op.f("ck_subscription_whose")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_subscription_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_subscription_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription")),
        sa.UniqueConstraint("uuid", name=op.f("uq_subscription_uuid")),
    )
    op.create_table(
        "tracked",
        sa.Column("number", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("upload_id", ID),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("alive_until", sa.BigInteger()),
        sa.Column("entries", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("succeeded", sa.Boolean()),
        sa.Column("final", sa.Text(), server_default=EMPTY, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_tracked_account_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_tracked_upload_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_tracked")),
    )
    op.create_index(op.f("ix_tracked_account_id_key"), "tracked", ["account_id", "key"])
    op.create_index(op.f("ix_tracked_upload_id"), "tracked", ["upload_id"])
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
    op.create_index(op.f("ix_tree_upload_id"), "tree", ["upload_id"])
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
    op.create_table(
        "damage",
        sa.Column("id", ID, nullable=False),
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("file_n", sa.Integer()),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("bytes", sa.BigInteger()),
        sa.Column("error", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("found", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('changed', 'missing', 'unreadable', 'folder_missing')", name=op.f("ck_damage_kind")
        ),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_damage_tree_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_damage")),
        sa.UniqueConstraint("tree_id", "file_n", name=op.f("uq_damage_tree_id_file_n")),
    )
    op.create_table(
        "delivery",
        sa.Column("id", ID, nullable=False),
        sa.Column("subscription_id", ID),
        sa.Column("upload_id", ID),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("done", sa.BigInteger()),
        sa.Column("account_id", ID),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'failed')", name=op.f("ck_delivery_state")),
        sa.CheckConstraint("(subscription_id IS NULL) <> (account_id IS NULL)", name=op.f("ck_delivery_whose")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_delivery_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_delivery_subscription_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_delivery_upload_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("subscription_id", "upload_id", name=op.f("uq_delivery_subscription_id_upload_id")),
    )
    op.create_index(op.f("ix_delivery_account_id"), "delivery", ["account_id"])
    op.create_index(op.f("ix_delivery_state_next_at"), "delivery", ["state", "next_at"])
    op.create_table(
        "ecat_file",
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_ecat_file_tree_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tree_id", "n", name=op.f("pk_ecat_file")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_ecat_file_sha256"), "ecat_file", ["sha256"])
    op.create_table(
        "file",
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("resource_n", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sop_uid", sa.Text()),
        sa.Column("frames", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("dataset_at", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("md5", sa.LargeBinary(length=16)),
        sa.Column("verified", sa.BigInteger()),
        sa.Column("content", sa.Text()),
        sa.Column("format", sa.String(length=32)),
        sa.Column("tags", sa.Text()),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_file_tree_id")),
        sa.PrimaryKeyConstraint("tree_id", "n", name=op.f("pk_file")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "intent",
        sa.Column("id", ID, nullable=False),
        sa.Column("upload_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("staged", sa.Text(), nullable=False),
        sa.Column("inode", sa.BigInteger(), nullable=False),
        sa.Column("base_inode", sa.BigInteger()),
        sa.Column("base_tree_id", ID),
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
        "login",
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("token_alias", sa.String(length=36)),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_login_account_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["token_alias"], ["api_token.alias"], name=op.f("fk_login_token_alias"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_login")),
    )
    op.create_index(op.f("ix_login_account_id"), "login", ["account_id"])
    op.create_index(op.f("ix_login_token_alias"), "login", ["token_alias"])
    op.create_table(
        "resource",
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("scan_n", sa.Integer()),
        sa.Column("label", sa.String(length=128), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("format", sa.String(length=32), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("tags", sa.Text(), server_default=EMPTY, nullable=False),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_resource_tree_id")),
        sa.PrimaryKeyConstraint("tree_id", "n", name=op.f("pk_resource")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "saved_search_user",
        sa.Column("search_id", ID, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["search_id"], ["saved_search.id"], name=op.f("fk_saved_search_user_search_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("search_id", "key", name=op.f("pk_saved_search_user")),
    )
    op.create_index(op.f("ix_saved_search_user_key"), "saved_search_user", ["key"])
    op.create_table(
        "scan",
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("scan_id", sa.String(length=128), nullable=False),
        sa.Column("series_uid", sa.Text()),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("xsi_type", sa.String(length=64), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sort_key", sa.Text(), server_default=EMPTY, nullable=False),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_scan_tree_id")),
        sa.PrimaryKeyConstraint("tree_id", "n", name=op.f("pk_scan")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "session",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("subject_id", ID),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("label", sa.String(length=128), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("place", sa.String(length=10), nullable=False),
        sa.Column("timestamp", sa.String(length=18), server_default=EMPTY, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("study_uid", sa.Text()),
        sa.Column("patient_id", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("by_hand", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("ecat", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("xsi_type", sa.String(length=64), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("warnings", sa.Text(), nullable=False),
        sa.Column("held_code", sa.String(length=32), server_default=EMPTY, nullable=False),
        sa.Column("held_message", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("held_remedy", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("scans", sa.Integer(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("type_by_hand", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("fields_by_hand", sa.Text(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("folder", sa.String(length=128), server_default=EMPTY, nullable=False),
        sa.Column("overwrite", sa.String(length=8), server_default=EMPTY, nullable=False),
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
    op.create_index(op.f("ix_session_project_id_key"), "session", ["project_id", "key"])
    op.create_index(op.f("ix_session_project_id_patient_id"), "session", ["project_id", "patient_id"])
    op.create_index(op.f("ix_session_project_id_study_uid"), "session", ["project_id", "study_uid"])
    op.create_index(op.f("ix_session_subject_id"), "session", ["subject_id"])
    op.create_index(op.f("ix_session_tree_id"), "session", ["tree_id"])
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
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_shelf_project_id")),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.id"], name=op.f("fk_shelf_subject_id")),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_shelf_tree_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shelf")),
        sa.UniqueConstraint("project_id", "key", name=op.f("uq_shelf_project_id_key")),
        sa.UniqueConstraint("uuid", name=op.f("uq_shelf_uuid")),
    )
    op.create_index(op.f("ix_shelf_subject_id"), "shelf", ["subject_id"])
    op.create_index(op.f("ix_shelf_tree_id"), "shelf", ["tree_id"])
    op.create_table(
        "subject_patient",
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.id"], name=op.f("fk_subject_patient_subject_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("subject_id", "patient_id", name=op.f("pk_subject_patient")),
    )
    op.create_table(
        "trashed",
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("trash_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("account_id", ID),
        sa.Column("deleted", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_trashed_project_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_trashed_tree_id")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_trashed")),
    )
    op.create_index(op.f("ix_trashed_project_id"), "trashed", ["project_id"])
    op.create_table(
        "verification",
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("done_n", sa.Integer(), nullable=False),
        sa.Column("finished", sa.BigInteger()),
        sa.Column("begun", sa.BigInteger()),
        sa.Column("asked", sa.BigInteger()),
        sa.Column("oldest", sa.BigInteger()),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_verification_tree_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tree_id", name=op.f("pk_verification")),
    )
    op.create_index(op.f("ix_verification_finished"), "verification", ["finished"])
    op.create_index(op.f("ix_verification_oldest"), "verification", ["oldest"])
    op.create_table(
        "scan_edit",
        sa.Column("session_id", ID, nullable=False),
        sa.Column("scan_id", sa.String(length=128), nullable=False),
        sa.Column("type", sa.Text()),
        sa.Column("quality", sa.String(length=16)),
        sa.Column("note", sa.Text()),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.Column("parameters", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["session.id"], name=op.f("fk_scan_edit_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", "scan_id", name=op.f("pk_scan_edit")),
    )
    _keep_the_audit()


def _keep_the_audit() -> None:
    """Let the database refuse to change or take away a row of the audit."""
    refusal = "audit is append only"
    if op.get_bind().dialect.name == "sqlite":
        for name, when in (
            ("update", "UPDATE ON audit"),
            ("delete", "DELETE ON audit"),
            ("replace", "INSERT ON audit WHEN NEW.id > 0 AND EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)"),
        ):
            op.execute(f"CREATE TRIGGER audit_no_{name} BEFORE {when} BEGIN SELECT RAISE(ABORT, '{refusal}'); END")
        return
    op.execute(
        "CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{refusal}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuse()"
    )
    op.execute(
        "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
    )
