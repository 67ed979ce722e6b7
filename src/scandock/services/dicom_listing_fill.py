"""Lists of DICOM studies filled for sessions from before there were any: by a worker, beside all else that it does.

First by what their imports counted; then, of what those did not read yet, by one object of each series. What is written
is what the rows say as it is written, under the session's lock: headers may be read anew meanwhile, trees published.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Final

from sqlalchemy import Connection

from scandock.catalog.dicom_listings import ScanFacts, lock_listing, rewrite_listing, unlisted_trees
from scandock.catalog.engine import Catalog
from scandock.catalog.records import SessionRecord
from scandock.catalog.sessions import session_rows
from scandock.catalog.tables import ListingState, session
from scandock.catalog.tree_places import read_places
from scandock.catalog.trees import ScanRow, files_of_resources, scans_of
from scandock.formats.dicom_header import Unparseable, read_header
from scandock.formats.dicom_tally import Tally
from scandock.model.series import REQUESTS, SeriesTally
from scandock.model.tags import NUMBERS, TAGS
from scandock.publishing.tree_files import damaged_paths_of
from scandock.rules.dicom_listing import LATER_READ, is_whole
from scandock.services.records import path_of
from scandock.store.paths import RelPath, tree_path
from scandock.store.port import Snapshot, Store

_BATCH: Final = 50
_HEAD: Final = 65_536
_WANTED: Final = frozenset(TAGS)


def fill_listings(catalog: Catalog, store: Store, seconds: float, stop: Callable[[], bool]) -> bool:
    """Fill for about so long; whether something is left. Raises Fault where the catalog or the disk fails."""
    until = time.monotonic() + seconds
    for state, fill in (
        (ListingState.MISSING, partial(_fill_from_facts, catalog)),
        (ListingState.PARTIAL, partial(_fill_from_objects, catalog, store)),
    ):
        after = 0
        while True:
            with catalog.read() as connection:
                trees = unlisted_trees(connection, state, _BATCH, after)
            if not trees:
                break
            for tree_id in trees:
                fill(tree_id)
                if stop() or time.monotonic() >= until:
                    return True
            after = trees[-1]
    return False


def _fill_from_facts(catalog: Catalog, tree_id: int) -> None:
    with catalog.write() as connection:
        holder = lock_listing(connection, tree_id)
        if holder is not None and holder.state is ListingState.MISSING:
            rewrite_listing(connection, tree_id, [_scan_facts(scan) for scan in scans_of(connection, tree_id)])


def _fill_from_objects(catalog: Catalog, store: Store, tree_id: int) -> None:
    with catalog.read() as connection:
        source = _read_session(connection, tree_id)
        if source is None:
            return
        objects = {
            scan.n: (path, size)
            for scan in scans_of(connection, tree_id)
            if isinstance(scan.facts, SeriesTally) and not is_whole(scan.facts)
            for path, size in _first_object(connection, tree_id, scan)
        }
        damaged = damaged_paths_of(connection, tree_id)
    learned: dict[int, SeriesTally] = {}
    is_complete = True
    try:
        snapshot = store.snapshot(tree_path(source.parts))
    except FileNotFoundError:  # moved meanwhile, or gone: as it stands there is nothing to learn
        snapshot = None
    if snapshot is not None:
        with closing(snapshot):
            for n, (path, size) in objects.items():
                try:
                    tally = _read_object(snapshot, path, size)
                except OSError:  # the disk fails, or the network to it: it is read again, unless it is known as damage
                    is_complete = is_complete and path in damaged
                    continue
                if tally is not None:
                    learned[n] = tally
    with catalog.write() as connection:
        holder = lock_listing(connection, tree_id)
        if holder is None or holder.uuid != source.uuid or holder.state is not ListingState.PARTIAL:
            return  # somebody was faster, or it is another session's tree: numbers of trees may come again
        if snapshot is None and _read_session(connection, tree_id) != source:
            return  # it was renamed: it is read at the next turn
        facts = [_learn(scan, learned.get(scan.n)) for scan in scans_of(connection, tree_id)]
        rewrite_listing(connection, tree_id, facts, complete=is_complete)


def _read_session(connection: Connection, tree_id: int) -> SessionRecord | None:
    """The session that has a tree."""
    row = connection.execute(session_rows().where(session.c.tree_id == tree_id)).mappings().first()
    return None if row is None else SessionRecord.from_row(row)


def _scan_facts(scan: ScanRow) -> ScanFacts:
    """A scan as its listing takes it."""
    return scan.n, scan.series_uid, scan.facts


def _first_object(connection: Connection, tree_id: int, scan: ScanRow) -> list[tuple[RelPath, int]]:
    places = {n: place for n, place in read_places(connection, tree_id).items() if place.scan_n == scan.n}
    for row in files_of_resources(connection, tree_id, places):
        if row.sop_uid is not None:
            return [(path_of(row, places[row.resource_n]), row.bytes)]
    return []


def _read_object(snapshot: Snapshot, path: RelPath, size: int) -> SeriesTally | None:
    """What one object says; None where it is gone or is none: verification tells of that. OSError."""

    def more(length: int) -> bytes:
        with snapshot.open(path, 0, length) as stream:
            return stream.read()

    tally = Tally()
    try:
        tally.add(read_header(more(min(size, _HEAD)), size, _WANTED, more))
    except (FileNotFoundError, Unparseable):
        return None
    return tally.drain()[0]


def _learn(scan: ScanRow, one: SeriesTally | None) -> ScanFacts:
    """What is known of a scan by now, with what one of its objects says where that is not all."""
    if one is None or not isinstance(scan.facts, SeriesTally) or is_whole(scan.facts):
        return _scan_facts(scan)
    return scan.n, scan.series_uid, _with_learned(scan.facts, one)


def _with_learned(facts: SeriesTally, one: SeriesTally) -> SeriesTally:
    """What was counted over a series, with what one of its objects says of elements that were not read then."""
    numbers = [NUMBERS[keyword] for keyword in LATER_READ]
    values = {**facts.values, **{number: one.values[number] for number in numbers if number in one.values}}
    nested = dict(facts.nested)
    if REQUESTS in one.nested:
        nested.setdefault(REQUESTS, one.nested[REQUESTS])
    return SeriesTally(facts.study_uid, facts.series_uid, facts.objects, facts.frames, values, nested, facts.overfull)
