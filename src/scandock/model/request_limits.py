"""Limits of requests that are no settings: each stands here once, with what it counts, and is taken from here.

Light, so that `scandock settings` prints them without a load of what they bound. docs/limits.md has the same names.
"""

from __future__ import annotations

from typing import Final, NamedTuple

KIB: Final = 1024
MIB: Final = 1024 * KIB

HEAD_BYTES: Final = 64 * KIB
HEAD_FIELDS: Final = 256
HEAD_SECONDS: Final = 30.0
AHEAD_BYTES: Final = 1 * MIB
REST_SECONDS: Final = 30.0

ANONYMOUS_BODY_BYTES: Final = 64 * KIB
MAPPING_BYTES: Final = 16 * MIB
SEARCH_BYTES: Final = 4 * MIB
SAMPLE_BYTES: Final = 64 * MIB
SAVED_SEARCH_BYTES: Final = 256 * KIB
BODY_SECONDS: Final = 30.0
FORM_FIELDS: Final = 1_000
JSON_MEMBERS: Final = 1_000
JSON_VALUES: Final = 10_000
UPLOAD_PARTS: Final = 64
STORED_OBJECTS: Final = 50_000
MAPPING_ROWS: Final = 200_000
MAPPING_COLUMNS: Final = 100

QUERY_PARAMETERS: Final = 1_000
LISTING_COLUMNS: Final = 200
LISTING_VALUES: Final = 1_000
LISTING_CONDITIONS: Final = 200
LISTED_FILES: Final = 200_000
MOUNTED_FILES: Final = 200_000
SUBJECT_SCANS: Final = 5_000
DOCUMENT_SCANS: Final = 5_000
SCAN_PARAMETERS: Final = 100
ASSESSOR_BYTES: Final = 1 * MIB
ASSESSOR_FIELDS: Final = 200
ASSESSOR_TEXT_BYTES: Final = 64 * KIB
SHOWN_ASSESSORS_BYTES: Final = 4 * MIB
SCHEMA_TYPES: Final = 500
SEARCH_CRITERIA: Final = 100
SEARCH_VALUES: Final = 30_000
COLUMN_NAME: Final = 300
PATTERN: Final = 1_000
PROJECT_ALIAS: Final = 64
ZIPS_MADE_READY: Final = 4
MANIFESTS: Final = 50
MANIFEST_BYTES: Final = 1 * MIB
MANIFEST_DAYS: Final = 31

LARGE_ANSWER_SECONDS: Final = 60.0
DECODER_LINE: Final = 400
DECODER_MOMENT: Final = 1.0
STACK_IMAGES: Final = 100_000

CATALOG_WRITERS: Final = 8
CATALOG_CONNECTIONS: Final = 32

RESERVED_SECONDS: Final = 3_600
LEASE_SECONDS: Final = 30
DAMAGE_MESSAGE_SECONDS: Final = 3_600
MESSAGES_AT_ONCE: Final = 8
MESSAGES_PER_OWNER: Final = 2
MAILS_AT_ONCE: Final = 4
LOOKUPS_AT_ONCE: Final = 16

PASSWORDS_WAITING: Final = 100
PASSWORDS_WAITING_OF_ALL: Final = 2_000
LOGINS: Final = 200
SAVED_SEARCHES: Final = 200
SAVED_SEARCH_USERS: Final = 200
PROJECTS: Final = 500
REFUSALS_SECONDS: Final = 60.0
REFUSALS_TOLD_APART: Final = 1_000


class FixedLimit(NamedTuple):
    """A limit that nobody can change, as it is shown."""

    name: str
    value: float
    unit: str
    """`B`, `s` or another word; none where things are counted that the name says."""
    meaning: str


