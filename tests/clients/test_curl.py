"""The recipes of XNAT's documentation, and the Desktop Client's requests, by curl (xnat-clients.md 5 and 6)."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scandock.testing.worker import InProcessWorker
from tests.builders import images, uploader_layout, zip_entries
from tests.crash.processes import until
from tests.integration.web import PASSWORD, Web, serve_by_socket

SERIES = [images(2, series=n, series_number=str(n).encode()) for n in (1, 2, 3)]
"""Three series of one study."""
Curl = Callable[..., str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A server with a worker; each test has a project of its own."""
    with serve_by_socket(tmp_path_factory.mktemp("curl") / "data") as running, InProcessWorker(running.site.data):
        yield running


@pytest.fixture
def project(served: Web, request: pytest.FixtureRequest) -> str:
    """A project of the test's own."""
    name = f"T{zlib.crc32(request.node.name.encode()):08x}"
    with served.client() as client:
        assert client.post("/api/v1/projects", json={"id": name}).status_code == 201
    return name


@pytest.fixture
def curl(run_program: Callable[..., str], served: Web) -> Curl:
    """Run curl as the administrator; gives what it printed. Without `-f`: errors are answers too."""

    def call(path: str, *words: str, user: str = f"admin:{PASSWORD}") -> str:
        who = ("-u", user) if user else ()
        return run_program("curl", "--silent", "--show-error", "--noproxy", "*", *who, *words, f"{served.base}{path}")

    return call


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "exam.zip"
    path.write_bytes(zip_entries(uploader_layout("S", "1", SERIES[0])))
    return path


def test_a_form_with_commit_is_prearchived(curl, project, archive):
    query = f"?import-handler=DICOM-zip&project={project}&session=S1&action=commit"
    told = curl(f"/data/services/import{query}", "-F", f"image_archive=@{archive}")
    assert re.fullmatch(rf"/data/prearchive/projects/{project}/\d{{8}}_\d{{9}}/S1\r\n", told)


def test_a_body_is_archived_appended_and_refused(curl, project, archive, tmp_path):
    dest = f"/archive/projects/{project}/subjects/Ann/experiments/Ann_MR1"
    words = ("-H", "Content-Type: application/zip", "--data-binary", f"@{archive}")
    query = "?inbody=true&import-handler=DICOM-zip&dest=" + dest
    there = f"/data{dest}\r\n"
    assert curl(f"/data/services/import{query}", *words) == there
    assert curl(f"/REST/services/import{query}&overwrite=append", *words) == there
    told = curl(f"/data/services/import{query}&overwrite=none", "-w", "%{http_code}", *words)
    assert told.startswith("Session already exists, retry with overwrite enabled")
    assert told.endswith("409")
    curl(f"/data{dest}/scans/ALL/files?format=zip", "-o", str(tmp_path / "back.zip"))
    with zipfile.ZipFile(tmp_path / "back.zip") as back:
        assert {back.read(name) for name in back.namelist()} == set(SERIES[0])


@pytest.mark.parametrize("of", ["", "/subjects/Ann"], ids=["project", "subject"])
def test_files_of_a_project_and_a_subject_are_sent_fetched_and_deleted(curl, project, tmp_path, of):
    where = f"/data/archive/projects/{project}{of}"
    if of:
        curl(where, "-X", "PUT")
    (tmp_path / "plan.txt").write_bytes(b"plan")
    (tmp_path / "both.zip").write_bytes(zip_entries({"a.txt": b"a", "sub/b.txt": b"b"}))
    assert curl(f"{where}/resources/DOCS?format=TXT", "-X", "PUT").isdigit()
    assert curl(f"{where}/resources/DOCS/files/plan.txt", "-X", "PUT", "-F", f"file=@{tmp_path}/plan.txt") == ""
    assert curl(f"{where}/resources/DOCS/files/x.zip?extract=true", "-T", str(tmp_path / "both.zip")) == ""
    assert curl(f"{where}/resources/DOCS/files/plan.txt") == "plan"
    listed = curl(f"/REST/projects/{project}{of}/files?format=csv").splitlines()
    assert listed[0].startswith("Name,Size,URI,collection")
    assert sorted(line.split(",")[0] for line in listed[1:]) == ["a.txt", "b.txt", "plan.txt"]
    assert "<cat:entry " in curl(f"{where}/resources/DOCS?format=xml")
    curl(f"{where}/resources/DOCS/files?format=zip", "-o", str(tmp_path / "back.zip"))
    with zipfile.ZipFile(tmp_path / "back.zip") as back:
        assert sorted(name.partition("/files/")[2] for name in back.namelist()) == ["a.txt", "plan.txt", "sub/b.txt"]
    fresh = f"/data/services/refresh/catalog?resource={where.removeprefix('/data')}/resources/DOCS"
    assert curl(fresh, "-X", "POST", "-w", "%{http_code}") == "200"
    assert curl(f"{where}/resources/DOCS?removeFiles=true", "-X", "DELETE", "-w", "%{http_code}") == "200"
    assert json.loads(curl(f"{where}/resources"))["ResultSet"]["Result"] == []


