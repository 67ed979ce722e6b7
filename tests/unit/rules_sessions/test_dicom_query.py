"""Searches as clients write them: keys, lists, ranges, wildcards, names, paging, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.model.request_errors import RequestInvalid
from scandock.rules.dicom_attributes import ATTRIBUTES, Level
from scandock.rules.dicom_query import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    NOT_FUZZY,
    DicomQuery,
    glob_pattern,
    like_wildcards,
    matches_wildcards,
    parse_query,
)


def parse(*parameters: tuple[str, str], level: Level = Level.STUDY) -> DicomQuery:
    return parse_query(level, parameters)


def accepts(key: str, value: str, text: str, level: Level = Level.INSTANCE) -> bool:
    """Whether a header's value matches; an empty query matches all."""
    return all(match.accepts(text) for match in parse((key, value), level=level).matches.values())


def keywords(query: DicomQuery, *parents: Level) -> set[str]:
    return {one.keyword for one in query.attributes(parents)}


@pytest.mark.parametrize(
    "key", ["PatientID", "patientid", "00100020", "StudyDescription", "0008103e", "00400275.00401001"]
)
def test_keys_are_keywords_or_digits_in_any_case(key: str) -> None:
    query = parse((key, "X"), level=Level.SERIES)
    assert len(query.matches) == 1
    assert query.warnings == ()


def test_sequences_are_named_with_what_is_in_them() -> None:
    for key in ("RequestAttributesSequence.RequestedProcedureID", "00400275.RequestedProcedureID"):
        (match,) = parse((key, "P*"), level=Level.SERIES).matches.values()
        assert match.attribute.keyword == "RequestedProcedureID"
    for key in ("RequestedProcedureID", "00401001", "00400275.00100020", "00100020.00401001", "00400275.", "."):
        query = parse((key, "P"), level=Level.SERIES)
        assert not query.matches, key
        assert key in query.warnings[0]


def test_what_is_unknown_or_repeated_is_ignored_and_named() -> None:
    query = parse(
        *[("PatientID", "A"), ("PatientID", "B"), ("Foo", "1"), ("Rows", "4"), ("Modality", "CT")],
        *[("accept", "application/dicom+json"), ("x\r\ny", "")],
    )
    assert [match.texts for match in query.matches.values()] == [("A",)]
    (warning,) = query.warnings
    assert warning.endswith("ignored: PatientID, Foo, Rows, Modality, x??y")


def test_an_empty_value_matches_all_and_returns_its_attribute() -> None:
    query = parse(("IssuerOfPatientID", ""), ("NumberOfStudyRelatedSeries", ""), ("PatientName", "*"))
    assert query.matches == {}
    assert query.warnings == ()
    assert "IssuerOfPatientID" in keywords(query)
    assert "IssuerOfPatientID" not in keywords(parse())


@pytest.mark.parametrize("value", ["1.2,3.4", "1.2\\3.4", " 1.2 , 3.4 ,"])
def test_uids_are_lists_by_comma_or_backslash(value: str) -> None:
    assert accepts("StudyInstanceUID", value, "1.2")
    assert accepts("StudyInstanceUID", value, "3.4")
    assert not accepts("StudyInstanceUID", value, "1.2.3")
    assert not accepts("StudyInstanceUID", "1.2*", "1.2.3"), "no wildcards"


def test_modalities_are_lists_of_which_one_has_to_be_there() -> None:
    assert accepts("ModalitiesInStudy", "CT,MR", "MR\\PT")
    assert not accepts("ModalitiesInStudy", "CT,US", "MR\\PT")
    assert not accepts("ModalitiesInStudy", "M", "MR\\PT")
    assert accepts("PatientID", "A,B", "A,B"), "another text is no list"


@pytest.mark.parametrize(
    ("value", "text", "matches"),
    [
        ("doe^jane", "Doe^Jane", True), ("Doe", "Doe^Jane", False), ("Doe*", "Doe^Jane", True),
        ("*jane*", "DOE^JANE", True), ("muller*", "MÜLLER^A", True), ("Müller*", "Muller^A", True),
        ("d?e^*", "Doe^Jane", True), ("山田*", "Yamada^Tarou=山田^太郎", True), ("yamada*", "A=Yamada", True),
        ("Yamada*=山田*", "Yamada^Tarou=山田^太郎", True), ("Yamada*=鈴木*", "Yamada^Tarou=山田^太郎", False),
        ("=山田*", "Yamada^Tarou=山田^太郎", True), ("=山田*", "山田^太郎", False), ("Doe*", "", False),
        ("a*c", "ab=bc", False),
    ],
)  # fmt: skip
def test_names_match_in_each_group(value: str, text: str, *, matches: bool) -> None:
    assert accepts("PatientName", value, text) is matches


