"""What is held of a scan's headers while they are read, however many series its objects are of."""

from __future__ import annotations

from scandock.formats.dicom_header import read_header
from scandock.formats.dicom_tally import Tally
from scandock.model.series import MANY
from scandock.model.tags import NUMBERS, TAGS
from scandock.services import header_refresh
from scandock.services.header_refresh import ScanHeaders
from scandock.workers import reader_process
from tests.builders import images

SERIES = 20


def headers():
    for nth in range(1, SERIES + 1):
        (data,) = images(1, series=nth, series_number=b"%d" % nth)
        yield read_header(data, len(data), frozenset(TAGS))


def read_by(monkeypatch, batch: int) -> tuple[ScanHeaders, list[int]]:
    """A scan of objects of as many series, and how many series were held each time that they were counted."""
    held = []

    class Counted(Tally):
        def drain(self):
            drained = super().drain()
            held.append(len(drained))
            return drained

    monkeypatch.setattr(header_refresh, "Tally", Counted)
    monkeypatch.setattr(header_refresh, "OBJECTS", batch)
    scan = ScanHeaders()
    for one in headers():
        scan.add(one)
    scan.settle()
    return scan, held


def test_a_scan_of_many_series_holds_a_batch_of_them_and_says_the_same(monkeypatch):
    scan, held = read_by(monkeypatch, 6)
    assert held == [6, 6, 6, 2]
    at_once, _ = read_by(monkeypatch, 1000)
    assert scan.tally == at_once.tally
    assert (scan.tally.objects, scan.frames, len(scan.series)) == (SERIES, SERIES, SERIES)
    assert scan.tally.values[NUMBERS["SeriesNumber"]] == {str(nth): 1 for nth in range(1, SERIES + 1)}


def test_a_batch_is_what_a_reader_process_holds(monkeypatch):
    scan = ScanHeaders()
    monkeypatch.setattr(scan, "settle", lambda: settled.append(True))
    settled: list[bool] = []
    (one, *_) = headers()
    for _ in range(reader_process.BATCH_ENTRIES):
        assert not settled
        scan.add(one)
    assert settled == [True]
    assert reader_process.BATCH_ENTRIES <= MANY
