"""Verification comes again and again; damage has rows of its own and is told of."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0011"
branch_labels = None
depends_on = None


ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
EMPTY = sa.text("''")


def upgrade() -> None:
    """Make the rows of what was found, and have damaged trees read again: only a hundred of each were named."""
    op.create_table(
        "damage",
        sa.Column("id", ID, nullable=False),
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("file_n", sa.Integer()),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("bytes", sa.BigInteger()),
        sa.Column("error", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("found", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_damage")),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_damage_tree_id"), ondelete="CASCADE"),
        sa.UniqueConstraint("tree_id", "file_n", name=op.f("uq_damage_tree_id_file_n")),
        sa.CheckConstraint(
            "kind IN ('changed', 'missing', 'unreadable', 'folder_missing')", name=op.f("ck_damage_kind")
        ),
    )
    for name in ("begun", "asked", "oldest"):
        op.add_column("verification", sa.Column(name, sa.BigInteger()))
    op.create_index(op.f("ix_verification_oldest"), "verification", ["oldest"])
    _keep_damage(op.get_bind())
    with op.batch_alter_table("delivery") as deliveries:
        deliveries.alter_column("subscription_id", existing_type=ID, nullable=True)
        deliveries.alter_column("upload_id", existing_type=ID, nullable=True)
        deliveries.add_column(sa.Column("account_id", ID))
        deliveries.create_foreign_key(
            op.f("fk_delivery_account_id"), "account", ["account_id"], ["id"], ondelete="CASCADE"
        )
        deliveries.create_check_constraint(
            op.f("ck_delivery_whose"), "(subscription_id IS NULL) <> (account_id IS NULL)"
        )
    op.create_index(op.f("ix_delivery_account_id"), "delivery", ["account_id"])
    op.drop_column("verification", "problems")
    op.drop_column("verification", "details")


def _keep_damage(connection: sa.Connection) -> None:
    found = connection.execute(
        sa.text("SELECT tree_id, finished, details FROM verification WHERE problems > 0")
    ).all()  # fmt: skip
    rows = [
        {
            "tree_id": row.tree_id,
            "file_n": one.get("file"),
            "kind": one["kind"],
            "bytes": one.get("bytes"),
            "error": one.get("error", ""),
            "found": row.finished or 0,
        }
        for row in found
        for one in json.loads(row.details or "[]")
    ]
    if rows:
        columns = ", ".join(rows[0])
        marks = ", ".join(f":{name}" for name in rows[0])
        connection.execute(sa.text(f"INSERT INTO damage ({columns}) VALUES ({marks})"), rows)  # noqa: S608  names of our own
    connection.execute(sa.text("DELETE FROM verification WHERE problems > 0"))
    connection.execute(
        sa.text(
            "UPDATE verification SET oldest = COALESCE("
            "(SELECT MIN(file.verified) FROM file WHERE file.tree_id = verification.tree_id), finished)"
            " WHERE finished IS NOT NULL"
        )
    )
