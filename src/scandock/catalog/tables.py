"""The tables, alike on SQLite and PostgreSQL.

Integers inside, UUIDs outside. Times are unix milliseconds. Scans, resources and files belong to a *tree* (an immutable
set of files) and become visible only when a session points at it; no project, label or session path stands in a file
row.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from scandock.model.verdicts import ImportState
from scandock.rules.petmr import PET_MR_CHOICES

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class ListingState(IntEnum):
    """What `dicom_study` and `dicom_series` have of a tree."""

    MISSING = 0
    """Nothing: it is from an earlier version, or made by hand."""
    PARTIAL = 1
    """All but what its imports, of an earlier version, did not read."""
    COMPLETE = 2


class RowState(IntEnum):
    """What is in `file` of a tree of a version before manifests, which a worker brings over."""

    NONE = 0
    """Nothing: all of its files are in `manifest`."""
    REMAINING = 1
    """Rows that nobody reads any more: its files are in `manifest`."""
    READ = 2
    """Its files: those in `manifest` are a part of them."""


class IntentKind(StrEnum):
    """What an intent does to the tree that it names."""

    PUBLISH = "publish"
    """A staged tree gets the name."""
    MOVE = "move"
    """The tree of a session that stands gets the name, or keeps it while the session's row changes."""
    RESTORE = "restore"
    """A tree comes back from the trash."""
    REMOVE = "remove"
    """The tree that has the name goes."""


Id = BigInteger().with_variant(Integer, "sqlite")
EMPTY = text("''")
"""An empty text by default, written so that Alembic compares it right on SQLite."""


def _one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{v}'" for v in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _new_uuid() -> str:
    return str(uuid4())


def _lease() -> tuple[Column[Any], ...]:
    """Columns by which work is somebody's (`queue.leases`): an import's, and a person's operation's, alike."""
    return (
        Column("attempt", Integer, nullable=False, server_default=text("0")),
        Column("token", String(32), nullable=False, server_default=EMPTY),
        Column("lease_until", BigInteger, nullable=False, server_default=text("0")),
        Column("owner", Text, nullable=False, server_default=EMPTY),
    )


def _whose() -> CheckConstraint:
    """That a row is either an import's or an operation's."""
    return CheckConstraint("(upload_id IS NULL) <> (operation_id IS NULL)", name="whose")


project = Table(
    "project",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("key", String(128), nullable=False, unique=True),
    Column("title", Text, nullable=False, server_default=EMPTY),
    Column("prearchive_code", Integer, nullable=False, server_default=text("4")),
    Column("identified", String(8), nullable=False, server_default="accept"),
    Column("petmr", String(8), nullable=False, server_default="default"),
    Column("separate_secondary", Boolean, nullable=False, server_default=text("true")),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    Column("created", BigInteger, nullable=False),
    Column("quarantine", Boolean, nullable=False, server_default=text("false")),
    Column("uuid", String(36), nullable=False, server_default=EMPTY, default=_new_uuid),
    Column("attributes", Text, nullable=False, server_default=text("'{}'")),
    Column("title_key", String(64), nullable=False, server_default=EMPTY),
    Column("secondary_key", String(64), nullable=False, server_default=EMPTY),
    Index(None, "uuid", unique=True),
    Index(None, "title_key"),
    Index(None, "secondary_key"),
    CheckConstraint("prearchive_code IN (0, 4, 5)", name="prearchive_code"),
    _one_of("identified", "accept", "warn", "hold"),
    _one_of("petmr", *PET_MR_CHOICES),
)
"""A deleted project's id is free for another one, its `uuid` never: the audit goes by it.

`title_key` and `secondary_key` find a title and a secondary ID in any case (`rules.project_fields.name_key`). They are
not unique: projects of earlier versions may share them.
"""

