"""The functions of scripts: texts, UIDs, dates, ages, values that are blanked."""

from __future__ import annotations

import re
import time
import uuid

import pytest

from scandock.deidentification.parsing import parse
from scandock.deidentification.script.date_arithmetic import DateError, midpoint, shift
from scandock.deidentification.script.lookup_table import parse_lookup_table
from scandock.deidentification.script.message_format import FormatError, format_message
from scandock.rules.java_patterns import (
    MAX_VALUE,
    PatternError,
    PatternUnsupported,
    compile_pattern,
    find_group,
    matches,
)
from tests.unit.deidentification.script.script_objects import (
    KEY,
    Elements,
    changed,
    context,
    object_bytes,
    read_back,
    run,
    value_at,
)
from tests.unit.deidentification.script.test_script_language import fails

PATIENT: Elements = {"00100010": ["PN", "DOE^J"], "00100020": ["LO", "P7"]}


def result(value: str, elements: Elements | None = None, **given: object) -> str | None:
    """What `value` is in a script."""
    said: list[str | None] = []
    run(f"echo {value}", parse(object_bytes(elements or PATIENT)), context(echo=said.append, **given))
    return said[0]


# Texts


def test_texts() -> None:
    for value, expected in {
        'concatenate["a", 5, (0010,0020)]': "a5P7",
        "concatenate[]": "",
        'lowercase["ÄB"]': "äb",
        'uppercase["äß"]': "ÄSS",
        'substring["abc", 1, 1]': "",
        'substring["abc", 0, 3]': "abc",
        'replace["a.b.c", ".", ""]': "abc",
        'replace["aaa", "aa", "b"]': "ba",
        'normalizeString["a√é😀"]': "a___",
        'normalizeString["é", "\\\\1"]': "\\1",
        'match["ab12cd34", "[0-9]+", 0]': "12",
        'match["DOE^JANE", "(\\\\w+)\\\\^(\\\\w+)", 2]': "JANE",
        'match["ab", "(x)?ab", 1]': None,
        'match["ab", "x", 0]': None,
        'ismatch["ab", "a"]': "false",
        'ismatch["ab", "(?i)AB"]': "true",
        "{1, {2, (0010,0010)}}": "1, 2, (0010,0010)",
    }.items():
        assert result(value) == expected, value
    for value in (
        'substring["abc", -1, 2]',
        'substring["abc", 2, 1]',
        'substring["abc", 0, 4]',
        'substring["abc", "x", 2]',
        'substring["abc", 0, "1.0"]',
        'match["ab", "a", 1]',
        'match["ab", "a", -1]',
        'match["ab", "(", 0]',
        'ismatch["ab", "a{2,1}"]',
        'ismatch["ab", (0010,9999)]',
        'replace["a", "a", (0010,9999)]',
        "normalizeString[{1}]",
        'format[(0010,9999), "x"]',
    ):
        fails(f"a := {value}", PATIENT)


def test_formats_are_javas() -> None:
    for pattern, expected in {
        "{0}-{1}-{0}": "a-null-a",
        "it''s {0}": "it's a",
        "it's {0}": "its {0}",
        "'{0}' {0}": "{0} a",
        "'a''{0}'{0}": "a'{0}a",
        "{2}{00}": "{2}a",
        "}{0}": "}a",
        "": "",
        "'": "",
    }.items():
        assert "".join(format_message(pattern, ["a", None])) == expected, pattern
    for pattern in ("{", "{0", "{}", "{a}", "{0,number}", "{-1}", "{ 0}", "x {0} {"):
        with pytest.raises(FormatError) as failed:
            list(format_message(pattern, ["a"]))
        assert pattern not in str(failed.value) or pattern == "{"


def test_lookups_miss_without_a_table() -> None:
    table = parse_lookup_table("pid/P7 = S1")
    assert result('lookup["pid", (0010,0020)]', lookups=table) == "S1"
    for value in (
        'lookup["pid", "P8"]',
        'lookup["pn", (0010,0020)]',
        'lookup["pid", (0010,9999)]',
        'lookup[(0010,9999), "P7"]',
    ):
        assert result(value, lookups=table) is None
    assert result('lookup["pid", (0010,0020)]') is None
    assert value_at(changed('(0010,0020) := lookup["pid", (0010,0020)]', PATIENT), "00100020") == "P7"


