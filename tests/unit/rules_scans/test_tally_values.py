from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.rules.tally_values import (
    MAX_TEXT,
    agreed_value,
    clean_text,
    most_common,
    parse_date,
    parse_dates,
    parse_number,
    parse_time,
    parse_times,
)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("20240229", dt.date(2024, 2, 29)),
        ("2024.02.29", dt.date(2024, 2, 29)),
        (" 20240229 ", dt.date(2024, 2, 29)),
        ("20230229", None),
        ("00000000", None),
        ("2024", None),
        ("20241301", None),
        ("99999999", None),
        ("2024-02-29", None),
        ("２０２４０２２９", None),
        ("not a date", None),
        ("", None),
    ],
)
def test_dates_that_exist_are_read_and_others_are_not(text, date):
    assert parse_date(text) == date


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("101530.123456", dt.time(10, 15, 30)),
        ("101530", dt.time(10, 15, 30)),
        ("1015", dt.time(10, 15)),
        ("10", dt.time(10)),
        ("10:15:30", dt.time(10, 15, 30)),
        ("235960", dt.time(23, 59, 59)),
        ("240000", None),
        ("106000", None),
        ("1", None),
        ("noon", None),
        ("", None),
    ],
)
def test_times_that_exist_are_read_and_others_are_not(text, time):
    assert parse_time(text) == time


@given(st.text(max_size=20))
def test_no_text_at_all_raises(text):
    parse_date(text)
    parse_time(text)
    parse_number(text)


def test_several_values_of_one_element_count_each():
    assert parse_dates({"20240102\\20230102", "rubbish", "20240102"}) == [dt.date(2023, 1, 2), dt.date(2024, 1, 2)]
    assert parse_times({"1010\\0910"}) == [dt.time(9, 10), dt.time(10, 10)]


def test_the_most_common_value_and_ties_by_code_point():
    assert most_common({"b": 2, "a": 1}) == "b"
    assert most_common({"b": 1, "a": 1}) == "a"
    assert most_common({}) == ""


def test_values_agree_by_text_or_as_numbers():
    assert agreed_value({"x": 5}) == "x"
    assert agreed_value({"3": 1, "3.0": 2}) == "3.0"
    assert agreed_value({"3": 1, "4": 2}) == ""
    assert agreed_value({"3": 1, "x": 2}) == ""
    assert agreed_value({"x": 1, "y": 1}) == ""
    assert agreed_value({}) == ""


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "x", "", "1e999"])
def test_what_is_no_finite_number_is_none(text):
    assert parse_number(text) is None


def test_text_is_made_fit_for_xml_terminals_and_utf8():
    assert clean_text(" a\0b\x1b[31m\u202ec\ud800d\r\ne\tf ") == "ab[31mcd\ne\tf"
    assert len(clean_text("x" * 100_000)) == MAX_TEXT


@given(st.text(st.characters(exclude_categories=[])))
def test_cleaned_text_can_be_encoded(text):
    clean_text(text).encode()
