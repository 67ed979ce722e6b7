"""Sessions in the catalog: found as they are before services move, merge, delete or show one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, cast

from sqlalchemy import Connection, Select, bindparam, delete, insert, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.records import DeletedSession, ScanEdit, SessionRecord
from scandock.catalog.server_tables import scan_edit
from scandock.catalog.tables import joined_session, project, scan, session, subject

MODALITIES_LENGTH: Final = 120
"""Characters of the modalities that a session's row has: an index has them too, and takes no text of any length."""
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def archived_uuid(connection: Connection, project_name: str, label: str) -> str | None:
    """The archived session of a label, both in any case; None where there is none."""
    uuid: str | None = connection.execute(
        select(session.c.uuid)
        .join(project, project.c.id == session.c.project_id)
        .where(
            project.c.key == project_name.casefold(),
            session.c.key == label.casefold(),
            session.c.place == "archive",
        )
    ).scalar()
    return uuid


def subject_uuid(connection: Connection, project_name: str, label: str) -> str | None:
    """The subject of a label, both in any case; None where there is none."""
    uuid: str | None = connection.execute(
        select(subject.c.uuid)
        .join(project, project.c.id == subject.c.project_id)
        .where(project.c.key == project_name.casefold(), subject.c.key == label.casefold())
    ).scalar()
    return uuid


def read_for_trash(connection: Connection, source: SessionRecord) -> DeletedSession:
    """All that the catalog says of a session, with what people said of its scans, for the trash to keep."""
    edits = connection.execute(
        select(
            scan_edit.c.scan_id, scan_edit.c.type, scan_edit.c.quality, scan_edit.c.note, scan_edit.c.modified,
            scan_edit.c.parameters,
        ).where(scan_edit.c.session_id == source.id)
    ).mappings()  # fmt: skip
    scan_edits = [cast("ScanEdit", dict(edit)) for edit in edits]
    return DeletedSession(**source.facts(), project=source.project, edits=scan_edits)


def session_rows() -> Select[Any]:
    """Sessions with their project's id."""
    return select(session, project.c.name.label("project")).join(project, project.c.id == session.c.project_id)


@cache
def _session_by_uuid() -> Select[Any]:
    return session_rows().where(session.c.uuid == bindparam("uuid"))


def find_session(connection: Connection, uuid: str) -> SessionRecord | None:
    """The session of a UUID."""
    row = connection.execute(_session_by_uuid(), {"uuid": uuid}).mappings().first()
    return SessionRecord.from_row(row) if row is not None else None


def existing_session(connection: Connection, uuid: str) -> SessionRecord:
    """The session of a UUID that a session has."""
    return SessionRecord.from_row(connection.execute(_session_by_uuid(), {"uuid": uuid}).mappings().one())


def fill_study_key(connection: Connection, project_name: str, study_uid: str, study_key: str) -> None:
    """Give a study's sessions that have no key theirs: they are from before their project de-identified.

    So services find them by the key alone, which know no original UID of what came since.
    """
    connection.execute(_FILL_STUDY_KEY, {"of": project_name, "uid": study_uid, "filled": study_key})


_FILL_STUDY_KEY: Final = (
    update(session)
    .where(
        session.c.project_id == select(project.c.id).where(project.c.name == bindparam("of")).scalar_subquery(),
        session.c.study_uid == bindparam("uid"),
        session.c.study_key == "",
    )
    .values(study_key=bindparam("filled"))
)


def note_listing(connection: Connection, session_id: int) -> None:
    """Write date and modalities of a session, as its attributes and its scans have them.

    Whoever changes either calls it in the same transaction.
    """
    row = connection.execute(_ATTRIBUTES, {"of_session": session_id}).one()
    modalities = connection.execute(_MODALITIES, {"of_tree": row.tree_id}).scalars()
    values = {"date": date_of(json.loads(row.attributes)), "modalities": join_modalities(modalities)}
    connection.execute(_NOTE_LISTING, {"of_session": session_id, **values})


_ATTRIBUTES: Final = select(session.c.attributes, session.c.tree_id).where(session.c.id == bindparam("of_session"))
_MODALITIES: Final = select(scan.c.modality).where(scan.c.tree_id == bindparam("of_tree")).distinct()
_NOTE_LISTING: Final = update(session).where(session.c.id == bindparam("of_session"))


def date_of(attributes: Mapping[str, str]) -> str:
    """The date by which lists sort a session, as `2026-11-29`; "" where it has none."""
    date = attributes.get("date", "")
    return date if _DATE.fullmatch(date) else ""


def join_modalities(modalities: Iterable[str]) -> str:
    """Modalities of scans as one text, each once, in order, joined as DICOM joins values; no more than fit whole."""
    joined = ""
    for modality in sorted(set(modalities) - {""}):
        longer = f"{joined}\\{modality}" if joined else modality
        if len(longer) > MODALITIES_LENGTH:
            break
        joined = longer
    return joined


def note_joined(catalog: Catalog, connection: Connection, uuid: str, into_uuid: str) -> None:
    """Note that the files of a session, which goes, are another one's now."""
    connection.execute(delete(joined_session).where(joined_session.c.uuid == uuid))
    connection.execute(insert(joined_session).values(uuid=uuid, into_uuid=into_uuid, at=catalog.now()))
