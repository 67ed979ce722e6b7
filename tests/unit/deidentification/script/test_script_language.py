"""What scripts do, sentence by sentence of the reference, beyond the golden cases: statements, paths, values."""

from __future__ import annotations

import copy
import io
import json
import pickle
import struct
import time
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from scandock.deidentification.encoding import encode
from scandock.deidentification.errors import ScrubError
from scandock.deidentification.parsing import parse
from scandock.deidentification.script.errors import ScriptFailed, ScriptTimeout
from scandock.deidentification.script.evaluator import run_scripts
from scandock.deidentification.script.functions import HANDLERS
from scandock.deidentification.script.parser import parse_script
from scandock.deidentification.script.signatures import FUNCTIONS
from tests.unit.deidentification.script.script_objects import (
    Elements,
    changed,
    context,
    object_bytes,
    read_back,
    run,
    value_at,
)

MARK = "Mark^Of^Patient"
PRIVATE: Elements = {
    "00190010": ["LO", "GE"],
    "00191010": ["LO", "ge"],
    "00190011": ["LO", "SIEMENS"],
    "00191110": ["LO", "siemens"],
    "00190012": ["LO", "GE"],
    "00191210": ["LO", "ge2"],
    "001912AA": ["LO", "ge3"],
}
NESTED: Elements = {
    "00100020": ["LO", "top"],
    "00420010": [
        "SQ",
        [
            {
                "00100020": ["LO", "a"],
                "00420010": ["SQ", [{"00100020": ["LO", "aa"], "00420010": ["SQ", [{"00100020": ["LO", "aaa"]}]]}]],
            },
            {"00100020": ["LO", "b"], "00190010": ["LO", "GE"], "00191010": ["SQ", [{"00100020": ["LO", "p"]}]]},
        ],
    ],
}
EVERY_PLACE = {
    "top": "00100020",
    "a": "00420010[0]/00100020",
    "aa": "00420010[0]/00420010[0]/00100020",
    "aaa": "00420010[0]/00420010[0]/00420010[0]/00100020",
    "b": "00420010[1]/00100020",
    "p": "00420010[1]/00191010[0]/00100020",
}


def fails(script: str, elements: Elements, words: str = "", **given_context: Any) -> str:
    """Assert that a script fails on an object; what is said."""
    with pytest.raises(ScrubError) as failed:
        run(script, parse(object_bytes(elements)), context(**given_context))
    message = str(failed.value)
    assert words in message, message
    assert failed.value.message.startswith("The script, line ")
    assert MARK not in message
    return message


def kept(script: str, places: dict[str, str] = EVERY_PLACE, elements: Elements = NESTED) -> set[str]:
    """Which values are still where they were."""
    data = changed(script, elements)
    return {value for value, place in places.items() if value_at(data, place) == value}


def test_each_function_is_written_down() -> None:
    assert set(HANDLERS) == set(FUNCTIONS)


# Absent and empty


def test_absent_and_empty_differ() -> None:
    elements: Elements = {"00100010": ["PN", ""], "00100040": ["CS", "F"]}
    asked = {
        '(0010,0010) = ""': True,
        '(0010,1000) = ""': False,
        "(0010,1000) = (0010,1001)": False,
        "(0010,1000) != (0010,1001)": True,
        '(0010,1000) != ""': True,
        '(0010,0010) != ""': False,
        '(0010,1000) !~ ".*"': True,
        '(0010,0010) !~ ".*"': False,
        '(0010,1000) ~ ".*"': False,
        '(0010,0010) ~ ".*"': True,
        '"F" = (0010,1000)': False,
        '"F" != (0010,1000)': True,
        "isPresent[(0010,0010)]": True,
        "isPresent[(0010,1000)]": False,
        "isPresent[{(0010,0010), (0010,0040)}]": True,
        "isPresent[]": True,
    }
    for condition, expected in asked.items():
        data = changed(f'{condition} ? (0010,0020) := "yes" : (0010,0020) := "no"', elements)
        assert value_at(data, "00100020") == ("yes" if expected else "no"), condition
    fails('(0010,0040) ~ (0010,1000) ? (0010,0020) := "x"', elements, "a pattern has no value")


def test_assigning_the_absent_changes_nothing_and_the_empty_empties() -> None:
    elements: Elements = {
        "00100010": ["PN", "A"],
        "00100020": ["LO", ""],
        "00081140": ["SQ", [{"00080100": ["SH", "x"]}]],
    }
    data = changed("(0010,0010) := (0010,1000) (0008,1140) := (0010,1000) (0010,0010) ?= (0010,1000)", elements)
    assert (value_at(data, "00100010"), value_at(data, "00081140")) == ("A", "items 1")
    data = changed("(0010,0010) := (0010,0020) (0010,0030) := (0010,0020)", elements)
    assert (value_at(data, "00100010"), value_at(data, "00100030")) == ("", "")
    data = changed("(0010,0010) ?= (0010,0020) (0010,0030) ?= (0010,0020)", elements)
    assert (value_at(data, "00100010"), value_at(data, "00100030")) == ("", None)
    data = changed("x := (0010,1000) (0010,0010) := x", elements)
    assert value_at(data, "00100010") == "A"