FIXED_LIMITS: Final = (
    FixedLimit("length of a head", HEAD_BYTES, "B", "Bytes of a request's address and headers together."),
    FixedLimit("headers of a request", HEAD_FIELDS, "", "Headers of one request."),
    FixedLimit("time of a head", HEAD_SECONDS, "s", "From the first byte of a request to the end of its headers."),
    FixedLimit("sent ahead", AHEAD_BYTES, "B", "Bytes behind requests of a connection that are not answered yet."),
    FixedLimit("rest of a body", REST_SECONDS, "s", "For a body that was answered already; more for what comes."),
    FixedLimit("body without a login", ANONYMOUS_BODY_BYTES, "B", "Bytes of a body that is no upload."),
    FixedLimit("body of a mapping", MAPPING_BYTES, "B", "Bytes of a mapping."),
    FixedLimit("file to try on", SAMPLE_BYTES, "B", "Bytes of a file on which rules, filters or scripts are tried."),
    FixedLimit("body of a search", SEARCH_BYTES, "B", "Bytes of a search in XNAT's dialect."),
    FixedLimit("saved search", SAVED_SEARCH_BYTES, "B", "Bytes of a search in XNAT's dialect that is kept."),
    FixedLimit("time of a body", BODY_SECONDS, "s", "For a body that is no upload; more for what comes."),
    FixedLimit("fields of a form", FORM_FIELDS, "", "Fields of a form without a file."),
    FixedLimit("members of a JSON object", JSON_MEMBERS, "", "Names in one object of a body."),
    FixedLimit("values of a JSON body", JSON_VALUES, "", "Of all its objects and lists together."),
    FixedLimit("parts of an upload", UPLOAD_PARTS, "", "Parts of a multipart body with an archive or files."),
    FixedLimit("objects of a request to store", STORED_OBJECTS, "", "Parts of one request of STOW-RS."),
    FixedLimit("rows of a mapping", MAPPING_ROWS, "", "Lines of a CSV, objects of a JSON list."),
    FixedLimit("columns of a mapping", MAPPING_COLUMNS, "", "Also those that say nothing."),
    FixedLimit("parameters of a query", QUERY_PARAMETERS, "", "Names behind the ? of an address."),
    FixedLimit("columns of a listing", LISTING_COLUMNS, "", "Columns that one listing or search names."),
    FixedLimit("values of a listing", LISTING_VALUES, "", "Values of all filters of a listing."),
    FixedLimit("conditions of a listing", LISTING_CONDITIONS, "", "Patterns and filters of a listing together."),
    FixedLimit("files of a listing of several sessions", LISTED_FILES, "", "That these have together."),
    FixedLimit(
        "files of a session whose folders are listed", MOUNTED_FILES, "", "With more, its folders can't be mounted."
    ),
    FixedLimit(
        "scans of a subject's document", SUBJECT_SCANS, "", "With more, its experiments come without their scans."
    ),
    FixedLimit("scans of a session's document", DOCUMENT_SCANS, "", "That a PUT or POST makes or changes at once."),
    FixedLimit("added parameters of a scan", SCAN_PARAMETERS, "", "That people set by addParam."),
    FixedLimit("document of an assessor", ASSESSOR_BYTES, "B", "All that is said of an image assessor."),
    FixedLimit("fields of an assessor", ASSESSOR_FIELDS, "", "Paths that one request says something of."),
    FixedLimit("text of an assessor", ASSESSOR_TEXT_BYTES, "B", "One element or attribute of its document."),
    FixedLimit(
        "assessors in a document", SHOWN_ASSESSORS_BYTES, "B", "With more, they come without what is said of them."
    ),
    FixedLimit("types of assessors", SCHEMA_TYPES, "", "That the schemas have; of more, those that came first."),
    FixedLimit("criteria of a search", SEARCH_CRITERIA, "", "Comparisons of a search, or sets of them."),
    FixedLimit("values of a search", SEARCH_VALUES, "", "Values of all comparisons of a search."),
    FixedLimit("name of a column", COLUMN_NAME, "characters", "One name in a listing."),
    FixedLimit("pattern of a filter", PATTERN, "characters", "One value with * or % in it."),
    FixedLimit("alias of a project", PROJECT_ALIAS, "characters", "A name that it answers to besides its id."),
    FixedLimit("zips made ready", ZIPS_MADE_READY, "", "Zips whose names are looked up at once."),
    FixedLimit("manifests of an account", MANIFESTS, "", "Manifests of downloads that are held for an account."),
    FixedLimit("size of manifests", MANIFEST_BYTES, "B", "Of what an account's manifests of downloads name."),
    FixedLimit("age of manifests", MANIFEST_DAYS, "days", "For which a manifest of downloads is kept."),
    FixedLimit("time of a large answer", LARGE_ANSWER_SECONDS, "s", "For which a client may take next to nothing."),
    FixedLimit("questions to decoders", DECODER_LINE, "", "Questions that wait for a decoder of images."),
    FixedLimit("heavy questions to decoders", DECODER_MOMENT, "s", "Of the processor's time: what takes more waits."),
    FixedLimit("images of a stack", STACK_IMAGES, "", "Images of one scan that the viewer shows."),
    FixedLimit("transactions that write", CATALOG_WRITERS, "", "Of one process, those included that wait for a lock."),
    FixedLimit("connections to the catalog", CATALOG_CONNECTIONS, "", "Of one process; most are for reading."),
    FixedLimit("reservation of an upload", RESERVED_SECONDS, "s", "For which space is kept after its last byte."),
    FixedLimit("lease of a whole body", LEASE_SECONDS, "s", "After its request was last known to live."),
    FixedLimit("messages of damage", DAMAGE_MESSAGE_SECONDS, "s", "Between two to one receiver."),
    FixedLimit("messages at once", MESSAGES_AT_ONCE, "", "Mails and webhooks that are being sent."),
    FixedLimit("messages of an owner", MESSAGES_PER_OWNER, "", "Of an account or project at once."),
    FixedLimit("mails at once", MAILS_AT_ONCE, "", "Mails that are being sent."),
    FixedLimit("names looked up at once", LOOKUPS_AT_ONCE, "", "Names of servers that get webhooks."),
    FixedLimit("password checks that wait", PASSWORDS_WAITING, "", "Of one address."),
    FixedLimit("password checks that wait, of all", PASSWORDS_WAITING_OF_ALL, "", "Of all addresses."),
    FixedLimit("logins", LOGINS, "", "Of one account."),
    FixedLimit("saved searches", SAVED_SEARCHES, "", "Of one account."),
    FixedLimit("users of a saved search", SAVED_SEARCH_USERS, "", "Accounts that one saved search names."),
    FixedLimit("projects", PROJECTS, "", "That one account made and that are not deleted."),
    FixedLimit("lines of refusals in the audit", REFUSALS_SECONDS, "s", "In which those of one kind make one line."),
    FixedLimit(
        "addresses, accounts and actions told apart", REFUSALS_TOLD_APART, "", "Of which something was refused."
    ),
)
"""In the order of docs/limits.md."""