# Patterns


def test_patterns_are_javas() -> None:
    for pattern, value, expected in [
        (r"a.b", "a\nb", False),
        (r"a.b", "a\u2028b", False),
        (r"(?s)a.b", "a\nb", True),
        (r"a(?i)b|c", "aB", True),
        (r"a(?i)b|c", "C", True),
        (r"a(?i)b|c", "AB", False),
        (r"(?:a(?i)b)c", "aBC", False),
        (r"(?i:a)b", "Ab", True),
        (r"(?i)é", "É", False),
        (r"(?iu)é", "É", True),
        (r"\w+", "é", False),
        (r"\d", "٣", False),
        (r"(?<year>\d{4})\k<year>", "20242024", True),
        (r"\p{L}+", "Üé", True),
        (r"\p{Lu}\P{Lu}", "Üé", True),
        (r"[\p{Alpha}_]+", "a_B", True),
        (r"\p{Punct}", "]", True),
        (r"[a-c[x-z]]+", "axz", True),
        (r"[]a]+", "]a", True),
        (r"[^]a]", "b", True),
        (r"[\[\]]+", "[]", True),
        (r"\Qa.b*\E+", "a.b*a.b*", True),
        (r"[\Q^-]\E]+", "^-]", True),
        (r"\h+\R", "\t \u3000\r\n", True),
        (r"\x41\u0042\x{43}\0104", "ABCD", True),
        (r"\cA\e\a", "\x01\x1b\x07", True),
        (r"a\z", "a", True),
        (r"(a)\1", "aa", True),
        (r"[a||b~~]+", "a|~b", True),
        (r"a*+b", "aab", True),
        (r"(?>a*)b", "aab", True),
        (r"(?=a)(?!b)(?<!x)(?<=)a", "a", True),
        (r"\.\^\-\/", ".^-/", True),
    ]:
        assert matches(pattern, value) is expected, (pattern, value)
    assert find_group(r"b$", "ab\n", 0) == "b"
    assert find_group(r"b\Z", "ab\n", 0) == "b"
    for pattern in ("(", ")", "[a", "a{2,1}", "*", "(?<a", r"\k<nobody>", "\\", r"\p{", "(?<=a*)b", r"\x{110000}"):
        with pytest.raises(PatternError) as failed:
            compile_pattern(pattern)
        assert not isinstance(failed.value, PatternUnsupported), pattern
    for pattern in ("[a&&b]", r"\G", r"\X", r"\p{InGreek}", "(?d)a", "[a[^b]]", r"[\P{L}]", r"\y", "a" * 2001):
        with pytest.raises(PatternUnsupported):
            compile_pattern(pattern)


def test_patterns_that_may_never_end_are_refused() -> None:
    for pattern in (
        "(a+)+",
        "(a*)*b",
        "(a|a)*",
        "(a|ab)*c",
        "(.*a){20}",
        "([a-z]+,?)+",
        "(x+x+)+y",
        r"(\w+\s?)*",
        "((a+)b?)+",
        "(?:a+){11,}",
        "(a??b?)*c",
        r"(a)(\1?)+",
        ".*a" * 8,
        "a?" * 30 + "a" * 30,
        "(?:(?:a?){10}){10}b",
        "(?:a?){10}" * 3,
        "(a{0,9}){9}b",
        "(?:){99}",
        "(?=(a+)+b)a*",
    ):
        with pytest.raises(PatternUnsupported):
            compile_pattern(pattern)
    for pattern in (
        r"(\w+\s)*x",
        "(?:[A-Z]+_)*[A-Z]+",
        "(a|b)*",
        "(ab|cd)+",
        ".*a.*b.*",
        "(a+){3}",
        r"([^\\]*\\)*[^\\]*",
        "((a|b)c)*",
        "(?:a{2})*",
        "(a*b)*",
        r"(\d+\.)+\d+",
    ):
        compile_pattern(pattern)


