"""Listings as XNAT's clients ask for them: by names of columns, those that are never left out, and filters.

A listing is one statement that selects what was asked for alone. A column that nobody knows is no error: it is empty
(xnat-clients.md 1, rule 3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Float, Integer, Select, Text, and_, case, cast, func, literal, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from scandock.model import request_limits
from scandock.model.errors import Usage
from scandock.model.limit_counts import RequestLimit, count_exceeded
from scandock.model.request_errors import RequestInvalid
from scandock.rules.field_types import FieldType, format_float, is_float, type_of_field
from scandock.web.xnat.services.days import Stretch, days_of

DEFAULT: Final = "DEFAULT"
MAX_NAME: Final = request_limits.COLUMN_NAME
"""Characters of a column's name; the longest path into XNAT's documents that a listing knows has 70."""
MAX_PATTERN: Final = request_limits.PATTERN
"""Characters of a text with `*` or `%` in it that values are compared with."""
_TYPES: Final = re.compile(r"\[[^\[\]]*\]")
_PATH: Final = re.compile(r"x(?:nat|dat):\w+/.+", re.IGNORECASE)
_OWNER: Final = re.compile(r"xnat:\w+data/|subject_")
"""What stands before a column's name where it is of another thing than the row."""
NUMBER: Final = r"^[+-]?[0-9]{1,15}(\.[0-9]{0,15})?$"
"""What databases make a number of."""
_NUMBERS: Final = (FieldType.INTEGER, FieldType.FLOAT)
_RANGE: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{0,15})?)-([0-9]{1,15}(?:\.[0-9]{0,15})?)")

MAX_COLUMNS: Final = request_limits.LISTING_COLUMNS
"""Columns that one request may name: databases give back 1,600, and each is a text in every row."""
MAX_VALUES: Final = request_limits.LISTING_VALUES
"""Values that all filters of one request may name."""
MAX_CONDITIONS: Final = request_limits.LISTING_CONDITIONS
"""Filters, and patterns in them: each looks at every row, and SQLite takes conditions 1,000 deep."""


def split(text: str, what: str, most: int) -> list[str]:
    """What stands between commas. Usage `request_invalid` for more than `most` of `what`."""
    if text.count(",") >= most:
        raise count_exceeded(RequestLimit.COLUMNS if what == "columns" else RequestLimit.VALUES, too_many(what, most))
    return text.split(",")


def too_many(what: str, most: int) -> Usage:
    """The error of a request that names more than can be asked at once."""
    return RequestInvalid(f"The request names more than {most:,} {what}.", "Ask for less at once.")


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


BLANK: Final = "\0"
"""Stands in a URI for what the database puts there."""


def spelled(uri: str, *columns: ColumnElement[str]) -> ColumnElement[str]:
    """A URI with a column's value in each of its blanks, put together by the database."""
    first, *pieces = uri.split(BLANK)
    whole: ColumnElement[str] = literal(first)
    for column, piece in zip(columns, pieces, strict=True):
        whole = whole + column + literal(piece) if piece else whole + column
    return whole


def moment(value: int | None) -> str:
    """Unix milliseconds as XNAT writes a time: `2026-11-24 05:44:32.5`, UTC."""
    if value is None:
        return ""
    said = datetime.fromtimestamp(value / 1000, UTC)
    return f"{said:%Y-%m-%d %H:%M:%S}.{said.microsecond // 100_000}"


def count(value: int | None) -> str:
    """A number as a text; empty where there is none."""
    return "" if value is None else str(value)


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
    holds: Callable[[Sequence[str]], ColumnElement[bool]] | None = None
    """Whether a row is of one of a filter's values, where it may have several of its own."""
    known: str = ""
    """The name by which its listing knows it, where it is called otherwise in an answer."""

    @property
    def key(self) -> str:
        """The name by which its listing knows it."""
        return self.known or self.name

    def called(self, name: str) -> Column:
        """The same column by another name."""
        return self if name == self.name else replace(self, name=name, known=self.key)


_EMPTY: Final = literal("")


