"""Import filters, scripts and lookup tables, each with its versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make their table."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "privacy_text",
        sa.Column("id", number, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("project_id", number, nullable=True),
        sa.Column("name", sa.String(length=64), server_default=sa.text("''"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('filter', 'script', 'lookup')", name=op.f("ck_privacy_text_kind")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_privacy_text_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_privacy_text")),
        sa.UniqueConstraint(
            "kind", "project_id", "name", "version", name=op.f("uq_privacy_text_kind_project_id_name_version")
        ),
    )
    op.create_index(op.f("ix_privacy_text_project_id"), "privacy_text", ["project_id"])
