"""Imports that de-identify and are killed, or lose readers or disk: nothing is half, nothing names the patient."""

from __future__ import annotations

import errno
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file

from scandock.model.crash_points import POINTS
from scandock.pipeline.staging import stage_parts
from scandock.testing.privacy import given_privacy
from tests.builders import DataFolder, Image, zip_entries
from tests.crash.case_share import choose_cases
from tests.crash.forked import ForkedCommand
from tests.crash.processes import SCANDOCK, check, environment, find_unsound
from tests.integration.scrub_commands import RULES

pytestmark = [pytest.mark.crash, pytest.mark.processes]
KILLED = -signal.SIGKILL
MANY = choose_cases((600,), (4_000,))[0]
MIDDLE = MANY // 2


def objects(count: int, study: int, first: int = 1) -> dict[str, bytes]:
    return {
        f"s{study}/{n:04}.dcm": Image(
            case="killed", study=study, number=n, patient_id=b"P%d" % study, patient_name=b"SALT^ANNA"
        ).file()
        for n in range(first, first + count)
    }


def run(data: Path, archive: Path, function: str = "main", **changes: str) -> tuple[int, dict[str, Any]]:
    """Import with rules, in a process of its own; its exit code and report ({} where it died)."""
    words = [str(SCANDOCK), "import", str(archive), "--data", str(data), "--project", "P", "--create-project", "--json"]
    command = ForkedCommand(
        f"tests.integration.scrub_commands:{function}",
        argv=words,
        env=environment(**{"SCANDOCK_WORKERS": "1", **changes}),
    )
    out, err = command.communicate(60)
    assert "Traceback" not in err, err
    return command.wait(), json.loads(out) if out.strip() else {}


def files(data: Path) -> dict[str, bytes]:
    return {
        path.relative_to(data).as_posix(): path.read_bytes()
        for area in ("archive", "prearchive")
        for path in (data / area).rglob("*")
        if path.is_file()
    }


def assert_unidentified(data: Path) -> None:
    """Nothing that stands names the patient; the work of a dead import has gone with it."""
    assert not list((data / "work").iterdir())
    assert not [path for path in data.rglob("*") if path.is_file() and b"SALT^ANNA" in path.read_bytes()]


class Scenario:
    """A session of which half is there; an archive that brings both halves and another study."""

    def __init__(self, folder: Path) -> None:
        self.archive = folder / "all.zip"
        self.archive.write_bytes(zip_entries({**objects(4, 1), **objects(3, 2)}))
        (folder / "half.zip").write_bytes(zip_entries(objects(2, 1)))
        self.base = folder / "base"
        assert run(self.base, folder / "half.zip")[0] == 0
        self.before = files(self.base)
        done = folder / "done"
        shutil.copytree(self.base, done)
        code, report = run(done, self.archive)
        assert (code, report["entries"]["stored"], report["entries"]["duplicate"]) == (0, 5, 2)
        self.after = files(done)
        assert_unidentified(done)


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return Scenario(tmp_path_factory.mktemp("scrub"))


@pytest.mark.parametrize(
    "point", choose_cases(["reserved", "scrubbed", "arranged", "sealed", "intent", "switched_one"], list(POINTS))
)
def test_a_kill_leaves_nothing_or_all(tmp_path: Path, scenario: Scenario, point: str) -> None:
    data = tmp_path / "data"
    shutil.copytree(scenario.base, data)
    code, _ = run(data, scenario.archive, SCANDOCK_CRASH_AT=point)
    assert code == KILLED
    assert check(data).code == 0
    assert files(data) == (scenario.before if POINTS.index(point) < POINTS.index("intent") else scenario.after)
    assert_unidentified(data)
    code, report = run(data, scenario.archive)
    assert (code, report["state"]) == (0, "placed")
    assert files(data) == scenario.after
    assert find_unsound(data) == []


@pytest.mark.parametrize("by", ["SIGKILL", "SIGSEGV"])
def test_a_reader_that_dies_once_is_replaced(tmp_path: Path, scenario: Scenario, by: str) -> None:
    data, once = tmp_path / "data", tmp_path / "once"
    shutil.copytree(scenario.base, data)
    variables = {"SCANDOCK_CRASH_SCRUBBED": "s2/0002.dcm", "SCANDOCK_CRASH_BY": by, "SCANDOCK_CRASH_ONCE": str(once)}
    code, report = run(data, scenario.archive, **variables)
    assert once.exists()
    assert (code, report["state"]) == (0, "placed")
    assert files(data) == scenario.after
    assert find_unsound(data) == []


