"""Receipts as they are read: the lines of an import, all or those of some verdicts, as JSON lines or CSV."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Collection, Iterator
from typing import IO, Literal

from scandock.model.errors import Usage
from scandock.model.verdicts import Verdict
from scandock.store.local import LocalStore

Format = Literal["jsonl", "csv"]
COLUMNS = ("archive", "path", "bytes", "sha256", "verdict", "code", "message", "stored_as")
PIECE = 64 * 1024


def open_receipt(store: LocalStore, uuid: str) -> IO[bytes]:
    """The compressed receipt. Usage `receipt_none` where there is none: not ended yet, failed or cancelled."""
    try:
        return store.open_receipt(uuid)
    except FileNotFoundError:
        raise Usage(
            "receipt_none", "This import has no receipt.", "Receipts are written when an import ends."
        ) from None


def check_verdicts(names: Collection[str]) -> frozenset[str]:
    """Usage `verdict_unknown` for a word that is no verdict."""
    unknown = sorted(set(names) - {verdict.value for verdict in Verdict})
    if unknown:
        raise Usage(
            "verdict_unknown",
            f"{', '.join(unknown)} is no verdict.",
            f"Verdicts are {', '.join(verdict.value for verdict in Verdict)}.",
        )
    return frozenset(names)


def lines(packed: IO[bytes], fmt: Format, verdicts: Collection[str] = ()) -> Iterator[bytes]:
    """The lines in pieces of some 64 KB; closes `packed` at the end."""
    wanted = tuple(f'"verdict": "{verdict}"'.encode() for verdict in verdicts)
    made = io.StringIO(newline="")
    writer = csv.writer(made)
    if fmt == "csv":
        writer.writerow(COLUMNS)
    raw = bytearray()
    with packed, gzip.GzipFile(fileobj=packed) as every:
        for line in every:
            if wanted and not _is_of(line, wanted, verdicts):
                continue
            if fmt == "csv":
                writer.writerow(_row(json.loads(line)))
                if made.tell() >= PIECE:
                    yield made.getvalue().encode("utf-8", "backslashreplace")
                    made.seek(0)
                    made.truncate()
            else:
                raw += line
                if len(raw) >= PIECE:
                    yield bytes(raw)
                    raw.clear()
    yield made.getvalue().encode("utf-8", "backslashreplace") if fmt == "csv" else bytes(raw)


def _is_of(line: bytes, wanted: tuple[bytes, ...], verdicts: Collection[str]) -> bool:
    """Whether a line has one of the verdicts; parsed only where its text says so, as most lines are not asked for."""
    return any(text in line for text in wanted) and json.loads(line)["verdict"] in verdicts


def _row(line: dict[str, object]) -> list[str]:
    return [_cell(line.get(column)) for column in COLUMNS]


def _cell(value: object) -> str:
    """A value as a cell; what a spreadsheet would run as a formula is marked as text."""
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
