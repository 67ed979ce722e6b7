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
from scandock.web.xnat.services.columns import MAX_COLUMNS, Column, Rows, joined, read, too_many
from scandock.web.xnat.services.search_bundle import Bundle, Criteria, Criterion, SearchRequest
from scandock.web.xnat.services.search_comparing import any_of, compare
from scandock.web.xnat.services.search_fields import FIELDS, Field, Kind, field_of, kind_of, type_of
from scandock.web.xnat.services.xml_reading import off

MAX_CRITERIA: Final = request_limits.SEARCH_CRITERIA
"""Comparisons of one search: each may look at every row. Those of a field with one value or another count once."""
APART: Final = 10
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
_EVERY_SCAN: Final = experiments.SCANS.removesuffix("/")
_TITLE: Final = "name"
_TITLED: Final = "name_csv"
"""A project's title, by its path (its id is NAME), and by what XNAT calls it then: copyxnat reads it by this."""
_LINKS: Final[dict[tuple[Kind, Kind], tuple[ColumnElement[Any], ColumnElement[Any]]]] = {
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


def elements(connection: Connection, principal: Principal) -> Rows:
    """The types that may be searched, and how many there are: of sessions those alone of which one may read any.

    xnatpy asks for the fields of each when it connects. A token that may not read finds none, and is no error.
    """
    rows = [
        _element("xnat:projectData", "Project", _counted(connection, projects.visible(principal))),
        _element("xnat:subjectData", "Subject", 0),
    ]
    try:
        rows[1] = _element("xnat:subjectData", "Subject", _counted(connection, subjects.readable(principal)))
        query = experiments.readable(principal).with_only_columns(
            session.c.xsi_type, func.count().label("n"), maintain_column_froms=True
        )
        found = connection.execute(query.group_by(session.c.xsi_type).order_by(session.c.xsi_type)).all()
    except AccessDenied:
        found = []
    rows += [_element(one.xsi_type, _words(one.xsi_type), one.n) for one in found]
    return Rows(["ELEMENT_NAME", "SINGULAR", "PLURAL", "SECURED", "COUNT"], rows)


def _element(name: str, words: str, count: int) -> list[str]:
    return [name, words, f"{words}s", "true", str(count)]


def _words(kind: str) -> str:
    name = kind.removeprefix("xnat:").removesuffix("SessionData")
    return f"{name.upper() if name.islower() else name} Session"


def _counted(connection: Connection, query: Select[Any]) -> int:
    return int(connection.execute(query.with_only_columns(func.count(), maintain_column_froms=True)).scalar_one())


def fields(element: str) -> Rows | None:
    """The fields by which a type is searched; None where it is no type that there is."""
    kind = kind_of(element)
    if kind is None:
        return None
    names = ["FIELD_ID", "HEADER", "SUMMARY", "TYPE", "REQUIRES_VALUE", "DESC", "ELEMENT_NAME", "SRC"]
    rows = [
        [name, one.words, f"{element}/{name}", type_of(kind, name).value, "false", one.words, element, "0"]
        for name, one in FIELDS[kind].items()
    ]
    return Rows(names, rows)


# -- searching ---------------------------------------------------------------------------------------------------------


def search(connection: Connection, principal: Principal, bundle: Bundle) -> Rows:
    """The rows for which the criteria of a bundle hold. Usage `request_invalid` for what can't be searched; Denied."""
    return _Search(principal, bundle).run(connection)


class _Search:
    """One search, by whom and of what."""

    def __init__(self, principal: Principal, bundle: Bundle) -> None:
        kind = kind_of(bundle.root)
        if kind is None:
            raise off(f"{bundle.root[:80]} can't be searched.", "GET /data/search/elements names what can be.")
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
        by = {
            Kind.PROJECT: (project.c.key,),
            Kind.SUBJECT: (subject.c.id,),
            Kind.SCAN: (session.c.id, scan.c.sort_key, scan.c.n),
        }
        return read(connection, query.order_by(*by.get(self._kind, (session.c.id,))), columns)

    def _rows(self, kind: Kind, element: str, *, with_scans: bool = False) -> Select[Any]:
        """What the asker may read of a type."""
        if kind is Kind.PROJECT:
            return projects.visible(self._principal)
        if kind is Kind.SUBJECT:
            return subjects.readable(self._principal)
        return experiments.readable(self._principal, "" if kind is Kind.SCAN else element, with_scans=with_scans)

    # -- columns

    def _columns(self) -> list[Column]:
        """The columns of the answer, each header once: those that are asked for or else all, and what is in each."""
        asked = self._bundle.columns or [SearchRequest(self._bundle.root, name) for name in FIELDS[self._kind]]
        if len(asked) > MAX_COLUMNS:
            raise count_exceeded(RequestLimit.COLUMNS, too_many("columns", MAX_COLUMNS))
        found: dict[str, Column] = {}
        for one in (*asked, *(SearchRequest(self._bundle.root, name) for name in _ALWAYS[self._kind])):
            header = self._header(one)
            if header not in found:
                found[header] = replace(self._column(one), name=header)
        return list(found.values())

    def _header(self, wanted: SearchRequest) -> str:
        """The field's id in lower case, and before it the type, where it is not the rows' own."""
        element, name = wanted.element.lower(), wanted.field.lower()
        name = name.removeprefix(f"{element}/")
        if self._kind is Kind.PROJECT and wanted.field.rpartition("/")[2] == _TITLE:
            return _TITLED
        return name if element == self._root else f"{element}_{name}".replace(":", "_").replace("/", "_")

    def _column(self, wanted: SearchRequest) -> Column:
        """A column of the rows; an empty one for a type or a field that nobody knows."""
        element, kind = wanted.element.lower(), kind_of(wanted.element)
        name = _after(wanted.element, wanted.field)
        empty = Column(name, false(), lambda _: "")
        if kind is None:
            return empty
        field = field_of(self._principal, self._kind, element, name)
        if self._kind is not Kind.SCAN and (kind is Kind.SCAN or (field is not None and _of_scans(field))):
            raise off(
                f"{element}/{name[:80]} is a column of scans.",
                f"Search {element if kind is Kind.SCAN else _EVERY_SCAN}: rows of scans have their session's fields.",
            )
        apart = kind in (Kind.SESSION, Kind.SCAN) and kind is self._kind and not self._covers(element)
        if apart or (field is None and kind is not self._kind and name.upper() in FIELDS[kind]):
            raise off(
                f"{element}/{name[:80]} can't be a column of {self._bundle.root}.",
                f"Search {element}: rows of sessions have their subject's fields, too.",
            )
        if field is None:
            return empty
        narrow = self._narrowed_to(kind, element)
        return (
            field.column
            if narrow is None
            else replace(field.column, value=case((narrow, field.column.value), else_=None))
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
            raise count_exceeded(RequestLimit.CRITERIA, too_many("sets of criteria", MAX_CRITERIA))
        if criteria.method == "AND":
            return and_(true(), *(self._holds(one) for one in criteria.members))
        same: dict[tuple[str, str], list[str]] = {}
        rest: list[Criterion | Criteria] = []
        for one in criteria.members:
            if isinstance(one, Criterion) and one.comparison == "=":
                same.setdefault((one.element, one.field), []).append(one.value.strip())
            else:
                rest.append(one)
        known = [self._condition(element, name, values) for (element, name), values in same.items()]
        return or_(false(), *known, *(self._holds(one) for one in rest))

    def _holds(self, one: Criterion | Criteria) -> ColumnElement[bool]:
        if isinstance(one, Criteria):
            return self._all(one)
        return self._condition(one.element, one.field, one)

    def _condition(self, element: str, name: str, said: Criterion | Sequence[str]) -> ColumnElement[bool]:
        """One comparison as a condition of the rows; what is of another kind holds for any that goes with a row."""
        self._count(1)
        element, kind, name = element.lower(), kind_of(element), _after(element, name)
        own = Kind.SESSION if kind is Kind.SCAN else kind
        field = None if own is None else field_of(self._principal, own, element, name)
        if kind is None or own is None or field is None:
            raise off(
                f"{element[:80]}/{name[:80]} is no field that can be searched.",
                "GET /data/search/elements names types, and below each its fields.",
            )
        self._values += len(said) if isinstance(said, Sequence) else said.value.count(",") + 1
        if self._values > MAX_ALL_VALUES:
            raise count_exceeded(RequestLimit.VALUES, too_many("values", MAX_ALL_VALUES))
        holds = compare(field, said.comparison, said.value) if isinstance(said, Criterion) else any_of(field, said)
        if kind is Kind.SCAN and element != _EVERY_SCAN:
            holds = and_(holds, func.lower(scan.c.xsi_type) == element)
        of_scans = kind is Kind.SCAN or _of_scans(field)
        rows = Kind.SESSION if self._kind is Kind.SCAN else self._kind
        direct = kind in (self._kind, rows) and (self._kind is Kind.SCAN or not of_scans)
        if direct and (self._covers(element) or kind is not self._kind):
            narrow = None if kind is Kind.SCAN else self._narrowed_to(kind, element)
            return holds if narrow is None else and_(holds, narrow)
        self._count(APART - 1)
        mine, theirs = _LINKS.get((rows, own), (project.c.id, project.c.id))
        if own is rows and of_scans and (kind is Kind.SCAN or self._covers(element)):
            mine = theirs = session.c.id
        query = self._rows(kind, element, with_scans=of_scans).with_only_columns(theirs, maintain_column_froms=True)
        return mine.in_(joined(query.where(holds)).correlate(None))

    def _count(self, more: int) -> None:
        self._criteria += more
        if self._criteria > MAX_CRITERIA:
            many = f"The search has more than {MAX_CRITERIA} criteria; those of another type count {APART}."
            raise count_exceeded(RequestLimit.CRITERIA, off(many, "Search in parts."))


def _after(element: str, name: str) -> str:
    """A field without the type that xnatpy writes before it."""
    before = f"{element}/".lower()
    return name[len(before) :] if name.lower().startswith(before) else name


def _of_scans(field: Field) -> bool:
    return field.column.name.startswith(experiments.SCANS)
