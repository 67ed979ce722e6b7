"""QIDO-RS below series: instances, by what their headers say (PS3.18 10.6).

No row of the catalog has what an instance is listed by. Packs have it of all objects of a scan, and headers are read
where there is no pack yet; what they say is kept for a while. Files of a tree never change. Of a long list only the
series of the page are looked at: how many instances the others have is known.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from scandock.catalog.file_rows import FileRow
from scandock.catalog.tables import session
from scandock.catalog.tree_places import read_places
from scandock.catalog.trees import files_of_resources, find_files, find_objects
from scandock.formats.dicom_header import Unparseable, read_header
from scandock.formats.dicom_text import decode_value
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault
from scandock.rules.dicom_attributes import IN_HEADERS, SOP_UID, SYNTAX, Level
from scandock.rules.dicom_query import DicomQuery
from scandock.services.context import ServiceContext
from scandock.services.dicom_search import (
    FoundSeries,
    SearchPage,
    SeriesKey,
    Values,
    find_series,
    list_series,
    number_order,
)
from scandock.services.dicomweb import DicomwebScope
from scandock.services.dicomweb_packs import CHUNK, PackStore, pack_name, pack_tree
from scandock.services.downloads import open_session_snapshot
from scandock.store.paths import RelPath, resource_file
from scandock.store.port import Snapshot

MAX_KEPT: Final = 50_000
"""Instances of which it is kept what their headers say: 20 MB at most."""
_HEAD: Final = 16_384
_TAGS: Final = {attribute.tag: (int(attribute.tag, 16), attribute.vr) for attribute in IN_HEADERS}
_WANTED: Final = frozenset(number for number, _ in _TAGS.values())
_NUMBER: Final = "00200013"
_COUNT: Final = "00201209"


class Instance(NamedTuple):
    """An object of a series, by the file that has it."""

    session: str
    """The UUID of its session."""
    tree_id: int
    n: int
    sop_uid: str
    scan_id: str
    resource: str
    name: str
    bytes: int
    pack: str
    """The pack of its tree in which it is; "" where that takes longer to tell than to read its header."""

    @property
    def path(self) -> RelPath:
        """Its file in the tree."""
        return resource_file(self.scan_id, self.resource, self.name)


@dataclass(frozen=True, slots=True)
class InstanceSearch:
    """A search for instances, of which it is known which there are, but not yet what their headers say."""

    query: DicomQuery
    series: Mapping[SeriesKey, Values]
    instances: Mapping[SeriesKey, Sequence[Instance]]
    """Those of the page, and of what they have to be searched from."""
    before: int = 0
    """How many results are before these."""
    behind: int = 0
    """How many are behind them."""


class InstanceHeaders:
    """What headers of instances say, for those asked for last; of one web process."""

    def __init__(self, most: int = MAX_KEPT) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int, int], Values] = OrderedDict()
        """By session, tree and number: numbers of trees may come again, in another session."""

    def known(self, instances: Iterable[Instance]) -> dict[tuple[int, int], Values]:
        """What is kept of some instances, by tree and number."""
        with self._lock:
            known = {}
            for one in instances:
                key = (one.session, one.tree_id, one.n)
                if key in self._kept:
                    self._kept.move_to_end(key)
                    known[one.tree_id, one.n] = self._kept[key]
            return known

    def keep(self, session: str, values: Mapping[tuple[int, int], Values]) -> None:
        """Keep what was read of a session, and forget what was asked for the longest time ago."""
        with self._lock:
            self._kept.update({(session, *key): found for key, found in values.items()})
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


def find_instances(
    connection: Connection,
    scope: DicomwebScope,
    query: DicomQuery,
    study_uid: str | None = None,
    series_uid: str | None = None,
) -> InstanceSearch:
    """The instances of a study or series, or that a query names by UIDs. RequestInvalid as `find_series`."""
    series = find_series(connection, scope, query, study_uid, series_uid)
    values = list_series(connection, series)
    above = query.matches_of(Level.STUDY, Level.SERIES)
    keys = [key for key, of_series in values.items() if all(match.accepts(of_series[tag]) for tag, match in above)]
    wanted = query.matches.get(SOP_UID.tag)
    before = behind = 0
    if wanted is not None:
        numbers = _find_numbers(connection, wanted.texts)
        instances = _read_instances(connection, series, keys, numbers)
    else:
        if not query.matches_of(Level.INSTANCE):
            keys, before, behind = _series_of_page(query, keys, values)
        instances = _read_instances(connection, series, keys)
    return InstanceSearch(query, values, instances, before, behind)


def _series_of_page(
    query: DicomQuery, keys: Sequence[SeriesKey], values: Mapping[SeriesKey, Values]
) -> tuple[list[SeriesKey], int, int]:
    """The series in which the page of a query is; how many instances are in those before, and in those behind."""
    of_page: list[SeriesKey] = []
    at = before = behind = 0
    for key in keys:
        count = int(values[key][_COUNT])
        if at + count <= query.offset:
            before += count
        elif not query.limit or at >= query.offset + query.limit:
            behind += at + count - max(at, query.offset)
        else:
            of_page.append(key)
        at += count
    return of_page, before, behind


def _find_numbers(connection: Connection, uids: Iterable[str]) -> dict[int, list[int]]:
    """The numbers of the files that objects have, by their trees."""
    numbers: dict[int, list[int]] = defaultdict(list)
    for tree_id, row in find_objects(connection, frozenset(uids)):
        numbers[tree_id].append(row.n)
    return numbers


def _read_instances(
    connection: Connection,
    series: FoundSeries,
    keys: Iterable[SeriesKey],
    numbers: Mapping[int, Sequence[int]] | None = None,
) -> dict[SeriesKey, list[Instance]]:
    """The objects of each series; one that several sessions have is that of the first.

    `numbers`: of the files that are asked for, by their trees; None for all.
    """
    parts = {key: series.parts[key] for key in keys}
    uuids = _read_uuids(connection, series)
    scans: dict[int, dict[int, str]] = defaultdict(dict)
    for of_series in parts.values():
        for part in of_series:
            scans[part.series.tree_id][part.series.n] = uuids[part.study.session_id]
    rows: dict[tuple[int, int], list[Instance]] = defaultdict(list)
    for tree_id, of_tree in scans.items():
        for scan_n, instance in _of_scans(connection, tree_id, of_tree, numbers):
            rows[tree_id, scan_n].append(instance)
    found: dict[SeriesKey, list[Instance]] = {}
    for key, of_series in parts.items():
        by_uid: dict[str, Instance] = {}
        for part in of_series:
            for instance in rows[part.series.tree_id, part.series.n]:
                by_uid.setdefault(instance.sop_uid, instance)
        found[key] = list(by_uid.values())
    return found


def _read_uuids(connection: Connection, series: FoundSeries) -> dict[int, str]:
    ids = {row.session_id for rows in series.studies.values() for row in rows}
    rows = connection.execute(select(session.c.id, session.c.uuid).where(session.c.id.in_(ids)))
    return {row.id: row.uuid for row in rows}


def _of_scans(
    connection: Connection,
    tree_id: int,
    uuids: Mapping[int, str],
    numbers: Mapping[int, Sequence[int]] | None,
) -> Iterator[tuple[int, Instance]]:
    """Objects of some scans of a tree with the scan's number, in the order in which packs have them."""
    places = {n: place for n, place in read_places(connection, tree_id).items() if place.scan_n in uuids}
    if numbers is None:
        rows: Iterable[FileRow] = files_of_resources(connection, tree_id, places)
    else:
        rows = find_files(connection, tree_id, frozenset(numbers.get(tree_id, ())))
    images = [
        (place.scan_n, row, place)
        for row in rows
        if row.sop_uid is not None and (place := places.get(row.resource_n)) is not None
        if place.scan_n is not None
    ]
    images.sort(key=lambda image: (image[0], image[1].n))
    last, at = -1, 0
    for scan_n, row, place in images:
        at = at + 1 if scan_n == last else 0
        last = scan_n
        pack = pack_name(scan_n, at // CHUNK) if numbers is None else ""
        yield (
            scan_n,
            Instance(
                uuids[scan_n], tree_id, row.n, row.sop_uid or "", place.scan_id or "", place.label, row.name,
                row.bytes, pack,
            ),
        )  # fmt: skip


def finish_search(
    context: ServiceContext, headers: InstanceHeaders, packs: PackStore, search: InstanceSearch
) -> SearchPage:
    """The page of instances that a search asks for: series by series, by number."""
    every = [one for instances in search.instances.values() for one in instances]
    values = read_instances(context, headers, packs, every)
    own = [pair for pair in search.query.matches_of(Level.INSTANCE) if pair[0] != SOP_UID.tag]
    found: list[tuple[SeriesKey, Instance]] = []
    for key, instances in search.instances.items():
        of_series = [
            one for one in instances if all(match.accepts(values[one.tree_id, one.n][tag]) for tag, match in own)
        ]
        of_series.sort(key=lambda one: (number_order(values[one.tree_id, one.n][_NUMBER]), one.sop_uid))
        found += [(key, one) for one in of_series]
    start = max(search.query.offset - search.before, 0)
    end = start + search.query.limit
    results = [
        {**search.series[key], **values[one.tree_id, one.n], SOP_UID.tag: one.sop_uid} for key, one in found[start:end]
    ]
    return SearchPage(results, max(len(found) - end, 0) + search.behind)


def read_instances(
    context: ServiceContext, headers: InstanceHeaders, packs: PackStore, instances: Sequence[Instance]
) -> dict[tuple[int, int], Values]:
    """What headers of instances say, by tree and number; of one that can't be read nothing is known but its UID."""
    values = headers.known(instances)
    missing: dict[str, list[Instance]] = defaultdict(list)
    for one in instances:
        if (one.tree_id, one.n) not in values:
            missing[one.session].append(one)
    for uuid, of_session in missing.items():
        read = _read_packs(packs, uuid, of_session)
        left = [one for one in of_session if (one.tree_id, one.n) not in read]
        if left:
            read.update(_read_headers(context, uuid, left))
        headers.keep(uuid, read)
        values.update(read)
        for one in left:
            values.setdefault((one.tree_id, one.n), dict.fromkeys(_TAGS, ""))
    return values


def _read_packs(packs: PackStore, uuid: str, instances: Iterable[Instance]) -> dict[tuple[int, int], Values]:
    """What packs have of a session's instances, by tree and number."""
    by_pack: dict[tuple[int, str], list[Instance]] = defaultdict(list)
    for one in instances:
        if one.pack:
            by_pack[one.tree_id, one.pack].append(one)
    read: dict[tuple[int, int], Values] = {}
    for (tree_id, name), of_pack in by_pack.items():
        objects = packs.objects(pack_tree(tree_id, uuid), name)
        for one in of_pack:
            packed = objects.get(one.n)
            if packed is not None and packed.listing:
                read[tree_id, one.n] = {**dict(zip(_TAGS, packed.listing, strict=True)), SYNTAX.tag: packed.syntax}
    return read


def _read_headers(context: ServiceContext, uuid: str, instances: Iterable[Instance]) -> dict[tuple[int, int], Values]:
    """What headers of a session's instances say, by tree and number; of those that can be read."""
    record, snapshot = open_session_snapshot(context, uuid)
    read: dict[tuple[int, int], Values] = {}
    with snapshot:
        for one in instances:
            own = _read_header(snapshot, one) if record.tree_id == one.tree_id else None
            if own is not None:
                read[one.tree_id, one.n] = own
    return read


def _read_header(snapshot: Snapshot, instance: Instance) -> Values | None:
    def head(length: int) -> bytes:
        with snapshot.open(instance.path, 0, length) as stream:
            return stream.read()

    with contextlib.suppress(OSError, Fault, Unparseable):
        return read_values(head, instance.bytes)
    return None


def read_values(head: Callable[[int], bytes], size: int) -> Values:
    """What an object's header says, by its first bytes. Unparseable."""
    header = read_header(head(min(size, _HEAD)), size, _WANTED, head)
    values = {
        tag: decode_value(header.values.get(number, b""), vr, None, header.big_endian)
        for tag, (number, vr) in _TAGS.items()
    }
    return {**values, "00080016": header.sop_class, SYNTAX.tag: header.transfer_syntax}
