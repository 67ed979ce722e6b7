"""Who brings the bytes of an upload, and when they were heard of last: several hosts may serve one catalog.

No row is rewritten: those of before say nothing of a writer, and go by what they reserved.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the two columns."""
    op.add_column("reception", sa.Column("writer", sa.String(36), nullable=False, server_default=sa.text("''")))
    op.add_column("reception", sa.Column("writer_seen", sa.BigInteger()))
