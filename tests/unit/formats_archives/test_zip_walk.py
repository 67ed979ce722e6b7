"""Walking a zip whose end has not come: what is taken as bytes come, and what the directory may say of it."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

import pytest

from scandock.formats import zip_walk
from scandock.formats.source import MemorySource
from scandock.formats.zip_directory import read_directory
from scandock.formats.zip_entries import RawEntry
from scandock.formats.zip_entry import ZipEntryReader
from scandock.formats.zip_walk import ZipWalk
from scandock.model.limits import Limits
from tests.badinput import zips
from tests.unit.formats_archives.craft import LIMITS

NOISE = bytes(range(256)) * 3
FILES = [(b"S/%d.dcm" % number, b"%d" % number * 900 + NOISE) for number in range(4)]


class Growing:
    """Bytes of which only the first `here` may be read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.here = 0

    def read_at(self, offset: int, length: int) -> bytes:
        assert offset + length <= self.here, "it was read what has not come"
        return self.data[offset : offset + length]


def walked(data: bytes, step: int = 7, limits: Limits = LIMITS) -> ZipWalk:
    """The walk of a zip that comes in steps of so many bytes."""
    growing = Growing(data)
    walk = ZipWalk(growing.read_at, limits)
    for here in [*range(0, len(data), step), len(data)]:
        growing.here = here
        walk.advance(here)
    return walk


def listed(data: bytes) -> list[RawEntry]:
    return list(read_directory(MemorySource(data), LIMITS).entries.raw_entries())


def unpacked(data: bytes, walk: ZipWalk) -> list[tuple[str, bytes]]:
    reader = ZipEntryReader(LIMITS)
    return [(entry.name, bytes(reader.whole(MemorySource(data), entry))) for entry in walk.entries(0)]


