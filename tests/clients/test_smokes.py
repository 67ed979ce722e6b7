"""More of XNAT's clients from PyPI, unmodified: each does what it is there for once, against one served Scandock.

Their environments are made as those of the tours are. What takes them longer runs by `make clients` alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scandock.access import accounts
from scandock.access.passwords import hash_password
from scandock.testing.worker import InProcessWorker
from tests.builders import images
from tests.clients.conftest import ENVIRONMENTS
from tests.clients.material import prepare, sent_files
from tests.integration.web import Web, serve_by_socket

PASSWORD = "admin"
"""xnat4tests knows no other."""


@pytest.fixture(scope="module")
def site(sessions: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A server at a port of the loopback, with all that tours begin with; no two clients change the same project."""
    data = tmp_path_factory.mktemp("smokes") / "served"
    shutil.copytree(sessions, data)
    with serve_by_socket(data) as running, InProcessWorker(data, upkeep=False):
        with running.client() as client:
            prepare(client)
        with running.site.catalog.write() as connection:
            accounts.set_password(connection, accounts.get(connection, "admin"), hash_password(PASSWORD))
        yield running


def md5s(entries: list[bytes]) -> list[str]:
    return sorted(hashlib.md5(one).hexdigest() for one in entries)


def test_yaxil_finds_and_downloads(site, tour, tmp_path):
    seen = tour("yaxil", "run_yaxil.py", site.base, PASSWORD, tmp_path / "into")
    assert (seen["login"], seen["wrong"]) == (True, False)
    assert seen["subjects"] == ["Ann", "Bob", "Cid"]
    assert seen["experiments"] == [["S1", "Ann", "SEARCHED"], ["S2", "Ann", "SEARCHED"], ["S3", "Bob", "SEARCHED"]]
    assert seen["exists"] == [True, True]
    assert seen["ranges"] == [["S1", "S2", "S3"], []]
    assert (seen["scans"], seen["mrscans"]) == (["4"], ["4"])
    assert seen["files"] == md5s(list(images(2, study=1, series=1, series_number=b"4")))


def test_xnatctl_uploads_lists_and_downloads(site, sent, tmp_path):
    def call(*words: str | Path) -> str:
        environment = {
            "HOME": str(tmp_path), "PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1", "LANG": "C.UTF-8",
            "XNAT_URL": site.base, "XNAT_USER": "admin", "XNAT_PASS": PASSWORD,
        }  # fmt: skip
        program = ENVIRONMENTS / "xnatctl" / "bin" / "xnatctl"
        done = subprocess.run(
            [program, *words], env=environment, capture_output=True, text=True, cwd=tmp_path, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    named = ("-P", "TOUR", "-S", "CTL", "-E", "CTL_MR1")
    call("session", "upload", sent / "session.zip", *named)
    assert [one["label"] for one in json.loads(call("session", "list", "-P", "TOUR", "-o", "json"))] == ["CTL_MR1"]
    call("session", "download", "-E", "CTL_MR1", "-P", "TOUR", "--out", "got", "--extract")
    got = [one.read_bytes() for one in (tmp_path / "got").rglob("*.dcm")]
    assert len(got) == 8
    assert md5s(got) == sorted(one["digest"] for one in _files(site, "TOUR", "CTL_MR1"))


def _files(site: Web, project: str, session: str) -> list[dict[str, str]]:
    with httpx.Client(base_url=site.base, auth=("admin", PASSWORD), timeout=30, trust_env=False) as client:
        told = client.get(f"/data/projects/{project}/experiments/{session}/scans/ALL/files").raise_for_status()
        found: list[dict[str, str]] = told.json()["ResultSet"]["Result"]
        return found


def test_xnat4tests_adds_its_data(site, tour):
    """Three series of three PatientIDs in one session, which its `dest` names by hand."""
    seen = tour("xnat4tests", "run_xnat4tests.py", site.base, "dummydicom")
    scans = seen["dummydicomproject/dummydicomsubject/dummydicomsession"]
    assert sorted(scan["DICOM"] for scan in scans.values()) == [2, 3, 4]


@pytest.mark.whole_clients
def test_xnat4tests_adds_folders_too(site, tour):
    seen = tour("xnat4tests", "run_xnat4tests.py", site.base, "simple-dir")
    for n in ("1", "2"):
        assert seen[f"SIMPLE_DIR/subject0{n}/subject0{n}_1"] == {"a-directory": {"DIRECTORY": 3}}


def test_xnat_ingest_groups_names_and_uploads(site, tour, sent, tmp_path):
    (tmp_path / "work").mkdir()
    series = sent / "data" / "Ann-001" / "visit" / "epi"
    uploaded = tour("xnat-ingest", "run_xnat_ingest.py", site.base, PASSWORD, series, tmp_path / "work")
    assert len(uploaded) == 5
    files = _files(site, "MADE", "001")
    assert sorted(one["digest"] for one in files) == md5s(
        [data for name, data in sent_files().items() if name.startswith("data/")]
    )
