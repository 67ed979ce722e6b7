"""pyxnat's own tests, of a checkout of pyxnat/pyxnat outside the project, by the pyxnat of PyPI against our address.

They read two servers of theirs: here both are one served Scandock, with things of the same names and kinds. Where they
name a thing by the id that it has there, a copy of the tests (which goes with the run) has the id that it has here.
What came of each is in docs/xnat-suites.md: this test fails where that is not so, and writes it with --record-clients.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest

from scandock.access import accounts
from scandock.testing.worker import InProcessWorker
from tests.builders import images, uploader_layout, zip_entries
from tests.clients.conftest import ENVIRONMENTS
from tests.integration.web import PASSWORD, Web, serve_by_socket
from tests.xnat_suite.out import OUT_OF_PYXNAT
from tests.xnat_suite.outcomes import PAGE, PYXNAT, Row, rows_of, with_rows

pytestmark = pytest.mark.whole_clients
VARIABLE = "PYXNAT_TESTS"
OWN = "own_tests"
"""What the copy of the tests is called: those of the PyPI package may be older ones."""
THEIRS = "https://www.nitrc.org/ir"
PIXELS = {0x00180050: (b"DS", b"5"), 0x00280030: (b"DS", b"0.9375\\0.9375")}


@pytest.fixture
def checkout() -> Path:
    named = os.environ.get(VARIABLE, "")
    folder = Path(named) / "pyxnat" / "tests"
    if not named or not folder.is_dir():
        pytest.skip(f"no checkout of pyxnat/pyxnat is named by {VARIABLE}")
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Web]:
    data = tmp_path / "data"
    with serve_by_socket(data) as running, InProcessWorker(data, upkeep=False):
        with running.site.catalog.write() as connection:
            admin = accounts.get(connection, "admin")
            accounts.set_profile(connection, admin, display="Admin Admin", email="fake@fake.fake")
        yield running


def test_pyxnats_own(checkout: Path, site: Web, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with site.client() as client:
        ids = Seeding(client).seed()
    folder = copied(checkout, tmp_path / OWN, {THEIRS: site.base, "pyxnat.tests": OWN, **ids})
    outcomes = run(folder, site.base, tmp_path, checkout.parent.parent / "bin")
    page = PAGE.read_text()
    rows = [
        Row(name, passes, "" if passes else OUT_OF_PYXNAT.get(name, "")) for name, passes in sorted(outcomes.items())
    ]
    if request.config.getoption("--record-clients", default=False):
        PAGE.write_text(with_rows(page, PYXNAT, rows))
    assert rows == rows_of(page, PYXNAT)
    assert [row.name for row in rows if not row.passes and not row.reason] == []


class Seeding:
    """Fills the server with what pyxnat's tests look for."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def put(self, address: str, **params: str) -> str:
        answer = self.client.put(f"/data/{address}", params=params)
        assert answer.status_code in (200, 201), answer.text
        return answer.text

    def project(self, name: str, /, accessibility: str = "private", **params: str) -> None:
        self.put(f"projects/{name}", **params)
        assert self.client.put(f"/api/v1/projects/{name}/members/admin", json={"role": "owner"}).status_code == 200
        self.put(f"projects/{name}/accessibility/{accessibility}")

    def session(self, dest: str, study: int, scan: str = "1", **params: str) -> str:
        """Import an MR session of one scan; gives its id."""
        objects = images(2, study=study, series=study, series_number=scan.encode(), also=PIXELS)
        query = {"dest": dest, **params}
        answer = self.client.post(
            "/data/services/import", params=query, content=zip_entries(uploader_layout("S", scan, objects))
        )
        assert answer.status_code == 200, answer.text
        found = self.client.get(answer.text.strip(), params={"format": "xml"})
        return ET.fromstring(found.content).get("ID") or ""

    def seed(self) -> dict[str, str]:
        """Fill the server; gives the id that each thing has here by the id that it has on the servers of the tests."""
        self.project("pyxnat_tests", name="pyxnat tests", alias="pyxnat", description="pyxnat CI tests")
        for name in ("pyxnat_tests2", "OASIS3", "nosetests5", "nosetests6"):
            self.project(name)
        self.project("ABIDE", "protected")
        for name in ("ixi", "cs_schizbull08"):
            self.project(name, "public")
        ids = {}
        for n in range(584):
            self.put(f"projects/ixi/subjects/IXI{n:03}")
        self.session("/archive/projects/ixi/subjects/IXI000/experiments/IXI000_MR", 1)
        for n, (subject, experiment) in enumerate(
            (("xnat_S02636", "xnat_E02685"), ("xnat_S02582", "xnat_E02579"), ("xnat_S02583", "xnat_E02581")), start=2
        ):
            label = f"SUB{n}"
            ids[subject] = self.put(f"projects/cs_schizbull08/subjects/{label}")
            dest = f"/archive/projects/cs_schizbull08/subjects/{label}/experiments/{label}_MR"
            ids[experiment] = self.session(dest, n)
            self.put(f"experiments/{ids[experiment]}/scans/1", type="anat")
        for n, label in enumerate(("BBRCDEV_E03106", "BBRCDEV_E03094", "BBRCDEV_E03099"), start=10):
            subject = f"00{n - 9}"
            number = self.put(f"projects/pyxnat_tests/subjects/{subject}")
            ids[label] = self.session(
                f"/archive/projects/pyxnat_tests/subjects/{subject}/experiments/{subject}_obscured", n, "11"
            )
            if n == 10:
                ids["BBRCDEV_S02627"] = number
                self.put(f"experiments/{ids[label]}/resources/obscure_algorithm_output")
        dest = "/prearchive/projects/pyxnat_tests/20240122_173812916/sub-001_ses-01"
        self.client.post(
            "/data/services/import",
            params={"dest": dest},
            content=zip_entries(uploader_layout("W", "1", images(2, study=30, series=30))),
        )
        return ids


