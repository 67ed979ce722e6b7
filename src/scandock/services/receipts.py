"""Receipts as they are read: the lines of an import, all or those of some verdicts, as JSON lines or CSV."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Collection, Iterator
from itertools import chain, islice
from typing import IO, Final, Literal

from scandock.model.dataclass import dataclass
from scandock.model.spreadsheet import TableWriter
from scandock.model.verdicts import Verdict
from scandock.rules.receipt_codes import CODES, ReceiptLine, receipt_columns
from scandock.services.import_errors import ReceiptMissing, VerdictUnknown
from scandock.store.paths import path_in_session
from scandock.store.port import Store

Format = Literal["jsonl", "csv"]
PIECE_BYTES = 64 * 1024
MAX_LINES_READ: Final = 500_000
"""Lines of a receipt that one page looks at; they are some 150 MB unpacked."""


def open_receipt(store: Store, uuid: str) -> IO[bytes]:
    """The compressed receipt. Raises ReceiptMissing where there is none: not ended yet, failed or cancelled."""
    try:
        return store.open_receipt(uuid)
    except FileNotFoundError:
        raise ReceiptMissing from None


def check_verdicts(names: Collection[str]) -> frozenset[str]:
    """Raise VerdictUnknown for a word that is no verdict."""
    unknown = sorted(set(names) - {verdict.value for verdict in Verdict})
    if unknown:
        raise VerdictUnknown(", ".join(unknown), ", ".join(verdict.value for verdict in Verdict))
    return frozenset(names)


def lines(packed: IO[bytes], fmt: Format, verdicts: Collection[str] = ()) -> Iterator[bytes]:
    """The lines in pieces of some 64 KB; closes `packed` at the end."""
    markers = tuple(f'"verdict": "{verdict}"'.encode() for verdict in verdicts)
    buffer = io.StringIO(newline="")
    writer = TableWriter(buffer)
    raw = bytearray()
    with packed, gzip.GzipFile(fileobj=packed) as stream:
        first = next(stream, b"")
        columns = receipt_columns(json.loads(first or b"{}"))
        if fmt == "csv":
            writer.write_row(columns)
        for line in chain([first] if first else [], stream):
            if markers and not _has_verdict(line, markers, verdicts):
                continue
            if fmt == "csv":
                writer.write_row(_format_row(json.loads(line), columns))
                if buffer.tell() >= PIECE_BYTES:
                    yield buffer.getvalue().encode("utf-8", "backslashreplace")
                    buffer.seek(0)
                    buffer.truncate()
            else:
                raw += line
                if len(raw) >= PIECE_BYTES:
                    yield bytes(raw)
                    raw.clear()
    yield buffer.getvalue().encode("utf-8", "backslashreplace") if fmt == "csv" else bytes(raw)


def _has_verdict(line: bytes, markers: tuple[bytes, ...], verdicts: Collection[str]) -> bool:
    """Whether a line has one of the verdicts; parsed only where its text says so, as most lines are not asked for."""
    return any(text in line for text in markers) and json.loads(line)["verdict"] in verdicts


def _format_row(line: dict[str, object], columns: tuple[str, ...]) -> list[object]:
    return [line.get(column) for column in columns]


class ReceiptPageLine(ReceiptLine):
    """A line as a page shows it."""

    n: int
    """The line's number, from 1 on."""
    remedy: str
    """What to do about its code."""
    stored_in_session: str
    """Where it is below its session's folder; "" where it is not stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptPage:
    """A piece of a receipt, as a page shows it."""

    lines: list[ReceiptPageLine]
    next: int | None
    """Where the next page begins: lines before that have been looked at. None: it is at its end."""


def read_receipt_page(
    packed: IO[bytes],
    *,
    verdicts: Collection[str] = (),
    search: str = "",
    start: int = 0,
    limit: int = 100,
    max_lines: int = MAX_LINES_READ,
) -> ReceiptPage:
    """Up to `limit` lines from the line `start` on, of some verdicts and with `search` in their path, in any case.

    Looks at no more than `max_lines` lines, so that a rare word costs no more than that. Closes `packed`.
    """
    markers = tuple(f'"verdict": "{verdict}"'.encode() for verdict in verdicts)
    text = search.lower()
    plain = text.encode() if text.isascii() and text.isprintable() and not set(text) & {'"', "\\"} else b""
    page_lines: list[ReceiptPageLine] = []
    with packed, gzip.GzipFile(fileobj=packed) as stream:
        for n, raw in enumerate(islice(stream, start, start + max_lines), start):
            if (markers and not any(marker in raw for marker in markers)) or (plain and plain not in raw.lower()):
                continue
            line: ReceiptLine = json.loads(raw)
            if (verdicts and line["verdict"] not in verdicts) or text not in line["path"].lower():
                continue
            if len(page_lines) == limit:
                return ReceiptPage(lines=page_lines, next=n)
            code = CODES.get(line["code"])
            page_lines.append(
                {
                    **line,
                    "n": n + 1,
                    "remedy": code.remedy if code is not None else "",
                    "stored_in_session": path_in_session(line["stored_as"] or ""),
                }
            )
        more = stream.readline()
    return ReceiptPage(lines=page_lines, next=start + max_lines if more else None)
