"""Step 7: the receipt accounts for every entry, the report for the whole."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Final

from isal import isal_zlib
from sqlalchemy import insert

from scandock.catalog.tables import upload_exception
from scandock.formats.display_names import quote
from scandock.formats.read_ahead import run_ahead
from scandock.model.verdicts import ImportState, Verdict
from scandock.pipeline.entry_writer import INNER
from scandock.pipeline.filtered_studies import filtered_notices
from scandock.pipeline.job import Job, JobContext
from scandock.pipeline.ledger import NO_OBJECT, EntryTotals, Ledger
from scandock.pipeline.verdicts import UploadVerdict
from scandock.queue.leases import check_lease
from scandock.rules.notices import Notice
from scandock.rules.receipt_codes import CODES, receipt_columns
from scandock.store.paths import RECEIPT

EXCEPTIONS = 1_000
"""Lines that the catalog keeps of one import, those that need a person's eye; the receipt has all."""

LINES = 1_000
"""Lines of the receipt that are packed at a time."""
_GZIP: Final = 16 + isal_zlib.MAX_WBITS
"""What zlib calls gzip's format."""
_LINES: Final = """
SELECT CAST(GROUP_CONCAT(line, CHAR(10)) || CHAR(10) AS BLOB), COUNT(*), COUNT(message), MAX(ordinal) FROM (
  SELECT ordinal, message, PRINTF(
    '{{"archive": %s, "path": %s, "bytes": %d, "sha256": %s, "verdict": %s, "code": %s, "message": %s'
    || ', "stored_as": %s{more}}}',
    ?1, JSON_QUOTE(path), bytes, JSON_QUOTE({sha256}), JSON_QUOTE(verdict), JSON_QUOTE(code), JSON_QUOTE(message),
    JSON_QUOTE(folder || '/' || target), JSON_QUOTE(origin)
  ) AS line FROM (
    SELECT e.ordinal, COALESCE(s.path, e.path) AS path, COALESCE(e.own_size, e.size) AS bytes,
      NULLIF(LOWER(HEX(COALESCE(e.own_sha256, e.sha256))), '') AS sha256, e.verdict, e.code,
      CASE WHEN e.message <> '' THEN e.message ELSE c.sentence END AS message,
      f.folder, COALESCE(e.target, o.target) AS target,
      NULLIF(LOWER(HEX(COALESCE(e.origin, o.origin, s.origin))), '') AS origin
    FROM entry e LEFT JOIN entry o ON o.ordinal = e.original LEFT JOIN shown_entry s ON s.ordinal = e.ordinal
      LEFT JOIN job_folder f ON f.job = COALESCE(o.job, e.job) LEFT JOIN receipt_code c ON c.code = e.code
    WHERE e.ordinal > ?2 ORDER BY e.ordinal LIMIT ?3
  )
)
"""
"""Lines of entries behind an ordinal, in one piece, as `json.dumps` writes them; how many, and how many with a message;
the last ordinal."""
_NAMED = 3
"""Files that a warning of a disc names."""
_NEEDS_AN_EYE = (Verdict.UNPARSEABLE, Verdict.CONFLICT, Verdict.REFUSED)


_CLOSING = {
    "junk": (Verdict.JUNK, "junk_name"),
    "special": (Verdict.IGNORED, "ignored_link"),
    "unparseable": (Verdict.UNPARSEABLE, "not_dicom"),
    "loose": (Verdict.IGNORED, "ignored_no_one_study"),
}
"""Content of an entry -> the verdict and the code that it has where no step gave it one."""


def close_verdicts(ledger: Ledger) -> None:
    """Give the remaining entries the verdict that their content stands for, in one pass over all."""
    verdicts = " ".join(f"WHEN '{content}' THEN '{verdict}'" for content, (verdict, _) in _CLOSING.items())
    codes = " ".join(f"WHEN '{content}' THEN '{code}'" for content, (_, code) in _CLOSING.items())
    contents = ", ".join(f"'{content}'" for content in _CLOSING)
    ledger.run(
        f"UPDATE entry SET verdict = CASE content {verdicts} END,"
        f" code = CASE WHEN code = '' THEN CASE content {codes} END ELSE code END"
        f" WHERE verdict = '' AND content IN ({contents}) AND {NO_OBJECT}"
    )