@pytest.mark.parametrize(
    ("value", "text", "matches"),
    [
        ("20200131", "20200131", True), ("20200131", "20200130", False), ("2020.01.31", "20200131", True),
        ("20200101-20200131", "20200131", True), ("20200101-20200131", "20200201", False),
        ("20200101-", "20991231", True), ("20200101-", "20191231", False), ("-20200131", "20200131", True),
        ("-20200131", "20200201", False), ("-20200131", "", False), ("20191231-20200101", "20200101", True),
    ],
)  # fmt: skip
def test_dates_match_by_ranges(value: str, text: str, *, matches: bool) -> None:
    assert accepts("StudyDate", value, text) is matches


@pytest.mark.parametrize(
    ("value", "text", "matches"),
    [
        ("1015", "1015", True), ("1015", "101559.9", True), ("1015", "1016", False), ("101500", "1015", True),
        ("100000", "10", True), ("1000-1100", "1100", True), ("1000-1100", "110059", True),
        ("1000-1100", "1101", False), ("1000-", "0959", False), ("-1000", "0959", True), ("10:15", "101530", True),
        ("101530.5", "101530.5", True), ("101530.50", "101530.5", True), ("101530.5", "101530.6", False),
        ("2359-", "235959", True), ("235959.999999", "235959.999999", True), ("0000-0001", "0000", True),
    ],
)  # fmt: skip
def test_times_match_by_ranges_to_their_precision(value: str, text: str, *, matches: bool) -> None:
    assert accepts("StudyTime", value, text) is matches


def test_numbers_match_as_numbers() -> None:
    assert accepts("SeriesNumber", "3", "03")
    assert not accepts("SeriesNumber", "3", "33")
    assert not accepts("SeriesNumber", "3", "x")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("StudyDate", "2020"), ("StudyDate", "20200230"), ("StudyDate", "2020*"), ("StudyDate", "*"),
        ("StudyDate", "-"), ("StudyDate", "20200101-x"), ("StudyTime", "25"), ("StudyTime", "x"),
        ("SeriesNumber", "1*"), ("SeriesNumber", "a"), ("limit", "-1"), ("limit", "x"), ("offset", "1.5"),
        ("limit", ""), ("fuzzymatching", "perhaps"), ("PatientID", "a*" * 30), ("PatientID", "a" * 2_000),
        ("StudyInstanceUID", ",".join(f"1.{n}" for n in range(600))),
    ],
)  # fmt: skip
def test_what_is_none_of_its_kind_is_refused(key: str, value: str) -> None:
    with pytest.raises(RequestInvalid):
        parse((key, value), level=Level.INSTANCE)


def test_pages_and_fuzzy_matching() -> None:
    query = parse()
    assert (query.limit, query.offset, query.warnings) == (DEFAULT_LIMIT, 0, ())
    query = parse(("limit", "50000"), ("offset", "7"), ("fuzzymatching", "true"))
    assert (query.limit, query.offset, query.warnings) == (MAX_LIMIT, 7, (NOT_FUZZY,))
    assert parse(("fuzzymatching", "false")).warnings == ()


def test_fields_are_included_by_name_list_or_all() -> None:
    """And only those: below a study its attributes are left out, but for the UIDs."""
    query = parse(("includefield", "00080021,SeriesTime"), ("includefield", "Nonsense"), level=Level.SERIES)
    assert query.warnings == ()
    assert {"SeriesDate", "SeriesTime", "StudyInstanceUID", "Modality"} <= keywords(query)
    assert not {"PatientID", "SOPInstanceUID"} & keywords(query)
    assert "PatientID" in keywords(query, Level.STUDY)
    assert "PatientID" in keywords(parse(("includefield", "PatientID"), level=Level.SERIES))
    whole = parse(("includefield", "all"), level=Level.INSTANCE)
    assert keywords(whole, Level.STUDY, Level.SERIES) == {one.keyword for one in ATTRIBUTES}
    tags = [one.tag for one in whole.attributes([Level.STUDY])]
    assert tags == sorted(tags)


TEXTS = st.text("ab%_[]\\.^", max_size=8)
PATTERNS = st.text("ab%_[]\\.*?", max_size=8)


@given(PATTERNS, TEXTS)
def test_wildcards_are_those_of_a_regular_expression(pattern: str, text: str) -> None:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    assert matches_wildcards(pattern, text) is (re.fullmatch("".join(parts), text, re.DOTALL) is not None)


KEYS = st.sampled_from(
    [
        "limit",
        "offset",
        "includefield",
        "fuzzymatching",
        *(one.keyword for one in ATTRIBUTES),
        "00400275.00400009",
        "Foo",
    ]
)


@given(st.lists(st.tuples(KEYS | st.text(max_size=12), st.text(max_size=20)), max_size=6), st.text(max_size=20))
def test_whatever_is_sent_is_a_search_or_refused(parameters: list[tuple[str, str]], text: str) -> None:
    try:
        query = parse(*parameters, level=Level.INSTANCE)
    except RequestInvalid:
        return
    for match in query.matches.values():
        assert match.accepts(text) in (True, False)
    assert all(warning.isprintable() for warning in query.warnings)


def test_patterns_of_databases() -> None:
    assert glob_pattern("a*[b]?") == "a*[[]b]?"
    assert like_wildcards("a*%_\\?") == "a%\\%\\_\\\\_"
