"""What XNAT's dialect needs: numbers of sessions, a user's cached files, keys of imports, folders of the server."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and number what is there, in the trash too, in the order in which it came."""
    op.create_table(
        "accession",
        sa.Column("number", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_accession")),
        sa.UniqueConstraint("uuid", name=op.f("uq_accession_uuid")),
    )
    op.execute(
        "INSERT INTO accession (uuid) SELECT uuid FROM"
        " (SELECT uuid, created FROM session UNION SELECT uuid, deleted FROM trashed) AS known ORDER BY created, uuid"
    )
    op.create_table(
        "cached_file",
        sa.Column("upload_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("whole", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("upload_id", name=op.f("pk_cached_file")),
        *_owned("cached_file", ondelete="CASCADE"),
    )
    op.create_index(op.f("ix_cached_file_account_id_resource"), "cached_file", ["account_id", "resource"])
    op.create_table(
        "tracked",
        sa.Column("number", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("upload_id", ID),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_tracked")),
        *_owned("tracked", ondelete="SET NULL"),
    )
    op.create_index(op.f("ix_tracked_account_id_key"), "tracked", ["account_id", "key"])
    op.create_index(op.f("ix_tracked_upload_id"), "tracked", ["upload_id"])
    op.create_table(
        "inbox_import",
        sa.Column("number", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("upload_id", ID),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("cleanup", sa.Boolean(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("cleaned", sa.BigInteger()),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_inbox_import")),
        *_owned("inbox_import", ondelete="SET NULL"),
    )
    op.create_index(op.f("ix_inbox_import_account_id"), "inbox_import", ["account_id"])
    op.create_index(op.f("ix_inbox_import_upload_id"), "inbox_import", ["upload_id"])


def _owned(table: str, *, ondelete: str) -> list[sa.ForeignKeyConstraint]:
    """An account's own, with an upload."""
    return [
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f(f"fk_{table}_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f(f"fk_{table}_upload_id"), ondelete=ondelete),
    ]
