"""Which session 4: the mapping's rows."""

from __future__ import annotations

import json

import pytest

from scandock.model.errors import Usage
from scandock.rules import mapping
from scandock.rules.mapping import decode_mapping, find_row, parse_mapping, unused_rows_notices
from tests.unit.rules_sessions.builders import series, study, study_of


def rows(text: str, filename: str = "mapping.csv"):
    return parse_mapping(text, filename)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_csv(delimiter, newline):
    lines = [["Study UID", "PROJECT", " subject ", "session"], ["1.2", "P", "S 1", ""], [], ["1.3", "", "", "L"]]
    text = "\N{BYTE ORDER MARK}" + newline.join(delimiter.join(line) for line in lines)
    first, second = rows(text)
    assert (first.number, first.study_uid, first.project, first.subject, first.session) == (2, "1.2", "P", "S 1", "")
    assert (second.number, second.study_uid, second.session) == (4, "1.3", "L")


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"'])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_excel_names_the_delimiter_in_a_line_of_its_own(line, newline):
    text = newline.join([line, "folder;subject", "a,b,c;S,1,2", ""])
    (row,) = rows("\N{BYTE ORDER MARK}" + text)
    assert (row.number, row.folder, row.subject) == (3, "a,b,c", "S,1,2")


def test_columns_that_are_not_known_say_nothing_and_are_named():
    found = rows("study_uid,session,comment,Age\n1.2,L,hello,3\n")
    assert (found[0].session, found[0].unknown) == ("L", ("comment", "Age"))
    said, _ = unused_rows_notices(found, [])
    assert said.code == "mapping_columns"
    assert "'comment', 'Age'" in said.message
    (row,) = rows('[{"study_uid": "1.2", "notes": "x"}]')
    assert row.unknown == ("notes",)


@pytest.mark.parametrize(
    ("word", "left"),
    [("yes", True), ("TRUE", True), ("1", True), ("x", True), ("no", False), ("0", False), ("", False)],
)
def test_a_row_may_leave_a_study_out(word, left):
    (row,) = parse_mapping(f"study_uid,session,Leave out\n1.2,S,{word}\n", "m.csv")
    assert (row.study_uid, row.session, row.leave_out) == ("1.2", "S", left)


def test_a_json_may_leave_a_study_out_by_a_truth():
    rows = parse_mapping('[{"folder": "a", "leave_out": true}, {"folder": "b", "leave_out": false}]', "m.json")
    assert [row.leave_out for row in rows] == [True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "study_uid,leave_out\n1.2,perhaps\n",
            "Row 2 of the mapping column leave_out: 'perhaps' is neither yes nor no",
        ),
        ("study_uid,leave_out\n,yes\n", "Row 2 of the mapping chooses no study"),
        ("study_uid,leaveout,leave out\n1,,\n", "names the column leave_out twice"),
        ("study_uid,leav_out\n1,yes\n", "names a column 'leav_out'"),
    ],
)
def test_what_is_wrong_in_leaving_out_is_named(text, said):
    with pytest.raises(Usage) as caught:
        parse_mapping(text, "m.csv")
    assert said in caught.value.message


def test_a_cell_may_hold_the_delimiter():
    assert rows('patient_id,subject\n"Doe, John",S1\n')[0].patient_id == "Doe, John"


@pytest.mark.parametrize("wrap", [lambda r: r, lambda r: {"rows": r}])
def test_json(wrap):
    (row,) = rows(json.dumps(wrap([{"patient_id": 17, "session": "L", "subject": None}])), "mapping.json")
    assert (row.number, row.patient_id, row.session, row.subject) == (1, "17", "L", "")


