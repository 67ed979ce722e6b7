"""Other rows of a study are found by an index alone, and on PostgreSQL parts of names by their trigrams."""

from __future__ import annotations

import contextlib

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

COLUMNS = ("study_uid", "project_id", "place", "session_id", "id")
NAMES = ("patient", "physician")
GROUPS = ("alphabetic", "ideographic", "phonetic")


def upgrade() -> None:
    """Make the indexes; that of trigrams where the extension pg_trgm can be had."""
    op.drop_index(op.f("ix_dicom_study_study_uid"), "dicom_study")
    op.create_index(op.f(f"ix_dicom_study_{'_'.join(COLUMNS)}"), "dicom_study", list(COLUMNS))
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        columns = ", ".join(f"{name}_{group} gin_trgm_ops" for name in NAMES for group in GROUPS)
        with contextlib.suppress(sa.exc.DBAPIError), connection.begin_nested():
            connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
            connection.execute(sa.text(f"CREATE INDEX ix_dicom_study_trigrams ON dicom_study USING gin ({columns})"))