@pytest.mark.parametrize(("function", "by"), [("main", "SIGKILL"), ("main", "SIGSEGV"), ("early", "SIGKILL")])
def test_what_a_dead_reader_has_written_and_not_told_goes(tmp_path: Path, function: str, by: str) -> None:
    """It tells of hundreds at once, so most that it has written by then is written again."""
    archive, once = tmp_path / "many.zip", tmp_path / "once"
    archive.write_bytes(zip_entries(objects(120, 1)))
    assert run(tmp_path / "undisturbed", archive, function)[0] == 0
    variables = {"SCANDOCK_CRASH_SCRUBBED": "s1/0110.dcm", "SCANDOCK_CRASH_BY": by, "SCANDOCK_CRASH_ONCE": str(once)}
    code, report = run(tmp_path / "data", archive, function, **variables)
    assert once.exists()
    assert (code, report.get("state"), report.get("entries", {}).get("stored")) == (0, "placed", 120)
    assert files(tmp_path / "data") == files(tmp_path / "undisturbed")
    assert find_unsound(tmp_path / "data") == []


def test_an_object_that_kills_two_readers_costs_its_session(tmp_path: Path, scenario: Scenario) -> None:
    data = tmp_path / "data"
    shutil.copytree(scenario.base, data)
    code, report = run(
        data, scenario.archive, SCANDOCK_CRASH_SCRUBBED="s2/0002.dcm", SCANDOCK_CRASH_BY="SIGSEGV"
    )  # fmt: skip
    assert (code, report["state"], report["code"]) == (3, "partly", "deid_failed")
    assert report["entries"]["refused"] == 3
    assert "killed the reader twice" in json.dumps(report)
    assert {path: data for path, data in scenario.after.items() if "/P1" in path} == files(data)
    assert_unidentified(data)


def test_readers_that_are_killed_again_and_again_are_a_fault(tmp_path: Path, scenario: Scenario) -> None:
    data = tmp_path / "data"
    shutil.copytree(scenario.base, data)
    code, report = run(data, scenario.archive, SCANDOCK_CRASH_SCRUBBED="s2/0002.dcm")
    assert (code, report["state"], report["code"]) == (1, "failed", "out_of_memory")
    assert files(data) == scenario.before
    assert check(data).code == 0
    assert_unidentified(data)


def test_compressed_pixels_are_decoded_for_a_reader(tmp_path: Path) -> None:
    """By a process that ends with it."""
    source = Path(str(get_testdata_file("MR_small_RLE.dcm")))
    archive = tmp_path / "rle.zip"
    archive.write_bytes(zip_entries({"1.dcm": source.read_bytes()}))
    code, report = run(tmp_path / "data", archive, "fill")
    assert (code, report["state"]) == (0, "placed"), report
    (path,) = (tmp_path / "data" / "archive").rglob("*.dcm")
    before, after = pydicom.dcmread(source), pydicom.dcmread(path)
    pixels = before.pixel_array.copy()
    pixels[:10, :10] = 7
    assert (after.pixel_array == pixels).all()


def test_a_disk_that_fills_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, count = DataFolder(root=tmp_path, scrubs=True), 0

    def fill(*args: Any) -> Any:
        nonlocal count
        count += 1
        if count == MIDDLE:
            raise OSError(errno.ENOSPC, "No space left on device")
        return stage_parts(*args)

    archive = objects(MANY, 1)
    with given_privacy(RULES):
        with monkeypatch.context() as patch:
            patch.setattr("scandock.workers.scrub_task.stage_parts", fill)
            outcome = site.bring(archive)
        assert (outcome.state, outcome.report["code"]) == ("failed", "disk_full")
        assert site.files() == {}
        assert_unidentified(site.data)
        assert site.bring(archive).counts == {"stored": MANY}


def test_a_script_that_fails_in_the_middle_of_many_stores_nothing_of_them(tmp_path: Path) -> None:
    site = DataFolder(root=tmp_path, scrubs=True)
    archive = {**objects(MANY, 1), **objects(20, 2)}
    target = Image(case="killed", study=1, number=MIDDLE).sop_uid.decode()
    fails = f'(0008,0018) = "{target}" ? (0008,0020) := shiftDateByIncrement[(0010,0010), 1]\n'
    rules = type(RULES)(key=RULES.key, scripts=(RULES.scripts[0].replace("(0010,0010)", fails + "(0010,0010)", 1),))
    with given_privacy(rules):
        outcome = site.bring(archive)
    assert (outcome.state, outcome.counts) == ("partly", {"stored": 20, "refused": MANY})
    assert outcome.codes()[f"s1/{MIDDLE:04}.dcm"] == "refused deid_failed"
    assert len(site.files()) == 20
    assert_unidentified(site.data)