@pytest.mark.parametrize(
    "call",
    [
        "lowercase[{}]",
        "uppercase[{}]",
        "substring[{}, 0, 0]",
        'replace[{}, "a", "b"]',
        'match[{}, ".*", 0]',
        'ismatch[{}, ".*"]',
        "concatenate[{}]",
    ],
)
def test_texts_of_the_absent_fail_and_of_the_empty_work(call: str) -> None:
    elements: Elements = {"00100010": ["PN", ""]}
    fails(f"(0010,0020) := {call.format('(0010,1000)')}", elements, "has no value")
    data = changed(f"(0010,0020) := {call.format('(0010,0010)')}", elements)
    assert value_at(data, "00100020") in {"", "true"}


def test_the_empty_is_hashed_normalized_and_formatted() -> None:
    elements: Elements = {"00100010": ["PN", ""]}
    data = changed('(0020,000D) := hashUID[(0010,0010)] (0010,0020) := format["<{0}>", (0010,0010)]', elements)
    assert value_at(data, "0020000D") == "2.25.290070988920337595058960832122557831312"
    assert value_at(data, "00100020") == "<>"
    assert value_at(changed("(0010,0020) := normalizeString[(0010,0010)]", elements), "00100020") == ""


# Variables


def test_a_variable_holds_the_value_of_its_moment() -> None:
    script = 'a := (0010,0010) (0010,0010) := "B" (0010,0020) := a'
    assert value_at(changed(script, {"00100010": ["PN", "A"]}), "00100020") == "A"


def test_a_name_without_a_value_fails_when_it_is_reached() -> None:
    elements: Elements = {"00100010": ["PN", MARK]}
    fails("(0010,0020) := session", elements, "session has no value", variables={"project": "P"})
    data = changed('false[] ? (0010,0020) := session : (0010,0020) := "x"', elements)
    assert value_at(data, "00100020") == "x"
    data = changed("if (false[]) { echo nobody }", elements)
    assert value_at(data, "00100010") == MARK


def test_each_script_begins_with_the_given_variables() -> None:
    scripts = [
        parse_script('version "6.6" session := "x" own := "y"'),
        parse_script('version "6.6" (0010,0020) := session'),
    ]
    obj = parse(object_bytes({"00100010": ["PN", "A"]}))
    run_scripts(scripts, obj, context(variables={"session": "S"}))
    assert value_at(read_back(obj), "00100020") == "S"
    with pytest.raises(ScriptFailed, match="own has no value"):
        run_scripts([scripts[0], parse_script('version "6.6" echo own', "project.das")], obj, context())


# Reading


def test_plural_paths_have_no_value() -> None:
    for path in (
        "*/(0010,0010)",
        "(0010,00X0)",
        "(0008,1140)/(0010,0010)",
        "(0008,1140)[%]/(0010,0010)",
        "+/(0010,0010)",
    ):
        for statement in (f"(0010,0020) := {path}", f"a := {path}", f"echo {path}", f'{path} = "x" ? a := 1'):
            fails(statement, {"00100010": ["PN", MARK]}, "can name several elements")
        fails(
            f"(0010,0020) := shiftDateByIncrement[{path}, 1]", {"00100010": ["PN", MARK]}, "can name several elements"
        )


def test_reading_makes_nothing_and_a_sequence_has_no_text() -> None:
    data = changed("(0010,0020) := (0042,0010)[5]/(0019,{GE}10) (0010,0030) := (0042,0010)", NESTED)
    assert value_at(data, "00420010") == "items 2"
    assert value_at(data, "00100030") is None
    data = changed("(0020,0010) := (0019,{NOBODY}10)", PRIVATE)
    assert value_at(data, "00190013") is None


def test_values_are_texts_several_with_backslashes() -> None:
    elements: Elements = {
        "00080008": ["CS", "A \\B"],
        "00280010": ["US", "512"],
        "00189182": ["FL", "0.1\\2.5"],
        "00091010": ["UN", "odd"],
        "00090010": ["LO", "X"],
        "00104000": ["LT", "a\\b "],
    }
    said: list[str | None] = []
    script = (
        "echo (0008,0008) echo (0028,0010) echo (0018,9182) echo (0009,{X}10) echo (0010,4000) echo (0010,9999) echo"
    )
    run(script, parse(object_bytes(elements)), context(echo=said.append))
    assert said == ["A\\B", "512", "0.1\\2.5", "odd", "a\\b", None, ""]


def test_group_2_is_part_of_the_data_set() -> None:
    elements: Elements = {"00100010": ["PN", "A"]}
    meta: Elements = {"00020016": ["AE", "SENDER"]}
    data = changed('(0010,0020) := (0002,0016) (0002,0016) := "X"', elements, more_meta=meta)
    assert (value_at(data, "00100020"), value_at(data, "00020016")) == ("SENDER", "X")
    assert value_at(changed("- (0002,0016)", elements, more_meta=meta), "00020016") is None
    assert value_at(changed("- */(0002,0016)", elements, more_meta=meta), "00020016") is None
    assert value_at(changed('set["(0002,0016)", "Y"]', elements), "00020016") == "Y"
    assert value_at(changed('isPresent[(0002,0016)] ? (0002,0016) ?= "Z"', elements, more_meta=meta), "00020016") == "Z"
    assert value_at(changed('blankValues["SENDER"]', elements, more_meta=meta), "00020016") == ""


