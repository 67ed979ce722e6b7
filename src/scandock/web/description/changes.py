"""What verbs answer, the trash, the trail and who is told, as answers have them."""

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
    many,
    one_of,
    ref,
    shape,
)

_DONE: Final[dict[str, Schema]] = {
    "dry_run": TRUTH,
    "from": TEXT,
    "to": MAYBE_TEXT,
    "into": MAYBE_TEXT,
    "warnings": many(ref("Notice")),
    "counts": {"type": "object", "additionalProperties": {"type": ["integer", "string"]}},
}

SCHEMAS: Final[dict[str, Schema]] = {
    "Outcome": shape(
        "What a verb did to one session, or with a dry run would do; one of many that was refused says why instead",
        {"session": TEXT, "action": TEXT, "done": TRUTH, "code": TEXT, "message": TEXT, **_DONE},
        optional=tuple(_DONE),
    ),
    "Trashed": shape(
        "A session in the trash",
        {
            "id": TEXT,
            "project": TEXT,
            "subject": TEXT,
            "label": TEXT,
            "place": one_of("archive", "prearchive"),
            "study_uid": MAYBE_TEXT,
            "files": WHOLE,
            "bytes": WHOLE,
            "damaged": WHOLE,
            "deleted": MOMENT,
        },
    ),
    "Damage": shape(
        "A stored file that is not what it was, or (no `file`) a whole folder that is gone",
        {
            "id": WHOLE,
            "kind": one_of("changed", "missing", "unreadable", "folder_missing"),
            "project": TEXT,
            "subject": TEXT,
            "session": TEXT,
            "label": TEXT,
            "place": one_of("archive", "prearchive", "resources"),
            "uri": TEXT,
            "file": MAYBE_WHOLE,
            "path": MAYBE_TEXT,
            "bytes": MAYBE_WHOLE,
            "stored_bytes": MAYBE_WHOLE,
            "found": MOMENT,
        },
    ),
    "ReadAgain": shape("Of how many sessions the files are read again", {"sessions": WHOLE}),
    "TrailLine": shape(
        "A line of the audit trail: ids alone, no labels",
        {
            "id": WHOLE,
            "at": MOMENT,
            "time": TEXT,
            "account_id": MAYBE_WHOLE,
            "actor": TEXT,
            "action": TEXT,
            "kind": TEXT,
            "target": TEXT,
            "project": TEXT,
            "address": TEXT,
            "request_id": TEXT,
            "outcome": TEXT,
            "details": FREE,
        },
    ),
    "Subscription": shape(
        "Who is told of outcomes; a webhook's `secret` is told once, when it is made",
        {
            "id": TEXT,
            "project": MAYBE_TEXT,
            "kind": one_of("email", "webhook"),
            "target": TEXT,
            "states": many(TEXT),
            "waiting": WHOLE,
            "failed": WHOLE,
            "created": MOMENT,
            "secret": TEXT,
        },
        optional=("secret",),
    ),
    "Delivery": shape(
        "What was sent, waits or failed",
        {
            "import": MAYBE_TEXT,
            "state": TEXT,
            "attempts": WHOLE,
            "next": MAYBE_MOMENT,
            "error": MAYBE_TEXT,
            "done": MAYBE_MOMENT,
        },
    ),
}