def headers(
    asked: str | None, default: Sequence[str], always: Sequence[str], canonical: Callable[[str], str]
) -> list[tuple[str, str]]:
    """The names of an answer's columns, each with one of those that were asked for, whose values it has.

    First what was asked for in its order, by the name that XNAT has for it (`canonical`; empty where none is known),
    and what is never left out. Then the same by the names that were asked for, where these are others, paths also in
    lower case: clients read one or another. Usage `request_invalid` for more than can be asked for, and for a name
    that no column can have: each row of the answer would bear it.
    """
    names: list[str] = []
    for name in split(asked or DEFAULT, "columns", MAX_COLUMNS):
        names += default if name.strip().upper() == DEFAULT else [name.strip()]
    names = [name for name in dict.fromkeys(names) if name]
    for name in names:
        check_name(name)
    found: dict[str, str] = {}
    for name in (*names, *always):
        found.setdefault(canonical(name) or name, name)
    for name in names:
        if "/" in name:
            found.setdefault(name.lower(), name)
        found.setdefault(name, name)
    return list(found.items())


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
    own: str = ""
    """What stands before the names of a row's own columns in listings of other things: `subject_` of subjects."""

    def find(self, name: str) -> Column | None:
        """The column that a name or a path into XNAT's documents means, whatever its case.

        `demographics[@xsi:type=xnat:demographicData]/gender`: no element here can be of two types, so none is read.
        """
        if len(name) > MAX_NAME:
            return None
        low = without_types(name.strip().lower())
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
        """The columns of an answer, as `headers` calls them; one that nobody knows is empty."""
        found_by: dict[str, Column | None] = {}

        def canonical(name: str) -> str:
            column = found_by[name] = found_by[name] if name in found_by else self.find(name)
            return "" if column is None else column.name

        found = []
        for header, name in headers(asked, self.default, self.always, canonical):
            column = found_by[name]
            found.append(Column(header, _EMPTY) if column is None else self._written(column).called(header))
        return found

    def _written(self, column: Column) -> Column:
        """A column as listings write its values."""
        owner, _, below = column.key.lower().rpartition("data/")
        name = below if owner else f"{self.own}{below}"
        return replace(column, text=format_float) if column.text is None and is_float(name) else column

    def narrowed(self, query: Select[Any], filters: Iterable[tuple[str, str]]) -> Select[Any]:
        """Rows whose columns are what a request says: several values with commas between, `*` or `%` for anything.

        Days may come in several forms, and as two with `-` between; numbers so too. What is no date is none of a date.

        A path that has no place here (`xnat:imageSessionData/sharing/share/project`) holds for no row; other unknown
        names may be words of another kind, and are passed over. Usage `request_invalid` for more than can be asked.
        """
        values = conditions = 0
        for name, said in filters:
            column = self.find(name)
            if column is not None and said:
                named = list(dict.fromkeys(one.strip() for one in split(said, "values", MAX_VALUES)))
                own = [] if column.parse is not None else [one for one in named if _is_condition(column, one)]
                values, conditions = values + len(named), conditions + 1 + len(own)
                if values > MAX_VALUES:
                    raise count_exceeded(RequestLimit.VALUES, too_many("values", MAX_VALUES))
                if conditions > MAX_CONDITIONS:
                    raise count_exceeded(RequestLimit.CONDITIONS, too_many("filters and patterns", MAX_CONDITIONS))
                query = query.where(_is(column, name, named, own))
            elif column is None and said and _PATH.fullmatch(name):
                query = query.where(literal(False))
        return query


def type_of_column(column: Column) -> FieldType:
    """What the values of a column are."""
    return type_of_field(_OWNER.sub("", column.key.lower(), count=1))


def _is_condition(column: Column, said: str) -> bool:
    """Whether a filter's value is a comparison of its own, not one of those that values are looked for among."""
    return _is_comparison(type_of_column(column), said)


def _is_comparison(kind: FieldType, said: str) -> bool:
    if kind in (FieldType.DATE, FieldType.MOMENT):
        return bool(said)
    return "*" in said or "%" in said or (kind in _NUMBERS and _RANGE.fullmatch(said) is not None)


