"""Every row of the table of bad input, over the command line: the outcome, and what must never happen.

Most rows run within the test's own process, with threads as readers. A row is a process of its own where its memory is
measured, and where PROCESSES names it and says why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, groupby
from pathlib import Path
from typing import Any

import pytest

from scandock.model.verdicts import EXIT_CODES, ImportState
from tests.badinput import CASES
from tests.badinput.case import Case, Expect, Made, good_pairs
from tests.badinput.zips import plain
from tests.integration.bounds import (
    BoundedFolder,
    Outcome,
    assert_plain,
    control_characters,
    image_files,
    import_by_process,
    import_in_process,
    run_within,
    scandock,
)
from tests.integration.report_shape import assert_shape, assert_stored

pytestmark = pytest.mark.long

TABLE = Path("..", "shared", "reference", "bad-input.md")
WATCHED = re.compile(r"bomb|many_|2GB|fffffffe|100000|10000_deep|65535|1TiB|size_override|size_lies")
"""Rows whose memory is measured: a thread's can't be told from the test's, and one of them might kill its reader."""
FRESH = {
    "name_invalid_utf8_with_flag.zip": "a name that is no UTF-8, as the interpreter of a fresh process encodes it",
    "name_shift_jis.zip": "a name in an encoding that is not said",
}
"""Rows whose process is no fork of one that has imported Scandock."""
PROCESSES = {
    # what reaches the terminal: control characters of names, of patients, of paths
    "charset_bad.zip[ISO 2022 IR 87]": "an escape sequence in a header",
    "ecat_subject_control.zip": "control characters in a header",
    "path_newline_ansi_in_name.zip": "a line break and colors in a name",
    # names and paths
    **FRESH,
    "deep_path_2000_levels.zip": "nesting that recursion would not survive",
    "path_dotdot.zip": "a path that climbs out of the folder that the command was started in",
    "path_absolute.zip": "a path from the root",
    "path_symlink_then_write_through.zip": "a link to write through",
    "tar_symlink.tar.gz": "the same in a tar",
    "bundle_inner_traversal.zip": "a path that climbs out of an inner archive",
    # exit codes: 0 most rows, and
    "dcm_dup_sop_different_bytes.zip": "3, held",
    "bundle_one_inner_damaged.zip": "3, partly taken",
    "non_dicom_with_dcm_suffix.zip": "0, and 4 by an option",
    # a library of C that unpacks what is damaged, or might be
    "zip_method_deflate64.zip": "inflate64",
    "tar_xz.tar.xz": "liblzma",
    "zip_bad_deflate_stream.zip": "zlib",
    # sections that would have no process otherwise
    "zip_empty.zip": "empty",
    "zip_encrypted_aes_method99.zip": "encrypted",
    "tgz_trailing_garbage.tar.gz": "gzip",
    "zip_truncated_at_839.zip": "truncated",
    "zip_random_bytes.zip": "wrong type",
}
STAGED = 1_300_000_000
"""No row unpacks more to disk: beyond the billion of the ratio's floor there is only what was read ahead."""
ESCAPES = (Path("/scandock-escape"), Path("/scandock-escape.dcm"), Path("/tmp/scandock-escape.dcm"))


@dataclass(frozen=True)
class Row:
    """One run of a row of the table."""

    case: Case
    number: int

    @property
    def id(self) -> str:
        return " ".join((self.case.id, *self.expect.args))

    @property
    def expect(self) -> Expect:
        return self.case.runs[self.number]

    @property
    def is_watched(self) -> bool:
        return bool(WATCHED.search(self.case.name))

    @property
    def is_process(self) -> bool:
        return self.is_watched or self.case.id in PROCESSES

    @property
    def project(self) -> str:
        """A project of the row's own."""
        return re.sub(r"[^A-Za-z0-9]+", "_", f"{self.case.id}_{self.number}")[-64:]

    @property
    def cost(self) -> float:
        """About how many seconds it takes."""
        if "many_100000" in self.case.name:
            return 8.0
        return 0.6 if self.is_process else 0.2