@contextmanager
def write_receipt_beside(context: JobContext, archive: str, names: dict[int, str]) -> Iterator[None]:
    """Write the receipt into the stage behind the body, made in a thread while that runs; see `write_receipt`.

    The body may read the ledger, and changes nothing in it: SQLite would lock it for both. Nearly all of a receipt is
    SQLite's and the packer's work, which leave the interpreter to others.
    """
    _prepare_receipt(context.ledger, names)
    statement = _choose_statement(context.ledger)
    with (
        closing(context.ledger.connect_beside()) as reader,
        closing(run_ahead(_pack_lines(reader, statement, archive))) as pieces,
    ):
        first = next(pieces)  # with this the thread begins
        yield
        with context.stage.put(RECEIPT) as target:
            target.write(first)
            for piece in pieces:
                target.write(piece)


def write_receipt(context: JobContext, archive: str, names: dict[int, str]) -> None:
    """Write the whole receipt, compressed, into the stage; it becomes the import's with its outcome.

    `names` gives a job's folder under DATA.
    """
    with context.stage.put(RECEIPT) as target:
        compress_receipt(context.ledger, archive, names, target.write)


def compress_receipt(ledger: Ledger, archive: str, names: dict[int, str], write: Callable[[bytes], object]) -> None:
    """Write the receipt as compressed JSON lines (`ReceiptLine`), in archive order.

    `names` gives a job's folder under DATA, for `stored_as`.
    """
    _prepare_receipt(ledger, names)
    for piece in _pack_lines(ledger.db, _choose_statement(ledger), archive):
        write(piece)


def _prepare_receipt(ledger: Ledger, names: dict[int, str]) -> None:
    """Note in the ledger what lines say that its entries don't."""
    ledger.many("INSERT OR REPLACE INTO receipt_code VALUES (?, ?)", ((code, CODES[code].sentence) for code in CODES))
    ledger.many("INSERT OR REPLACE INTO job_folder VALUES (?, ?)", names.items())
    shown = ledger.names
    if shown.hides_anything:
        entries = ledger.stream("SELECT ordinal, path, COALESCE(own_sha256, sha256) FROM entry")
        ledger.many(
            "INSERT OR REPLACE INTO shown_entry VALUES (?, ?, ?)",
            (
                (number, shown.path(number, path), shown.origin(sha256) if sha256 and shown.hides_bytes else None)
                for number, path, sha256 in entries
            ),
        )


def _choose_statement(ledger: Ledger) -> str:
    """The statement that makes lines, with origins where an entry may have one."""
    if ledger.names.hides_bytes or ledger.rows("SELECT 1 FROM entry WHERE origin IS NOT NULL LIMIT 1"):
        return _LINES.format(sha256="IIF(origin IS NULL, sha256, NULL)", more=', "origin": %s')
    return _LINES.format(sha256="sha256", more="")


def _pack_lines(reader: sqlite3.Connection, statement: str, archive: str) -> Generator[bytes, None, None]:
    packer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, _GZIP)
    yield b""  # so that `write_receipt_beside` waits for the start of the thread alone
    for text in _line_texts(reader, statement, archive):
        yield packer.compress(text)
    yield packer.flush()


def _line_texts(reader: sqlite3.Connection, statement: str, archive: str) -> Iterator[bytes]:
    """The lines of a receipt, LINES at a time. SQLite makes them: 1 µs each, where Python takes 5."""
    last: bytes | None = b""
    while last is not None:
        text, count, with_message, last = reader.execute(statement, (json.dumps(archive), last, LINES)).fetchone()
        if with_message < count:
            raise LookupError("An entry has neither a message nor a code of the receipt.")
        if count:
            yield text


def record_exceptions(context: JobContext, counts: Mapping[str, int]) -> None:
    """Note in the catalog the first of those entries that a person should look at; `counts` are all, by verdict."""
    if not any(counts[verdict] for verdict in _NEEDS_AN_EYE):
        return
    rows = [
        {
            "upload_id": context.lease.upload_id,
            "n": n,
            "path": context.ledger.names.path(number, path)
            .encode("utf-8", "backslashreplace")
            .decode()
            .replace("\0", "\\0"),
            "verdict": verdict,
            "code": code,
            "message": message or CODES[code].sentence,
        }
        for n, (number, path, verdict, code, message) in enumerate(
            context.ledger.rows(
                "SELECT ordinal, path, verdict, code, message FROM entry WHERE verdict IN (?, ?, ?)"
                " ORDER BY ordinal LIMIT ?",
                (*_NEEDS_AN_EYE, EXCEPTIONS),
            )
        )
    ]
    if rows:
        with context.catalog.write() as connection:
            check_lease(context.catalog, connection, context.lease)
            connection.execute(insert(upload_exception), rows)


