"""Objects can come by DICOMweb: an upload has the door `dicomweb`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

BEFORE = ("raw", "multipart", "tus", "dimse", "session")
AFTER = (*BEFORE, "dicomweb")


def upgrade() -> None:
    """Let uploads come by the door `dicomweb`."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        _change_sqlite(connection)
    else:
        op.drop_constraint(op.f("ck_reception_door"), "reception", type_="check")
        op.create_check_constraint(op.f("ck_reception_door"), "reception", f"door IN ({_listed(AFTER)})")


def _change_sqlite(connection: sa.Connection) -> None:
    """Let the column have the new value, in the table's text, as SQLite's manual has it (lang_altertable, 8).

    SQLite can't change a rule of a column otherwise but by making the table anew.
    """
    where = "WHERE type = 'table' AND name = 'reception'"
    text = str(connection.exec_driver_sql(f"SELECT sql FROM sqlite_master {where}").scalar_one())  # noqa: S608
    changed = text.replace(f"door IN ({_listed(BEFORE)})", f"door IN ({_listed(AFTER)})")
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.execute(sa.text(f"UPDATE sqlite_master SET sql = :sql {where}"), {"sql": changed})  # noqa: S608  our own
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")
    if _listed(AFTER) not in changed:
        raise RuntimeError(f"The table of uploads could not be changed: {text}")


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)