def test_the_meta_information_names_the_object_by_its_new_uid() -> None:
    elements: Elements = {"00080018": ["UI", "1.2.3"], "00100010": ["PN", "A"]}
    data = changed("hashUIDList[(0008,0018)]", elements)
    assert data.file_meta.MediaStorageSOPInstanceUID == data.SOPInstanceUID != "1.2.3"
    data = changed('(0008,0018) := "1.9" (0002,0003) := "1.10"', elements)
    assert (data.SOPInstanceUID, data.file_meta.MediaStorageSOPInstanceUID) == ("1.9", "1.10")
    assert "MediaStorageSOPInstanceUID" not in changed("- (0008,0018)", elements).file_meta
    assert changed('(0010,0010) := "x"', elements).file_meta.MediaStorageSOPInstanceUID == "1.2.3"


def test_the_meta_information_has_the_new_class_of_the_object() -> None:
    elements: Elements = {"00080016": ["UI", "1.2.840.10008.5.1.4.1.1.4"], "00080018": ["UI", "1.2.3"]}
    meta = changed('(0008,0016) := "1.2.840.10008.5.1.4.1.1.2"', elements).file_meta
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == ("1.2.840.10008.5.1.4.1.1.2", "1.2.3")
    assert "MediaStorageSOPClassUID" not in changed("- (0008,0016)", elements).file_meta
    data = changed('(0008,0016) := "1.9" (0002,0002) := "1.10"', elements)
    assert (data.SOPClassUID, data.file_meta.MediaStorageSOPClassUID) == ("1.9", "1.10")


def test_a_data_set_without_meta_stays_without() -> None:
    raw = object_bytes({"00100010": ["PN", "A"], "00080016": ["UI", "1.2"]})
    obj = parse(raw[raw.index(b"\x08\0\x16\0UI") :])
    run('(0002,0016) := "X" set["(0002,0016)", "X"] - (0002,0016) (0010,0010) := "B" delete["(0002,0016)"]', obj)
    assert b"".join(bytes(part) for part in encode(obj)).endswith(b"B ")
    assert obj.meta is None


def test_wildcards_pass_over_what_the_object_is_read_by() -> None:
    elements: Elements = {"00080005": ["CS", "ISO_IR 192"], "00080060": ["CS", "MR"], "00100010": ["PN", "Ä"]}
    for script in (
        "- (XXX@,XXXX)",
        "- *",
        "- */(XXX@,XXXX)",
        "removeTags[(000@,XXXX), (0010,XXXX)]",
        "-(0008,0060) -(0010,0010)",
    ):
        data = changed(script, elements)
        assert [element.tag for element in data] == [0x00080005], script
        assert data.file_meta.MediaStorageSOPInstanceUID == "1.2.3"
    data = changed(
        '(0008,XXXX) ?= "x" blankValues["ISO_IR 192", "1.2.840.10008.1.2.1"] hashUIDList[(0008,00XX)]', elements
    )
    assert value_at(data, "00080005") == "ISO_IR 192"
    for call in ("removeTags[mine]", "hashUIDList[mine]"):
        fails(f'mine := {{"(0008,0005)"}} {call}', elements, "character set, can't be changed")
    fails('where := "(0008,0005)" set[where, "x"]', elements, "character set, can't be changed")
    for path in ("(FFFE,E0DD)", "(0008,1140)[0]/(FFFE,E000)"):
        fails(f'where := "{path}" set[where, "x"]', elements, "items and delimiters are no elements")
    fails('where := "(0000,0002)" set[where, "x"]', elements, "no file has them")


# Paths


def test_levels() -> None:
    everything = set(EVERY_PLACE)
    assert kept("- */(0010,0020)") == set()
    assert kept("- +/(0010,0020)") == {"top"}
    assert kept("- ./(0010,0020)") == everything - {"a", "b"}
    assert kept("- ././(0010,0020)") == everything - {"aa", "p"}
    assert kept("- ./+/(0010,0020)") == {"top", "a", "b"}
    assert kept("- (0042,0010)/+/(0010,0020)") == everything - {"aa", "aaa", "p"}
    assert kept("- +/(0042,0010)/(0010,0020)") == everything - {"aa", "aaa"}
    assert kept("- +/(0042,0010)") == everything - {"aa", "aaa"}
    assert kept("- */(0042,0010)[0]/*/(0010,0020)") == {"top", "b", "p"}
    assert kept("- (0042,0010)/*") == {"top"}
    assert kept("- (0042,0010)[0]/.") == {"top", "b", "p"}
    assert kept("- (0042,0010)[1]/(0019,{GE}XX)/*") == everything - {"p"}
    assert kept("- .") == set()


def test_items_count_from_0_and_without_one_are_all() -> None:
    assert kept("- (0042,0010)[1]/(0010,0020)") == set(EVERY_PLACE) - {"b"}
    assert kept("- (0042,0010)/(0010,0020)") == set(EVERY_PLACE) - {"a", "b"}
    assert kept("- (0042,0010)[%]/(0010,0020)") == set(EVERY_PLACE) - {"a", "b"}


def test_a_deleted_item_is_emptied_and_items_are_never_renumbered() -> None:
    data = changed("- (0042,0010)[0]", NESTED)
    assert (value_at(data, "00420010"), value_at(data, "00420010[0]")) == ("items 2", "elements 0")
    assert value_at(data, "00420010[1]/00100020") == "b"
    data = changed("- (0042,0010)[1]", NESTED)  # its private creator, too
    assert value_at(data, "00420010[1]") == "elements 0"
    assert value_at(changed("- (0042,0010)[%]", NESTED), "00420010") is None
    assert value_at(changed("- (0042,0010)[7]", NESTED), "00420010") == "items 2"
    data = changed("- */(0042,0010)[0]", NESTED)
    assert value_at(data, "00420010[0]") == "elements 0"


