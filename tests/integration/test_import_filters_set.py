"""Import filters as they are read and set: by the API, by XNAT's addresses, on pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scandock.catalog.projects import ProjectRow, add_project
from scandock.testing.worker import InProcessWorker
from tests.builders import Image, zip_entries
from tests.crash.processes import until
from tests.integration.web import Web, serve_in_process

LINES = "# no localizers\nlocalizer"
OR_NOTHING = {"contents": "true", "accept-not-found": "true"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with serve_in_process(tmp_path_factory.mktemp("filters") / "data") as running:
        for project in ("API", "XNAT"):
            assert add_project(running.site.catalog, ProjectRow(name=project))
        running.account("olga", API="owner", XNAT="owner")
        running.account("mia", API="member")
        running.account("carl", XNAT="collaborator")
        running.account("vera")
        yield running


@pytest.fixture
def admin(web: Web) -> Iterator[httpx.Client]:
    with web.client() as client:
        yield client


def problem(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, str(response.json()["code"])


def test_a_projects_filter_is_set_by_owners_and_read_by_members(web: Web) -> None:
    path = "/api/v1/projects/API/filters"
    with web.client("olga") as olga, web.client("mia") as mia, web.client("vera") as vera, web.client(None) as nobody:
        read = olga.get(path)
        assert read.json() == {
            "project": "API", "enabled": False, "mode": "", "lines": "", "conditions": {}, "default": "",
            "strict": False, "version": 0, "fingerprint": "", "modified": None, "by": "",
        }  # fmt: skip
        body = {"mode": "blacklist", "lines": LINES}
        assert problem(mia.put(path, json=body)) == (403, "forbidden")
        assert problem(vera.put(path, json=body))[0] == 404
        assert problem(vera.get(path))[0] == 404
        assert problem(nobody.get(path)) == (401, "login_needed")
        now = olga.put(path, json=body, headers={"If-Match": read.headers["ETag"]}).json()
        assert (now["enabled"], now["lines"], now["version"], now["by"]) == (True, LINES, 1, "olga")
        assert re.fullmatch("[0-9a-f]{64}", now["fingerprint"])
        assert mia.get(path).json() == now
        late = olga.put(path, json=body, headers={"If-Match": read.headers["ETag"]})
        assert problem(late) == (412, "changed_meanwhile")
        wrong = olga.put(path, json={"mode": "whitelist", "lines": "fine\na(b\n[Nothing]"})
        assert problem(wrong) == (400, "filter_unreadable")
        assert "Line 2" in wrong.json()["detail"]
        assert "Line 3 names no element of the header" in wrong.json()["detail"]
        conditions = {"mode": "modalityMap", "conditions": {"MR": "Modality = 'MR'"}, "default": "MR", "enabled": False}
        mapped = olga.put(path, json=conditions).json()
        assert (mapped["conditions"], mapped["enabled"], mapped["version"]) == ({"MR": "Modality = 'MR'"}, False, 2)
        for odd in (
            {"mode": "modalityMap", "lines": "x"},
            {"mode": "blacklist", "conditions": {"x": "Modality = 'MR'"}},
            {"mode": "modalityMap", "conditions": {"list": "Modality = 'MR'"}},
        ):
            assert problem(olga.put(path, json=odd)) == (400, "filter_unreadable"), odd
        assert olga.get(path).json() == mapped


def test_the_sites_filter_is_the_administrators_and_everybody_reads_it(web: Web, admin: httpx.Client) -> None:
    path = "/api/v1/filters"
    with web.client("olga") as olga, web.client(None) as nobody:
        assert problem(olga.put(path, json={"mode": "blacklist"})) == (403, "forbidden")
        assert problem(nobody.get(path)) == (401, "login_needed")
        told = admin.put(path, json={"mode": "blacklist", "lines": "^secret words"})
        assert told.json()["project"] is None
        assert olga.get(path).json() == told.json()
    lines = admin.get("/api/v1/audit", params={"action": "filter_set"}).json()["items"]
    (line,) = [line for line in lines if line["target"] == "site"]
    assert line["details"] == {"version": 1, "fingerprint": told.json()["fingerprint"], "enabled": True}
    assert "secret" not in json.dumps(lines)
    assert problem(admin.put("/api/v1/projects/Unassigned/filters", json={"mode": "blacklist"}))[0] in (400, 404)


def test_xnats_addresses_have_the_filter_as_a_configuration(web: Web, admin: httpx.Client) -> None:
    path = "/data/projects/XNAT/config/seriesImportFilter/config"
    with web.client("olga") as olga, web.client("carl") as carl, web.client("vera") as vera:
        assert (carl.get(path, params=OR_NOTHING).status_code, carl.get(path, params=OR_NOTHING).text) == (200, "")
        assert carl.get(path, params={"format": "json"}).status_code == 404
        assert vera.get(path).status_code == 404
        document = {"mode": "blacklist", "enabled": "true", "projectId": "XNAT", "list": "LOCALIZER\nSCOUT"}
        assert carl.put(path, json=document).status_code == 403
        assert olga.put(path, params={"inbody": "true"}, json=document).status_code == 200
        kept = '{"mode": "blacklist", "list": "LOCALIZER\\nSCOUT"}'
        (row,) = carl.get(path, params={"format": "json"}).json()["ResultSet"]["Result"]
        assert {key: row[key] for key in ("tool", "path", "project", "user", "version", "status", "contents")} == {
            "tool": "seriesImportFilter", "path": "config", "project": "XNAT", "user": "olga", "version": "1",
            "status": "enabled", "contents": kept,
        }  # fmt: skip
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", row["create_date"])
        for address in (path, path.removesuffix("/config")):
            assert carl.get(address, params=OR_NOTHING).text == kept
        assert olga.put(path, params={"status": "disabled"}).status_code == 200
        (row,) = carl.get(path, params={"format": "json"}).json()["ResultSet"]["Result"]
        assert (row["status"], row["contents"]) == ("disabled", kept)
        assert carl.get(path, params=OR_NOTHING).text == ""
        assert olga.put(path, json={"contents": json.dumps(document)}).status_code == 200
        assert olga.get("/api/v1/projects/XNAT/filters").json()["enabled"] is True
        assert olga.put(path, json={**document, "enabled": "false"}).status_code == 200
        assert olga.get("/api/v1/projects/XNAT/filters").json()["enabled"] is False
        wrong = olga.put(path, json={"mode": "Blacklist", "list": "x"})
        assert wrong.status_code == 400
        assert "whitelist, blacklist, modalityMap" in wrong.text
        assert olga.put(path, content=b"LOCALIZER").status_code == 400
        assert olga.put(path, params={"status": "perhaps"}).status_code == 400
        assert olga.put("/data/config/seriesImportFilter/config", json=document).status_code == 403
        assert admin.put("/data/config/seriesImportFilter/config", json=document).status_code == 200
        assert carl.get("/data/config/seriesImportFilter", params=OR_NOTHING).text == kept
        assert carl.get("/data/config/anon/script", params={"format": "json"}).status_code == 404


@pytest.mark.parametrize(("who", "path"), [("admin", "/admin/filter"), ("olga", "/projects/P/filter")])
def test_a_page_says_what_the_filter_does_and_sets_it(tmp_path: Path, who: str, path: str) -> None:
    with serve_in_process(tmp_path / "data") as web:
        web.account("olga", P="owner")
        web.account("mia", P="member")
        with web.client(who) as person, web.client("mia") as mia:
            page = person.get(path).text
            assert "No filter is set: imports take every series." in page
            assert "Switch off" not in page

            def send(**fields: str) -> httpx.Response:
                return person.post(path, data=fields, files={"file": ("none", b"")}, follow_redirects=True)

            page = send(do="set", mode="whitelist", text="T1\r\na(b\r\n").text
            assert "Line 2 can&#39;t be used: a pattern" in page
            assert ">T1\na(b" in page.replace("\r\n", "\n")
            assert re.search(r'value="whitelist" checked', page)
            page = send(do="set", mode="whitelist", text="T1\r\nT2").text
            assert "Imports take only the images that match a line of the filter." in page
            assert "The filter is set and switched on" in page
            page = send(do="off").text
            assert "The filter is switched off: imports take every series." in page
            assert "Switch on as saved" in page
            assert "Imports take only" in send(do="on").text
            document = '{"mode": "modalityMap", "exclude": "BurnedInAnnotation = \'YES\'", "default": "MR"}'
            page = send(do="set", mode="modalityMap", text=document).text
            assert "a condition of the filter holds" in page
            assert "BurnedInAnnotation" in page
            assert send(do="something").status_code == 400
            if path.startswith("/admin"):
                assert mia.get(path).status_code == 403
            else:
                read = mia.get(path)
                assert read.status_code == 200
                assert "BurnedInAnnotation" in read.text
                assert "<textarea" not in read.text


def test_an_upload_is_filtered_by_the_projects_that_its_mapping_names(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serve_in_process(data) as web, InProcessWorker(data, slots=1), web.client() as admin:
        assert add_project(web.site.catalog, ProjectRow(name="Q"))
        for project, lines in (("P", "T1"), ("Q", "localizer")):
            wanted = {"mode": "blacklist", "lines": lines}
            assert admin.put(f"/api/v1/projects/{project}/filters", json=wanted).status_code == 200
        series = [{0x0008103E: (b"LO", text)} for text in (b"Localizer", b"T1")]
        body = zip_entries({f"{n}.dcm": Image(case="map", series=n, also=also).file() for n, also in enumerate(series)})
        asked = {"project": "P", "filename": "a.zip", "mapping": "patient_id,project\nPAT1,Q\n"}
        uuid = admin.post("/api/v1/imports", params=asked, content=body).json()["upload"]

        def report() -> dict[str, Any]:
            told: dict[str, Any] = admin.get(f"/api/v1/imports/{uuid}").json()
            return told

        until(lambda: report()["state"] == "placed", "it is not imported")
        assert (report()["entries"]["stored"], report()["entries"]["filtered"]) == (1, 1)
        assert report()["sessions"][0]["scans"][0]["type"] == "T1"
        receipt = admin.get(f"/api/v1/imports/{uuid}/receipt", params={"verdict": "filtered"}).text
        assert "left out by the import filter of project Q (line 1)" in receipt


def test_a_filter_is_tried_on_values_and_on_a_file(web: Web, admin: httpx.Client) -> None:
    no_file = {"file": ("none", b"")}
    admin.put("/api/v1/filters", json={"mode": "blacklist", "lines": "^secret words"})
    tested = {"mode": "whitelist", "text": "^T1\n[Modality]\nCT", "values": "SeriesDescription: T2\nModality: MR"}
    with web.client("olga") as olga, web.client("mia") as mia:
        path = "/api/v1/projects/API/filters/test"
        assert problem(mia.post(path, data=tested, files=no_file)) == (403, "forbidden")
        assert problem(olga.post("/api/v1/filters/test", data=tested, files=no_file)) == (403, "forbidden")
        told = olga.post(path, data=tested, files=no_file).json()
        assert told == {
            "accepted": False, "filter": "project", "rule": "no line matches", "tested": "no line matches",
            "tested_accepts": False, "values": [
                {"element": "(0008,0060) Modality", "value": "MR"},
                {"element": "(0008,103e) SeriesDescription", "value": "T2"},
            ],
        }  # fmt: skip
        image = Image(case="tried", also={0x00080060: (b"CS", b"CT"), 0x0008103E: (b"LO", b"secret words")}).file()
        told = olga.post(path, data={**tested, "values": ""}, files={"file": ("a.dcm", image)}).json()
        assert (told["accepted"], told["filter"], told["rule"]) == (False, "site", "line 1")
        assert (told["tested_accepts"], told["tested"]) == (True, "line 3")
        page = olga.post("/projects/API/filter", data={**tested, "do": "test"}, files=no_file)
        assert page.status_code == 200
        assert "An import leaves this image out" in page.text
        assert "^T1\n[Modality]" in page.text
        for wrong, code in (({"mode": "whitelist", "text": "a(b", "values": "Modality: MR"}, "filter_unreadable"),
                            ({"values": "Modality: MR", "mode": "blacklist", "text": ""}, ""),
                            ({**tested, "values": ""}, "sample_unreadable")):  # fmt: skip
            answer = olga.post(path, data=wrong, files=no_file)
            assert (answer.status_code, answer.json().get("code", "")) == (400 if code else 200, code)
    assert admin.get("/api/v1/filters").json()["lines"] == "^secret words"


@pytest.mark.parametrize("body", ["[" * 20_000, '{"mode": ' + "1" * 5_000 + "}"], ids=["deep", "long number"])
def test_json_that_python_does_not_read_is_refused(web: Web, admin: httpx.Client, body: str) -> None:
    form = {"mode": "modalityMap", "text": body, "values": "Modality: MR"}
    tried = admin.post("/api/v1/filters/test", data=form, files={"file": ("none", b"")})
    assert problem(tried) == (400, "filter_unreadable")
    for path in ("/data/config/seriesImportFilter/config", "/xapi/anonymize/site", "/xapi/siteConfig"):
        send = admin.post if path == "/xapi/siteConfig" else admin.put
        assert send(path, content=body).status_code == 400, path


def test_a_form_of_a_tester_has_fields_of_its_own(admin: httpx.Client) -> None:
    """Not those of uploads, which the same parser reads."""
    for name in ("foo", "subject"):
        refused = admin.post("/api/v1/filters/test", data={name: "x"}, files={"file": ("none", b"")})
        assert problem(refused) == (400, "request_invalid")
        assert refused.json()["remedy"] == "Known are mode, text, values, and a file."
