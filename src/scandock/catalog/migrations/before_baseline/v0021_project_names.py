"""Projects are found by their titles and secondary IDs in any case: a name that one has is refused to another."""

from __future__ import annotations

import json
from hashlib import sha256

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the keys and fill them in; projects that share a name go on sharing it."""
    for name in ("title_key", "secondary_key"):
        op.add_column("project", sa.Column(name, sa.String(length=64), server_default=sa.text("''"), nullable=False))
    connection = op.get_bind()
    for row in connection.execute(sa.text("SELECT id, title, attributes FROM project")).all():
        connection.execute(
            sa.text("UPDATE project SET title_key = :title, secondary_key = :secondary WHERE id = :id"),
            {
                "title": _key(row.title),
                "secondary": _key(json.loads(row.attributes).get("secondary_ID", "")),
                "id": row.id,
            },
        )
    for name in ("title_key", "secondary_key"):
        op.create_index(op.f(f"ix_project_{name}"), "project", [name])


def _key(text: str) -> str:
    """The key of a name as this version wrote it (`rules.project_fields.name_key`)."""
    folded = text.strip().casefold()
    return sha256(folded.encode(errors="surrogatepass")).hexdigest() if folded else ""