ROWS = [Row(case, number) for case in CASES for number in range(len(case.runs))]
MOST_COST = 6.0
"""Seconds of a group of rows, about: a test each, so that several test processes share them."""


def _groups() -> Iterator[Any]:
    """Rows of one section, in groups."""
    for section, rows in groupby(ROWS, lambda row: row.case.section):
        group: list[Row] = []
        names = (f"{section} {number}" for number in count(1))
        for row in rows:
            if group and sum(other.cost for other in group) + row.cost > MOST_COST:
                yield pytest.param(group, id=next(names))
                group = []
            group.append(row)
        yield pytest.param(group, id=next(names))


@pytest.mark.parametrize("rows", list(_groups()))
def test_rows(rows: list[Row], tmp_path: Path, subtests: pytest.Subtests) -> None:
    """They share one DATA, a new one after a failure; afterwards good input works and `check` is clean."""
    numbers = count()
    site = BoundedFolder(tmp_path / str(next(numbers)))
    for row in rows:
        with subtests.test(row.id):
            try:
                assert_row(site, row)
            except BaseException:
                site = BoundedFolder(tmp_path / str(next(numbers)))
                raise
    archive = site.root / "archives" / "good.zip"
    archive.write_bytes(plain(*good_pairs("good afterwards")))
    outcome = import_in_process(site, archive, "AFTERWARDS")
    assert (outcome.report["state"], outcome.report["entries"]["stored"]) == ("placed", 3)
    assert_stored(outcome, site.data, "AFTERWARDS")
    done = run_within(site, "check", "--data", str(site.data))
    assert done.returncode == 0, done.stdout + done.stderr


def assert_row(site: BoundedFolder, row: Row) -> None:
    expect, made = row.expect, row.case.build()
    archive = site.root / "archives" / f"{row.project}-{row.case.name}"
    archive.write_bytes(made.archive)
    around = site.around()
    if row.is_process:
        outcome = import_by_process(site, archive, row.project, *expect.args, fresh=row.case.id in FRESH)
    else:
        outcome = import_in_process(site, archive, row.project, *expect.args)
    assert_expected(outcome, expect, made)
    assert_shape(outcome)
    assert_stored(outcome, site.data, row.project)
    assert_plain(site.data)
    assert site.around() == around
    assert not [path for path in ESCAPES if path.exists()]
    assert outcome.seconds < expect.seconds
    assert outcome.memory < expect.megabytes << 20
    assert outcome.staged < STAGED
    if row.is_watched:
        assert outcome.memory, "the memory was not measured"


def test_rows_that_are_processes_show_every_exit_code_and_every_section() -> None:
    processes = [row for row in ROWS if row.is_process]
    assert {row.case.id for row in processes} >= PROCESSES.keys()
    assert {row.expect.state for row in processes} == {row.expect.state for row in ROWS}
    assert {row.case.section for row in processes} == {row.case.section for row in ROWS}


def assert_expected(outcome: Outcome, expect: Expect, made: Made) -> None:
    """State, counts, sessions and names are those of the row."""
    report = outcome.report
    assert report["state"] == expect.state, (report["code"], report["message"])
    if expect.state != "refused":
        assert {key: count for key, count in report["entries"].items() if count} == dict(expect.counts)
        assert sorted(image_files(session) for session in report["sessions"]) == sorted(expect.sessions)
    kept = {line["sha256"] for line in outcome.lines if line["verdict"] in {"stored", "conflict"}}
    assert kept == (set() if expect.state == "refused" else set(made.keep))
    for words in expect.says:
        assert any(word.casefold() in _said(report) for word in words), (words, _said(report))
    for part, verdict, code in expect.named:
        found = [(line["verdict"], line["code"]) for line in outcome.lines if part in line["path"]]
        assert (verdict, code) in found, part
    if expect.lines is not None:
        assert len(outcome.lines) == expect.lines
    assert expect.paths <= {line["path"] for line in outcome.lines}
    _assert_sessions(report, expect)


