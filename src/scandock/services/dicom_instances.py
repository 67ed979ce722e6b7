"""QIDO-RS below series: instances, by what their headers say (PS3.18 10.6).

No row of the catalog has what an instance is listed by: headers are read as somebody asks for a series, and what they
say is kept for a while. Files of a tree never change.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, and_, select

from scandock.catalog.tables import file, resource, scan, session
from scandock.formats.dicom_header import Unparseable, read_header
from scandock.formats.dicom_text import decode_value
from scandock.model.errors import Fault
from scandock.model.tags import NUMBERS, TAGS
from scandock.rules.dicom_attributes import SOP_UID
from scandock.rules.dicom_query import DicomQuery
from scandock.services.context import ServiceContext
from scandock.services.dicom_search import (
    FoundSeries,
    SearchPage,
    SeriesKey,
    SeriesPart,
    Values,
    cut_page,
    find_series,
    fits,
    list_series,
    number_order,
)
from scandock.services.dicomweb import DicomwebScope
from scandock.services.downloads import open_session_snapshot
from scandock.store.paths import RelPath, resource_file
from scandock.store.port import Snapshot

MAX_KEPT: Final = 50_000
"""Instances of which it is kept what their headers say: 20 MB at most."""
_HEAD: Final = 16_384
_TAGS: Final = {
    "00080016": NUMBERS["SOPClassUID"], "00200013": NUMBERS["InstanceNumber"], "00280008": NUMBERS["NumberOfFrames"],
    "00280010": NUMBERS["Rows"], "00280011": NUMBERS["Columns"], "00280100": NUMBERS["BitsAllocated"],
}  # fmt: skip
_WANTED: Final = frozenset(_TAGS.values())
_SYNTAX: Final = "00083002"


class Instance(NamedTuple):
    """An object of a series, by the file that has it."""

    session: str
    """The UUID of its session."""
    tree_id: int
    n: int
    sop_uid: str
    path: RelPath
    bytes: int


@dataclass(frozen=True, slots=True)
class InstanceSearch:
    """A search for instances, of which it is known which there are, but not yet what their headers say."""

    query: DicomQuery
    series: Mapping[SeriesKey, Values]
    instances: Mapping[SeriesKey, Sequence[Instance]]


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
    wanted = query.matches.get(SOP_UID.tag)
    return InstanceSearch(
        query,
        list_series(connection, series),
        _read_instances(connection, series, None if wanted is None else frozenset(wanted.texts)),
    )


def _read_instances(
    connection: Connection, series: FoundSeries, only: frozenset[str] | None
) -> dict[SeriesKey, list[Instance]]:
    """The objects of each series; one that several sessions have is that of the first."""
    uuids = _read_uuids(connection, series)
    found: dict[SeriesKey, list[Instance]] = {}
    for key, parts in series.parts.items():
        by_uid: dict[str, Instance] = {}
        for part in parts:
            for one in _of_part(connection, part, uuids):
                if only is None or one.sop_uid in only:
                    by_uid.setdefault(one.sop_uid, one)
        found[key] = list(by_uid.values())
    return found


def _read_uuids(connection: Connection, series: FoundSeries) -> dict[int, str]:
    ids = {row.session_id for rows in series.studies.values() for row in rows}
    rows = connection.execute(select(session.c.id, session.c.uuid).where(session.c.id.in_(ids)))
    return {row.id: row.uuid for row in rows}


def _of_part(connection: Connection, part: SeriesPart, uuids: Mapping[int, str]) -> Iterable[Instance]:
    tree_id = part.series.tree_id
    query = (
        select(file.c.n, file.c.sop_uid, file.c.name, file.c.bytes, resource.c.label, scan.c.scan_id)
        .join(resource, and_(resource.c.tree_id == file.c.tree_id, resource.c.n == file.c.resource_n))
        .join(scan, and_(scan.c.tree_id == resource.c.tree_id, scan.c.n == resource.c.scan_n))
        .where(file.c.tree_id == tree_id, scan.c.n == part.series.n, file.c.sop_uid.is_not(None))
        .order_by(file.c.n)
    )
    for row in connection.execute(query):
        path = resource_file(row.scan_id, row.label, row.name)
        yield Instance(uuids[part.study.session_id], tree_id, row.n, row.sop_uid, path, row.bytes)


def finish_search(context: ServiceContext, headers: InstanceHeaders, search: InstanceSearch) -> SearchPage:
    """The page of instances that a search asks for: series by series, by number."""
    every = [one for instances in search.instances.values() for one in instances]
    values = read_instances(context, headers, every)
    found: list[Values] = []
    for key, instances in search.instances.items():
        of_series = [(one, values[one.tree_id, one.n]) for one in instances]
        of_series.sort(key=lambda pair: (number_order(pair[1]["00200013"]), pair[0].sop_uid))
        for one, own in of_series:
            result = {**search.series[key], **own, SOP_UID.tag: one.sop_uid}
            if fits(search.query, result):
                found.append(result)
    return cut_page(search.query, found)


def read_instances(
    context: ServiceContext, headers: InstanceHeaders, instances: Sequence[Instance]
) -> dict[tuple[int, int], Values]:
    """What headers of instances say, by tree and number; of one that can't be read nothing is known but its UID."""
    values = headers.known(instances)
    missing: dict[str, list[Instance]] = defaultdict(list)
    for one in instances:
        if (one.tree_id, one.n) not in values:
            missing[one.session].append(one)
    for uuid, of_session in missing.items():
        record, snapshot = open_session_snapshot(context, uuid)
        read: dict[tuple[int, int], Values] = {}
        with snapshot:
            for one in of_session:
                own = _read_header(snapshot, one) if record.tree_id == one.tree_id else None
                if own is not None:
                    read[one.tree_id, one.n] = own
                values[one.tree_id, one.n] = own or dict.fromkeys(_TAGS, "")
        headers.keep(uuid, read)
    return values


def _read_header(snapshot: Snapshot, instance: Instance) -> Values | None:
    def more(length: int) -> bytes:
        with snapshot.open(instance.path, 0, length) as stream:
            return stream.read()

    with contextlib.suppress(OSError, Fault, Unparseable):
        header = read_header(more(min(instance.bytes, _HEAD)), instance.bytes, _WANTED, more)
        values: dict[str, Any] = {
            tag: decode_value(header.values.get(number, b""), TAGS[number].vr, None, header.big_endian)
            for tag, number in _TAGS.items()
        }
        return {**values, "00080016": header.sop_class, _SYNTAX: header.transfer_syntax}
    return None
