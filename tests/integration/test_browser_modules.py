"""The modules of the upload page under node: their own tests, each told here, and the preview against `inspect`.

Every archive of the corpus is looked into as the page does before an upload; studies, scans, labels and counts have to
be those that `inspect` tells of the same archive.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scandock.access.principal import SYSTEM
from scandock.services.import_outcomes import list_outcomes
from tests.builders import make_data_folder
from tests.integration.in_process import call_in_process
from tests.integration.test_cli_import import packed
from tests.integration.test_import_outcomes import context_of, uploads
from tests.integration.test_inspect_as_import import SCRIPTS, named_studies

pytestmark = pytest.mark.processes

NODE = Path(__file__).resolve().parent.parent / "node"
FILES = sorted(NODE.glob("*.test.mjs"))
NAMES = [name for file in FILES for name in re.findall(r'^test\("(.+?)",', file.read_text(), re.MULTILINE)]


def node(*args: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("node")
    assert program, "no node: scripts/system-packages.sh installs it"
    return subprocess.run(
        [program, "--no-warnings", *args], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, Any]]:
    """What `node --test` tells of each test, by its name."""
    done = node("--test", f"--test-reporter={NODE / 'lines.mjs'}", *FILES)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["name"]: one for one in found}


def test_modules(told: dict[str, dict[str, Any]], subtests: pytest.Subtests) -> None:
    for name in NAMES:
        with subtests.test(name):
            assert name in told, "node did not run it"
            assert told[name]["passed"], told[name]["error"]


def test_every_test_of_node_is_told(told: dict[str, dict[str, Any]]) -> None:
    whole = {name for name in told if not name.endswith(".mjs")}
    assert whole == set(NAMES)


def look(paths: list[Path], **more: Any) -> list[dict[str, Any]]:
    """What the page's preview finds in each."""
    done = node(NODE / "look.mjs", json.dumps({"paths": [str(path) for path in paths], **more}))
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def shown(preview: dict[str, Any]) -> tuple[Any, ...]:
    studies = [(s["study_uid"] or "", s["project"], s["subject"], s["label"], s["scans"]) for s in preview["studies"]]
    return sorted(studies), preview["counts"]


def wanted(report: dict[str, Any]) -> tuple[Any, ...]:
    sessions = [
        (s["study_uid"] or "", s["project"], s["subject"], s["label"], len(s["scans"])) for s in report["sessions"]
    ]
    of = report["entries"]
    counts = {
        "images": of["stored"] + of["duplicate"] + of["conflict"],
        "resources": of["resource"],
        "ignored": of["ignored"],
        "junk": of["junk"],
        "unparseable": of["unparseable"],
        "unsure": 0,
    }
    return sorted(sessions), counts


def test_a_preview_names_subjects_of_all_scripts_as_an_inspection_does(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", named_studies(*SCRIPTS))
    done = call_in_process("inspect", archive, "--json", SCANDOCK_WORKERS="1")
    [preview] = look([archive])
    assert shown(preview) == wanted(json.loads(done.stdout))
    assert sorted(one["subject"] for one in preview["studies"]) == sorted(SCRIPTS.values())


def test_a_preview_says_what_an_inspection_says(corpus_archives: Path) -> None:
    paths = sorted(path for path in corpus_archives.iterdir() if path.suffix in {".zip", ".gz"})
    assert len(paths) > 80
    done = call_in_process("inspect", *paths, "--json", SCANDOCK_WORKERS="1")
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    differ = []
    for path, preview, report in zip(paths, look(paths), reports, strict=True):
        assert (preview["partial"], preview["damaged"]) == (False, []), path.name
        if report["state"] == "refused":  # its entries are all told as refused: the preview says what they are
            assert (report["code"], preview["counts"]["images"], preview["studies"]) == ("no_images", 0, [])
        elif shown(preview) != wanted(report):
            differ.append((path.name, shown(preview), wanted(report)))
    assert differ == []


def test_a_row_looks_the_same_by_what_the_server_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus: Path, database_url: str
) -> None:
    """Patients, dates, descriptions, scans, images, as after a reload: DICOM of all scripts, of many frames, ECAT."""
    site = make_data_folder(tmp_path, monkeypatch, database_url)
    frames = corpus / "ImagingDataCommons__highdicom"
    archives = [
        packed(tmp_path / "names.zip", named_studies(*SCRIPTS)),
        packed(tmp_path / "frames.zip", {path.name: path.read_bytes() for path in frames.rglob("*.dcm")}),
        packed(tmp_path / "ecat.zip", {"tinypet.v": next(corpus.rglob("tinypet.v")).read_bytes()}),
    ]
    for archive in archives:
        site.bring(archive)
    with context_of(site) as context:
        outcomes = [list_outcomes(context.catalog, SYSTEM, uuid).items for uuid in uploads(context)]
    told = {path.name: [one.to_json() for one in some] for path, some in zip(archives, outcomes, strict=True)}
    for preview in look(archives, outcomes=told):
        assert preview["studies"], preview["archive"]
        by_server = dict(preview["outcomes"])
        assert by_server == {one["study_uid"]: one["words"] for one in preview["studies"]}, preview["archive"]
