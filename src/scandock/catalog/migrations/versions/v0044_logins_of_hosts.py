"""What web hosts share of logins: the keys of those under way at a provider, and the count of wrong passwords."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "login_key",
        sa.Column("id", number, nullable=False),
        sa.Column("secret", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_key")),
    )
    op.create_table(
        "login_failure",
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("forgiven", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_login_failure")),
    )
    op.create_index(op.f("ix_login_failure_forgiven"), "login_failure", ["forgiven"])
