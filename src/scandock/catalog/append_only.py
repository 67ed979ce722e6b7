"""The audit trail is append only: the database itself refuses to change or take away a row of it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import DDL, event

from scandock.catalog.server_tables import audit

REFUSAL: Final = "audit is append only"

_EVENTS: Final = {
    "audit_no_update": "UPDATE ON audit",
    "audit_no_delete": "DELETE ON audit",
    "audit_no_replace": "INSERT ON audit WHEN NEW.id > 0 AND EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)",
}
"""`INSERT OR REPLACE` takes away the row that is there without asking the trigger for deletions. A new row that names
no id has none yet before it is inserted (SQLite says -1)."""
SQLITE: Final = tuple(
    f"CREATE TRIGGER {name} BEFORE {when} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END" for name, when in _EVENTS.items()
)
POSTGRESQL: Final = (
    f"CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$",
    "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
)

for _dialect, _statements in (("sqlite", SQLITE), ("postgresql", POSTGRESQL)):
    for _statement in _statements:
        event.listen(audit, "after_create", DDL(_statement).execute_if(dialect=_dialect))  # type: ignore[no-untyped-call]
