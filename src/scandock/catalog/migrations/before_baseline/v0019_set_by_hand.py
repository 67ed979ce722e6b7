"""What people set of a session is told from what its objects say; the folder and the overwrite that the newest import
of a waiting session asked for are kept.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. A session made by hand that no import has joined has its type, and all that is said of it, from
    people; but where headers were read into it, its fields may be theirs.
    """
    op.add_column("session", sa.Column("type_by_hand", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("session", sa.Column("fields_by_hand", sa.Text(), server_default=sa.text("'[]'"), nullable=False))
    for name, length in (("folder", 128), ("overwrite", 8)):
        op.add_column("session", sa.Column(name, sa.String(length), server_default=sa.text("''"), nullable=False))
    session = sa.table(
        "session",
        sa.column("id", sa.BigInteger()),
        sa.column("by_hand", sa.Boolean()),
        sa.column("study_uid", sa.Text()),
        sa.column("attributes", sa.Text()),
        sa.column("type_by_hand", sa.Boolean()),
        sa.column("fields_by_hand", sa.Text()),
    )
    connection = op.get_bind()
    made = connection.execute(
        sa.select(session.c.id, session.c.study_uid, session.c.attributes).where(session.c.by_hand)
    ).all()
    for row in made:
        fields = sorted(json.loads(row.attributes)) if row.study_uid is None else []
        connection.execute(
            sa.update(session)
            .where(session.c.id == row.id)
            .values(type_by_hand=True, fields_by_hand=json.dumps(fields))
        )
