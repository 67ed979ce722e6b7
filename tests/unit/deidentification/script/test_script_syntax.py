"""What may stand in a script, and how what may not is refused: line, column, and what to write instead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scandock.deidentification.script.errors import LookupTableRefused, ScriptRefused
from scandock.deidentification.script.lookup_table import parse_lookup_table
from scandock.deidentification.script.parser import MAX_STATEMENTS, RESERVED, parse_script
from scandock.deidentification.script.signatures import FUNCTIONS
from scandock.deidentification.script.syntax import Assign, SetVariable, Text
from tests.unit.deidentification.script.script_objects import changed, value_at

PATIENT = {"00100010": ["PN", "A"]}

# Script without its version (which is line 1), line and column, words of the message.
REFUSED = [
    ("(0010,0010 ) := 1", 2, 1, "around its comma"),
    ("( 0010,0010) := 1", 2, 1, "around its comma"),
    ("(0019,1010) := 1", 2, 1, "named by its creator"),
    ("(0010,{GE}10) := 1", 2, 1, "a group with a creator is odd"),
    ("-(50XX,0010)", 2, 2, "the last digit of a group"),
    ("(0010,010) := 1", 2, 1, "a tag is written"),
    ("(0019,{}10) := 1", 2, 1, "Here may stand"),
    ("(0010,0010) = 1", 2, 16, "the script ends too early. Here may stand ?."),
    ("(0010,0010) :=", 2, 15, "Here may stand a value"),
    ("(0010,0010) :=\n1", 2, 15, "the line ends too early"),
    ('(0010,0010) := "x', 2, 16, "isn't closed"),
    ('(0010,0010) := "x\ny"', 2, 16, "isn't closed"),
    ("(0010,0010) := 'x'", 2, 16, "double quotes"),
    (r'(0010,0010) ~ "\d" ? a := 1', 2, 16, r"write \\d"),
    (r'(0010,0010) := "a\"b"', 2, 18, "A double quote can't stand in a string"),
    ("(0010,0010) := 007", 2, 16, "a number is 0"),
    ("(0010,0010) := 0.5", 2, 16, "a number is 0"),
    ("(0010,0010) := 5x", 2, 16, "a name doesn't begin with a digit"),
    ("a := nosuch[]", 2, 6, "there is no function nosuch. Functions are alterPixels"),
    ("a := hashUid[b]", 2, 6, "Did you mean hashUID?"),
    ('a := getURL["http://x"]', 2, 6, "getURL isn't run"),
    ("if := 1", 2, 4, ":= can't stand here. Here may stand (."),
    ("a := version", 2, 6, "version is a word of the language"),
    ("hidden := 1", 2, 1, "hidden is a word of the language"),
    ("const[]", 2, 1, "const is a word of the language"),
    ("describe echo hidden", 2, 10, "echo is a word of the language"),
    ('(0008,0060) = "MR" ? version "6.1"', 2, 22, "version can't stand here"),
    ('(0008,0060) = "MR" ? describe a hidden', 2, 22, "describe can't stand here"),
    ('a := 1\nversion "6.6"', 3, 1, "in the first statement alone"),
    ('if (a = "b") a := 1', 2, 14, "Here may stand { or a line end"),
    ('if (a = "b") { a := 1', 2, 22, "the script ends too early"),
    ('if a = "b" { a := 1 }', 2, 4, "Here may stand ("),
    ('if (0010,0010) = "x" {\na := 1\n}', 2, 4, "a condition stands in parentheses: if (...) {"),
    ('if (1010,0010) = "x" {\na := 1\n}', 2, 4, "a condition stands in parentheses: if (...) {"),
    ('if (a = "b") {\na := 1\n} elseif(0019,{GE}10) = "x" {\n}', 4, 9, "a condition stands in parentheses"),
    ("else { a := 1 }", 2, 1, "else can't stand here"),
    ("a := {1,\n2", 3, 2, "the script ends too early"),
    ("hashUIDList[(0008,0014),\n(0008,0018)]", 2, 25, "the line ends too early"),
    ("(0008,1140)[-1]/(0010,0010) := 1", 2, 13, "the number of an item"),
    ("(0008,1140)[1.5]/(0010,0010) := 1", 2, 13, "the number of an item"),
    ("(0008,1140)[10000]/(0010,0010) := 1", 2, 13, "0 to 9999"),
    ("(0008,1140)[]/(0010,0010) := 1", 2, 13, "% or a number"),
    ("(0010,0010)/ := 1", 2, 14, "Here may stand a path"),
    ("/".join(["(0008,1140)[0]"] * 33) + " := 1", 2, 1, "more than 32 steps"),
    ("a := " + "{" * 50 + "}" * 50, 2, 46, "too many levels"),
    ('(0008,0005) := "ISO_IR 192"', 2, 1, "character set, can't be changed"),
    ("- */(0008,0005)", 2, 3, "character set, can't be changed"),
    ('(0008,1140)[0]/(0008,0005) ?= "x"', 2, 1, "character set, can't be changed"),
    ('set["(0008,0005)", "ISO_IR 192"]', 2, 1, "character set, can't be changed"),
    ('delete["(0008,1140)[0]/(0008,0005)"]', 2, 1, "character set, can't be changed"),
    ("removeTags[{(0010,0010), (0008,0005)}]", 2, 1, "character set, can't be changed"),
    ('removeTags["*/(0008,0005)"]', 2, 1, "character set, can't be changed"),
    ('(0002,0010) := "1.2"', 2, 1, "transfer syntax, can't be changed"),
    ("-(0002,0000)", 2, 2, "counted anew"),
    ('(FFFE,E000) := "x"', 2, 1, "items and delimiters are no elements"),
    ('(0008,1140)[0]/(fffe,E0DD) := ""', 2, 1, "items and delimiters are no elements"),
    ('(FFFE,E000)[0]/(0010,0010) := "x"', 2, 1, "items and delimiters are no elements"),
    ('*/(FFFE,E00D) ?= ""', 2, 1, "items and delimiters are no elements"),
    ('a := 1\n  set["(FFFE,E0DD)", "x"]', 3, 3, "items and delimiters are no elements"),
    ('set["(0008,1140)[0]/(FFFE,E000)", "x"]', 2, 1, "items and delimiters are no elements"),
    ('(0000,0100) := "1"', 2, 1, "no file has them"),
    ('set["(0000,0000)", "1"]', 2, 1, "no file has them"),
    ('(FFFF,{X}10) := "1"', 2, 1, "no group of elements"),
    ('(0002,0100)[0]/(0010,0010) := "x"', 2, 1, "in the meta information alone"),
    ('(0008,1140)[0]/(0002,0010) := "x"', 2, 1, "transfer syntax, can't be changed"),
    ('set["(0008,1140)[0]/(0002,0013)", "x"]', 2, 1, "in the meta information alone"),
    ('(0010,0010) ~ "(a+)+" ? a := 1', 2, 15, "may never end"),
    ('a := ismatch[(0010,0010), "(a|a)*"]', 2, 27, "may never end"),
    ('a := match[(0010,0010), ".*a.*a.*a.*a.*a.*a.*a.*ab", 0]', 2, 25, "can end anywhere"),
    ('(0010,0010) ~ "[a&&b]" ? a := 1', 2, 15, "isn't supported"),
    ("a := 1 }", 2, 8, "} can't stand here"),
    ("a := 1;", 2, 7, "; can't stand here"),
    ('// "x\n\n  (0010,0010) := := 1', 4, 18, ":= can't stand here"),
    ('a := "x\\\ny" b := :', 3, 9, ": can't stand here"),
]  # fmt: skip


@pytest.mark.parametrize(("script", "line", "column", "words"), REFUSED)
def test_what_is_wrong_is_refused_with_line_and_column(script: str, line: int, column: int, words: str) -> None:
    with pytest.raises(ScriptRefused) as refused:
        parse_script(f'version "6.6"\n{script}', "site.das")
    error = refused.value
    assert (error.line, error.column) == (line, column), str(error)
    assert str(error).startswith(f"site.das, line {line}, column {column}: ")
    assert words in str(error)


def test_a_script_says_its_version_first() -> None:
    for version in ("6.0", "6.6", "6.9"):
        assert parse_script(f'// a comment\n\nversion "{version}" a := 1').version == version
    for script, words in [
        ("", "has no version"),
        ("// nothing\n", "has no version"),
        ('(0010,0010) := "x"', "has no version"),
        ('version "4.2"', "Scripts of DicomEdit 4 have to be written anew"),
        ('version "6.10"', "Supported are 6.0 to 6.9"),
        ('version "7.0"', "Supported are 6.0 to 6.9"),
        ('version "6"', "Supported are 6.0 to 6.9"),
        ('version "4.2"\n(0010,0010) := "\\d"', "Scripts of DicomEdit 4"),
        ("\n\n// old\n  (0019,1010) := 'x'", "line 4, column 3: the script has no version"),
        ("version", "the script ends too early"),
        ("version 6", "6 can't stand here"),
    ]:
        with pytest.raises(ScriptRefused) as refused:
            parse_script(script)
        assert words in str(refused.value), script


def test_sizes_are_bounded() -> None:
    statements = "\n".join(["a := 1"] * (MAX_STATEMENTS - 1))
    parse_script(f'version "6.6"\n{statements}')
    with pytest.raises(ScriptRefused, match="more than 2,000 statements") as refused:
        parse_script(f'version "6.6"\n{statements}\nif (a = "1") {{ a := 2 }}')
    assert refused.value.line == MAX_STATEMENTS + 1
    filler = "// é\n"
    parse_script('version "6.6"\n' + filler * (64 * 1024 // len(filler.encode()) - 10))
    with pytest.raises(ScriptRefused, match="64 KB"):
        parse_script('version "6.6"\n' + filler * (64 * 1024 // len(filler.encode())))


def test_lines_are_joined_and_comments_go() -> None:
    script = (
        '\N{BYTE ORDER MARK}version "6.6" // "quoted\r\n'
        'a := concatenate["x", \\\r\n  "y//z"] // "\n'
        'b := "http://h//p"//c\n'
        'c := "split \\\nin two"  \n'
        "// - (0010,0010) \\\n this is joined to the comment\n"
    )
    first, second, third = parse_script(script).statements
    assert isinstance(first, SetVariable)
    assert [first.line, first.name] == [2, "a"]
    assert second == SetVariable(4, "b", Text("http://h//p"))
    assert third == SetVariable(5, "c", Text("split in two"))


def test_separators_are_not_needed_and_blanks_mean_nothing() -> None:
    script = '\n\n a:=(0010,0010)a="A"?(0010,0020):="1"  :(0010,0020):="2"\t(0010,0030)\t:= "x"\n\n'
    data = changed(script, PATIENT)
    assert value_at(data, "00100020") == "1"
    assert value_at(data, "00100030") == "x"


def test_strings_keep_their_backslashes_but_for_two() -> None:
    script = parse_script('version "6.6"\na := "\\\\d \\n\\r\\t\\b\\f\\(\\)\\012\\777 é"')
    assert script.statements == (SetVariable(2, "a", Text("\\d \\n\\r\\t\\b\\f\\(\\)\\012\\777 é")),)


def test_tags_and_paths_are_read_whatever_the_case_of_their_digits() -> None:
    script = 'version "6.6"\n(0xA@ , x@#F)[ % ] / + / (0019 ,{1 Creator/Inc.: "x"}aB) := "x"'
    (statement,) = parse_script(script).statements
    assert isinstance(statement, Assign)
    path = statement.target
    assert not path.is_singular
    assert path.is_private
    for number in (0x00A0F01F, 0x00AE27FF):
        (first, _, last) = path.steps
        assert (number & first.tag.mask == first.tag.value) == (number == 0x00A0F01F)  # type: ignore[union-attr]
    assert last.tag.creator == '1 Creator/Inc.: "x"'  # type: ignore[union-attr]


def test_numbers_are_their_text() -> None:
    script = "a := {0, 5, -5, 5.50, -10.0}"
    (statement,) = parse_script(f'version "6.6"\n{script}').statements
    assert isinstance(statement, SetVariable)
    assert [value.text for value in statement.value.values] == ["0", "5", "-5", "5.50", "-10.0"]  # type: ignore[union-attr]


def test_blocks_stand_over_lines() -> None:
    script = """
