"""On SQLite a line of the audit trail can't be replaced by one of the same id."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Refuse `INSERT OR REPLACE` of an id that is there; PostgreSQL refuses `ON CONFLICT DO UPDATE` since 0002."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit"
            " WHEN NEW.id > 0 AND EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)"
            " BEGIN SELECT RAISE(ABORT, 'audit is append only'); END"
        )
