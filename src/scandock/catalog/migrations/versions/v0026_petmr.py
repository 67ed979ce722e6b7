"""PET and MR of one study can be separated: projects may leave the choice to the site, sessions have a side.

A project that had `petmr` never chose it, as that was what every project got; what it has is the site's default now.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

EMPTY = sa.text("''")
BEFORE = ("petmr", "pet")
AFTER = ("default", "petmr", "pet", "separate")


def upgrade() -> None:
    """Change the setting's values, then make the column."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        _change_sqlite(connection)
    else:
        op.drop_constraint(op.f("ck_project_petmr"), "project", type_="check")
        op.create_check_constraint(op.f("ck_project_petmr"), "project", f"petmr IN ({_listed(AFTER)})")
        op.alter_column("project", "petmr", server_default="default")
    connection.execute(sa.text("UPDATE project SET petmr = 'default' WHERE petmr = 'petmr'"))
    op.add_column("session", sa.Column("side", sa.String(length=3), server_default=EMPTY, nullable=False))


def _change_sqlite(connection: sa.Connection) -> None:
    """Let the column have the new values.

    SQLite can't change a rule of a column, and the table can't be made anew: rows of other tables go with its rows. So
    its text is changed, as SQLite's manual has it for such a case (lang_altertable, 8).
    """
    where = "WHERE type = 'table' AND name = 'project'"
    text = str(connection.exec_driver_sql(f"SELECT sql FROM sqlite_master {where}").scalar_one())  # noqa: S608
    changed = text.replace(f"petmr IN ({_listed(BEFORE)})", f"petmr IN ({_listed(AFTER)})")
    changed = changed.replace("petmr VARCHAR(8) DEFAULT 'petmr'", "petmr VARCHAR(8) DEFAULT 'default'")
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.execute(sa.text(f"UPDATE sqlite_master SET sql = :sql {where}"), {"sql": changed})  # noqa: S608  our own
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")
    defaults = {row[1]: row[4] for row in connection.exec_driver_sql("PRAGMA table_info(project)")}
    if defaults["petmr"] != "'default'" or _listed(AFTER) not in changed:
        raise RuntimeError(f"The table of projects could not be changed: {text}")


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)
