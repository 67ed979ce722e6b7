"""The fields by which XNAT's clients search projects, subjects and sessions, and the columns that they are.

Fields have ids (`SUBJECT_LABEL`), as XNAT's search has them; paths into its documents (`demographics/gender`) are
fields too, where a listing has a column for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, case, func, literal

from scandock.access.principal import Principal
from scandock.model.dataclass import dataclass
from scandock.rules.field_types import FieldType, type_of_field
from scandock.rules.session_types import SESSION_OF_MODALITY, SESSION_OF_SCAN
from scandock.web.xnat.services import experiments, projects, subjects
from scandock.web.xnat.services.columns import Column, strip_types, type_of_column
from scandock.web.xnat.services.search_projects import make_project_finder

SESSION_TYPES: Final = frozenset(
    f"xnat:{one}sessiondata".lower()
    for one in (*SESSION_OF_SCAN.values(), *SESSION_OF_MODALITY.values(), "petmr", "otherDicom", "xa3D")
)
_SCAN_TYPE: Final = re.compile(r"xnat:\w+scandata")


class Kind(StrEnum):
    """What a type is of."""

    PROJECT = "project"
    SUBJECT = "subject"
    SESSION = "session"
    SCAN = "scan"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of what is searched: its column is of rows of one kind."""

    id: str
    type: FieldType
    column: Column


ColumnFinder = Callable[[str], Column | None]
"""The column of a name."""
ValueBuilder = Callable[[ColumnFinder], ColumnElement[Any]]


@dataclass(frozen=True, slots=True)
class FieldDefinition:
    """A field that has an id: what its column is called in listings, or how its value is made of others."""

    words: str
    source: str = ""
    build_value: ValueBuilder | None = None


def _make_letter(name: str, letters: Mapping[str, str], other: str) -> ValueBuilder:
    """The letter for a word, and another for words that have none."""

    def make(find: ColumnFinder) -> ColumnElement[Any]:
        column = find(name)
        if column is None:
            return literal("")
        word = func.lower(func.coalesce(column.value, ""))
        return case(
            {"": "", **letters, **{letter.lower(): letter for letter in letters.values()}}, value=word, else_=other
        )

    return make


def _make_birth_year(find: ColumnFinder) -> ColumnElement[Any]:
    year, birth_date = find("yob"), find("dob")
    if year is None or birth_date is None:
        return literal("")
    return func.coalesce(func.nullif(year.value, ""), func.substr(birth_date.value, 1, 4))


FIELDS: Final[Mapping[Kind, Mapping[str, FieldDefinition]]] = {
    Kind.PROJECT: {
        "ID": FieldDefinition("Id"),
        "NAME": FieldDefinition("Title"),
        "DESCRIPTION": FieldDefinition("Description"),
        "SECONDARY_ID": FieldDefinition("Running title"),
        "PI": FieldDefinition("Investigator", "pi_lastname"),
        "PROJECT_ACCESS": FieldDefinition("Accessibility"),
        "PROJECT_OWNERS": FieldDefinition("Owners"),
        "PROJECT_MEMBERS": FieldDefinition("Members"),
        "PROJECT_COLLABS": FieldDefinition("Collaborators"),
        "PROJ_MR_COUNT": FieldDefinition("MR sessions"),
        "PROJ_CT_COUNT": FieldDefinition("CT sessions"),
        "PROJ_PET_COUNT": FieldDefinition("PET sessions"),
        "PROJ_UT_COUNT": FieldDefinition("UT sessions"),
        "INSERT_DATE": FieldDefinition("Made"),
        "INSERT_USER": FieldDefinition("Made by"),
    },
    Kind.SUBJECT: {
        "SUBJECT_ID": FieldDefinition("Id", "ID"),
        "SUBJECTID": FieldDefinition("Id", "ID"),
        "SUBJECT_LABEL": FieldDefinition("Subject", "label"),
        "PROJECT": FieldDefinition("Project"),
        "SUB_GROUP": FieldDefinition("Group", "group"),
        "GENDER": FieldDefinition("Gender"),
        "GENDER_TEXT": FieldDefinition("M/F", build_value=_make_letter("gender", {"male": "M", "female": "F"}, "U")),
        "HANDEDNESS": FieldDefinition("Handedness"),
        "HANDEDNESS_TEXT": FieldDefinition(
            "Hand", build_value=_make_letter("handedness", {"left": "L", "right": "R", "ambidextrous": "A"}, "")
        ),
        "DOB": FieldDefinition("Year of birth", "yob", build_value=_make_birth_year),
        "AGE": FieldDefinition("Age"),
        "EDUC": FieldDefinition("Education", "education"),
        "SES": FieldDefinition("Socioeconomic status"),
        "RACE": FieldDefinition("Race"),
        "ETHNICITY": FieldDefinition("Ethnicity"),
        "ADD_IDS": FieldDefinition("Labels"),
        "INSERT_DATE": FieldDefinition("Made"),
        "INSERT_USER": FieldDefinition("Made by"),
    },
    Kind.SESSION: {
        "SESSION_ID": FieldDefinition("Id", "ID"),
        "LABEL": FieldDefinition("Session"),
        "PROJECT": FieldDefinition("Project"),
        "SUBJECT_ID": FieldDefinition("Subject's id"),
        "SUBJECT_LABEL": FieldDefinition("Subject"),
        "DATE": FieldDefinition("Date"),
        "TIME": FieldDefinition("Time"),
        "AGE": FieldDefinition("Age"),
        "TYPE": FieldDefinition("Type", "session_type"),
        "SCANNER": FieldDefinition("Scanner"),
        "SCANNER_CSV": FieldDefinition("Scanner", "scanner"),
        "OPERATOR": FieldDefinition("Operator"),
        "OPERATOR_CSV": FieldDefinition("Operator", "operator"),
        "VISIT": FieldDefinition("Visit", "visit_id"),
        "INVEST": FieldDefinition("Investigator", "investigator"),
        "INVEST_CSV": FieldDefinition("Investigator", "investigator"),
        "NOTE": FieldDefinition("Note"),
        "MODALITY": FieldDefinition("Modality"),
        "UID": FieldDefinition("Study UID"),
        "INSERT_DATE": FieldDefinition("Archived"),
        "INSERT_USER": FieldDefinition("Archived by"),
        "LAST_MODIFIED": FieldDefinition("Changed"),
    },
    Kind.SCAN: {
        "ID": FieldDefinition("Scan"),
        "TYPE": FieldDefinition("Type"),
        "SERIES_DESCRIPTION": FieldDefinition("Description"),
        "QUALITY": FieldDefinition("Quality"),
        "NOTE": FieldDefinition("Note"),
        "FRAMES": FieldDefinition("Frames"),
        "MODALITY": FieldDefinition("Modality"),
        "UID": FieldDefinition("Series UID"),
        "SESSION_ID": FieldDefinition("Session's id"),
        "SESSION_LABEL": FieldDefinition("Session"),
        "SUBJECT_ID": FieldDefinition("Subject's id"),
        "SUBJECT_LABEL": FieldDefinition("Subject"),
        "PROJECT": FieldDefinition("Project"),
    },
}
"""By kind and id."""
_SESSION_NAMES: Final = {
    name.lower(): name for name in ("session_ID", "session_label", "subject_ID", "subject_label", "project")
}
"""Fields of scans that their sessions have."""
_SHARING: Final = re.compile(r"sharing/share/\w+", re.IGNORECASE)
"""Fields of what is shared with other projects: nothing is here, so that they are there and empty."""
_SHARED_PROJECT_FIELDS: Final = frozenset(
    {"id", "name", "description", "secondary_id", "pi", "insert_date", "insert_user"}
)
"""Fields of projects that rows of other kinds can have as columns; others would be asked for again and again."""


