"""`pullDataFromHeaders`: attributes of a session and its scans, read anew from the files that stand (2.4; 4.4, 4.5).

Imports tally what they bring as they bring it; files that came by hand are read when a client asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import field
from typing import Final

from sqlalchemy import Connection, func, update

from scandock.catalog.dicom_listings import rewrite_listing
from scandock.catalog.file_rows import FileRow
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import scan_edit
from scandock.catalog.tables import scan, session
from scandock.catalog.trees import ResourceRow, ScanRow, change_files, files_of, resources_of, scan_values, scans_of
from scandock.formats.dicom_header import Header, Unparseable, looks_like_dicom, read_header
from scandock.formats.dicom_tally import OBJECTS, Tally
from scandock.model.dataclass import dataclass
from scandock.model.series import SERIES_KEYS, SeriesTally
from scandock.model.tags import NUMBERS, TAGS
from scandock.publishing.errors import SessionBusy
from scandock.rules.frame_counts import count_object_frames
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.context import ServiceContext
from scandock.services.damaged_files import Damaged, find_damaged_paths
from scandock.services.prearchive import rebuild_session
from scandock.services.scan_types import UNKNOWN
from scandock.services.session_creation import session_transaction
from scandock.store.paths import RelPath, resource_file, tree_path
from scandock.store.port import Snapshot

_HEAD: Final = 1024 * 1024
_WANTED: Final = frozenset(TAGS)
_IMAGES: Final = frozenset({"dicom", "secondary"})
_PATIENT: Final = "PatientID"


class ScanHeaders:
    """What the headers of a scan's objects say, whatever series they are of: one tally, however many these are."""

    def __init__(self) -> None:
        self.tally = SeriesTally("", "")
        self.series: set[str] = set()
        self.studies: set[str] = set()
        self.frames = 0
        """Of all objects that are images (`object_frames`)."""
        self._added = Tally()
        self._objects = 0

    def add(self, header: Header) -> None:
        """Count one object."""
        self._added.add(header)
        self._objects += 1
        self.frames += count_object_frames(header.sop_class, header.values)
        if self._objects == OBJECTS:
            self.settle()

    def settle(self) -> None:
        """Count into the tally what was added since the last time."""
        for header in self._added.drain():
            self.series.add(header.series_uid)
            self.studies.add(header.study_uid)
            self.tally.merge(header)
        self._objects = 0


@dataclass(slots=True)
class _SessionHeaders:
    """What the headers of a session's scans say."""

    scans: dict[int, ScanHeaders] = field(default_factory=dict)
    """By the scan's number."""
    files: dict[int, dict[str, object]] = field(default_factory=dict)
    """By number, what the catalog does not say yet of files."""

    @property
    def studies(self) -> set[str]:
        return {study for headers in self.scans.values() for study in headers.studies}


def pull_headers(context: ServiceContext, uuid: str, scan_id: str | None = None) -> None:
    """Read the headers of all objects in a session's scans, or in one of them, and write its attributes anew.

    AccessDenied, Usage `session_busy`, and `file_damaged` where one is known to be damaged.
    """
    for retries in reversed(range(3)):
        with context.catalog.read() as connection:
            source = rights.find_session_for(connection, context.principal, uuid, Action.SESSION_EDIT, place="archive")
            scans = {row.n: row for row in scans_of(connection, source.tree_id)}
            resources = {row.n: row for row in resources_of(connection, source.tree_id)}
            if scan_id is not None:
                numbers = {row.n for row in scans.values() if row.scan_id == scan_id}
                resources = {row.n: row for row in resources.values() if row.scan_n in numbers}
            files = list(files_of(connection, source.tree_id))
            find_damaged_paths(connection, source, Damaged.REFUSE)  # what they say is none of the session's attributes
        with closing(context.store.snapshot(tree_path(source.parts))) as snapshot:
            session_headers = _read_headers(snapshot, scans, resources, files)
        if _write_headers(context, source, scans, session_headers):
            break
        if not retries:
            raise SessionBusy("The session is being changed again and again.", "Try again in a moment.")
    rebuild_session(context, uuid, headers_first=True)


