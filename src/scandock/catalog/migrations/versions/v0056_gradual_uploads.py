"""Single objects come one a request, their session is built later: uploads of the door `gradual`, a row for each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0056"
down_revision = "0053"
branch_labels = None
depends_on = None

BEFORE = ("raw", "multipart", "tus", "dimse", "session", "dicomweb")
AFTER = (*BEFORE, "gradual")


def upgrade() -> None:
    """Make the table, and let uploads come by the door `gradual`."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "gradual_upload",
        sa.Column("upload_id", number, nullable=False),
        sa.Column("project_id", number, nullable=False),
        sa.Column("timestamp", sa.String(length=18), nullable=False),
        sa.Column("label", sa.String(length=128), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("objects", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("wanted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["upload.id"], name=op.f("fk_gradual_upload_upload_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_gradual_upload_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("upload_id", name=op.f("pk_gradual_upload")),
    )
    op.create_index(op.f("ix_gradual_upload_project_id_timestamp"), "gradual_upload", ["project_id", "timestamp"])
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