def test_values_are_cut_the_earlier_the_longer_a_pattern_may_take() -> None:
    for pattern, most, searched in [
        ("20[0-9]{6}", 1024, 1024),
        ("[^^]*\\^[^^]*\\^.*", 1024, 1024),
        ("(?i).*localizer.*", 1024, 1024),
        (".*a.*b.*", 600, 600),
        (".*a.*b.*c.*", 200, 200),
        ("a.*b.*", 1024, 600),
        ("(.*)_(.*)_(.*)_(.*)_(.*)", 64, 64),
        ("(?:a|ab|b){4}c", 1024, 1024),
    ]:
        assert compile_pattern(pattern).most == most, pattern
        assert compile_pattern(pattern, is_search=True).most == searched, pattern
    started = time.process_time()
    for pattern in (".*.*.*x", ".*a.*a.*a.*a.*b", "[a-z]*[a-z]*1"):
        assert not matches(pattern, "a" * 2000)
    assert time.process_time() - started < 8


def test_what_begins_anywhere_is_searched_from_line_beginnings() -> None:
    for pattern in (".*b", ".+?b", "(.*)b", "(?s).*b", "(?:.*)b|.*c"):
        compiled = re.compile(pattern)
        for value in ("aab", "a\nab", "b\nb", "x\ny", "c"):
            match = compiled.search(value)
            assert find_group(pattern, value, 0) == (match[0] if match else None), (pattern, value)


def test_values_are_cut_before_they_are_matched() -> None:
    assert matches("a+", "a" * MAX_VALUE + "b")
    assert not matches("a+", "a" * (MAX_VALUE - 1) + "b")


# UIDs


def test_uids_are_hashed_each_value_by_itself() -> None:
    elements: Elements = {
        "00080018": ["UI", "1.2.3.4"],
        "00081155": ["UI", ""],
        "00420010": ["LO", "1.2.3"],
        "00081140": ["SQ", [{"00081155": ["UI", "1.2.3.4\\1.2.3"]}]],
    }
    script = (
        'old := "(0008,0018)" hashUIDList[old, {(0042,0010)}, */(0008,1155), "(0008,0018)", (0010,9999), (0008,1140)]'
    )
    data = changed(script, elements)
    four, three = "2.25.12977335313771255011876057319581175462", "2.25.148370922854076938159295778886134140470"
    assert (value_at(data, "00080018"), value_at(data, "00420010")) == (four, three)
    assert value_at(data, "00081140[0]/00081155") == f"{four}\\{three}"
    assert value_at(data, "00081155") == ""
    assert result("hashUID[(0042,0010)]", elements) == three
    fails("hashUIDList[nobody]", elements)
    fails('hashUIDList["fubar"]', elements, "is no path")


def test_new_uids_are_random_and_mapped_ones_keyed_by_root_and_value() -> None:
    first, second = result("newUID[]"), result("newUID[]")
    assert first is not None
    assert first != second
    assert uuid.UUID(int=int(first.removeprefix("2.25."))).version == 4
    elements: Elements = {
        "0020000D": ["UI", "1.2.3"],
        "00081155": ["UI", ""],
        "00081140": ["SQ", [{"00081155": ["UI", "1.2.3\\1.2.4"]}]],
    }
    script = """(0020,000D) := mapUID[(0020,000D), "1.666"]
        mapReferencedUIDs["1.666", "*/(0008,1155)"]
        (0008,0058) := mapUID[(0010,9999), "1.666."]"""
    data, again = changed(script, elements), changed(script, elements)
    study = value_at(data, "0020000D")
    assert study is not None
    assert re.fullmatch(r"1\.666\.[1-9][0-9]*", study)
    assert len(study) <= 64
    nested = value_at(data, "00081140[0]/00081155")
    assert nested is not None
    one, other = nested.split("\\")
    assert one == study != other
    of_nothing = [value_at(data, tag) for tag in ("00081155", "00080058")]
    assert all(value and value.startswith("1.666.") for value in of_nothing)
    assert str(data) == str(again)  # over objects, processes and imports
    assert result('mapUID["1.2.3", "1.667"]') != study
    assert result('mapUID["1.2.3", "1.666"]') == study
    other_key = context(echo=lambda _: None)
    obj = parse(object_bytes(elements))
    run(script, obj, type(other_key)(key=b"x" * 32))
    assert value_at(read_back(obj), "0020000D") != study
    assert KEY.decode() not in repr(context())
    for root in ("x", "", "1..2", "1.02", "1." + "2" * 60):
        fails(f'a := mapUID["1", "{root}"]', PATIENT, "root")


