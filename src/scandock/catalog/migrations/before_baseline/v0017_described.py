"""Single files get what people say of them, projects their descriptions and the names that they answer to besides."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns, empty for what is there: a file without words of its own has its resource's."""
    for name, kind in (("content", sa.Text()), ("format", sa.String(length=32)), ("tags", sa.Text())):
        op.add_column("file", sa.Column(name, kind))
    op.add_column("project", sa.Column("attributes", sa.Text(), server_default=sa.text("'{}'"), nullable=False))
    op.create_table(
        "project_alias",
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("alias", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_project_alias")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_project_alias_project_id"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_project_alias_project_id"), "project_alias", ["project_id"])
