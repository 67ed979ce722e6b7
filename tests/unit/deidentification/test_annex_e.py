"""The table of PS3.15 Annex E, row by row against two other transcriptions of it."""

from __future__ import annotations

import json
from collections import Counter
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector

from scandock.deidentification.profile import dummies
from scandock.deidentification.profile.table import (
    EDITION,
    SafePrivate,
    attribute_rows,
    content_item_rows,
    safe_private,
)
from scripts import annex_e, code_terms

ODD_GROUPS = "odd"
LETTERS = {"D": "D", "Z": "Z", "X": "X", "U": "U", "Z_D": "Z/D", "X_Z": "X/Z", "X_D": "X/D", "X_Z_D": "X/Z/D"}
CATEGORIES = {f"{name}_TAGS": action for name, action in LETTERS.items()} | {"X_Z_U_STAR_TAGS": "X/Z/U*"}
MASKS = {(0x5000, 0, 0xFF00, 0): "50xxxxxx", (0x6000, 0x4000, 0xFF00, 0xFFFF): "60xx4000"}
MASKS[0x6000, 0x3000, 0xFF00, 0xFFFF] = "60xx3000"

COLUMNS = {
    "rtnSafePrivOpt": "safe-private",
    "rtnUIDsOpt": "retain-uids",
    "rtnDevIdOpt": "retain-device",
    "rtnInstIdOpt": "retain-institution",
    "rtnPatCharsOpt": "retain-patient",
    "rtnLongFullDatesOpt": "retain-full-dates",
    "rtnLongModifDatesOpt": "modified-dates",
    "cleanDescOpt": "clean-descriptors",
    "cleanStructContOpt": "clean-structured",
    "cleanGraphOpt": "clean-graphics",
}
CHANGED_SINCE_2020: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "00081120": ({"retain-uids": "X"}, {"retain-uids": "K"}),
    "00203401": ({}, {"retain-device": "K"}),
    "00321021": ({"retain-device": "K"}, {"retain-device": "C"}),
    "00321033": ({}, {"clean-descriptors": "C"}),
    "00400001": ({"retain-device": "K"}, {"retain-device": "C"}),
    "00400241": ({"retain-device": "K"}, {"retain-device": "C"}),
}
"""Rows whose option columns the standard has changed: letters of 2020, and of 2026."""

_WITHOUT_REFEREE = """
00080012 00080013 00080017 00080019 00080054 00080055 00080106 00080107 00081000 00081088 00081301 00081302
00081303 00081304 00100011 00100012 00100013 00100014 00100015 00100016 00100041 00100042 00100043 00100044
00100045 00100046 00100047 00102161 00102162 00120022 00120023 00120032 00120041 00120043 00120055 00120073
00120086 00120087 0014407C 0014407E 00180027 00180035 00181010 00181011 00181012 00181014 00181042 00181043
00181072 00181073 00181078 00181079 001811BB 00181200 00181201 00181202 00181203 00181204 00181205 00185011
0018700C 0018700E 00189074 00189151 00189623 00189701 00189804 00189919 00189937 0018A002 00200027 00203403
00203405 00320032 00320033 00320034 00320035 00321000 00321001 00321010 00321011 00321040 00321041 00321050
00321051 0038001A 0038001B 0038001C 0038001D 00380030 00380032 003A0020 003A0203 003A020C 003A0310 003A0314
003A0329 003A032B 00400009 00400310 00400556 00402004 00402005 0040A023 0040A024 0040A030 0040A032 0040A033
0040A034 0040A035 0040A082 0040A110 0040A112 0040A120 0040A121 0040A122 0040A13A 0040B020 0040B034 0040B036
0040B03B 0040B03F 0040DB06 0040DB07 0040E004 0040E012 00420011 00440004 0044000B 00440010 00440104 00440105
00640003 00686226 00686270 006A0003 006A0005 006A0006 00700006 00700082 00700083 0072000A 0072005E 0072005F
00720061 00720063 00720065 00720066 00720068 0072006A 0072006B 0072006C 0072006D 0072006E 00720070 00720071
00741234 00741236 01000420 04000105 04000115 04000310 04000551 04000552 04000562 04000563 04000564 04000565
21000040 21000050 21000070 21000140 30020121 30020123 30060002 30060004 30060006 30060008 30060009 30060026
30060028 3006002D 3006002E 30060038 3006004D 3006004E 30060085 30060088 300600A6 30080024 30080025 30080162
30080164 30080166 30080168 300A000B 300A0054 300A022C 300A022E 300A0700 300A0734 300A0736 300A073A 300A0741
300A0742 300A0760 300A0783 300A0785 300A078E 300A0792 300A0794 300A079A 300C0127 300E0004 300E0005 30100085
40080040 40080100 40080101 40080108 40080109 40080112 40080113 40080200
"""
WITHOUT_REFEREE = frozenset(_WITHOUT_REFEREE.split())
"""Rows that came into the table after 2020: the standard alone gives their option columns, no package knows them."""


