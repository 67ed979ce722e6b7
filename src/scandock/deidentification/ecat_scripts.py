"""Scripts on ECAT files: they run on a small data set of the six elements that ECAT's header has fields for.

Statements that write any other element are left out: there is nothing for them to write to. What they read is absent.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from scandock.deidentification.ecat import (
    BIRTH_DATE,
    INSTITUTION,
    OPERATOR,
    PATIENT_ID,
    PATIENT_NAME,
    STUDY_DESCRIPTION,
)
from scandock.deidentification.parsing import parse
from scandock.deidentification.script.syntax import Assign, Branch, Script, Statement

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DicomObject

_VRS: Final = {
    INSTITUTION: b"LO",
    STUDY_DESCRIPTION: b"LO",
    OPERATOR: b"PN",
    PATIENT_NAME: b"PN",
    PATIENT_ID: b"LO",
    BIRTH_DATE: b"DA",
}
_LATIN_1: Final = struct.pack("<HH2sH", 0x0008, 0x0005, b"CS", 10) + b"ISO_IR 100"


def as_object(fields: Mapping[int, str]) -> DicomObject:
    """A data set that says what the fields say."""
    raw = _LATIN_1
    for tag in sorted(_VRS):
        value = fields[tag].encode("latin-1")
        value += b" " * (len(value) & 1)
        raw += struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, _VRS[tag], len(value)) + value
    return parse(raw)


def changes_of(obj: DicomObject, fields: Mapping[int, str]) -> dict[int, str]:
    """What scripts have changed; what they have removed is empty."""
    texts = {tag: obj.data.text(tag) or "" for tag in _VRS}
    return {tag: text for tag, text in texts.items() if text != fields[tag]}


@lru_cache(maxsize=64)
def restrict(script: Script) -> Script:
    """A script without the statements that would write what ECAT has no field for."""
    text = f"{script.text}\n// as far as ECAT goes"  # scripts are compared by name and text
    return replace(script, text=text, statements=_restricted(script.statements))


def _restricted(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    kept: list[Statement] = []
    for statement in statements:
        if isinstance(statement, Branch):
            cases = tuple((condition, _restricted(block)) for condition, block in statement.cases)
            kept.append(replace(statement, cases=cases, otherwise=_restricted(statement.otherwise)))
        elif not isinstance(statement, Assign) or statement.target.plain_tag in _VRS:
            kept.append(statement)
    return tuple(kept)