def _read_headers(
    snapshot: Snapshot, scans: dict[int, ScanRow], resources: dict[int, ResourceRow], files: Iterable[FileRow]
) -> _SessionHeaders:
    headers = _SessionHeaders()
    of_images = _find_image_resources(resources.values())
    for row in files:
        resource = resources.get(row.resource_n)
        if resource is None or resource.scan_n is None or resource.n not in of_images:
            continue
        path = resource_file(scans[resource.scan_n].scan_id, resource.label, row.name)
        with snapshot.open(path) as stream:
            head = stream.read(_HEAD)

            def more(length: int, path: RelPath = path) -> bytes:
                with snapshot.open(path, 0, length) as stream:
                    return stream.read()

            if not looks_like_dicom(head, row.bytes):
                continue
            try:
                header = read_header(head, row.bytes, _WANTED, more)
            except Unparseable:
                continue
        headers.scans.setdefault(resource.scan_n, ScanHeaders()).add(header)
        if row.sop_uid is None:
            count = count_object_frames(header.sop_class, header.values)
            headers.files[row.n] = {"sop_uid": header.sop_uid, "frames": count, "dataset_at": header.dataset_at}
    for scan_headers in headers.scans.values():
        scan_headers.settle()
    return headers


def _find_image_resources(resources: Iterable[ResourceRow]) -> set[int]:
    """The resources whose objects say what a scan is: by their names, or by their format where it has none of these."""
    of_scans = [row for row in resources if row.scan_n is not None and row.files]
    by_label = [row for row in of_scans if row.label.casefold() in _IMAGES]
    known_scans = {row.scan_n for row in by_label}
    by_format = [row for row in of_scans if row.scan_n not in known_scans and row.format.upper() == "DICOM"]
    return {row.n for row in (*by_label, *by_format)}


def _write_headers(
    context: ServiceContext, source: SessionRecord, scans: dict[int, ScanRow], session_headers: _SessionHeaders
) -> bool:
    """Write what was read; False where the session shows another tree by now."""
    with session_transaction(context, source.uuid) as (connection, current):
        if current.tree_id != source.tree_id:
            return False
        change_files(connection, source.tree_id, session_headers.files)
        for n, headers in session_headers.scans.items():
            _update_scan(connection, source.tree_id, scans, scans[n], headers)
        rows = scans_of(connection, source.tree_id)
        rewrite_listing(connection, source.tree_id, [(row.n, row.series_uid, row.facts) for row in rows])
        _clear_unknown_types(connection, source, [scans[n].scan_id for n in session_headers.scans])
        if current.by_hand and len(session_headers.studies) == 1:
            _update_session(connection, current, session_headers)
    return True


def _clear_unknown_types(connection: Connection, source: SessionRecord, scan_ids: list[str]) -> None:
    """A scan that was made as of an unknown type is of the type that its headers say."""
    connection.execute(
        update(scan_edit)
        .where(
            scan_edit.c.session_id == source.id,
            scan_edit.c.scan_id.in_(scan_ids),
            func.lower(scan_edit.c.type) == UNKNOWN,
        )
        .values(type=None)
    )


def _update_scan(
    connection: Connection,
    tree_id: int,
    scans: dict[int, ScanRow],
    scan_row: ScanRow,
    headers: ScanHeaders,
) -> None:
    """Let a scan be what its objects say; it is a series only where they are of one that no other scan is."""
    if isinstance(scan_row.facts, list) or (
        scan_row.series_uid is not None and scan_row.series_uid not in headers.series
    ):
        return  # imports know it by its ECAT files, or by its series
    if scan_row.series_uid is None and len(headers.series) == 1:
        series_uids = {other.series_uid for other in scans.values()} | {""}
        scan_row.series_uid = next(iter(headers.series - series_uids), None)
    of_study = next(iter(headers.studies)) if len(headers.studies) == 1 else ""
    scan_row.frames = headers.frames
    keys = scan_row.facts.nested.get(SERIES_KEYS) if isinstance(scan_row.facts, SeriesTally) else None
    tally = headers.tally
    scan_row.facts = SeriesTally(
        of_study, scan_row.series_uid or "", tally.objects, headers.frames, tally.values, tally.nested, tally.overfull
    )
    if keys is not None:  # no header says what it was before it was de-identified
        scan_row.facts.nested[SERIES_KEYS] = keys
    values = scan_values(tree_id, scan_row)
    connection.execute(
        update(scan)
        .where(scan.c.tree_id == tree_id, scan.c.n == scan_row.n)
        .values(series_uid=values["series_uid"], facts=values["facts"], frames=values["frames"])
    )


def _update_session(connection: Connection, current: SessionRecord, session_headers: _SessionHeaders) -> None:
    """A session made by hand learns its study and its patient."""
    (study,) = session_headers.studies
    ids: dict[str, int] = {}
    for scan_headers in session_headers.scans.values():
        for text, count in scan_headers.tally.values.get(NUMBERS[_PATIENT], {}).items():
            ids[text] = ids.get(text, 0) + count
    patient = max(sorted(ids), key=lambda text: ids[text], default="")
    connection.execute(
        update(session)
        .where(session.c.id == current.id)
        .values(study_uid=current.study_uid or study or None, patient_id=current.patient_id or patient)
    )
