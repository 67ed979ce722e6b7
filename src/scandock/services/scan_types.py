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
from scandock.services.editing import edit_scan
from scandock.services.moving import Desk

UNKNOWN: Final = "unknown"
"""What the original's pages call a scan that is made there: no word of a person's."""
_DESCRIPTION: Final = attribute(scan.c.attributes, "series_description")
_SAID: Final = and_(scan_edit.c.session_id == session.c.id, scan_edit.c.scan_id == scan.c.scan_id)


def fix_scan_types(desk: Desk, uuid: str) -> None:
    """Give each scan of an archived session, whose type nobody said, that of scans like it. Denied."""
    with desk.catalog.read() as connection:
        source = rights.session_for(connection, desk.principal, uuid, Action.SESSION_EDIT, place="archive")
        words = _words_of(connection, source)
        types = {scan_id: words[key] for scan_id, key in _untold(connection, source) if key in words}
    for scan_id, word in types.items():
        edit_scan(desk, uuid, scan_id, {"type": word})


def _words_of(connection: Connection, source: SessionRecord) -> dict[str, str]:
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
        if key := _key(description):
            counted.setdefault(key, Counter())[word] += often
    return {key: min(words.items(), key=lambda one: (-one[1], one[0]))[0] for key, words in counted.items()}


def _untold(connection: Connection, source: SessionRecord) -> list[tuple[str, str]]:
    """The scans whose type nobody said, with what describes them."""
    query = (
        select(scan.c.scan_id, _DESCRIPTION)
        .select_from(session)
        .join(scan, scan.c.tree_id == session.c.tree_id)
        .outerjoin(scan_edit, _SAID)
        .where(session.c.id == source.id, func.coalesce(func.lower(scan_edit.c.type), "").in_(("", UNKNOWN)))
        .order_by(scan.c.n)
    )
    return [(scan_id, key) for scan_id, description in connection.execute(query) if (key := _key(description))]


def _key(description: str | None) -> str:
    """A description as the original compares it: letters and digits alone, in any case."""
    return "".join(one for one in (description or "") if one.isalnum()).casefold()
