"""Archives one after another: what goes to stdout and stderr, the receipt, and the exit code."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import signal
import sys

import pytest

from scandock.cli.command_run import CommandRun, worst_code
from scandock.cli.receipt_file import ReceiptFile
from scandock.cli.summary import SummaryContext
from scandock.model.errors import BadInput, Fault, Usage
from tests.unit.cli.reports import FakeResult, report, session


def engine(**outcomes):
    """An engine that gives each archive (by its name without suffix) a result, or raises its error."""

    def run(archive, on_progress, cancelled, number):
        outcome = outcomes[archive.removesuffix(".zip")]
        if isinstance(outcome, Exception):
            raise outcome
        if callable(outcome):
            outcome = outcome(cancelled)
        return FakeResult(outcome | {"archive": archive})

    return run


def placed(**changes):
    return report(session(), entries={"stored": 100}, **changes)


def test_json_is_one_object_a_line_in_order_and_nothing_else_on_stdout(capsys):
    code = CommandRun(
        engine(a=placed(), b=report(state="refused", message="No image.")), SummaryContext("d"), as_json=True
    ).run(["a.zip", "b.zip"])
    out, err = capsys.readouterr()
    objects = [json.loads(line) for line in out.splitlines()]
    assert [(one["archive"], one["state"]) for one in objects] == [("a.zip", "placed"), ("b.zip", "refused")]
    assert code == 4
    assert [line.partition(" ")[0] for line in err.splitlines()] == ["[1/2]", "[2/2]"]


def test_json_of_one_archive_leaves_stderr_alone(capsys):
    assert CommandRun(engine(a=placed()), SummaryContext("d"), as_json=True).run(["a.zip"]) == 0
    assert capsys.readouterr().err == ""


class Full(io.StringIO):
    """A stdout on a disk that is full."""

    def write(self, _):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_stdout_that_takes_no_more_is_said_and_ends_nothing(capsys, monkeypatch, as_json):
    run = CommandRun(engine(a=placed(), b=placed()), SummaryContext("d"), as_json=as_json)
    monkeypatch.setattr("sys.stdout", Full())
    assert run.run(["a.zip", "b.zip"]) == 1
    said = "Error: The output could not be written: no space left on device. The import itself is done."
    assert [line for line in capsys.readouterr().err.splitlines() if line[0] != "["] == [said] * (2 if as_json else 1)
    assert len(run.reports) == 2


def test_json_is_ascii_whatever_names_hold(capsys):
    CommandRun(engine(a=report(session("x\x1b\u202e\udcff\x9b"))), SummaryContext("d"), as_json=True).run(["a.zip"])
    out = capsys.readouterr().out
    assert out.isascii()
    assert "\x1b" not in out
    assert json.loads(out)["sessions"][0]["label"] == "x\x1b\u202e\udcff\x9b"


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["placed", "placed"], 0),
        (["placed", "held"], 3),
        (["partly", "refused", "placed"], 4),
        (["refused", "failed", "held"], 1),
        (["cancelled", "failed"], 130),
    ],
)
def test_the_exit_code_is_the_worst(capsys, states, code):
    outcomes = {f"n{n}": report(state=state, message="m") for n, state in enumerate(states)}
    assert (
        CommandRun(engine(**outcomes), SummaryContext("d"), as_json=True).run([f"{name}.zip" for name in outcomes])
        == code
    )


def test_worst_of_nothing_is_nothing():
    assert worst_code([]) == 0


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (Fault("disk_full", "The disk is full.", "Make room."), "failed", 1),
        (BadInput("encrypted", "It is encrypted."), "refused", 4),
    ],
)
def test_an_error_of_the_engine_is_an_object_too_and_the_next_archive_goes_on(capsys, error, state, code):
    assert CommandRun(engine(a=error, b=placed()), SummaryContext("d"), as_json=True).run(["a.zip", "b.zip"]) == code
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["state"], first["code"]) == (state, error.code)
    assert first["message"] == str(error)
    assert first.keys() == second.keys()
    assert second["state"] == "placed"


def test_an_error_that_nobody_foresaw_is_a_sentence_and_a_file(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert CommandRun(engine(a=ZeroDivisionError("by\x1bzero")), SummaryContext("d")).run(["a.zip"]) == 1
    out, err = capsys.readouterr()
    (written,) = tmp_path.iterdir()
    assert "Traceback" in written.read_text()
    assert written.stat().st_mode & 0o077 == 0
    assert str(written) in out
    assert "Traceback" not in out + err
    assert "\x1b" not in out + err


def test_debug_shows_the_traceback_instead(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("SCANDOCK_DEBUG", "1")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert CommandRun(engine(a=ZeroDivisionError("x")), SummaryContext("d")).run(["a.zip"]) == 1
    assert "Traceback" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_wrong_request_stops_everything(capsys):
    with pytest.raises(Usage):
        CommandRun(engine(a=Usage("project_unknown", "No."), b=placed()), SummaryContext("d"), as_json=True).run(
            ["a.zip", "b.zip"]
        )
    assert capsys.readouterr().out == ""


def test_the_receipt_holds_all_archives(tmp_path, capsys):
    target = tmp_path / "receipt.jsonl"
    target.write_text("what was there before\n" * 100)
    file = ReceiptFile(str(target), "jsonl")
    CommandRun(engine(a=placed(), b=report(state="refused", message="m")), SummaryContext("d"), receipt=file).run(
        ["a.zip", "b.zip"]
    )
    file.close()
    assert target.read_text() == '{"path": "first"}\n{"path": "second"}\n' * 2


def test_a_csv_receipt_has_one_heading(tmp_path, capsys):
    target = tmp_path / "receipt.csv"
    file = ReceiptFile(str(target), "csv")
    CommandRun(engine(a=placed(), b=placed()), SummaryContext("d"), receipt=file).run(["a.zip", "b.zip"])
    file.close()
    assert target.read_text().splitlines() == [
        "archive,path",
        "a.zip,first",
        "a.zip,second",
        "b.zip,first",
        "b.zip,second",
    ]


@pytest.mark.parametrize("outcome", [Usage("project_unknown", "No."), Fault("disk_full", "Full.")])
@pytest.mark.parametrize("before", [None, "kept"])
def test_an_import_that_failed_leaves_the_receipt_file_as_it_was(tmp_path, capsys, outcome, before):
    target = tmp_path / "receipt.jsonl"
    if before:
        target.write_text(before)
    file = ReceiptFile(str(target), "jsonl")
    with contextlib.suppress(Usage):
        CommandRun(engine(a=outcome), SummaryContext("d"), receipt=file).run(["a.zip"])
    file.close()
    assert (target.read_text() if target.exists() else None) == before


@pytest.mark.parametrize("before", [None, "kept"])
def test_a_cancelled_import_leaves_no_receipt_and_says_none(tmp_path, capsys, before):
    target = tmp_path / "receipt.jsonl"
    if before is not None:
        target.write_text(before)
    file = ReceiptFile(str(target), "jsonl")
    told = report(state="cancelled", code="cancelled", message="The import was cancelled.")
    CommandRun(engine(a=told), SummaryContext("d", receipt=str(target)), receipt=file).run(["a.zip"])
    file.close()
    assert (target.read_text() if target.exists() else None) == before
    assert "Receipt:" not in capsys.readouterr().out


def test_a_receipt_is_named_where_it_was_written_alone(tmp_path, capsys):
    for outcome, named in ((placed(), True), (Fault("disk_full", "Full."), False)):
        file = ReceiptFile(str(tmp_path / "receipt.jsonl"), "jsonl")
        CommandRun(engine(a=outcome), SummaryContext("d", receipt="receipt.jsonl"), receipt=file).run(["a.zip"])
        file.close()
        assert ("Receipt:" in capsys.readouterr().out) == named


def test_a_receipt_that_cannot_be_written_is_said_before_anything_is_done(tmp_path):
    with pytest.raises(Usage) as caught:
        ReceiptFile(str(tmp_path / "no" / "such" / "folder.jsonl"), "jsonl")
    assert caught.value.code == "receipt_not_writable"
    assert "no such file or directory" in caught.value.message


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_disk_that_fills_under_the_receipt_is_a_fault_and_the_import_stands(capsys):
    file = ReceiptFile("/dev/full", "jsonl")
    assert CommandRun(engine(a=placed()), SummaryContext("d"), as_json=True, receipt=file).run(["a.zip"]) == 1
    file.close()
    out, err = capsys.readouterr()
    assert json.loads(out)["state"] == "placed"
    assert "no space left" in err


def test_ctrl_c_cancels_this_archive_and_begins_no_other(capsys):
    def interrupted(cancelled):
        os.kill(os.getpid(), signal.SIGINT)
        assert cancelled.wait(30)
        return report(state="cancelled", code="cancelled", message="Nothing was stored.")

    before = signal.getsignal(signal.SIGINT), signal.pthread_sigmask(signal.SIG_BLOCK, [])
    code = CommandRun(engine(a=interrupted, b=placed()), SummaryContext("d"), as_json=True).run(["a.zip", "b.zip"])
    assert code == 130
    states = [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()]
    assert states == ["cancelled", "cancelled"]
    assert before == (signal.getsignal(signal.SIGINT), signal.pthread_sigmask(signal.SIG_BLOCK, []))


def test_ctrl_c_too_late_tells_the_truth(capsys):
    def too_late(cancelled):
        os.kill(os.getpid(), signal.SIGINT)
        assert cancelled.wait(30)
        return placed()

    assert CommandRun(engine(a=too_late), SummaryContext("d"), as_json=True).run(["a.zip"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "placed"


def test_a_reader_that_leaves_does_not_stop_the_import(monkeypatch):
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    with os.fdopen(writing_end, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        assert (
            CommandRun(engine(a=placed(), b=placed()), SummaryContext("d"), as_json=True).run(["a.zip", "b.zip"]) == 0
        )
