"""Sessions are found by their patient, and ECAT files by their content, in all of a project."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None

_IMAGE_WITHOUT_UID = sa.text("sop_uid IS NULL AND frames > 0")


def upgrade() -> None:
    """Add the indexes."""
    op.create_index(op.f("ix_session_project_id_patient_id"), "session", ["project_id", "patient_id"])
    where = {"sqlite_where": _IMAGE_WITHOUT_UID, "postgresql_where": _IMAGE_WITHOUT_UID}
    op.create_index(op.f("ix_file_sha256"), "file", ["sha256"], **where)
