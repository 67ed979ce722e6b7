"""The end of a command: states, sums, what wants attention, where to look further."""

from __future__ import annotations

import io
import os

import pytest

from scandock.cli.summary import (
    ALIKE,
    NOTICES,
    SummaryContext,
    choose_notices,
    collect_notices,
    headline,
    print_summary,
)
from tests.unit.cli.reports import report, session


class Terminal(io.StringIO):
    """A terminal of a given width, as far as rich and the command line ask."""

    def isatty(self):
        return True


@pytest.fixture
def on_terminal(monkeypatch):
    def show(*reports, width=80, story=None, **environment):
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", str(width))
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        stream = Terminal()
        print_summary(list(reports), story or SummaryContext(data="data"), stream)
        return stream.getvalue()

    return show


def in_pipe(*reports, story=None):
    stream = io.StringIO()
    print_summary(list(reports), story or SummaryContext(data="data"), stream)
    return stream.getvalue()


def partly():
    return report(
        session("MR_001", warnings=[{"code": "dates_disagree", "message": "The objects give 2 study dates."}]),
        session("MR_002", "conflict", code="session_exists", message="It is archived.", remedy="Archive it by hand."),
        session("MR_003", "refused", project=None, code="patient_mismatch", message="Two patients."),
        state="partly",
        code="inner_damaged",
        message="The inner archive 'bad\x1b[31m.zip' is damaged.",
        entries={"stored": 1624, "junk": 2, "refused": 12},
    )


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_a_person_reads_everything_that_matters_at_any_width(on_terminal, width):
    text = on_terminal(partly(), width=width, NO_COLOR="1")
    words = " ".join(text.split())
    for word in (
        "partly placed",
        "1,624 stored",
        "2 junk",
        "12 refused",
        "MR_002",
        "It is archived. Archive it by hand.",
    ):
        assert word in words
    for code in ("[session_exists]", "[inner_damaged]", "[dates_disagree]"):
        assert code in words.replace(" ", "")
    assert "duplicate" not in text
    assert "scandock check --data data" in text
    assert "--receipt FILE" in words


def test_no_color_means_no_escape_at_all_and_names_bring_none(on_terminal):
    assert "\x1b" not in on_terminal(partly(), NO_COLOR="1").replace("\x1b[1m", "").replace("\x1b[2m", "").replace(
        "\x1b[0m", ""
    )
    assert "\x1b[31m.zip" not in on_terminal(partly())


def test_colour_is_there_without_no_color(on_terminal):
    assert "\x1b[" in on_terminal(partly())


def test_a_pipe_gets_plain_lines_that_are_not_cut():
    label = "L" * 64
    text = in_pipe(report(session(label), entries={"stored": 100}))
    assert f"archive: BRAIN/DOE_JOHN/{label}, 1 scan, 100 files, 20 MB" in text
    assert "files: 100 stored\n" in text
    assert text.isascii()
    assert "\x1b" not in text


def test_a_dumb_terminal_is_treated_as_a_pipe(on_terminal):
    assert on_terminal(partly(), TERM="dumb") == in_pipe(partly())


def test_many_sessions_are_cut_and_the_rest_is_said(on_terminal):
    sessions = [
        session(f"MR_{n:03d}", warnings=[{"code": "label_suffixed", "message": f"No {n}."}]) for n in range(300)
    ]
    text = on_terminal(report(*sessions))
    assert "and 260 more" in text
    assert "300 sessions, 300 scans, 30,000 files" in text
    assert f"{300 - ALIKE} label_suffixed" in text
    assert len(text.splitlines()) < 70
    assert in_pipe(report(*sessions)).count("archive: ") == 300


def test_the_most_pressing_comes_first_and_the_same_sentence_once():
    same = {"code": "patient_absent", "message": "Some bear no PatientID."}
    found = collect_notices([partly(), report(session("A", warnings=[same]), session("A", warnings=[same]))])
    assert [one.kind for one in found] == ["Partly", "Refused", "Held", "Warning", "Warning"]
    assert found[2].message == "It is archived. Archive it by hand."


def test_a_few_of_each_code_rather_than_many_of_one():
    sessions = [session(f"A{n}", "conflict", code="sop_clash", message=f"Clash {n}.") for n in range(30)]
    sessions.append(session("B", warnings=[{"code": "dates_disagree", "message": "Dates."}]))
    shown, hidden = choose_notices(collect_notices([report(*sessions, state="held", message="Wait.")]))
    assert len(shown) <= NOTICES
    assert [one.code for one in shown if one.code == "dates_disagree"]
    assert hidden == {"sop_clash": 30 - ALIKE}


def test_headlines_name_archive_state_and_reason():
    assert headline(report(session(), entries={"stored": 100}), SummaryContext("data")) == (
        "exam.zip placed: 1 session, 100 files stored, 333 MB in 3.2 s"
    )
    refused = report(state="refused", code="encrypted", message="The archive is encrypted.")
    assert headline(refused, SummaryContext("data")) == "exam.zip refused: The archive is encrypted."
    assert "would be placed" in headline(report(session()), SummaryContext(None))


