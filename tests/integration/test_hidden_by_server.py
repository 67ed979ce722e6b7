"""A server whose site hides UIDs and patients: what it stores, answers and logs bears none of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from scandock.model.verdicts import FINAL
from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Level, Policy
from scandock.testing.privacy import given_privacy
from scandock.testing.worker import InProcessWorker
from tests.builders import zip_entries
from tests.byte_search import explain, search_bytes, search_folder
from tests.crash.processes import until
from tests.integration.web import Web, serve_in_process
from tests.marked_objects import MARKS, OTHER, marked_ecat, marked_series

KEY = b"k" * 32
LABELS = 'version "6.1"\n(0010,0010) := subject\n(0010,0020) := session\n'
FAILING = PrivacyRules(
    key=KEY,
    scripts=(LABELS + "(0008,0020) := shiftDateByIncrement[(0010,0010), 1]\n",),
    policy=Policy(study_uid="drop", patient="drop"),
)


@contextmanager
def serve(data: Path, site: PrivacyRules, **projects: PrivacyRules) -> Iterator[tuple[Web, httpx.Client, list[Any]]]:
    """A server, an administrator's client and the bodies of all that it was answered."""
    answers: list[Any] = []

    def note(response: httpx.Response) -> None:
        response.read()
        answers.append((str(response.request.url), response.content))

    with given_privacy(site, projects), InProcessWorker(data), serve_in_process(data) as web, web.client() as client:
        client.event_hooks["response"].append(note)
        yield web, client, answers


def bring(client: httpx.Client, entries: dict[str, bytes], **options: str) -> dict[str, Any]:
    """Upload an archive, and what became of it."""
    made = client.post("/api/v1/imports", params={"filename": "a.zip", **options}, content=zip_entries(entries))
    assert made.status_code == 202, made.text
    address = f"/api/v1/imports/{made.json()['id']}"
    until(lambda: client.get(address).json()["state"] in FINAL, "it never ended")
    for more in ("", "/events", "/receipt", "/exceptions", "/sessions"):
        client.get(address + more)
    ended: dict[str, Any] = client.get(address).json()
    return ended


