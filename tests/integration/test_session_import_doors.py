"""Doors by which sessions move into projects with rules: API, pages and XNAT's dialect, with a worker beside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from scandock.rules.privacy import PrivacyRules
from scandock.testing.privacy import given_privacy
from scandock.testing.worker import InProcessWorker
from tests.builders import DataFolder, make_data_folder
from tests.crash.processes import until
from tests.integration.web import Web, serve_in_process
from tests.integration.xnat_prearchive import import_to_prearchive

SCRIPT = 'version "6.1"\n(0010,0010) := subject\n(0010,0020) := session\n(0008,1030) := project\n'
RULES = PrivacyRules(key=b"k" * 32, scripts=(SCRIPT,))
FAILING = PrivacyRules(key=RULES.key, scripts=(SCRIPT + "(0008,0020) := shiftDateByIncrement[(0010,0010), 1]\n",))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    folder = make_data_folder(tmp_path, monkeypatch)
    folder.scrubs = True
    return folder


def rules(given: PrivacyRules = RULES) -> AbstractContextManager[None]:
    """Let the project P have rules from here on."""
    return given_privacy(projects={"P": given})


@contextmanager
def served(site: DataFolder) -> Iterator[tuple[Web, httpx.Client]]:
    """The site behind HTTP, with a worker."""
    with ExitStack() as stack:
        web = stack.enter_context(serve_in_process(site.data, site.settings))
        stack.enter_context(InProcessWorker(site.data, site.settings, upkeep=False))
        yield web, stack.enter_context(web.client())


def session_id(client: httpx.Client, uri: str) -> str:
    *_, timestamp, label = uri.split("/")
    items = client.get("/api/v1/prearchive").json()["items"]
    (found,) = [one["id"] for one in items if (one["timestamp"], one["label"]) == (timestamp, label)]
    return str(found)


def ended(client: httpx.Client, location: str) -> dict[str, Any]:
    until(lambda: client.get(location).json()["finished"], "the import does not end")
    found: dict[str, Any] = client.get(location).json()
    return found


def test_the_api_answers_202_and_names_the_import(site: DataFolder) -> None:
    with served(site) as (_, client):
        uuid, *many = (session_id(client, import_to_prearchive(site, label=f"S{n}", study=n)) for n in (1, 2, 3))
        with rules():
            dry = client.post(f"/api/v1/prearchive/{uuid}/move?dry_run=true", json={"project": "P"})
            assert (dry.status_code, dry.json()["done"], "import" in dry.json()) == (200, False, False)
            assert "Its files are de-identified by the rules of project P." in dry.json()["message"]
            answer = client.post(f"/api/v1/prearchive/{uuid}/move", json={"project": "P"})
            assert (answer.status_code, answer.json()["done"]) == (202, False)
            assert answer.headers["Location"].endswith(answer.json()["import"])
            imported = ended(client, answer.headers["Location"])
            assert (imported["state"], imported["door"], imported["archive"]) == ("placed", "session", "session S1")
            assert [one["id"] for one in imported["sessions"]] == [uuid]
            archived = client.post(f"/api/v1/prearchive/{uuid}/archive")  # its rules are those of the project now
            assert (archived.status_code, archived.json()["done"]) == (200, True)
            moved = client.post("/api/v1/prearchive/move", json={"sessions": many, "project": "P"}).json()["items"]
            assert [one["done"] for one in moved] == [False, False]
            assert {ended(client, f"/api/v1/imports/{one['import']}")["state"] for one in moved} == {"placed"}
    site.check()


def test_a_page_says_that_an_import_moves_it(site: DataFolder) -> None:
    with served(site) as (_, client):
        uuid = session_id(client, import_to_prearchive(site))
        with rules():
            form = {"do": f"move:{uuid}", "to": "P"}
            page = client.post("/prearchive", data=form, headers={"Sec-Fetch-Site": "same-origin"})
            assert page.status_code == 200
            assert "An import moves it to the prearchive of P as S1." in page.text
            (place,) = {part.split('"')[0] for part in page.text.split('href="/imports/')[1:]}
            assert ended(client, f"/api/v1/imports/{place}")["state"] == "placed"
        assert client.get(f"/imports/{place}").status_code == 200
    site.check()


def test_xnats_clients_wait_until_it_is_done(site: DataFolder) -> None:
    with served(site) as (_, client):
        uri, *several = (import_to_prearchive(site, label=f"S{n}", study=n) for n in (1, 3, 4))
        waiting, third, fourth = (import_to_prearchive(site, project="P", label=f"S{n}", study=n) for n in (2, 5, 6))
        with rules():
            moved = client.post(uri, params={"action": "move", "newProject": "P"})
            assert moved.status_code == 301
            assert moved.text.startswith("/data/prearchive/projects/P/")
            assert {one["project"] for one in client.get("/api/v1/prearchive?search=S1").json()["items"]} == {"P"}
            archived = client.post(
                "/data/services/archive", data={"src": waiting.removeprefix("/data"), "overwrite": "append"}
            )
            assert archived.status_code == 200
            assert archived.text.strip() == "/data/archive/projects/P/subjects/DOE_JANE/experiments/S2"
            rows = client.post(
                "/data/services/prearchive/move",
                data={"src": [one.removeprefix("/data") for one in several], "newProject": "P"},
                params={"format": "json"},
            )
            assert rows.status_code == 200
            assert {row["status"] for row in rows.json()["ResultSet"]["Result"]} == {"READY"}, rows.text
            assert len(client.get("/api/v1/prearchive?project=P").json()["items"]) == 5
            subject = {one["label"]: one["subject"] for one in client.get("/api/v1/prearchive").json()["items"]}
            src = {"src": third.removeprefix("/data"), "overwrite": "append", "http-session-listener": "key1"}
            assert client.post("/data/services/archive", data=src).status_code == 200
            events = client.get("/xapi/event_tracking/key1").json()
            assert (events["succeeded"], events["finalMessage"]) == (
                True, f"Archive:/archive/projects/P/subjects/{subject['S5']}/experiments/S5",
            )  # fmt: skip
            committed = client.post(
                fourth,
                params={"action": "commit", "auto-archive": "true", "xnat:mrSessionData/note": "by an import"},
            )
            assert (committed.status_code, committed.text) == (
                301, f"/data/archive/projects/P/subjects/{subject['S6']}/experiments/S6",
            )  # fmt: skip
            item = client.get(committed.text, params={"format": "json"}).json()["items"][0]["data_fields"]
            assert item["note"] == "by an import"
    site.check()


def test_xnats_clients_hear_why_it_stays(site: DataFolder) -> None:
    with served(site) as (_, client):
        uri = import_to_prearchive(site)
        waiting = import_to_prearchive(site, project="P", label="S2", study=2)
        with rules(FAILING):
            moved = client.post(uri, params={"action": "move", "newProject": "P"})
            assert moved.status_code == 409
            assert "could not be de-identified" in moved.text
            assert client.get(uri, params={"format": "json"}).status_code == 200
            refused = client.post("/data/services/archive", data={"src": waiting.removeprefix("/data")})
            assert (refused.status_code, "could not be de-identified" in refused.text) == (409, True)
            committed = client.post(waiting, params={"action": "commit", "auto-archive": "true"})
            assert (committed.status_code, committed.text) == (200, waiting)  # it stays, as what is held does
    site.check()
