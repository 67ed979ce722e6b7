"""What became of the objects of one request to store (STOW-RS), by the receipt and the sessions of its import."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import project, scan, session
from scandock.catalog.trees import files_of, resources_of
from scandock.model.imported import ImportedSession
from scandock.model.verdicts import WITHOUT_RECEIPT, Verdict
from scandock.publishing.tree_files import file_paths
from scandock.rules.receipt_codes import ReceiptLine
from scandock.services.import_errors import ReceiptMissing
from scandock.services.import_records import Import
from scandock.services.receipts import open_receipt
from scandock.services.sent_objects import FailureReason, SentObject
from scandock.store.local import LocalStore

_KEPT: Final = (Verdict.STORED, Verdict.DUPLICATE, Verdict.CONFLICT, Verdict.RESOURCE)
"""Verdicts of objects that are in a session, or whose like is."""
_REASONS: Final = {
    "disk_full": FailureReason.NO_SPACE,
    "project_unknown": FailureReason.NOT_AUTHORIZED,
    "account_disabled": FailureReason.NOT_AUTHORIZED,
    "forbidden": FailureReason.NOT_AUTHORIZED,
}
"""Codes of imports that took nothing, where more can be told than that."""


@dataclass(frozen=True, slots=True)
class StoredAddress:
    """Where an object is now. `project` is its project's id, `archived` whether its session is in the archive."""

    project: str
    archived: bool
    study_uid: str
    """Of a session that was de-identified; empty where the object's own is right."""
    series_uid: str
    sop_uid: str


@dataclass(frozen=True, slots=True)
class ObjectOutcome:
    """What became of one object: it failed for a reason, or is kept, or nobody knows yet (`known` is false)."""

    sent: SentObject
    failure: FailureReason | None = None
    held: bool = False
    """Its session waits for somebody's decision."""
    address: StoredAddress | None = None
    known: bool = True


def unknown_outcomes(objects: Iterable[SentObject]) -> list[ObjectOutcome]:
    """What is known while their import has not ended: what failed at the door, and that the others are kept."""
    return [ObjectOutcome(sent, sent.failure, known=sent.failure is not None) for sent in objects]


def read_outcomes(
    catalog: Catalog, store: LocalStore, ended: Import, objects: Sequence[SentObject]
) -> list[ObjectOutcome]:
    """What became of each object by an import that has ended."""
    taken = sum(sent.failure is None for sent in objects)
    whole = _REASONS.get(ended.code, FailureReason.PROCESSING)
    if ended.state in WITHOUT_RECEIPT:
        return [ObjectOutcome(sent, sent.failure or whole) for sent in objects]
    lines = _read_lines(store, ended.id)
    if len(lines) != taken:  # a receipt that was made anew from the catalog does not tell them apart
        return unknown_outcomes(objects)
    with catalog.read() as connection:
        sessions = [_Session(connection, imported) for imported in ended.brought() if imported.id and imported.path]
        for line in lines:
            for each_session in sessions:
                each_session.want(line["stored_as"])
        addresses = {path: address for each_session in sessions for path, address in each_session.addresses(connection)}
    held = {each_session.prefix for each_session in sessions if each_session.held}
    remaining = iter(lines)
    return [
        ObjectOutcome(sent, sent.failure)
        if sent.failure is not None
        else _outcome(sent, next(remaining), whole, addresses, held)
        for sent in objects
    ]


def _outcome(
    sent: SentObject,
    line: ReceiptLine,
    whole: FailureReason,
    addresses: dict[str, StoredAddress],
    held: set[str],
) -> ObjectOutcome:
    stored_as = line["stored_as"] or ""
    if line["verdict"] == Verdict.UNPARSEABLE:
        return ObjectOutcome(sent, FailureReason.UNREADABLE)
    if line["verdict"] not in _KEPT:
        return ObjectOutcome(sent, whole)
    is_held = line["verdict"] == Verdict.CONFLICT or any(stored_as.startswith(prefix) for prefix in held)
    return ObjectOutcome(sent, held=is_held, address=addresses.get(stored_as))


def _read_lines(store: LocalStore, uuid: str) -> list[ReceiptLine]:
    try:
        packed = open_receipt(store, uuid)
    except ReceiptMissing:
        return []
    with packed, gzip.GzipFile(fileobj=packed) as lines:
        return [json.loads(line) for line in lines]


class _Session:
    """A session of the import, and those of its files that are asked for."""

    def __init__(self, connection: Connection, imported: ImportedSession) -> None:
        self.prefix = f"{imported.path}/"
        self._paths: set[str] = set()
        self._row = connection.execute(
            select(
                session.c.tree_id,
                session.c.place,
                session.c.study_uid,
                session.c.held_code,
                session.c.state,
                project.c.name,
            )
            .join(project, project.c.id == session.c.project_id)
            .where(session.c.uuid == imported.id)
        ).first()

    @property
    def held(self) -> bool:
        return self._row is not None and bool(self._row.held_code or self._row.state == "conflict")

    def want(self, stored_as: str | None) -> None:
        """Ask for a file, if it is of this session."""
        if stored_as is not None and stored_as.startswith(self.prefix):
            self._paths.add(stored_as.removeprefix(self.prefix))

    def addresses(self, connection: Connection) -> Iterable[tuple[str, StoredAddress]]:
        """Where the files are that were asked for, by their paths under DATA."""
        if self._row is None or not self._paths:
            return
        tree_id = self._row.tree_id
        scans: dict[int, str] = {
            row.n: row.series_uid or ""
            for row in connection.execute(select(scan.c.n, scan.c.series_uid).where(scan.c.tree_id == tree_id))
        }
        series: defaultdict[int, str] = defaultdict(str)
        for resource_row in resources_of(connection, tree_id):
            if resource_row.scan_n is not None:
                series[resource_row.n] = scans[resource_row.scan_n]
        with closing(files_of(connection, tree_id)) as files:
            rows = {row.n: row for row in files if row.sop_uid}
        for number, path in file_paths(connection, tree_id, rows.values()).items():
            if path in self._paths:
                row = rows[number]
                yield (
                    self.prefix + path,
                    StoredAddress(
                        self._row.name,
                        self._row.place == "archive",
                        (self._row.study_uid or "") if row.origin is not None else "",
                        series[row.resource_n],
                        row.sop_uid or "",
                    ),
                )
