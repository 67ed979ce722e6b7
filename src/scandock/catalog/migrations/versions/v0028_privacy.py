"""Files and sessions say what they were before they were de-identified, by keyed hashes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

EMPTY = sa.text("''")


def upgrade() -> None:
    """Make the columns; what stands was not de-identified here, so they are empty."""
    op.add_column("file", sa.Column("origin", sa.LargeBinary(length=16)))
    op.add_column("file", sa.Column("rules", sa.LargeBinary(length=8)))
    op.add_column("session", sa.Column("study_key", sa.String(length=32), server_default=EMPTY, nullable=False))
    op.add_column("session", sa.Column("patient_key", sa.String(length=36), server_default=EMPTY, nullable=False))
    op.create_index(op.f("ix_session_project_id_study_key"), "session", ["project_id", "study_key"])
    op.create_index(op.f("ix_session_project_id_patient_key"), "session", ["project_id", "patient_key"])
