"""Which import filters are switched on: asked of SQLite by commands that have not imported SQLAlchemy yet, too."""

from __future__ import annotations

from typing import Final

FILTERS_IN_FORCE: Final = (
    "SELECT COALESCE(p.name, '') AS project, t.text AS text FROM privacy_text t"
    " LEFT JOIN project p ON p.id = t.project_id WHERE t.kind = 'filter' AND t.enabled AND NOT EXISTS ("
    "SELECT 1 FROM privacy_text n WHERE n.kind = t.kind AND n.name = t.name AND n.version > t.version"
    " AND COALESCE(n.project_id, 0) = COALESCE(t.project_id, 0)) ORDER BY 1"
)
"""The import filters that are switched on: project, "" for the site, and text. For SQLite and PostgreSQL alike."""
