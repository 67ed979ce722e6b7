"""Which versioned texts are in force, in SQL: asked by commands that have no SQLAlchemy yet, too.

For SQLite and PostgreSQL alike.
"""

from __future__ import annotations

from typing import Final

FILTERS_IN_FORCE: Final = (
    "SELECT COALESCE(p.name, '') AS project, t.text AS text FROM privacy_text t"
    " LEFT JOIN project p ON p.id = t.project_id WHERE t.kind = 'filter' AND t.enabled AND NOT EXISTS ("
    "SELECT 1 FROM privacy_text n WHERE n.kind = t.kind AND n.name = t.name AND n.version > t.version"
    " AND COALESCE(n.project_id, 0) = COALESCE(t.project_id, 0)) ORDER BY 1"
)
"""The import filters that are switched on: project, "" for the site, and text."""

PRIVACY_IN_FORCE: Final = (
    "SELECT COALESCE(p.name, '') AS project, t.kind AS kind, t.text AS text FROM privacy_text t"
    " LEFT JOIN project p ON p.id = t.project_id"
    " WHERE t.kind IN ('settings', 'script', 'lookup') AND t.enabled AND t.text NOT IN ('', '{}') AND NOT EXISTS ("
    "SELECT 1 FROM privacy_text n WHERE n.kind = t.kind AND n.name = t.name AND n.version > t.version"
    " AND COALESCE(n.project_id, 0) = COALESCE(t.project_id, 0)) ORDER BY 1, 2"
)
"""What is said and switched on: project, "" for the site, kind and text."""

ROUTING_IN_FORCE: Final = (
    "SELECT p.name AS project, t.text AS text FROM privacy_text t JOIN project p ON p.id = t.project_id"
    " WHERE t.kind = 'routing' AND t.text <> '' AND NOT EXISTS ("
    "SELECT 1 FROM privacy_text n WHERE n.kind = t.kind AND n.version > t.version AND n.project_id = t.project_id)"
)
"""The routing rules of each project that has some: project and text, a JSON object of rules by kind."""
