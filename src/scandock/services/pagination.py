"""Lists by pages: sorted by one column and a unique one behind it, and begun again where the last page ended.

The cursor holds the last row's two values, so a page costs the same wherever it is, and rows that come or go meanwhile
neither double nor hide others.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, or_

from scandock.model.dataclass import dataclass
from scandock.model.errors import CodedUsage
from scandock.model.request_errors import RequestInvalid

LIMIT = 50
MAX_LIMIT = 500
T = TypeVar("T")


class SortUnknown(CodedUsage):
    CODE = "sort_unknown"
    MEANING = "There is no sorting by that; those that there are are named."
    SENTENCE = "There is no sorting by {name!r}."
    REMEDY = "Sort by {sorts}."

    def __init__(self, name: str, sorts: str) -> None:
        self._fill({"name": name, "sorts": sorts})


class LimitInvalid(CodedUsage):
    CODE = "limit_invalid"
    MEANING = f"A page has 1 to {MAX_LIMIT} rows."
    SENTENCE = "A page has 1 to {max_limit} rows."
    REMEDY = "Name another limit."

    def __init__(self, max_limit: int) -> None:
        self._fill({"max_limit": max_limit})


class CursorInvalid(CodedUsage):
    CODE = "cursor_invalid"
    MEANING = "That is no cursor of this list, or of another sorting of it: begin anew."
    SENTENCE = "That is no cursor of this list, or of another sorting of it."
    REMEDY = "Start again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorting:
    """Which page of a list: `sort` names a column, with `-` before it for the other direction."""

    sort: str = ""
    limit: int = LIMIT
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some records of a list, and where the next ones begin (None: these were the last)."""

    items: list[T]
    next: str | None


def read_page(
    connection: Connection,
    query: Select[Any],
    sorts: Mapping[str, ColumnElement[Any]],
    unique: ColumnElement[Any],
    sorting: Sorting,
    from_row: Callable[[RowMapping], T],
) -> Page[T]:
    """One page of a query, in one statement. `unique` is never null, nor are the columns of `sorts`.

    Raises SortUnknown, LimitInvalid, CursorInvalid.
    """
    rows, following = read_rows(connection, query, sorts, unique, sorting)
    return Page([from_row(row) for row in rows], following)


@dataclass(frozen=True, slots=True)
class PageStart:
    """Where a page of a list begins that is sorted by one value of each item and a unique number behind it."""

    name: str
    """By what it is sorted."""
    downwards: bool
    limit: int
    _sort: str
    _behind: tuple[Any, Any] | None

    @property
    def number(self) -> int | None:
        """The number of the last item of the page before; None: there is none."""
        return None if self._behind is None else int(self._behind[1])

    def is_behind(self, value: object, number: int) -> bool:
        """Whether an item comes behind the page before. CursorInvalid where the cursor is of other values."""
        if self._behind is None:
            return True
        try:
            ahead = (value, number) < self._behind if self.downwards else (value, number) > self._behind
        except TypeError:
            raise CursorInvalid from None
        return bool(ahead)

    def cut(self, items: Sequence[T], value: Callable[[T], object], number: Callable[[T], int]) -> Page[T]:
        """The page, of its items and one more where there are more."""
        page = list(items[: self.limit])
        if len(items) <= self.limit:
            return Page(page, None)
        return Page(page, _encode(self._sort, value(page[-1]), number(page[-1])))


def begin_page(sorts: Collection[str], sorting: Sorting) -> PageStart:
    """Which page is asked for; without a sort it is by the first of `sorts`.

    Raises SortUnknown, LimitInvalid, CursorInvalid.
    """
    name, downwards = sorting.sort.removeprefix("-") or next(iter(sorts)), sorting.sort.startswith("-")
    if name not in sorts:
        raise SortUnknown(name[:40], ", ".join(sorts))
    if not 1 <= sorting.limit <= MAX_LIMIT:
        raise LimitInvalid(MAX_LIMIT)
    behind = None if sorting.cursor is None else _decode(sorting.cursor, sorting.sort)
    if behind is not None and not isinstance(behind[1], int):
        raise CursorInvalid
    return PageStart(name, downwards, sorting.limit, sorting.sort, behind)


def read_rows(
    connection: Connection,
    query: Select[Any],
    sorts: Mapping[str, ColumnElement[Any]],
    unique: ColumnElement[Any],
    sorting: Sorting,
) -> tuple[list[RowMapping], str | None]:
    """As `read_page`, but the rows themselves, and the next cursor."""
    name, down = sorting.sort.removeprefix("-") or next(iter(sorts)), sorting.sort.startswith("-")
    if name not in sorts:
        raise SortUnknown(name[:40], ", ".join(sorts))
    if not 1 <= sorting.limit <= MAX_LIMIT:
        raise LimitInvalid(MAX_LIMIT)
    column = sorts[name]
    if sorting.cursor is not None:
        last, key = _decode(sorting.cursor, sorting.sort)
        if down:
            behind = or_(column < last, and_(column == last, unique < key))
        else:
            behind = or_(column > last, and_(column == last, unique > key))
        query = query.where(behind)
    order = (column.desc(), unique.desc()) if down else (column, unique)
    keys = query.with_only_columns(unique, maintain_column_froms=True).order_by(*order).limit(sorting.limit + 1)
    query = query.where(unique.in_(keys.correlate(None)))  # only the page's rows are read whole, not all to be sorted
    query = query.add_columns(column.label("_sorted"), unique.label("_unique")).order_by(*order)
    rows = connection.execute(query).mappings().all()
    page_rows = list(rows[: sorting.limit])
    following = None
    if len(rows) > sorting.limit:
        following = _encode(sorting.sort, page_rows[-1]["_sorted"], page_rows[-1]["_unique"])
    return page_rows, following


def _encode(sort: str, last: object, key: object) -> str:
    raw = json.dumps([sort, last, key], separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(cursor: str, sort: str) -> tuple[Any, Any]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        was, last, key = json.loads(raw)
    except (binascii.Error, ValueError, TypeError):
        was = last = key = None
    if was != sort or not _is_cursor_value(last) or not _is_cursor_value(key):
        raise CursorInvalid
    return last, key


def _is_cursor_value(value: object) -> bool:
    """Whether a row can have such a value: no text of the catalog has a NUL, and PostgreSQL takes none."""
    return isinstance(value, int) or (isinstance(value, str) and "\0" not in value)


def check_choices(name: str, values: Iterable[str], choices: Iterable[str]) -> None:
    """Raise Usage `request_invalid` for a filter that nothing can pass, as it is misspelt."""
    choices = tuple(choices)
    for value in values:
        if value not in choices:
            raise RequestInvalid(f"There is no {name} {value[:40]!r}.", f"There are {', '.join(choices)}.")


def like_pattern(text: str, *, prefix: bool = False) -> str:
    """A pattern for LIKE, escaped by a backslash: what contains, or begins with, `text`."""
    safe = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"{safe}%" if prefix else f"%{safe}%"
