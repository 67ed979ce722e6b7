"""Step 7: the receipt accounts for every entry, the report for the whole."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import insert

from scandock.catalog.tables import upload_exception
from scandock.formats.shown import shown
from scandock.model.verdicts import ImportState, Verdict
from scandock.pipeline.job import Job, Tools
from scandock.pipeline.judge import Judgement
from scandock.pipeline.ledger import Ledger
from scandock.queue.leases import guard
from scandock.rules.notices import Notice
from scandock.rules.receipt_codes import CODES
from scandock.store.paths import RECEIPT

EXCEPTIONS = 1_000
"""Lines that the catalog keeps of one import, those that need a person's eye; the receipt has all."""

LINES = 1_000
"""Lines of the receipt that are packed at a time."""
_NAMED = 3
"""Files that a warning of a disc names."""
_NEEDS_AN_EYE = (Verdict.UNPARSEABLE, Verdict.CONFLICT, Verdict.REFUSED)


def close_verdicts(ledger: Ledger) -> None:
    """Give the remaining entries the verdict that their content stands for."""
    for content, verdict, code in (
        ("junk", Verdict.JUNK, "junk_name"),
        ("special", Verdict.IGNORED, "ignored_link"),
        ("unparseable", Verdict.UNPARSEABLE, "not_dicom"),
        ("loose", Verdict.IGNORED, "ignored_no_one_study"),
    ):
        ledger.run(
            "UPDATE entry SET verdict = ?, code = CASE WHEN code = '' THEN ? ELSE code END"
            " WHERE content = ? AND verdict = ''",
            (verdict, code, content),
        )


def lines(ledger: Ledger, archive: str, names: dict[int, str]) -> Iterator[dict[str, Any]]:
    """The receipt's lines in archive order; `names` gives a job's folder under DATA, for `stored_as`."""
    for path, size, sha256, verdict, code, message, job, stands in ledger.stream(
        "SELECT e.path, e.size, e.sha256, e.verdict, e.code, e.message, COALESCE(o.job, e.job),"
        " COALESCE(e.target, o.target)"
        " FROM entry e LEFT JOIN entry o ON o.ordinal = e.original ORDER BY e.ordinal"
    ):
        folder = names.get(job) if job is not None else None
        yield {
            "archive": archive,
            "path": path,
            "bytes": size,
            "sha256": sha256.hex() if sha256 else None,
            "verdict": verdict,
            "code": code,
            "message": message or CODES[code].sentence,
            "stored_as": f"{folder}/{stands}" if folder and stands is not None else None,
        }


def write_receipt(tools: Tools, archive: str, names: dict[int, str]) -> None:
    """Write the whole receipt, compressed, into the stage; it becomes the import's with its outcome."""
    with tools.stage.put(RECEIPT) as raw:
        pack_receipt(tools.ledger, archive, names, _Raw(raw))


def pack_receipt(ledger: Ledger, archive: str, names: dict[int, str], raw: Any) -> None:  # noqa: ANN401
    """Write the receipt as compressed JSON lines to anything that has `write` and `flush`."""
    encode = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode
    every = lines(ledger, archive, names)
    with gzip.GzipFile("", "wb", 1, raw, mtime=0) as packed:
        while some := list(islice(every, LINES)):
            text = "\n".join(map(encode, some)) + "\n"
            packed.write(text.encode("utf-8", "backslashreplace"))


class _Raw:
    """A stage's writer as gzip wants one."""

    def __init__(self, writer: Any) -> None:  # noqa: ANN401
        self._writer = writer

    def write(self, data: bytes) -> int:
        written: int = self._writer.write(data)
        return written

    def flush(self) -> None:
        """Nothing is buffered here."""


def keep_exceptions(tools: Tools) -> None:
    """Note in the catalog the first of those entries that a person should look at."""
    rows = [
        {
            "upload_id": tools.lease.upload_id,
            "n": n,
            "path": path.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0"),
            "verdict": verdict,
            "code": code,
            "message": message or CODES[code].sentence,
        }
        for n, (path, verdict, code, message) in enumerate(
            tools.ledger.rows(
                "SELECT path, verdict, code, message FROM entry WHERE verdict IN (?, ?, ?) ORDER BY ordinal LIMIT ?",
                (*_NEEDS_AN_EYE, EXCEPTIONS),
            )
        )
    ]
    if rows:
        with tools.catalog.write() as connection:
            guard(tools.catalog, connection, tools.lease)
            connection.execute(insert(upload_exception), rows)


