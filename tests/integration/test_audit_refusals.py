"""What the trail tells of uploads on their way, the user's cache, receipts and exports, and of what was refused."""

from __future__ import annotations

import csv
import io
import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from scandock.services import audit
from scandock.services.refusals import MINUTE, Refusals
from scandock.testing.worker import InProcessWorker
from tests.builders import images, uploader_layout, zip_entries
from tests.crash.processes import until
from tests.integration.upload_server import FINAL_STATES
from tests.integration.web import PASSWORD, Web, serve_in_process

WORD = "Zebra"
TUS = {"Tus-Resumable": "1.0.0"}
CACHE = "/data/user/cache/resources"


@pytest.fixture
def web(tmp_path) -> Iterator[Web]:
    with serve_in_process(tmp_path / "data") as running:
        running.account("ann", P="owner")
        running.account("bob")
        yield running


def lines(web: Web, **asked: str) -> list[dict[str, Any]]:
    with web.client() as admin:
        found = admin.get("/api/v1/audit", params={"limit": 1000, **asked}).json()["items"]
    return list(found[::-1])


def of(web: Web, actor: str) -> list[tuple[str, str, str, str]]:
    return [(one["action"], one["kind"], one["project"], one["outcome"]) for one in lines(web, actor=actor)]


def good(answer: httpx.Response) -> httpx.Response:
    assert answer.status_code in (200, 201, 202, 204), answer.text
    return answer


def test_an_upload_on_its_way_is_in_the_trail(web: Web) -> None:
    with web.client("ann") as ann:
        said = b64encode(f"{WORD}.zip".encode()).decode()
        where = {"Upload-Metadata": f"filename {said},project {b64encode(b'P').decode()}"}
        key = {"Idempotency-Key": "one", "Upload-Length": "1000", **TUS, **where}
        made = good(ann.post("/api/v1/uploads", headers=key)).headers["location"]
        assert good(ann.post("/api/v1/uploads", headers=key)).headers["location"] == made  # the same: no second line
        good(ann.put(f"{made}/mapping", content=f"study_uid,subject\n1.2,{WORD}\n".encode()))
        assert ann.put(f"{made}/mapping", content=b"study\n1\n").status_code == 400
        more = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        good(ann.patch(made, headers=more, content=b"x" * 10))
        good(ann.delete(made, headers=TUS))
        assert ann.delete(made, headers=TUS).status_code == 404
    found = lines(web, actor="ann")
    assert [(one["action"], one["kind"], one["project"]) for one in found] == [
        ("upload_begin", "import", "P"), ("mapping_set", "import", "P"), ("upload_delete", "import", "P"),
    ]  # fmt: skip
    assert [one["details"] for one in found] == [
        {"bytes": 1000, "door": "tus"}, {"rows": 1}, {"bytes": 10, "door": "tus"},
    ]  # fmt: skip
    assert {one["target"] for one in found} == {made.rpartition("/")[2]}
    assert all(one["address"] and one["request_id"] for one in found)
    assert WORD not in json.dumps(found)


def test_what_changes_in_the_cache_is_in_the_trail(web: Web) -> None:
    with web.client("ann") as ann:
        for name in ("a", "b", "a"):
            good(ann.put(f"{CACHE}/{WORD}/files/{WORD}{name}.zip", content=b"bytes"))
        good(ann.get(f"{CACHE}/{WORD}/files/{WORD}a.zip"))
        good(ann.delete(f"{CACHE}/{WORD}/files/{WORD}a.zip"))
        assert ann.delete(f"{CACHE}/{WORD}/files/{WORD}a.zip").status_code == 404
        good(ann.delete(f"{CACHE}/{WORD}"))
    found = lines(web, actor="ann")
    assert [(one["action"], one["kind"]) for one in found] == [("cache_put", "file")] * 3 + [
        ("cache_delete", "file")
    ] * 2
    assert {one["details"]["bytes"] for one in found} == {5}
    assert {one["target"] for one in found[3:]} == {one["target"] for one in found[1:3]}
    assert WORD not in json.dumps(found)


