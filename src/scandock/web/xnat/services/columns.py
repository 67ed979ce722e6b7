"""Listings as XNAT's clients ask for them: by names of columns, those that are never left out, and filters.

A listing is one statement that selects what was asked for alone. A column that nobody knows is no error: it is empty
(xnat-clients.md 1, rule 3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Float, Integer, Select, Text, and_, case, cast, func, literal, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.model.errors import Usage
from scandock.model.limit_counts import RequestLimit, count_exceeded
from scandock.model.request_errors import RequestInvalid
from scandock.rules.field_types import FieldType, format_float, is_float, type_of_field
from scandock.web.xnat.services.date_ranges import TimeRange, parse_days

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


def split_list(text: str, kind: str, limit: int) -> list[str]:
    """What stands between commas. Usage `request_invalid` for more than `limit` of `kind`."""
    if text.count(",") >= limit:
        raise count_exceeded(
            RequestLimit.COLUMNS if kind == "columns" else RequestLimit.VALUES, too_many_error(kind, limit)
        )
    return text.split(",")


def too_many_error(kind: str, limit: int) -> Usage:
    """The error of a request that names more than can be asked at once."""
    return RequestInvalid(f"The request names more than {limit:,} {kind}.", "Ask for less at once.")


class padded(FunctionElement[str]):  # noqa: N801  reads as a function in queries
    """A number in five digits or more behind a prefix, made by the database: `XNAT_E00001` ten thousand times."""

    type = Text()
    inherit_cache = True

    def __init__(self, prefix: str, number: ColumnElement[Any]) -> None:
        super().__init__(literal(prefix), number)


@compiles(padded)
def _compile_padded(element: Any, compiler: Any, **options: Any) -> str:  # noqa: ANN401  SQLAlchemy's own types
    prefix, number = (compiler.process(clause, **options) for clause in element.clauses)
    if compiler.dialect.name == "postgresql":
        return f"({prefix} || LPAD({number}::text, GREATEST(5, LENGTH({number}::text)), '0'))"
    return f"printf('%s%05d', {prefix}, {number})"


BLANK: Final = "\0"
"""Stands in a URI for what the database puts there."""


def build_uri(uri: str, *columns: ColumnElement[str]) -> ColumnElement[str]:
    """A URI with a column's value in each of its blanks, put together by the database."""
    first_piece, *pieces = uri.split(BLANK)
    expression: ColumnElement[str] = literal(first_piece)
    for column, piece in zip(columns, pieces, strict=True):
        expression = expression + column + literal(piece) if piece else expression + column
    return expression


def format_moment(value: int | None) -> str:
    """Unix milliseconds as XNAT writes a time: `2026-11-24 05:44:32.5`, UTC."""
    if value is None:
        return ""
    time = datetime.fromtimestamp(value / 1000, UTC)
    return f"{time:%Y-%m-%d %H:%M:%S}.{time.microsecond // 100_000}"


def format_count(value: int | None) -> str:
    """A number as a text; empty where there is none."""
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in answers, where its values come from, and how they are written."""

    name: str
    value: ColumnElement[Any]
    text: Callable[[Any], str] | None = None
    """How a value is written that is no text in the database."""
    filter_value: ColumnElement[Any] | None = None
    """What a filter compares, where that is not the value itself."""
    parse: Callable[[str], object] | None = None
    """What a filter's text is for `filter_value`; None from it: nothing can be equal to that."""
    matches: Callable[[Sequence[str]], ColumnElement[bool]] | None = None
    """Whether a row is of one of a filter's values, where it may have several of its own."""
    listing_name: str = ""
    """The name by which its listing knows it, where it is called otherwise in an answer."""

    @property
    def key(self) -> str:
        """The name by which its listing knows it."""
        return self.listing_name or self.name

    def rename(self, name: str) -> Column:
        """The same column by another name."""
        return self if name == self.name else replace(self, name=name, listing_name=self.key)


_EMPTY: Final = literal("")


