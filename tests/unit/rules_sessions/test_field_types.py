"""Numbers as the original's listings write them."""

from __future__ import annotations

import pytest

from scandock.rules.field_types import format_float, is_float


@pytest.mark.parametrize(
    ("said", "listed"),
    [
        ("42", "42.0"), ("042", "42.0"), ("42.50", "42.5"), ("-3", "-3.0"), (".5", "0.5"), ("0", "0.0"),
        ("0.9375", "0.9375"), ("0.001", "0.001"), ("0.0005", "5.0E-4"), ("-12345678", "-1.2345678E7"),
        ("9999999", "9999999.0"), ("10000000", "1.0E7"), ("1e2", "100.0"), ("2.5E-10", "2.5E-10"),
        ("123456789012345", "1.23456789012345E14"),
        ("", ""), ("5 mm", "5 mm"), ("042Y", "042Y"), ("NaN", "NaN"), ("1,5", "1,5"), ("1e999", "1e999"),
    ],
)  # fmt: skip
def test_a_float_is_written_as_java_does_it_and_what_is_none_stays(said: str, listed: str) -> None:
    assert format_float(said) == listed
    assert format_float(format_float(said)) == listed


def test_nothing_is_an_empty_text() -> None:
    assert format_float(None) == ""


def test_floats_are_what_the_schema_says() -> None:
    floats = ("age", "AGE", "parameters/tr", "parameters/voxelRes/x", "weight", "subject_weight")
    others = ["subject_age", "subject_yob", "frames", "yob", "fieldStrength", "parameters/fov/x"]
    others += ["note", "parameters/addParam/tr", "date"]
    assert [name for name in (*floats, *others) if is_float(name)] == list(floats)