def test_who_takes_a_receipt_is_in_the_trail(web: Web) -> None:
    with InProcessWorker(web.site.data), web.client("ann") as ann:
        body = zip_entries(uploader_layout(WORD, "1", images(1)))
        uuid = good(ann.post("/api/v1/imports", params={"project": "P"}, content=body)).json()["id"]
        until(lambda: ann.get(f"/api/v1/imports/{uuid}").json()["state"] in FINAL_STATES, "it never ended")
        for asked in ({}, {"format": "csv"}, {"verdict": "stored"}):
            good(ann.get(f"/api/v1/imports/{uuid}/receipt", params=asked))
        with web.client("bob") as bob:
            assert bob.get(f"/api/v1/imports/{uuid}/receipt").status_code == 404
    found = lines(web, action="download")
    assert [(one["actor"], one["kind"], one["target"], one["project"]) for one in found] == [
        ("ann", "import", uuid, "P")
    ] * 3
    assert [one["details"]["receipt"] for one in found] == ["jsonl", "csv", "jsonl"]


def test_who_exports_the_trail_is_in_it(web: Web) -> None:
    with web.client("ann") as ann, web.client() as admin:
        own = good(ann.get("/api/v1/audit/export", params={"project": "P"})).text.splitlines()
        assert not [one for one in map(json.loads, own) if one["action"] == "audit_export"]  # its own comes behind it
        every = list(csv.DictReader(io.StringIO(good(admin.get("/api/v1/audit/export?format=csv")).text)))
        assert [one["actor"] for one in every if one["action"] == "audit_export"] == ["ann"]
        assert ann.get("/api/v1/audit/export").status_code == 403
    found = lines(web, action="audit_export")
    assert [(one["actor"], one["kind"], one["project"], one["details"]) for one in found] == [
        ("ann", "audit", "P", {"format": "jsonl"}), ("admin", "audit", "", {"format": "csv"}),
    ]  # fmt: skip


def test_an_export_ends_with_the_right_to_it(web: Web, monkeypatch) -> None:
    monkeypatch.setattr("scandock.services.audit.EXPORT_PAGE_ROWS", 1)
    with web.client("ann") as ann, web.client() as admin:
        for number in range(3):
            good(admin.patch("/api/v1/projects/P", json={"name": f"{number}"}))
        assert len(good(ann.get("/api/v1/audit/export?project=P")).text.splitlines()) >= 4
        search, left = audit.search, [lambda: good(admin.delete("/api/v1/projects/P/members/ann"))]

        def searched(*given: Any, **named: Any) -> Any:
            told = search(*given, **named)
            if left:
                left.pop()()
            return told

        good(admin.put("/api/v1/projects/P/members/bob", json={"role": "owner"}))
        monkeypatch.setattr(audit, "search", searched)
        try:
            text = ann.get("/api/v1/audit/export?project=P").text
        except httpx.RemoteProtocolError:
            text = ""
        assert len(text.splitlines()) <= 1


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_what_a_right_refused_is_one_line_by_whatever_door(web: Web) -> None:
    web.account("cat", P="collaborator")
    with web.client("cat") as cat:
        for _ in range(3):
            assert cat.patch("/api/v1/projects/P", json={"name": "x"}).status_code == 403
            assert cat.put("/data/projects/P/subjects/S").status_code == 403
            assert cat.get("/projects/P/audit").status_code == 403
            assert cat.post("/api/v1/imports", params={"project": "P"}, content=b"x").status_code == 403
            assert cat.get("/api/v1/accounts").status_code == 403
    found = lines(web, actor="cat")
    assert {(one["action"], one["kind"], one["outcome"]) for one in found} == {("request", "request", "refused")}
    assert {one["details"]["right"]: one["project"] for one in found} == {
        "project_edit": "P", "subject_edit": "P", "audit_read": "P", "upload": "P", "site_admin": "",
    }  # fmt: skip
    assert len(found) == 5
    assert {one["details"]["code"] for one in found} == {"forbidden"}


def test_what_is_hidden_is_told_of_and_what_is_not_there_is_not(web: Web) -> None:
    with web.client("bob") as bob:
        for name in ("P", "p", "Nope"):
            assert bob.get(f"/api/v1/projects/{name}").status_code == 404
        assert bob.get("/api/v1/sessions/00000000-0000-0000-0000-000000000000").status_code == 404
    assert of(web, "bob") == [("request", "request", "P", "refused")]
    with web.client(None) as stranger:
        assert stranger.get("/api/v1/projects/P").status_code == 401
    assert of(web, "anonymous") == of(web, "unknown") == []