if (true[])
{

  (0010,0020) := "1"  if (false[]) { } else { (0010,0030) := "x" }

}
// between

elseif (true[])
{ (0010,0020) := "2" }

else

{ (0010,0020) := "3" }
mine := {

}
mine := {
 "a"
 , "b"
}
"""
    data = changed(script, PATIENT)
    assert (value_at(data, "00100020"), value_at(data, "00100030")) == ("1", "x")


def test_documentation_has_no_effect() -> None:
    script = 'describe x hidden describe project "a" describe y const describe z immutable export x "xnat:subject"'
    assert parse_script(f'version "6.6" {script}').statements == ()


def test_names_of_functions_are_no_words_of_the_language() -> None:
    script = "true := 1 set := 2 X := 3 x := 4 versions := 5 elseif_ := 6 iffy := 7"
    assert len(parse_script(f'version "6.6" {script}').statements) == 7


@settings(max_examples=150)
@given(st.data())
def test_whatever_is_written_is_read_or_refused(data: st.DataObject) -> None:
    pieces = [
        "(0010,0010)", "(001X,{GE}1@)", "*", "/", "+", ".", "[0]", "[%]", "[", "]", ":=", "?=", "=", "!~", "?", ":",
        "-", "{", "}", "(", ")", ",", '"x"', '"', "\\", "\n", " ", "5", "-1", "a", "if", "else", "elseif", "version",
        "echo", "describe", "hidden", "export", "removeAllPrivateTags", "é", "//", *FUNCTIONS,
    ]  # fmt: skip
    script = "".join(data.draw(st.lists(st.sampled_from(pieces), max_size=25)))
    try:
        parse_script(f'version "6.6"\n{script}')
    except ScriptRefused as error:
        refused = error
    else:
        return
    assert 1 <= refused.line <= script.count("\n") + 2
    assert refused.column >= 1


def test_lookup_tables_name_the_line_that_is_none() -> None:
    table = parse_lookup_table("\N{BYTE ORDER MARK}// x\r\npn/A^B=x=y = C/D = E \r\n pid / 1 =\n\npn/K=V\npn/K = V")
    assert table.values == {("pn", "A^B=x=y"): "C/D = E", ("pid", "1"): "", ("pn", "K"): "V"}
    assert repr(table) == "LookupTable()"
    for text, line in (
        ("a/b = c\nnothing", 2),
        ("= c", 1),
        ("a/ = c", 1),
        ("a/b", 1),
        ("/b = c", 1),
        ("a/b=1\na/b=2", 2),
    ):
        with pytest.raises(LookupTableRefused) as refused:
            parse_lookup_table(text, "table.txt")
        assert refused.value.line == line
        assert str(refused.value).startswith(f"table.txt, line {line} ")


def test_the_page_of_the_language_is_right(project_root: Path) -> None:
    page = (project_root / "docs/deidentification-scripts.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(examples) >= 2
    for example in examples:
        parse_script(example if example.startswith("version") else f'version "6.6"\n{example}')
    table = page[page.index("| function |") : page.index("**Dates**")]
    assert set(re.findall(r"`(\w+)\[", table)) - {"isPresent"} == set(FUNCTIONS) - {"isPresent"}
    assert set(re.search(r"can't be names: `([^`]+)`", page)[1].split()) == RESERVED  # type: ignore[index]
