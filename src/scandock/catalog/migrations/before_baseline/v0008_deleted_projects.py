"""Projects get a UUID that the audit goes by, deletions are kept while they last, and set aside is `~` in a name."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
EMPTY = sa.text("''")

project = sa.table("project", *(sa.column(name) for name in ("id", "name", "key", "uuid", "created")))
member = sa.table("member", sa.column("project_id"))
audit = sa.table("audit", *(sa.column(name) for name in ("at", "action", "kind", "target", "outcome")))


def upgrade() -> None:
    """Add what is new, then give every project its UUID and those set aside their new names."""
    op.add_column("project", sa.Column("uuid", sa.String(length=36), server_default=EMPTY, nullable=False))
    op.create_table(
        "project_deletion",
        sa.Column("project_id", ID, nullable=False),
        sa.Column("account_id", ID),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("begun", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_project_deletion")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_project_deletion_project_id"), ondelete="CASCADE"
        ),
    )
    op.add_column("audit", sa.Column("project_uuid", sa.String(length=36)))
    op.create_index(op.f("ix_audit_project_uuid_id"), "audit", ["project_uuid", "id"])
    _fill(op.get_bind())
    op.create_index(op.f("ix_project_uuid"), "project", ["uuid"], unique=True)


def _fill(connection: sa.Connection) -> None:
    rows = connection.execute(sa.select(project.c.id, project.c.name, project.c.created)).all()
    for row in rows:
        values = {"uuid": str(uuid.uuid4())}
        if _is_set_aside(connection, row.id, row.name, row.created):
            name = f"{row.name.removesuffix(f'_deleted_{row.id}')}~{row.id}"
            values |= {"name": name, "key": name.casefold()}
        connection.execute(sa.update(project).where(project.c.id == row.id).values(**values))


def _is_set_aside(connection: sa.Connection, number: int, name: str, created: int) -> bool:
    """Whether a project was deleted and its row kept: people could give such an id too, but not the rest of it.

    The audit tells of the deletion, under the id as it was before; of one that people made it tells of the making, or
    it has members.
    """
    suffix = f"_deleted_{number}"
    if not name.endswith(suffix):
        return False
    stem = name.removesuffix(suffix)
    done = (audit.c.kind == "project", audit.c.outcome == "done", audit.c.at >= created)
    deleted = connection.execute(sa.select(audit.c.target).where(*done, audit.c.action == "delete")).scalars()
    if not any(target[: 64 - len(suffix)] == stem for target in deleted):
        return False
    by_people = (
        sa.select(audit.c.target).where(*done, audit.c.action == "project_create", audit.c.target == name).limit(1),
        sa.select(member.c.project_id).where(member.c.project_id == number).limit(1),
    )
    return all(connection.execute(query).first() is None for query in by_people)
