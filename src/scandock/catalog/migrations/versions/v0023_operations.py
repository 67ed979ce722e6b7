"""Operations by people have a table of their own, imports that were deleted a column, trees made by hand no import.

What was under way stays so: operations keep their lease, their token, their names and their intents.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
EMPTY = sa.text("''")
DELETED = '{"deleted": true}'
BY_HAND = "made by hand"
CACHED = "The file is kept in its sender's cache; an import of it was not asked for yet."
TREE_COLUMNS = ["id", "upload_id", "state", "files", "bytes", "created"]
TREE = """CREATE TABLE tree (
	id INTEGER NOT NULL,
	upload_id INTEGER,
	state VARCHAR(8) NOT NULL,
	files BIGINT DEFAULT 0 NOT NULL,
	bytes BIGINT DEFAULT 0 NOT NULL,
	created BIGINT NOT NULL,
	operation_id INTEGER,
	CONSTRAINT pk_tree PRIMARY KEY (id),
	CONSTRAINT ck_tree_state CHECK (state IN ('staged', 'current', 'retired')),
	CONSTRAINT fk_tree_upload_id FOREIGN KEY(upload_id) REFERENCES upload (id),
	CONSTRAINT fk_tree_operation_id FOREIGN KEY(operation_id) REFERENCES operation (id) ON DELETE SET NULL
)"""


def upgrade() -> None:
    """Make the table and the columns, move the rows that stood for something else, then let no such row come again."""
    connection = op.get_bind()
    op.add_column("upload", sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_table(
        "operation",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("token", sa.String(length=32), server_default=EMPTY, nullable=False),
        sa.Column("lease_until", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation")),
        sa.UniqueConstraint("uuid", name=op.f("uq_operation_uuid")),
    )
    _free_trees(connection)
    for table, more in (("intent", ["kind"]), ("reservation", [])):
        with op.batch_alter_table(table) as batch:
            batch.alter_column("upload_id", existing_type=ID, nullable=True)
            batch.add_column(sa.Column("operation_id", ID))
            batch.create_foreign_key(
                op.f(f"fk_{table}_operation_id"), "operation", ["operation_id"], ["id"], ondelete="CASCADE"
            )
            for name in more:
                batch.add_column(sa.Column(name, sa.String(length=8)))
                batch.alter_column("staged", existing_type=sa.Text(), nullable=True)
    _move_operations(connection)
    _say_kinds(connection)
    by_hand = "SELECT id FROM upload WHERE archive = :archive AND report = :report AND source = 'cli'"
    marks = {"archive": BY_HAND, "report": DELETED}
    connection.execute(sa.text(f"UPDATE tree SET upload_id = NULL WHERE upload_id IN ({by_hand})"), marks)  # noqa: S608
    connection.execute(sa.text(f"DELETE FROM upload WHERE id IN ({by_hand})"), marks)  # noqa: S608  both are our own
    connection.execute(
        sa.text("UPDATE upload SET deleted = true, report = '' WHERE report = :report"), {"report": DELETED}
    )
    connection.execute(
        sa.text("UPDATE upload SET message = '' WHERE message = :says AND id IN (SELECT upload_id FROM cached_file)"),
        {"says": CACHED},
    )
    _let_no_other_come()


def _free_trees(connection: sa.Connection) -> None:
    """Let a tree be of no import, and name the operation that makes it.

    SQLite has no statement that takes a NOT NULL away, and the table can't be made anew: rows of most other tables go
    with its rows. So its text is replaced, as SQLite's manual has it for this very case (lang_altertable, 8).
    """
    if connection.dialect.name != "sqlite":
        op.alter_column("tree", "upload_id", existing_type=ID, nullable=True)
        op.add_column("tree", sa.Column("operation_id", ID))
        op.create_foreign_key(
            op.f("fk_tree_operation_id"), "tree", "operation", ["operation_id"], ["id"], ondelete="SET NULL"
        )
    else:
        names = [row[1] for row in connection.exec_driver_sql("PRAGMA table_info(tree)")]
        if names != TREE_COLUMNS:
            raise RuntimeError(f"The table of trees is not that of version 0022: {names}.")
        version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
        connection.exec_driver_sql("PRAGMA writable_schema = ON")
        connection.execute(
            sa.text("UPDATE sqlite_master SET sql = :sql WHERE type = 'table' AND name = 'tree'"), {"sql": TREE}
        )
        connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
        connection.exec_driver_sql("PRAGMA writable_schema = RESET")
        names = [row[1] for row in connection.exec_driver_sql("PRAGMA table_info(tree)")]
        if names != [*TREE_COLUMNS, "operation_id"]:
            raise RuntimeError(f"The table of trees could not be changed: {names}.")
    op.create_index(op.f("ix_tree_operation_id"), "tree", ["operation_id"])


def _move_operations(connection: sa.Connection) -> None:
    """Give each operation that is under way its row, and what it holds to that."""
    rows = connection.execute(
        sa.text(
            "SELECT id, uuid, request, report, attempt, token, lease_until, owner, created FROM upload"
            """ WHERE request LIKE '{"operation":%'"""
        )
    ).mappings()
    for row in rows.all():
        kept = ("uuid", "attempt", "token", "lease_until", "owner", "created")
        values: dict[str, Any] = {name: row[name] for name in kept}
        values["kind"] = json.loads(row["request"])["operation"]
        connection.execute(
            sa.text(
                "INSERT INTO operation (uuid, kind, attempt, token, lease_until, owner, created)"
                " VALUES (:uuid, :kind, :attempt, :token, :lease_until, :owner, :created)"
            ),
            values,
        )
        number = connection.execute(sa.text("SELECT id FROM operation WHERE uuid = :uuid"), values).scalar_one()
        to_be = {"upload": row["id"], "operation": number}
        for table in ("intent", "reservation"):
            connection.execute(
                sa.text(f"UPDATE {table} SET upload_id = NULL, operation_id = :operation WHERE upload_id = :upload"),  # noqa: S608
                to_be,
            )
        origin = json.loads(row["report"] or "{}").get("origin")
        connection.execute(
            sa.text("UPDATE tree SET upload_id = :origin, operation_id = :operation WHERE upload_id = :upload"),
            {**to_be, "origin": origin},
        )
        connection.execute(sa.text("DELETE FROM upload WHERE id = :upload"), to_be)


def _say_kinds(connection: sa.Connection) -> None:
    """Say in words what intents do: it stood in `staged`, and in the JSON."""
    for row in connection.execute(sa.text("SELECT id, staged, session FROM intent")).all():
        kind, staged = "publish", row.staged
        if staged == "-":
            kind, staged = "remove", None
        elif not staged:
            kind, staged = "restore" if json.loads(row.session).get("restores") is not None else "move", None
        connection.execute(
            sa.text("UPDATE intent SET kind = :kind, staged = :staged WHERE id = :id"),
            {"kind": kind, "staged": staged, "id": row.id},
        )


def _let_no_other_come() -> None:
    whose = "(upload_id IS NULL) <> (operation_id IS NULL)"
    with op.batch_alter_table("intent") as intents:
        intents.alter_column("kind", existing_type=sa.String(length=8), nullable=False)
        intents.create_unique_constraint(op.f("uq_intent_operation_id_n"), ["operation_id", "n"])
        intents.create_check_constraint(op.f("ck_intent_kind"), "kind IN ('publish', 'move', 'restore', 'remove')")
        intents.create_check_constraint(op.f("ck_intent_whose"), whose)
        intents.create_check_constraint(op.f("ck_intent_staged"), "(staged IS NOT NULL) = (kind = 'publish')")
    with op.batch_alter_table("reservation") as reservations:
        reservations.create_check_constraint(op.f("ck_reservation_whose"), whose)
    op.create_index(op.f("ix_reservation_operation_id"), "reservation", ["operation_id"])
