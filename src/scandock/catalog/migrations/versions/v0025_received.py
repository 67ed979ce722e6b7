"""Sessions say when they were received, by which import, of which date and modalities; joins and silence are kept.

What is known of sessions that are there is filled in: the import that brought one first is the oldest whose line of the
audit names it. Where a line names too many, or there is none, nothing is said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
EMPTY = sa.text("''")
BATCH = 5_000
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
MODALITIES_LENGTH = 120
RECEIVED_BY = "CONSTRAINT fk_session_received_by FOREIGN KEY(received_by) REFERENCES upload (id) ON DELETE SET NULL"
OF_SESSIONS = sa.text("kind = 'session'")
LISTED = ("date", "received", "modalities", "subject")


def upgrade() -> None:
    """Make columns and table, fill them, then make the indexes."""
    connection = op.get_bind()
    op.add_column("reception", sa.Column("heard", sa.BigInteger()))
    op.add_column("session", sa.Column("received", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("session", sa.Column("received_by", ID))
    op.add_column("session", sa.Column("date", sa.String(length=10), server_default=EMPTY, nullable=False))
    op.add_column("session", sa.Column("modalities", sa.Text(), server_default=EMPTY, nullable=False))
    _tie_to_imports(connection)
    op.create_table(
        "joined_session",
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("into_uuid", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_joined_session")),
    )
    connection.execute(sa.text("UPDATE session SET received = created"))
    _fill_received_by(connection)
    _fill_listing(connection)
    op.create_index(op.f("ix_session_received_by"), "session", ["received_by"])
    for name in LISTED:
        op.create_index(op.f(f"ix_session_project_id_place_{name}_id"), "session", ["project_id", "place", name, "id"])
    op.create_index(
        op.f("ix_audit_session_target"),
        "audit",
        ["target", "id"],
        sqlite_where=OF_SESSIONS,
        postgresql_where=OF_SESSIONS,
    )


def _tie_to_imports(connection: sa.Connection) -> None:
    """Let `received_by` be empty once its import is gone.

    SQLite has no statement that adds such a rule, and the table can't be made anew: rows of other tables go with its
    rows. So its text is replaced, as SQLite's manual has it for such a case (lang_altertable, 8).
    """
    if connection.dialect.name != "sqlite":
        op.create_foreign_key(
            op.f("fk_session_received_by"), "session", "upload", ["received_by"], ["id"], ondelete="SET NULL"
        )
        return
    where = "FROM sqlite_master WHERE type = 'table' AND name = 'session'"
    text = str(connection.exec_driver_sql(f"SELECT sql {where}").scalar_one()).rstrip()
    if not text.endswith(")"):
        raise RuntimeError(f"The table of sessions is not as it was made: {text}")
    text = f"{text[:-1].rstrip()},\n\t{RECEIVED_BY}\n)"
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.execute(
        sa.text("UPDATE sqlite_master SET sql = :sql WHERE type = 'table' AND name = 'session'"), {"sql": text}
    )
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")
    keys = {row[3] for row in connection.exec_driver_sql("PRAGMA foreign_key_list(session)")}
    if "received_by" not in keys:
        raise RuntimeError(f"The table of sessions could not be changed: {keys}.")


def _fill_received_by(connection: sa.Connection) -> None:
    """Ask the audit, the oldest line first: which import named a session first.

    An import that was begun after a session was there has joined it, and is not the one.
    """
    named: set[str] = set()
    for lines in _batches(connection, "id, target, details", "audit", "action = 'import_end'"):
        uploads = {
            row.uuid: row
            for row in connection.execute(
                sa.text("SELECT id, uuid, created FROM upload WHERE uuid IN :uuids").bindparams(
                    sa.bindparam("uuids", expanding=True)
                ),
                {"uuids": sorted({line.target for line in lines})},
            )
        }
        values: list[dict[str, Any]] = []
        for line in lines:
            new = [uuid for uuid in _sessions_of(line.details) if uuid not in named]
            named.update(new)
            if (upload := uploads.get(line.target)) is not None:
                values += [{"upload": upload.id, "begun": upload.created, "uuid": uuid} for uuid in new]
        if values:
            connection.execute(
                sa.text("UPDATE session SET received_by = :upload WHERE uuid = :uuid AND created >= :begun"), values
            )


def _sessions_of(details: str) -> list[str]:
    try:
        named = json.loads(details or "{}").get("sessions")
    except (ValueError, AttributeError):
        return []
    return [uuid for uuid in named if isinstance(uuid, str)] if isinstance(named, list) else []


def _fill_listing(connection: sa.Connection) -> None:
    """Date and modalities, by attributes and scans."""
    for rows in _batches(connection, "id, tree_id, attributes", "session", "true"):
        found = connection.execute(
            sa.text(
                "SELECT DISTINCT session.id, scan.modality FROM session JOIN scan ON scan.tree_id = session.tree_id"
                " WHERE session.id BETWEEN :first AND :last"
            ),
            {"first": rows[0].id, "last": rows[-1].id},
        )
        modalities: dict[int, set[str]] = {}
        for number, modality in found:
            modalities.setdefault(number, set()).add(modality)
        connection.execute(
            sa.text("UPDATE session SET date = :date, modalities = :modalities WHERE id = :id"),
            [
                {"id": row.id, "date": _date_of(row.attributes), "modalities": _join(modalities.get(row.id, ()))}
                for row in rows
            ],
        )


def _batches(connection: sa.Connection, columns: str, table: str, condition: str) -> Iterator[list[Any]]:
    """Rows of a table by their ids, some at a time."""
    query = sa.text(f"SELECT {columns} FROM {table} WHERE id > :after AND {condition} ORDER BY id LIMIT {BATCH}")  # noqa: S608  our own
    after = 0
    while rows := list(connection.execute(query, {"after": after}).all()):
        yield rows
        after = rows[-1].id


def _date_of(attributes: str) -> str:
    date = json.loads(attributes or "{}").get("date", "")
    return date if isinstance(date, str) and DATE.fullmatch(date) else ""


def _join(modalities: Iterable[str]) -> str:
    joined = ""
    for modality in sorted(set(modalities) - {""}):
        longer = f"{joined}\\{modality}" if joined else modality
        if len(longer) > MODALITIES_LENGTH:
            break
        joined = longer
    return joined
