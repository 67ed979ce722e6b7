"""Searches as XNAT's clients ask for them: what may be searched, by which fields, and the rows that criteria hold for.

A search is one statement, however many rows it finds, and finds what the listings would show the asker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, case, false, func, or_, true

from scandock.access.principal import AccessDenied, Principal
from scandock.catalog.tables import project, scan, session, subject
from scandock.model import request_limits
from scandock.model.limit_counts import RequestLimit, count_exceeded
from scandock.web.xnat.services import experiments, projects, subjects
from scandock.web.xnat.services.columns import MAX_COLUMNS, Column, Rows, check_joined, read_rows, too_many_error
from scandock.web.xnat.services.search_bundle import Bundle, Criteria, Criterion, SearchColumn
from scandock.web.xnat.services.search_conditions import make_any_condition, make_condition
from scandock.web.xnat.services.search_fields import FIELDS, Field, Kind, find_field, find_field_type, find_kind
from scandock.web.xnat.services.xml_parsing import document_invalid_error

MAX_CRITERIA: Final = request_limits.SEARCH_CRITERIA
"""Comparisons of one search: each may look at every row. Those of a field with one value or another count once."""
OTHER_KIND_WEIGHT: Final = 10
"""What one of another kind counts, as it looks at every row of those, too."""
MAX_ALL_VALUES: Final = request_limits.SEARCH_VALUES
"""Values of all comparisons of one search: databases take so many, and few more."""
_ALWAYS: Final = {
    Kind.PROJECT: ("ID",),
    Kind.SUBJECT: ("SUBJECTID", "PROJECT"),
    Kind.SESSION: ("SESSION_ID", "SUBJECT_ID", "PROJECT"),
    Kind.SCAN: ("ID", "SESSION_ID", "PROJECT"),
}
"""Fields of every answer: xnatpy makes its addresses of them."""
_EVERY_SCAN: Final = experiments.SCAN_PREFIX.removesuffix("/")
_TITLE: Final = "name"
_TITLE_HEADER: Final = "name_csv"
"""A project's title, by its path (its id is NAME), and by what XNAT calls it then: copyxnat reads it by this."""
_LINK_COLUMNS: Final[dict[tuple[Kind, Kind], tuple[ColumnElement[Any], ColumnElement[Any]]]] = {
    (Kind.PROJECT, Kind.SUBJECT): (project.c.id, subject.c.project_id),
    (Kind.PROJECT, Kind.SESSION): (project.c.id, session.c.project_id),
    (Kind.SUBJECT, Kind.PROJECT): (subject.c.project_id, project.c.id),
    (Kind.SUBJECT, Kind.SESSION): (subject.c.id, session.c.subject_id),
    (Kind.SESSION, Kind.PROJECT): (session.c.project_id, project.c.id),
    (Kind.SESSION, Kind.SUBJECT): (session.c.subject_id, subject.c.id),
    (Kind.SESSION, Kind.SESSION): (session.c.subject_id, session.c.subject_id),
}
"""How rows of one kind and of another go together; sessions of two types by their subject."""


# -- what may be searched ----------------------------------------------------------------------------------------------


def list_elements(connection: Connection, principal: Principal) -> Rows:
    """The types that may be searched, and how many there are: of sessions those alone of which one may read any.

    xnatpy asks for the fields of each when it connects. A token that may not read finds none, and is no error.
    """
    rows = [
        _make_element_row("xnat:projectData", "Project", _count_rows(connection, projects.select_visible(principal))),
        _make_element_row("xnat:subjectData", "Subject", 0),
    ]
    try:
        rows[1] = _make_element_row(
            "xnat:subjectData", "Subject", _count_rows(connection, subjects.select_readable(principal))
        )
        query = experiments.select_readable(principal).with_only_columns(
            session.c.xsi_type, func.count().label("n"), maintain_column_froms=True
        )
        type_counts = connection.execute(query.group_by(session.c.xsi_type).order_by(session.c.xsi_type)).all()
    except AccessDenied:
        type_counts = []
    rows += [
        _make_element_row(type_count.xsi_type, _make_type_name(type_count.xsi_type), type_count.n)
        for type_count in type_counts
    ]
    return Rows(["ELEMENT_NAME", "SINGULAR", "PLURAL", "SECURED", "COUNT"], rows)


def _make_element_row(name: str, words: str, count: int) -> list[str]:
    return [name, words, f"{words}s", "true", str(count)]


def _make_type_name(kind: str) -> str:
    name = kind.removeprefix("xnat:").removesuffix("SessionData")
    return f"{name.upper() if name.islower() else name} Session"


def _count_rows(connection: Connection, query: Select[Any]) -> int:
    return int(connection.execute(query.with_only_columns(func.count(), maintain_column_froms=True)).scalar_one())


