"""The table of sessions at any width, and the line of each in a pipe."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from scandock.cli.sessions_table import fold_text, pick_sessions, session_line, sessions_table, sessions_totals
from tests.unit.cli.reports import session

LONG = "MR_002_" + "abcdefghij" * 5 + "_000000"


def rendered(sessions, width, **options):
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system=None, markup=False)
    console.print(sessions_table(sessions, width, **options))
    return stream.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_rows_keep_to_the_width_and_long_labels_fold_without_loss(width):
    text = rendered([session(LONG, project="P" * 64, subject="S" * 64)], width)
    assert max(len(line) for line in text.splitlines()) <= width
    letters = "".join(text.split())
    assert sum(letters.count(char) for char in "abcdefghij") >= 50
    assert letters.count("P") >= 64


@pytest.mark.parametrize("width", [60, 80, 140])
def test_every_width_says_who_where_and_how_much(width):
    text = rendered([session("MR_001"), session("MR_002", "conflict", code="session_exists")], width)
    for word in ("BRAIN", "DOE_JOHN", "MR_001", "MR_002", "archive", "held", "20 MB", "100"):
        assert word in text


def test_a_narrow_table_breaks_before_the_session_rather_than_within():
    text = rendered([session("98890234_20010101"), session("A")], 60)
    assert "BRAIN/DOE_JOHN/ " in text
    assert "98890234_20010101 " in text
    assert "BRAIN/DOE_JOHN/A " in text


def test_only_the_wide_table_has_a_note():
    sessions = [session("MR_002", "conflict", code="session_exists", warnings=[{"code": "x", "message": "y"}])]
    assert "session_exists, 1 warning" in rendered(sessions, 140)
    assert "session_exists" not in rendered(sessions, 60)


def test_labels_stay_whole_before_the_note_does():
    sessions = [
        session("DEV021_SR", "conflict", subject="Last_Name_First_Name", code="sop_clash"),
        session("study_ed7d0896", "conflict", subject="study_ed7d0896", code="subject_many_patients"),
    ]
    for width in (85, 100, 120):
        text = rendered(sessions, width)
        assert "Last_Name_First_Name" in text
        assert text.count("study_ed7d0896") == 2


def test_names_fold_where_they_have_a_joint():
    assert fold_text("Last_Name_First_Name", 12) == "Last_Name_\nFirst_Name"
    assert fold_text("abcdefghijkl", 8) == "abcdefgh\nijkl"
    assert fold_text("short", 20) == "short"


def test_a_refused_session_is_known_by_its_study():
    lost = session("X", "refused", project=None, subject=None) | {"label": None, "study_uid": "1.2.840.99.1"}
    assert "1.2.840.99.1" in rendered([lost], 100)
    assert "1.2.840.99.1" in rendered([lost, session("A" * 60)], 80)
    assert session_line(lost).startswith("refused: study 1.2.840.99.1, ")


def test_names_reach_the_terminal_as_they_are_and_without_effect():
    text = rendered([session("[red]a[/red]", subject="\x1b[31mDOE")], 100)
    assert "[red]a[/red]" in text
    assert "\x1b" not in text
    assert r"\x1b[31mDOE" in text


def test_a_refused_session_without_a_home_has_its_row():
    text = rendered([session("X", "refused", project=None, subject=None)], 100)
    assert "refused" in text


def test_what_is_planned_is_said_to_be():
    assert "Would be" in rendered([session()], 80, planned=True)


def test_of_many_sessions_those_that_need_a_person_are_shown_first_choice():
    sessions = [session(f"MR_{n:03d}", "conflict" if n % 100 == 99 else "archive") for n in range(300)]
    shown = [one["label"] for one in pick_sessions(sessions, 5)]
    assert shown == ["MR_000", "MR_001", "MR_099", "MR_199", "MR_299"]
    assert pick_sessions(sessions[:3], 5) == sessions[:3]


def test_a_line_in_a_pipe_is_one_line_with_everything():
    line = session_line(session("MR\n2", "conflict", code="sop_clash", path="prearchive/BRAIN/20240101_000000000/MR_2"))
    assert line.startswith(r"held: BRAIN/DOE_JOHN/MR\x0a2, 1 scan, 100 files, 20 MB, prearchive/BRAIN/")
    assert line.endswith("(sop_clash)")
    assert "\n" not in line


def test_totals():
    assert (
        sessions_totals([session(), session("B"), session("C", "refused")]) == "3 sessions, 2 scans, 200 files, 40 MB"
    )
