"""Sessions as rows have them: one record, from a row in one place, and the narrower ones that other layers work with.

A new column of `session` that an import, an operation or the trash carries along gets its field in `SessionFacts`, and
its lines in `SessionRecord.from_row` and `SessionFacts.columns`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, Literal, Self, TypedDict

from sqlalchemy import RowMapping

from scandock.model import uris
from scandock.model.dataclass import dataclass
from scandock.model.import_types import Overwrite
from scandock.model.tree_parts import TreeParts
from scandock.rules.catalog_view import KnownSession, SessionPlace
from scandock.rules.petmr import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """What a session's row says whichever tree it points at: of one that is there, is to be written, or was deleted."""

    uuid: str
    project_id: int
    subject: str
    label: str
    place: SessionPlace
    timestamp: str
    state: str
    study_uid: str | None
    patient_id: str
    """As it came; "" where absent."""
    ecat: bool
    xsi_type: str
    by_hand: bool = False
    """Whether people made it, and no import has joined it yet."""
    quarantined: bool = False
    """Whether it is in quarantine; in the prearchive, whether it will be once it is archived."""
    type_by_hand: bool = False
    """Whether a person set its type."""
    fields_by_hand: list[str] = field(default_factory=list)
    """Names of the attributes that a person set."""
    folder: str = ""
    """What an import asked that its folder in the prearchive be called, where that is not its label."""
    overwrite: Overwrite | Literal[""] = ""
    """Of one that waits: what the newest import that came for it wants of an archived one; "" where that is unknown."""
    attributes: dict[str, str] = field(default_factory=dict)
    warnings: list[dict[str, str]] = field(default_factory=list)
    held: tuple[str, str, str] = ("", "", "")
    """Code, message and remedy of the reason for which it is held in the prearchive; empty texts where it is not."""
    scans: int = 0
    files: int = 0
    bytes: int = 0
    side: Side = ""
    """Which it has of a study whose PET and MR were separated."""
    received: int | None = None
    """When it was first shown; None of one that is shown for the first time. No update changes it."""
    received_by: int | None = None
    """The import that it came by first, by the number of its row; likewise."""
    study_key: str = ""
    """Keyed hash of the StudyInstanceUID before its objects were de-identified; "" where they were not."""
    patient_key: str = ""
    """Token of the PatientID that they had then."""

    @property
    def type_is_set(self) -> bool:
        """Whether its type is what somebody wanted it to be, and no import's to change."""
        return self.type_by_hand or not self.scans

    @property
    def patient_token(self) -> str:
        """What its patient is known by: the token of the original's PatientID, else the PatientID."""
        return self.patient_key or self.patient_id

    def facts(self) -> dict[str, Any]:
        """These fields by name, for another record that has them too."""
        return {name: getattr(self, name) for name in _FACTS}

    def columns(self) -> dict[str, object]:
        """The columns of a row that say this; `uuid` is the row's own from its beginning."""
        waits = self.place == "prearchive"
        return {
            "project_id": self.project_id,
            "subject": self.subject,
            "label": self.label,
            "place": self.place,
            "timestamp": self.timestamp,
            "state": self.state,
            "study_uid": self.study_uid,
            "patient_id": self.patient_id,
            "ecat": self.ecat,
            "xsi_type": self.xsi_type,
            "by_hand": self.by_hand,
            "quarantined": self.quarantined,
            "type_by_hand": self.type_by_hand,
            "fields_by_hand": json.dumps(self.fields_by_hand),
            "folder": self.folder if waits else "",
            "overwrite": self.overwrite if waits else "",
            "attributes": json.dumps(self.attributes),
            "warnings": json.dumps(self.warnings),
            "held_code": self.held[0],
            "held_message": self.held[1],
            "held_remedy": self.held[2],
            "scans": self.scans,
            "files": self.files,
            "bytes": self.bytes,
            "side": self.side,
            "study_key": self.study_key,
            "patient_key": self.patient_key,
        }


_FACTS = tuple(one.name for one in fields(SessionFacts))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord(SessionFacts):
    """One session of the archive or the prearchive: its row, with its project's id (`sessions.session_rows`)."""

    id: int
    project: str
    subject_id: int | None
    tree_id: int
    created: int
    modified: int

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        """A row of `catalog.sessions.session_rows`."""
        return cls(
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
            ecat=row["ecat"],
            xsi_type=row["xsi_type"],
            by_hand=row["by_hand"],
            quarantined=row["quarantined"],
            type_by_hand=row["type_by_hand"],
            fields_by_hand=json.loads(row["fields_by_hand"]),
            folder=row["folder"],
            overwrite=row["overwrite"],
            attributes=json.loads(row["attributes"]),
            warnings=json.loads(row["warnings"]),
            held=(row["held_code"], row["held_message"], row["held_remedy"]),
            tree_id=row["tree_id"],
            scans=row["scans"],
            files=row["files"],
            bytes=row["bytes"],
            side=row["side"],
            received=row["received"],
            received_by=row["received_by"],
            study_key=row["study_key"],
            patient_key=row["patient_key"],
            created=row["created"],
            modified=row["modified"],
        )

    @property
    def parts(self) -> TreeParts:
        """Of what the path of its tree is made (`store.paths.tree_path`)."""
        return TreeParts(self.place, self.project, self.timestamp, self.label)

    @property
    def uri(self) -> str:
        """XNAT's URI of the session (design: fixed surface)."""
        return uris.session(self.place, self.project, self.timestamp, self.subject, self.label)

    @property
    def known(self) -> KnownSession:
        """What the rules ask of it."""
        return KnownSession(
            uuid=self.uuid,
            project=self.project,
            subject=self.subject,
            label=self.label,
            study_uid=self.study_uid,
            place=self.place,
            timestamp=self.timestamp or None,
            patient_id=self.patient_id,
            by_hand=self.by_hand,
            ecat=self.ecat,
            held=self.held[0],
            xsi_type=self.xsi_type,
            type_is_set=self.type_is_set,
            side=self.side,
            study_key=self.study_key,
            patient_key=self.patient_key,
        )


class ScanEdit(TypedDict, total=False):
    """What people said of a scan: columns of `scan_edit`, without its session, which may have no number yet."""

    scan_id: str
    type: str | None
    quality: str | None
    note: str | None
    parameters: str
    """JSON."""
    modified: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedSession(SessionFacts):
    """A session that was deleted, as the trash keeps its row: all that it takes to bring it back."""

    project: str
    """The id of the project that it was in."""
    edits: list[ScanEdit] = field(default_factory=list)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """From `asdict` of one, as JSON keeps it; what older versions have deleted says less of itself."""
        known = {name: values[name] for name in _FACTS if name in values}
        return cls(
            **{"type_by_hand": values["by_hand"], **known, "held": tuple(values["held"])},
            project=values["project"],
            edits=values.get("edits", []),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashedRecord:
    """A session in the trash: a row of `trashed`, with its project's id."""

    uuid: str
    project_id: int
    project: str
    tree_id: int
    trash_id: str
    """The id of its folder there."""
    session: DeletedSession
    deleted: int

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        return cls(
            uuid=row["uuid"],
            project_id=row["project_id"],
            project=row["project"],
            tree_id=row["tree_id"],
            trash_id=row["trash_id"],
            session=DeletedSession.from_json(json.loads(row["session"])),
            deleted=row["deleted"],
        )
