"""What clients of the XNAT dialect say of a subject: its group and source, its investigator, and its demographics.

They say it by bare names (`gender`), or by paths into XNAT's documents, where demographics stand under an element whose
type is named in brackets: `xnat:subjectData/demographics[@xsi:type=xnat:demographicData]/gender`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from scandock.model.request_errors import ValueInvalid
from scandock.rules.session_fields import check_date, check_float, check_text, rejoin_pairs

OWN: Final = ("group", "src")
"""Fields of the subject itself."""
DEMOGRAPHICS: Final = MappingProxyType(
    {
        "dob": "date", "yob": "integer", "age": "integer", "gender": "string", "handedness": "string",
        "ses": "integer", "education": "integer", "educationDesc": "string", "employment": "string",
        "race": "string", "race2": "string", "race3": "string", "race4": "string", "race5": "string",
        "race6": "string", "ethnicity": "string", "weight": "float", "weight/units": "string", "height": "float",
        "height/units": "string", "gestational_age": "float", "post_menstrual_age": "float", "birth_weight": "float",
    }
)  # fmt: skip
"""Fields of its demographics, in the order of a document, with their types as XML Schema calls them."""
INVESTIGATOR: Final = ("title", "firstname", "lastname", "institution", "department", "email", "phone")
"""Fields of its investigator, in the order of a document."""
_BELOW: Final = "investigator/"
SUBJECT_FIELDS: Final = MappingProxyType(
    {name.lower(): name for name in (*OWN, *(f"{_BELOW}{one}" for one in INVESTIGATOR), *DEMOGRAPHICS)}
)
"""All of them by their lower-case names."""
FIELD_LABELS: Final = MappingProxyType(
    {
        "src": "Source", "dob": "Date of birth", "yob": "Year of birth", "ses": "Socioeconomic status",
        "educationDesc": "Education, described", "weight/units": "Weight in", "height/units": "Height in",
        "investigator/title": "Investigator's title", "investigator/firstname": "Investigator's first name",
        "investigator/lastname": "Investigator's last name", "investigator/institution": "Investigator's institution",
        "investigator/department": "Investigator's department", "investigator/email": "Investigator's email",
        "investigator/phone": "Investigator's phone",
    }
)  # fmt: skip
"""How people read the names that say too little by themselves."""
_PATH: Final = re.compile(
    r"(?:xnat:subjectData/)?(?:demographics(?:\[[^\]]*\])?/)?([\w/]+)|xnat:demographicData/([\w/]+)", re.IGNORECASE
)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,9}")


def parse_subject_fields(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What a query says of a subject, by the names as they are written; an empty text takes a value back.

    Usage `value_invalid`.
    """
    fields: dict[str, str] = {}
    for key, value in rejoin_pairs(pairs):
        path = _PATH.fullmatch(key)
        name = SUBJECT_FIELDS.get((path[1] or path[2]).lower()) if path else None
        if name is not None:
            fields[name] = _check_value(name, value)
    return fields


def investigator_fields(attributes: Mapping[str, str]) -> dict[str, str]:
    """What is said of a subject's investigator, by the names that it has there."""
    return {name: text for name in INVESTIGATOR if (text := attributes.get(f"{_BELOW}{name}"))}


def _check_value(name: str, value: str) -> str:
    """A value that is of its field's type, or an empty text: clients make numbers and dates of what they read."""
    value = check_text(name, value)
    kind = DEMOGRAPHICS.get(name, "string")
    if not value or kind == "string":
        return value
    if kind == "date":
        return check_date(name, value)
    if kind == "integer" and not _INTEGER.fullmatch(value):
        raise ValueInvalid(f"{name} is {value[:40]!r}.", "Right is a whole number.")
    return check_float(name, value) if kind == "float" else value


def label_fields(attributes: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is said of a subject as people read it, in the order of the fields."""
    return [
        (FIELD_LABELS.get(name, name[:1].upper() + name[1:].replace("_", " ")), attributes[name])
        for name in SUBJECT_FIELDS.values()
        if attributes.get(name)
    ]
