"""What became of the objects of one request to store (STOW-RS), by the receipt and the sessions of its import."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, select

from scandock.catalog.engine import Catalog
from scandock.catalog.file_rows import FileRow
from scandock.catalog.tables import dicom_series, project, session
from scandock.catalog.tree_places import FilePlace, read_places
from scandock.catalog.trees import files_of, find_objects
from scandock.model.dataclass import dataclass
from scandock.model.imported import ImportedSession
from scandock.model.verdicts import WITHOUT_RECEIPT, Verdict
from scandock.rules.filenames import uid_in_name
from scandock.rules.receipt_codes import ReceiptLine
from scandock.services.import_errors import ReceiptMissing
from scandock.services.import_records import Import
from scandock.services.receipts import open_receipt
from scandock.services.records import path_of
from scandock.services.sent_objects import FailureReason, SentObject
from scandock.store.port import Store

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
    """That of the object as it is stored; empty where it is not listed, and its own is right."""
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


def read_outcomes(catalog: Catalog, store: Store, ended: Import, objects: Sequence[SentObject]) -> list[ObjectOutcome]:
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
        for sent, line in zip((one for one in objects if one.failure is None), lines, strict=True):
            for each_session in sessions:
                each_session.want(line["stored_as"], sent.sop_uid)
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


def _read_lines(store: Store, uuid: str) -> list[ReceiptLine]:
    try:
        packed = open_receipt(store, uuid)
    except ReceiptMissing:
        return []
    with packed, gzip.GzipFile(fileobj=packed) as lines:
        return [json.loads(line) for line in lines]


_FOLDERS: Final = 5
"""Above the name of a scan's file in its tree."""


class _Session:
    """A session of the import, and those of its files that are asked for."""

    def __init__(self, connection: Connection, imported: ImportedSession) -> None:
        self.prefix = f"{imported.path}/"
        self._paths: set[str] = set()
        self._uids: set[str] = set()
        self._row = connection.execute(
            select(session.c.tree_id, session.c.place, session.c.held_code, session.c.state, project.c.name)
            .join(project, project.c.id == session.c.project_id)
            .where(session.c.uuid == imported.id)
        ).first()

    @property
    def held(self) -> bool:
        return self._row is not None and bool(self._row.held_code or self._row.state == "conflict")

    def want(self, stored_as: str | None, sop_uid: str) -> None:
        """Ask for a file, if it is of this session, that has an object which was sent with a UID."""
        if stored_as is not None and stored_as.startswith(self.prefix):
            self._paths.add(stored_as.removeprefix(self.prefix))
            self._uids |= {sop_uid, uid_in_name(stored_as.rpartition("/")[2])}

    def addresses(self, connection: Connection) -> Iterable[tuple[str, StoredAddress]]:
        """Where the files are that were asked for, by their paths under DATA."""
        if self._row is None or not self._paths:
            return
        missing = set(self._paths)
        for path, address in self._read_addresses(connection):
            if path in missing:
                missing.remove(path)
                yield self.prefix + path, address

    def _read_addresses(self, connection: Connection) -> Iterator[tuple[str, StoredAddress]]:
        """Of files that have one of the objects; then of all that are called so, where some have other UIDs."""
        assert self._row is not None
        tree_id = self._row.tree_id
        rows = [row for _, row in find_objects(connection, self._uids - {""}, tree_id=tree_id)]
        places = read_places(connection, tree_id)
        of_series = select(dicom_series.c.n, dicom_series.c.study_uid).where(dicom_series.c.tree_id == tree_id)
        studies = {row.n: row.study_uid for row in connection.execute(of_series)}
        seen = 0
        for row in rows:
            for path, address in self._address(row, places, studies):
                seen += path in self._paths
                yield path, address
        if seen == len(self._paths):
            return
        names = {path.split("/", _FOLDERS)[-1] for path in self._paths}
        for row in files_of(connection, tree_id):
            if row.name in names:
                yield from self._address(row, places, studies)

    def _address(
        self, row: FileRow, places: Mapping[int, FilePlace], studies: Mapping[int, str]
    ) -> Iterator[tuple[str, StoredAddress]]:
        """Path and address of a file that is an object of a scan."""
        assert self._row is not None
        place = places.get(row.resource_n)
        if place is None or place.scan_n is None or row.sop_uid is None:
            return
        study = studies.get(place.scan_n) or ""
        yield (
            path_of(row, place),
            StoredAddress(self._row.name, self._row.place == "archive", study, place.series_uid or "", row.sop_uid),
        )
