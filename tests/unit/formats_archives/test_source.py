"""Bytes by offset, from files, memory and stretches of either; names made fit to print."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from scandock.formats.display_names import as_size, quote
from scandock.formats.source import ComingSource, FileSource, MemorySource, SliceSource, Source
from scandock.model.errors import Fault

DATA = bytes(range(256)) * 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "archive"
    file.write_bytes(b"before" + DATA + b"after")
    return file


def sources(path: Path) -> list[Source]:
    file = FileSource(path)
    nested = SliceSource(SliceSource(file, 2, file.size - 2), 4, len(DATA))
    return [MemorySource(DATA), SliceSource(MemorySource(b"xx" + DATA + b"y"), 2, len(DATA)), nested]


def test_every_source_reads_alike(path: Path) -> None:
    for source in sources(path):
        assert source.size == len(DATA)
        for offset, length in ((0, 10), (100, 5000), (len(DATA) - 3, 50), (len(DATA), 9), (len(DATA) + 9, 9), (5, 0)):
            assert source.read_at(offset, length) == DATA[offset : offset + length]
            view = memoryview(bytearray(length))
            got = source.readinto_at(offset, view)
            assert bytes(view[:got]) == DATA[offset : offset + length]


def test_bytes_that_are_still_to_come_are_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(DATA[:10])
    waits: list[int] = []

    def come(count: int) -> int:
        waits.append(count)
        path.write_bytes(DATA[:count])
        return 500 if len(waits) < 4 else 480

    with ComingSource(path, 500, come) as source:
        assert (source.size, source.read_at(5, 5), source.read_at(90, 20)) == (500, DATA[5:10], DATA[90:110])
        view = memoryview(bytearray(100))
        assert (source.readinto_at(300, view), bytes(view)) == (100, DATA[300:400])
        path.write_bytes(DATA)  # of a file that holds more than is said to be here, that alone counts
        assert (source.readinto_at(470, view), bytes(view[:10]), source.size) == (10, DATA[470:480], 480)
        assert (source.read_at(475, 10), source.readinto_at(480, view), source.read_at(481, 1)) == (
            DATA[475:480],
            0,
            b"",
        )
    assert waits == [10, 110, 400, 500, 480, 480, 480]


def test_waiting_ends_by_what_it_raises(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(DATA[:10])

    def end(_: int) -> int:
        raise InterruptedError

    with ComingSource(path, 500, end) as source, pytest.raises(InterruptedError):
        source.read_at(0, 20)


def test_sources_travel(path: Path) -> None:
    for source in [FileSource(path), *sources(path)]:
        again = pickle.loads(pickle.dumps(source))
        assert (again.size, again.read_at(7, 99)) == (source.size, source.read_at(7, 99))


def test_a_descriptor_is_read_but_stays_here(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        source = FileSource(fd)
        assert source.read_at(0, 6) == b"before"
        with pytest.raises(TypeError):
            pickle.dumps(source)
        source.close()
        assert os.pread(fd, 2, 0) == b"be", "the descriptor is its owner's to close"
    finally:
        os.close(fd)


def test_pipes_devices_and_folders_are_no_sources(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for odd in (tmp_path / "pipe", tmp_path, Path(os.devnull)):
        with pytest.raises(OSError, match=r"plain file|directory"):
            FileSource(odd)


def test_a_disk_that_fails_is_a_fault(path: Path) -> None:
    source = FileSource(path)
    source.close()
    source.close()
    for read in (lambda: source.read_at(0, 5), lambda: source.readinto_at(0, memoryview(bytearray(5)))):
        with pytest.raises(Fault) as caught:
            read()
        assert caught.value.code == "read_failed"


@pytest.mark.parametrize(("offset", "size"), [(-1, 5), (0, len(DATA) + 1), (len(DATA), 1), (5, -1)])
def test_a_slice_lies_within_its_source(offset: int, size: int) -> None:
    with pytest.raises(ValueError, match="within"):
        SliceSource(MemorySource(DATA), offset, size)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("S/Müller 表.dcm", "'S/Müller 表.dcm'"),
        ("a\nb\x1b[31m\0", "'a\\x0ab\\x1b[31m\\x00'"),
        ("abc\u202egnp.exe", "'abc\\u202egnp.exe'"),
        ("\U000e0041", "'\\U000e0041'"),
        ("", "''"),
        ("d" * 500 + "/file.dcm", "'" + "d" * 60 + "..." + "d" * 51 + "/file.dcm'"),
    ],
)
def test_names_are_made_fit_to_print(name: str, text: str) -> None:
    assert quote(name) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (1 << 40, "1.1 TB"),
        (1 << 62, "4.6 EB"),
    ],
)
def test_sizes_are_made_fit_to_read(count: int, text: str) -> None:
    assert as_size(count) == text
