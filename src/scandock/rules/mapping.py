"""The mapping: a table that says where studies go, as CSV or JSON (rules.md, "Which session" 4).

Columns `study_uid`, `patient_id`, `folder` choose studies (at least one is filled; where several are, all must match),
`project`, `subject`, `session` say where they go (an empty one says nothing); `leave_out` yes takes none of them. The
first row that matches wins.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import lru_cache
from io import StringIO
from itertools import count, islice
from typing import Final

from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.model.errors import Usage
from scandock.model.limit_counts import RequestLimit, count_exceeded
from scandock.rules.errors import MappingTooLong, MappingUnreadable
from scandock.rules.labels import RESERVED, UNASSIGNED, clean_label, is_project_id, label_key
from scandock.rules.notices import Notice, make_notice, printable
from scandock.rules.study import StudyFacts

KEYS: Final = ("study_uid", "patient_id", "folder")
TARGETS: Final = ("project", "subject", "session")
LEAVE_OUT: Final = "leave_out"
_KNOWN: Final = (*KEYS, *TARGETS, LEAVE_OUT)
_YES: Final = frozenset({"yes", "true", "1", "x", "y"})
_NO: Final = frozenset({"", "no", "false", "0", "n"})
_COLUMNS: Final = {
    **{name.replace("_", ""): name for name in _KNOWN},
    "studyinstanceuid": "study_uid",
    "sessionlabel": "session",
    "subjectlabel": "subject",
}
_UNKNOWN: Final = "?"
"""What the name of a column begins with that is not known: no known one does."""
_PIECES: Final = re.compile(r"[/\\!]+")
_ARCHIVE_SUFFIX: Final = re.compile(r"\.(zip|tar|tgz|tar\.(gz|bz2|xz|zst))\Z", re.IGNORECASE)
_SEPARATOR: Final = re.compile(r'"?sep=([,;\t|])"?(?=[\r\n]|\Z)', re.IGNORECASE)
_NAMED_ROWS: Final = 10
MAX_ROWS: Final = request_limits.MAPPING_ROWS
MAX_COLUMNS: Final = request_limits.MAPPING_COLUMNS
"""Columns, also those that say nothing."""
MAX_ROW: Final = 65_536
"""Characters of one row of a JSON list."""
_PIECE: Final = 2_048
"""Characters that are looked at first: nearly all rows are shorter."""
_LONGEST_SIGN: Final = 16
"""What of a text that was cut may be left unread at its end: a word, an escape, a number's exponent."""
_DECODER: Final = json.JSONDecoder()
_BLANKS: Final = re.compile(r"[ \t\n\r]*")
_NAME: Final = 64
"""Characters of a column's name that may be a slip of a known one."""
_LIKE: Final = 0.75
"""How like a known name one has to be to be taken for a slip of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingRow:
    """One row; `number` is its line in a CSV, its place in a JSON list, from 1 (a CSV's header is line 1)."""

    number: int
    study_uid: str = ""
    patient_id: str = ""
    folder: str = ""
    project: str = ""
    subject: str = ""
    session: str = ""
    leave_out: bool = False
    """Nothing of the study is stored."""
    unknown: tuple[str, ...] = ()
    """Columns of the file that say nothing."""

    def matches(self, study: StudyFacts) -> bool:
        """Whether this row is for `study`.

        `study_uid` and `patient_id` must equal the study's (for the patient its most common one). `folder` is one or
        more folder names of a path on which an entry of the study stood, side by side: `sub-01`, `site2/sub-01`; an
        archive within the archive counts as a folder, with or without its suffix.
        """
        return _StudyKeys(study).by(self)


def parse_mapping(text: str, filename: str) -> tuple[MappingRow, ...]:
    """The rows of a mapping file; JSON by its suffix or its first character, else CSV.

    `Usage` (`mapping_unreadable`) names the row and the column of what cannot be read; `mapping_too_long`.
    """
    body = text.lstrip("\N{BYTE ORDER MARK}")
    if filename.lower().endswith(".json") or body.lstrip()[:1] in {"[", "{"}:
        rows: Iterable[MappingRow] = _json_rows(body)
    else:
        rows = _csv_rows(body)
    parsed = tuple(islice(rows, MAX_ROWS + 1))
    if len(parsed) > MAX_ROWS:
        raise count_exceeded(RequestLimit.MAPPING_ROWS, _too_long_error())
    if not parsed:
        raise MappingUnreadable("The mapping has no rows: it says of no study where it goes.", _REMEDY)
    return parsed


def decode_mapping(data: bytes) -> str:
    """The text of a mapping file: UTF-8, UTF-16 with its mark, else Windows-1252, as spreadsheets write it."""
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def find_row(rows: Sequence[MappingRow], study: StudyFacts) -> MappingRow | None:
    """The first row that matches `study`."""
    study_keys = _StudyKeys(study)
    return next((row for row in rows if study_keys.by(row)), None)


def unused_rows_notices(rows: Sequence[MappingRow], used: Iterable[int | None]) -> tuple[Notice, ...]:
    """The upload's warnings of columns that are not known, and of rows that no study took; `used` were taken."""
    notices = []
    columns = list(dict.fromkeys(name for row in rows for name in row.unknown))
    if columns:
        named = ", ".join(repr(printable(name)) for name in columns[:_NAMED_ROWS])
        notices.append(make_notice("mapping_columns", columns=named + (" ..." if len(columns) > _NAMED_ROWS else "")))
    used_numbers = set(used)
    unused = [row.number for row in rows if row.number not in used_numbers]
    if unused:
        named = ", ".join(map(str, unused[:_NAMED_ROWS])) + (" ..." if len(unused) > _NAMED_ROWS else "")
        which = f"Row {named}" if len(unused) == 1 else f"Rows {named} ({len(unused)} in all)"
        notices.append(make_notice("mapping_unused", rows=which))
    return tuple(notices)


def _csv_rows(text: str) -> Iterable[MappingRow]:
    separator = _SEPARATOR.match(text)
    if separator is not None:  # Excel's own line; an empty one in its place keeps the numbers of the others
        text = text[separator.end() :]
    first = next((line for line in StringIO(text) if line.strip()), "")
    delimiter = separator[1] if separator is not None else max(",;\t", key=first.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    columns: list[str] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                columns = _columns([cell.strip() for cell in cells], reader.line_num)
                if not set(columns) & set(KEYS):
                    raise _row_error(reader.line_num, f"names no column that chooses studies: one of {', '.join(KEYS)}")
            elif any(cell.strip() for cell in cells[len(columns) :]):
                raise _row_error(reader.line_num, f"has {len(cells)} cells, and the header {len(columns)}")
            else:
                yield _row(reader.line_num, dict(zip(columns, cells, strict=False)))
    except csv.Error as error:
        is_long = "field larger" in str(error)
        what = "a cell has too many characters" if is_long else "a quotation mark is not closed, or text follows it"
        raise _row_error(reader.line_num, f"can't be read: {what}") from None
    if columns is None:
        raise MappingUnreadable("The mapping is empty.", _REMEDY)


class _JsonReader:
    """A JSON text that is read value by value, each within bounds.

    Read at once it would be in memory as objects of thirty times its size, made while no other thread runs.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def peek(self) -> str:
        """The next character behind blanks; empty at the end."""
        blanks = _BLANKS.match(self._text, self._at)
        self._at = blanks.end() if blanks is not None else self._at
        return self._text[self._at : self._at + 1]

    def skip(self, sign: str) -> None:
        """Go past a sign that has to be there."""
        if self.peek() != sign:
            raise self._off(f"is not {sign!r}", self._at)
        self._at += 1

    def items(self, end: str) -> Iterator[int]:
        """Step onto each item of the list or object that begins here, from 1; whoever asks reads it."""
        self._at += 1
        if self.peek() == end:
            self._at += 1
            return
        for number in count(1):
            yield number
            if self.peek() == end:
                self._at += 1
                return
            self.skip(",")

    def value(self, number: int) -> object:
        """Read the value that comes next, in row `number`."""
        self.peek()
        for size in (_PIECE, MAX_ROW):
            piece = self._text[self._at : self._at + size]
            try:
                value, length = _DECODER.raw_decode(piece)
            except json.JSONDecodeError as error:
                is_cut = self._at + size < len(self._text)
                if size < MAX_ROW and is_cut:
                    continue
                if is_cut and (error.msg.startswith("Unterminated") or error.pos > size - _LONGEST_SIGN):
                    what = f"has more than {MAX_COLUMNS} columns, or more than {MAX_ROW:,} characters"
                    raise _row_error(number, what) from None
                raise self._off("can't be read", self._at + error.pos) from None
            except (ValueError, RecursionError):  # a number of too many digits, lists in lists in lists
                raise self._off("begins a value that is too large", self._at) from None
            self._at += length
            break
        return value

    def end(self) -> None:
        """Check that nothing is behind what was read."""
        if self.peek():
            raise self._off("is behind its end", self._at)

    def _off(self, what: str, at: int) -> Usage:
        place = json.JSONDecodeError("", self._text, at)
        return _mapping_error(f"The mapping is no JSON: what is at line {place.lineno}, column {place.colno} {what}.")


def _json_rows(text: str) -> Iterator[MappingRow]:
    if text.count("{") + text.count("[") > 2 * MAX_ROWS:  # cheaper than to come to the first that is too much
        raise count_exceeded(RequestLimit.MAPPING_ROWS, _too_long_error())
    source = _JsonReader(text)
    begins = source.peek()
    lists = 0
    if begins == "[":
        lists = 1
        yield from _objects(source)
    elif begins == "{":
        for number in source.items("}"):
            if number > MAX_COLUMNS:
                raise _mapping_error(f"The object around the mapping's rows has more than {MAX_COLUMNS} members.")
            if source.peek() != '"':
                source.skip('"')
            name = source.value(1)
            source.skip(":")
            if name == "rows" and source.peek() == "[":
                lists += 1
                if lists > 1:
                    raise _mapping_error("The mapping has `rows` twice.")
                yield from _objects(source)
            else:
                source.value(1)
    else:
        source.value(1)
    source.end()
    if not lists:
        raise _mapping_error("The mapping is no list of rows, nor an object with `rows`.")


def _objects(source: _JsonReader) -> Iterator[MappingRow]:
    """The rows of the list that begins here."""
    names: list[str] = []
    columns: list[str] = []
    for number in source.items("]"):
        item = source.value(number)
        if not isinstance(item, dict):
            raise _row_error(number, "is no object")
        if number == 1 or list(item) != names:  # most lists name the same in each row
            names, columns = list(item), _columns(list(item), number)
        yield _row(
            number, {name: _text(number, name, value) for name, value in zip(columns, item.values(), strict=True)}
        )


def _text(number: int, column: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) and column == LEAVE_OUT:
        return "yes" if value else "no"
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise _row_error(number, f"column {column}: is no text")


def _columns(names: Sequence[str], number: int) -> list[str]:
    if len(names) > MAX_COLUMNS:
        raise count_exceeded(RequestLimit.MAPPING_COLUMNS, _row_error(number, f"has more than {MAX_COLUMNS} columns"))
    columns = []
    for name in names:
        column = _COLUMNS.get(re.sub(r"[\s_-]", "", name).casefold())
        if column is None and name:
            if len(name) <= _NAME and _is_slip(name.casefold()):
                raise _row_error(number, f"names a column {printable(name)!r}; known are {', '.join(_KNOWN)}")
            column = _UNKNOWN + name
        if column is not None and column in columns:
            raise _row_error(number, f"names the column {column.removeprefix(_UNKNOWN)} twice")
        columns.append(column or "")
    return columns


def _is_slip(name: str) -> bool:
    """Whether the name of a column was to be a known one: its beginning, or nearly all of it."""
    return any(column.startswith(name) for column in _KNOWN) or bool(get_close_matches(name, _KNOWN, 1, _LIKE))


def _row(number: int, cells: dict[str, str]) -> MappingRow:
    unknown = tuple(name.removeprefix(_UNKNOWN) for name in cells if name.startswith(_UNKNOWN))
    values = {name: text.strip() for name, text in cells.items() if not name.startswith(_UNKNOWN)}
    if values.pop("", ""):
        raise _row_error(number, "has a value under a column without a name")
    leave_out = _parse_flag(number, values.pop(LEAVE_OUT, ""))
    if (leave_out or any(values.get(name) for name in TARGETS)) and not any(values.get(name) for name in KEYS):
        raise _row_error(number, f"chooses no study: one of {', '.join(KEYS)} must be filled")
    project = values.get("project", "")
    if project and not is_project_id(project):
        why = RESERVED if label_key(project) == label_key(UNASSIGNED) else "letters, digits, _ and -, at most 64"
        raise _row_error(number, f"column project: {printable(project)!r} is no project id ({why})")
    for name in ("subject", "session"):
        if values.get(name) and not clean_label(values[name]):
            raise _row_error(number, f"column {name}: {printable(values[name])!r} leaves no letter or digit")
    return MappingRow(number=number, leave_out=leave_out, unknown=unknown, **values)


def _parse_flag(number: int, text: str) -> bool:
    word = text.casefold()
    if word not in _YES | _NO:
        raise _row_error(number, f"column {LEAVE_OUT}: {printable(text)!r} is neither yes nor no")
    return word in _YES


class _StudyKeys:
    """What a study is chosen by, worked out once for all rows."""

    def __init__(self, study: StudyFacts) -> None:
        self.study_uid = study.study_uid
        self.patient_id = study.common("PatientID")
        paths = {tuple(map(_stem, _pieces(folder))) for folder in study.folders}
        paths |= {_pieces(folder) for folder in study.folders}
        self.paths = paths
        self.names = {name for path in paths for name in path}

    def by(self, row: MappingRow) -> bool:
        if row.study_uid and row.study_uid != self.study_uid:
            return False
        if row.patient_id and row.patient_id != self.patient_id:
            return False
        return not row.folder or self._stands_in(_pieces(row.folder))

    def _stands_in(self, pieces: tuple[str, ...]) -> bool:
        if not pieces or not self.names.issuperset(pieces):
            return False
        width = len(pieces)
        return any(path[at : at + width] == pieces for path in self.paths for at in range(len(path) - width + 1))


def _stem(name: str) -> str:
    return _ARCHIVE_SUFFIX.sub("", name)


@lru_cache(maxsize=65_536)
def _pieces(path: str) -> tuple[str, ...]:
    return tuple(piece for piece in _PIECES.split(path) if piece not in {"", "."})


_REMEDY: Final = f"It is a CSV with a header, or a JSON list of objects, with {', '.join(_KNOWN)}."

_FEWER: Final = "Leave out rows of other studies, or send the studies in several uploads, each with its own rows."


def _too_long_error() -> Usage:
    return MappingTooLong(f"The mapping has more than {MAX_ROWS:,} rows.", _FEWER)


def _mapping_error(what: str) -> Usage:
    return MappingUnreadable(what, _REMEDY)


def _row_error(number: int, what: str) -> Usage:
    return MappingUnreadable(f"Row {number} of the mapping {what}.", _REMEDY)
