"""Listings as XNAT's clients ask for them: by names of columns, those that are never left out, and filters.

A listing is one statement that selects what was asked for alone. A column that nobody knows is no error: it is empty
(xnat-clients.md 1, rule 3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, Text, and_, cast, func, literal, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from scandock.model import request_limits
from scandock.model.errors import Usage
from scandock.model.limit_counts import Asked, over

DEFAULT: Final = "DEFAULT"
MAX_NAME: Final = request_limits.COLUMN_NAME
"""Characters of a column's name; the longest path into XNAT's documents that a listing knows has 70."""
MAX_PATTERN: Final = request_limits.PATTERN
"""Characters of a text with `*` or `%` in it that values are compared with."""
_TYPES: Final = re.compile(r"\[[^\[\]]*\]")
_PATH: Final = re.compile(r"x(?:nat|dat):\w+/.+", re.IGNORECASE)

MAX_COLUMNS: Final = request_limits.LISTING_COLUMNS
"""Columns that one request may name: databases give back 1,600, and each is a text in every row."""
MAX_VALUES: Final = request_limits.LISTING_VALUES
"""Values that all filters of one request may name."""
MAX_CONDITIONS: Final = request_limits.LISTING_CONDITIONS
"""Filters, and patterns in them: each looks at every row, and SQLite takes conditions 1,000 deep."""


def split(text: str, what: str, most: int) -> list[str]:
    """What stands between commas. Usage `request_invalid` for more than `most` of `what`."""
    if text.count(",") >= most:
        raise over(Asked.COLUMNS if what == "columns" else Asked.VALUES, too_many(what, most))
    return text.split(",")


def too_many(what: str, most: int) -> Usage:
    """The error of a request that names more than can be asked at once."""
    return Usage("request_invalid", f"The request names more than {most:,} {what}.", "Ask for less at once.")


class attribute(FunctionElement[str]):  # noqa: N801  reads as a function in queries
    """A member of a text that holds a JSON object, as text: `attribute(session.c.attributes, "date")`."""

    type = Text()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        super().__init__(column, literal(name))


@compiles(attribute)
def _compile(element: Any, compiler: Any, **more: Any) -> str:  # noqa: ANN401  SQLAlchemy's own types
    column, name = (compiler.process(one, **more) for one in element.clauses)
    document = f"CAST({column} AS JSON)" if compiler.dialect.name == "postgresql" else column
    return f"({document} ->> {name})"


class padded(FunctionElement[str]):  # noqa: N801  reads as a function in queries
    """A number in five digits or more behind a prefix, made by the database: `XNAT_E00001` ten thousand times."""

    type = Text()
    inherit_cache = True

    def __init__(self, prefix: str, number: ColumnElement[Any]) -> None:
        super().__init__(literal(prefix), number)


@compiles(padded)
def _compile_padded(element: Any, compiler: Any, **more: Any) -> str:  # noqa: ANN401  SQLAlchemy's own types
    prefix, number = (compiler.process(one, **more) for one in element.clauses)
    if compiler.dialect.name == "postgresql":
        return f"({prefix} || LPAD({number}::text, GREATEST(5, LENGTH({number}::text)), '0'))"
    return f"printf('%s%05d', {prefix}, {number})"


def moment(value: int | None) -> str:
    """Unix milliseconds as XNAT writes a time: `2026-11-24 05:44:32.5`, UTC."""
    if value is None:
        return ""
    said = datetime.fromtimestamp(value / 1000, UTC)
    return f"{said:%Y-%m-%d %H:%M:%S}.{said.microsecond // 100_000}"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in answers, where its values come from, and how they are written."""

    name: str
    value: ColumnElement[Any]
    text: Callable[[Any], str] | None = None
    """How a value is written that is no text in the database."""
    sought: ColumnElement[Any] | None = None
    """What a filter compares, where that is not the value itself."""
    parse: Callable[[str], object] | None = None
    """What a filter's text is for `sought`; None from it: nothing can be equal to that."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A kind of listing: its columns, those of a request that names none, and those in every answer."""

    columns: Mapping[str, Column]
    """By lower-case name."""
    default: Sequence[str]
    always: Sequence[str]
    deeper: Mapping[str, str] = field(default_factory=dict)
    """Where a path leads beyond the row's own type -> what stands before the name: `scans/scan/` of sessions, or
    `xnat:subjectdata/`, which is another type altogether."""

    def find(self, name: str) -> Column | None:
        """The column that a name or a path into XNAT's documents means, whatever its case.

        `demographics[@xsi:type=xnat:demographicData]/gender`: no element here can be of two types, so none is read.
        """
        if len(name) > MAX_NAME:
            return None
        low = _TYPES.sub("", name.strip().lower())
        if low in self.columns:
            return self.columns[low]
        kind, _, rest = low.partition("/")
        if not kind.startswith(("xnat:", "xdat:")):
            return None
        for path, before in self.deeper.items():
            if rest.startswith(path) or low.startswith(path):
                return self.columns.get(before + (rest if rest.startswith(path) else low)[len(path) :])
        return self.columns.get(rest)

    def chosen(self, asked: str | None) -> list[Column]:
        """The columns of an answer, each once: what was asked for in its order, then what is never left out.

        Usage `request_invalid` for more than can be asked for, and for a name that no column can have: each row of the
        answer would bear it.
        """
        names: list[str] = []
        for name in split(asked or DEFAULT, "columns", MAX_COLUMNS):
            names += self.default if name.strip().upper() == DEFAULT else [name.strip()]
        found: dict[str, Column] = {}
        for name in (*names, *self.always):
            if not name:
                continue
            check_name(name)
            column = self.find(name)
            if column is None:
                found.setdefault(name.lower(), Column(name, literal("")))
            else:
                found.setdefault(column.name.lower(), column)
        return list(found.values())

    def narrowed(self, query: Select[Any], filters: Iterable[tuple[str, str]]) -> Select[Any]:
        """Rows whose columns are what a request says: several values with commas between, `*` or `%` for anything.

        A path that has no place here (`xnat:imageSessionData/sharing/share/project`) holds for no row; other unknown
        names may be words of another kind, and are passed over. Usage `request_invalid` for more than can be asked.
        """
        values = conditions = 0
        for name, said in filters:
            column = self.find(name)
            if column is not None and said:
                named = list(dict.fromkeys(one.strip() for one in split(said, "values", MAX_VALUES)))
                patterns = [] if column.parse is not None else [one for one in named if "*" in one or "%" in one]
                values, conditions = values + len(named), conditions + 1 + len(patterns)
                if values > MAX_VALUES:
                    raise over(Asked.VALUES, too_many("values", MAX_VALUES))
                if conditions > MAX_CONDITIONS:
                    raise over(Asked.CONDITIONS, too_many("filters and patterns", MAX_CONDITIONS))
                query = query.where(_is(column, named, patterns))
            elif column is None and said and _PATH.fullmatch(name):
                query = query.where(literal(False))
        return query


