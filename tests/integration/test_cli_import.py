"""Imports by the command line as a person and a script run them: real archives, and real processes and terminals.

What a process of its own would show no better runs within the test's own.
"""

from __future__ import annotations

import contextlib
import csv
import gc
import json
import os
import pty
import re
import sqlite3
import struct
import subprocess
import sys
import time
import zipfile
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import pytest
from pydicom import examples

from tests.badinput.objects import Image
from tests.builders import uploader_layout, zip_entries
from tests.integration.in_process import call_in_process

SCANDOCK = Path(sys.executable).with_name("scandock")
MR = Path(str(examples.get_path("mr")))
CT = Path(str(examples.get_path("ct")))


def environment(**changes):
    bare = {name: value for name, value in os.environ.items() if not name.startswith("SCANDOCK_")}
    return {name: value for name, value in bare.items() if name not in {"COLUMNS", "NO_COLOR"}} | changes


def call(*args, **changes):
    return subprocess.run(
        [SCANDOCK, *args], env=environment(**changes), capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def mr(tmp_path):
    return packed(tmp_path / "mr.zip", {"a/1.dcm": MR.read_bytes(), "a/readme.txt": b"hello"})


@pytest.fixture
def ct(tmp_path):
    return packed(tmp_path / "ct.zip", {"b/1.dcm": CT.read_bytes(), "b/.DS_Store": b"\0"})


def packed(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


@pytest.mark.processes
def test_two_archives_as_json_with_one_receipt(tmp_path, mr, ct):
    data, receipt = tmp_path / "data", tmp_path / "receipt.jsonl"
    done = call("import", mr, ct, "--data", data, "--project", "P", "--create-project", "--json", "--receipt", receipt)
    assert done.returncode == 0
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["archive"] for one in reports] == [str(mr), str(ct)]
    lines = [json.loads(line) for line in receipt.read_text().splitlines()]
    assert [line["archive"] for line in lines] == [str(mr)] * 2 + [str(ct)] * 2
    for line in lines:
        assert line.keys() >= {"archive", "path", "bytes", "sha256", "verdict", "code", "message", "stored_as"}
        assert line["stored_as"] is None or (data / line["stored_as"]).is_file()
    for report in reports:
        assert sum(report["entries"].values()) == 2
        assert (data / report["sessions"][0]["path"]).is_dir()
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["[1/2]", "[2/2]"]
    assert call_in_process("check", "--data", data).returncode == 0


def test_a_csv_receipt_has_one_heading_and_the_same_lines(tmp_path, mr, ct):
    receipt = tmp_path / "receipt.csv"
    call_in_process("import", mr, ct, "--data", tmp_path / "data", "--receipt", receipt, "--receipt-format", "csv")
    with receipt.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["archive"] for row in rows] == [str(mr)] * 2 + [str(ct)] * 2
    assert {row["verdict"] for row in rows} == {"stored", "resource", "junk"}


@pytest.mark.processes
def test_the_worst_archive_gives_the_exit_code_and_the_others_are_taken(tmp_path, mr):
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(mr.read_bytes()[:-200])
    done = call("import", damaged, mr, "--data", tmp_path / "data", "--project", "P", "--create-project", "--json")
    assert done.returncode == 4
    assert [json.loads(line)["state"] for line in done.stdout.splitlines()] == ["refused", "placed"]


def test_an_unknown_project_is_wrong_usage_with_both_ways_out(tmp_path, mr):
    receipt = tmp_path / "receipt.jsonl"
    receipt.write_text("before")
    done = call_in_process("import", mr, "--data", tmp_path / "data", "--project", "P", "--json", "--receipt", receipt)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "--create-project" in done.stderr
    assert "admin project add" in done.stderr
    assert receipt.read_text() == "before"


@pytest.mark.processes
def test_a_pipe_gets_plain_lines_and_stderr_nothing(tmp_path, mr):
    done = call("import", mr, "--data", tmp_path / "data", "--project", "P", "--create-project")
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert re.search(r"^archive: P/\w+/\w+, 1 scan, ", done.stdout, re.MULTILINE)
    assert "files: 1 stored, 1 resource\n" in done.stdout


def test_a_misspelt_variable_is_said_on_stderr_once(tmp_path, mr):
    data = tmp_path / "data"
    done = call_in_process(
        "import", mr, "--data", data, "--project", "P", "--create-project", SCANDOCK_TIMZONE="Europe/Berlin"
    )
    assert done.returncode == 0
    assert done.stderr == ("Warning: SCANDOCK_TIMZONE is set, but no setting has that name; SCANDOCK_TIMEZONE has.\n")


