"""The tables of the server: accounts and rights, what arrives, what is told of it, and the trail of who did what.

They stand beside the import core's (`tables.py`) and change none of them.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from scandock.catalog.tables import EMPTY, Id, metadata


def _one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{v}'" for v in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


account = Table(
    "account",
    metadata,
    Column("id", Id, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("name", String(64), nullable=False),
    Column("key", String(64), nullable=False, unique=True),
    Column("display", Text, nullable=False, server_default=EMPTY),
    Column("email", Text, nullable=False, server_default=EMPTY),
    Column("password", Text),
    Column("identity", Text, unique=True),
    Column("admin", Boolean, nullable=False, server_default=text("false")),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    Column("epoch", Integer, nullable=False, server_default=text("0")),
    Column("created", BigInteger, nullable=False),
    Column("modified", BigInteger, nullable=False),
)
"""`identity` is issuer and subject of an OpenID Connect login; `epoch` grows with each change that ends all logins."""

login = Table(
    "login",
    metadata,
    Column("secret_hash", LargeBinary(32), primary_key=True),
    Column("account_id", Id, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("token_alias", String(36), ForeignKey("api_token.alias", ondelete="CASCADE")),
    Index(None, "account_id"),
    Index(None, "token_alias"),
)
"""`token_alias` is the token that began the login, or began the login that did: it ends with the token."""

api_token = Table(
    "api_token",
    metadata,
    Column("alias", String(36), primary_key=True),
    Column("account_id", Id, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("name", Text, nullable=False, server_default=EMPTY),
    Column("secret_hash", LargeBinary(32), nullable=False),
    Column("scope", String(8), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("seen", BigInteger),
    Column("parent_alias", String(36), ForeignKey("api_token.alias", ondelete="CASCADE")),
    _one_of("scope", "read", "upload", "all"),
    Index(None, "account_id"),
    Index(None, "parent_alias"),
)
"""`parent_alias` is the token that made this one, by itself or by a login that it began: this one ends with it."""

login_key = Table(
    "login_key",
    metadata,
    Column("id", Id, primary_key=True),
    Column("secret", LargeBinary(32), nullable=False),
    Column("created", BigInteger, nullable=False),
)
"""Keys that sign what a browser keeps while it logs in at a provider (`access.login_keys`): a login may come back to
another web host than it began at.
"""

login_failure = Table(
    "login_failure",
    metadata,
    Column("key", LargeBinary(16), primary_key=True),
    Column("forgiven", BigInteger, nullable=False),
    Index(None, "forgiven"),
)
"""Wrong passwords that all web hosts have counted together (`access.shared_throttle`), on PostgreSQL alone. `key` is a
hash of the name, the address or both; `forgiven` when the last of them counts no more.
"""

member = Table(
    "member",
    metadata,
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
    Column("account_id", Id, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("role", String(12), nullable=False),
    PrimaryKeyConstraint("project_id", "account_id"),
    _one_of("role", "owner", "member", "collaborator"),
    Index(None, "account_id"),
)

project_maker = Table(
    "project_maker",
    metadata,
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("account_id", Id, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Index(None, "account_id"),
)
"""Whose making a project counts as, whoever owns it now; those of earlier versions count as nobody's."""

project_access = Table(
    "project_access",
    metadata,
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("accessibility", String(9), nullable=False),
    _one_of("accessibility", "private", "protected", "public"),
)
"""A project without a row is private."""

project_alias = Table(
    "project_alias",
    metadata,
    Column("key", String(128), primary_key=True),
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
    Column("alias", String(64), nullable=False),
    Index(None, "project_id"),
)
"""Names that a project answers to besides its id, in XNAT's dialect; `key` is the alias in one case."""

