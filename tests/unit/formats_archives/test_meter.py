"""Limits over all levels and all reader processes together."""

from __future__ import annotations

import subprocess
import sys

import pytest

from scandock.formats.errors import RAISE
from scandock.formats.meter import Meter, SharedSlots
from scandock.model.errors import BadInput, LimitExceeded
from scandock.model.limits import Limits


def test_entries_are_counted() -> None:
    meter = Meter(Limits(max_entries=10), 1000)
    meter.entry(9)
    meter.entry()
    with pytest.raises(LimitExceeded) as caught:
        meter.entry()
    assert (caught.value.code, meter.entries) == ("too_many_entries", 11)
    assert "10" in caught.value.message
    assert RAISE in caught.value.remedy


def test_bytes_are_counted() -> None:
    meter = Meter(Limits(max_unpacked_bytes=10_000), 1 << 40)
    meter.unpacked(10_000)
    with pytest.raises(LimitExceeded) as caught:
        meter.unpacked(1)
    assert (caught.value.code, meter.bytes) == ("too_many_bytes", 10_001)
    assert "10.0 kB" in caught.value.message
    assert RAISE in caught.value.remedy


@pytest.mark.parametrize(
    ("received", "fine"),
    [(1000, 1_000_000_000), (10_000_000, 2_000_000_000), (0, 1_000_000_000)],
)
def test_the_ratio_counts_only_beyond_a_gigabyte(received: int, fine: int) -> None:
    meter = Meter(Limits(), received)
    meter.unpacked(fine)
    with pytest.raises(LimitExceeded) as caught:
        meter.unpacked(1)
    assert caught.value.code == "ratio"
    assert "200 times" in caught.value.message
    assert RAISE in caught.value.remedy


def test_one_entry_is_held_against_its_limit_before_it_is_read() -> None:
    meter = Meter(Limits(max_entry_bytes=100), 1)
    meter.entry_bytes("fine.dcm", 100)
    with pytest.raises(LimitExceeded, match="huge") as caught:
        meter.entry_bytes("huge\n.dcm", 101)
    assert caught.value.code == "entry_too_large"
    assert "\n" not in caught.value.message


def test_depth_costs_the_inner_archive_alone() -> None:
    meter = Meter(Limits(max_depth=3), 1)
    meter.depth("outer.zip", 3)
    with pytest.raises(BadInput) as caught:
        meter.depth("inner.zip", 4)
    assert caught.value.code == "too_deep"
    assert not isinstance(caught.value, LimitExceeded)


def test_processes_count_together() -> None:
    slots = SharedSlots.create(3)
    try:
        here = Meter(Limits(max_entries=100), 1000, slots, 0)
        here.entry(60)
        program = (
            "import sys\n"
            "from scandock.formats.meter import Meter, SharedSlots\n"
            "from scandock.model.limits import Limits\n"
            "meter = Meter(Limits(max_entries=100), 1000, SharedSlots.attach(int(sys.argv[1])), int(sys.argv[2]))\n"
            "meter.unpacked(500)\n"
            "meter.entry(20)\n"
        )
        for own in ("1", "2"):
            subprocess.run([sys.executable, "-c", program, str(slots.fd), own], pass_fds=[slots.fd], check=True)
        assert (here.entries, here.bytes) == (100, 1000)
        with pytest.raises(LimitExceeded):
            here.entry()
    finally:
        slots.close()


def test_a_reader_that_starts_again_in_a_slot_goes_on_counting() -> None:
    slots = SharedSlots.create(1)
    try:
        Meter(Limits(), 1, slots, 0).entry(5)
        second = Meter(Limits(), 1, slots, 0)
        second.entry(2)
        assert second.entries == 7
    finally:
        slots.close()
