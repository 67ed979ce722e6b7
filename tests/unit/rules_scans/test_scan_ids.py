from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.model.series import SeriesTally
from scandock.model.tags import NUMBERS
from scandock.rules.scan_ids import EcatScan, NewSeries, assign_ecat_scan_ids, assign_scan_ids, new_series, sort_key

SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")


def mr(uid, number="4", time=""):
    return NewSeries(uid=uid, number=number, modality="MR", image=True, time=time)


def report(uid, number="4", modality="SR"):
    return NewSeries(uid=uid, number=number, modality=modality, image=False)


def test_a_series_is_called_by_its_number():
    assert assign_scan_ids([mr("1.1", "4"), mr("1.2", "5")], {}) == {"1.1": "4", "1.2": "5"}


def test_the_only_image_series_of_a_number_keeps_it_bare():
    series = [report("1.1"), mr("1.2"), report("1.3", modality="SEG"), report("1.4", modality="PR"), report("1.5")]
    assert assign_scan_ids(series, {}) == {"1.2": "4", "1.1": "4-SR1", "1.5": "4-SR2", "1.3": "4-SEG1", "1.4": "4-PR1"}


def test_several_image_series_of_one_number_are_numbered_by_time_then_uid():
    series = [mr("1.3"), mr("1.2", time="10:00:00"), mr("1.1", time="10:00:00"), mr("1.4", time="09:00:00")]
    assert assign_scan_ids(series, {}) == {"1.4": "4-MR1", "1.1": "4-MR2", "1.2": "4-MR3", "1.3": "4-MR4"}


def test_images_of_two_modalities_are_numbered_each():
    pet = NewSeries(uid="1.2", number="4", modality="PT")
    assert assign_scan_ids([mr("1.1"), pet], {}) == {"1.1": "4-MR1", "1.2": "4-PT1"}


def test_a_report_alone_keeps_its_number_and_several_do_not():
    assert assign_scan_ids([report("1.1", "99")], {}) == {"1.1": "99"}
    assert assign_scan_ids([report("1.1", "99"), report("1.2", "99")], {}) == {"1.1": "99-SR1", "1.2": "99-SR2"}


def test_ids_once_given_never_change():
    existing = assign_scan_ids([mr("1.1")], {})
    again = assign_scan_ids([mr("1.1"), mr("1.0"), report("1.2")], existing)
    assert again == {"1.1": "4", "1.0": "4-MR1", "1.2": "4-SR1"}


def test_a_third_image_series_does_not_become_the_bare_one():
    existing = {"1.1": "4-MR1", "1.2": "4-MR2"}
    assert assign_scan_ids([mr("1.3")], existing) == {"1.3": "4-MR3"}
    assert assign_scan_ids([report("1.3")], existing) == {"1.3": "4-SR1"}


def test_an_image_series_that_comes_after_its_reports_is_the_bare_one():
    assert assign_scan_ids([mr("1.3")], {"1.1": "4-SR1", "1.2": "4-SR2"}) == {"1.3": "4"}


@pytest.mark.parametrize(
    ("number", "scan_id"),
    [
        ("+4", "_4"),
        ("-4", "-4"),
        (" 4 ", "4"),
        ("004", "004"),
        ("4.5", "4.5"),
        ("4\\5", "4_5"),
        ("../x", "_._x"),
        (".", "_"),
        ("..", "__"),
        ("4/5", "4_5"),
        ("CON", "_CON"),
        ("nul.1", "_nul.1"),
        ("é", "_"),
        ("A b", "A_b"),
    ],
)
def test_numbers_are_made_safe(number, scan_id):
    assert assign_scan_ids([mr("1.1", number)], {}) == {"1.1": scan_id}


def test_a_series_without_number_is_called_by_its_uid():
    assert assign_scan_ids([mr("1.2.840", ""), mr("1.2.841", " ")], {}) == {"1.2.840": "1_2_840", "1.2.841": "1_2_841"}


def test_uids_that_are_none_give_safe_ids():
    ids = assign_scan_ids([mr("../../etc", ""), mr("9" * 300, ""), mr("9" * 301, ""), mr("", "")], {})
    assert len(set(ids.values())) == 4
    assert all(SAFE.fullmatch(scan_id) for scan_id in ids.values())


def test_uids_that_clean_to_one_text_are_told_apart():
    assert assign_scan_ids([mr("1.2", ""), mr("1_2", "")], {}) == {"1.2": "1_2-MR1", "1_2": "1_2-MR2"}


def test_ids_differ_in_more_than_case():
    ids = assign_scan_ids([mr("1.1", "a"), mr("1.2", "A")], {})
    assert len({scan_id.casefold() for scan_id in ids.values()}) == 2


def test_taken_ids_are_left_alone():
    assert assign_scan_ids([mr("1.1", "900")], {}, in_use=["900"]) == {"1.1": "900-MR1"}


def test_a_number_that_looks_like_an_id():
    assert assign_scan_ids([mr("1.1"), mr("1.2"), mr("1.3", "4-mr1")], {}) == {
        "1.3": "4-mr1",
        "1.1": "4-MR2",
        "1.2": "4-MR3",
    }


def test_a_missing_modality_is_ot():
    assert assign_scan_ids([NewSeries(uid="1.1", number="4"), NewSeries(uid="1.2", number="4")], {})["1.1"] == "4-OT1"


def tally(**values):
    made = SeriesTally(study_uid="1", series_uid="1.1", objects=3)
    for keyword, counts in values.items():
        for text, count in counts.items():
            made.add(NUMBERS[keyword], text, count)
    return made