def test_an_inspection_tells_the_same_and_stores_nothing(tmp_path, mr, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    done = call_in_process("inspect", mr, "--json", "--receipt", "receipt.jsonl", TMPDIR=str(tmp_path))
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["entries"]["stored"] == 1
    assert [len(one["scans"]) for one in report["sessions"]] == [1]
    receipt = tmp_path / "receipt.jsonl"
    assert len(receipt.read_text().splitlines()) == 2
    receipt.unlink()
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("more", [{}, {"a/2.txt": b"more"}])
def test_a_session_that_is_joined_keeps_its_subject_and_shows_it(tmp_path, mr, more):
    data = tmp_path / "data"
    asked = ("--data", data, "--project", "P", "--create-project", "--destination", "prearchive")
    assert call_in_process("import", mr, *asked, "--subject", "S1").returncode == 0
    again = packed(tmp_path / "again.zip", {"a/1.dcm": MR.read_bytes(), **more})
    done = call_in_process("import", again, *asked, "--subject", "S2", "--json")
    (told,) = json.loads(done.stdout)["sessions"]
    assert (done.returncode, told["code"], told["subject"]) == (3, "subject_differs", "S1")
    with contextlib.closing(sqlite3.connect(data / "scandock.db")) as catalog:
        assert catalog.execute("SELECT subject FROM session").fetchall() == [("S1",)]


def test_a_csv_receipt_holds_no_formula_and_json_lines_are_exact(tmp_path):
    names = ["=cmd|'/c calc'!A1", "+1.txt", "-1.txt", "@SUM(A1)", "\tx.txt", "plain.txt"]
    archive = packed(tmp_path / "mr.zip", {"1.dcm": MR.read_bytes(), **dict.fromkeys(names, b"x")})
    written = {}
    for form in ("csv", "jsonl"):
        receipt = tmp_path / f"receipt.{form}"
        assert call_in_process("inspect", archive, "--receipt", receipt, "--receipt-format", form).returncode == 0
        written[form] = receipt.read_text(encoding="utf-8")
    rows = list(csv.DictReader(written["csv"].splitlines()))
    assert [row["path"] for row in rows] == ["1.dcm", *(f"'{name}" for name in names[:-1]), "plain.txt"]
    assert [json.loads(line)["path"] for line in written["jsonl"].splitlines()] == ["1.dcm", *names]


def test_projects_and_rules_are_made_listed_and_used(tmp_path, mr):
    data, rules = tmp_path / "data", tmp_path / "rules.txt"
    rules.write_text("# the first word of the name\n(0010,0010):(\\w+)\\^.* t:Samples r:_S\n")
    add = ("admin", "project", "add", "P", "--data", data)
    assert call_in_process(*add, "--prearchive-code", "0", "--name", "A trial").returncode == 0
    again = call_in_process(*add)
    assert (again.returncode, "P" in again.stderr) == (2, True)
    assert call_in_process("admin", "rules", "set", "session", rules, "--data", data).returncode == 0
    assert "(0010,0010)" in call_in_process("admin", "rules", "show", "session", "--data", data).stdout
    listed = json.loads(call_in_process("admin", "project", "list", "--data", data, "--json").stdout)
    assert [(one["id"], one["name"], one["prearchive_code"], one["petmr"]) for one in listed] == [
        ("P", "A trial", 0, "default")
    ]
    change = ("admin", "project", "set", "p", "--data", data, "--petmr")
    assert call_in_process(*change, "separate").stdout == "Project P has petmr separate.\n"
    assert "petmr separate" in call_in_process("admin", "project", "list", "--data", data).stdout
    assert call_in_process(*change, "both").returncode == 2
    missing = call_in_process("admin", "project", "set", "Q", "--data", data, "--petmr", "pet")
    assert (missing.returncode, "Q" in missing.stderr) == (2, True)
    report = json.loads(call_in_process("import", mr, "--data", data, "--project", "P", "--json").stdout)
    (session,) = report["sessions"]
    assert (session["label"], session["state"]) == ("Compressed_S", "prearchive")
    assert "Compressed_S" in call_in_process("admin", "rules", "test", "session", MR, "--data", data).stdout


def test_a_rule_that_cannot_be_read_is_named_by_its_line_and_changes_nothing(tmp_path):
    data, rules = tmp_path / "data", tmp_path / "rules.txt"
    rules.write_text("(0010,0010):(.*)\n")
    call_in_process("admin", "rules", "set", "subject", rules, "--data", data)
    rules.write_text("\n(0010,0010:(.*)\n")
    done = call_in_process("admin", "rules", "set", "subject", rules, "--data", data)
    assert done.returncode == 2
    assert "Line 2" in done.stderr
    assert call_in_process("admin", "rules", "show", "subject", "--data", data).stdout == "(0010,0010):(.*)\n"


class Terminal:
    """A command on a terminal of its own; `text` is what it has shown."""

    def __init__(self, *args, width=80):
        self.pid, self.leader = pty.fork()
        if self.pid == 0:
            os.execvpe(str(SCANDOCK), ["scandock", *map(str, args)], environment(TERM="xterm-256color"))
        ioctl(self.leader, TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
        self.text = ""

    def read_until(self, word, seconds=60.0):
        """Read on until `word` was shown, or to the end; True where it was."""
        end = time.monotonic() + seconds
        while word not in self.text and time.monotonic() < end:
            try:
                part = os.read(self.leader, 65536)
            except OSError:  # EIO: the command has ended
                return word in self.text
            self.text += part.decode()
        return word in self.text

    def ctrl_c(self):
        os.write(self.leader, b"\x03")

    def end(self):
        """The exit code, when all is read."""
        self.read_until("\0never\0")
        os.close(self.leader)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    @property
    def bare(self):
        return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", self.text).replace("\r\n", "\n")


@pytest.mark.processes
@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_person_sees_progress_and_a_table(tmp_path, mr, width):
    terminal = Terminal("import", mr, "--data", tmp_path / "data", "--project", "P", "--create-project", width=width)
    assert terminal.end() == 0
    live, _, end = terminal.text.rpartition("\x1b[?25h")
    assert re.search(r"(opening|reading|deciding|placing|syncing) .*mr\.zip", live)
    for word in ("4MR1", "archive", "1 stored", "1 resource", "scandock check"):
        assert word in end


@pytest.mark.processes
def test_ctrl_c_on_a_terminal_cancels_says_so_and_leaves_nothing(tmp_path):
    header = MR.read_bytes()
    uid = b"1.3.6.1.4.1.5962.1.1.4.1.1.20040826185059.5457"
    assert uid in header
    objects = {f"{n}.dcm": header.replace(uid, uid[:-5] + f"{n:05d}".encode()) for n in range(3000)}
    archive, data = packed(tmp_path / "big.zip", objects), tmp_path / "data"
    terminal = Terminal("import", archive, "--data", data, "--project", "P", "--create-project")
    assert terminal.read_until("entries")
    terminal.ctrl_c()
    assert terminal.end() == 130
    assert "cancelled" in terminal.bare
    assert "Traceback" not in terminal.text
    assert [
        path for area in ("archive", "prearchive", "work") for path in (data / area).rglob("*") if path.is_file()
    ] == []
    assert call_in_process("check", "--data", data).returncode == 0
    assert call_in_process("import", archive, "--data", data, "--project", "P").returncode == 0


def test_imports_that_follow_each_other_in_a_process_leave_nothing_open(tmp_path):
    def descriptors():
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    archive = tmp_path / "a.zip"
    archive.write_bytes(zip_entries(uploader_layout("A", "1", [Image(number=1, case="A").file()])))
    counts = []
    for _ in range(4):
        call_in_process("import", archive, "--data", tmp_path / "data", "--project", "P", "--create-project")
        counts.append(descriptors())
    assert counts[-1] == counts[1]


@pytest.mark.parametrize("name", ["what?", "a%20b", "50%", "a#b&c=d", "-x y"])
def test_a_data_folder_may_have_any_name(tmp_path, mr, name):
    """Its catalog lies in it, and nothing beside it."""
    (tmp_path / "site").mkdir()
    data, backup, back = (tmp_path / "site" / f"{name}{suffix}" for suffix in ("", ".backup", ".back"))
    for _ in range(2):
        done = call_in_process(
            "import", mr, f"--data={data}", "--project", "P", "--create-project", "--overwrite=append"
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert call_in_process("check", f"--data={data}").returncode == 0
    assert call_in_process("inspect", mr, f"--data={data}").returncode == 0
    assert call_in_process("backup", f"--data={data}", f"--to={backup}").returncode == 0
    restored = call_in_process("restore", backup, f"--data={back}")
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert sorted(path.name for path in (tmp_path / "site").iterdir()) == sorted(p.name for p in (data, backup, back))