def _assert_sessions(report: dict[str, Any], expect: Expect) -> None:
    sessions = report["sessions"]
    if expect.labels is not None:
        assert {session["label"] for session in sessions} == expect.labels
    if expect.subjects is not None:
        assert len({session["subject"].casefold() for session in sessions}) == expect.subjects
    if expect.scan_ids is not None:
        assert {scan["id"] for session in sessions for scan in session["scans"]} == expect.scan_ids
    if expect.state == "held":
        assert {session["state"] for session in sessions} == {"conflict"}
    if expect.session_code:
        assert {session["code"] for session in sessions} == {expect.session_code}
    if expect.warned:
        assert report["warnings"] or any(session["warnings"] for session in sessions)


def _said(report: dict[str, Any]) -> str:
    warnings = [*report["warnings"], *(warning for session in report["sessions"] for warning in session["warnings"])]
    parts = [report["code"], report["message"], *(f"{warning['code']} {warning['message']}" for warning in warnings)]
    return "\n".join(parts).casefold()


INSPECTED = (
    "dcm_dup_sop_different_bytes.zip",
    "dcm_truncated_in_header.zip",
    "bundle_one_inner_damaged.zip",
    "zip_wrong_crc_one.zip",
    "path_dotdot.zip",
    "tar_symlink.tar.gz",
    "zip_truncated_at_839.zip",
    "zip_html.zip",
)


def test_inspection_sees_the_same_and_stores_nothing(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """One of them as a process: a path that climbs out of the folder that the command was started in."""
    for name in INSPECTED:
        with subtests.test(name):
            site, case = BoundedFolder(tmp_path / name), next(case for case in CASES if case.name == name)
            archive = site.root / "archives" / case.name
            archive.write_bytes(case.build().archive)
            around = site.around()
            words = ("inspect", str(archive), "--json")
            if name == "path_dotdot.zip":
                code, out, err, *_ = scandock(site, *words)
            else:
                done = run_within(site, *words)
                code, out, err = done.returncode, done.stdout, done.stderr
            assert site.around() == around
            assert not site.data.exists()
            report, expect = json.loads(out), case.runs[0]
            assert (report["state"], code) == (expect.state, EXIT_CODES[ImportState(expect.state)]), err
            if expect.state != "refused":
                assert {key: count for key, count in report["entries"].items() if count} == dict(expect.counts)
                assert sorted(image_files(session) for session in report["sessions"]) == sorted(expect.sessions)


def test_a_name_cannot_write_on_the_terminal(tmp_path: Path) -> None:
    """A cursor movement, a colour and a forged line in the name of an unparseable entry, printed for people."""
    site = BoundedFolder(tmp_path / "site")
    archive = site.root / "archives" / "a.zip"
    archive.write_bytes(
        plain(*good_pairs("terminal"), (b"\x1b[2J\x1b[31mred\nImport complete: all stored\r.dcm", b"no"))
    )
    for args in ((), ("--no-ignore-unparsable",)):
        code, out, err, *_ = scandock(
            site,
            *("import", str(archive), "--data", str(site.data), "--project", "P", "--create-project"),
            *args,
            fresh=not args,
        )
        assert code == (4 if args else 0)
        assert not control_characters(out + err)
        assert not [line for line in (out + err).splitlines() if line.startswith("Import complete")]


def test_every_row_of_the_table_has_its_test(project_root: Path) -> None:
    table = project_root / TABLE
    if not table.is_file():
        pytest.skip(f"no table at {TABLE}")
    rows, section = [], ""
    for line in table.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ").strip()
        elif (match := re.match(r"\| (\S+) \| ", line)) and match[1] != "case":
            rows.append((section, match[1]))
    assert len(rows) == 216
    assert sorted(rows) == sorted((case.section, case.name) for case in CASES)