def find_kind(element: str) -> Kind | None:
    """What a type is of; None where it is none of ours."""
    lowered = element.strip().lower()
    if lowered == "xnat:projectdata":
        return Kind.PROJECT
    if lowered == "xnat:subjectdata":
        return Kind.SUBJECT
    if lowered in SESSION_TYPES or lowered in experiments.ABSTRACT:
        return Kind.SESSION
    return Kind.SCAN if _SCAN_TYPE.fullmatch(lowered) else None


def find_field_type(kind: Kind, field: str) -> FieldType:
    """What the values of a field with an id are."""
    if re.fullmatch(r"PROJ_\w+_COUNT", field):
        return FieldType.INTEGER
    definition = FIELDS[kind][field]
    return type_of_field(definition.source or field)


def find_field(principal: Principal, root: Kind, element: str, name: str) -> Field | None:
    """A field of a type, as a column of rows that are of `root`; None where there is none.

    Rows of sessions have the fields of their subjects, rows of scans those of their sessions besides, and all rows some
    of their project's.
    """
    kind = find_kind(element)
    if kind is None:
        return None
    if _SHARING.fullmatch(name) and kind is not Kind.PROJECT:
        return Field(name, FieldType.STRING, Column(name, literal("")))
    find = _make_finder(principal, root, kind, element)
    field_id = name.upper()
    definition = FIELDS[kind].get(field_id)
    if definition is None:
        column = find(name)
        if column is None or _is_not_joined(column, kind, root):
            return None
        return Field(name, type_of_column(column), column)
    if find is _find_nothing or (
        kind is Kind.PROJECT and root is not kind and field_id.lower() not in _SHARED_PROJECT_FIELDS
    ):
        return None
    if definition.build_value is not None:
        column = Column(field_id, definition.build_value(find))
    else:
        column = find(definition.source or field_id) or Column(field_id, literal(""))
    return Field(field_id, find_field_type(kind, field_id), column)


def _is_not_joined(column: Column, kind: Kind, root: Kind) -> bool:
    """Whether a column is of a table that no row of a search is joined with: it would tell of what anybody has."""
    of_projects = kind is Kind.PROJECT and root is not kind
    return experiments.is_file_column(column) or (of_projects and column.key.lower() == "project_access")


def _find_nothing(_: str) -> Column | None:
    return None


def _make_finder(principal: Principal, root: Kind, kind: Kind, element: str) -> ColumnFinder:
    """How columns of a type are found in rows of `root`."""
    if kind is Kind.PROJECT:
        return make_project_finder(principal) if root is kind else projects.LISTING.find
    if kind is Kind.SUBJECT and root is Kind.SUBJECT:
        return lambda name: subjects.LISTING.find(f"xnat:subjectData/{name}")
    if root in (Kind.SESSION, Kind.SCAN):
        if kind is Kind.SUBJECT:
            return _find_subject_column
        if kind is Kind.SESSION:
            return lambda name: experiments.LISTING.find(f"{element}/{name}")
        return _find_scan_column
    return _find_nothing


def _find_scan_column(name: str) -> Column | None:
    """A scan's field, or one of its session's."""
    of_session = _SESSION_NAMES.get(name.lower())
    if of_session is not None:
        return experiments.LISTING.find(of_session)
    return experiments.LISTING.columns.get(f"{experiments.SCAN_PREFIX}{strip_types(name.lower())}")


def _find_subject_column(name: str) -> Column | None:
    """A subject's field as a column of its sessions."""
    if name.lower() == "project":  # which is the session's too
        return experiments.LISTING.find("project")
    if name.lower() in ("insert_date", "insert_user"):
        return None
    return experiments.LISTING.find(f"xnat:subjectData/{name}")