def outcome(jobs: list[Job], judgement: Judgement) -> tuple[ImportState, str, str]:
    """(state, code, message) of the import (design: fixed surface)."""
    refused = judgement.refused
    if refused is not None:
        return ImportState.REFUSED, refused.code, f"{refused.message} {refused.remedy}".strip()
    held = [job for job in jobs if job.settled.held is not None]
    if judgement.lost:
        also = f" {_held(held)}" if held else ""
        return ImportState.PARTLY, "inner_refused", f"{_lost(judgement.lost)} Look at the warnings.{also}"
    if held:
        why = held[0].settled.held
        assert why is not None
        return ImportState.HELD, why.code, _held(held)
    return ImportState.PLACED, "", ""


def _lost(count: int) -> str:
    return "An inner archive could not be taken." if count == 1 else f"{count} inner archives could not be taken."


def _held(held: list[Job]) -> str:
    first = held[0].settled.held
    assert first is not None
    if len(held) == 1:
        return f"{first.message} {first.remedy}".strip()
    return f"{len(held)} sessions wait in the prearchive for a decision. {first.message} {first.remedy}".strip()


def entry_bytes(ledger: Ledger) -> tuple[int, int]:
    """(bytes of all entries at the innermost level, bytes of those that were stored)."""
    total, stored = ledger.rows(
        "SELECT COALESCE(SUM(size), 0), COALESCE(SUM(CASE WHEN verdict IN ('stored', 'conflict', 'resource')"
        " THEN size ELSE 0 END), 0) FROM entry"
    )[0]
    return total, stored


def upload_warnings(ledger: Ledger, extra: list[Notice]) -> list[dict[str, str]]:
    """Warnings about the upload as a whole: unparseable entries that were ignored, and what the walk noted."""
    found = [*extra, *missing_of_discs(ledger)]
    count = ledger.rows("SELECT COUNT(*) FROM entry WHERE verdict = 'unparseable'")[0][0]
    if count:
        first = ledger.rows("SELECT path FROM entry WHERE verdict = 'unparseable' ORDER BY ordinal LIMIT 3")
        from scandock.formats.shown import shown

        names = ", ".join(shown(path) for (path,) in first)
        found.append(
            Notice(
                code="unparseable_ignored",
                message=f"{_left_out(count)}: {names}" + (" and more." if count > len(first) else "."),
                remedy="See the receipt for each.",
            )
        )
    return [{"code": w.code, "message": f"{w.message} {w.remedy}".strip()} for w in dict.fromkeys(found)]


def _left_out(count: int) -> str:
    if count == 1:
        return "1 entry that should be an image can't be read and was left out"
    return f"{count} entries that should be images can't be read and were left out"


def csv_lines(source: Iterable[bytes]) -> Iterator[list[str | int | None]]:
    """The receipt's lines as rows of a table, the header first."""
    columns = ("archive", "path", "bytes", "sha256", "verdict", "code", "message", "stored_as")
    yield list(columns)
    for raw in source:
        line = json.loads(raw)
        yield [line[column] for column in columns]


def missing_of_discs(ledger: Ledger) -> list[Notice]:
    """One warning for each DICOMDIR that lists files which are not in its archive (rules.md, images 1)."""
    found = []
    for path, folder, facts in ledger.rows(
        "SELECT path, folder, facts FROM entry WHERE code = 'dicomdir' AND facts NOT IN ('', '[]') ORDER BY ordinal"
    ):
        listed = [name.replace("\\", "/").strip("/") for name in json.loads(facts)]
        there = {
            name.replace("\\", "/").casefold().rstrip(".")
            for (name,) in ledger.stream(
                "SELECT SUBSTR(path, ?) FROM entry WHERE SUBSTR(path, 1, ?) = ?", (len(folder) + 1, len(folder), folder)
            )
        }
        bare = {name.rpartition(".")[0] for name in there}
        lacking = [name for name in listed if name.casefold() not in there and name.casefold() not in bare]
        if lacking:
            names = ", ".join(shown(name) for name in lacking[:_NAMED])
            found.append(
                Notice(
                    code="dicomdir_missing",
                    message=f"{shown(path)} lists {len(listed)} files; {len(lacking)} are not in the archive: {names}"
                    + (" and more." if len(lacking) > _NAMED else "."),
                    remedy="Check that the disc was copied whole.",
                )
            )
    return found