def streamed(method: int, zip64: bool = False) -> bytes:
    """As zipfile writes to a pipe: with data descriptors."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.parts: list[bytes] = []

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.parts.append(bytes(data))  # type: ignore[call-overload]
            return len(self.parts[-1])

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", method) as archive:
        for name, data in FILES:
            with archive.open(name.decode(), "w", force_zip64=zip64) as file:
                file.write(data)
    return b"".join(pipe.parts)


@pytest.mark.parametrize(
    "data",
    [
        zips.archive(zips.files(*FILES)),
        zips.archive([replace(entry, method=zips.STORED) for entry in zips.files(*FILES)]),
        streamed(zipfile.ZIP_DEFLATED),
        streamed(zipfile.ZIP_DEFLATED, zip64=True),
        zips.archive([zips.Entry(name=b"S/", attributes=zips.FOLDER_MODE, method=zips.STORED), *zips.files(*FILES)]),
    ],
    ids=["deflated", "stored", "descriptors", "descriptors of 64 bits", "a folder"],
)
def test_every_entry_is_taken_as_soon_as_it_is_whole_and_is_what_the_directory_says(data: bytes) -> None:
    walk = walked(data)
    assert len(walk) == len(listed(data))
    assert walk.is_start_of(listed(data))
    assert [pair for pair in unpacked(data, walk) if pair[1]] == [(name.decode(), body) for name, body in FILES]
    assert [entry.index for entry in walk.entries(2)] == list(range(2, len(walk)))
    assert walk.stopped


def test_an_entry_is_taken_with_its_last_byte_and_not_before() -> None:
    data = zips.archive(zips.files(*FILES))
    second_at = listed(data)[1][0][0]
    growing = Growing(data)
    walk = ZipWalk(growing.read_at, LIMITS)
    growing.here = second_at - 1
    walk.advance(growing.here)
    assert len(walk) == 0
    growing.here = second_at
    walk.advance(growing.here)
    assert len(walk) == 1


def test_bytes_of_a_descriptor_within_the_data_are_none() -> None:
    trap = zips.Entry(name=b"trap.bin", data=b"x", body=b"PK\x07\x08" * 40 + b"PK\x03\x04", descriptor=b"PK\x07\x08")
    first, *others = zips.files(*FILES)
    data = zips.archive([first, trap, *others])
    walk = walked(data)
    assert len(walk) == 5
    assert walk.is_start_of(listed(data))


def test_data_full_of_signatures_is_not_looked_through_for_ever() -> None:
    trap = zips.Entry(name=b"trap.bin", data=b"x", body=b"PK\x07\x08" * 200, descriptor=b"PK\x07\x08")
    walk = walked(zips.archive([trap, *zips.files(*FILES)]))
    assert (len(walk), walk.stopped) == (0, True)


@pytest.mark.parametrize("limits", [Limits(max_entries=2), Limits(max_directory_bytes=14)])
def test_no_more_entries_are_taken_than_a_directory_may_list(limits: Limits) -> None:
    walk = walked(zips.plain(*FILES), limits=limits)
    assert (len(walk), walk.stopped) == (2, True)


def test_one_call_takes_its_share_and_the_next_ones_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_walk, "_ENTRIES", 2)
    monkeypatch.setattr(zip_walk, "_SCANS", 1)
    monkeypatch.setattr(zip_walk, "_SCAN", 200)
    data = streamed(zipfile.ZIP_DEFLATED)
    growing = Growing(data)
    growing.here = len(data)
    walk = ZipWalk(growing.read_at, LIMITS)
    counts = []
    while not walk.stopped:
        walk.advance(growing.here)
        counts.append(len(walk))
    assert counts[-1] == 4
    assert len(counts) > 4
    assert walk.is_start_of(listed(data))


FIRST, SECOND, *OTHERS = zips.files(*FILES)
STOPS = {
    "encrypted": replace(SECOND, flags=zips.ENCRYPTED),
    "a masked header": replace(SECOND, flags=zips.MASKED),
    "another method": replace(SECOND, method=zips.BZIP2),
    "sizes of 64 bits": replace(SECOND, zip64=True),
    "stored with a descriptor": replace(SECOND, method=zips.STORED, descriptor=b"PK\x07\x08"),
    "a descriptor without a signature": replace(SECOND, descriptor=b""),
    "sizes in both places": replace(SECOND, flags=zips.DESCRIPTOR),
}


@pytest.mark.parametrize("second", STOPS.values(), ids=STOPS.keys())
def test_the_walk_stops_before_what_it_does_not_take(second: zips.Entry) -> None:
    data = zips.archive([FIRST, second, *OTHERS])
    walk = walked(data)
    assert [entry.name for entry in walk.entries(0)] == ["S/0.dcm"]
    assert walk.is_start_of(listed(data))


DIFFER = {
    "another size": [FIRST, replace(SECOND, size=5), *OTHERS],
    "another name": [FIRST, replace(SECOND, local_name=b"S/9.dcm"), *OTHERS],
    "a link": [FIRST, replace(SECOND, attributes=zips.LINK_MODE), *OTHERS],
    "a folder by its attributes": [FIRST, replace(SECOND, data=b"", attributes=zips.FOLDER_MODE), *OTHERS],
}


@pytest.mark.parametrize("entries", DIFFER.values(), ids=DIFFER.keys())
def test_a_directory_that_says_anything_else_begins_by_other_entries(entries: list[zips.Entry]) -> None:
    data = zips.archive(entries)
    rows = listed(data)
    walk = walked(zips.archive(zips.files(*FILES))) if entries[1].size is not None else walked(data)
    assert len(walk) > 1
    assert not walk.is_start_of(rows)


def test_entries_that_the_directory_lacks_or_has_in_another_order_are_none_of_its() -> None:
    data = zips.archive(zips.files(*FILES))
    walk, rows = walked(data), listed(data)
    assert walk.is_start_of(rows)
    assert walk.is_start_of([*rows, rows[0]])
    assert not walk.is_start_of(rows[:3])
    assert not walk.is_start_of([rows[1], rows[0], *rows[2:]])
    assert not walk.is_start_of(rows[1:])
    for field in (0, 2, 3, 5, 8, 9):
        (row, name), *others = rows
        changed = (*row[:field], row[field] ^ 0x0800, *row[field + 1 :])
        assert not walk.is_start_of([(changed, name), *others]), field


def test_an_entry_that_reaches_into_the_next_one_is_another_than_the_directory_has() -> None:
    data = zips.nested(FIRST, SECOND)
    walk, rows = walked(data), listed(data)
    assert [entry.name for entry in walk.entries(0)] == ["S/0.dcm"]
    assert not walk.is_start_of(rows)
    ((header_at, next_at, *rest), name), *others = rows
    end = len(data) - len(data[data.index(b"PK\1\2") :])
    assert walk.is_start_of([((header_at, end, *rest), name), *others])
    assert not walk.is_start_of([((header_at, end - 1, *rest), name), *others])
    assert next_at < end


def test_no_zip_has_entries_and_mutated_ones_are_read_within_what_has_come() -> None:
    assert len(walked(b"no zip at all, but long enough to be looked at")) == 0
    data = bytearray(streamed(zipfile.ZIP_DEFLATED))
    for at in range(0, len(data), 11):
        mutated = bytes(data[:at]) + bytes([data[at] ^ 0x55]) + bytes(data[at + 1 :])
        assert len(walked(mutated, 211)) <= 4
