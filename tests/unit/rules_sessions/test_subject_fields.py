"""What a query of XNAT's dialect says of a subject."""

from __future__ import annotations

import pytest

from scandock.model.errors import Usage
from scandock.rules.session_fields import rejoin_pairs
from scandock.rules.subject_fields import SUBJECT_FIELDS, label_fields, parse_subject_fields


@pytest.mark.parametrize(
    "path",
    [
        "gender",
        "GENDER",
        "demographics/gender",
        "xnat:subjectData/gender",
        "xnat:subjectdata/demographics/gender",
        "xnat:subjectData/demographics[@xsi:type=xnat:demographicData]/gender",
        'xnat:subjectData/demographics[@xsi:type="xnat:demographicData"]/gender',
        "xnat:subjectData/demographics[xsi:type='xnat:demographicData']/gender",
        "xnat:demographicData/gender",
    ],
)
def test_paths_and_bare_names_mean_the_same(path):
    assert parse_subject_fields([(path, "F")]) == {"gender": "F"}


@pytest.mark.parametrize(
    "path", ["xnat:mrSessionData/age", "xnat:subjectData/fields/field[name=age]/field", "a b", "label", "xsiType",
             "XNAT_CSRF", "event_reason", "xnat:subjectData/demographics[@xsi:type=x", "", "gender/"],
)  # fmt: skip
def test_what_has_no_place_is_left(path):
    assert parse_subject_fields([(path, "1")]) == {}


def test_a_path_whose_brackets_were_typed_as_they_are_is_put_together():
    """A query is cut at its first `=`, which here is the brackets' own."""
    cut = [("xnat:subjectData/demographics[@xsi:type", "xnat:demographicData]/race=a=b"), ("x[1]", "]=2"), ("y[", "3")]
    whole = "xnat:subjectData/demographics[@xsi:type=xnat:demographicData]/race"
    assert rejoin_pairs(cut) == [(whole, "a=b"), ("x[1]", "]=2"), ("y[", "3")]
    assert parse_subject_fields(cut) == {"race": "a=b"}


@pytest.mark.parametrize("text", ["M", "F", "male", "female", "other", "unknown", "nonbinary", "x" * 4000])
def test_what_is_text_is_kept_as_it_is_said(text):
    assert parse_subject_fields([("gender", f" {text} "), ("handedness", text)]) == {"gender": text, "handedness": text}


@pytest.mark.parametrize("text", ["", " ", "NULL", "null"])
def test_every_field_can_be_taken_back(text):
    assert parse_subject_fields([(name, text) for name in SUBJECT_FIELDS]) == dict.fromkeys(SUBJECT_FIELDS.values(), "")


@pytest.mark.parametrize(
    ("name", "text"),
    [("yob", "1980"), ("age", "0"), ("ses", "-1"), ("weight", "70.5"), ("height", ".5"), ("birth_weight", "3."),
     ("dob", "1980-02-29")],
)  # fmt: skip
def test_numbers_and_days_are_kept_as_they_are_said(name, text):
    assert parse_subject_fields([(name, text)]) == {name: text}


def test_a_day_in_the_other_order_is_turned_round():
    assert parse_subject_fields([("dob", "12/31/1980")]) == {"dob": "1980-12-31"}


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [("yob", "about 1980", "whole number"), ("yob", "1980.5", "whole number"), ("age", "34y", "whole number"),
     ("education", "1" * 10, "whole number"), ("ses", "٣", "whole number"), ("weight", "70 kg", "a point"),
     ("weight", "70,5", "a point"), ("height", "nan", "a point"), ("height", ".", "a point"),
     ("dob", "1980", "YYYY-MM-DD"), ("dob", "1981-02-29", "YYYY-MM-DD"), ("dob", "31/12/1980", "YYYY-MM-DD"),
     ("group", "x" * 4001, "4,000"),
     ("gender", "a\0b", "4,000")],
)  # fmt: skip
def test_what_can_be_no_value_is_refused_with_what_helps(name, text, remedy):
    with pytest.raises(Usage, match=name) as refused:
        parse_subject_fields([(name, text)])
    assert (refused.value.code, remedy in refused.value.remedy) == ("value_invalid", True)


def test_people_read_names_in_words_in_the_order_of_the_fields():
    said = {"yob": "1980", "group": "control", "birth_weight": "3.2", "unknown": "x", "src": ""}
    assert label_fields(said) == [("Group", "control"), ("Year of birth", "1980"), ("Birth weight", "3.2")]