def import_outcome(jobs: list[Job], upload_verdict: UploadVerdict) -> tuple[ImportState, str, str]:
    """(state, code, message) of the import (design: fixed surface)."""
    refused = upload_verdict.refused
    if refused is not None:
        return ImportState.REFUSED, refused.code, f"{refused.message} {refused.remedy}".strip()
    held = [job for job in jobs if job.final_decision.held is not None]
    if upload_verdict.lost:
        also = f" {_held_message(held)}" if held else ""
        return ImportState.PARTLY, "inner_refused", f"{_lost_message(upload_verdict.lost)} Look at the warnings.{also}"
    if upload_verdict.failed_sessions:
        also = f" {_held_message(held)}" if held else ""
        return ImportState.PARTLY, "deid_failed", f"{_failed_message(upload_verdict.failed_sessions)}{also}"
    if held:
        why = held[0].final_decision.held
        assert why is not None
        return ImportState.HELD, why.code, _held_message(held)
    return ImportState.PLACED, "", ""


def _lost_message(count: int) -> str:
    return "An inner archive could not be taken." if count == 1 else f"{count} inner archives could not be taken."


def _failed_message(count: int) -> str:
    sessions = "1 session" if count == 1 else f"{count} sessions"
    return (
        f"{sessions} could not be de-identified, and nothing of it was stored."
        if count == 1
        else (f"{sessions} could not be de-identified, and nothing of them was stored.")
    )


def _held_message(held: list[Job]) -> str:
    first = held[0].final_decision.held
    assert first is not None
    if len(held) == 1:
        return f"{first.message} {first.remedy}".strip()
    return f"{len(held)} sessions wait in the prearchive for a decision. {first.message} {first.remedy}".strip()


def upload_warnings(ledger: Ledger, totals: EntryTotals, extra: list[Notice]) -> list[dict[str, str]]:
    """Warnings about the upload as a whole: unparseable entries that were ignored, and what the walk noted."""
    notices = [*extra, *missing_disc_files(ledger)]
    if totals.counts[Verdict.FILTERED]:
        notices += filtered_notices(ledger)
    if count := totals.counts[Verdict.UNPARSEABLE]:
        first = ledger.rows("SELECT ordinal, path FROM entry WHERE verdict = 'unparseable' ORDER BY ordinal LIMIT 3")
        names = ", ".join(quote(ledger.names.path(number, path)) for number, path in first)
        notices.append(
            Notice(
                code="unparseable_ignored",
                message=f"{_left_out_message(count)}: {names}" + (" and more." if count > len(first) else "."),
                remedy="See the receipt for each.",
            )
        )
    return [{"code": w.code, "message": f"{w.message} {w.remedy}".strip()} for w in dict.fromkeys(notices)]


def _left_out_message(count: int) -> str:
    if count == 1:
        return "1 entry that should be an image can't be read and was left out"
    return f"{count} entries that should be images can't be read and were left out"


def receipt_rows(source: Iterable[bytes]) -> Iterator[list[str | int | None]]:
    """The receipt's lines as rows of a table, the header first."""
    columns: tuple[str, ...] = ()
    for raw in source:
        line = json.loads(raw)
        if not columns:
            columns = receipt_columns(line)
            yield list(columns)
        yield [line.get(column) for column in columns]
    if not columns:
        yield list(receipt_columns({}))


def missing_disc_files(ledger: Ledger) -> list[Notice]:
    """One warning for each DICOMDIR that lists files which are not in its archive (rules.md, images 1)."""
    notices = []
    for number, path, folder, facts in ledger.rows(
        "SELECT ordinal, path, folder, facts FROM entry"
        f" WHERE content = 'junk' AND {NO_OBJECT} AND code = 'dicomdir' AND facts NOT IN ('', '[]', ?)"
        " ORDER BY ordinal",
        (INNER,),
    ):
        listed = [name.replace("\\", "/").strip("/") for name in json.loads(facts)]
        present = {
            name.replace("\\", "/").casefold().rstrip(".")
            for (name,) in ledger.stream(
                "SELECT SUBSTR(path, ?) FROM entry WHERE SUBSTR(path, 1, ?) = ?", (len(folder) + 1, len(folder), folder)
            )
        }
        bare = {name.rpartition(".")[0] for name in present}
        lacking = [name for name in listed if name.casefold() not in present and name.casefold() not in bare]
        if lacking:
            named = [] if ledger.names.level == "drop" else map(ledger.names.message_name, lacking[:_NAMED])
            names = ", ".join(map(quote, named))
            notices.append(
                Notice(
                    code="dicomdir_missing",
                    message=f"{quote(ledger.names.path(number, path))} lists {len(listed)} files; {len(lacking)} are"
                    f" not in the archive{names and f': {names}'}"
                    + (" and more." if len(lacking) > _NAMED and names else "."),
                    remedy="Check that the disc was copied whole.",
                )
            )
    return notices