# Dates


def test_dates_are_moved_at_their_precision() -> None:
    for value, number, unit, expected in [
        ("2022", 183, "days", "2022"),
        ("2022", 184, "days", "2023"),
        ("2024", 1, "years", "2025"),
        ("2024", -1, "years", "2023"),
        ("202202", 14, "days", "202203"),  # 15 February 0h, the middle of 28 days
        ("202402", 14, "days", "202402"),  # 15 February noon, of 29
        ("202402", 15, "days", "202403"),
        ("202404", -16, "days", "202403"),  # 16 April 0h, of 30
        ("202404", -15, "days", "202404"),
        ("202405", -15, "days", "202405"),  # 16 May noon, of 31
        ("202405", -16, "days", "202404"),
        ("20231231", 12, "hours", "20240101"),
        ("20231231", 11, "hours", "20231231"),
        ("2023123123", 30, "minutes", "2024010100"),
        ("202312312359", 30, "seconds", "202401010000"),
        ("202312312359", 29, "seconds", "202312312359"),
        ("20231231235959", 1, "seconds", "20240101000000"),
        ("20231231235959.999999+0530", 1, "seconds", "20240101000000.999999+0530"),
        ("20240228.5-0800", 2, "days", "20240301.5-0800"),
        ("2024-0500", 1, "years", "2025-0500"),
        ("20240229", 0, "days", "20240229"),
        ("00010102", -1, "days", "00010101"),
    ]:
        assert shift(value, str(number), unit) == expected, (value, number, unit)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "2024.05.17",
        "202413",
        "20240230",
        "2024051725",
        "202405171260",
        "20240517126060",
        "20240517T12",
        "24",
        "20240517 ",
        "2024051",
        "20240517.1234567",
        "20240517+05",
        "20240101\\20240102",
        "٢٠٢٤",
        "00000101",
    ],
)
def test_what_is_no_date_fails(value: str) -> None:
    with pytest.raises(DateError):
        shift(value, "1", "days")
    with pytest.raises(DateError):
        midpoint(value)


def test_increments_are_whole_numbers_of_known_units() -> None:
    for number, unit in (
        ("1.5", "days"),
        ("x", "days"),
        ("", "days"),
        ("1", "weeks"),
        ("1", "Days"),
        ("99999999999", "days"),
        ("2147483648", "seconds"),
        ("9999", "years"),
        ("-3000", "years"),
    ):
        with pytest.raises(DateError):
            shift("20240101", number, unit)
    assert shift("20240101", "+5", "days") == "20240106"


def test_single_dates_are_shifted_by_their_vr() -> None:
    elements: Elements = {
        "00080020": ["DA", "20240101"],
        "0008002A": ["DT", "20240101120000"],
        "00100010": ["PN", "20240101"],
        "00081140": ["SQ", [{"00080020": ["DA", "20240105"]}]],
    }
    assert result("shiftDateByIncrement[(0008,0020), 1]", elements) == "20240102"
    assert result('shiftDateByIncrement[(0008,1140)[0]/(0008,0020), -1, "years"]', elements) == "20230105"
    assert result("shiftDateTimeByIncrement[(0008,002A), 3600]", elements) == "20240101130000"
    assert result('shiftDateTimeByIncrement[concatenate[(0010,0010), 12], 30, "minutes"]', elements) == "2024010113"
    fails("a := shiftDateByIncrement[(0008,002A), 1]", elements, "another VR than DA")
    fails("a := shiftDateTimeByIncrement[(0008,0020), 1]", elements, "another VR than DT")
    fails("a := shiftDateByIncrement[(0010,9999), 1]", elements, "guard it with isPresent")
    fails("a := shiftDateByIncrement[(0008,0020), (0010,9999)]", elements, "has no value")


