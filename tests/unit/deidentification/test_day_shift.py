"""Dates of a patient move by one number of whole days."""

from __future__ import annotations

import pytest

from scandock.deidentification.profile.day_shift import (
    LONGEST,
    days_of_patient,
    readable_dates,
    shift_dates,
    shift_datetimes,
)

KEY = b"k" * 32


def test_the_shift_is_of_a_patient_in_a_project() -> None:
    shifts = {days_of_patient(KEY, "P", f"patient {number}") for number in range(500)}
    assert len(shifts) > 400
    assert all(-LONGEST <= days <= -1 for days in shifts)
    assert days_of_patient(KEY, "P", "1") == days_of_patient(KEY, "P", "1")
    assert len({days_of_patient(KEY, "P", "1"), days_of_patient(KEY, "Q", "1"), days_of_patient(b"l", "P", "1")}) == 3


@pytest.mark.parametrize(
    ("value", "shifted"),
    [
        (b"20200301", b"20200229"),
        (b"20200101", b"20191231"),
        (b"2020.03.01", b"20200229"),
        (b"20200301\\20210301 ", b"20200229\\20210228"),
        (b"", b""),
        (b"DOE JANE", b""),
        (b"20201301", b""),
        (b"00010101", b""),
        (b"20200301\\DOE", b"20200229\\"),
    ],
)
def test_dates_move_by_whole_days(value: bytes, shifted: bytes) -> None:
    assert shift_dates(value, -1) == shifted


@pytest.mark.parametrize(
    ("value", "shifted"),
    [
        (b"20200301120000.123456+0100", b"20200229120000.123456+0100"),
        (b"202003011200", b"202002291200"),
        (b"20200301", b"20200229"),
        (b"2020", b"2020"),
        (b"202003-0500", b"202003-0500"),
        (b"20200301120000\\20200302 ", b"20200229120000\\20200301"),
        (b"20200301 JANE", b""),
        (b"202013", b""),
        (b"0000", b""),
    ],
)
def test_the_date_part_of_datetimes_moves(value: bytes, shifted: bytes) -> None:
    assert shift_datetimes(value, -1) == shifted


def test_a_year_and_a_month_move_as_their_middle_day_does() -> None:
    assert shift_datetimes(b"2020", -270) == b"2019"
    assert shift_datetimes(b"202003", -31) == b"202002"


def test_distances_hold() -> None:
    from datetime import datetime

    def day(text: bytes) -> datetime:
        return datetime.strptime(text.decode(), "%Y%m%d")  # noqa: DTZ007

    for days in (-1, -59, -3650):
        first, second = shift_dates(b"20200228", days), shift_dates(b"20210301", days)
        assert day(second) - day(first) == datetime(2021, 3, 1) - datetime(2020, 2, 28)  # noqa: DTZ001


def test_what_is_no_date_or_time_does_not_stay() -> None:
    assert readable_dates(b"20200131\\DOE", "DA") == b"20200131\\"
    assert readable_dates(b"120000.5 ", "TM") == b"120000.5 "
    assert readable_dates(b"12:00:00", "TM") == b"12:00:00"
    assert readable_dates(b"noon JANE", "TM") == b""