def _is(column: Column, named: Sequence[str], patterns: Sequence[str]) -> ColumnElement[bool]:
    """Whether a column is one of some values; `patterns` are those of them that are no whole ones."""
    sought = column.value if column.sought is None else column.sought
    if column.parse is not None:
        parsed = {value for one in named if (value := column.parse(one)) is not None}
        return sought.in_(sorted(parsed, key=str)) if parsed else literal(False)
    text, apart = func.lower(cast(sought, Text)), set(patterns)
    whole = [one.lower() for one in named if one not in apart]
    found = [and_(sought.is_not(None), text.in_(whole))] if whole else []
    return or_(*found, *(like(cast(sought, Text), one, column.name) for one in patterns))


def check_name(name: str) -> None:
    """Raise Usage `request_invalid` for what is too long to be a column's name."""
    if len(name) > MAX_NAME:
        long = f"A column is named by {len(name)} characters."
        raise over(Asked.NAME, Usage("request_invalid", long, f"At most {MAX_NAME} are a name."))


def like(value: ColumnElement[str], said: str, name: str) -> ColumnElement[bool]:
    """Whether a value is a text in which `*` or `%` stand for anything, in any case; `name` is what it is called.

    Usage `request_invalid` for a longer text than is compared.
    """
    if len(said) > MAX_PATTERN:
        long = f"{name} is compared with {len(said):,} characters."
        raise over(Asked.PATTERN, Usage("request_invalid", long, f"At most {MAX_PATTERN:,} are a pattern."))
    pattern = said.lower().replace("\\", "\\\\").replace("_", "\\_").replace("*", "%")
    return func.lower(value).like(pattern, escape="\\")


@dataclass(frozen=True, slots=True)
class Rows:
    """A listing's answer: names of columns, and rows of as many texts."""

    names: list[str]
    rows: Sequence[Sequence[str | None]]
    """None is an empty text."""
    cut: bool = False
    """Whether these are the page that was asked for already."""


def read(connection: Connection, query: Select[Any], columns: Sequence[Column]) -> Rows:
    """Run a query for some columns, in one statement."""
    found: Any = connection.execute(
        query.with_only_columns(*(one.value for one in columns), maintain_column_froms=True)
    ).all()
    names = [one.name for one in columns]
    writers = [(at, one.text) for at, one in enumerate(columns) if one.text is not None]
    if not writers:
        return Rows(names, found)
    rows = [list(row) for row in found]
    for at, write in writers:
        for row in rows:
            row[at] = write(row[at])
    return Rows(names, rows)


def by_name(columns: Iterable[Column]) -> dict[str, Column]:
    """Columns by their lower-case names."""
    return {one.name.lower(): one for one in columns}
