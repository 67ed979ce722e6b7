"""The functions that scripts call: how many arguments they take, and whether they have a result."""

from __future__ import annotations

from typing import Final, NamedTuple

MANY: Final = 10_000
"""For functions that take any number of arguments."""


class Signature(NamedTuple):
    """`form` is how a call is written, for messages."""

    least: int
    most: int
    is_void: bool
    form: str


FUNCTIONS: Final = {
    "alterPixels": Signature(4, 4, True, 'alterPixels["rectangle", "l=,t=,r=,b=", "solid", "v="]'),
    "blankValues": Signature(1, MANY, True, "blankValues[value, ...]"),
    "collectValues": Signature(1, MANY, False, "collectValues[value, ...]"),
    "concatenate": Signature(0, MANY, False, "concatenate[value, ...]"),
    "delete": Signature(1, 1, True, 'delete["(gggg,eeee)"]'),
    "false": Signature(0, 0, False, "false[]"),
    "format": Signature(1, MANY, False, "format[pattern, value, ...]"),
    "hashUID": Signature(1, 1, False, "hashUID[value]"),
    "hashUIDList": Signature(1, MANY, True, "hashUIDList[path, ...]"),
    "isPresent": Signature(0, MANY, False, "isPresent[path, ...]"),
    "ismatch": Signature(2, 2, False, "ismatch[value, pattern]"),
    "lookup": Signature(2, 2, False, "lookup[type, value]"),
    "lowercase": Signature(1, 1, False, "lowercase[value]"),
    "mapReferencedUIDs": Signature(2, MANY, True, "mapReferencedUIDs[root, path, ...]"),
    "mapUID": Signature(2, 2, False, "mapUID[value, root]"),
    "match": Signature(3, 3, False, "match[value, pattern, group]"),
    "newUID": Signature(0, 0, False, "newUID[]"),
    "normalizeString": Signature(1, 2, False, "normalizeString[value, replacement]"),
    "reject": Signature(0, 1, True, "reject[flag]"),
    "removeTags": Signature(1, MANY, True, "removeTags[path, ...]"),
    "replace": Signature(3, 3, False, "replace[value, old, new]"),
    "retainPrivateTags": Signature(0, MANY, True, "retainPrivateTags[path, ...]"),
    "scalePatientAgeAndDobFromStudyDate": Signature(0, 0, True, "scalePatientAgeAndDobFromStudyDate[]"),
    "set": Signature(2, 2, True, 'set["(gggg,eeee)", value]'),
    "shiftDateByIncrement": Signature(2, 3, False, "shiftDateByIncrement[value, number, unit]"),
    "shiftDateTimeByIncrement": Signature(2, 3, False, "shiftDateTimeByIncrement[value, number, unit]"),
    "shiftDateTimeListByIncrement": Signature(3, 3, True, "shiftDateTimeListByIncrement[{path, ...}, number, unit]"),
    "shiftDateTimeSequenceByIncrement": Signature(
        2, MANY, True, "shiftDateTimeSequenceByIncrement[seconds, path, ...]"
    ),
    "substring": Signature(3, 3, False, "substring[value, from, to]"),
    "true": Signature(0, 0, False, "true[]"),
    "uppercase": Signature(1, 1, False, "uppercase[value]"),
}
REFUSED: Final = {"getURL": "getURL isn't run: nothing is asked of other computers while images are received"}
CHANGES_PATHS: Final = frozenset({
    "delete", "hashUIDList", "mapReferencedUIDs", "removeTags", "set", "shiftDateTimeListByIncrement",
    "shiftDateTimeSequenceByIncrement",
})  # fmt: skip
"""Those that change what stands at the paths in their arguments."""
