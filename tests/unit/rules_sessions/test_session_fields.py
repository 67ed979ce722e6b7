"""What a query of XNAT's dialect says of a session or a scan."""

from __future__ import annotations

import pytest

from scandock.model.errors import Usage
from scandock.rules.session_fields import (
    SCAN_FIELDS,
    SESSION_FIELDS,
    list_fields_by_hand,
    merge_attributes,
    parse_fields,
)


def test_paths_and_bare_names_mean_the_same():
    said = parse_fields([("xnat:mrSessionData/date", "2026-11-24"), ("NOTE", "n"), ("xnat:experimentData/label", "L")])
    assert said.known(SESSION_FIELDS) == {"date": "2026-11-24", "note": "n"}
    assert said.get("label") == "L"


def test_the_type_is_named_or_follows_from_the_first_path_of_a_type():
    assert (
        parse_fields([("xsiType", "xnat:ctSessionData"), ("xnat:mrSessionData/date", "")]).xsi_type
        == "xnat:ctSessionData"
    )
    assert (
        parse_fields([("xnat:imageSessionData/date", ""), ("xnat:mrSessionData/date", "")]).xsi_type
        == "xnat:mrSessionData"
    )
    assert parse_fields([("date", "2026-11-24"), ("xnat:experimentData/label", "L")]).xsi_type == ""


def test_names_are_kept_as_they_are_written_and_the_rest_is_left():
    said = parse_fields(
        [("xnat:mrScanData/SERIES_description", "d"), ("a b", "x"), ("XNAT_CSRF", "t"), ("protocolname", "p")]
    )
    assert said.known(SCAN_FIELDS) == {"series_description": "d", "protocolName": "p"}


@pytest.mark.parametrize(
    ("text", "date"), [("2026-01-31", "2026-01-31"), ("12/31/2026", "2026-12-31"), ("", ""), ("NULL", ""), ("null", "")]
)
def test_dates_come_in_two_ways_and_can_be_taken_back(text, date):
    assert parse_fields([("date", text)]).known(SESSION_FIELDS) == {"date": date}


@pytest.mark.parametrize(
    ("name", "text"),
    [("date", "soon"), ("date", "2026-13-01"), ("date", "2026-02-30"), ("date", "31/12/2026"), ("time", "25:00:00"),
     ("note", "x" * 4001), ("note", "a\0b")],
)  # fmt: skip
def test_what_can_be_no_value_is_refused(name, text):
    with pytest.raises(Usage, match=name):
        parse_fields([(name, text)]).known(SESSION_FIELDS)


def test_only_what_no_header_says_outlasts_the_headers():
    before = {"note": "mine", "date": "2026-01-01", "scanner": "old"}
    assert merge_attributes(before, {"date": "2026-02-02"}) == {"note": "mine", "date": "2026-02-02"}
    assert merge_attributes(before, {"date": "2026-02-02"}, by_hand=True) == {**before, "date": "2026-02-02"}


def test_what_is_said_of_an_mr_exam_is_short_and_its_delay_a_whole_number():
    told = {"coil": "head", "marker": "x" * 255, "stabilization": "tape", "delay": "-12"}
    pairs = [(f"xnat:mrSessionData/{name}", text) for name, text in told.items()]
    assert parse_fields(pairs).known(SESSION_FIELDS) == told
    for name, text in (("delay", "12.5"), ("delay", "soon"), ("marker", "x" * 256), ("coil", "x" * 256)):
        with pytest.raises(Usage, match=name):
            parse_fields([(f"xnat:mrSessionData/{name}", text)]).known(SESSION_FIELDS)


def test_what_people_set_stays_until_they_take_it_back():
    before = {"date": "2000-01-01", "time": "01:00:00", "note": "mine"}
    found = {"date": "2026-02-02", "time": "02:00:00"}
    assert merge_attributes(before, found, ["date"]) == {"date": "2000-01-01", "time": "02:00:00", "note": "mine"}
    assert merge_attributes({"note": "mine"}, found, ["date"]) == {**found, "note": "mine"}
    assert list_fields_by_hand(["date"], {"time": "01:00:00", "date": ""}) == ["time"]
    assert list_fields_by_hand([], {"b": "1", "a": "1"}) == ["a", "b"]
