"""Rows of `dicom_study` and `dicom_series`: written under a tree before anybody sees it, pointed at by its session."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, update

from scandock.catalog.file_manifests import has_manifests, read_files
from scandock.catalog.file_rows import FileRow
from scandock.catalog.tables import ListingState, dicom_series, dicom_study, file, resource, session, tree
from scandock.catalog.tree_places import read_places
from scandock.model.series import EcatFacts, SeriesTally
from scandock.rules.dicom_listing import ListedScan, ListedStudy, is_whole, list_studies

ScanFacts = tuple[int, str | None, SeriesTally | list[EcatFacts] | None]
"""Number, series UID and facts of a scan."""

_INSTANCES: Final = (
    select(resource.c.scan_n, func.count(file.c.sop_uid.distinct()))
    .join(file, and_(file.c.tree_id == resource.c.tree_id, file.c.resource_n == resource.c.n))
    .where(
        resource.c.tree_id == bindparam("tree"),
        file.c.tree_id == bindparam("tree"),
        resource.c.scan_n.is_not(None),
        file.c.sop_uid.is_not(None),
    )
    .group_by(resource.c.scan_n)
)
_NEW_STUDIES: Final = insert(dicom_study)
_NEW_SERIES: Final = insert(dicom_series)
_LEAVE: Final = (
    update(dicom_study)
    .where(dicom_study.c.session_id == bindparam("of_session"), dicom_study.c.tree_id != bindparam("of_tree"))
    .values(session_id=None)
)
_POINT: Final = (
    update(dicom_study)
    .where(dicom_study.c.tree_id == bindparam("of_tree"))
    .values(
        session_id=bindparam("of_session"), project_id=bindparam("in_project"), place=bindparam("in_place")
    )
)  # fmt: skip


def write_listing(
    connection: Connection, tree_id: int, scans: Iterable[ScanFacts], instances: Mapping[int, int] | None = None
) -> ListingState:
    """Write the studies and series of a tree whose files are written, and which has none; what they have of it then.

    `instances`: how many objects of different UIDs each scan has, where that is known without asking its files.
    """
    dicom = [(n, uid, facts) for n, uid, facts in scans if uid and isinstance(facts, SeriesTally) and facts.study_uid]
    if not dicom:
        return ListingState.COMPLETE
    if instances is None:
        instances = _count_instances(connection, tree_id)
    studies, series = list_studies([ListedScan(n, uid, facts, instances.get(n, 0)) for n, uid, facts in dicom])
    connection.execute(_NEW_STUDIES, [{"tree_id": tree_id, **_study_columns(study)} for study in studies])
    connection.execute(_NEW_SERIES, [{"tree_id": tree_id, **row._asdict()} for row in series])
    return ListingState.COMPLETE if all(is_whole(facts) for _, _, facts in dicom) else ListingState.PARTIAL


def _count_instances(connection: Connection, tree_id: int) -> dict[int, int]:
    """How many objects of different UIDs each scan has."""
    if not has_manifests(connection, tree_id):
        return {row[0]: row[1] for row in connection.execute(_INSTANCES, {"tree": tree_id})}
    scans = {place.n: place.scan_n for place in read_places(connection, tree_id).values()}
    return count_instances(scans, read_files(connection, tree_id))


def count_instances(scans: Mapping[int, int | None], files: Iterable[FileRow]) -> dict[int, int]:
    """How many objects of different UIDs each scan has among files; `scans` is the scan of each resource."""
    counter = InstanceCounter(scans)
    for _ in counter.pass_on(files):
        pass
    return counter.counts()


class InstanceCounter:
    """Counts the objects of different UIDs that each scan has among files that pass by."""

    def __init__(self, scans: Mapping[int, int | None]) -> None:
        """`scans` is the scan of each resource."""
        self._scans = scans
        self._hashes: dict[int, array[int]] = defaultdict(lambda: array("q"))  # 8 bytes an object, a UID takes 150

    def pass_on(self, files: Iterable[FileRow]) -> Iterator[FileRow]:
        """The same files, counted."""
        for row in files:
            scan_n = self._scans.get(row.resource_n)
            if scan_n is not None and row.sop_uid is not None:
                self._hashes[scan_n].append(hash(row.sop_uid))
            yield row

    def counts(self) -> dict[int, int]:
        """By scan, those that have passed so far."""
        return {scan_n: len(set(of_scan)) for scan_n, of_scan in self._hashes.items()}


def _study_columns(study: ListedStudy) -> dict[str, object]:
    patient, physician = study.patient_key, study.physician_key
    return {
        **study._asdict(),
        "patient_alphabetic": patient.alphabetic,
        "patient_ideographic": patient.ideographic,
        "patient_phonetic": patient.phonetic,
        "physician_alphabetic": physician.alphabetic,
        "physician_ideographic": physician.ideographic,
        "physician_phonetic": physician.phonetic,
    }


def point_listing(connection: Connection, session_id: int, tree_id: int, project_id: int, place: str) -> None:
    """Let the studies of a tree be those of a session, as it stands, and of no other tree."""
    connection.execute(_LEAVE, {"of_session": session_id, "of_tree": tree_id})
    connection.execute(
        _POINT, {"of_session": session_id, "of_tree": tree_id, "in_project": project_id, "in_place": place}
    )


class ListingHolder(NamedTuple):
    """The session whose tree it is, and what is listed of the tree."""

    uuid: str
    state: ListingState


def lock_listing(connection: Connection, tree_id: int) -> ListingHolder | None:
    """Who holds a tree, which until the end of the transaction nobody moves or replaces; None where no session does."""
    row = connection.execute(
        select(session.c.uuid, tree.c.listing)
        .join(tree, tree.c.id == session.c.tree_id)
        .where(session.c.tree_id == tree_id)
        .with_for_update(of=session)
    ).first()
    return None if row is None else ListingHolder(row.uuid, ListingState(row.listing))


def rewrite_listing(
    connection: Connection, tree_id: int, scans: Iterable[ScanFacts], *, complete: bool = False
) -> ListingState | None:
    """Write the studies and series of a session's tree anew; None where it has no session.

    `complete`: nothing more can be learned of it.
    """
    row = connection.execute(
        select(session.c.id, session.c.project_id, session.c.place)
        .where(session.c.tree_id == tree_id)
        .with_for_update()  # nobody publishes another tree meanwhile, or moves this one
    ).first()
    if row is None:
        return None
    for table in (dicom_study, dicom_series):
        connection.execute(delete(table).where(table.c.tree_id == tree_id))
    state = write_listing(connection, tree_id, scans)
    if complete:
        state = ListingState.COMPLETE
    connection.execute(update(tree).where(tree.c.id == tree_id).values(listing=state))
    point_listing(connection, row.id, tree_id, row.project_id, row.place)
    return state


def unlisted_trees(connection: Connection, state: ListingState, count: int, after: int = 0) -> Sequence[int]:
    """Trees of sessions of which `state` is what is listed, by their numbers, some behind a number."""
    query = (
        select(tree.c.id)
        .join(session, session.c.tree_id == tree.c.id)
        .where(tree.c.listing < ListingState.COMPLETE, tree.c.listing == state, tree.c.id > after)
        .order_by(tree.c.id)
        .limit(count)
    )
    return connection.execute(query).scalars().all()