def test_paths_that_lead_nowhere_change_nothing() -> None:
    script = "- (0010,0020)/(0010,0010) - (0042,0010)[9]/(0010,0020) - (0099,{NOBODY}10) - (0010,9999)"
    assert kept(script) == set(EVERY_PLACE)
    fails('(0010,0020)[0]/(0010,0010) := "x"', NESTED, "leads through an element that is no sequence")
    fails('(0042,0010)[0] := "x"', NESTED, "can't be assigned to")
    fails('(0042,0010)[5000]/(0010,0010) := "x"', NESTED, "makes more than 1,000 items")


# Private elements


def test_private_steps_go_by_creator_in_every_block() -> None:
    data = changed("-(0019,{GE}XX)", PRIVATE)
    assert [value_at(data, tag) for tag in ("00191010", "00191210", "001912AA", "00191110")] == [
        None,
        None,
        None,
        "siemens",
    ]
    assert [value_at(data, tag) for tag in ("00190010", "00190012")] == ["GE", "GE"]
    assert value_at(changed('(0019,{GE}AA) := "new"', PRIVATE), "001912AA") == "new"
    data = changed('(0019,{GE}BB) := "new"', PRIVATE)
    assert (value_at(data, "001910BB"), value_at(data, "001912BB")) == ("new", None)
    assert value_at(changed("(0010,0020) := (0019,{GE}AA)", PRIVATE), "00100020") == "ge3"
    data = changed('(00X#,{GE}10) ?= "x"', PRIVATE)
    assert [value_at(data, tag) for tag in ("00191010", "00191210", "00190010", "00191110")] == [
        "x",
        "x",
        "GE",
        "siemens",
    ]


def test_private_steps_match_in_the_very_item() -> None:
    elements: Elements = {
        "00190010": ["LO", "OUTER"],
        "00081140": ["SQ", [{"00190011": ["LO", "GE"], "00191110": ["LO", "x"]}, {"00191110": ["LO", "orphan"]}]],
    }
    data = changed("-(0008,1140)/(0019,{GE}10) -(0008,1140)/(0019,{OUTER}10)", elements)
    assert value_at(data, "00081140[0]/00191110") is None
    assert value_at(data, "00081140[1]/00191110") == "orphan"
    data = changed('(0008,1140)[1]/(0019,{GE}10) := "y"', elements)
    assert value_at(data, "00081140[1]/00190010") == "GE"
    assert value_at(data, "00081140[1]/00191010") == "y"


def test_the_first_free_block_is_reserved() -> None:
    data = changed('(0019,{NEW}10) := "x" (0019,{NEW}11) := "y" (0021,{NEW}01) := "z"', PRIVATE)
    assert [value_at(data, tag) for tag in ("00190013", "00191310", "00191311")] == ["NEW", "x", "y"]
    assert (value_at(data, "00210010"), value_at(data, "00211001")) == ("NEW", "z")
    assert data[0x00191310].VR == "UN"
    orphans = {**PRIVATE, "00191310": ["LO", "orphan"]}
    data = changed('(0019,{NEW}10) := "x"', orphans)
    assert (value_at(data, "00191310"), value_at(data, "00191410")) == ("orphan", "x")
    full: Elements = {f"001900{block:02X}": ["LO", f"C{block}"] for block in range(0x10, 0x100)}
    fails('(0019,{NEW}10) := "x"', full, "no free block")


def test_lists_and_deletes_never_touch_a_creator() -> None:
    elements: Elements = {"00190010": ["LO", "20240101"], "00191010": ["DA", "20240102"]}
    data = changed('shiftDateTimeListByIncrement[{(0019,{20240101}10)}, 1, "days"]', elements)
    assert (value_at(data, "00190010"), value_at(data, "00191010")) == ("20240101", "20240103")
    said: list[str | None] = []
    run("all := collectValues[(0019,{20240101}10)] echo all", parse(object_bytes(elements)), context(echo=said.append))
    assert said == ["20240102"]
    data = changed("removeTags[(0019,{20240101}10)] hashUIDList[(0019,{20240101}10)]", elements)
    assert (value_at(data, "00190010"), value_at(data, "00191010")) == ("20240101", None)


def test_all_private_elements_go_at_all_depths() -> None:
    elements: Elements = {**NESTED, "00090001": ["LO", "x"], "00091010": ["LO", "orphan"], **PRIVATE}
    data = changed("removeAllPrivateTags", elements)
    assert not [element.tag for element in data.iterall() if element.tag.is_private]
    assert value_at(data, "00420010[1]/00100020") == "b"


