"""STOW-RS by clients of other hands: both dicomweb-clients and Orthanc's plugin, each over a real socket."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from playwright.sync_api import Page
from requests import HTTPError, Session

from scandock.testing.worker import InProcessWorker
from tests import orthanc
from tests.builders import Image
from tests.e2e.browsing import chromium
from tests.integration.web import PASSWORD, Web, serve_by_socket

pytestmark = [pytest.mark.processes, pytest.mark.long]

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
JS_PACKAGE = Path("tests/node/node_modules/dicomweb-client")
JS_CLIENT = JS_PACKAGE / "build/dicomweb-client.js"
JASMINE = Path("tests/integration/jasmine.js")
SUITE_SERVER, SUITE_FILES = "http://localhost:8008/dcm4chee-arc/aets/DCM4CHEE/rs", "http://localhost:9876/base"
"""Where the tests of JavaScript's dicomweb-client expect a server, and their files."""
SMALL_BULK_DATA = "should retrieve bulk data"
"""The one of them that can't pass: it expects palettes of 512 bytes at an address, and they are inline."""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    data = tmp_path_factory.mktemp("clients") / "data"
    with serve_by_socket(data) as running, InProcessWorker(data, upkeep=False):
        yield running


def made(case: str, count: int = 3) -> list[Image]:
    return [Image(case=case, number=number) for number in range(1, count + 1)]


def test_pythons_dicomweb_client_stores_and_reads_back(web: Web) -> None:
    session = Session()
    session.auth = ("admin", PASSWORD)
    session.trust_env = False
    client = DICOMwebClient(f"{web.base}/dicomweb/projects/P", session=session)
    sent = made("python")
    datasets = [pydicom.dcmread(io.BytesIO(one.file())) for one in sent]
    study = sent[0].study_uid.decode()
    for study_uid in (None, study):
        answer = client.store_instances(datasets, study_uid)
        assert answer.RetrieveURL == f"{web.base}/dicomweb/projects/P/studies/{study}"
        stored = answer.ReferencedSOPSequence
        assert [item.ReferencedSOPInstanceUID for item in stored] == [one.sop_uid.decode() for one in sent]
        assert "FailedSOPSequence" not in answer
    with pytest.raises(HTTPError, match="409"):
        client.store_instances(datasets, "1.2.3")
    assert [found["0020000D"]["Value"] for found in client.search_for_studies(search_filters={"0020000D": study})] == [
        [study]
    ]


def test_orthanc_stores_searches_and_retrieves(web: Web, tmp_path: Path) -> None:
    if not PLUGIN.exists():
        pytest.skip("Orthanc has no DICOMweb plugin here: scripts/system-packages.sh installs it")
    sent = made("orthanc", 5)
    study = sent[0].study_uid.decode()
    server = {"Url": f"{web.base}/dicomweb/projects/P/", "Username": "admin", "Password": PASSWORD}
    settings = {"Enable": True, "Root": "/dicom-web/", "Servers": {"scandock": server}}
    with orthanc.running(tmp_path, Plugins=[str(PLUGIN)], DicomWeb=settings) as peer:
        ids = peer.upload(*(one.file() for one in sent))
        peer.call("POST", "/dicom-web/servers/scandock/stow", {"Resources": ids, "Synchronous": True})
        with web.client() as client:
            (session,) = client.get("/api/v1/sessions", params={"project": "P", "study_uid": study}).json()["items"]
            assert session["files"] == 5
        for instance in ids:
            peer.call("DELETE", f"/instances/{instance}")
        peer.call("POST", "/dicom-web/servers/scandock/retrieve", {"Resources": [{"Study": study}]})
        back = {
            peer.call("GET", f"/instances/{one}/simplified-tags")["SOPInstanceUID"]
            for one in peer.call("GET", "/instances")
        }
        assert back == {one.sop_uid.decode() for one in sent}


@pytest.fixture(scope="module")
def page(web: Web, project_root: Path) -> Iterator[Page]:
    """A page of this server with JavaScript's dicomweb-client, which OHIF has, and a login by cookie."""
    with chromium() as browser:
        page = browser.new_context().new_page()
        page.route(
            f"{web.base}/client.html", lambda route: route.fulfill(body="<html></html>", content_type="text/html")
        )
        page.goto(f"{web.base}/client.html")
        page.evaluate(
            "([name, password]) => fetch('/api/v1/auth/login', {method: 'POST',"
            " headers: {'Content-Type': 'application/json'}, body: JSON.stringify({name, password})})",
            ["admin", PASSWORD],
        )
        page.add_script_tag(path=project_root / JS_CLIENT)
        yield page


def test_the_clients_of_browsers_store_by_cookie(web: Web, page: Page) -> None:
    """JavaScript's dicomweb-client stores several objects, and the same again."""
    sent = made("browser")
    answers = page.evaluate(
        """async ([base, objects]) => {
            const client = new DICOMwebClient.api.DICOMwebClient({url: base});
            const datasets = objects.map((bytes) => new Uint8Array(bytes).buffer);
            const stored = JSON.parse(await client.storeInstances({datasets}));
            const study = stored["00081190"].Value[0].split("/").pop();
            const again = JSON.parse(await client.storeInstances({datasets, studyInstanceUID: study}));
            const series = await client.searchForSeries({studyInstanceUID: study});
            return [stored, again, series.length];
        }""",
        [f"{web.base}/dicomweb/projects/P", [list(one.file()) for one in sent]],
    )
    for answer in answers[:2]:
        stored = [item["00081155"]["Value"][0] for item in answer["00081199"]["Value"]]
        assert stored == [one.sop_uid.decode() for one in sent]
        assert "00081198" not in answer
    assert answers[2] == 1


def test_the_own_tests_of_javascripts_client_pass(web: Web, page: Page, project_root: Path) -> None:
    """They are in its package, unmodified but for the addresses of the server and of their files."""
    package = project_root / JS_PACKAGE
    base = f"{web.base}/dicomweb/projects/JS"
    suite = (package / "test/test.js").read_text().replace(SUITE_SERVER, base).replace(SUITE_FILES, f"{web.base}/files")
    with web.client() as client:
        assert client.put("/data/projects/JS").status_code in (200, 201)
        assert client.put("/data/projects/JS/prearchive_code/4").status_code == 200
    page.route(
        f"{web.base}/files/testData/*",
        lambda route: route.fulfill(path=package / "testData" / route.request.url.rpartition("/")[2]),
    )
    page.add_script_tag(path=project_root / JASMINE)
    page.add_script_tag(content=suite)
    outcomes = page.evaluate("outcomes()")
    sizes = page.evaluate(
        """async (url) => {
            const client = new DICOMwebClient.api.DICOMwebClient({url});
            const [metadata] = await client.retrieveSeriesMetadata({
                studyInstanceUID: "999.999.3859744", seriesInstanceUID: "999.999.94827453",
            });
            const {BulkDataURI} = metadata["7FE00010"];
            return (await client.retrieveBulkData({BulkDataURI})).map((frame) => frame.byteLength);
        }""",
        base,
    )
    assert len(outcomes) == 11
    assert {name for name, text in outcomes.items() if text} == {SMALL_BULK_DATA}
    assert sizes == [430 * 600] * 10
