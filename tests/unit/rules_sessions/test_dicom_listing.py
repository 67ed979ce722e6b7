"""What lists of studies and series say by what was counted over their objects, and names as they are compared."""

from __future__ import annotations

import pytest

from scandock.model.series import REQUESTS, SeriesTally
from scandock.model.tags import NUMBERS
from scandock.rules.dicom_listing import ListedScan, is_whole, list_studies, to_date, to_time
from scandock.rules.person_names import name_key


def tally(study: str, series: str, **values: dict[str, int] | str) -> SeriesTally:
    counts = {NUMBERS[k]: v if isinstance(v, dict) else {v: 3} for k, v in values.items()}
    return SeriesTally(study, series, objects=3, values=counts)


def test_a_session_of_two_studies_has_two() -> None:
    """Each with the most common values of its own series; a series of two scans is one."""
    scans = [
        ListedScan(0, "1.1", tally("1", "1.1", Modality="MR", PatientID={"A": 1, "B": 2}), 3),
        ListedScan(1, "1.2", tally("1", "1.2", Modality="CT", PatientID="A"), 3),
        ListedScan(2, "1.2", tally("1", "1.2", Modality="CT", PatientID="A"), 1),
        ListedScan(3, "2.1", tally("2", "2.1", Modality="US", StudyDate="2020.01.31"), 5),
        ListedScan(4, "", tally("2", "", Modality="XA"), 5),
        ListedScan(5, "3.1", tally("", "3.1", Modality="XA"), 5),
    ]
    studies, series = list_studies(scans)
    assert [(s.study_uid, s.modalities, s.patient_id, s.series, s.instances) for s in studies] == [
        ("1", "CT\\MR", "A", 2, 7),
        ("2", "US", "", 1, 5),
    ]
    assert studies[1].date == "20200131"
    assert [(s.n, s.study_uid, s.series_uid) for s in series] == [
        (0, "1", "1.1"),
        (1, "1", "1.2"),
        (2, "1", "1.2"),
        (3, "2", "2.1"),
    ]


def test_facts_of_earlier_versions_are_told() -> None:
    facts = tally("1", "1.1", Modality="MR")
    assert not is_whole(facts)
    assert is_whole(tally("1", "1.1", BitsAllocated="16"))
    facts.nested[REQUESTS] = "[]"
    assert is_whole(facts)


@pytest.mark.parametrize(
    ("text", "date"),
    [("20200131", "20200131"), ("2020.01.31", "20200131"), ("20200230", ""), ("x", ""), ("", ""), ("00010101", "")],
)
def test_dates_are_written_in_one_way(text: str, date: str) -> None:
    assert to_date(text) == date


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("10", "10"), ("1015", "1015"), ("10:15:30", "101530"), ("101530.25", "101530.25"), ("101530,5", "101530.5"),
        ("2460", ""), ("1060", ""), ("101575", ""), ("x", ""), ("", ""), ("\u0661\u0661", ""),
    ],
)  # fmt: skip
def test_times_keep_their_precision(text: str, time: str) -> None:
    assert to_time(text) == time


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Doe^Jane^^^", ("doe^jane", "", "")),
        ("Müller^ÉLODIE", ("muller^elodie", "", "")),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", ("yamada^tarou", "山田^太郎", "やまた^たろう")),
        ("Hong^Gildong=洪^吉洞=홍^길동", ("hong^gildong", "洪^吉洞", "홍^길동")),
        ("  Doe  ^ Jane ", ("doe^jane", "", "")),
        ("STRASSE", ("strasse", "", "")),
        ("Straße", ("strasse", "", "")),
        ("Люкceмбypг", ("люкceмбypг", "", "")),
        ("A\\B", ("a", "", "")),
        ("", ("", "", "")),
    ],
)
def test_names_are_compared_without_case_and_accents(name: str, key: tuple[str, str, str]) -> None:
    assert tuple(name_key(name)) == key
    assert tuple(name_key("=".join(key))) == key