def test_lists_of_dates_are_shifted_in_place() -> None:
    elements: Elements = {
        "00080020": ["DA", "20240101"],
        "00080021": ["DA", ""],
        "00080031": ["TM", "120000"],
        "00081140": ["SQ", [{"00080020": ["DA", "20240105"]}, {"00080020": ["DA", "20240106"]}]],
    }
    script = 'd := {*/(0008,0020)} shiftDateTimeListByIncrement[{d, (0008,0020), (0008,0021), (0010,9999)}, -1, "days"]'
    data = changed(script, elements)
    places = ("00080020", "00080021", "00081140[0]/00080020", "00081140[1]/00080020")
    assert [value_at(data, place) for place in places] == ["20231231", "", "20240104", "20240105"]
    data = changed('shiftDateTimeSequenceByIncrement["86400", "(0008,1140)/(0008,0020)", (0008,0020)]', elements)
    assert [value_at(data, place) for place in places] == ["20240102", "", "20240106", "20240107"]
    fails("shiftDateTimeSequenceByIncrement[1, (0008,0021)]", elements, "no date")
    fails('shiftDateTimeListByIncrement[(0008,0031), 1, "days"]', {"00080031": ["TM", "12"]}, "no date")
    changed("shiftDateTimeSequenceByIncrement[1, (0010,9999)]", elements)


# Ages


def test_people_above_89_become_89() -> None:
    nested: Elements = {"00100030": ["DA", "19230315"], "00101010": ["AS", "099Y"]}
    elements: Elements = {
        "00080020": ["DA", "20230315"],
        "00100030": ["DA", "19230315"],
        "00101010": ["AS", "100Y"],
        "00081140": ["SQ", [nested, {"00100030": ["DA", ""], "00101010": ["AS", "045Y"]}, {"00101010": ["AS", ""]}]],
        "00190010": ["LO", "X"],
        "00191000": ["SQ", [nested]],
    }
    data = changed("scalePatientAgeAndDobFromStudyDate[]", elements)
    for place in ("", "00081140[0]/", "00191000[0]/"):
        assert (value_at(data, f"{place}00100030"), value_at(data, f"{place}00101010")) == ("19340316", "089Y")
    assert [value_at(data, f"00081140[{number}]/00101010") for number in (1, 2)] == ["045Y", ""]
    assert value_at(data, "00081140[1]/00100030") == ""
    for birth, expected in (("19340316", "19340316"), ("19340315", "19340316"), ("2024", "2024"), ("x", "x"), ("", "")):
        elements["00100030"] = ["DA", birth]
        assert value_at(changed("scalePatientAgeAndDobFromStudyDate[]", elements), "00100030") == expected
    for age, expected in (("090Y", "089Y"), ("089Y", "089Y"), ("999M", "999M"), ("012D", "012D")):
        data = changed("scalePatientAgeAndDobFromStudyDate[]", {"00101010": ["AS", age]})
        assert value_at(data, "00101010") == expected
    for study in ({}, {"00080020": ["DA", ""]}, {"00080020": ["DA", "x"]}):
        data = changed(
            "scalePatientAgeAndDobFromStudyDate[]",
            {**study, "00100030": ["DA", "19230315"], "00101010": ["AS", "100Y"]},
        )
        assert (value_at(data, "00101010"), value_at(data, "00100030")) == ("100Y", "19230315")
    for age in ("90Y", "0090Y", "090y", "old"):
        fails("scalePatientAgeAndDobFromStudyDate[]", {"00101010": ["AS", age]}, "(0010,1010) is no age")


# Known values


