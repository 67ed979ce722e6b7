"""Logins and tokens know the token that they come from, and projects the account that made them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add what is new: of what is there, none is known to come from a token, and projects count as nobody's."""
    # SQLite adds no foreign key to a table: batch mode makes it anew. Tokens first, as no login refers to one yet.
    with op.batch_alter_table("api_token") as tokens:
        _refer(tokens, "api_token", "parent_alias")
    with op.batch_alter_table("login") as logins:
        _refer(logins, "login", "token_alias")
    op.create_table(
        "project_maker",
        sa.Column("project_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_project_maker")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_project_maker_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_project_maker_account_id"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_project_maker_account_id"), "project_maker", ["account_id"])


def _refer(table: BatchOperations, name: str, column: str) -> None:
    """Add a column that holds the alias of a token, and goes with it."""
    table.add_column(sa.Column(column, sa.String(length=36)))
    table.create_foreign_key(op.f(f"fk_{name}_{column}"), "api_token", [column], ["alias"], ondelete="CASCADE")
    table.create_index(op.f(f"ix_{name}_{column}"), [column])
