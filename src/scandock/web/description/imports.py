"""Imports and unfinished uploads, as answers have them."""

from __future__ import annotations

from typing import Final

from scandock.model.verdicts import ImportState
from scandock.web.description.kinds import (
    FRACTION,
    MAYBE_MOMENT,
    MAYBE_TEXT,
    MAYBE_WHOLE,
    TEXT,
    TRUTH,
    WHOLE,
    Schema,
    items,
    keyed,
    many,
    maybe,
    ref,
    shape,
)

_STATE: Final[Schema] = {"type": "string", "enum": [one.value for one in ImportState]}
_COUNTED: Final = shape("How far", {"done": MAYBE_WHOLE, "total": MAYBE_WHOLE})
_SUM: Final = shape("A resource's files", {"name": TEXT, "files": WHOLE, "bytes": WHOLE})

SCHEMAS: Final[dict[str, Schema]] = {
    "Progress": shape(
        "How far an import is; totals are null until they are known",
        {
            "stage": TEXT,
            "entries": maybe(_COUNTED),
            "bytes": _COUNTED,
            "sessions": {"type": "array"},
            "modified": MAYBE_MOMENT,
        },
        optional=("modified",),
    ),
    "ImportedScan": shape(
        "A scan of an imported session",
        {
            "id": TEXT,
            "series_uid": MAYBE_TEXT,
            "modality": MAYBE_TEXT,
            "type": MAYBE_TEXT,
            "xsi_type": TEXT,
            "frames": MAYBE_WHOLE,
            "resources": many(_SUM),
        },
    ),
    "ImportedSession": shape(
        "Where a session of the archive stands; labels are null of one that was refused",
        {
            "uri": MAYBE_TEXT,
            "path": MAYBE_TEXT,
            "project": MAYBE_TEXT,
            "subject": MAYBE_TEXT,
            "label": MAYBE_TEXT,
            "study_uid": MAYBE_TEXT,
            "state": TEXT,
            "code": TEXT,
            "message": TEXT,
            "warnings": many(ref("Notice")),
            "files": WHOLE,
            "bytes": WHOLE,
            "session_type": MAYBE_TEXT,
            "scans": many(ref("ImportedScan")),
            "resources": many(_SUM),
        },
    ),
    "ImportWaiting": shape(
        "Why an import waits for its next attempt, whether the one before was counted, and when that begins",
        {"code": TEXT, "message": TEXT, "counted": TRUTH, "next_attempt": MAYBE_MOMENT},
    ),
    "Import": shape(
        "An import: what `scandock import --json` prints, and how far it is",
        {
            "id": TEXT,
            "upload": TEXT,
            "archive": TEXT,
            "state": _STATE,
            "code": TEXT,
            "message": TEXT,
            "warnings": many(ref("Notice")),
            "sessions": many(ref("ImportedSession")),
            "entries": keyed(WHOLE),
            "bytes": keyed(WHOLE),
            "seconds": keyed(FRACTION),
            "project": MAYBE_TEXT,
            "door": TEXT,
            "size": MAYBE_WHOLE,
            "attempt": WHOLE,
            "created": MAYBE_MOMENT,
            "accepted": MAYBE_MOMENT,
            "finished": MAYBE_MOMENT,
            "progress": maybe(ref("Progress")),
            "cancelling": TRUTH,
            "silent_since": MAYBE_MOMENT,
            "waiting": maybe(ref("ImportWaiting")),
        },
        optional=("cancelling",),
    ),
}

IMPORTS: Final = items(ref("Import"), following=MAYBE_TEXT)
