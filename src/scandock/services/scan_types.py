"""`fixScanTypes`: scans are of the types that people gave scans of the same description in the same project.

The original learns a project's words from all its scans (xnat-clients.md 2.4); here only what a person said counts,
as all other types come of the headers alone and are the same already.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from sqlalchemy import Connection, and_, func, select

from scandock.catalog.attributes import attribute
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import scan_edit
from scandock.catalog.tables import scan, session
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.context import ServiceContext
from scandock.services.editing import edit_scan

UNKNOWN: Final = "unknown"
"""What the original's pages call a scan that is made there: no word of a person's."""
_DESCRIPTION: Final = attribute(scan.c.attributes, "series_description")
_EDITED_TYPE: Final = and_(scan_edit.c.session_id == session.c.id, scan_edit.c.scan_id == scan.c.scan_id)


def fix_scan_types(context: ServiceContext, uuid: str) -> None:
    """Give each scan of an archived session, whose type nobody said, that of scans like it. AccessDenied."""
    with context.catalog.read() as connection:
        source = rights.find_session_for(connection, context.principal, uuid, Action.SESSION_EDIT, place="archive")
        words = _find_common_types(connection, source)
        types = {scan_id: words[key] for scan_id, key in _find_untyped_scans(connection, source) if key in words}
    for scan_id, word in types.items():
        edit_scan(context, uuid, scan_id, {"type": word})


def _find_common_types(connection: Connection, source: SessionRecord) -> dict[str, str]:
    """The type that most scans of a description have in the project's other sessions, by what describes them."""
    count = func.count()
    query = (
        select(_DESCRIPTION, scan_edit.c.type, count)
        .select_from(scan_edit)
        .join(session, session.c.id == scan_edit.c.session_id)
        .join(scan, and_(scan.c.tree_id == session.c.tree_id, scan.c.scan_id == scan_edit.c.scan_id))
        .where(
            session.c.place == "archive",
            session.c.project_id == select(session.c.project_id).where(session.c.id == source.id).scalar_subquery(),
            session.c.id != source.id,
            func.coalesce(scan_edit.c.type, "") != "",
            func.lower(scan_edit.c.type) != UNKNOWN,
        )
        .group_by(_DESCRIPTION, scan_edit.c.type)
    )
    counted: dict[str, Counter[str]] = {}
    for description, word, often in connection.execute(query):
        if key := _description_key(description):
            counted.setdefault(key, Counter())[word] += often
    return {key: min(words.items(), key=lambda one: (-one[1], one[0]))[0] for key, words in counted.items()}


def _find_untyped_scans(connection: Connection, source: SessionRecord) -> list[tuple[str, str]]:
    """The scans whose type nobody said, with what describes them."""
    query = (
        select(scan.c.scan_id, _DESCRIPTION)
        .select_from(session)
        .join(scan, scan.c.tree_id == session.c.tree_id)
        .outerjoin(scan_edit, _EDITED_TYPE)
        .where(session.c.id == source.id, func.coalesce(func.lower(scan_edit.c.type), "").in_(("", UNKNOWN)))
        .order_by(scan.c.n)
    )
    return [
        (scan_id, key) for scan_id, description in connection.execute(query) if (key := _description_key(description))
    ]


def _description_key(description: str | None) -> str:
    """A description as the original compares it: letters and digits alone, in any case."""
    return "".join(char for char in (description or "") if char.isalnum()).casefold()