def choose_headers(
    requested: str | None, default: Sequence[str], always: Sequence[str], canonical: Callable[[str], str]
) -> list[tuple[str, str]]:
    """The names of an answer's columns, each with one of those that were asked for, whose values it has.

    First what was asked for in its order, by the name that XNAT has for it (`canonical`; empty where none is known),
    and what is never left out. Then the same by the names that were asked for, where these are others, paths also in
    lower case: clients read one or another. Usage `request_invalid` for more than can be asked for, and for a name
    that no column can have: each row of the answer would bear it.
    """
    names: list[str] = []
    for name in split_list(requested or DEFAULT, "columns", MAX_COLUMNS):
        names += default if name.strip().upper() == DEFAULT else [name.strip()]
    names = [name for name in dict.fromkeys(names) if name]
    for name in names:
        check_name(name)
    headers_by_name: dict[str, str] = {}
    for name in (*names, *always):
        headers_by_name.setdefault(canonical(name) or name, name)
    for name in names:
        if "/" in name:
            headers_by_name.setdefault(name.lower(), name)
        headers_by_name.setdefault(name, name)
    return list(headers_by_name.items())


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
        lowered = strip_types(name.strip().lower())
        if lowered in self.columns:
            return self.columns[lowered]
        first, _, below = lowered.partition("/")
        if not first.startswith(("xnat:", "xdat:")):
            return None
        for path, prefix in self.deeper.items():
            if below.startswith(path) or lowered.startswith(path):
                return self.columns.get(prefix + (below if below.startswith(path) else lowered)[len(path) :])
        return self.columns.get(below)

    def choose_columns(self, requested: str | None) -> list[Column]:
        """The columns of an answer, as `choose_headers` names them; one that nobody knows is empty."""
        found_by: dict[str, Column | None] = {}

        def canonical(name: str) -> str:
            column = found_by[name] = found_by[name] if name in found_by else self.find(name)
            return "" if column is None else column.name

        chosen_columns = []
        for header, name in choose_headers(requested, self.default, self.always, canonical):
            column = found_by[name]
            chosen_columns.append(Column(header, _EMPTY) if column is None else self._written(column).rename(header))
        return chosen_columns

    def _written(self, column: Column) -> Column:
        """A column as listings write its values."""
        owner, _, below = column.key.lower().rpartition("data/")
        name = below if owner else f"{self.own}{below}"
        return replace(column, text=format_float) if column.text is None and is_float(name) else column

    def apply_filters(self, query: Select[Any], filters: Iterable[tuple[str, str]]) -> Select[Any]:
        """Rows whose columns are what a request says: several values with commas between, `*` or `%` for anything.

        Days may come in several forms, and as two with `-` between; numbers so too. What is no date is none of a date.

        A path that has no place here (`xnat:imageSessionData/sharing/share/project`) holds for no row; other unknown
        names may be words of another kind, and are passed over. Usage `request_invalid` for more than can be asked.
        """
        values = conditions = 0
        for name, text in filters:
            column = self.find(name)
            if column is not None and text:
                filter_values = list(dict.fromkeys(value.strip() for value in split_list(text, "values", MAX_VALUES)))
                comparisons = (
                    []
                    if column.parse is not None
                    else [value for value in filter_values if _is_condition(column, value)]
                )
                values, conditions = values + len(filter_values), conditions + 1 + len(comparisons)
                if values > MAX_VALUES:
                    raise count_exceeded(RequestLimit.VALUES, too_many_error("values", MAX_VALUES))
                if conditions > MAX_CONDITIONS:
                    raise count_exceeded(
                        RequestLimit.CONDITIONS, too_many_error("filters and patterns", MAX_CONDITIONS)
                    )
                query = query.where(_make_condition(column, name, filter_values, comparisons))
            elif column is None and text and _PATH.fullmatch(name):
                query = query.where(literal(False))
        return query


def type_of_column(column: Column) -> FieldType:
    """What the values of a column are."""
    return type_of_field(_OWNER.sub("", column.key.lower(), count=1))


def _is_condition(column: Column, text: str) -> bool:
    """Whether a filter's value is a comparison of its own, not one of those that values are looked for among."""
    return _is_comparison(type_of_column(column), text)


def _is_comparison(kind: FieldType, text: str) -> bool:
    if kind in (FieldType.DATE, FieldType.MOMENT):
        return bool(text)
    return "*" in text or "%" in text or (kind in _NUMBERS and _RANGE.fullmatch(text) is not None)


