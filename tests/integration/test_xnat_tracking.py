"""Following an import by the key of its listener: always an end, whatever happened to it (xnat-behaviour.md 6.1)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from scandock.catalog.server_tables import reception, tracked
from scandock.queue.notify import notify
from scandock.testing.worker import InProcessWorker
from scandock.web.xnat.services.cleaning import KEY_CLEANER, KEYS_KEPT_MS
from scandock.web.xnat.services.tracking import DELETED
from tests.builders import images, make_data_folder, uploader_layout, zip_entries
from tests.crash.processes import until
from tests.integration.upload_server import run_worker
from tests.integration.web import Web, serve_in_process

KEY = "20260101_101010"
TRACK = f"/xapi/event_tracking/{KEY}"
STATUS = f"/data/status/{KEY}"
FILE = f"/data/user/cache/resources/{KEY}/files/a.zip"
SRC = f"/user/cache/resources/{KEY}/files/a.zip"


@pytest.fixture
def web(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    site = make_data_folder(tmp_path, monkeypatch, database_url)
    with serve_in_process(site.data, site.settings) as running:
        yield running


def worker(web: Web) -> InProcessWorker:
    return InProcessWorker(web.site.data, web.site.settings)


def archive(case: str = "tracked", count: int = 2, **values: Any) -> bytes:
    return zip_entries(uploader_layout("folder", "1", images(count, case=case, **values)))


def submit(client: httpx.Client, body: bytes | None = None, /, **asked: str) -> str:
    """As the page does it: the file into the cache, then a form that names it."""
    assert client.put(FILE, content=archive() if body is None else body).status_code == 200
    form = {"src": (None, SRC), "http-session-listener": (None, KEY), "project": (None, "P")}
    answer = client.post("/data/services/import", files={**form, **{k: (None, v) for k, v in asked.items()}})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.text


def told(client: httpx.Client) -> dict[str, Any]:
    answer = client.get(TRACK)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    assert set(found) == {"key", "payload", "succeeded", "finalMessage"}
    assert found["key"] == KEY
    return found


def statuses(client: httpx.Client) -> list[dict[str, Any]]:
    """What the older way tells of the key."""
    (found,) = client.get(STATUS, params={"format": "json"}).raise_for_status().json()["msgs"]
    return list(found)


def ended(client: httpx.Client) -> dict[str, Any]:
    until(lambda: told(client)["succeeded"] is not None, "it never ended")
    return told(client)


@pytest.mark.postgresql
def test_a_listener_hears_how_an_import_goes_and_how_it_ends(web: Web, client: httpx.Client) -> None:
    assert submit(client) == "Submitted for prearchival"
    waiting = told(client)
    assert (waiting["succeeded"], waiting["finalMessage"]) == (None, None)
    assert [one["status"] for one in json.loads(waiting["payload"])["entryList"]] == ["Waiting"]
    assert [(one["status"], one["terminal"]) for one in statuses(client)] == [("PROCESSING", False)]
    with worker(web):
        found = ended(client)
    assert found["succeeded"] is True
    assert found["finalMessage"].startswith("Prearchive:/prearchive/projects/P/")
    entries = json.loads(found["payload"])["entryList"]
    assert {tuple(one) for one in entries} == {("status", "eventTime", "message")}
    messages = [one["message"] for one in entries]
    assert messages[1:3] == ["Determining destination", "Importing file (a.zip )"]
    assert messages[-1].startswith("Placed: /data/prearchive/")
    assert [one["eventTime"] for one in entries] == sorted(one["eventTime"] for one in entries)
    assert client.get(f"{TRACK}/payload").text == found["payload"]
    *before, last = statuses(client)
    assert [one["msg"] for one in before] == [one["message"] for one in entries]
    assert last == {"status": "COMPLETED", "msg": found["finalMessage"], "terminal": True}


def test_the_end_of_an_archived_one_and_of_one_that_is_refused(web: Web, client: httpx.Client) -> None:
    with worker(web):
        assert submit(client, prearchive_code="1", **{"auto-archive": "true"}) == "Submitted for archival"
        found = ended(client)
        assert found["finalMessage"] == "Archive:/archive/projects/P/subjects/DOE_JANE/experiments/PAT1"
        # the key again: it tells of the newest
        submit(client, zip_entries({"a.txt": b"text"}), action="commit")
        found = ended(client)
        assert found["succeeded"] is False
        assert found["finalMessage"].startswith("Upload did not include parsable files for session generation.")
        assert statuses(client)[-1] == {"status": "FAILED", "msg": found["finalMessage"], "terminal": True}
        submit(client, archive(count=3), dest="/archive/projects/P", overwrite="none")
        found = ended(client)
        assert found["succeeded"] is False
        assert "/data/prearchive/projects/P/" in found["finalMessage"]


def test_a_key_of_a_body_is_followed_too(web: Web, client: httpx.Client) -> None:
    with worker(web):
        asked = {"project": "P", "http-session-listener": KEY}
        answer = client.post("/data/services/import", params=asked, content=archive())
    assert answer.text.startswith("/data/prearchive/"), "without src it waits all the same"
    assert told(client)["finalMessage"] == "Prearchive:" + answer.text.strip().removeprefix("/data")


def test_keys_are_their_user_s_alone(web: Web, client: httpx.Client) -> None:
    web.account("mia", P="member")
    with web.client("mia") as mia, web.client(None) as nobody:
        submit(mia)
        assert told(mia)["succeeded"] is None
        for where in (TRACK, f"{TRACK}/payload", STATUS):
            assert client.get(where).status_code == 404, "administrators too"
            assert nobody.get(where).status_code == 401
        assert client.get(TRACK).content == b""
        text = f"No event listener data with key {KEY} accessible to user"
        assert client.get(f"{TRACK}/payload").text == text
        submit(client)
        assert told(client)["succeeded"] is told(mia)["succeeded"] is None


def test_cancelled_and_deleted_imports_have_an_end(web: Web, client: httpx.Client) -> None:
    submit(client)
    (uuid,) = web.spools()
    client.post(f"/api/v1/imports/{uuid}/cancel")
    found = told(client)
    assert (found["succeeded"], found["finalMessage"]) == (False, "The import was cancelled; nothing was stored.")
    assert client.delete(f"/api/v1/imports/{uuid}").status_code == 204
    assert (told(client)["succeeded"], told(client)["finalMessage"]) == (False, DELETED)
    with worker(web):
        submit(client)
        ended(client)
    uuid = client.get("/api/v1/imports").json()["items"][0]["id"]
    assert client.delete(f"/api/v1/imports/{uuid}").status_code == 204
    assert (told(client)["succeeded"], told(client)["finalMessage"]) == (True, DELETED)


@pytest.mark.processes
def test_an_import_whose_attempt_is_killed_has_an_end(web: Web, client: httpx.Client) -> None:
    submit(client)

    def hurried() -> bool:
        """It waits between its attempts; nobody waits for that here."""
        with web.site.catalog.write() as connection:
            connection.execute(update(reception).values(retry_at=0))
        notify(web.site.data)
        return told(client)["succeeded"] is not None

    data, url = Path(web.site.data), web.site.settings.database_url
    with run_worker(data, url, SCANDOCK_CRASH_AT="read", SCANDOCK_CRASH_BY="SIGKILL"):
        until(hurried, "it never ended")
    found = told(client)
    assert found["succeeded"] is False
    assert found["finalMessage"].startswith("The import was begun 3 times, and each time it was lost.")
    assert "What was sent is kept" in found["finalMessage"]


@pytest.mark.postgresql
def test_old_keys_are_forgotten_but_not_of_what_goes_on(web: Web, client: httpx.Client) -> None:
    submit(client)
    (uuid,) = web.spools()
    with web.site.catalog.write() as connection:
        connection.execute(update(tracked).values(created=tracked.c.created - KEYS_KEPT_MS - 1000))
    assert KEY_CLEANER.clean(web.site, KEYS_KEPT_MS) == 0
    client.post(f"/api/v1/imports/{uuid}/cancel")
    assert KEY_CLEANER.clean(web.site, KEYS_KEPT_MS) == 1
    assert client.get(TRACK).status_code == 404
    with web.site.catalog.read() as connection:
        assert connection.execute(select(tracked)).all() == []