def test_the_edition_is_2026_and_the_table_is_whole() -> None:
    assert EDITION == "2026c"
    assert len(attribute_rows()) == 656
    assert len(content_item_rows()) == 214
    assert Counter(row.basic for row in attribute_rows().values()) == {
        "X": 416,
        "D": 93,
        "U": 55,
        "Z": 42,
        "X/D": 23,
        "X/Z": 11,
        "X/Z/D": 8,
        "Z/D": 6,
        "X/Z/U*": 2,
    }


def test_the_basic_profile_agrees_with_dicom_anonymizer_in_every_row() -> None:
    database = dicom_anonymization_database_selector("dicomfields_2026c")
    theirs = {
        MASKS[tag] if len(tag) == 4 else f"{tag[0]:04X}{tag[1]:04X}": action
        for category, action in CATEGORIES.items()
        for tag in database[category]
    }
    ours = {row.tag: row.basic for row in attribute_rows().values() if row.tag != ODD_GROUPS}
    assert ours == theirs


def test_the_options_agree_with_dicom_standard_in_every_row_that_2020_had() -> None:
    theirs = _options_of_2020()
    ours = {row.tag: row.options for row in attribute_rows().values()}
    changed = {tag: (theirs[tag], options) for tag, options in ours.items() if tag in theirs and theirs[tag] != options}
    assert changed == CHANGED_SINCE_2020
    assert theirs.keys() <= ours.keys()
    assert ours.keys() - theirs.keys() == WITHOUT_REFEREE


_BOOK = """<book xmlns="http://docbook.org/ns/docbook"><subtitle>DICOM PS3.15 2027a - Security</subtitle>
<table label="E.1-1"><thead><tr><th>Attribute Name</th><th>Tag</th><th>Basic Prof.</th><th>Rtn. UIDs Opt.</th></tr>
</thead>
<tbody><tr><td>Overlay Data</td><td><para>(60xx,3000)</para></td><td>X</td><td/></tr>
<tr><td>Study Instance UID</td><td>(0020,000D)</td><td>U</td><td>K</td></tr></tbody></table>
<table label="E.3.4-1"><thead><tr><th>Code Meaning</th><th>Code Value</th><th>Coding Scheme Designator</th>
<th>Value Type</th><th>Basic Prof.</th><th>Rtn. UIDs Opt.</th></tr></thead><tbody>
<tr><td>Subject UID</td><td>121028</td><td>DCM</td><td>UIDREF</td><td>X</td><td>K</td></tr></tbody></table>
<table label="E.3.10-1"><thead><tr><th>Data Element</th><th>Private Creator</th><th>VR</th><th>VM</th>
<th>Meaning</th></tr></thead><tbody><tr><td>(2001,xx0a)</td><td>VENDOR 01</td><td>SS</td><td>1</td><td>Slice</td></tr>
<tr><td>(2001,xx10)</td><td>VENDOR 01</td><td>OW/OB</td><td>1</td><td>Data</td></tr></tbody></table></book>"""


def test_the_script_makes_the_table_of_the_standards_text(tmp_path: Path) -> None:
    part15 = tmp_path / "part15.xml"
    part15.write_text(_BOOK)
    assert json.loads(annex_e.file_text(part15)) == {
        "edition": "2027a",
        "attributes": [
            ["0020000D", "Study Instance UID", "U", {"retain-uids": "K"}],
            ["60xx3000", "Overlay Data", "X", {}],
        ],
        "content_items": [["121028", "DCM", "UIDREF", "Subject UID", "X", {"retain-uids": "K"}]],
        "safe_private": [["VENDOR 01", "2001xx0A", "SS", "Slice"], ["VENDOR 01", "2001xx10", "OB", "Data"]],
    }
    for was, becomes in (
        ("<td>U</td>", "<td>Q</td>"),
        ("(0020,000D)", "0020"),
        ("<td>K</td>", "<td>J</td>"),
        ("(2001,", "(2002,"),
    ):
        part15.write_text(_BOOK.replace(was, becomes))
        with pytest.raises(ValueError, match=r"^no "):
            annex_e.file_text(part15)


def test_the_safe_private_elements_are_those_of_the_standard() -> None:
    rows = safe_private()
    assert len(rows) == 479
    assert SafePrivate("SIEMENS MR HEADER", 0x19, 0x0C, "IS") in rows
    assert SafePrivate("Philips Imaging DD 001", 0x2001, 0x03, "FL") in rows
    assert SafePrivate("GEMS_PARM_01", 0x43, 0x39, "IS") in rows
    assert {row.vr for row in rows} <= {*dummies._VALUES, "SQ", "UN"}  # noqa: SLF001


@pytest.mark.long
def test_terms_are_those_of_the_package() -> None:
    assert code_terms.file_text() == code_terms.FILE.read_text("ascii")


def _options_of_2020() -> dict[str, dict[str, str]]:
    package = distribution("dicom-standard")
    assert package.version == "0.1.0"
    name = "confidentiality_profile_attributes.json"
    file = next(file for file in package.files or () if file.name == name)
    rows: list[dict[str, Any]] = json.loads(package.locate_file(file).read_bytes())  # type: ignore[attr-defined]
    return {_tag(row["id"]): {COLUMNS[key]: row[key] for key in COLUMNS if key in row} for row in rows}


def _tag(number: str) -> str:
    if "odd" in number:
        return ODD_GROUPS
    return number.replace("X", "x") if "x" in number.lower() else number.upper()