def copied(tests: Path, folder: Path, changes: dict[str, str]) -> Path:
    """A copy of the tests for this run, with other words for those that name what stands on their servers."""
    shutil.copytree(tests, folder)
    for path in folder.glob("*.py"):
        text = path.read_text()
        for theirs, ours in changes.items():
            text = text.replace(theirs, ours)
        path.write_text(text)
    return folder


def run(folder: Path, base: str, home: Path, more: Path) -> dict[str, bool]:
    """Run the tests by the client's Python; gives whether each passes, by its file and name."""
    for name in (".devxnat.cfg", ".central.cfg", ".xnat.cfg"):
        (home / name).write_text(json.dumps({"server": base, "user": "admin", "password": PASSWORD}))
    report = home / "report.xml"
    words: list[str | Path] = ["-m", "pytest", "-c", os.devnull, "--rootdir", home, "-p", "no:cacheprovider", "-q"]
    words += ["--import-mode=importlib"]
    environment = {
        "HOME": str(home), "PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1", "LANG": "C.UTF-8",
        "PYTHONPATH": f"{home}:{more}",
    }  # fmt: skip
    words += ["--tb=line", "-o", "python_files=*_test.py test_*.py", f"--junitxml={report}", folder]
    words = [ENVIRONMENTS / "pyxnat" / "bin" / "python", *words]
    done = subprocess.run(words, env=environment, cwd=home, capture_output=True, timeout=900)
    assert report.is_file(), (done.stdout + done.stderr).decode()
    (home / "report.txt").write_bytes(done.stdout + done.stderr)
    cases = ET.parse(report).getroot().iter("testcase")
    return {
        f"{one.get('classname', '').removeprefix(f'{OWN}.').partition('.')[0]}::{one.get('name')}": not any(
            one.find(what) is not None for what in ("failure", "error", "skipped")
        )
        for one in cases
    }
