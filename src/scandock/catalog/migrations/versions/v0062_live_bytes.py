"""How much of an object of a bucket files of trees still have; of those that are there it is counted by a worker."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0062"
down_revision = "0058"
branch_labels = None
depends_on = None

UNCOUNTED = sa.text("live IS NULL AND due IS NULL")
SPARSE = sa.text("live < bytes AND due IS NULL")


def upgrade() -> None:
    """Add the column and the indexes of what is to be counted, and to be written anew."""
    op.add_column("stored_object", sa.Column("live", sa.BigInteger()))
    for name, where in (("uncounted", UNCOUNTED), ("sparse", SPARSE)):
        op.create_index(f"ix_stored_object_{name}", "stored_object", ["id"], sqlite_where=where, postgresql_where=where)