def test_values_are_collected_and_blanked_wherever_they_stand() -> None:
    elements: Elements = {
        "00100010": ["PN", "DOE^J"],
        "00100020": ["LO", "P7"],
        "00080050": ["SH", "P7 "],
        "00081030": ["LO", "P7 HEAD"],
        "00080008": ["CS", "P7\\B"],
        "00280010": ["US", "512"],
        "00081140": [
            "SQ",
            [
                {
                    "00104000": ["LT", "DOE^J"],
                    "00100020": ["LO", "P8"],
                    "00091001": ["OB", b"P8"],
                    "00091002": ["UN", "P8"],
                }
            ],
        ],
        "00091001": ["OB", b"DOE^J\0"],
        "00091002": ["UN", b"P7"],
        "00091003": ["LO", b"DOE^J\0"],
        "00090010": ["LO", "P7"],
    }
    script = (
        'known := collectValues[*/(0010,0020), "512"] more := {known, (0010,0010)} blankValues[more, 13, (0010,9999)]'
    )
    data = changed(script, elements)
    blank = ("00100010", "00100020", "00080050", "00280010", "00091002", "00091003")
    assert [value_at(data, place) for place in blank] == [""] * 6
    nested = ("00104000", "00100020", "00091001", "00091002")
    assert [value_at(data, f"00081140[0]/{place}") for place in nested] == [""] * 4
    assert (value_at(data, "00081030"), value_at(data, "00080008")) == ("P7 HEAD", "P7\\B")
    assert data[0x00091001].value == b"DOE^J\0"  # padding of OB and UN counts
    assert value_at(changed("v := collectValues[(0009,{P7}01)] blankValues[v]", elements), "00091001") == ""
    assert value_at(changed('a := (0010,0010) blankValues[a, "(0010,0020)"]', elements), "00100020") == "P7"
    assert value_at(changed('blankValues[(0010,9999)] blankValues[""]', elements), "00100020") == "P7"
    assert result("collectValues[(0010,9999)]", elements) == ""
    fails("(0010,0020) := collectValues[(0010,0020)]", elements, "a list stands where a value is needed")


def test_padding_counts_in_bytes_and_not_in_texts() -> None:
    """DicomEdit's own case: UN of an element that the standard knows is a text, other UN and OB are bytes."""
    elements: Elements = {
        "00180026": ["SQ", [{"00180024": ["LO", b"CHOCOLATE\0"], "00180025": ["OB", b"CHOCOLATE\0"]}]],
        "00440001": ["UN", b"CHOCOLATE\0"],
        "00490010": ["LO", "Ascii test"],
        "00491010": ["UN", b"CHOCOLATE\0"],
        "00491011": ["UN", b"CHOCOLATTE"],
    }
    places = ("00180026[0]/00180024", "00180026[0]/00180025", "00440001", "00491010", "00491011")
    for script in (
        "blankValues[(0044,0001)]",
        "v := collectValues[(0044,0001)] blankValues[v]",
        'blankValues["CHOCOLATE"]',
    ):
        data = changed(script, elements)
        assert [value_at(data, place) for place in places] == ["", "CHOCOLATE", "", "CHOCOLATE", "CHOCOLATTE"], script
    data = changed("blankValues[(0049,{Ascii test}10)]", elements)
    assert [value_at(data, place) for place in places] == ["", "CHOCOLATE", "", "", "CHOCOLATTE"]


def test_tags_are_removed_by_paths_lists_and_quotes() -> None:
    elements: Elements = {
        **PATIENT,
        "00081140": ["SQ", [{"00100020": ["LO", "x"], "00100010": ["PN", "y"]}, {"00100020": ["LO", "z"]}]],
    }
    data = changed(
        'mine := {"*/(0010,0020)", {(0010,0010)}} removeTags[mine, (0010,9999), "(0008,1140) [1]"]', elements
    )
    assert [value_at(data, place) for place in ("00100010", "00100020", "00081140[0]/00100010")] == [None, None, "y"]
    assert value_at(data, "00081140[1]") == "elements 0"
    fails('removeTags["(0010,0010) "  , "x"]', elements, "is no path")
    fails("removeTags[(0010,9999), 5]", elements, "is no path")


def test_echo_is_heard_by_who_listens_alone(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str | None] = []
    run('echo "x" echo echo (0010,0010) echo {1, 2}', parse(object_bytes(PATIENT)), context(echo=said.append))
    assert said == ["x", "", "DOE^J", "1, 2"]
    run("echo (0010,0010)", parse(object_bytes(PATIENT)))
    assert capsys.readouterr() == ("", "")