def test_retained_private_elements_stay_with_their_creators() -> None:
    elements: Elements = {
        **PRIVATE,
        "00290010": ["LO", "SEQ"],
        "00291001": [
            "SQ",
            [
                {"00100010": ["PN", "0"]},
                {},
                {
                    "00100010": ["PN", "2"],
                    "00190010": ["LO", "GE"],
                    "00191010": ["LO", "in"],
                    "00191011": ["LO", "out"],
                },
                {"00190010": ["LO", "GE"]},
            ],
        ],
        "00291002": ["SQ", [{}, {"00100010": ["PN", "x"]}]],
        "00081140": ["SQ", [{"00190010": ["LO", "GE"], "00191010": ["LO", "x"]}, {"00190010": ["LO", "GE"]}]],
    }
    data = changed("retainPrivateTags[(0019,{GE}AA), (0029,{SEQ}01)/(0019,{GE}10)]", elements)
    assert [value_at(data, tag) for tag in ("00191010", "00191110", "00191210", "001912AA")] == [
        None,
        None,
        None,
        "ge3",
    ]
    assert [value_at(data, tag) for tag in ("00190010", "00190011", "00190012")] == [None, None, "GE"]
    assert value_at(data, "00291001") == "items 1"
    assert value_at(data, "00291001[0]") == "elements 2"
    assert (value_at(data, "00291001[0]/00190010"), value_at(data, "00291001[0]/00191010")) == ("GE", "in")
    assert value_at(data, "00291002") is None
    assert value_at(data, "00081140") == "items 2"  # a public sequence keeps its items
    assert value_at(data, "00081140[0]") == "elements 0"
    data = changed("retainPrivateTags[]", elements)
    assert not [element.tag for element in data.iterall() if element.tag.is_private]
    data = changed("retainPrivateTags[(0029,{SEQ}01)[2]]", elements)
    assert value_at(data, "00291001[0]") == "elements 4"
    data = changed("retainPrivateTags[(0029,{SEQ}0X)]", elements)
    assert (value_at(data, "00291001"), value_at(data, "00291002[0]")) == ("items 4", "elements 0")
    data = changed("mine := {(0029,{SEQ}01)/*} retainPrivateTags[mine]", elements)
    assert value_at(data, "00291001[0]/00100010") == "0"
    fails("retainPrivateTags[*/(0010,0010)]", elements, "is not private")
    fails("retainPrivateTags[1]", elements, "is no path")


# Assignments


def test_items_and_sequences_are_made_up_to_the_number() -> None:
    data = changed('(0008,1140)[2]/(0040,A170)[0]/(0008,0100) := "x"', {"00100010": ["PN", "A"]})
    assert value_at(data, "00081140") == "items 3"
    assert [value_at(data, f"00081140[{number}]") for number in range(3)] == ["elements 0", "elements 0", "elements 1"]
    assert value_at(data, "00081140[2]/0040A170[0]/00080100") == "x"


def test_a_sequence_is_made_empty_whatever_the_value() -> None:
    assert value_at(changed('(0042,0010) := "x"', NESTED), "00420010") == "items 0"
    data = changed('(0042,0010)[0]/(0042,0010) := "x"', NESTED)
    assert (value_at(data, "00420010"), value_at(data, "00420010[0]/00420010")) == ("items 2", "items 0")
    assert value_at(changed('(0008,1140) := "x"', NESTED), "00081140") == "items 0"
    assert value_at(changed('(0042,0010) ?= "x"', NESTED), "00420010") == "items 2"


def test_the_vr_is_that_there_else_the_dictionarys_else_un() -> None:
    elements: Elements = {"00100010": ["LO", "A"], "00189182": ["DS", "1"]}
    data = changed('(0010,0010) := "x" (0018,9182) := "2.50" (0010,0030) := "20240101" (0099,{X}01) := "y"', elements)
    assert [data[tag].VR for tag in (0x00100010, 0x00189182, 0x00100030, 0x00991001)] == ["LO", "DS", "DA", "UN"]
    assert data[0x00189182].value.original_string == "2.50"


def test_numbers_are_numbers_in_range() -> None:
    elements: Elements = {
        "00280010": ["US", "1"],
        "00280106": ["SS", "1"],
        "00189312": ["FD", "1"],
        "00186016": ["UL", "1"],
        "00186020": ["SL", "1"],
    }
    data = changed('(0028,0010) := 65535 (0028,0106) := -32768 (0018,9312) := "1e3" (0018,6020) := -5', elements)
    assert [data[tag].value for tag in (0x00280010, 0x00280106, 0x00189312, 0x00186020)] == [65535, -32768, 1000, -5]
    for statement in (
        "(0028,0010) := 1234567",
        "(0028,0010) := -1",
        "(0028,0106) := 32768",
        '(0018,6016) := "x"',
        '(0028,0010) := "1.5"',
        '(0018,9312) := "fubar"',
    ):
        fails(statement, elements)
    assert value_at(changed('(0028,0010) := ""', elements), "00280010") == ""
    assert data[0x00280010].VM == 1


def test_bytes_are_utf_8_and_padding_is_by_vr() -> None:
    elements: Elements = {
        "00420011": ["OB", "xx"],
        "00080018": ["UI", "1.2"],
        "00100020": ["LO", "a"],
        "00091001": ["UN", "x"],
    }
    obj = parse(object_bytes(elements))
    run('(0042,0011) := "é" (0008,0018) := "1.2.3" (0010,0020) := "abc" (0009,{C}01) := "odd"', obj)
    assert obj.data.value(0x00420011) == "é".encode()
    assert obj.data.value(0x00080018) == b"1.2.3\0"
    assert obj.data.value(0x00100020) == b"abc "
    assert obj.data.value(0x00091101) == b"odd\0"


