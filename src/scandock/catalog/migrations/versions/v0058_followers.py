"""Who reads an upload ahead while its bytes come.

No row is rewritten: nobody follows what was begun before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the three columns."""
    op.add_column("reception", sa.Column("follow_token", sa.String(32), nullable=False, server_default=sa.text("''")))
    op.add_column("reception", sa.Column("follow_owner", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("reception", sa.Column("follow_until", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
