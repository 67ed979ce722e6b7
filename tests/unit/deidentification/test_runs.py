"""Elements that are read by runs of others are those that are read one by one."""

from __future__ import annotations

import random
import struct
from dataclasses import replace

import pytest

from scandock.deidentification import runs as runs_module
from scandock.deidentification.runs import Runs
from scandock.deidentification.walking import Budget, Walked, walk_data_set
from scandock.formats.dicom_encoding import BIG, LITTLE, ByteOrder, DeclinedError, ShortError
from tests.unit.deidentification.mutation import bases, mutated
from tests.unit.formats_dicom.build import DATASET, PIXELS, Writer

ORDERS = {False: LITTLE, True: BIG}


def outcome(data: bytes, start: int, stop: int, order: ByteOrder, runs: Runs | None) -> Walked | tuple[str, str]:
    try:
        walked = walk_data_set(data, start, stop, order, Budget(), explicit=True, after=7, runs=runs)
    except (DeclinedError, ShortError) as error:
        return type(error).__name__, str(error)
    return replace(walked, in_runs=0)


@pytest.mark.parametrize("walks", [1, 5])
def test_damaged_headers_are_walked_as_without_runs(walks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "_WALKS", walks)
    monkeypatch.setattr(runs_module, "_MOST", 60)
    runs = Runs()
    objects = [*bases(), *map(mutated, range(1_500))]
    random.Random(walks).shuffle(objects)
    for data in objects * 2:
        for order in ORDERS.values():
            start = data.find(b"\x08\0\x05\0" if order is LITTLE else b"\0\x08\0\x05")
            if start >= 0:
                for stop in (len(data), len(data) + 100):
                    expected = outcome(data, start, stop, order, None)
                    assert outcome(data, start, stop, order, runs) == expected
    assert all(0 < len(table) <= 60 for table in runs.tables.values())


@pytest.mark.parametrize("big", [False, True])
def test_a_series_is_read_by_runs_whatever_its_values(monkeypatch: pytest.MonkeyPatch, *, big: bool) -> None:
    monkeypatch.setattr(runs_module, "_LONGEST", 8)
    write, runs, order = Writer(big=big), Runs(), ORDERS[big]

    def walked(changes: dict[int, tuple[str, str | bytes | int]], pixels: bytes = b"") -> Walked:
        data = write.dataset({**DATASET, 0x00420011: ("OB", b"1234"), **changes}) + pixels
        read = walk_data_set(data, 0, len(data), order, Budget(), explicit=True, runs=runs)
        assert replace(read, in_runs=0) == outcome(data, 0, len(data), order, None)
        return read

    count = len(walked({}).elements)
    assert walked({0x00200013: ("IS", "8"), 0x00420011: ("OB", b"4321")}).in_runs == count
    pixels = write.element(PIXELS, "OW", b"1234")
    assert walked({0x00100020: ("LO", "A patient of another length")}, pixels).in_runs == count - 8
    assert walked({0x00080005: ("CS", "ISO_IR 1000")}).in_runs == count - 8  # and all the others elsewhere
    assert walked({0x00420011: ("OB", b"123456")}).in_runs == count - 1
    assert walked({0x00200012: ("IS", "1")}).in_runs == count - 8
    sequence = write.item(write.dataset({0x00080100: ("SH", "1")}))
    assert walked({0x00081140: ("SQ", sequence)}).in_runs < count


def test_runs_of_series_that_differ_are_made_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "_LONGEST", 8)
    write, runs = Writer(), Runs()
    made = []
    for number in range(70):
        data = write.dataset(dict.fromkeys(range(0x00100010, 0x00100030), ("LO", "AA" * number)))
        read = walk_data_set(data, 0, len(data), LITTLE, Budget(), explicit=True, runs=runs)
        assert (read.in_runs, len(read.elements)) == (0, 32)
        made.append(len(runs.tables[False]))
    assert made == [4] * 32 + [8] * 32 + [12] * 6


def test_a_run_that_is_cut_is_not_read() -> None:
    write, runs = Writer(), Runs()
    data = write.dataset(DATASET)
    walk_data_set(data, 0, len(data), LITTLE, Budget(), explicit=True, runs=runs)
    for end in range(len(data)):
        assert outcome(data[:end], 0, len(data), LITTLE, runs) == outcome(data[:end], 0, len(data), LITTLE, None)
    for at in range(len(data) - 2):
        wrong = data[:at] + struct.pack("<H", 0xFFFE) + data[at + 2 :]
        assert outcome(wrong, 0, len(data), LITTLE, runs) == outcome(wrong, 0, len(data), LITTLE, None)
