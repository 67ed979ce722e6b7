"""What the values of XNAT's fields are, where they are no texts: listings and searches compare by it, items show it.

All values are kept as they were said or read. One that is none of its type is shown, and compared, as the text it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from scandock.rules.subject_fields import DEMOGRAPHICS


class FieldType(StrEnum):
    """What a field's values are."""

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    DATE = "date"
    MOMENT = "datetime"


_FIELDS: Final[Mapping[str, FieldType]] = MappingProxyType(
    {
        **{name.lower(): FieldType(kind) for name, kind in DEMOGRAPHICS.items() if kind in tuple(FieldType)},
        **dict.fromkeys(("insert_date", "last_modified", "uploaded", "lastmod"), FieldType.MOMENT),
        **dict.fromkeys(("date", "start_date", "scan_date", "dcmpatientbirthdate"), FieldType.DATE),
        **dict.fromkeys(
            ("age", "dcmpatientweight", "fieldstrength", "tracer/dose", "tracer/isotope/half-life"), FieldType.FLOAT
        ),
        **dict.fromkeys(("frames", "file_count", "file_size", "xnat_abstractresource_id"), FieldType.INTEGER),
    }
)
"""By lower-case name."""
SUBJECT: Final = "subject_"
_FLOATS_OF_SUBJECTS: Final = frozenset(name.lower() for name, kind in DEMOGRAPHICS.items() if kind == FieldType.FLOAT)
_SHOWN_AS_TEXTS: Final = frozenset({"fieldstrength"})
"""Compared as numbers, where they are some, but texts in XNAT's documents: `3.0`, and whatever people say of one."""
_PARAMETERS: Final[Mapping[str, FieldType]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "tr", "te", "ti", "flip", "pixelbandwidth", "rescale/intercept", "rescale/slope", "kvp",
                "collectiondiameter", "reconstructiondiameter", "distancesourcetodetector", "distancesourcetopatient",
                "gantrytilt", "tableheight", "exposuretime", "xraytubecurrent", "exposure", "generatorpower",
                "revolutiontime", "collimationwidth/single", "collimationwidth/total", "tablespeed",
                "tablefeedperrotation", "pitchfactor", "estimateddosesaving", "ctdivol", "frameduration",
                "transaxialfov", "planeseparation", "binsize", "reconzoom", "bedposition", "ecatcalibrationfactor",
                "numrelements", "numangles", "zrotationangle",
            ),
            FieldType.FLOAT,
        ),
        **dict.fromkeys(
            (
                "acquisitionnumber", "numberofslices", "numberoftimeslices", "systemtype", "filetype", "acqtype",
                "numplanes", "numgates", "datatype", "filtercode", "processingcode", "gateduration", "rwaveoffset",
                "numacceptedbeats",
            ),
            FieldType.INTEGER,
        ),
    }
)  # fmt: skip
"""The same of scans' parameters, below `parameters/`."""
_TRIPLES: Final[tuple[tuple[re.Pattern[str], FieldType], ...]] = (
    (
        re.compile(r"(voxelres|offset|pixelsize|resolution)/[xyz]|mt_\d_\d|frames/\d+/(starttime|length)"),
        FieldType.FLOAT,
    ),
    (re.compile(r"(fov|matrix)/[xy]|dimensions/(\w+)"), FieldType.INTEGER),
)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,15}(\.0+)?")
_FLOAT: Final = re.compile(r"[+-]?([0-9]{1,15}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")


def type_of_field(name: str) -> FieldType:
    """What the values of a field are, by its name or path below the type, in any case."""
    low = name.lower()
    below = low.removeprefix("parameters/")
    if below == low:
        return _FIELDS.get(low, FieldType.STRING)
    for pattern, kind in _TRIPLES:
        if pattern.fullmatch(below):
            return kind
    return _PARAMETERS.get(below, FieldType.STRING)


def is_float(name: str) -> bool:
    """Whether the schema says that a field's values are floating point numbers.

    Those of subjects are told by `subject_`: a session's age is one, a subject's (`subject_age`) a whole number.
    """
    low = name.lower()
    if low.startswith(SUBJECT):
        return low.removeprefix(SUBJECT) in _FLOATS_OF_SUBJECTS
    return low not in _SHOWN_AS_TEXTS and type_of_field(low) is FieldType.FLOAT


def format_float(text: str | None) -> str:
    """A floating point number as the original's listings write it, `42.0` of `42`; what is none is shown as it is."""
    if not text or _FLOAT.fullmatch(text) is None:
        return text or ""
    value = float(text)
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    first, *rest = map(str, digits)
    assert isinstance(exponent, int)
    return f"{'-' if sign else ''}{first}.{''.join(rest) or '0'}E{exponent + len(rest)}"


def parse_field_number(name: str, text: str) -> int | float | None:
    """The number that a field's text is, whole ones without a point; None where the field or the text is none."""
    kind = FieldType.STRING if name.lower() in _SHOWN_AS_TEXTS else type_of_field(name)
    if kind is FieldType.INTEGER and _INTEGER.fullmatch(text):
        return int(text.partition(".")[0])
    if kind is FieldType.FLOAT and _FLOAT.fullmatch(text):
        value = float(text)
        return int(value) if value == int(value) and abs(value) < 1e15 else value
    return None
