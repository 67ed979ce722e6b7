"""Which privacy settings and scripts are in force: asked of SQLite by commands that have no SQLAlchemy yet, too."""

from __future__ import annotations

from typing import Final

PRIVACY_IN_FORCE: Final = (
    "SELECT COALESCE(p.name, '') AS project, t.kind AS kind, t.text AS text FROM privacy_text t"
    " LEFT JOIN project p ON p.id = t.project_id"
    " WHERE t.kind IN ('settings', 'script', 'lookup') AND t.enabled AND t.text NOT IN ('', '{}') AND NOT EXISTS ("
    "SELECT 1 FROM privacy_text n WHERE n.kind = t.kind AND n.name = t.name AND n.version > t.version"
    " AND COALESCE(n.project_id, 0) = COALESCE(t.project_id, 0)) ORDER BY 1, 2"
)
"""What is said and switched on: project, "" for the site, kind and text. For SQLite and PostgreSQL alike."""
