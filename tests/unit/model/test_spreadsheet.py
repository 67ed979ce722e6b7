"""No cell of a table runs as a formula, and numbers stay numbers."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

import scandock
from scandock.model.spreadsheet import TableWriter, escape_cell


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(A1)",
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        "\tplain",
        "  =1+1",
        '"=1+1',
        ' "  =1+1',
        "\u00a0=1+1",
        "\ufeff=1+1",
        "\uff1d1+1",
        "\uff0b1+1",
        "\uff0d1+1",
        "\uff20SUM(A1)",
        "-",
        "-1.5x",
        "--1",
    ],
)
def test_what_begins_like_a_formula_becomes_text(text):
    cell = escape_cell(text)
    assert cell.startswith("'")
    assert cell.replace("'", "") == text.replace("'", "")
    assert escape_cell(escape_cell(text)) == escape_cell(text)


@pytest.mark.parametrize("text", ["a;=1+1", 'a; "=1+1', "a\t=1+1", "a\n=1+1", "a\r\n@b", "a;b;+c"])
def test_what_is_cut_into_cells_by_another_sign_runs_nowhere(text):
    """A spreadsheet that takes semicolons, tabs or line breaks for ends of cells finds no formula behind one."""
    once = escape_cell(text)
    assert all(not cell.lstrip(' "').startswith(("=", "+", "@")) for cell in once.replace("\t", ";").split(";"))
    assert once.replace("'", "") == text
    assert escape_cell(once) == once


@pytest.mark.parametrize(
    "value",
    [
        "-1.5", "+3", "-1e-05", "12", "", "plain", "a-b=c", "a;b", "x,-1", "'=1", "2026-11-24", "Ann; Bob",
        -1.5, 3, None, True,
    ],
)  # fmt: skip
def test_numbers_and_plain_texts_stay(value):
    assert (type(escape_cell(value)), escape_cell(value)) == (type(value), value)


def test_rows_for_people_are_guarded_and_those_for_programs_are_exact():
    people, programs = io.StringIO(newline=""), io.StringIO(newline="")
    rows: list[list[object]] = [["label", "=n"], ["=1", -1.5]]
    TableWriter(people).write_rows(rows)
    TableWriter(programs, line_end="\n", exact=True).write_rows(rows)
    assert people.getvalue() == "label,'=n\r\n'=1,-1.5\r\n"
    assert programs.getvalue() == "label,=n\n=1,-1.5\n"
    assert list(csv.reader(io.StringIO(people.getvalue())))[1] == ["'=1", "-1.5"]


def test_nothing_else_writes_csv():
    source = Path(scandock.__file__).parent
    writers = [
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        if "csv.writer" in (text := path.read_text("utf-8")) or "csv.DictWriter" in text
    ]
    assert writers == ["model/spreadsheet.py"]