reception = Table(
    "reception",
    metadata,
    Column("upload_id", Id, ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True),
    Column("account_id", Id, ForeignKey("account.id"), nullable=False),
    Column("project_id", Id, ForeignKey("project.id", ondelete="SET NULL")),
    Column("door", String(9), nullable=False),
    Column("size", BigInteger),
    Column("received", BigInteger, nullable=False, server_default=text("0")),
    Column("metadata", Text, nullable=False, server_default=EMPTY),
    Column("mapping", Text, nullable=False, server_default=EMPTY),
    Column("idempotency_key", Text),
    Column("expires", BigInteger),
    Column("accepted", BigInteger),
    Column("retry_at", BigInteger, nullable=False, server_default=text("0")),
    Column("cancel", Boolean, nullable=False, server_default=text("false")),
    Column("reserved_until", BigInteger),
    Column("outages", Integer, nullable=False, server_default=text("0")),
    Column("heard", BigInteger),
    Column("writer", String(36), nullable=False, server_default=EMPTY),
    Column("writer_seen", BigInteger),
    Column("follow_token", String(32), nullable=False, server_default=EMPTY),
    Column("follow_owner", Text, nullable=False, server_default=EMPTY),
    Column("follow_until", BigInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("account_id", "idempotency_key"),
    _one_of("door", "raw", "multipart", "tus", "dimse", "session", "dicomweb", "gradual"),
    Index(None, "account_id"),
    Index(None, "project_id"),
)
"""An upload that came by the server: whose it is, where to, and how far its bytes are.

Of the door `session` no bytes come: what is imported stands here already (`session_import`).
`reserved_until`: how long the space for those that are still to come is kept for it. `outages`: how often its import
has waited for the disk, the rights or the catalog to be well again. `heard`: when bytes of it were noted last; NULL of
those from before there was the column. `writer`: a token of the request that brings its bytes, which guards each change
of how far it is; empty where none does, or where a resumable one has all its writers in one process (SQLite).
`writer_seen`: when that request was known to live; NULL of uploads from before there was the column. `follow_token`: of
the import that reads ahead while the bytes come, by `follow_owner` (`queue.owner`), until its lease, `follow_until`, is
over; empty where none ever did.
"""

host = Table(
    "host",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("name", Text, nullable=False),
    Column("boot", String(36), nullable=False),
    Column("role", String(6), nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("worker_seen", BigInteger, nullable=False, server_default=text("0")),
    Column("folder", Text, nullable=False, server_default=text("''")),
    Column("problem", String(32), nullable=False, server_default=text("''")),
    _one_of("role", "web", "worker", "all"),
)
"""The hosts that serve a catalog in PostgreSQL, by the id in their host folder; each says so every few seconds.

`boot`: the machine's, as it is now. `seen`: when its web process lived; 0 once that has ended. `worker_seen`: the same
of its worker. `folder`: which folder on this machine its host folder is. `problem`: code of what keeps its worker from
importing.
"""

session_import = Table(
    "session_import",
    metadata,
    Column("upload_id", Id, ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True),
    Column("session_uuid", String(36), nullable=False),
    Index(None, "session_uuid"),
)
"""Imports whose archive is a session that stands: it moves, and its files are to be de-identified or divided."""

progress = Table(
    "progress",
    metadata,
    Column("upload_id", Id, ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True),
    Column("stage", String(16), nullable=False),
    Column("entries_done", BigInteger, nullable=False),
    Column("entries_total", BigInteger),
    Column("bytes_done", BigInteger, nullable=False),
    Column("bytes_total", BigInteger),
    Column("sessions", Text, nullable=False),
    Column("modified", BigInteger, nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("id", Id, primary_key=True),
    Column("upload_id", Id, ForeignKey("upload.id", ondelete="CASCADE"), nullable=False),
    Column("account_id", Id, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("data", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("txid", BigInteger, nullable=False, server_default=text("0")),
    Index(None, "upload_id", "id"),
    Index(None, "account_id", "id"),
    Index("ix_event_txid", "txid", "id", sqlite_where=text("txid > 0")),
)
"""What was told of imports, in order; the id is the `Last-Event-ID` of the streams. `txid` is the transaction that
wrote it, on PostgreSQL, where those of several imports are committed in any order (`services.event_order`).
"""

OF_SESSIONS: Final = text("kind = 'session'")
"""Lines of the audit about sessions, whose targets are UUIDs: an index has these alone, and serves who asks by it."""

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("account_id", Id),
    Column("actor", String(64), nullable=False),
    Column("action", String(32), nullable=False),
    Column("kind", String(16), nullable=False, server_default=EMPTY),
    Column("target", Text, nullable=False, server_default=EMPTY),
    Column("project", String(64), nullable=False, server_default=EMPTY),
    Column("address", String(64), nullable=False, server_default=EMPTY),
    Column("request_id", String(64), nullable=False, server_default=EMPTY),
    Column("outcome", String(8), nullable=False, server_default=text("'done'")),
    Column("details", Text, nullable=False, server_default=EMPTY),
    Column("project_uuid", String(36)),
    _one_of("outcome", "done", "refused", "failed"),
    Index(None, "at"),
    Index(None, "project", "id"),
    Index(None, "account_id", "id"),
    Index(None, "project_uuid", "id"),
    # Partial on PostgreSQL too (`engine.create_tables`).
    Index("ix_audit_session_target", "target", "id", sqlite_where=OF_SESSIONS),
)
"""Append only. `project` is an id as it was, which another project may have now; `project_uuid` tells whose it was, and
is NULL of lines from before there was any. `target` is an id (a UUID, a project, an account): labels may identify a
person and stay out.
"""

subscription = Table(
    "subscription",
    metadata,
    Column("id", Id, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("account_id", Id, ForeignKey("account.id", ondelete="CASCADE")),
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE")),
    Column("kind", String(8), nullable=False),
    Column("target", Text, nullable=False),
    Column("secret", Text, nullable=False, server_default=EMPTY),
    Column("states", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    _one_of("kind", "email", "webhook"),
    CheckConstraint("(account_id IS NULL) <> (project_id IS NULL)", name="whose"),
)
"""Who is told of outcomes, of an account's imports or of a project's."""

delivery = Table(
    "delivery",
    metadata,
    Column("id", Id, primary_key=True),
    Column("subscription_id", Id, ForeignKey("subscription.id", ondelete="CASCADE")),
    Column("upload_id", Id, ForeignKey("upload.id", ondelete="CASCADE")),
    Column("state", String(8), nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_at", BigInteger, nullable=False),
    Column("error", Text, nullable=False, server_default=EMPTY),
    Column("done", BigInteger),
    Column("account_id", Id, ForeignKey("account.id", ondelete="CASCADE")),
    UniqueConstraint("subscription_id", "upload_id"),
    _one_of("state", "waiting", "sent", "failed"),
    CheckConstraint("(subscription_id IS NULL) <> (account_id IS NULL)", name="whose"),
    Index(None, "state", "next_at"),
    Index(None, "account_id"),
)
"""What is to be told: the outcome of `upload_id`, or (it is null) that stored files are damaged, one row a receiver.

To a subscription's target, or by e-mail to an administrator's account that has none for damage.
"""

verification = Table(
    "verification",
    metadata,
    Column("tree_id", Id, ForeignKey("tree.id", ondelete="CASCADE"), primary_key=True),
    Column("done_n", Integer, nullable=False),
    Column("finished", BigInteger),
    Column("begun", BigInteger),
    Column("asked", BigInteger),
    Column("oldest", BigInteger),
    Column("doubted", BigInteger),
    Index(None, "finished"),
    Index(None, "oldest"),
)
"""How far the re-reading of a tree is: `begun` and `done_n` of the round that runs, `finished` of the last that ended.

`asked` is when a person wanted a round, until it has ended; `oldest` when the file was read that waits the longest.
"""

verified_files = Table(
    "verified_files",
    metadata,
    Column("tree_id", Id, ForeignKey("tree.id", ondelete="CASCADE"), nullable=False),
    Column("first_n", Integer, nullable=False),
    Column("last_n", Integer, nullable=False),
    Column("verified", BigInteger, nullable=False),
    PrimaryKeyConstraint("tree_id", "first_n"),
    sqlite_with_rowid=False,
)
"""When files of a tree, from one number to another, were read whole (`catalog.verified_files`); spans don't overlap."""

file_md5 = Table(
    "file_md5",
    metadata,
    Column("tree_id", Id, ForeignKey("tree.id", ondelete="CASCADE"), nullable=False),
    Column("first_n", Integer, nullable=False),
    Column("last_n", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tree_id", "first_n"),
)
"""The MD5s of up to 1,000 files of a tree, by number (`catalog.verified_files`); each file's in one row at most."""

damage = Table(
    "damage",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tree_id", Id, ForeignKey("tree.id", ondelete="CASCADE"), nullable=False),
    Column("file_n", Integer),
    Column("kind", String(16), nullable=False),
    Column("bytes", BigInteger),
    Column("error", Text, nullable=False, server_default=EMPTY),
    Column("found", BigInteger, nullable=False),
    UniqueConstraint("tree_id", "file_n"),
    _one_of("kind", "changed", "missing", "unreadable", "folder_missing"),
)
"""Stored files that are not what they were, as verification last found them; without `file_n` the tree's whole folder.

`bytes` is how many there are now, where they could be read.
"""

trashed = Table(
    "trashed",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
    Column("tree_id", Id, ForeignKey("tree.id"), nullable=False),
    Column("trash_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("account_id", Id),
    Column("deleted", BigInteger, nullable=False),
    Index(None, "project_id"),
)
"""Sessions that were deleted and can come back: their row as JSON, their tree kept, their folder in the trash."""

scan_edit = Table(
    "scan_edit",
    metadata,
    Column("session_id", Id, ForeignKey("session.id", ondelete="CASCADE"), nullable=False),
    Column("scan_id", String(128), nullable=False),
    Column("type", Text),
    Column("quality", String(16)),
    Column("note", Text),
    Column("modified", BigInteger, nullable=False),
    Column("parameters", Text, nullable=False, server_default=text("'{}'")),
    PrimaryKeyConstraint("session_id", "scan_id"),
)
"""What people said of a scan, in place of what its headers say; it outlives the trees of its session. `parameters` is
a JSON object of parameters by their names, in the order in which they were set.
"""

project_sums = Table(
    "project_sums",
    metadata,
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("subjects", BigInteger, nullable=False),
    Column("sessions", BigInteger, nullable=False),
    Column("waiting", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)
"""What a project holds, written whenever one of its sessions changes; `waiting` are those in its prearchive."""

accession = Table(
    "accession",
    metadata,
    Column("number", Id, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
)
"""The number by which XNAT's clients call a session, or an assessor (`XNAT_E00001`). Its row outlives both."""

assessor = Table(
    "assessor",
    metadata,
    Column("id", Id, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("session_uuid", String(36), nullable=False),
    Column("label", String(128), nullable=False),
    Column("key", String(128), nullable=False),
    Column("xsi_type", String(64), nullable=False),
    Column("document", Text, nullable=False),
    Column("fields", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("modified", BigInteger, nullable=False),
    UniqueConstraint("session_uuid", "key"),
    Index(None, "key"),
)
"""Image assessors. One belongs to the session of a UUID, and so goes with it to the trash and comes back with it.

`document` is all that is said of it (`rules.assessor_documents`), `fields` the same as a JSON object of texts by their
paths in lower case, for listings.
"""

gone_subject = Table("gone_subject", metadata, Column("number", Id, primary_key=True))
"""Numbers of deleted subjects: clients call a subject by its number (`XNAT_S00001`), and none is given twice."""

cached_file = Table(
    "cached_file",
    metadata,
    Column("upload_id", Id, ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True),
    Column("account_id", Id, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("resource", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("whole", Boolean, nullable=False, server_default=text("false")),
    Index(None, "account_id", "resource"),
)
"""Files of XNAT's user cache: uploads that wait, once whole, until an import of them is asked for."""

tracked = Table(
    "tracked",
    metadata,
    Column("number", Id, primary_key=True),
    Column("account_id", Id, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("key", Text, nullable=False),
    Column("upload_id", Id, ForeignKey("upload.id", ondelete="SET NULL")),
    Column("created", BigInteger, nullable=False),
    Column("alive_until", BigInteger),
    Column("entries", Text, nullable=False, server_default=EMPTY),
    Column("succeeded", Boolean),
    Column("final", Text, nullable=False, server_default=EMPTY),
    Index(None, "account_id", "key"),
    Index(None, "upload_id"),
)
"""Keys by which XNAT's clients follow an import, or (`alive_until` is set) the archiving of a session, whose entries
and end stand here; of a key that was used again the highest number counts.
"""

inbox_import = Table(
    "inbox_import",
    metadata,
    Column("number", Id, primary_key=True),
    Column("account_id", Id, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("upload_id", Id, ForeignKey("upload.id", ondelete="SET NULL")),
    Column("path", Text, nullable=False),
    Column("cleanup", Boolean, nullable=False),
    Column("asked", Text, nullable=False),
    Column("message", Text, nullable=False, server_default=EMPTY),
    Column("created", BigInteger, nullable=False),
    Column("cleaned", BigInteger),
    Column("before", BigInteger),
    Index(None, "account_id"),
    Index(None, "upload_id"),
)
"""Imports of folders of the server: `message` says why one never became an upload, `cleaned` when its files went, and
`before` (ns, by the clock of their file system) since when files have changed that are not the import's; NULL of those
from before there was the column.
"""

saved_search = Table(
    "saved_search",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("account_id", Id, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("root", Text, nullable=False),
    Column("brief", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("tag", Text, nullable=False, server_default=EMPTY),
    Column("public", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("modified", BigInteger, nullable=False),
    Index(None, "account_id"),
)
"""Searches of XNAT's dialect that are kept by a name of their own. `account_id` is the account that each counts for;
`public`: every account may read it; `document`: its XML without who may use it.
"""

saved_search_user = Table(
    "saved_search_user",
    metadata,
    Column("search_id", Id, ForeignKey("saved_search.id", ondelete="CASCADE"), nullable=False),
    Column("key", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    PrimaryKeyConstraint("search_id", "key"),
    Index(None, "key"),
)
"""Who may read and change a saved search: accounts, by their names; `key` is the name in one case."""

download_manifest = Table(
    "download_manifest",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account_id", Id, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(128), nullable=False),
    Column("request", Text, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    UniqueConstraint("account_id", "name"),
    Index(None, "created"),
)
"""What accounts asked to download by XNAT's dialect, which their clients come back for by `name`: JSON of so many
`bytes`.
"""

clock_seen = Table(
    "clock_seen",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("wall", BigInteger, nullable=False),
    Column("start", String(64), nullable=False),
    Column("since_start", BigInteger, nullable=False),
    Column("held_until", BigInteger, nullable=False),
    Column("jumped", BigInteger, nullable=False),
    Column("doubted", BigInteger, nullable=False, server_default=text("0")),
    Column("doubted_since", BigInteger, nullable=False, server_default=text("0")),
)
"""One row: the clock as it was last seen, with the machine's start and the time since then; until when nothing is
deleted for its age, and by how much the clock had jumped then (milliseconds). Dates from before `doubted_since` may be
too early by `doubted`."""

clock_host = Table(
    "clock_host",
    metadata,
    Column("start", String(64), primary_key=True),
    Column("wall", BigInteger, nullable=False),
    Column("since_start", BigInteger, nullable=False),
)
"""The database's clock as each host saw it last, by the host's start, with the time since then."""

chore = Table(
    "chore",
    metadata,
    Column("name", Text, primary_key=True),
    Column("until", BigInteger, nullable=False),
)
"""What several hosts on PostgreSQL do by turns (`queue.chores`), and until when no other does it."""

data_folder = Table(
    "data_folder",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("path", Text, nullable=False),
)
"""One row, of a database beside the data folder: that folder's own id, and where it was opened last."""

receiver = Table(
    "receiver",
    metadata,
    Column("id", Id, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("title", String(16), nullable=False),
    Column("port", Integer, nullable=False),
    Column("host", String(255), nullable=False),
    Column("bind", String(64), nullable=False, server_default=EMPTY),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("label", Text, nullable=False, server_default=EMPTY),
    Column("tls", Boolean, nullable=False, server_default=text("false")),
    Column("client_certificates", String(8), nullable=False, server_default=text("'off'")),
    Column("allow_list", Text, nullable=False, server_default=EMPTY),
    Column("allow_list_enabled", Boolean, nullable=False, server_default=text("false")),
    Column("project_uuid", String(36)),
    Column("destination", String(10)),
    Column("account_id", Id, ForeignKey("account.id"), nullable=False),
    Column("closing", String(8), nullable=False, server_default=text("'idle'")),
    Column("idle_seconds", Integer),
    Column("max_associations", Integer),
    Column("max_object_bytes", BigInteger),
    Column("anonymize", Boolean, nullable=False, server_default=text("true")),
    Column("rules_enabled", Boolean, nullable=False, server_default=text("false")),
    Column("project_rules", Text, nullable=False, server_default=EMPTY),
    Column("subject_rules", Text, nullable=False, server_default=EMPTY),
    Column("session_rules", Text, nullable=False, server_default=EMPTY),
    Column("created", BigInteger, nullable=False),
    Column("modified", BigInteger, nullable=False),
    Column("by_option", Boolean, nullable=False, server_default=text("false")),
    Column("stopped", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("title", "port"),
    _one_of("client_certificates", "off", "optional", "required"),
    _one_of("destination", "prearchive", "archive"),
    _one_of("closing", "idle", "release"),
    Index(None, "project_uuid"),
    Index(None, "account_id"),
)
"""DICOM receivers (`model.receivers`); `allow_list` has one entry a line.

`project_uuid` refers to no row: where its project is deleted, a receiver takes nothing rather than that objects go
elsewhere. `by_option`: `serve --dicom-port` made it, and without that option it does not listen. `stopped`: it was
disabled with all others, and is enabled with them.
"""

dicom_peer = Table(
    "dicom_peer",
    metadata,
    Column("id", Id, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("title", String(16), nullable=False, unique=True),
    Column("host", String(255), nullable=False),
    Column("port", Integer, nullable=False),
    Column("tls", Boolean, nullable=False, server_default=text("false")),
    Column("label", Text, nullable=False, server_default=EMPTY),
    Column("created", BigInteger, nullable=False),
    Column("modified", BigInteger, nullable=False),
)
"""Application entities that we call, by their AE titles."""

commitment = Table(
    "commitment",
    metadata,
    Column("id", Id, primary_key=True),
    Column("peer", String(16), nullable=False),
    Column("transaction_uid", String(64), nullable=False),
    Column("receiver_id", Id, ForeignKey("receiver.id", ondelete="SET NULL")),
    Column("called", String(16), nullable=False),
    Column("address", String(64), nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("newest_upload", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("message", Text, nullable=False, server_default=EMPTY),
    Column("wanted", LargeBinary, nullable=False),
    Column("result", LargeBinary),
    _one_of("state", "waiting", "decided", "told", "failed"),
    Index(None, "state", "due"),
    Index(None, "receiver_id"),
)
"""Requests of DICOM peers for storage commitment. `peer` is the AE title that asked, `wanted` and `result` are packed
(`services.commitment`). It is `waiting` for studies that were on their way when it came (`newest_upload` and before),
`decided` and to be told at `due`, `told`, or `failed`: told too often in vain, which `message` says. What is told or
failed names no UIDs any more.
"""

received_study = Table(
    "received_study",
    metadata,
    Column("upload_id", Id, ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True),
    Column("receiver_id", Id, ForeignKey("receiver.id", ondelete="SET NULL")),
    Column("calling", String(16), nullable=False),
    Column("called", String(16), nullable=False),
    Column("address", String(64), nullable=False),
    Column("host", String(255), nullable=False),
    Column("objects", BigInteger, nullable=False, server_default=text("0")),
    Column("begun", BigInteger, nullable=False),
    Column("heard", BigInteger, nullable=False),
    Column("rate", BigInteger, nullable=False, server_default=text("0")),
    Column("wish", String(8), nullable=False, server_default=EMPTY),
    Column("closed_by", String(8), nullable=False, server_default=EMPTY),
    _one_of("wish", "", "close", "discard"),
    Index(None, "receiver_id"),
)
"""Uploads of the door `dimse`: one study that a DICOM receiver takes, from its first object on.

`calling`, `called` and `address` are of the association that sent the first; `objects` and `rate` (bytes a second) are
as they were when `heard`. `wish` is what a person wants done with it, which its receiver process sees to. `closed_by`
says why it was handed to its import.
"""

gradual_upload = Table(
    "gradual_upload",
    metadata,
    Column("upload_id", Id, ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
    Column("timestamp", String(18), nullable=False),
    Column("label", String(128), nullable=False),
    Column("key", String(128), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("study_uid", Text, nullable=False),
    Column("objects", BigInteger, nullable=False, server_default=text("0")),
    Column("wanted", Boolean, nullable=False, server_default=text("false")),
    Index(None, "project_id", "timestamp"),
)
"""Uploads of the door `gradual`: single objects of one study that an account sends, one a request.

`project_id`, `timestamp` and `label` are those of the prearchive session that its senders were told of: it is listed
there from the first object on. `objects` is how many had come when that was noted last. `wanted`: somebody asks for the
session, so the import is to begin now. Rows go once the import has ended.
"""

dicom_association = Table(
    "dicom_association",
    metadata,
    Column("id", Id, primary_key=True),
    Column("receiver_id", Id, ForeignKey("receiver.id", ondelete="SET NULL")),
    Column("host", String(255), nullable=False),
    Column("owner", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("called", String(16), nullable=False),
    Column("calling", String(16), nullable=False),
    Column("address", String(64), nullable=False),
    Column("security", Text, nullable=False, server_default=EMPTY),
    Column("begun", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Column("outcome", String(8), nullable=False),
    Column("message", Text, nullable=False, server_default=EMPTY),
    Column("objects", BigInteger, nullable=False, server_default=text("0")),
    Column("bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("failures", BigInteger, nullable=False, server_default=text("0")),
    Column("number", BigInteger, nullable=False, server_default=text("0")),
    _one_of("outcome", "open", "released", "ended", "rejected", "failed"),
    Index(None, "receiver_id", "id"),
)
"""The last associations with DICOM receivers, those that run and those that were rejected; `message` says why, or which
objects were refused. `failed`: the connection ended before there was an association. `number` is that of the
log, counted on each host; 0 where it was not noted.
"""

receiver_state = Table(
    "receiver_state",
    metadata,
    Column("receiver_id", Id, ForeignKey("receiver.id", ondelete="CASCADE"), nullable=False),
    Column("host", String(255), nullable=False),
    Column("listening", Boolean, nullable=False),
    Column("message", Text, nullable=False, server_default=EMPTY),
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("receiver_id", "host"),
    sqlite_with_rowid=False,
)
"""Whether an enabled receiver listens on a host, or why it does not."""
