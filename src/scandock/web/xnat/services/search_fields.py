"""The fields by which XNAT's clients search projects, subjects and sessions, and the columns that they are.

Fields have ids (`SUBJECT_LABEL`), as XNAT's search has them; paths into its documents (`demographics/gender`) are
fields too, where a listing has a column for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, case, func, literal

from scandock.access.principal import Principal
from scandock.rules.field_types import FieldType, type_of_field
from scandock.rules.session_types import SESSION_OF_MODALITY, SESSION_OF_SCAN
from scandock.web.xnat.services import experiments, projects, subjects
from scandock.web.xnat.services.columns import Column, type_of_column, without_types
from scandock.web.xnat.services.search_projects import of_project

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


Find = Callable[[str], Column | None]
"""The column of a name."""
Made = Callable[[Find], ColumnElement[Any]]


@dataclass(frozen=True, slots=True)
class Named:
    """A field that has an id: what its column is called in listings, or how its value is made of others."""

    words: str
    source: str = ""
    made: Made | None = None


def _letter(name: str, letters: Mapping[str, str], other: str) -> Made:
    """The letter for a word, and another for words that have none."""

    def make(find: Find) -> ColumnElement[Any]:
        column = find(name)
        if column is None:
            return literal("")
        word = func.lower(func.coalesce(column.value, ""))
        return case({"": "", **letters, **{one.lower(): one for one in letters.values()}}, value=word, else_=other)

    return make


def _year(find: Find) -> ColumnElement[Any]:
    said, born = find("yob"), find("dob")
    if said is None or born is None:
        return literal("")
    return func.coalesce(func.nullif(said.value, ""), func.substr(born.value, 1, 4))


FIELDS: Final[Mapping[Kind, Mapping[str, Named]]] = {
    Kind.PROJECT: {
        "ID": Named("Id"), "NAME": Named("Title"), "DESCRIPTION": Named("Description"),
        "SECONDARY_ID": Named("Running title"), "PI": Named("Investigator", "pi_lastname"),
        "PROJECT_ACCESS": Named("Accessibility"), "PROJECT_OWNERS": Named("Owners"),
        "PROJECT_MEMBERS": Named("Members"), "PROJECT_COLLABS": Named("Collaborators"),
        "PROJ_MR_COUNT": Named("MR sessions"), "PROJ_CT_COUNT": Named("CT sessions"),
        "PROJ_PET_COUNT": Named("PET sessions"), "PROJ_UT_COUNT": Named("UT sessions"),
        "INSERT_DATE": Named("Made"), "INSERT_USER": Named("Made by"),
    },
    Kind.SUBJECT: {
        "SUBJECT_ID": Named("Id", "ID"), "SUBJECTID": Named("Id", "ID"), "SUBJECT_LABEL": Named("Subject", "label"),
        "PROJECT": Named("Project"), "SUB_GROUP": Named("Group", "group"), "GENDER": Named("Gender"),
        "GENDER_TEXT": Named("M/F", made=_letter("gender", {"male": "M", "female": "F"}, "U")),
        "HANDEDNESS": Named("Handedness"),
        "HANDEDNESS_TEXT": Named(
            "Hand", made=_letter("handedness", {"left": "L", "right": "R", "ambidextrous": "A"}, "")
        ),
        "DOB": Named("Year of birth", "yob", made=_year), "AGE": Named("Age"), "EDUC": Named("Education", "education"),
        "SES": Named("Socioeconomic status"), "RACE": Named("Race"), "ETHNICITY": Named("Ethnicity"),
        "ADD_IDS": Named("Labels"), "INSERT_DATE": Named("Made"), "INSERT_USER": Named("Made by"),
    },
    Kind.SESSION: {
        "SESSION_ID": Named("Id", "ID"), "LABEL": Named("Session"), "PROJECT": Named("Project"),
        "SUBJECT_ID": Named("Subject's id"), "SUBJECT_LABEL": Named("Subject"), "DATE": Named("Date"),
        "TIME": Named("Time"), "AGE": Named("Age"), "TYPE": Named("Type", "session_type"),
        "SCANNER": Named("Scanner"), "SCANNER_CSV": Named("Scanner", "scanner"), "OPERATOR": Named("Operator"),
        "OPERATOR_CSV": Named("Operator", "operator"), "VISIT": Named("Visit", "visit_id"),
        "INVEST": Named("Investigator", "investigator"), "INVEST_CSV": Named("Investigator", "investigator"),
        "NOTE": Named("Note"), "MODALITY": Named("Modality"), "UID": Named("Study UID"),
        "INSERT_DATE": Named("Archived"), "INSERT_USER": Named("Archived by"), "LAST_MODIFIED": Named("Changed"),
    },
    Kind.SCAN: {
        "ID": Named("Scan"), "TYPE": Named("Type"), "SERIES_DESCRIPTION": Named("Description"),
        "QUALITY": Named("Quality"), "NOTE": Named("Note"), "FRAMES": Named("Frames"), "MODALITY": Named("Modality"),
        "UID": Named("Series UID"), "SESSION_ID": Named("Session's id"), "SESSION_LABEL": Named("Session"),
        "SUBJECT_ID": Named("Subject's id"), "SUBJECT_LABEL": Named("Subject"), "PROJECT": Named("Project"),
    },
}  # fmt: skip
"""By kind and id."""
_OF_SESSION: Final = {
    name.lower(): name for name in ("session_ID", "session_label", "subject_ID", "subject_label", "project")
}
"""Fields of scans that their sessions have."""
_SHARING: Final = re.compile(r"sharing/share/\w+", re.IGNORECASE)
"""Fields of what is shared with other projects: nothing is here, so that they are there and empty."""
_ELSEWHERE: Final = frozenset({"id", "name", "description", "secondary_id", "pi", "insert_date", "insert_user"})
"""Fields of projects that rows of other kinds can have as columns; others would be asked for again and again."""


def kind_of(element: str) -> Kind | None:
    """What a type is of; None where it is none of ours."""
    low = element.strip().lower()
    if low == "xnat:projectdata":
        return Kind.PROJECT
    if low == "xnat:subjectdata":
        return Kind.SUBJECT
    if low in SESSION_TYPES or low in experiments.ABSTRACT:
        return Kind.SESSION
    return Kind.SCAN if _SCAN_TYPE.fullmatch(low) else None


def type_of(kind: Kind, field: str) -> FieldType:
    """What the values of a field with an id are."""
    if re.fullmatch(r"PROJ_\w+_COUNT", field):
        return FieldType.INTEGER
    named = FIELDS[kind][field]
    return type_of_field(named.source or field)


def field_of(principal: Principal, root: Kind, element: str, name: str) -> Field | None:
    """A field of a type, as a column of rows that are of `root`; None where there is none.

    Rows of sessions have the fields of their subjects, rows of scans those of their sessions besides, and all rows some
    of their project's.
    """
    kind = kind_of(element)
    if kind is None:
        return None
    if _SHARING.fullmatch(name) and kind is not Kind.PROJECT:
        return Field(name, FieldType.STRING, Column(name, literal("")))
    find = _finder(principal, root, kind, element)
    upper = name.upper()
    named = FIELDS[kind].get(upper)
    if named is None:
        column = find(name)
        if column is None or _is_apart(column, kind, root):
            return None
        return Field(name, type_of_column(column), column)
    if find is _nothing or (kind is Kind.PROJECT and root is not kind and upper.lower() not in _ELSEWHERE):
        return None
    if named.made is not None:
        column = Column(upper, named.made(find))
    else:
        column = find(named.source or upper) or Column(upper, literal(""))
    return Field(upper, type_of(kind, upper), column)


def _is_apart(column: Column, kind: Kind, root: Kind) -> bool:
    """Whether a column is of a table that no row of a search is joined with: it would tell of what anybody has."""
    of_projects = kind is Kind.PROJECT and root is not kind
    return experiments.is_of_file(column) or (of_projects and column.key.lower() == "project_access")


def _nothing(_: str) -> Column | None:
    return None


def _finder(principal: Principal, root: Kind, kind: Kind, element: str) -> Find:
    """How columns of a type are found in rows of `root`."""
    if kind is Kind.PROJECT:
        return of_project(principal) if root is kind else projects.LISTING.find
    if kind is Kind.SUBJECT and root is Kind.SUBJECT:
        return lambda name: subjects.LISTING.find(f"xnat:subjectData/{name}")
    if root in (Kind.SESSION, Kind.SCAN):
        if kind is Kind.SUBJECT:
            return _of_subject
        if kind is Kind.SESSION:
            return lambda name: experiments.LISTING.find(f"{element}/{name}")
        return _of_scan
    return _nothing


def _of_scan(name: str) -> Column | None:
    """A scan's field, or one of its session's."""
    of_session = _OF_SESSION.get(name.lower())
    if of_session is not None:
        return experiments.LISTING.find(of_session)
    return experiments.LISTING.columns.get(f"{experiments.SCANS}{without_types(name.lower())}")


def _of_subject(name: str) -> Column | None:
    """A subject's field as a column of its sessions."""
    if name.lower() == "project":  # which is the session's too
        return experiments.LISTING.find("project")
    if name.lower() in ("insert_date", "insert_user"):
        return None
    return experiments.LISTING.find(f"xnat:subjectData/{name}")