def test_texts_are_of_the_character_set_at_their_item() -> None:
    elements: Elements = {
        "00080005": ["CS", "ISO_IR 100"],
        "00081140": ["SQ", [{"00080005": ["CS", "ISO_IR 144"], "00100010": ["PN", "a"]}, {"00100010": ["PN", "a"]}]],
    }
    obj = parse(object_bytes(elements))
    run('(0010,0010) := "é" (0008,1140)[0]/(0010,0010) := "Ж" (0008,1140)[1]/(0010,0010) := "é"', obj)
    assert obj.data.value(0x00100010) == b"\xe9 "
    first, second = obj.data.items(0x00081140) or []
    assert first.value(0x00100010) == "Ж".encode("iso8859-5") + b" "
    assert second.value(0x00100010) == b"\xe9 "
    fails('(0010,0010) := "Ж"', elements, "(0010,0010)")
    fails('(0008,1140)[0]/(0010,0010) := "é"', elements, "character set")
    fails('(0010,0010) := "é"', {"00100010": ["PN", "A"]}, "character set")
    fails(f'(0008,0060) := "{"x" * 60}é"', elements)


def test_pixel_data_is_no_text() -> None:
    elements: Elements = {"7FE00010": ["OW", "xxxx"], "00280010": ["US", "1"]}
    fails('(7FE0,0010) := "x"', elements, "use alterPixels")
    fails("(0010,0020) := (7FE0,0010)", elements, "pixel data has no text")
    data = changed('(7FE@,XXXX) ?= "x" hashUIDList[*/(7FE0,0010)] blankValues["xxxx"]', elements)
    assert data.PixelData == b"xxxx"
    assert "PixelData" not in changed("-(7FE0,0010)", elements)


def test_every_present_leaf_is_assigned_and_nothing_is_made() -> None:
    elements = copy.deepcopy(NESTED)
    elements["00420010"][1][1]["00081140"] = ["SQ", []]
    data = changed('*/(XXX@,XXXX) ?= "x"', elements)
    assert {value_at(data, place) for place in EVERY_PLACE.values()} == {"x"}
    assert value_at(data, "00420010[1]/00081140") == "items 0"
    assert value_at(data, "00420010[1]/00190010") == "GE"
    assert value_at(changed('*/(0010,0010) ?= "x"', NESTED), "00100010") is None


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
    ids=["implicit", "big", "deflated"],
)
def test_scripts_work_in_every_syntax(syntax: str) -> None:
    """Implicit VR has none in its bytes, and items of private sequences of VR UN are always implicit."""
    nested: Elements = json.loads(json.dumps(NESTED).replace("00420010", "00081140"))
    original = read_back(parse(object_bytes({**nested, **PRIVATE, "00280010": ["US", "512"]})))
    original.file_meta.TransferSyntaxUID = UID(syntax)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, original, implicit_vr=None, little_endian=syntax != ExplicitVRBigEndian)
    obj = parse(stream.getvalue())
    run(
        """(0028,0011) := (0028,0010)
        (0008,1140)[0]/(0018,9182) := "2.5"
        (0008,1140)[2]/(0019,{NEW}01)[0]/(0010,0010) := "x"
        (0019,{GE}10) := "changed"
        - (0008,1140)[1]/(0019,{GE}10)/(0010,0020)
        */(0010,0020) ?= "y" """,
        obj,
    )
    data = read_back(obj)
    assert data.file_meta.TransferSyntaxUID == syntax
    assert (data.Columns, data.Rows) == (512, 512)
    assert value_at(data, "00081140[0]/00189182") == "2.5"
    assert value_at(data, "00081140[2]/00190010") == "NEW"
    made = data[0x00081140].value[2][0x00191001]
    assert made.VR == "SQ" or made.value
    assert value_at(data, "00191010") == "changed"
    places = {name: place.replace("00420010", "00081140") for name, place in EVERY_PLACE.items()}
    assert {value_at(data, place) for name, place in places.items() if name != "p"} == {"y"}
    assert b"p " not in b"".join(bytes(part) for part in encode(obj) if not obj.deflated)


def test_items_of_unknown_vr_are_looked_into() -> None:
    """A private sequence that went through implicit VR comes as UN of defined length, with implicit items."""
    inner = b"\x10\0\x20\0\x04\0\0\0MARK"
    item = b"\xfe\xff\0\xe0" + struct.pack("<I", len(inner)) + inner
    elements: Elements = {"00190010": ["LO", "GE"], "00191010": ["UN", item], "00100010": ["PN", "A"]}
    for script in ("- */(0010,0020)", '*/(0010,0020) ?= "x"', 'blankValues["MARK"]', "- (0019,{GE}10)[0]", "- ./."):
        obj = parse(object_bytes(elements))
        run(script, obj)
        assert b"MARK" not in b"".join(bytes(part) for part in encode(obj)), script
    assert value_at(changed("(0010,0030) := (0019,{GE}10)[0]/(0010,0020)", elements), "00100030") == "MARK"
    assert value_at(changed("(0010,0030) := (0019,{GE}10)", elements), "00100030") is None


# Direct notation


