"""Which catalog has a bucket is told by a random part of the marker, which no two restores have in common."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None

NOT_YET = "new:"
STORE = sa.table(
    "object_store", sa.column("uuid"), sa.column("generation"), sa.column("nonce"), sa.column("predecessor")
)


def upgrade() -> None:
    """Keep the marker that a catalog has, whose second part was a count, and which one it comes behind."""
    op.add_column("object_store", sa.Column("nonce", sa.Text()))
    op.add_column("object_store", sa.Column("predecessor", sa.Text()))
    connection = op.get_bind()
    for uuid, generation in connection.execute(sa.select(STORE.c.uuid, STORE.c.generation)).all():
        if generation:
            plain = uuid.removeprefix(NOT_YET)
            before = f"{plain}.{generation - 1}" if generation > 1 else plain
            connection.execute(sa.update(STORE).values(nonce=str(generation), predecessor=before))
    op.drop_column("object_store", "generation")