def test_a_series_of_several_numbers_takes_the_most_common_then_the_first():
    assert new_series(tally(SeriesNumber={"7": 1, "8": 2})).number == "8"
    assert new_series(tally(SeriesNumber={"8": 1, "7": 1, "": 5})).number == "7"


def test_what_decides_is_read_from_the_tally():
    made = new_series(
        tally(
            SeriesNumber={"4": 3},
            Modality={"SR": 3},
            SOPClassUID={"1.2.840.10008.5.1.4.1.1.88.22": 3},
            SeriesTime={"101500.5": 1, "093000": 2},
        )
    )
    assert made == NewSeries(uid="1.1", number="4", modality="SR", image=False, time="09:30:00")


def test_a_series_without_classes_goes_by_its_modality():
    assert new_series(tally(Modality={"MR": 1})).image
    assert not new_series(tally(Modality={"KO": 1})).image


numbers = st.one_of(st.sampled_from(["", "4", "+4", "5", "4-MR1", "A", "a", "..", "9" * 80]), st.text(max_size=70))
series_lists = st.lists(
    st.builds(
        NewSeries,
        uid=st.one_of(st.sampled_from(["1.1", "1.2", "1_1"]), st.text(max_size=90)),
        number=numbers,
        modality=st.sampled_from(["MR", "PT", "", "SR", "X" * 40, "ß"]),
        image=st.booleans(),
        time=st.sampled_from(["", "09:00:00", "10:00:00"]),
    ),
    max_size=20,
    unique_by=lambda series: series.uid,
)


@given(series_lists, st.randoms(use_true_random=False))
def test_every_id_is_safe_and_unique_whatever_the_order(series, random):
    ids = assign_scan_ids(series, {})
    assert set(ids) == {one.uid for one in series}
    assert all(SAFE.fullmatch(scan_id) and scan_id[-1] != "." for scan_id in ids.values())
    assert len({scan_id.casefold() for scan_id in ids.values()}) == len(ids)
    random.shuffle(series)
    assert assign_scan_ids(series, {}) == ids


@given(series_lists, st.integers(0, 20))
def test_uploads_one_after_the_other_change_no_id_and_share_none(series, cut):
    first = assign_scan_ids(series[:cut], {})
    second = assign_scan_ids(series, first)
    assert first.items() <= second.items()
    assert len({scan_id.casefold() for scan_id in second.values()}) == len(series)


def ecat(sha256, folder="", start=0, path=""):
    return EcatScan(sha256=sha256, scan_folder=folder, start=start, path=path)


def test_ecat_scans_are_numbered_by_their_start_then_their_path():
    files = [
        ecat("c", start=0, path="a"),
        ecat("a", start=200),
        ecat("b", start=100, path="y"),
        ecat("d", start=100, path="x"),
    ]
    assert assign_ecat_scan_ids(files) == {"d": "1", "b": "2", "a": "3", "c": "4"}


def test_an_ecat_scan_is_called_by_its_scan_folder():
    files = [ecat("a", "900"), ecat("b", "900"), ecat("c", "../x"), ecat("d")]
    assert assign_ecat_scan_ids(files) == {"a": "900", "b": "900", "c": "_._x", "d": "1"}


def test_ecat_scans_stand_beside_dicom_scans():
    files = [ecat("a", "4"), ecat("b", start=5), ecat("c", start=6)]
    assert assign_ecat_scan_ids(files, in_use=["4", "1", "2-MR1", "2-MR2"]) == {"a": "4-PT1", "b": "3", "c": "5"}


def test_ecat_ids_once_given_never_change():
    existing = {"a": "1", "b": "900"}
    again = assign_ecat_scan_ids([ecat("a", "7"), ecat("c", start=1), ecat("d", "900")], existing)
    assert again == {"a": "1", "c": "2", "d": "900"}


@given(
    st.lists(
        st.builds(
            EcatScan,
            sha256=st.text("abc", min_size=1, max_size=3),
            scan_folder=st.sampled_from(["", "1", "A", "a", "..", "x/y"]),
            start=st.integers(0, 3),
        ),
        max_size=15,
        unique_by=lambda scan: scan.sha256,
    ),
    st.lists(st.sampled_from(["1", "2", "a", "3-MR1", "A-PT1"]), max_size=4),
    st.randoms(use_true_random=False),
)
def test_ecat_ids_are_safe_and_meet_no_dicom_id(files, taken, random):
    ids = assign_ecat_scan_ids(files, in_use=taken)
    assert set(ids) == {one.sha256 for one in files}
    assert all(SAFE.fullmatch(scan_id) for scan_id in ids.values())
    assert {scan_id.casefold() for scan_id in ids.values()}.isdisjoint(name.casefold() for name in taken)
    alone = [ids[one.sha256] for one in files if not one.scan_folder]
    assert len(set(alone)) == len(alone)
    random.shuffle(files)
    assert assign_ecat_scan_ids(files, in_use=taken) == ids


def test_ids_are_sorted_as_people_count_by_a_key_that_every_database_sorts_alike():
    ids = ["", "01", "1", "2", "4", "4-MR1", "4-MR2", "4-MR10", "4-SR1", "10", "1" * 50, "a2", "A10", "b", "\udcff"]
    distinct = [scan_id for scan_id in ids if scan_id != "01"]
    assert sorted(set(distinct), key=sort_key) == distinct
    assert sort_key("01") == sort_key("1")
    assert set("".join(map(sort_key, ids))) <= set("0123456789abcdef")
