"""Sessions as they stand: what services ask of one before they move, merge, delete or show it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, Select, select

from scandock.catalog.server_tables import scan_edit
from scandock.catalog.tables import project, session, subject
from scandock.model import uris
from scandock.model.importing import Overwrite
from scandock.model.tree_parts import TreeParts


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One session of the archive or the prearchive."""

    id: int
    uuid: str
    project_id: int
    project: str
    subject_id: int | None
    subject: str
    label: str
    place: str
    timestamp: str
    state: str
    study_uid: str | None
    patient_id: str
    by_hand: bool
    quarantined: bool
    type_by_hand: bool
    fields_by_hand: list[str]
    """Names of the attributes that a person set."""
    folder: str
    """What an import asked that its folder in the prearchive be called, where that is not its label."""
    overwrite: Overwrite | Literal[""]
    """Of one that waits: what the newest import that came for it wants of an archived one; "" where that is unknown."""
    ecat: bool
    xsi_type: str
    attributes: dict[str, str]
    warnings: list[dict[str, str]]
    held: tuple[str, str, str]
    tree_id: int
    scans: int
    files: int
    bytes: int
    created: int
    modified: int

    @property
    def type_is_set(self) -> bool:
        """Whether its type is what somebody wanted it to be, and no import's to change."""
        return self.type_by_hand or not self.scans

    @property
    def parts(self) -> TreeParts:
        """Of what the path of its tree is made (`store.paths.tree_path`)."""
        return TreeParts(self.place, self.project, self.timestamp, self.label)

    @property
    def uri(self) -> str:
        """XNAT's URI of the session (design: fixed surface)."""
        return uris.session(self.place, self.project, self.timestamp, self.subject, self.label)


def archived_uuid(connection: Connection, project_name: str, label: str) -> str | None:
    """The archived session of a label, both in any case; None where there is none."""
    found: str | None = connection.execute(
        select(session.c.uuid)
        .join(project, project.c.id == session.c.project_id)
        .where(
            project.c.key == project_name.casefold(),
            session.c.key == label.casefold(),
            session.c.place == "archive",
        )
    ).scalar()
    return found


def subject_uuid(connection: Connection, project_name: str, label: str) -> str | None:
    """The subject of a label, both in any case; None where there is none."""
    found: str | None = connection.execute(
        select(subject.c.uuid)
        .join(project, project.c.id == subject.c.project_id)
        .where(project.c.key == project_name.casefold(), subject.c.key == label.casefold())
    ).scalar()
    return found


def row_json(connection: Connection, source: Standing) -> dict[str, Any]:
    """All that the catalog says of a session, with what people said of its scans, as JSON keeps it."""
    edits = connection.execute(
        select(
            scan_edit.c.scan_id, scan_edit.c.type, scan_edit.c.quality, scan_edit.c.note, scan_edit.c.modified,
            scan_edit.c.parameters,
        ).where(scan_edit.c.session_id == source.id)
    ).mappings()  # fmt: skip
    return {**asdict(source), "edits": [dict(edit) for edit in edits]}


def standing_rows() -> Select[Any]:
    """Sessions with their project's id."""
    return select(session, project.c.name.label("project")).join(project, project.c.id == session.c.project_id)


def find_session(connection: Connection, uuid: str) -> Standing | None:
    """The session of a UUID."""
    row = connection.execute(standing_rows().where(session.c.uuid == uuid)).mappings().first()
    return standing(row) if row is not None else None


def standing(row: RowMapping) -> Standing:
    """A row of `standing_rows`."""
    return Standing(
        id=row["id"],
        uuid=row["uuid"],
        project_id=row["project_id"],
        project=row["project"],
        subject_id=row["subject_id"],
        subject=row["subject"],
        label=row["label"],
        place=row["place"],
        timestamp=row["timestamp"],
        state=row["state"],
        study_uid=row["study_uid"],
        patient_id=row["patient_id"],
        by_hand=row["by_hand"],
        quarantined=row["quarantined"],
        type_by_hand=row["type_by_hand"],
        fields_by_hand=json.loads(row["fields_by_hand"]),
        folder=row["folder"],
        overwrite=row["overwrite"],
        ecat=row["ecat"],
        xsi_type=row["xsi_type"],
        attributes=json.loads(row["attributes"]),
        warnings=json.loads(row["warnings"]),
        held=(row["held_code"], row["held_message"], row["held_remedy"]),
        tree_id=row["tree_id"],
        scans=row["scans"],
        files=row["files"],
        bytes=row["bytes"],
        created=row["created"],
        modified=row["modified"],
    )
