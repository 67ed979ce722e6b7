"""What is said of pictures: the stack of a scan, and the header of a file."""

from __future__ import annotations

from typing import Final

from scandock.web.description.schemas import TEXT, WHOLE, Schema, many, one_of, shape

_ROW: Final[Schema] = {"type": "array", "items": {}}

SCHEMAS: Final[dict[str, Schema]] = {
    "Stack": shape(
        "In which order the images of a scan are shown; a row of `images` has the values that `columns` names",
        {
            "tree": WHOLE,
            "places": WHOLE,
            "turns": WHOLE,
            "middle": WHOLE,
            "columns": many(TEXT),
            "images": many(_ROW),
            "reasons": many(shape("A file without images", {"file": WHOLE, "reason": TEXT})),
            "note": TEXT,
        },
    ),
    "NoNumbers": shape(
        "An image that has no numbers to show: its colors are at `picture`, or the reason says why there is nothing",
        {"kind": one_of("colour", "none"), "reason": TEXT, "rows": WHOLE, "columns": WHOLE},
        optional=("reason", "rows", "columns"),
    ),
    "Header": shape(
        "The elements of a file's header; a row of `rows` has the values that `columns` names",
        {"columns": many(TEXT), "rows": many(_ROW), "note": TEXT, "reason": TEXT},
    ),
}
