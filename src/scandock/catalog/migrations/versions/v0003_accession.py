"""Sessions get the numbers by which XNAT's clients call them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and number what is there, in the trash too, in the order in which it came."""
    op.create_table(
        "accession",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_accession")),
        sa.UniqueConstraint("uuid", name=op.f("uq_accession_uuid")),
    )
    op.execute(
        "INSERT INTO accession (uuid) SELECT uuid FROM"
        " (SELECT uuid, created FROM session UNION SELECT uuid, deleted FROM trashed) AS known ORDER BY created, uuid"
    )
