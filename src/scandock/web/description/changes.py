"""What verbs answer, the trash, the trail and who is told, as answers have them."""

from __future__ import annotations

from typing import Final

from scandock.web.description.schemas import (
    MAYBE_TEXT,
    TEXT,
    TRUTH,
    Schema,
    many,
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
}