def test_direct_notation() -> None:
    elements: Elements = {**NESTED, **PRIVATE}
    data = changed('set["(0019,1010)", "x"] set["(0021,1010)", "y"] set["(0042,0010)[0]/(0010,0020)", "z"]', elements)
    assert [value_at(data, tag) for tag in ("00191010", "00211010", "00210010")] == ["x", "y", None]
    assert value_at(data, "00420010[0]/00100020") == "z"
    assert value_at(changed('set["(0008,1140)[1]/(0008,0100)", "x"]', elements), "00081140") == "items 2"
    data = changed('delete["(0019,1010)"] delete["(0042,0010)[0]"] delete["(0008,1140)[0]/(0010,0010)"]', elements)
    assert (value_at(data, "00191010"), value_at(data, "00190010")) == (None, "GE")
    assert value_at(data, "00420010[0]") == "elements 0"
    assert value_at(changed('delete["(0042,0010)"]', elements), "00420010") is None
    assert value_at(changed('set["(0010,0020)", (0010,9999)]', elements), "00100020") == "top"
    where = 'where := "(0010,0020)" set[where, "x"]'
    assert value_at(changed(where, elements), "00100020") == "x"
    for script in (
        'set["(0010,00X0)", "x"]',
        'set["*/(0010,0010)", "x"]',
        'set["(0042,0010)/(0010,0010)", "x"]',
        'delete["x"]',
        'delete["(0019,{GE}10)"]',
        "delete[(0010,0010)]",
        'set["(0042,0010)[0]", "x"]',
        'set["(0042,0010)[%]", "x"]',
    ):
        fails(script, elements)


# Conditions, blocks, results


def test_what_is_not_reached_does_not_fail() -> None:
    bad = [
        "hashUID[]",
        "removeTags[nobody]",
        'set["x", "y"]',
        '(0018,001X) := "x"',
        'a := format["{0", "x"]',
        "a := reject[]",
    ]
    for statement in bad:
        changed(f"false[] ? {statement}\nif (false[]) {{ {statement} }}", {"00100010": ["PN", "A"]})
        fails(f"true[] ? {statement.replace('reject[]', 'reject[false[]]')}", {"00100010": ["PN", "A"]})


def test_wrong_numbers_of_arguments_fail_the_object() -> None:
    for name, signature in FUNCTIONS.items():
        if signature.least:
            arguments = ", ".join(['"x"'] * (signature.least - 1))
            message = fails(f"{name}[{arguments}]", {"00100010": ["PN", "A"]}, f"{name} takes ")
            assert "argument" in message
        if signature.most < 5:
            fails(f"{name}[{', '.join(['1'] * (signature.most + 1))}]", {"00100010": ["PN", "A"]}, f"{name} takes ")


def test_functions_without_a_value_are_none() -> None:
    calls = [
        "removeTags[(0010,9999)]",
        "hashUIDList[(0010,9999)]",
        "retainPrivateTags[]",
        'blankValues["x"]',
        'delete["(0010,9999)"]',
        'set["(0010,9999)", "x"]',
        "scalePatientAgeAndDobFromStudyDate[]",
        'mapReferencedUIDs["1.2", (0010,9999)]',
        'shiftDateTimeListByIncrement[{}, 1, "days"]',
        "shiftDateTimeSequenceByIncrement[1, (0010,9999)]",
        "reject[false[]]",
        'alterPixels["rectangle", "l=0,t=0,r=1,b=1", "solid", "v=0"]',
    ]
    for call in calls:
        name = call.partition("[")[0]
        for statement in (
            f"a := {call}",
            f"{call} ? a := 1",
            f"echo {call}",
            f'{call} = "x" ? a := 1',
            f"a := {{{call}}}",
        ):
            fails(statement, {"00100010": ["PN", "A"]}, f"{name} has no value")
        changed(call, {"00100010": ["PN", "A"]})


def test_calls_are_conditions_where_they_say_true() -> None:
    for condition, expected in {
        "true[]": "yes",
        "false[]": "no",
        'lowercase["TRUE"]': "yes",
        'lowercase["x"]': "no",
        'lookup["a", "b"]': "no",
    }.items():
        data = changed(f'{condition} ? (0010,0020) := "yes" : (0010,0020) := "no"', {"00100010": ["PN", "A"]})
        assert value_at(data, "00100020") == expected


def test_objects_are_rejected() -> None:
    obj = parse(object_bytes({"00280301": ["CS", "YES"]}))
    for script in (
        "reject[]",
        "reject[true[]]",
        'reject["true"]',
        "a := reject[]",
        'if ((0028,0301) = "YES") { reject[] nobody := x }',
    ):
        assert run(script, obj).rejected, script
    for script in ("reject[false[]]", 'reject["x"]', "reject[(0010,9999)]"):
        assert not run(script, obj).rejected, script
    assert not run("reject[]", obj, context(rejects=False)).rejected


def test_messages_name_script_line_and_path_alone() -> None:
    elements: Elements = {"00100010": ["PN", MARK], "00280010": ["US", "1"], "00101010": ["AS", MARK[:4]]}
    script = parse_script('version "6.6"\n\nif (true[]) {\n\n  (0028,0010) := (0010,0010)\n}', "site.das")
    with pytest.raises(ScrubError) as failed:
        run_scripts([script], parse(object_bytes(elements)), context())
    assert failed.value.message.startswith("site.das, line 5: (0028,0010)")
    for statement in (
        "(0008,0060) := lookup[(0010,0010)]",
        "removeTags[{nobody}]",
        "x := (0010,0010) removeTags[x]",
        "x := (0010,0010) set[x, 1]",
        "a := shiftDateByIncrement[{}, 1]".format("x"),
        "a := substring[(0010,0010), 0, 999]",
        "a := match[(0010,0010), (0010,0010), 7]",
        'a := mapUID["1", (0010,0010)]',
        "scalePatientAgeAndDobFromStudyDate[]",
        'a := format[concatenate["{", (0010,0010)], 1]',
        "alterPixels[(0010,0010), (0010,0010), (0010,0010), (0010,0010)]",
        'a := ismatch["x", concatenate["(", (0010,0010)]]',
        "a := shiftDateTimeByIncrement[concatenate[(0010,0010)], 1]",
        "a := {(0010,0010)} (0010,0020) := a",
    ):
        fails(f'x := "y" {statement}', elements)