def list_fields(element: str) -> Rows | None:
    """The fields by which a type is searched; None where it is no type that there is."""
    kind = find_kind(element)
    if kind is None:
        return None
    names = ["FIELD_ID", "HEADER", "SUMMARY", "TYPE", "REQUIRES_VALUE", "DESC", "ELEMENT_NAME", "SRC"]
    rows = [
        [
            name,
            definition.words,
            f"{element}/{name}",
            find_field_type(kind, name).value,
            "false",
            definition.words,
            element,
            "0",
        ]
        for name, definition in FIELDS[kind].items()
    ]
    return Rows(names, rows)


# -- searching ---------------------------------------------------------------------------------------------------------


def search(connection: Connection, principal: Principal, bundle: Bundle) -> Rows:
    """The rows for which the criteria of a bundle hold. Usage `request_invalid` for what can't be searched.

    AccessDenied.
    """
    return _Search(principal, bundle).run(connection)


class _Search:
    """One search, by whom and of what."""

    def __init__(self, principal: Principal, bundle: Bundle) -> None:
        kind = find_kind(bundle.root)
        if kind is None:
            raise document_invalid_error(
                f"{bundle.root[:80]} can't be searched.", "GET /data/search/elements names what can be."
            )
        self._principal, self._bundle, self._kind = principal, bundle, kind
        self._root = bundle.root.lower()
        self._criteria = self._values = self._sets = 0

    def run(self, connection: Connection) -> Rows:
        columns = self._columns()
        query = self._rows(self._kind, self._root, with_scans=self._kind is Kind.SCAN)
        query = query.where(self._all(self._bundle.where))
        if self._kind is Kind.SCAN:
            of_root = func.lower(scan.c.xsi_type) == self._root
            query = query.where(scan.c.n.is_not(None), true() if self._root == _EVERY_SCAN else of_root)
        order = {
            Kind.PROJECT: (project.c.key,),
            Kind.SUBJECT: (subject.c.id,),
            Kind.SCAN: (session.c.id, scan.c.sort_key, scan.c.n),
        }
        return read_rows(connection, query.order_by(*order.get(self._kind, (session.c.id,))), columns)

    def _rows(self, kind: Kind, element: str, *, with_scans: bool = False) -> Select[Any]:
        """What the asker may read of a type."""
        if kind is Kind.PROJECT:
            return projects.select_visible(self._principal)
        if kind is Kind.SUBJECT:
            return subjects.select_readable(self._principal)
        return experiments.select_readable(self._principal, "" if kind is Kind.SCAN else element, with_scans=with_scans)

    # -- columns

    def _columns(self) -> list[Column]:
        """The columns of the answer, each header once: those that are asked for or else all, and what is in each."""
        requested = self._bundle.columns or [SearchColumn(self._bundle.root, name) for name in FIELDS[self._kind]]
        if len(requested) > MAX_COLUMNS:
            raise count_exceeded(RequestLimit.COLUMNS, too_many_error("columns", MAX_COLUMNS))
        columns_by_header: dict[str, Column] = {}
        for request in (*requested, *(SearchColumn(self._bundle.root, name) for name in _ALWAYS[self._kind])):
            header = self._header(request)
            if header not in columns_by_header:
                columns_by_header[header] = replace(self._column(request), name=header)
        return list(columns_by_header.values())

    def _header(self, request: SearchColumn) -> str:
        """The field's id in lower case, and before it the type, where it is not the rows' own."""
        element, name = request.element.lower(), request.field.lower()
        name = name.removeprefix(f"{element}/")
        if self._kind is Kind.PROJECT and request.field.rpartition("/")[2] == _TITLE:
            return _TITLE_HEADER
        return name if element == self._root else f"{element}_{name}".replace(":", "_").replace("/", "_")

    def _column(self, request: SearchColumn) -> Column:
        """A column of the rows; an empty one for a type or a field that nobody knows."""
        element, kind = request.element.lower(), find_kind(request.element)
        name = _strip_element(request.element, request.field)
        empty = Column(name, false(), lambda _: "")
        if kind is None:
            return empty
        field = find_field(self._principal, self._kind, element, name)
        if self._kind is not Kind.SCAN and (kind is Kind.SCAN or (field is not None and _is_scan_field(field))):
            raise document_invalid_error(
                f"{element}/{name[:80]} is a column of scans.",
                f"Search {element if kind is Kind.SCAN else _EVERY_SCAN}: rows of scans have their session's fields.",
            )
        unreachable = kind in (Kind.SESSION, Kind.SCAN) and kind is self._kind and not self._covers(element)
        if unreachable or (field is None and kind is not self._kind and name.upper() in FIELDS[kind]):
            raise document_invalid_error(
                f"{element}/{name[:80]} can't be a column of {self._bundle.root}.",
                f"Search {element}: rows of sessions have their subject's fields, too.",
            )
        if field is None:
            return empty
        condition = self._narrowed_to(kind, element)
        return (
            field.column
            if condition is None
            else replace(field.column, value=case((condition, field.column.value), else_=None))
        )

    def _covers(self, element: str) -> bool:
        """Whether rows may be of a type: it is theirs, or above theirs, or theirs is above it."""
        return element == self._root or bool({element, self._root} & {*experiments.ABSTRACT, _EVERY_SCAN})

    def _narrowed_to(self, kind: Kind, element: str) -> ColumnElement[bool] | None:
        """The condition of the rows that are of a type; None where all are, or none has one of its own."""
        if element == self._root or element in experiments.ABSTRACT or element == _EVERY_SCAN:
            return None
        if kind is Kind.SESSION and self._kind in (Kind.SESSION, Kind.SCAN):
            return func.lower(session.c.xsi_type) == element
        return func.lower(scan.c.xsi_type) == element if kind is Kind.SCAN and self._kind is Kind.SCAN else None

    # -- criteria

    def _all(self, criteria: Criteria) -> ColumnElement[bool]:
        """The condition of a set. None of nothing holds: so pyxnat asks for the subjects of a search without any."""
        self._sets += 1
        if self._sets > MAX_CRITERIA:
            raise count_exceeded(RequestLimit.CRITERIA, too_many_error("sets of criteria", MAX_CRITERIA))
        if criteria.method == "AND":
            return and_(true(), *(self._holds(member) for member in criteria.members))
        equal_values: dict[tuple[str, str], list[str]] = {}
        other_members: list[Criterion | Criteria] = []
        for member in criteria.members:
            if isinstance(member, Criterion) and member.comparison == "=":
                equal_values.setdefault((member.element, member.field), []).append(member.value.strip())
            else:
                other_members.append(member)
        equal_conditions = [self._condition(element, name, values) for (element, name), values in equal_values.items()]
        return or_(false(), *equal_conditions, *(self._holds(member) for member in other_members))

    def _holds(self, member: Criterion | Criteria) -> ColumnElement[bool]:
        if isinstance(member, Criteria):
            return self._all(member)
        return self._condition(member.element, member.field, member)

    def _condition(self, element: str, name: str, comparison: Criterion | Sequence[str]) -> ColumnElement[bool]:
        """One comparison as a condition of the rows; what is of another kind holds for any that goes with a row."""
        self._count(1)
        element, kind, name = element.lower(), find_kind(element), _strip_element(element, name)
        own_kind = Kind.SESSION if kind is Kind.SCAN else kind
        field = None if own_kind is None else find_field(self._principal, own_kind, element, name)
        if kind is None or own_kind is None or field is None:
            raise document_invalid_error(
                f"{element[:80]}/{name[:80]} is no field that can be searched.",
                "GET /data/search/elements names types, and below each its fields.",
            )
        self._values += len(comparison) if isinstance(comparison, Sequence) else comparison.value.count(",") + 1
        if self._values > MAX_ALL_VALUES:
            raise count_exceeded(RequestLimit.VALUES, too_many_error("values", MAX_ALL_VALUES))
        condition = (
            make_condition(field, comparison.comparison, comparison.value)
            if isinstance(comparison, Criterion)
            else make_any_condition(field, comparison)
        )
        if kind is Kind.SCAN and element != _EVERY_SCAN:
            condition = and_(condition, func.lower(scan.c.xsi_type) == element)
        of_scans = kind is Kind.SCAN or _is_scan_field(field)
        rows = Kind.SESSION if self._kind is Kind.SCAN else self._kind
        is_direct = kind in (self._kind, rows) and (self._kind is Kind.SCAN or not of_scans)
        if is_direct and (self._covers(element) or kind is not self._kind):
            type_condition = None if kind is Kind.SCAN else self._narrowed_to(kind, element)
            return condition if type_condition is None else and_(condition, type_condition)
        self._count(OTHER_KIND_WEIGHT - 1)
        row_key, other_key = _LINK_COLUMNS.get((rows, own_kind), (project.c.id, project.c.id))
        if own_kind is rows and of_scans and (kind is Kind.SCAN or self._covers(element)):
            row_key = other_key = session.c.id
        query = self._rows(kind, element, with_scans=of_scans).with_only_columns(other_key, maintain_column_froms=True)
        return row_key.in_(check_joined(query.where(condition)).correlate(None))

    def _count(self, weight: int) -> None:
        self._criteria += weight
        if self._criteria > MAX_CRITERIA:
            many = f"The search has more than {MAX_CRITERIA} criteria; those of another type count {OTHER_KIND_WEIGHT}."
            raise count_exceeded(RequestLimit.CRITERIA, document_invalid_error(many, "Search in parts."))


def _strip_element(element: str, name: str) -> str:
    """A field without the type that xnatpy writes before it."""
    before = f"{element}/".lower()
    return name[len(before) :] if name.lower().startswith(before) else name


def _is_scan_field(field: Field) -> bool:
    return field.column.name.startswith(experiments.SCAN_PREFIX)