def test_json_is_known_by_its_content_too():
    assert rows('[{"folder": "a", "session": "L"}]', "mapping")[0].folder == "a"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("study_uid,sesion\n1.2,L\n", "'sesion'"),
        ("study_uid,session,session\n", "session twice"),
        ("study_uid,project\n\n1.2,my project\n", "Row 3 .*column project"),
        ("study_uid,subject\n1.2,...\n", "Row 2 .*column subject"),
        ("study_uid,session\n,L\n", "Row 2 .*chooses no study"),
        ("study_uid,session\n1.2,L,more\n", "Row 2 .*3 cells"),
        ('study_uid,session\n1.2,"L\n', "can't be read"),
        ("comment,age\n1,2\n", "Row 1 .*no column that chooses"),
        ("study_uid,session\n", "no rows"),
        ("sep=;\nstudy_uid;session\n", "no rows"),
        ("sep=;\nstudy_uid;session\n1.2;...\n", "Row 3"),
        ("", "empty"),
        ("\n\n", "empty"),
    ],
)
def test_what_is_wrong_in_a_csv_is_named(text, said):
    with pytest.raises(Usage, match=said) as raised:
        rows(text)
    assert raised.value.code == "mapping_unreadable"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "no JSON"),
        ("{}", "no list"),
        ("[1]", "Row 1 .*no object"),
        ('[{"study_uid": "1"}, {"study_uid": ["2"]}]', "Row 2 .*column study_uid"),
        ('[{"study": "1"}]', "'study'"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_what_is_wrong_in_a_json_is_named(text, said):
    with pytest.raises(Usage, match=said):
        rows(text, "m.json")


def test_the_first_row_that_matches_wins():
    table = rows("study_uid,patient_id,session\n1.9,,A\n,P1,B\n1.2,,C\n")
    row = find_row(table, study("1.2", PatientID="P1"))
    assert row is not None
    assert row.session == "B"


def test_where_several_are_filled_all_must_match():
    table = rows("study_uid,patient_id,session\n1.2,P2,A\n")
    assert find_row(table, study("1.2", PatientID="P1")) is None


def test_the_patient_is_the_most_common_one():
    facts = study_of(series("1.2", 9, "1", PatientID="P1"), series("1.2", 1, "2", PatientID="P2"))
    assert find_row(rows("patient_id,session\nP2,A\n"), facts) is None
    assert find_row(rows("patient_id,session\nP1,A\n"), facts) is not None


@pytest.mark.parametrize(
    ("folder", "matches"),
    [
        ("sub-01", True),
        ("site2/sub-01", True),
        ("site2\\sub-01\\", True),
        ("site2", True),
        ("patient1.zip", True),
        ("patient1", True),
        ("patient1.zip!site2/sub-01", True),
        ("sub-0", False),
        ("SUB-01", False),
        ("site2/MR", False),
        ("/", False),
    ],
)
def test_a_folder_is_matched_by_whole_names_side_by_side(folder, matches):
    facts = study_of(series("1.2"), folders=["bundle/patient1.zip!site2/sub-01/MR/"])
    table = rows(json.dumps([{"folder": folder, "session": "L"}]), "m.json")
    assert (find_row(table, facts) is not None) is matches


def test_rows_that_match_nothing_are_a_warning():
    table = rows("study_uid,session\n1.1,A\n1.2,B\n1.3,C\n")
    (said,) = unused_rows_notices(table, [3, None])
    assert said.code == "mapping_unused"
    assert "Rows 2, 4 (2 in all)" in said.message
    assert unused_rows_notices(table, [2, 3, 4]) == ()


def test_files_of_spreadsheets_are_read():
    assert decode_mapping("\N{BYTE ORDER MARK}M\xfcller".encode()) == "M\xfcller"
    assert decode_mapping("M\xfcller".encode("utf-16")) == "M\xfcller"
    assert decode_mapping("M\xfcller".encode("cp1252")) == "M\xfcller"


def test_a_mapping_has_200_000_rows_and_no_more(monkeypatch):
    assert mapping.MAX_ROWS == 200_000
    monkeypatch.setattr(mapping, "MAX_ROWS", 500)
    csv = "folder,session\n" + "a,b\n" * 500
    assert len(rows(csv)) == 500
    for text in (csv + "a,b\n", "[" + ",".join(["[]"] * 1_001) + "]", json.dumps([{"folder": "a"}] * 501)):
        with pytest.raises(Usage) as refused:
            rows(text, "")
        assert refused.value.code == "mapping_too_long"


def test_a_mapping_has_100_columns_and_no_10_000():
    names = [f"c{n}" for n in range(10_000)]
    for text in (f"folder,{','.join(names)}\n", json.dumps([dict.fromkeys(names, "")])):
        with pytest.raises(Usage, match="more than 100 columns"):
            rows(text, "")
    assert rows(f"folder,{','.join(names[:99])}\na\n")[0].folder == "a"
    assert rows(f"folder,{'session' * 10_000}\na\n")[0].folder == "a"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[{" + ",".join(f'"{n}":1' for n in range(20_000)) + "}]", "Row 1 .* more than 100 columns"),
        ('[{"folder":"a"},{"folder":"' + "x" * 100_000 + '"}]', "Row 2 .* more than 65,536 characters"),
        ("{" + ",".join(f'"{n}":1' for n in range(20_000)) + ',"rows":[]}', "more than 100 members"),
        ('[{"folder":"a" "b"},' + '{"folder":"a"},' * 10_000, "no JSON: what is at line 1, column 16 can't be read"),
        ('[{"folder":"a"}] []', "no JSON: what is at line 1, column 18 is behind its end"),
        ('[{"folder":"a"},]', "no JSON"),
        ('{"rows":[{"folder":"a"}],"rows":[{"folder":"a"}]}', "twice"),
        ('{"row":[{"folder":"a"}]}', "nor an object with `rows`"),
    ],
)
def test_json_is_read_row_by_row_and_no_more_of_it_than_a_row_may_have(text, why, monkeypatch):
    read = []

    class Decoder(json.JSONDecoder):
        def raw_decode(self, s, idx=0):
            read.append(len(s))
            return super().raw_decode(s, idx)

    monkeypatch.setattr(mapping, "_DECODER", Decoder())
    with pytest.raises(Usage, match=why):
        rows(text, "m.json")
    assert max(read) <= 65_536


def test_long_rows_of_json_and_what_stands_around_them_are_read():
    long = {"folder": "a", **{f"more {n}": '\N{SNOWMAN} {[\\"' * 20 for n in range(99)}}
    text = json.dumps({"note": ["x", {"y": 1}], "rows": [{"folder": "b"}, long], "by": None}, indent=2)
    assert [row.folder for row in rows(text, "")] == ["b", "a"]
