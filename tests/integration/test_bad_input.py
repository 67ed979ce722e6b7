"""Every row of the table of bad input, over the command line: the outcome, and what must never happen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scandock.model.verdicts import EXIT_CODES, ImportState
from tests.badinput import CASES
from tests.badinput.case import Case, Expect, Made, good_pairs
from tests.badinput.zips import plain
from tests.integration.bounds import Outcome, Site, assert_plain, controls, image_files, run_import, scandock
from tests.integration.report_shape import assert_shape, assert_stored

TABLE = Path("..", "shared", "reference", "bad-input.md")
SECTIONS = sorted({case.section for case in CASES})
WATCHED = re.compile(r"bomb|many_|2GB|fffffffe|100000|10000_deep|65535|1TiB|size_override|size_lies")
"""Rows whose memory is measured."""
STAGED = 1_300_000_000
"""No row unpacks more to disk: beyond the billion of the ratio's floor there is only what was read ahead."""
ESCAPES = (Path("/scandock-escape"), Path("/scandock-escape.dcm"), Path("/tmp/scandock-escape.dcm"))


class Sites:
    """One DATA for the rows of a section, each row with a project of its own; a new one after a failure."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self.factory = factory
        self.open: dict[str, Site] = {}

    def of(self, section: str) -> Site:
        if section not in self.open:
            self.open[section] = Site(self.factory.mktemp("badinput"))
        return self.open[section]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Sites:
    return Sites(tmp_path_factory)


def _runs() -> Iterator[Any]:
    for case in CASES:
        for number, expect in enumerate(case.runs):
            name = case.id if not expect.args else f"{case.id}{' '.join(('', *expect.args))}"
            yield pytest.param(case, number, id=name)


@pytest.mark.parametrize(("case", "number"), list(_runs()))
def test_row(case: Case, number: int, sites: Sites) -> None:
    site, expect, made = sites.of(case.section), case.runs[number], case.build()
    project = re.sub(r"[^A-Za-z0-9]+", "_", f"{case.id}_{number}")[-64:]
    archive = site.root / "archives" / f"{project}-{case.name}"
    archive.write_bytes(made.archive)
    around = site.around()
    try:
        outcome = run_import(
            site, archive, project, *expect.args, seconds=expect.seconds, watched=bool(WATCHED.search(case.name))
        )
        assert_expected(outcome, expect, made)
        assert_shape(outcome)
        assert_stored(outcome, site.data, project)
        assert_plain(site.data)
        assert site.around() == around
        assert not [path for path in ESCAPES if path.exists()]
        assert outcome.seconds < expect.seconds
        assert outcome.memory < expect.megabytes << 20
        assert outcome.staged < STAGED
    except BaseException:
        sites.open.pop(case.section)
        raise


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


@pytest.mark.parametrize("name", INSPECTED)
def test_inspection_sees_the_same_and_stores_nothing(name: str, tmp_path: Path) -> None:
    site, case = Site(tmp_path / "site"), next(case for case in CASES if case.name == name)
    archive = site.root / "archives" / case.name
    archive.write_bytes(case.build().archive)
    around = site.around()
    code, out, err, *_ = scandock(site, "inspect", str(archive), "--json", seconds=30)
    assert site.around() == around
    assert not site.data.exists()
    report, expect = json.loads(out), case.runs[0]
    assert (report["state"], code) == (expect.state, EXIT_CODES[ImportState(expect.state)]), err
    if expect.state != "refused":
        assert {key: count for key, count in report["entries"].items() if count} == dict(expect.counts)
        assert sorted(image_files(session) for session in report["sessions"]) == sorted(expect.sessions)


def test_a_name_cannot_write_on_the_terminal(tmp_path: Path) -> None:
    """A cursor movement, a colour and a forged line in the name of an unparseable entry, printed for people."""
    site = Site(tmp_path / "site")
    archive = site.root / "archives" / "a.zip"
    archive.write_bytes(
        plain(*good_pairs("terminal"), (b"\x1b[2J\x1b[31mred\nImport complete: all stored\r.dcm", b"no"))
    )
    for args in ((), ("--no-ignore-unparsable",)):
        code, out, err, *_ = scandock(
            site,
            *("import", str(archive), "--data", str(site.data), "--project", "P", "--create-project"),
            *args,
            seconds=30,
        )
        assert code == (4 if args else 0)
        assert not controls(out + err)
        assert not [line for line in (out + err).splitlines() if line.startswith("Import complete")]


@pytest.mark.parametrize("section", SECTIONS)
def test_after_the_rows_of_a_section_good_input_works_and_check_is_clean(section: str, sites: Sites) -> None:
    site = sites.of(section)
    archive = site.root / "archives" / "good.zip"
    archive.write_bytes(plain(*good_pairs("good afterwards")))
    outcome = run_import(site, archive, "AFTERWARDS", seconds=30)
    assert (outcome.report["state"], outcome.report["entries"]["stored"]) == ("placed", 3)
    assert_stored(outcome, site.data, "AFTERWARDS")
    code, out, err, *_ = scandock(site, "check", "--data", str(site.data), seconds=60)
    assert code == 0, out + err


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