def make_conditions(filters: Iterable[tuple[str, str]]) -> list[tuple[str, Callable[[str], bool]]]:
    """Filters of a listing whose rows are there already, each with whether a row's text is one of its values.

    They hold for what `Listing.apply_filters` lets through, and the same is too much. Usage `request_invalid`.
    """
    result: list[tuple[str, Callable[[str], bool]]] = []
    values = conditions = 0
    for name, text in filters:
        filter_values = list(dict.fromkeys(value.strip() for value in split_list(text, "values", MAX_VALUES)))
        kind = type_of_field(_OWNER.sub("", strip_types(name.lower()), count=1))
        comparisons = [value for value in filter_values if _is_comparison(kind, value)]
        values, conditions = values + len(filter_values), conditions + 1 + len(comparisons)
        if values > MAX_VALUES:
            raise count_exceeded(RequestLimit.VALUES, too_many_error("values", MAX_VALUES))
        if conditions > MAX_CONDITIONS:
            raise count_exceeded(RequestLimit.CONDITIONS, too_many_error("filters and patterns", MAX_CONDITIONS))
        exact_values = frozenset(value.lower() for value in filter_values) - {value.lower() for value in comparisons}
        numbers = {float(value) for value in exact_values if kind in _NUMBERS and re.match(NUMBER, value)}
        result.append(
            (
                name,
                partial(
                    _matches_text,
                    kind,
                    exact_values,
                    numbers,
                    [_make_comparison(kind, value, name) for value in comparisons],
                ),
            )
        )
    return result


def _matches_text(
    kind: FieldType,
    exact_values: frozenset[str],
    numbers: set[float],
    comparisons: Sequence[Callable[[str], bool]],
    text: str,
) -> bool:
    """Whether a row's text is one of a filter's values, is a number of them, or fits a comparison of its own."""
    if text.lower() in exact_values or any(fits(text) for fits in comparisons):
        return True
    return kind in _NUMBERS and re.match(NUMBER, text) is not None and float(text) in numbers


def _make_comparison(kind: FieldType, value: str, name: str) -> Callable[[str], bool]:
    """What a value of a filter says that is no whole value: days, numbers from one to another, or a pattern."""
    if kind is FieldType.DATE and value.strip("*%"):
        days = _parse_days(value, name)
        return lambda text: days.first_day <= text <= days.last_day
    match = _RANGE.fullmatch(value) if kind in _NUMBERS else None
    if match is not None:
        first, last = float(match[1]), float(match[2])
        return lambda text: re.match(NUMBER, text) is not None and first <= float(text) <= last
    check_pattern(value, name)
    first_piece, *pieces = value.lower().replace("%", "*").split("*")
    return partial(_fits_pattern, first_piece, pieces)


def _fits_pattern(prefix: str, pieces: Sequence[str], text: str) -> bool:
    """Whether a text begins with `prefix`, has the pieces behind it in their order, and ends with the last of them."""
    lowered = text.lower()
    if not text or not lowered.startswith(prefix):
        return False
    end = len(prefix)
    for piece in pieces[:-1]:
        position = lowered.find(piece, end)
        if position < 0:
            return False
        end = position + len(piece)
    return lowered.endswith(pieces[-1]) and len(lowered) - len(pieces[-1]) >= end


def _make_condition(
    column: Column, name: str, filter_values: Sequence[str], comparisons: Sequence[str]
) -> ColumnElement[bool]:
    """Whether a column is one of some values; `comparisons` are those that are no whole values, as patterns are."""
    compared = column.value if column.filter_value is None else column.filter_value
    if column.matches is not None and not comparisons:
        return column.matches(filter_values)
    if column.parse is not None:
        parsed = {value for text_value in filter_values if (value := column.parse(text_value)) is not None}
        return compared.in_(sorted(parsed, key=str)) if parsed else literal(False)
    kind, text, unmatched_comparisons = type_of_column(column), func.lower(cast(compared, Text)), set(comparisons)
    exact_values = [text_value.lower() for text_value in filter_values if text_value not in unmatched_comparisons]
    if kind in (FieldType.DATE, FieldType.MOMENT):
        return (
            or_(*(_make_day_condition(compared, kind, text_value, name) for text_value in comparisons))
            if comparisons
            else literal(True)
        )
    alternatives = [and_(compared.is_not(None), text.in_(exact_values))] if exact_values else []
    if kind in _NUMBERS:
        numbers = [float(text_value) for text_value in exact_values if re.match(NUMBER, text_value)]
        alternatives += [to_number(compared).in_(numbers)] if numbers else []
        ranges = [match for text_value in comparisons if (match := _RANGE.fullmatch(text_value))]
        alternatives += [to_number(compared).between(float(match[1]), float(match[2])) for match in ranges]
        unmatched_comparisons -= {match[0] for match in ranges}
    return or_(
        *alternatives,
        *(
            matches_pattern(cast(compared, Text), text_value, name)
            for text_value in comparisons
            if text_value in unmatched_comparisons
        ),
    )