def test_the_cache_a_listener_and_event_tracking(curl, project, archive):
    where = "/user/cache/resources/up1/files/exam.zip"
    curl(f"/data{where}?inbody=true", "-T", str(archive))
    fields = ("-d", f"src={where}", "-d", f"project={project}", "-d", "session=S1", "-d", "http-session-listener=key1")
    assert curl("/data/services/import", *fields) == "Submitted for prearchival"

    def tracked() -> dict[str, object]:
        found: dict[str, object] = json.loads(curl("/xapi/event_tracking/key1"))
        return found

    until(lambda: tracked()["succeeded"] is not None, "the import did not end")
    found = tracked()
    assert found["succeeded"] is True
    assert re.fullmatch(rf"Prearchive:/prearchive/projects/{project}/\d{{8}}_\d{{9}}/S1", str(found["finalMessage"]))
    assert isinstance(json.loads(str(found["payload"]))["entryList"], list)


def test_the_prearchive_is_listed_archived_and_emptied(curl, project, archive):
    for label in ("S1", "S2"):
        curl(f"/data/services/import?project={project}&session={label}", "--data-binary", f"@{archive}")
    rows = json.loads(curl(f"/data/prearchive/projects/{project}?format=json"))["ResultSet"]["Result"]
    assert [(one["name"], one["status"]) for one in rows] == [("S1", "READY"), ("S2", "READY")]
    told = curl("/data/services/archive", "-X", "POST", "-d", f"src={rows[0]['url']}")
    assert told == f"/data/archive/projects/{project}/subjects/DOE_JANE/experiments/S1\r\n"
    curl("/data/services/prearchive/delete", "-d", f"src={rows[1]['url']}", "-d", "async=false")
    assert json.loads(curl(f"/data/prearchive/projects/{project}"))["ResultSet"]["Result"] == []


def test_the_desktop_client_sends_series_by_series_and_commits(curl, project, tmp_path):
    """With its cookie alone, chunked, one zip a series: one address, and 301 without Location once it is archived."""
    jar = str(tmp_path / "cookies")
    curl("/data/auth", "-c", jar)
    assert {"JSESSIONID", "SESSION_EXPIRATION_TIME"} <= set(Path(jar).read_text().split())
    assert curl(f"/data/projects/{project}/prearchive_code", "-b", jar, user="") == "4"
    body = (
        "-H",
        "Content-Type: application/json",
        "-d",
        '{"auth": {"username": "admin", "password": "correct horse"}}',
    )
    made = curl(f"/data/projects/{project}/subjects/Ann?XNAT_CSRF=false", "-b", jar, "-X", "PUT", *body, user="")
    assert re.fullmatch(r"XNAT_S\d{5}", made.strip())
    query = (
        f"?import-handler=DICOM-zip&PROJECT_ID={project}&SUBJECT_ID=Ann&EXPT_LABEL=Ann_MR1&overwrite=none&rename=true"
        "&prevent_anon=true&prevent_auto_commit=true&SOURCE=uploader&autoArchive=AutoArchive&XNAT_CSRF=false"
    )
    told = set()
    for n, series in enumerate(SERIES):
        part = tmp_path / f"{n}.zip"
        part.write_bytes(zip_entries({f"{n}-{k}.dcm": one for k, one in enumerate(series)}))
        words = ("-b", jar, "-H", "Content-Type: application/zip", "-H", "Transfer-Encoding: chunked")
        told.add(curl(f"/data/services/import{query}", *words, "--data-binary", f"@{part}", user=""))
    (uri,) = told
    answer = curl(f"{uri.strip()}?action=commit&SOURCE=uploader", "-b", jar, "-i", "-X", "POST", "-d", "{}", user="")
    head, _, text = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 301")
    assert "location:" not in head.lower()
    assert f"/data/archive/projects/{project}/subjects/Ann/experiments/Ann_MR1" in text
    listed = json.loads(curl(f"/data/projects/{project}/experiments/Ann_MR1/scans/ALL/files"))["ResultSet"]["Result"]
    sent = {hashlib.md5(one).hexdigest() for series in SERIES for one in series}
    assert {one["digest"] for one in listed} == sent


@pytest.mark.parametrize(
    ("words", "query", "status", "text"),
    [
        ((), "", "400", "Unable to identify upload format."),
        (("-F", "a=@{0}", "-F", "b=@{0}"), "", "400", "Importer is limited to one uploaded resource at a time."),
        (("--data-binary", "@{0}"), "&import-handler=None", "404", "Unknown importer implementation specified: None"),
        (("--data-binary", "@{0}"), "&dest=/nowhere", "400", "Parameter dest format error"),
        (("-d", "src=/nowhere"), "", "400", "src uri is invalid."),
        (("-d", "src=/user/cache/resources/x/files/y"), "", "404", "Unknown src file."),
    ],
)
def test_errors_have_the_originals_words(curl, project, archive, words, query, status, text):
    words = [one.format(archive) for one in words]
    told = curl(f"/data/services/import?project={project}{query}", "-X", "POST", "-w", "%{http_code}", *words)
    assert told.startswith(text)
    assert told.endswith(status)


def test_what_was_downloaded_is_an_upload_again(curl, project, archive, tmp_path):
    """What comes back is a session that can be sent again."""
    to = f"/data/services/import?dest=/archive/projects/{project}&session=S1"
    words = ("-H", "Content-Type: application/zip", "-w", "%{http_code}")
    told = curl(to, *words, "--data-binary", f"@{archive}")
    assert told.endswith("\r\n200")
    whole = tmp_path / "whole.zip"
    curl(f"/data/projects/{project}/experiments/S1/scans/ALL/files?format=zip", "-o", str(whole))
    assert curl(f"{to}&overwrite=append", *words, "--data-binary", f"@{whole}") == told