def test_messages_name_paths() -> None:
    elements: Elements = {**NESTED, "00280010": ["US", "1"], "00080021": ["DA", "x"], "00100010": ["PN", "A"]}
    for statement, words in [
        ('(0010,0010)[0]/(0010,0020) := "x"', "(0010,0010)[0]/(0010,0020): a path leads through"),
        ('(0042,0010)[0]/(0028,0010) := "x"', "(0042,0010)[0]/(0028,0010): (0028,0010): A value is no number"),
        ('*/(0028,0010) ?= "x"', "*/(0028,0010): (0028,0010): A value is no number"),
        ('(0028,0010) := "x"', "line 2: (0028,0010): A value is no number"),
        ("a := lowercase[(0008,1140)[0]/(0010,0010)]", "(0008,1140)[0]/(0010,0010) has no value"),
        ("a := shiftDateByIncrement[(0008,0021), 1]", "(0008,0021): a value is no date"),
        ('shiftDateTimeListByIncrement[*/(0008,0021), 1, "days"]', "(0008,0021): a value is no date"),
        ("(0010,0020) := */(0010,0010)", "*/(0010,0010) can name several elements"),
    ]:
        fails(statement, elements, words)


# Bounds


def test_texts_and_lists_do_not_grow_without_end() -> None:
    elements: Elements = {"00100010": ["PN", "A"]}
    doubled = "\n".join(["a := concatenate[a, a]"] * 40)
    fails(f'a := "xxxxxxxx"\n{doubled}', elements, "longer than 1,048,576 characters")
    fails('a := "xx"\n' + "\n".join(['a := replace[a, "x", a]'] * 40), elements, "longer than")
    fails('a := "xx"\n' + "\n".join(['a := format["{0}{0}{0}", a]'] * 40), elements, "longer than")
    fails(
        'a := "éé"\n'
        + "\n".join(
            ["a := normalizeString[a, concatenate[a, a]]"] * 1 + ['a := replace[a, "é", concatenate[a, a, a]]'] * 9
        ),
        elements,
        "longer than",
    )
    fails("a := {1}\n" + "\n".join(["a := {a, a}"] * 40), elements, "more than 10,000 values")


def test_an_object_has_two_seconds() -> None:
    ticks = iter([0.0, 0.1, 1.9, 2.1, 2.2])
    obj = parse(object_bytes({"00100010": ["PN", "A"]}))
    with pytest.raises(ScriptTimeout, match="line 4: The scripts take longer than 2 seconds"):
        run("a := 1\nb := 1\nc := 1", obj, context(clock=lambda: next(ticks)))
    deep = copy.deepcopy(NESTED)
    ticks = iter([0.0, *[2.5] * 99])
    with pytest.raises(ScriptTimeout):
        run("- */*/(0010,0020)", parse(object_bytes(deep)), context(clock=lambda: next(ticks)))


def test_wildcards_over_many_items_take_no_long() -> None:
    item: Elements = {"00080100": ["SH", "x"]}
    for _ in range(20):
        item = {"00081140": ["SQ", [item, {"00080100": ["SH", "y"]}]]}
    started = time.process_time()
    assert not [
        element for element in changed("- " + "*/" * 20 + "(0008,0100)", item).iterall() if element.tag == 0x00080100
    ]
    assert time.process_time() - started < 1


def test_scripts_go_to_other_processes() -> None:
    script = parse_script('version "6.6" if ((0010,0020) = "top") { - */(0010,0020) removeTags[{(0019,{GE}10)}] }')
    obj = parse(object_bytes(NESTED))
    run_scripts([pickle.loads(pickle.dumps(script))], obj, context())
    assert value_at(read_back(obj), EVERY_PLACE["aaa"]) is None


# Failing leaves nothing


@settings(max_examples=60)
@given(st.data())
def test_a_failing_script_leaves_the_original_and_no_outcome(data: st.DataObject) -> None:
    statements = [
        '(0010,0010) := "x"',
        "- */(0010,0020)",
        "removeAllPrivateTags",
        '(0042,0010)[3]/(0010,0010) := "y"',
        "retainPrivateTags[(0019,{GE}10)]",
        "hashUIDList[*/(0010,0020)]",
        '*/(0010,0020) ?= "z"',
        'blankValues["b"]',
    ]
    before = data.draw(st.lists(st.sampled_from(statements), max_size=6))
    raw = object_bytes({**NESTED, **PRIVATE})
    obj = parse(raw)
    outcome = None
    with pytest.raises(ScriptFailed):
        outcome = run("\n".join([*before, "(0010,0010) := nobody", *before]), obj)
    assert outcome is None
    assert bytes(obj.original) == raw
