"""When files of a tree were last damaged, or might have been: what was made of them before is not used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of trees that were verified it has what pictures were kept by until now."""
    op.add_column("verification", sa.Column("doubted", sa.BigInteger()))
    op.execute(sa.text("UPDATE verification SET doubted = coalesce(begun, finished)"))