@pytest.mark.parametrize(
    ("level", "more"), [("hash", {}), ("drop", {"scripts": (LABELS,), "profile": "basic"})], ids=["hash", "drop"]
)
def test_a_server_tells_stores_and_logs_nothing(tmp_path: Path, level: Level, more: dict[str, Any]) -> None:
    data = tmp_path / "data"
    site = PrivacyRules(key=KEY, policy=Policy(study_uid=level, patient=level), **more)
    with serve(data, site, Q=FAILING) as (web, client, answers):
        for project in ("Q", "R"):
            assert client.post("/api/v1/projects", json={"id": project, "name": project}).status_code == 201
        placed = bring(client, {**marked_series(3), "b/1.v": marked_ecat()}, project="P")
        assert placed["state"] == "placed", placed
        waiting = bring(client, marked_series(2, study=2), project="P", destination="prearchive")
        held = bring(
            client, {**marked_series(1, study=3), **marked_series(1, 2, study=3, patient_id=OTHER)}, project="P"
        )
        unassigned = bring(client, marked_series(1, study=4))
        failed = bring(client, marked_series(2, study=5), project="Q")
        refused = bring(client, {"a.txt": b"no image"}, project="P")
        states = [one["state"] for one in (waiting, held, unassigned, failed, refused)]
        assert states == ["placed", "held", "placed", "refused", "refused"]
        assert len(client.get("/api/v1/prearchive").json()["items"]) == 3
        sent = {"image_archive": ("a.zip", zip_entries(marked_series(2, study=6)), "application/zip")}
        dialect = client.post("/data/services/import", params={"dest": "/archive/projects/P"}, files=sent)
        assert dialect.status_code == 200, dialect.text
        sessions = client.get("/api/v1/sessions", params={"project": "P"}).json()["items"]
        assert len(sessions) == 3
        for session in sessions:
            scans = client.get(f"/api/v1/sessions/{session['id']}/scans").json()["items"]
            for scan in scans:
                client.get(f"/api/v1/sessions/{session['id']}/scans/{scan['id']}/thumbnail")
        client.get("/data/projects/P/experiments", params={"format": "json", "columns": "ID,label,UID,xsiType"})
        client.get("/data/prearchive/projects/P", params={"format": "json"})
        source = f"/archive/projects/P/experiments/{sessions[0]['label']}"
        client.get("/data/services/dicomdump", params={"src": source})
        for page in ("/", "/projects/P", "/prearchive", "/imports"):
            client.get(page)
        for one in client.get("/api/v1/prearchive").json()["items"]:
            base = f"/api/v1/prearchive/{one['id']}"
            if one["state"] == "conflict":
                client.get(f"{base}")
                assert client.delete(base).status_code == 200
                continue
            moved = client.post(f"{base}/move", json={"project": "R" if one["project"] == "P" else "P"})
            assert moved.status_code == 200, moved.text
            assert client.post(f"{base}/rebuild").status_code == 200
            assert client.post(f"{base}/archive", json={"label": f"E{one['timestamp']}"}).status_code == 200
        assert len(client.get("/api/v1/sessions").json()["items"]) == 5
        trashed = client.get("/api/v1/trash").json()["items"]
        assert client.post(f"/api/v1/trash/{trashed[0]['id']}/restore").status_code == 200
        again = bring(client, marked_series(3, study=2), project="R")
        assert again["entries"]["stored"] == 1, again
        deleted = client.delete(f"/api/v1/sessions/{sessions[0]['id']}")
        assert deleted.status_code in {200, 204}, deleted.text
        logged = repr(web.logged).encode()
    found = search_folder(MARKS, data) + search_bytes(MARKS, logged, "the log")
    for address, body in answers:
        found += search_bytes(MARKS, body, address)
    assert not found, explain(found)


@pytest.mark.parametrize(
    ("level", "more"), [("hash", {}), ("drop", {"scripts": (LABELS,), "profile": "basic"})], ids=["hash", "drop"]
)
def test_single_objects_are_promised_an_address_that_tells_nothing(
    tmp_path: Path, level: Level, more: dict[str, Any]
) -> None:
    """Only what is being received has what was sent; what is de-identified stands where its senders were told."""
    data = tmp_path / "data"
    site = PrivacyRules(key=KEY, policy=Policy(study_uid=level, patient=level), **more)
    with serve(data, site) as (web, client, answers):
        headers = {"Content-Type": "application/dicom"}
        sent = [*marked_series(3, study=7).values(), *marked_series(1, study=8).values()]
        uris = [
            client.post("/data/services/import", params={"project": "P"}, content=one, headers=headers).text.strip()
            for one in sent
        ]
        assert uris[:3] == [uris[0]] * 3
        assert len(set(uris)) == 2
        listed = client.get("/data/prearchive/projects/P", params={"format": "json"}).json()["ResultSet"]["Result"]
        assert sorted(f"/data{row['url']}" for row in listed) == sorted(set(uris))
        client.get("/imports")
        found = search_folder(MARKS, data, without=["incoming"])
        assert not found, explain(found)
        joined = bring(client, marked_series(1, 4, study=7), project="P", destination="prearchive")
        assert joined["state"] == "placed", joined
        counts = {}
        for uri in uris:
            files = client.get(f"{uri}/scans/ALL/files", params={"format": "json"}).json()["ResultSet"]["Result"]
            counts[uri] = len(files)
        assert counts == {uris[0]: 4, uris[3]: 1}
        logged = repr(web.logged).encode()
    found = search_folder(MARKS, data) + search_bytes(MARKS, logged, "the log")
    for address, body in answers:
        found += search_bytes(MARKS, body, address)
    assert not found, explain(found)