def conditions_of(filters: Iterable[tuple[str, str]]) -> list[tuple[str, Callable[[str], bool]]]:
    """Filters of a listing whose rows are there already, each with whether a row's text is one of its values.

    They hold for what `Listing.narrowed` lets through, and the same is too much. Usage `request_invalid`.
    """
    found: list[tuple[str, Callable[[str], bool]]] = []
    values = conditions = 0
    for name, said in filters:
        named = list(dict.fromkeys(one.strip() for one in split(said, "values", MAX_VALUES)))
        kind = type_of_field(_OWNER.sub("", without_types(name.lower()), count=1))
        own = [one for one in named if _is_comparison(kind, one)]
        values, conditions = values + len(named), conditions + 1 + len(own)
        if values > MAX_VALUES:
            raise count_exceeded(RequestLimit.VALUES, too_many("values", MAX_VALUES))
        if conditions > MAX_CONDITIONS:
            raise count_exceeded(RequestLimit.CONDITIONS, too_many("filters and patterns", MAX_CONDITIONS))
        whole = frozenset(one.lower() for one in named) - {one.lower() for one in own}
        numbers = {float(one) for one in whole if kind in _NUMBERS and re.match(NUMBER, one)}
        found.append((name, partial(_is_text_of, kind, whole, numbers, [_comparison(kind, one, name) for one in own])))
    return found


def _is_text_of(
    kind: FieldType, whole: frozenset[str], numbers: set[float], own: Sequence[Callable[[str], bool]], text: str
) -> bool:
    """Whether a row's text is one of a filter's values, is a number of them, or fits a comparison of its own."""
    if text.lower() in whole or any(fits(text) for fits in own):
        return True
    return kind in _NUMBERS and re.match(NUMBER, text) is not None and float(text) in numbers


def _comparison(kind: FieldType, said: str, name: str) -> Callable[[str], bool]:
    """What a value of a filter says that is no whole value: days, numbers from one to another, or a pattern."""
    if kind is FieldType.DATE and said.strip("*%"):
        days = _days(said, name)
        return lambda text: days.first_day <= text <= days.last_day
    between = _RANGE.fullmatch(said) if kind in _NUMBERS else None
    if between is not None:
        first, last = float(between[1]), float(between[2])
        return lambda text: re.match(NUMBER, text) is not None and first <= float(text) <= last
    check_pattern(said, name)
    first_piece, *pieces = said.lower().replace("%", "*").split("*")
    return partial(_fits, first_piece, pieces)


def _fits(first: str, pieces: Sequence[str], text: str) -> bool:
    """Whether a text begins with `first`, has the pieces behind it in their order, and ends with the last of them."""
    low = text.lower()
    if not text or not low.startswith(first):
        return False
    at = len(first)
    for piece in pieces[:-1]:
        found = low.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return low.endswith(pieces[-1]) and len(low) - len(pieces[-1]) >= at


def _is(column: Column, name: str, named: Sequence[str], own: Sequence[str]) -> ColumnElement[bool]:
    """Whether a column is one of some values; `own` are those that are comparisons, as patterns are."""
    sought = column.value if column.sought is None else column.sought
    if column.holds is not None and not own:
        return column.holds(named)
    if column.parse is not None:
        parsed = {value for one in named if (value := column.parse(one)) is not None}
        return sought.in_(sorted(parsed, key=str)) if parsed else literal(False)
    kind, text, apart = type_of_column(column), func.lower(cast(sought, Text)), set(own)
    whole = [one.lower() for one in named if one not in apart]
    if kind in (FieldType.DATE, FieldType.MOMENT):
        return or_(*(_on(sought, kind, one, name) for one in own)) if own else literal(True)
    found = [and_(sought.is_not(None), text.in_(whole))] if whole else []
    if kind in _NUMBERS:
        numbers = [float(one) for one in whole if re.match(NUMBER, one)]
        found += [number_of(sought).in_(numbers)] if numbers else []
        ranges = [two for one in own if (two := _RANGE.fullmatch(one))]
        found += [number_of(sought).between(float(two[1]), float(two[2])) for two in ranges]
        apart -= {two[0] for two in ranges}
    return or_(*found, *(like(cast(sought, Text), one, name) for one in own if one in apart))


def _on(sought: ColumnElement[Any], kind: FieldType, said: str, name: str) -> ColumnElement[bool]:
    """Whether a date or a moment is of the days that a filter says. Usage `request_invalid` for what is no date."""
    if not said.strip("*%"):
        return and_(sought.is_not(None), cast(sought, Text) != "")
    days = _days(said, name)
    if kind is FieldType.MOMENT:
        return within(sought, days)
    return cast(sought, Text).between(days.first_day, days.last_day)


