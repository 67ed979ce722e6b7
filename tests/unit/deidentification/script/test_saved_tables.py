"""Saved tables of the scripts' grammar: they are of this grammar and this lark, and scripts are read as by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from lark import Lark, UnexpectedInput

from scandock.deidentification.script import parser

SCRIPTS = (
    'version "6.6"\n(0008,1030) := project\n(0010,0010) := "A\\\\B"\n(0010,0020) := hashUID[(0010,0020)]\n',
    (
        'version "6.1"\nif ((0010,0010) ~ "X.*") {\n  - (0010,4000)\n}'
        ' elseif (ismatch[(0008,0060), "MR"]) { echo }\nelse { x := {"1", 2.5} }\n'
    ),
    (
        'version "6.1"\n(0019,{MAKER ONE}10)[%]/(0008,0100) ?= "A"\n'
        '*/(50X@,0010) := format["{0}", x]\nremoveAllPrivateTags\n'
    ),
    'version "6.1"\n(0010,0010) = "A" ? - (0010,0020) : echo "no"\n',
    'version "6.1"\n(0010,0010) := \n',
    'version "6.1"\n(0010,0010) := "A" "B"\n',
    'version "6.1"\n(0019,1010) := "A"\n',
    'version "6.1"\nif ((0010,0010) ~ "X"\n',
    'version "6.1"\n"open\n',
)


def test_saved_tables_are_of_this_grammar_and_read_scripts_as_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Path(parser.TABLES).read_bytes().startswith(parser.tables_header()), "run python -m scripts.script_tables"
    built = parser.build_parser()
    parser.load_parser.cache_clear()
    monkeypatch.setattr(parser, "build_parser", lambda: pytest.fail("the tables were not loaded"))
    saved = parser.load_parser()
    assert _describe(saved) == _describe(built)
    outcomes = [(_read(saved, text), _read(built, text)) for text in SCRIPTS]
    assert all(by_saved == by_built for by_saved, by_built in outcomes)
    assert sum("expected" in by_saved for by_saved, _ in outcomes) == 5  # those that can't be read, as all by all


def test_tables_of_another_lark_or_grammar_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "grammar.tables"
    other.write_bytes(b"0.0.1 " + parser.tables_header().split()[1] + b"\nnothing that can be loaded")
    monkeypatch.setattr(parser, "TABLES", str(other))
    parser.load_parser.cache_clear()
    try:
        assert parser.parse_script(SCRIPTS[0]).version == "6.6"
    finally:
        parser.load_parser.cache_clear()


def _describe(made: Lark) -> dict[str, tuple[str, frozenset[str]]]:
    return {terminal.name: (terminal.pattern.value, frozenset(terminal.pattern.flags)) for terminal in made.terminals}


def _read(made: Lark, text: str) -> dict[str, object]:
    try:
        tree = made.parse(text)
    except UnexpectedInput as error:
        expected = getattr(error, "accepts", None) or getattr(error, "allowed", None)
        return {"error": type(error), "at": error.pos_in_stream, "expected": expected}
    places = [(t.data, t.meta.start_pos, t.meta.end_pos) for t in tree.iter_subtrees() if not t.meta.empty]
    return {"tree": tree.pretty(), "places": places}
