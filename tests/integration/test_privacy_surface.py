"""Privacy as people read, set and try it: by the API, by XNAT's addresses, on pages."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest

from scandock.catalog.projects import ProjectRow, add_project
from scandock.services.settings import load_settings
from scandock.testing.worker import InProcessWorker
from tests.builders import Image, zip_entries
from tests.crash.processes import until
from tests.integration.web import Web, serve_in_process

SCRIPT = 'version "6.6"\n(0010,0010) := subject\necho "was", (0010,0020)\n'.replace('"was", ', "")
TABLE = "patient/4711 = S1\nsite/A = B\n"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with serve_in_process(tmp_path_factory.mktemp("privacy") / "data") as running:
        for project in ("API", "XNAT", "PAGE"):
            assert add_project(running.site.catalog, ProjectRow(name=project))
        running.account("olga", API="owner", XNAT="owner", PAGE="owner")
        running.account("mia", API="member", XNAT="member", PAGE="member")
        running.account("vera")
        yield running


@pytest.fixture
def admin(web: Web) -> Iterator[httpx.Client]:
    with web.client() as client:
        yield client
        nothing: dict[str, Any] = {"names": "", "study_uid": "", "patient": "", "profile": ""}
        assert client.put("/api/v1/privacy", json=nothing).status_code == 200
        assert client.put("/api/v1/privacy/scripts", json={"text": ""}).status_code == 200


def problem(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, str(response.json()["code"])


def test_privacy_is_set_by_owners_and_administrators_and_read_by_members(web: Web, admin: httpx.Client) -> None:
    path = "/api/v1/projects/API/privacy"
    with web.client("olga") as olga, web.client("mia") as mia, web.client("vera") as vera:
        read = mia.get(path)
        assert read.json()["in_force"] == {
            "names": "keep", "study_uid": "keep", "patient": "keep", "profile": "", "residue": "warn",
            "resources": "keep", "scripts": [],
        }  # fmt: skip
        assert problem(mia.put(path, json={"names": "drop"})) == (403, "forbidden")
        assert problem(vera.get(path))[0] == 404
        assert problem(olga.put("/api/v1/privacy", json={"names": "drop"})) == (403, "forbidden")
        told = olga.put(path, json={"profile": "basic, modified-dates"}, headers={"If-Match": read.headers["ETag"]})
        assert {key: told.json()[key] for key in ("names", "study_uid", "patient", "profile")} == {
            "names": "drop", "study_uid": "hash", "patient": "drop", "profile": "basic,modified-dates",
        }  # fmt: skip
        late = olga.put(path, json={"names": "hash"}, headers={"If-Match": read.headers["ETag"]})
        assert problem(late) == (412, "changed_meanwhile")
        assert admin.put("/api/v1/privacy", json={"names": "drop"}).json()["in_force"]["names"] == "drop"
        assert mia.get("/api/v1/privacy").json()["names"] == "drop"
        assert problem(olga.put(path, json={"names": "hash"})) == (409, "privacy_laxer")
        assert problem(olga.put(path, json={"profile": "advanced"})) == (400, "profile_invalid")
        assert problem(olga.put(path, json={"names": "hidden"})) == (422, "request_invalid")
        assert olga.put(path, json={}).json()["in_force"]["names"] == "drop"
    (line, *_) = admin.get("/api/v1/audit", params={"action": "privacy_set"}).json()["items"]
    assert set(line["details"]) == {"version", "fingerprint", "enabled"}


def test_scripts_and_tables_are_read_by_owners_alone_and_tables_not_even_by_them(web: Web, admin: httpx.Client) -> None:
    script, table = "/api/v1/projects/API/scripts", "/api/v1/projects/API/lookups"
    with web.client("olga") as olga, web.client("mia") as mia:
        for path in (script, table):
            assert problem(mia.get(path)) == (403, "forbidden")
            assert problem(olga.get(path.replace("projects/API", "privacy"))) == (403, "forbidden")
        refused = olga.put(script, json={"text": SCRIPT + "(0010,0010) = 1"})
        assert problem(refused) == (400, "script_refused")
        assert "line 4, column 16" in refused.json()["detail"]
        check = olga.post(f"{script}/check", json={"text": SCRIPT + "(0010,0010) = 1"}).json()
        assert (check["ok"], check["line"], check["column"]) == (False, 4, 16)
        assert olga.post(f"{script}/check", json={"text": SCRIPT}).json()["ok"] is True
        kept = olga.put(script, json={"text": SCRIPT}).json()
        assert (kept["text"], kept["enabled"], kept["version"], kept["by"]) == (SCRIPT, True, 1, "olga")
        assert mia.get("/api/v1/projects/API/privacy").json()["in_force"]["scripts"] == ["project"]
        told = olga.put(table, json={"text": TABLE}).json()
        assert (told["keys"], told["kinds"]) == (2, ["patient", "site"])
        assert "4711" not in olga.get(table).text
        assert problem(olga.put(table, json={"text": "no table"})) == (400, "lookup_refused")
        assert olga.put(script, json={"text": SCRIPT, "enabled": False}).json()["enabled"] is False
    lines = admin.get("/api/v1/audit", params={"project": "API"}).text
    assert "0010,0010" not in lines
    assert "4711" not in lines


def test_a_script_is_tried_on_a_file_that_is_not_kept(web: Web, admin: httpx.Client) -> None:
    image = Image(case="tried", also={0x00100010: (b"PN", b"Doe^Jane"), 0x00100020: (b"LO", b"4711")}).file()
    path = "/api/v1/projects/API/scripts/test"
    site = 'version "6.6"\n(0008,1030) := project'
    assert admin.put("/api/v1/privacy/scripts", json={"text": site}).status_code == 200
    with web.client("olga") as olga, web.client("mia") as mia:
        file = {"file": ("a.dcm", image)}
        assert problem(mia.post(path, data={"text": SCRIPT}, files=file)) == (403, "forbidden")
        told = olga.post(path, data={"text": SCRIPT, "subject": "S1"}, files=file).json()
        assert told["outcome"] == "scrubbed", told
        rows = {row["path"]: row for row in told["rows"]}
        assert {key: rows["(0010,0010)"][key] for key in ("name", "before", "after", "change")} == {
            "name": "PatientName", "before": "Doe^Jane", "after": "S1", "change": "changed",
        }  # fmt: skip
        assert rows["(0008,1030)"]["after"] == "API"
        assert rows["(0010,0020)"]["change"] == "same"
        steps = [(one["script"], one["line"], [row["path"] for row in one["effects"]], one["echo"])
                 for one in told["statements"]]  # fmt: skip
        assert steps == [
            ("site", 2, ["(0008,1030)"], []), ("project", 2, ["(0010,0010)"], []), ("project", 3, [], ["4711"]),
        ]  # fmt: skip
        bad = SCRIPT + "(0010,0030) := lowercase[(0010,4000)]\n"
        told = olga.post(path, data={"text": bad}, files=file).json()
        assert (told["outcome"], told["code"]) == ("failed", "deid_script")
        assert "The project's script, line 4" in told["message"]
        assert [one["line"] for one in told["statements"]] == [2, 2, 3]
        told = olga.post(path, data={"text": 'version "6.6"\nreject[]'}, files=file).json()
        assert told["outcome"] == "rejected"
        told = olga.post(path, data={"text": ""}, files={"file": ("a.txt", b"no image" * 100)}).json()
        assert told["outcome"] == "failed"
        assert problem(olga.post(path, data={"text": "x"}, files=file)) == (400, "script_refused")
        no_file = olga.post(path, data={"text": SCRIPT}, files={"file": ("none", b"")})
        assert problem(no_file) == (400, "sample_unreadable")
    assert "Doe" not in json.dumps(web.logged, default=str)
    assert not web.spools()


def test_pages_say_in_plain_words_what_is_kept_and_since_when(web: Web, admin: httpx.Client) -> None:
    path = "/projects/PAGE/privacy"
    with web.client("olga", follow_redirects=True) as olga, web.client("mia") as mia, web.client("vera") as vera:
        assert f'href="{path}"' in mia.get("/projects/PAGE").text
        page = mia.get(path).text
        assert "Imports store images and names as they come." in page
        assert "<form" not in page.split("<main")[1]
        assert vera.get(path).status_code == 404
        assert mia.get("/admin/privacy").status_code == 403
        page = olga.post(path, data={"do": "strict"}).text
        assert "The privacy settings are saved" in page
        assert "by the de-identification profile before it is stored" in page
        assert re.search(r"Version 1, since <time[^>]*>[^<]*</time>, set by olga", page)
        assert olga.get("/api/v1/projects/PAGE/privacy").json()["profile"] == "basic"
        page = olga.post(path, data={"do": "keep"}).text
        assert "Imports store images and names as they come." in page
        assert admin.put("/api/v1/privacy", json={"names": "drop", "study_uid": "hash"}).status_code == 200
        page = olga.get(path).text
        assert "Imports replace its UIDs in every image" in page
        assert re.search(r'name="names" value="keep" disabled', page)
        assert re.search(r'name="study_uid" value="hash">', page)
        refused = olga.post(path, data={"do": "set", "names": "hash"})
        assert refused.status_code == 409
        assert "The site is stricter than PAGE" in refused.text
        assert re.search(r'name="names" value="hash" checked', refused.text)
        said = {"do": "set", "patient": "hash", "profile": "basic", "option": ["retain-device", "modified-dates"]}
        page = olga.post(path, data=said).text
        assert "keep the device, move dates" in page
        assert olga.get("/api/v1/projects/PAGE/privacy").json()["profile"] == "basic,retain-device,modified-dates"
        assert olga.post(path, data={"do": "set", "names": "hidden"}).status_code == 400
        olga.post(path, data={"do": "keep"})


def test_the_page_of_a_script_shows_errors_in_their_place_and_what_comes_of_a_file(
    web: Web, admin: httpx.Client
) -> None:
    path = "/projects/PAGE/privacy/script"
    image = Image(case="page", also={0x00100010: (b"PN", b"Doe^Jane")}).file()
    with web.client("olga", follow_redirects=True) as olga:

        def send(file: tuple[str, bytes] = ("none", b""), **fields: str) -> httpx.Response:
            return olga.post(path, data=fields, files={"file": file})

        wrong = send(do="set", text=SCRIPT + "- (0010,0030))\r\n")
        assert wrong.status_code == 400
        assert "   4  - (0010,0030))\n                   ^" in wrong.text
        assert "aria-invalid" in wrong.text
        page = send(do="set", text=SCRIPT).text
        assert "The script is saved and switched on" in page
        assert "still kept beside them" in olga.get("/projects/PAGE/privacy").text
        page = send(("a.dcm", image), do="test", text=SCRIPT + "- (0010,0020)", subject="S9").text
        assert "An import stores this image as shown below" in page
        assert "(0010,0010) PatientName changed: S9" in page
        assert "(0010,0020) PatientID removed" in page
        assert "Doe^Jane" in page
        assert olga.get("/api/v1/projects/PAGE/scripts").json()["text"] == SCRIPT
        assert "There is no file to try the script on" in send(do="test", text=SCRIPT).text
        assert "The script is switched off" in send(do="off").text
        assert "No file of a lookup table was chosen" in send(do="lookup-set").text
        page = send(("t.txt", TABLE.encode()), do="lookup-set").text
        assert "2 keys of patient, site." in page
        assert "4711" not in page
        assert "No table is set." in send(do="lookup-removed").text
        assert "The script is taken away" in send(do="set", text="").text
        assert send(do="something").status_code == 400


def test_xnats_addresses_have_scripts_and_preferences(web: Web, admin: httpx.Client) -> None:
    xapi, anon = "/xapi/anonymize/projects/XNAT", "/data/projects/XNAT/config/anon/projects/XNAT"
    with web.client("olga") as olga, web.client("mia") as mia, web.client(None) as nobody:
        assert (olga.get(xapi).status_code, olga.get(anon, params={"format": "json"}).status_code) == (204, 404)
        assert 'version "6.1"' in mia.get("/xapi/anonymize/default").text
        assert nobody.get("/xapi/anonymize/default").status_code == 401
        refused = olga.put(xapi, content="no script", headers={"Content-Type": "text/plain"})
        assert refused.status_code == 400
        assert "line 1, column 1" in refused.text
        assert mia.put(xapi, content=SCRIPT).status_code == 403
        assert olga.put(xapi, content=SCRIPT).status_code == 200
        assert (olga.get(xapi).text, olga.get(f"{xapi}/enabled").json()) == (SCRIPT, True)
        assert mia.get(xapi).status_code == 403
        assert olga.put(f"{xapi}/enabled", params={"enable": "false"}).status_code == 200
        (row,) = olga.get(anon, params={"format": "json"}).json()["ResultSet"]["Result"]
        assert (row["tool"], row["status"], row["contents"], row["user"]) == ("anon", "disabled", SCRIPT, "olga")
        for old in (mia.get(anon, params={"format": "json"}), mia.get("/data/config/anon/script")):
            assert old.status_code == 404
        assert olga.put(anon, params={"status": "enabled"}).status_code == 200
        edit = "/data/config/edit/projects/XNAT/image/dicom"
        assert (olga.get(f"{edit}/script").text, olga.get(f"{edit}/status").text) == (SCRIPT, "true")
        assert olga.put(f"{edit}/status", params={"activate": "false"}).status_code == 200
        assert olga.get(f"{xapi}/enabled").json() is False
        assert olga.put(f"{xapi}/enabled", params={"enable": "perhaps"}).status_code == 400
        assert olga.get("/xapi/anonymize/site").status_code == 403
        assert olga.get("/xapi/siteConfig/sitewideAnonymizationScript").status_code == 403
        assert olga.post("/xapi/siteConfig", json={"sitewideSeriesImportFilterMode": "whitelist"}).status_code == 403
        assert olga.get("/xapi/siteConfig/sitewidePetMr").json() == "petmr"
    assert admin.put("/xapi/anonymize/site", content=SCRIPT).status_code == 200
    assert admin.get("/xapi/siteConfig/enableSitewideAnonymizationScript").json() is True
    assert admin.post("/xapi/siteConfig/enableSitewideAnonymizationScript", content="false").status_code == 200
    assert admin.get("/xapi/anonymize/site/enabled").json() is False
    said = {"sitewideSeriesImportFilterMode": "whitelist", "sitewideSeriesImportFilter": "T1\nT2"}
    assert admin.post("/xapi/siteConfig", json=said).status_code == 200
    names = ("enableSitewideSeriesImportFilter", *said)
    assert [admin.get(f"/xapi/siteConfig/{name}").json() for name in names] == [False, *said.values()]
    on = {"enableSitewideSeriesImportFilter": True}
    assert admin.post("/xapi/siteConfig", json=on).status_code == 200
    assert admin.get("/api/v1/filters").json()["enabled"] is True
    assert admin.post("/xapi/siteConfig", json={"enableSitewideSeriesImportFilter": False}).status_code == 200
    assert admin.post("/xapi/siteConfig", json={"siteId": "X"}).status_code == 400
    assert admin.post("/xapi/siteConfig/sitewidePetMr", json="separate").status_code == 400
    assert admin.get("/xapi/siteConfig/siteId").status_code == 404
    assert admin.get("/xapi/siteConfig/buildInfo").status_code == 200


@pytest.mark.parametrize(("granted", "name"), [("nobody", "BY SCRIPT"), ("owners", "BY SCRIPT"), ("members", "PAT1")])
def test_a_client_runs_the_scripts_where_the_site_lets_its_user_say_so(tmp_path: Path, granted: Any, name: str) -> None:
    data = tmp_path / "data"
    settings = load_settings().model_copy(update={"prevent_anon": granted})
    with serve_in_process(data, settings) as web, InProcessWorker(data, settings, slots=1), web.client() as admin:
        web.account("mia", P="member")
        script = 'version "6.6"\n(0010,0020) := "BY SCRIPT"\n'
        assert admin.put("/api/v1/projects/P/scripts", json={"text": script}).status_code == 200
        asked = {
            "import-handler": "DICOM-zip", "PROJECT_ID": "P", "SUBJECT_ID": "S", "EXPT_LABEL": "E",
            "prevent_anon": "true", "dest": "/archive",
        }  # fmt: skip
        body = zip_entries({"1.dcm": Image(case="told", also={0x00100020: (b"LO", b"PAT1")}).file()})
        with web.client("mia") as mia:
            assert mia.post("/data/services/import", params=asked, content=body).status_code == 200
        (image,) = (data / "archive").rglob("*.dcm")
        assert str(pydicom.dcmread(image).PatientID) == name


def test_the_upload_page_says_what_is_removed_before_a_byte_leaves(web: Web, admin: httpx.Client) -> None:
    with web.client("mia") as mia, web.client("olga") as olga:
        assert '<p class="note" id="removed" hidden>' in mia.get("/upload").text
        assert olga.put("/api/v1/projects/PAGE/scripts", json={"text": SCRIPT}).status_code == 200
        said = {"names": "drop", "patient": "drop", "study_uid": "hash", "resources": "drop"}
        assert olga.put("/api/v1/projects/PAGE/privacy", json=said).status_code == 200
        page = mia.get("/upload", params={"project": "PAGE"}).text
        assert (
            "Images are changed by the project&#39;s script. Files that are no images are left out. Names of files,"
            " folders and archives and patient names and IDs are dropped. Study UIDs are hashed." in page
        )
        assert '<p class="note" id="removed"><strong>' in page
        assert re.search(r'id="removed" hidden', mia.get("/upload", params={"project": "API"}).text)
        told = re.search(r'data-told="([^"]*)"', page)
        assert told is not None
        privacy = json.loads(html.unescape(told[1]))["privacy"]
        assert set(privacy["projects"]) == {"PAGE"}
        assert (privacy["site"]["patient"], privacy["unnamed"]["patient"]) == ("keep", "drop")
        assert olga.put("/api/v1/projects/PAGE/privacy", json={}).status_code == 200
        assert olga.put("/api/v1/projects/PAGE/scripts", json={"text": ""}).status_code == 200


def is_placed(client: httpx.Client, address: str) -> bool:
    return bool(client.get(address).json()["state"] == "placed")


def test_a_project_has_routing_rules_of_its_own_before_the_sites(tmp_path: Path) -> None:
    data = tmp_path / "data"
    path = "/api/v1/projects/P/routing"
    with serve_in_process(data) as web, InProcessWorker(data, slots=1), web.client() as admin:
        assert add_project(web.site.catalog, ProjectRow(name="Q"))
        web.account("olga", P="owner", Q="owner")
        web.account("mia", P="member")
        assert admin.put("/api/v1/rules/subject", json={"text": "(0010,0020):(.*) t:$ r:_site"}).status_code == 200
        with web.client("olga", follow_redirects=True) as olga, web.client("mia") as mia:
            read = olga.get(path)
            assert (read.json()["version"], read.json()["site"]) == (0, ["subject"])
            assert problem(mia.get(path)) == (403, "forbidden")
            assert problem(olga.put(path, json={"subject": "no rule"})) == (400, "rules_unreadable")
            slow = olga.put(path, json={"subject": "(0010,0020):(.*.*.*.*.*.*x)"})
            assert problem(slow) == (400, "rules_unreadable")
            own = {"subject": "(0010,0020):PAT(\\d+)", "session": "(0008,0060):(..)"}
            tried = olga.post(f"{path}/test", data={**own, "values": "PatientID: PAT7\nModality: MR"},
                              files={"file": ("none", b"")}).json()  # fmt: skip
            assert [(kind["label"], kind["source"], kind["other_label"]) for kind in tried["kinds"]] == [
                ("7", "project rule 1", "PAT7_site"), ("MR", "project rule 1", "PAT7"),
            ]  # fmt: skip
            saved = olga.put(path, json=own, headers={"If-Match": read.headers["ETag"]})
            assert (saved.json()["subject"], saved.json()["version"], saved.json()["by"]) == (own["subject"], 1, "olga")
            assert problem(olga.put(path, json={}, headers={"If-Match": read.headers["ETag"]}))[0] == 412
            page = olga.post("/projects/P/rules", data={**own, "values": "PatientID: PAT7", "do": "test"},
                             files={"file": ("none", b"")}).text  # fmt: skip
            assert "From line 1 of the project&#39;s rules." in page
            assert "Version 1, since" in page
            refused = olga.post("/projects/P/rules", data={**own, "session": "off", "do": "set"},
                             files={"file": ("none", b"")})  # fmt: skip
            assert refused.status_code == 400
            assert mia.get("/projects/P/rules").status_code == 403
            assert json.loads(html.unescape(re.findall(r'data-told="([^"]*)"', mia.get("/upload").text)[0]))["rules"]
        image = Image(case="routed", also={0x00100020: (b"LO", b"PAT7")}).file()
        found = {}
        for project in ("P", "Q"):
            asked = {"project": project, "filename": "a.zip"}
            uuid = admin.post("/api/v1/imports", params=asked, content=zip_entries({"1.dcm": image})).json()["upload"]
            address = f"/api/v1/imports/{uuid}"
            until(partial(is_placed, admin, address), "it is not there")
            (session,) = admin.get("/api/v1/sessions", params={"project": project}).json()["items"]
            found[project] = (session["subject"], session["label"])
        assert found == {"P": ("7", "MR"), "Q": ("PAT7_site", "PAT7")}
        (line,) = admin.get("/api/v1/audit", params={"action": "rules_set", "project": "P"}).json()["items"]
        assert line["details"]["version"] == 1
        assert "PAT" not in json.dumps(line)