project_deletion = Table(
    "project_deletion",
    metadata,
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("account_id", Id),
    Column("actor", String(64), nullable=False),
    Column("address", String(64), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("begun", BigInteger, nullable=False),
)
"""Projects whose deletion has begun, and by whom: they take nothing new, and whoever opens DATA next finishes it."""

subject = Table(
    "subject",
    metadata,
    Column("id", Id, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("project_id", Id, ForeignKey("project.id"), nullable=False),
    Column("label", String(128), nullable=False),
    Column("key", String(128), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("attributes", Text, nullable=False, server_default=text("'{}'")),
    Column("modified", BigInteger),
    UniqueConstraint("project_id", "key"),
)
"""`modified`: when somebody named it anew, or said something of it, last; NULL where nobody has."""

subject_patient = Table(
    "subject_patient",
    metadata,
    Column("subject_id", Id, ForeignKey("subject.id", ondelete="CASCADE"), nullable=False),
    Column("patient_id", Text, nullable=False),
    PrimaryKeyConstraint("subject_id", "patient_id"),
)

upload = Table(
    "upload",
    metadata,
    Column("id", Id, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("archive", Text, nullable=False),
    Column("source", String(8), nullable=False),
    Column("state", String(16), nullable=False),
    Column("code", String(32), nullable=False, server_default=EMPTY),
    Column("message", Text, nullable=False, server_default=EMPTY),
    Column("request", Text, nullable=False),
    *_lease(),
    Column("report", Text, nullable=False, server_default=EMPTY),
    Column("created", BigInteger, nullable=False),
    Column("finished", BigInteger),
    Column("deleted", Boolean, nullable=False, server_default=text("false")),
    _one_of("source", "cli", "server"),
    _one_of("state", *ImportState),
    Index(None, "state"),
)
"""`deleted`: somebody deleted the import, and sessions that came by it stand: nobody sees it any more."""

operation = Table(
    "operation",
    metadata,
    Column("id", Id, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    *_lease(),
    Column("created", BigInteger, nullable=False),
)
"""What people do to sessions while they do it (`publishing.operations`): the row goes when it is done."""

upload_exception = Table(
    "upload_exception",
    metadata,
    Column("upload_id", Id, ForeignKey("upload.id", ondelete="CASCADE"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("code", String(32), nullable=False),
    Column("message", Text, nullable=False),
    PrimaryKeyConstraint("upload_id", "n"),
    sqlite_with_rowid=False,
)

tree = Table(
    "tree",
    metadata,
    Column("id", Id, primary_key=True),
    Column("upload_id", Id, ForeignKey("upload.id")),
    Column("state", String(8), nullable=False),
    Column("files", BigInteger, nullable=False, server_default=text("0")),
    Column("bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("created", BigInteger, nullable=False),
    Column("operation_id", Id, ForeignKey("operation.id", ondelete="SET NULL")),
    Column("listing", Integer, nullable=False, server_default=text("0")),
    Column("file_rows", Integer, nullable=False, server_default=text("0")),
    _one_of("state", "staged", "current", "retired"),
    Index(None, "upload_id"),
    Index(None, "operation_id"),
    Index("ix_tree_unlisted", "id", sqlite_where=text("listing < 2")),
    Index("ix_tree_with_rows", "id", sqlite_where=text("file_rows > 0")),
    Index("ix_tree_not_current", "id", sqlite_where=text("state <> 'current'")),
)
"""`upload_id` is the import that its files came by, NULL where people made it by hand; `operation_id` the operation
that makes it, until that has ended; `listing` a `ListingState`, `file_rows` a `RowState`.
"""

session = Table(
    "session",
    metadata,
    Column("id", Id, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("project_id", Id, ForeignKey("project.id"), nullable=False),
    Column("subject_id", Id, ForeignKey("subject.id")),
    Column("subject", String(128), nullable=False),
    Column("label", String(128), nullable=False),
    Column("key", String(128), nullable=False),
    Column("place", String(10), nullable=False),
    Column("timestamp", String(18), nullable=False, server_default=EMPTY),
    Column("state", String(8), nullable=False),
    Column("study_uid", Text),
    Column("patient_id", Text, nullable=False, server_default=EMPTY),
    Column("by_hand", Boolean, nullable=False, server_default=text("false")),
    Column("ecat", Boolean, nullable=False, server_default=text("false")),
    Column("xsi_type", String(64), nullable=False),
    Column("attributes", Text, nullable=False),
    Column("warnings", Text, nullable=False),
    Column("held_code", String(32), nullable=False, server_default=EMPTY),
    Column("held_message", Text, nullable=False, server_default=EMPTY),
    Column("held_remedy", Text, nullable=False, server_default=EMPTY),
    Column("tree_id", Id, ForeignKey("tree.id"), nullable=False),
    Column("scans", Integer, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("modified", BigInteger, nullable=False),
    Column("quarantined", Boolean, nullable=False, server_default=text("false")),
    Column("type_by_hand", Boolean, nullable=False, server_default=text("false")),
    Column("fields_by_hand", Text, nullable=False, server_default=text("'[]'")),
    Column("folder", String(128), nullable=False, server_default=EMPTY),
    Column("overwrite", String(8), nullable=False, server_default=EMPTY),
    Column("received", BigInteger, nullable=False, server_default=text("0")),
    Column("received_by", Id, ForeignKey("upload.id", ondelete="SET NULL")),
    Column("date", String(10), nullable=False, server_default=EMPTY),
    Column("modalities", Text, nullable=False, server_default=EMPTY),
    Column("side", String(3), nullable=False, server_default=EMPTY),
    Column("study_key", String(32), nullable=False, server_default=EMPTY),
    Column("patient_key", String(36), nullable=False, server_default=EMPTY),
    UniqueConstraint("project_id", "place", "timestamp", "key"),
    _one_of("place", "archive", "prearchive"),
    _one_of("state", "ready", "conflict"),
    Index(None, "project_id", "study_uid"),
    Index(None, "project_id", "study_key"),
    Index(None, "project_id", "key"),
    Index(None, "project_id", "patient_id"),
    Index(None, "project_id", "patient_key"),
    Index(None, "subject_id"),
    Index(None, "tree_id"),
    Index(None, "received_by"),
    Index(None, "project_id", "place", "date", "id"),
    Index(None, "project_id", "place", "received", "id"),
    Index(None, "project_id", "place", "modalities", "id"),
    Index(None, "project_id", "place", "subject", "id"),
    Index(None, "place", "key", "id"),
    Index(None, "place", "modified", "id"),
    Index(None, "place", "bytes", "id"),
    Index(None, "place", "created", "id"),
)
"""`received`: when it was first shown, which moves, joins and the trash keep; `received_by`: by which import, NULL
where people made it by hand or nothing tells. `date` and `modalities` are what its attributes and scans say, for lists
to sort by (`catalog.sessions.note_listing`). `side`: `MR` or `PET` where a study has a session for each, else ''.
`study_key` and `patient_key` are keyed hashes of the StudyInstanceUID and the PatientID that its objects had before
they were de-identified (`rules.privacy`); empty where they were not.
"""

joined_session = Table(
    "joined_session",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("into_uuid", String(36), nullable=False),
    Column("at", BigInteger, nullable=False),
)
"""Sessions whose files another one has taken in, and which that is: nothing else of theirs is left."""

shelf = Table(
    "shelf",
    metadata,
    Column("id", Id, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("project_id", Id, ForeignKey("project.id"), nullable=False),
    Column("subject_id", Id, ForeignKey("subject.id")),
    Column("key", String(48), nullable=False),
    Column("tree_id", Id, ForeignKey("tree.id"), nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("modified", BigInteger, nullable=False),
    UniqueConstraint("project_id", "key"),
    Index(None, "subject_id"),
    Index(None, "tree_id"),
)
"""The files that a project, or a subject, has of its own beside its sessions: a tree, its resources of no scan."""

scan = Table(
    "scan",
    metadata,
    Column("tree_id", Id, ForeignKey("tree.id"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("scan_id", String(128), nullable=False),
    Column("series_uid", Text),
    Column("modality", Text, nullable=False),
    Column("xsi_type", String(64), nullable=False),
    Column("type", Text, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("facts", LargeBinary, nullable=False),
    Column("frames", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sort_key", Text, nullable=False, server_default=EMPTY),
    PrimaryKeyConstraint("tree_id", "n"),
    sqlite_with_rowid=False,
)
"""`sort_key` sorts ids of scans as people count (`rules.scan_ids.sort_key`), in every database alike."""

resource = Table(
    "resource",
    metadata,
    Column("tree_id", Id, ForeignKey("tree.id"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("scan_n", Integer),
    Column("label", String(128), nullable=False),
    Column("content", Text, nullable=False),
    Column("format", String(32), nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("tags", Text, nullable=False, server_default=EMPTY),
    PrimaryKeyConstraint("tree_id", "n"),
    sqlite_with_rowid=False,
)

_HASHED: Final = text("sop_hash IS NOT NULL")
_KEYED: Final = text("sop_key IS NOT NULL")
_UNHASHED: Final = text("sop_uid IS NOT NULL AND sop_hash IS NULL")

file = Table(
    "file",
    metadata,
    Column("tree_id", Id, ForeignKey("tree.id"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("resource_n", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),
    Column("sop_uid", Text),
    Column("frames", Integer, nullable=False, server_default=text("1")),
    Column("dataset_at", Integer, nullable=False, server_default=text("0")),
    Column("md5", LargeBinary(16)),
    Column("verified", BigInteger),
    Column("content", Text),
    Column("format", String(32)),
    Column("tags", Text),
    Column("origin", LargeBinary(16)),
    Column("rules", LargeBinary(8)),
    Column("sop_hash", BigInteger),
    Column("sop_key", BigInteger),
    PrimaryKeyConstraint("tree_id", "n"),
    Index("ix_file_sop_hash", "sop_hash", sqlite_where=_HASHED),
    Index("ix_file_sop_key", "sop_key", sqlite_where=_KEYED),
    Index("ix_file_unhashed", "tree_id", sqlite_where=_UNHASHED),
    sqlite_with_rowid=False,
)
"""`content`, `format` and `tags` are what a person said of this one file; without, it has its resource's. `origin` is
a keyed hash of the object that it was before it was de-identified, `rules` the fingerprint of what that was done by.
`sop_hash` is that of `sop_uid` (`rules.sop_hashes`), `sop_key` a keyed hash of the SOP Instance UID that it had before
it was de-identified (`rules.privacy`), where it has another one now and UIDs are not dropped. Nothing is written here
any more: it has the files of trees of older versions, until a worker has brought them over (`tree.file_rows`).
"""

manifest = Table(
    "manifest",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tree_id", Id, ForeignKey("tree.id", ondelete="CASCADE"), nullable=False),
    Column("first_n", Integer, nullable=False),
    Column("last_n", Integer, nullable=False),
    Column("first_resource", Integer, nullable=False),
    Column("last_resource", Integer, nullable=False),
    Column("files", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("tree_id", "first_n"),
)
"""Up to 1,000 files of a tree, by the numbers of the first and the last, and of their resources
(`catalog.file_manifests`). `body` has what is known of them (`catalog.manifest_bodies`).
"""

object_block = Table(
    "object_block",
    metadata,
    Column("id", Id, primary_key=True),
    Column("part", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index(None, "part"),
)
"""The index of objects over all trees: hashes of SOP Instance UIDs, and the numbers of the manifests that may have
them (`catalog.object_index`). `part` says which hashes: it is a 1 before the bits with which they all begin.
"""

ecat_file = Table(
    "ecat_file",
    metadata,
    Column("tree_id", Id, ForeignKey("tree.id", ondelete="CASCADE"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),
    Column("origin", LargeBinary(16)),
    PrimaryKeyConstraint("tree_id", "n"),
    Index(None, "sha256"),
    Index("ix_ecat_file_origin", "origin", sqlite_where=text("origin IS NOT NULL")),
    sqlite_with_rowid=False,
)
"""The ECAT files of scans, which are known by their bytes alone: by these they are found in all sessions, or by their
origin, a keyed hash of what they were before they were de-identified.
"""

dicom_study = Table(
    "dicom_study",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tree_id", Id, ForeignKey("tree.id", ondelete="CASCADE"), nullable=False),
    Column("study_uid", Text, nullable=False),
    Column("session_id", Id, ForeignKey("session.id", ondelete="SET NULL")),
    Column("project_id", Id),
    Column("place", String(10), nullable=False, server_default=EMPTY),
    Column("date", String(8), nullable=False),
    Column("time", String(13), nullable=False),
    Column("accession", Text, nullable=False),
    Column("patient_id", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("patient_name", Text, nullable=False),
    Column("patient_alphabetic", Text, nullable=False),
    Column("patient_ideographic", Text, nullable=False),
    Column("patient_phonetic", Text, nullable=False),
    Column("birth_date", String(8), nullable=False),
    Column("sex", Text, nullable=False),
    Column("physician", Text, nullable=False),
    Column("physician_alphabetic", Text, nullable=False),
    Column("physician_ideographic", Text, nullable=False),
    Column("physician_phonetic", Text, nullable=False),
    Column("study_id", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("modalities", Text, nullable=False),
    Column("series", Integer, nullable=False),
    Column("instances", BigInteger, nullable=False),
    UniqueConstraint("tree_id", "study_uid"),
    Index(None, "session_id"),
    Index(None, "study_uid", "project_id", "place", "session_id", "id"),
    Index(None, "project_id", "place", "date", "time", "id"),
    Index(None, "project_id", "patient_id"),
    Index(None, "project_id", "accession"),
    Index(None, "project_id", "patient_alphabetic"),
    Index(None, "date", "time", "id"),
)
"""The DICOM studies of trees, as headers have them (`rules.dicom_listing`), names also as they are compared. Only rows
with a session are anybody's to see: `session_id`, `project_id` and `place` are those of the session that points at the
tree, written where it does so (`catalog.dicom_listings`). The index of studies alone tells of other rows of one.
PostgreSQL has one of the trigrams of names as well, where that can be (`catalog.engine.add_trigrams`).
"""

dicom_series = Table(
    "dicom_series",
    metadata,
    Column("tree_id", Id, ForeignKey("tree.id", ondelete="CASCADE"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("study_uid", Text, nullable=False),
    Column("series_uid", Text, nullable=False),
    Column("modality", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("date", String(8), nullable=False),
    Column("time", String(13), nullable=False),
    Column("step_date", String(8), nullable=False),
    Column("step_time", String(13), nullable=False),
    Column("requests", Text, nullable=False),
    Column("instances", BigInteger, nullable=False),
    PrimaryKeyConstraint("tree_id", "n"),
    Index(None, "series_uid"),
    sqlite_with_rowid=False,
)
"""The DICOM series of trees, a row for each scan, by the scan's number."""

intent = Table(
    "intent",
    metadata,
    Column("id", Id, primary_key=True),
    Column("upload_id", Id, ForeignKey("upload.id", ondelete="CASCADE")),
    Column("n", Integer, nullable=False),
    Column("state", String(10), nullable=False),
    Column("name", Text, nullable=False),
    Column("staged", Text),
    Column("inode", BigInteger, nullable=False),
    Column("base_inode", BigInteger),
    Column("base_tree_id", Id),
    Column("tree_id", Id, ForeignKey("tree.id"), nullable=False),
    Column("keep_base", Boolean, nullable=False),
    Column("session", Text, nullable=False),
    Column("operation_id", Id, ForeignKey("operation.id", ondelete="CASCADE")),
    Column("kind", String(8), nullable=False),
    UniqueConstraint("upload_id", "n"),
    UniqueConstraint("operation_id", "n"),
    _one_of("state", "intent", "published", "done"),
    _one_of("kind", *IntentKind),
    _whose(),
    CheckConstraint("(staged IS NOT NULL) = (kind = 'publish')", name="staged"),
)
"""`staged` is the tree's path in the stage, where it comes from there; `session` as JSON what is recorded besides.

`inode` and `base_inode` are the numbers of the trees' marks (`store.records.Mark`).
"""

reservation = Table(
    "reservation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("upload_id", Id, ForeignKey("upload.id", ondelete="CASCADE")),
    Column("operation_id", Id, ForeignKey("operation.id", ondelete="CASCADE")),
    _whose(),
    Index(None, "upload_id"),
    Index(None, "operation_id"),
)

routing_rules = Table(
    "routing_rules",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("text", Text, nullable=False),
    Column("modified", BigInteger, nullable=False),
    _one_of("kind", "project", "subject", "session"),
)

privacy_text = Table(
    "privacy_text",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE")),
    Column("name", String(64), nullable=False, server_default=EMPTY),
    Column("version", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("text", Text, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    _one_of("kind", "filter", "script", "lookup", "settings", "routing"),
    UniqueConstraint("kind", "project_id", "name", "version"),
    Index(None, "project_id"),
)
"""What sites and projects write that decides about images: import filters, scripts, lookup tables, privacy settings.
The newest version of a text is in force, rows are added and never changed. `project_id` is NULL of the site's own;
`name` is "". A lookup table is sealed (`services/sealing.py`), settings are JSON (`rules.privacy_policy`).
`fingerprint` is the sha256 of the text as it was given, `author` the account as the audit names it.
"""

privacy_key = Table(
    "privacy_key",
    metadata,
    Column("id", Id, primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("created", BigInteger, nullable=False),
    UniqueConstraint("fingerprint"),
)
"""The keys by which the site hashes and seals, oldest first: their fingerprints alone. The keys are in a file."""
