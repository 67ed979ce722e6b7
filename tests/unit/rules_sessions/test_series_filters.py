"""Series import filters: the golden cases of the original (beside the project), refusals, conditions."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from scandock.model.errors import Usage
from scandock.rules.series_filters import (
    MAX_TEXT,
    MAX_VALUE,
    FilterText,
    SeriesFilter,
    find_tag,
    parse_filter,
    read_document,
    read_lines,
)

GOLDEN = Path(__file__).resolve().parents[4] / "shared/reference/golden/filters-petmr.json"
CASES: list[dict[str, Any]] = json.loads(GOLDEN.read_text())["filters"] if GOLDEN.exists() else []
DESCRIPTION, MODALITY, BURNED = 0x0008103E, 0x00080060, 0x00280301
PETMR = {
    "mode": "modalityMap",
    "exclude": "/^yes$/i.test('#BurnedInAnnotation#')",
    "PT": "'#Modality#' == 'PT' || ('#Modality#' == 'MR' && /^.*MRAC.*$/.test('#SeriesDescription#'))",
    "MR": "'#Modality#' != 'PT' && !('#Modality#' == 'MR' && /^.*MRAC.*$/.test('#SeriesDescription#'))",
    "default": "MR",
}


def blacklist(*lines: str) -> SeriesFilter:
    return parse_filter(read_lines("\n".join(lines), "blacklist"))


def mapped(**values: str) -> SeriesFilter:
    return parse_filter(read_document(json.dumps({"mode": "modalityMap", **values})))


@pytest.mark.skipif(not GOLDEN.exists(), reason="the reference is not beside the project")
def test_golden_cases(subtests: pytest.Subtests) -> None:
    assert len(CASES) == 32
    for number, case in enumerate(CASES):
        with subtests.test(f"{number}: {case.get('note') or case['list'][:40]}"):
            document = json.dumps({key: case[key] for key in ("mode", "list", "enabled") if key in case})
            if case.get("refused"):
                with pytest.raises(Usage) as caught:
                    parse_filter(read_document(document))
                assert caught.value.code == "filter_unreadable"
                continue
            text = read_document(document)
            values = {int(tag, 16): value for tag, value in case["object"].items()}
            accepted = text.enabled is False or parse_filter(text).decide(values).accepted
            assert accepted is case["accept"]


def test_the_line_that_decides_is_named() -> None:
    first = blacklist("# localizers", "", "^localizer", "[Modality]", "^(PR|KO)$")
    assert first.decide({DESCRIPTION: "Localizer 1"}) == (False, "line 3")
    assert first.decide({DESCRIPTION: "T1", MODALITY: "KO"}) == (False, "line 5")
    assert first.decide({DESCRIPTION: "T1", MODALITY: "MR"}) == (True, "no line matches")
    assert first.tags == {DESCRIPTION, MODALITY}
    only = parse_filter(read_lines("T1", "whitelist"))
    assert only.decide({DESCRIPTION: "ax t1"}) == (True, "line 1")
    assert only.decide({}) == (False, "no line matches")


def test_an_element_is_named_in_four_ways() -> None:
    for name in ("(0008,103E)", "0008,103e", "SeriesDescription"):
        assert find_tag(name) == DESCRIPTION
    assert find_tag("ProtocolName") == 0x00181030
    assert find_tag("RadiopharmaceuticalInformationSequence") == 0x00540016
    assert find_tag("DerivationDescription") == 0x00082111  # of pydicom's dictionary alone
    for name in ("(0008,103E", "0008,103G", "seriesdescription", "", "0008 103E", "PixelData", "(FFFA,FFFA)"):
        assert find_tag(name) is None


def test_a_repeated_section_adds_to_it_and_brackets_within_a_pattern_are_none() -> None:
    parts = blacklist("[Modality]", "^PR$", "[SeriesDescription]", "[ab]x[cd]", "[Modality]", "^KO$")
    assert [parts.decide({MODALITY: value}).rule for value in ("PR", "KO")] == ["line 2", "line 6"]
    assert parts.decide({DESCRIPTION: "BXC"}).rule == "line 4"


def test_every_line_that_cannot_be_read_is_named() -> None:
    with pytest.raises(Usage) as caught:
        blacklist("fine", "a(b", "[NoSuchKeyword]", "(a+)+b", "[(0008,103E]", "x")
    message = caught.value.message
    assert re.findall(r"Line (\d)", message) == ["2", "3", "4", "5"]
    assert "[NoSuchKeyword]" in message


def test_texts_are_bounded() -> None:
    for lines in ("x" * MAX_TEXT, "\n" * 3_000):
        with pytest.raises(Usage, match="more than"):
            parse_filter(read_lines(lines, "blacklist"))


def test_no_pattern_takes_long() -> None:
    """What searches for long is refused; of what is taken, no value of 300 characters takes a tenth of a second."""
    hostile = ("(a|a)*b", "(a+)+b", "(.*)*x", ".*.*.*.*.*x", r"(\w+\s?)+:")
    for pattern in hostile:
        with pytest.raises(Usage):
            blacklist(pattern)
    for pattern in (".*a.*b", "^.*LOCALIZER.*$", r"\d+x", "a*b"):
        begin = time.thread_time()
        blacklist(pattern).decide({DESCRIPTION: "a" * MAX_VALUE + "\n"})
        assert time.thread_time() - begin < 0.1, pattern


def test_javas_patterns_are_known() -> None:
    java = blacklist(r"\Q[x]\E$", r"(?<name>loc)\z", r"\p{Alpha}{3}-1")
    assert [java.decide({DESCRIPTION: value}).rule for value in ("A[X]", "LOC", "abc-1")] == [
        "line 1", "line 2", "line 3",
    ]  # fmt: skip


def test_a_modality_map_of_the_original_is_read_as_its_conditions() -> None:
    petmr = parse_filter(read_document(json.dumps(PETMR)))
    assert petmr.decide({BURNED: "YES", MODALITY: "MR"}) == (False, "exclude")
    assert petmr.decide({MODALITY: "PT"}) == (True, "PT")
    assert petmr.decide({MODALITY: "MR", DESCRIPTION: "Head_MRAC_UTE"}) == (True, "PT")
    assert petmr.decide({MODALITY: "MR", DESCRIPTION: "mrac"}) == (True, "MR")
    assert petmr.decide({}) == (True, "MR")


def test_conditions() -> None:
    conditions = mapped(
        keep="Modality = 'MR' and not (SeriesDescription ~ \"(?i)phoenix\" or (0028,0301) = 'YES')",
        pet="Modality != 'MR' and SeriesDescription !~ 'x'",
    )
    assert conditions.tags == {MODALITY, DESCRIPTION, BURNED}
    assert conditions.decide({MODALITY: "MR"}) == (True, "keep")
    assert conditions.decide({MODALITY: "MR", DESCRIPTION: "PhoenixZIP"}) == (False, "no line matches")
    assert conditions.decide({MODALITY: "MR", BURNED: "YES"}).accepted is False
    assert conditions.decide({MODALITY: "PT", DESCRIPTION: "y"}) == (True, "pet")
    strict = mapped(keep="Modality != 'MR'", strict="true")
    assert strict.decide({MODALITY: "PT"}).accepted
    assert not strict.decide({}).accepted
    assert mapped(exclude="Modality = 'SR'", default="MR").decide({MODALITY: "SR"}) == (False, "exclude")


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("'#Modality#' == 'MR'", "'#Modality#'"),
        ("Modality", "ends where"),
        ("Modality = MR", "text in quotes"),
        ("Modality & 'MR'", "can't stand there"),
        ("Nothing = 'MR'", "no element 'Nothing'"),
        ("(Modality = 'MR'", "ends where a parenthesis"),
        ("Modality = 'MR' Modality = 'PT'", "'Modality' can't stand there"),
        ("Modality ~ '(a+)+b'", "repeats a repetition"),
        ("not " * 30 + "Modality = 'MR'", "nested"),
        ("", "ends where"),
    ],
)
def test_conditions_that_cannot_be_read(expression: str, why: str) -> None:
    with pytest.raises(Usage) as caught:
        mapped(PT=expression)
    assert why in caught.value.message
    assert "JavaScript is not run" in caught.value.remedy


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        "{}",
        '{"mode": "blacklist", "list": 3}',
        '{"mode": "blacklist", "enabled": "perhaps"}',
        '{"mode": null}',
    ],
)
def test_documents_that_are_no_filter(document: str) -> None:
    with pytest.raises(Usage) as caught:
        read_document(document)
    assert caught.value.code == "filter_unreadable"


def test_what_is_kept_is_the_filter_alone() -> None:
    text = read_document('{"mode":"blacklist","enabled":"false","projectId":"P","list":"A\\r\\nB"}')
    assert (text.enabled, text.to_document()) == (False, '{"mode": "blacklist", "list": "A\\nB"}')
    assert read_document(text.to_document()) == FilterText(mode="blacklist", lines="A\nB")
    again = read_document(read_document(json.dumps(PETMR)).to_document())
    assert again == read_document(json.dumps(PETMR))
