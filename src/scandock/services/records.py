"""Projects, subjects, sessions, scans, resources and files as people see them: the objects of the API and the pages.

Each is built from a row in one place, is the model of the API's answers, and is turned into JSON in one place.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self, cast

from pydantic import Field
from sqlalchemy import RowMapping

from scandock.catalog.aliases import ALIAS_BREAK
from scandock.catalog.file_rows import FileRow
from scandock.catalog.own_resources import Holder
from scandock.catalog.records import SessionRecord, TrashedRecord
from scandock.catalog.tree_places import FilePlace
from scandock.catalog.verified_files import LearnedFacts
from scandock.model import uris
from scandock.model.dataclass import dataclass
from scandock.model.json_notices import Notices
from scandock.model.json_records import JsonRecord, MaybeMoment, Moment
from scandock.model.left_out import LeftOut
from scandock.rules.choices import list_choices
from scandock.rules.petmr import PetMrChoice
from scandock.rules.project_fields import PI_FIELDS, PUBLIC_FIELDS
from scandock.rules.session_fields import parameter_attributes
from scandock.store.paths import RelPath, resource_file

Place = Literal["archive", "prearchive"]


@dataclass(frozen=True, kw_only=True)
class Project(JsonRecord):
    """A project; its settings and sums only for who may read it."""

    id: str
    name: str
    uri: str
    accessibility: Literal["private", "protected", "public"]
    secondary_id: str
    description: str
    keywords: str
    investigator: dict[str, str]
    """How it is reached is for those who may read the project."""
    aliases: list[str]
    prearchive_code: LeftOut[Literal[0, 4, 5]] = None
    identified: LeftOut[Literal["accept", "warn", "hold"]] = None
    petmr: LeftOut[PetMrChoice] = None
    separate_secondary: LeftOut[bool] = None
    quarantine: LeftOut[bool] = None
    revision: LeftOut[int] = None
    created: LeftOut[Moment] = None
    subjects: LeftOut[int] = None
    sessions: LeftOut[int] = None
    waiting: LeftOut[int] = None
    files: LeftOut[int] = None
    bytes: LeftOut[int] = None

    @property
    def readable(self) -> bool:
        """Whether it is shown to somebody who may read it."""
        return self.revision is not None

    @classmethod
    def from_row(cls, row: RowMapping, count: Callable[[int], Mapping[str, int]] | None = None) -> Self:
        """A row of `browsing.project_rows`; `count` gives by its number the sums of one whose row has none."""
        readable = bool(row["readable"])
        attributes: dict[str, str] = {
            name: text for name, text in json.loads(row["attributes"]).items() if readable or name in PUBLIC_FIELDS
        }
        counted: Mapping[str, int] = {
            name: row[name] or 0 for name in ("subjects", "sessions", "waiting", "files", "bytes")
        }
        if count is not None and readable and row["files"] is None:
            counted = count(row["id"])
        inside = {
            "prearchive_code": row["prearchive_code"],
            "identified": row["identified"],
            "petmr": row["petmr"],
            "separate_secondary": row["separate_secondary"],
            "quarantine": row["quarantine"],
            "revision": row["revision"],
            "created": row["created"],
            **counted,
        }
        return cls(
            id=row["name"],
            name=row["title"],
            uri=uris.project(row["name"]),
            accessibility=row["accessibility"] or "private",
            secondary_id=attributes.get("secondary_ID", ""),
            description=attributes.get("description", ""),
            keywords=attributes.get("keywords", ""),
            investigator={name.lower(): attributes[f"PI/{name}"] for name in PI_FIELDS if f"PI/{name}" in attributes},
            aliases=sorted((row["aliases"] or "").split(ALIAS_BREAK)) if row["aliases"] else [],
            **(inside if readable else {}),
        )


@dataclass(frozen=True, kw_only=True)
class MadeProject(JsonRecord):
    """A project that was just made."""

    id: str
    name: str
    prearchive_code: Annotated[int, Field(json_schema_extra={"enum": [0, 4, 5]})]
    accessibility: str


@dataclass(frozen=True, kw_only=True)
class Subject(JsonRecord):
    """A subject with the sums of its sessions, and what people said of it."""

    id: str
    label: str
    project: str
    uri: str
    sessions: int
    files: int
    bytes: int
    attributes: dict[str, str]
    created: Moment

    @classmethod
    def from_row(cls, row: RowMapping, sums: Mapping[int, tuple[int, int, int]]) -> Self:
        """A row of `browsing.subject_rows`; `sums` by its number: sessions, files and bytes."""
        sessions, files, size = sums.get(row["id"], (0, 0, 0))
        return cls(
            id=row["uuid"],
            label=row["label"],
            project=row["project"],
            uri=uris.subject(row["project"], row["label"]),
            sessions=sessions,
            files=files,
            bytes=size,
            attributes=json.loads(row["attributes"]),
            created=row["created"],
        )


@dataclass(frozen=True, kw_only=True)
class Session(JsonRecord):
    """A session of the archive or the prearchive."""

    id: str
    label: str
    project: str
    subject: str
    subject_id: str | None
    uri: str
    place: Place
    timestamp: str | None
    state: str
    quarantined: bool
    code: str
    message: str
    choices: list[str]
    study_uid: str | None
    type: str
    attributes: dict[str, str]
    warnings: Notices
    modalities: list[str]
    scans: int
    files: int
    bytes: int
    verified: MaybeMoment
    damaged: int
    received: Moment
    """When it was first here; moves, joins and the trash keep it."""
    created: Moment
    modified: Moment
    tree: int

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        """A row of `browsing.shown_sessions`."""
        code, warnings = row["held_code"], row["warnings"]
        return cls(
            id=row["uuid"],
            label=row["label"],
            project=row["project"],
            subject=row["subject"],
            subject_id=row["subject_uuid"],
            uri=uris.session(row["place"], row["project"], row["timestamp"], row["subject"], row["label"]),
            place=row["place"],
            timestamp=row["timestamp"] or None,
            state=row["state"],
            quarantined=row["quarantined"],
            code=code,
            message=f"{row['held_message']} {row['held_remedy']}".strip(),
            choices=list(list_choices(code)),
            study_uid=row["study_uid"],
            type=row["xsi_type"],
            attributes=json.loads(row["attributes"]),
            warnings=[] if warnings == "[]" else json.loads(warnings),
            modalities=row["modalities"].split("\\") if row["modalities"] else [],
            scans=row["scans"],
            files=row["files"],
            bytes=row["bytes"],
            verified=None if row["damaged"] else row["finished"],
            damaged=row["damaged"],
            received=row["received"],
            created=row["created"],
            modified=row["modified"],
            tree=row["tree_id"],
        )


@dataclass(frozen=True, kw_only=True)
class ExistingSession(JsonRecord):
    """A session that stands where an upload would bring one, or the session of an assessor that has the label."""

    label: str
    subject: str | None
    place: Place
    state: str
    study_uid: str | None
    project: str
    assessor: LeftOut[bool] = None
    """Whether it is an assessor that has the label, which no session can join."""
    side: LeftOut[Literal["MR", "PET"]] = None
    """Which it has of a study whose PET and MR are separated."""

    @classmethod
    def of(cls, session: SessionRecord) -> Self:
        return cls(
            label=session.label,
            subject=session.subject,
            place=session.place,
            state=session.state,
            study_uid=session.study_uid,
            project=session.project,
            side=session.side or None,
        )


@dataclass(frozen=True, kw_only=True)
class Known(JsonRecord):
    """The sessions that have a label, and a study, that an upload would bring, and what they share with others."""

    NESTED = ("label", "study")

    label: ExistingSession | None
    study: ExistingSession | None
    subjects: LeftOut[list[str]] = None
    ecat: LeftOut[list[str]] = None
    kept: LeftOut[str] = None
    own: LeftOut[list[str]] = None
    taken: LeftOut[list[str]] = None
    same_images: LeftOut[bool] = None
    shared_images: LeftOut[int] = None
    deidentified: LeftOut[bool] = None
    """Whether the project de-identifies images before it stores them."""
    server_labels: LeftOut[bool] = None
    """Whether labels that images and folders would give are others, which the server alone knows."""
    filtered: LeftOut[bool] = None
    """Whether import filters decide which images are stored."""


@dataclass(frozen=True, kw_only=True)
class Trashed(JsonRecord):
    """A session in the trash."""

    id: str
    project: str
    subject: str
    label: str
    place: Place
    study_uid: str | None
    files: int
    bytes: int
    damaged: int
    deleted: Moment

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        """A row of `trash.list_trash`."""
        record = TrashedRecord.from_row(row)
        deleted_session = record.session
        return cls(
            id=record.uuid,
            project=record.project,
            subject=deleted_session.subject,
            label=deleted_session.label,
            place=deleted_session.place,
            study_uid=deleted_session.study_uid,
            files=deleted_session.files,
            bytes=deleted_session.bytes,
            damaged=row["damaged"],
            deleted=record.deleted,
        )


@dataclass(frozen=True, kw_only=True)
class Resource(JsonRecord):
    """A resource of a session, or of a scan."""

    id: int
    session: str
    scan: str | None
    label: str
    uri: str
    content: str | None
    format: str | None
    tags: str
    files: int
    bytes: int

    @classmethod
    def from_row(cls, row: RowMapping, holder: SessionRecord) -> Self:
        """A row of `session_contents.resource_rows`."""
        return cls(
            id=row["n"],
            session=holder.uuid,
            scan=row["scan_id"],
            label=row["label"],
            uri=uris.resource(holder.uri, row["scan_id"], row["label"]),
            content=row["content"],
            format=row["format"],
            tags=row["tags"],
            files=row["files"],
            bytes=row["bytes"],
        )


@dataclass(frozen=True, kw_only=True)
class Scan(JsonRecord):
    """A scan, with what people said of it; its resources where it is asked for alone."""

    NESTED = ("resources",)

    id: str
    session: str
    uri: str
    series_uid: str | None
    modality: str | None
    xsi_type: str
    type: str | None
    quality: Literal["usable", "questionable", "unusable"]
    note: str
    attributes: dict[str, Any]
    frames: int | None
    files: int
    bytes: int
    modified: Moment
    tree: int
    resources: LeftOut[list[Resource]] = None

    @classmethod
    def from_row(cls, row: RowMapping, holder: SessionRecord, resources: list[Resource] | None = None) -> Self:
        """A row of `session_contents.scan_rows`."""
        return cls(
            id=row["scan_id"],
            session=holder.uuid,
            uri=uris.scan(holder.uri, row["scan_id"]),
            series_uid=row["series_uid"],
            modality=row["modality"],
            xsi_type=row["xsi_type"],
            type=row["said_type"] if row["said_type"] is not None else row["type"],
            quality=row["quality"] or "usable",
            note=row["note"] or "",
            attributes={**json.loads(row["attributes"]), **parameter_attributes(row["parameters"] or "{}")},
            frames=row["frames"],
            files=row["files"],
            bytes=row["bytes"],
            modified=row["modified"] or holder.modified,
            tree=holder.tree_id,
            resources=resources,
        )


@dataclass(frozen=True, kw_only=True)
class File(JsonRecord):
    """A file by its number within the session."""

    id: int
    session: str
    scan: str | None
    resource: str
    name: str
    path: RelPath
    uri: str
    content: str
    format: str
    tags: str
    bytes: int
    sha256: str
    md5: str | None
    verified: MaybeMoment
    damaged: Literal["changed", "missing", "unreadable"] | None
    sop_uid: str | None
    frames: int | None

    @classmethod
    def make(cls, row: FileRow, place: FilePlace, holder: Holder, facts: LearnedFacts, damaged: str | None) -> Self:
        """A file of a tree, with what verification learned of it."""
        scan, label, name = place.scan_id, place.label, row.name
        md5 = facts.md5(row.n)
        return cls(
            id=row.n,
            session=holder.uuid,
            scan=scan,
            resource=label,
            name=name,
            path=resource_file(scan, label, name),
            uri=uris.file(holder.uri, scan, label, name),
            content=place.content if row.content is None else row.content,
            format=place.format if row.format is None else row.format,
            tags=place.tags if row.tags is None else row.tags,
            bytes=row.bytes,
            sha256=row.sha256.hex(),
            md5=md5.hex() if md5 is not None else None,
            verified=facts.moment(row.n),
            damaged=cast('Literal["changed", "missing", "unreadable"] | None', damaged),
            sop_uid=row.sop_uid,
            frames=row.frames,
        )


@dataclass(frozen=True, kw_only=True)
class Damage(JsonRecord):
    """A stored file that is not what it was, or (no `file`) a whole folder that is gone."""

    id: int
    kind: Literal["changed", "missing", "unreadable", "folder_missing"]
    project: str
    subject: str
    session: str
    label: str
    place: Literal["archive", "prearchive", "resources"]
    uri: str
    file: int | None
    path: RelPath | None
    bytes: int | None
    stored_bytes: int | None
    found: Moment

    @classmethod
    def from_row(cls, row: RowMapping, stored: StoredFile | None) -> Self:
        """A row of what is damaged (`services.damage`): of a session, or of what a project or a subject has itself."""
        uri = uris.session(row["place"], row["project"], row["timestamp"], row["subject"], row["label"])
        if row["place"] == "resources":
            uri = uris.resource_holder(row["project"], row["subject"] or None)
        return cls(
            id=row["id"],
            kind=row["kind"],
            project=row["project"],
            subject=row["subject"],
            session=row["uuid"],
            label=row["label"] or row["subject"] or row["project"],
            place=row["place"],
            uri=uri,
            file=row["file_n"],
            path=stored.path if stored is not None else None,
            bytes=row["bytes"],
            stored_bytes=stored.bytes if stored is not None else None,
            found=row["found"],
        )


@dataclass(frozen=True, kw_only=True)
class ReadAgain(JsonRecord):
    """Of how many sessions the files are read again."""

    sessions: int


class StoredFile(NamedTuple):
    """A file of a tree as who reads its bytes works with it."""

    n: int
    resource_n: int
    path: RelPath
    """Where it stands in its session's tree."""
    bytes: int
    sha256: builtins.bytes

    @classmethod
    def make(cls, row: FileRow, place: FilePlace) -> Self:
        """A file of a tree."""
        return cls(row.n, row.resource_n, path_of(row, place), row.bytes, row.sha256)


def row_ids(rows: Iterable[RowMapping]) -> list[int]:
    """The numbers by which the catalog knows the things of rows."""
    return [row["id"] for row in rows]


def path_of(row: FileRow, place: FilePlace) -> RelPath:
    """Where a file stands in its session's tree."""
    return resource_file(place.scan_id, place.label, row.name)