def test_an_inspection_shows_no_folder_and_nothing_to_check():
    text = in_pipe(report(session(), entries={"stored": 100}), story=SummaryContext(data=None))
    assert "would be archive: BRAIN" in text
    assert "check" not in text
    assert "Data" not in text


def test_paths_and_commands_are_whole_and_quoted(on_terminal):
    text = on_terminal(report(session()), width=40, story=SummaryContext(data="my data/" + "x" * 60))
    assert f"scandock check --data 'my data/{'x' * 60}'" in text
    assert f"my data/{'x' * 60}/archive/BRAIN/MR_001" in text


def test_of_a_bucket_no_folders_are_named():
    text = in_pipe(report(session()), story=SummaryContext(data="data", store="s3://scans/a"))
    assert "Store: s3://scans/a\n" in text
    assert os.path.abspath("data/archive") not in text
    assert "scandock check --data data" in text


def test_a_receipt_that_was_written_is_named():
    text = in_pipe(partly(), story=SummaryContext(data="data", receipt="out.jsonl"))
    assert "out.jsonl" in text
    assert "--receipt FILE" not in text


def test_on_a_terminal_every_archive_that_was_not_taken_is_there_with_its_reason(on_terminal):
    refused = {"state": "refused", "code": "encrypted", "message": "It is encrypted."}
    reports = [report(session()), *(report(**refused, archive=f"/a/{n}.zip") for n in range(8))]
    reports.append(report(state="failed", code="disk_full", message="The disk is full.", archive="/a/full.zip"))
    words = " ".join(on_terminal(*reports, width=100, NO_COLOR="1").split())
    for n in range(8):
        assert f"Refused: {n}.zip: It is encrypted. [encrypted]" in words
    assert "Failed: full.zip: The disk is full. [disk_full]" in words
    assert in_pipe(*reports).count("It is encrypted.") == 8


def test_of_archives_that_were_not_begun_a_few_are_named_and_the_rest_counted(on_terminal):
    cancelled = {"state": "cancelled", "code": "cancelled", "message": "Not begun."}
    text = on_terminal(*(report(**cancelled, archive=f"{n}.zip") for n in range(30)), NO_COLOR="1")
    assert text.count("Not begun.") == ALIKE
    assert f"and {30 - ALIKE} more ({30 - ALIKE} cancelled)" in text


def test_what_is_held_is_told_once(on_terminal):
    held = session("MR_002", "conflict", code="sop_clash", message="They clash.", remedy="Decide.")
    other = session("MR_003", "conflict", code="sop_clash", message="These too.", remedy="Decide.")
    one = report(held, state="held", code="sop_clash", message="They clash. Decide.")
    two = report(held, other, state="held", code="sop_clash", message="2 sessions wait. They clash. Decide.")
    partly = report(held, state="partly", code="inner_refused", message="An inner archive is lost. They clash. Decide.")
    for told in (one, two, partly):
        for text in (in_pipe(told), " ".join(on_terminal(told, NO_COLOR="1").split())):
            assert text.count("They clash.") == 1
    assert "An inner archive is lost." in in_pipe(partly)


def test_a_reason_that_sessions_share_with_their_archive_is_told_once(on_terminal):
    lost = [session(None, "refused", code="damaged", message="It is damaged.") for _ in range(3)]
    told = report(*lost, state="refused", code="damaged", message="It is damaged.")
    assert in_pipe(told).count("It is damaged.") == 1
    assert on_terminal(told, NO_COLOR="1").count("It is damaged.") == 1


def test_the_folders_that_hold_the_sessions_are_named():
    def placed(*paths):
        text = in_pipe(report(*(session(f"L{n}", path=path) for n, path in enumerate(paths))))
        return [line for line in text.splitlines() if line.startswith("Session")]

    root = os.path.abspath("data")
    assert placed("archive/P/A") == [f"Session: {root}/archive/P/A"]
    assert placed("archive/P/A", "archive/P/B") == [f"Sessions: {root}/archive/P"]
    mixed = placed("archive/P/A", "prearchive/P/T1/B", "prearchive/P/T2/C")
    assert mixed == [f"Sessions: {root}/archive/P, {root}/prearchive/P"]
    assert placed(*(f"archive/P{n}/A" for n in range(9))) == []


def test_a_message_that_begins_with_the_archives_name_is_told_without(on_terminal):
    told = report(state="refused", code="not_an_archive", message="'a.zip' is no archive.", archive="/in/a.zip")
    assert in_pipe(told).startswith("/in/a.zip refused: It is no archive.\n")
    words = " ".join(on_terminal(told, report(session()), width=100, NO_COLOR="1").split())
    assert "Refused: a.zip: It is no archive. [not_an_archive]" in words