def _make_day_condition(compared: ColumnElement[Any], kind: FieldType, text: str, name: str) -> ColumnElement[bool]:
    """Whether a date or a moment is of the days that a filter says. Usage `request_invalid` for what is no date."""
    if not text.strip("*%"):
        return and_(compared.is_not(None), cast(compared, Text) != "")
    days = _parse_days(text, name)
    if kind is FieldType.MOMENT:
        return is_within(compared, days)
    return cast(compared, Text).between(days.first_day, days.last_day)


def _parse_days(text: str, name: str) -> TimeRange:
    """The days that a filter says. Usage `request_invalid` for what is no date."""
    days = parse_days(text)
    if days is None:
        message = f"{name[:40]} is compared with {text[:40]!r}."
        remedy = "Right is a day, as 2026-11-24 or 11/24/2026, or two with - between."
        raise RequestInvalid(message, remedy)
    return days


def is_within(column: ColumnElement[Any], time_range: TimeRange) -> ColumnElement[bool]:
    """Whether a moment, in Unix milliseconds, is of a stretch of time."""
    return and_(column >= time_range.begin, column < time_range.end)


def to_number(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """A value's number, NULL where it is none: not all that is said of an age is one."""
    if isinstance(value.type, Integer):
        return value
    text = func.coalesce(cast(value, Text), "")
    return case((text.regexp_match(NUMBER), cast(text, Float)), else_=None)


def strip_types(path: str) -> str:
    """A path without what it says of its elements' types in brackets."""
    return _TYPES.sub("", path)


def check_name(name: str) -> None:
    """Raise Usage `request_invalid` for what is too long to be a column's name."""
    if len(name) > MAX_NAME:
        message = f"A column is named by {len(name)} characters."
        raise count_exceeded(RequestLimit.NAME, RequestInvalid(message, f"At most {MAX_NAME} are a name."))


def matches_pattern(value: ColumnElement[str], pattern_text: str, name: str) -> ColumnElement[bool]:
    """Whether a value is a text in which `*` or `%` stand for anything, in any case; `name` is what it is called.

    Usage `request_invalid` for a longer text than is compared.
    """
    check_pattern(pattern_text, name)
    pattern = pattern_text.lower().replace("\\", "\\\\").replace("_", "\\_").replace("*", "%")
    return func.lower(value).like(pattern, escape="\\")


def check_pattern(text: str, name: str) -> None:
    """Raise Usage `request_invalid` for a longer text than is compared."""
    if len(text) > MAX_PATTERN:
        message = f"{name} is compared with {len(text):,} characters."
        raise count_exceeded(RequestLimit.PATTERN, RequestInvalid(message, f"At most {MAX_PATTERN:,} are a pattern."))


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


def check_joined(query: Select[Any]) -> Select[Any]:
    """The query, whose tables are all joined: a column of another one would be each row's of everybody's things."""
    if len(query.get_final_froms()) > 1:
        raise RuntimeError(f"tables are not joined: {', '.join(map(str, query.get_final_froms()))}")
    return query


def read_rows(connection: Connection, query: Select[Any], columns: Sequence[Column]) -> Rows:
    """Run a query for some columns, in one statement."""
    distinct_columns = list({id(column.value): column for column in columns}.values())
    narrowed_query = query.with_only_columns(*(column.value for column in distinct_columns), maintain_column_froms=True)
    result_rows: Any = connection.execute(check_joined(narrowed_query)).all()
    names = [column.name for column in columns]
    index_by_id = {id(column.value): n for n, column in enumerate(distinct_columns)}
    indexes = [index_by_id[id(column.value)] for column in columns]
    writers = [(n, column.text) for n, column in enumerate(columns) if column.text is not None]
    if not writers and len(distinct_columns) == len(columns):
        return Rows(names, result_rows)
    rows = [[row[n] for n in indexes] for row in result_rows]
    for n, write in writers:
        for row in rows:
            row[n] = write(row[n])
    return Rows(names, rows)


def index_by_name(columns: Iterable[Column]) -> dict[str, Column]:
    """Columns by their lower-case names."""
    return {column.name.lower(): column for column in columns}
