"""Routing rules of projects are versioned texts too."""

from __future__ import annotations

from alembic import op

revision = "0034"
down_revision = "0032"
branch_labels = None
depends_on = None

KINDS = "kind IN ('filter', 'script', 'lookup', 'settings', 'routing')"


def upgrade() -> None:
    """Let texts be routing rules."""
    name = op.f("ck_privacy_text_kind")
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("privacy_text") as texts:  # made anew: SQLite can't change what a column must be
            texts.create_check_constraint(name, KINDS)
    else:
        op.drop_constraint(name, "privacy_text", type_="check")
        op.create_check_constraint(name, "privacy_text", KINDS)