def _days(said: str, name: str) -> Stretch:
    """The days that a filter says. Usage `request_invalid` for what is no date."""
    days = days_of(said)
    if days is None:
        what = f"{name[:40]} is compared with {said[:40]!r}."
        remedy = "Right is a day, as 2026-11-24 or 11/24/2026, or two with - between."
        raise RequestInvalid(what, remedy)
    return days


def within(moment: ColumnElement[Any], stretch: Stretch) -> ColumnElement[bool]:
    """Whether a moment, in Unix milliseconds, is of a stretch of time."""
    return and_(moment >= stretch.begin, moment < stretch.end)


def number_of(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """A value's number, NULL where it is none: not all that is said of an age is one."""
    if isinstance(value.type, Integer):
        return value
    text = func.coalesce(cast(value, Text), "")
    return case((text.regexp_match(NUMBER), cast(text, Float)), else_=None)


def without_types(path: str) -> str:
    """A path without what it says of its elements' types in brackets."""
    return _TYPES.sub("", path)


def check_name(name: str) -> None:
    """Raise Usage `request_invalid` for what is too long to be a column's name."""
    if len(name) > MAX_NAME:
        long = f"A column is named by {len(name)} characters."
        raise count_exceeded(RequestLimit.NAME, RequestInvalid(long, f"At most {MAX_NAME} are a name."))


def like(value: ColumnElement[str], said: str, name: str) -> ColumnElement[bool]:
    """Whether a value is a text in which `*` or `%` stand for anything, in any case; `name` is what it is called.

    Usage `request_invalid` for a longer text than is compared.
    """
    check_pattern(said, name)
    pattern = said.lower().replace("\\", "\\\\").replace("_", "\\_").replace("*", "%")
    return func.lower(value).like(pattern, escape="\\")


def check_pattern(said: str, name: str) -> None:
    """Raise Usage `request_invalid` for a longer text than is compared."""
    if len(said) > MAX_PATTERN:
        long = f"{name} is compared with {len(said):,} characters."
        raise count_exceeded(RequestLimit.PATTERN, RequestInvalid(long, f"At most {MAX_PATTERN:,} are a pattern."))


@dataclass(frozen=True, slots=True)
class Rows:
    """A listing's answer: names of columns, and rows of as many texts."""

    names: list[str]
    rows: Sequence[Sequence[str | None]]
    """None is an empty text."""
    cut: bool = False
    """Whether these are the page that was asked for already."""


def together(first: Rows, second: Rows) -> Rows:
    """Two listings as one: the rows of both, empty in columns that the other alone has."""
    names = list(dict.fromkeys([*first.names, *second.names]))
    rows = [
        [row[places[name]] if name in places else "" for name in names]
        for one in (first, second)
        for places in [{name: n for n, name in enumerate(one.names)}]
        for row in one.rows
    ]
    return Rows(names, rows)


def joined(query: Select[Any]) -> Select[Any]:
    """The query, whose tables are all joined: a column of another one would be each row's of everybody's things."""
    if len(query.get_final_froms()) > 1:
        raise RuntimeError(f"tables are not joined: {', '.join(map(str, query.get_final_froms()))}")
    return query


def read(connection: Connection, query: Select[Any], columns: Sequence[Column]) -> Rows:
    """Run a query for some columns, in one statement."""
    different = list({id(one.value): one for one in columns}.values())
    wanted = query.with_only_columns(*(one.value for one in different), maintain_column_froms=True)
    found: Any = connection.execute(joined(wanted)).all()
    names = [one.name for one in columns]
    at = {id(one.value): n for n, one in enumerate(different)}
    places = [at[id(one.value)] for one in columns]
    writers = [(n, one.text) for n, one in enumerate(columns) if one.text is not None]
    if not writers and len(different) == len(columns):
        return Rows(names, found)
    rows = [[row[n] for n in places] for row in found]
    for n, write in writers:
        for row in rows:
            row[n] = write(row[n])
    return Rows(names, rows)


def by_name(columns: Iterable[Column]) -> dict[str, Column]:
    """Columns by their lower-case names."""
    return {one.name.lower(): one for one in columns}