def test_each_of_many_that_is_refused_counts(web: Web) -> None:
    """Although the answer of a verb for many is 200."""
    with InProcessWorker(web.site.data), web.client("ann") as ann:
        body = zip_entries(uploader_layout(WORD, "1", images(1)))
        asked = {"project": "P", "destination": "prearchive"}
        uuid = good(ann.post("/api/v1/imports", params=asked, content=body)).json()["id"]
        until(lambda: ann.get(f"/api/v1/imports/{uuid}").json()["state"] in FINAL_STATES, "it never ended")
        [session] = ann.get("/api/v1/prearchive").json()["items"]
    with web.client("bob") as bob:
        told = good(bob.post("/api/v1/prearchive/delete", json={"sessions": [session["id"]]}))
        assert [one["done"] for one in told.json()["items"]] == [False]
    assert of(web, "bob") == [("request", "request", "P", "refused")]


def test_another_sites_page_is_told_of(web: Web) -> None:
    with web.client("ann", headers={"Sec-Fetch-Site": "cross-site"}) as ann:
        assert ann.patch("/api/v1/projects/P", json={"name": "x"}).status_code == 403
    [line] = lines(web, actor="ann")
    assert (line["action"], line["details"]) == ("request", {"code": "csrf_failed"})


def test_a_link_of_another_site_is_told_of_with_the_account(web: Web) -> None:
    with web.client("ann", headers={"Sec-Fetch-Site": "cross-site"}) as ann:
        for path in ("/data/services/tokens/issue", "/app/action/LogoutUser"):
            answer = ann.get(path)
            assert answer.status_code == 403
            assert "Open the address here by itself" in answer.text
            assert "X-CSRF-Token" not in answer.text
        assert ann.post("/login", data={"name": "ann", "password": PASSWORD}).status_code == 403
    web.site.refusals.settle()
    assert len(lines(web, actor="ann", action="request")) == 1  # the others are counted with it
    assert lines(web, actor="unknown") == []


def test_tokens_that_fail_are_one_line_for_each_account(web: Web) -> None:
    with web.client("ann") as ann:
        token = good(ann.post("/api/v1/tokens", json={"scope": "read"})).json()
    gone = "00000000-0000-4000-8000-000000000000"
    for pair in ((token["alias"], "guess"), (gone, "guess")):
        for send in ({"auth": pair}, {"headers": {"Authorization": f"Bearer {'.'.join(pair)}"}}):
            with web.asking(**send) as client:
                assert client.get("/api/v1/auth/me").status_code == 401
    with web.asking(auth=(token["alias"], token["secret"])) as client:
        assert client.get("/api/v1/auth/me").status_code == 200
    found = [one for one in lines(web) if one["action"] == "token_use"]
    assert [(one["actor"], one["outcome"]) for one in found] == [("ann", "refused"), ("unknown", "refused")]
    assert "guess" not in json.dumps(found)
    assert gone not in json.dumps(found)


def test_what_was_counted_is_there_after_the_minute_and_after_the_end(tmp_path, monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr(
        "scandock.web.deps.Refusals", lambda catalog, counted: Refusals(catalog, lambda: now[0], counted)
    )
    with serve_in_process(tmp_path / "data") as web:
        web.account("ann")
        with web.asking(auth=("ann", "guess")) as guesser:
            assert [guesser.get("/api/v1/auth/me").status_code for _ in range(10)] == [401] * 8 + [429] * 2
            now[0] = MINUTE
            assert [one["details"] for one in lines(web, actor="ann")] == [{}, {"count": 9}]
            assert guesser.get("/api/v1/auth/me").status_code == 429
        with web.asking(auth=("ann", PASSWORD)) as ann:  # throttled as well: she waits like the guesser
            assert ann.get("/api/v1/auth/me").status_code == 429
        with web.client() as admin:
            assert 'scandock_refused_total{action="login"} 12.0' in admin.get("/metrics").text
    with serve_in_process(tmp_path / "data") as web:
        assert [one["details"] for one in lines(web, actor="ann")] == [{}, {"count": 9}, {"count": 2}]
