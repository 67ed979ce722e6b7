"""Projects, subjects, sessions, scans, resources and files, as answers have them."""

from __future__ import annotations

from typing import Final

from scandock.web.description.kinds import (
    FREE,
    MAYBE_MOMENT,
    MAYBE_TEXT,
    MAYBE_WHOLE,
    MOMENT,
    TEXT,
    TRUTH,
    WHOLE,
    Schema,
    keyed,
    many,
    maybe,
    one_of,
    ref,
    shape,
)

_SETTINGS: Final[dict[str, Schema]] = {
    "prearchive_code": {"type": "integer", "enum": [0, 4, 5]},
    "identified": one_of("accept", "warn", "hold"),
    "petmr": one_of("petmr", "pet"),
    "separate_secondary": TRUTH,
    "quarantine": TRUTH,
    "revision": WHOLE,
    "created": MOMENT,
    "subjects": WHOLE,
    "sessions": WHOLE,
    "waiting": WHOLE,
    "files": WHOLE,
    "bytes": WHOLE,
}

_THERE: Final[Schema] = {
    "anyOf": [
        {
            "type": "object",
            "properties": {
                "project": TEXT,
                "label": TEXT,
                "subject": MAYBE_TEXT,
                "place": one_of("archive", "prearchive"),
                "state": TEXT,
                "study_uid": MAYBE_TEXT,
            },
            "required": ["project", "label", "subject", "place", "state", "study_uid"],
        },
        {"type": "null"},
    ]
}

SCHEMAS: Final[dict[str, Schema]] = {
    "Known": shape(
        "The sessions that have a label, and a study, that an upload would bring, and what they share with others",
        {"label": _THERE, "study": _THERE, "subjects": many(TEXT), "ecat": many(TEXT)},
        optional=("subjects", "ecat"),
    ),
    "Notice": shape("A warning", {"code": TEXT, "message": TEXT}, optional=("message",)),
    "Project": shape(
        "A project; its settings and sums only for who may read it",
        {
            "id": TEXT,
            "name": TEXT,
            "uri": TEXT,
            "accessibility": one_of("private", "protected", "public"),
            **_SETTINGS,
        },
        optional=tuple(_SETTINGS),
    ),
    "MadeProject": shape(
        "A project that was just made",
        {"id": TEXT, "name": TEXT, "prearchive_code": _SETTINGS["prearchive_code"], "accessibility": TEXT},
    ),
    "Subject": shape(
        "A subject with the sums of its sessions, and what people said of it",
        {
            "id": TEXT,
            "label": TEXT,
            "project": TEXT,
            "uri": TEXT,
            "sessions": WHOLE,
            "files": WHOLE,
            "bytes": WHOLE,
            "attributes": keyed(TEXT),
            "created": MOMENT,
        },
    ),
    "Session": shape(
        "A session of the archive or the prearchive",
        {
            "id": TEXT,
            "label": TEXT,
            "project": TEXT,
            "subject": TEXT,
            "subject_id": MAYBE_TEXT,
            "uri": TEXT,
            "place": one_of("archive", "prearchive"),
            "timestamp": MAYBE_TEXT,
            "state": TEXT,
            "quarantined": TRUTH,
            "code": TEXT,
            "message": TEXT,
            "choices": many(TEXT),
            "study_uid": MAYBE_TEXT,
            "type": TEXT,
            "attributes": keyed(TEXT),
            "warnings": many(ref("Notice")),
            "scans": WHOLE,
            "files": WHOLE,
            "bytes": WHOLE,
            "verified": MAYBE_MOMENT,
            "damaged": WHOLE,
            "created": MOMENT,
            "modified": MOMENT,
            "tree": WHOLE,
        },
    ),
    "Resource": shape(
        "A resource of a session, or of a scan",
        {
            "id": WHOLE,
            "session": TEXT,
            "scan": MAYBE_TEXT,
            "label": TEXT,
            "uri": TEXT,
            "content": MAYBE_TEXT,
            "format": MAYBE_TEXT,
            "files": WHOLE,
            "bytes": WHOLE,
        },
    ),
    "Scan": shape(
        "A scan, with what people said of it; its resources where it is asked for alone",
        {
            "id": TEXT,
            "session": TEXT,
            "uri": TEXT,
            "series_uid": MAYBE_TEXT,
            "modality": MAYBE_TEXT,
            "xsi_type": TEXT,
            "type": MAYBE_TEXT,
            "quality": one_of("usable", "questionable", "unusable"),
            "note": TEXT,
            "attributes": FREE,
            "frames": MAYBE_WHOLE,
            "files": WHOLE,
            "bytes": WHOLE,
            "modified": MOMENT,
            "tree": WHOLE,
            "resources": many(ref("Resource")),
        },
        optional=("resources",),
    ),
    "File": shape(
        "A file by its number within the session",
        {
            "id": WHOLE,
            "session": TEXT,
            "scan": MAYBE_TEXT,
            "resource": TEXT,
            "name": TEXT,
            "path": TEXT,
            "uri": TEXT,
            "bytes": WHOLE,
            "sha256": TEXT,
            "md5": MAYBE_TEXT,
            "verified": MAYBE_MOMENT,
            "damaged": maybe(one_of("changed", "missing", "unreadable")),
            "sop_uid": MAYBE_TEXT,
            "frames": MAYBE_WHOLE,
        },
    ),
}
