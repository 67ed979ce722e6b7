"""Privacy settings are versioned texts too; the catalog knows the fingerprints of the site's keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

KINDS = "kind IN ('filter', 'script', 'lookup', 'settings')"


def upgrade() -> None:
    """Let texts be settings, and make the table of keys."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    name = op.f("ck_privacy_text_kind")
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("privacy_text") as texts:  # made anew: SQLite can't change what a column must be
            texts.create_check_constraint(name, KINDS)
    else:
        op.drop_constraint(name, "privacy_text", type_="check")
        op.create_check_constraint(name, "privacy_text", KINDS)
    op.create_table(
        "privacy_key",
        sa.Column("id", number, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_privacy_key")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_privacy_key_fingerprint")),
    )
