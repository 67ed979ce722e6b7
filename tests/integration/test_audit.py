"""The trail of a day's work: every change over the API, by a worker and on the command line leaves its line."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

import scandock
from scandock.catalog.server_tables import trashed
from scandock.catalog.tables import project
from scandock.services.audit import AuditAction
from scandock.services.cleaning.trash import empty_trash
from scandock.testing.worker import InProcessWorker
from tests.builders import Image, uploader_layout, zip_entries
from tests.crash.processes import until
from tests.integration.in_process import call_in_process
from tests.integration.upload_server import FINAL_STATES, UploadServer
from tests.integration.web import PASSWORD, serve_in_process, settings_with_mail

WORD = "Zebra"
"""Stands in every label, patient and name of a file, and in no line of the trail."""


@pytest.fixture
def web(tmp_path):
    server = UploadServer(tmp_path / "data")
    with server.catalog.write() as connection:
        connection.execute(project.delete().where(project.c.name == "P"))  # who serves makes it
    try:
        with InProcessWorker(tmp_path / "data"), serve_in_process(tmp_path / "data", settings_with_mail()) as running:
            yield running
    finally:
        server.close()


def archive(study=1):
    image = Image(case=WORD, study=study, patient_name=f"{WORD}^{WORD}".encode(), patient_id=WORD.encode())
    return zip_entries(uploader_layout(f"{WORD}S", "1", [image.file()]))


def lines(web, **wanted):
    with web.client() as admin:
        found = admin.get("/api/v1/audit", params={"limit": 1000, **wanted}).json()["items"]
    return found[::-1]


def good(answer, *statuses):
    assert answer.status_code in (statuses or (200, 201, 202, 204)), answer.text
    return answer


def ended(client, uuid):
    until(lambda: client.get(f"/api/v1/imports/{uuid}").json()["state"] in FINAL_STATES, "it never ended")
    return client.get(f"/api/v1/imports/{uuid}").json()


@pytest.mark.long
def test_a_days_work_is_in_the_trail(web):
    web.account("ann", P="owner")
    web.account("bob")
    with web.client(None) as stranger:
        stranger.post("/api/v1/auth/login", json={"name": "ann", "password": "guess"})
    with web.client(None) as ann:
        login = good(ann.post("/api/v1/auth/login", json={"name": "ann", "password": PASSWORD})).json()
        ann.headers["X-CSRF-Token"] = login["csrf"]
        good(ann.post("/api/v1/projects", json={"id": "Q"}))
        token = good(ann.post("/api/v1/tokens", json={"scope": "upload"})).json()
        asked = {"project": "P", "filename": f"{WORD}.zip", "destination": "prearchive", "session": WORD}
        sent = good(ann.post("/api/v1/imports", params=asked, content=archive(), headers={"X-Request-Id": "sent-1"}))
        uuid = sent.json()["id"]
        assert ended(ann, uuid)["state"] == "placed"
        [waiting] = ann.get("/api/v1/prearchive").json()["items"]
        session = waiting["id"]
        for path, body in (
            (f"prearchive/{session}/move", {"project": "Q"}),
            (f"prearchive/{session}/archive", {}),
            (f"sessions/{session}/rebuild", None),
        ):
            good(ann.post(f"/api/v1/{path}", json=body))
        good(ann.patch(f"/api/v1/sessions/{session}", json={"label": f"{WORD}2"}))
        good(ann.patch(f"/api/v1/sessions/{session}/scans/1", json={"note": WORD}))
        good(ann.get(f"/api/v1/sessions/{session}/files/0/content"))
        good(ann.get(f"/api/v1/sessions/{session}/download"))
        good(ann.get("/api/v1/projects/Q/download"))
        good(ann.delete(f"/api/v1/sessions/{session}"))
        good(ann.post(f"/api/v1/trash/{session}/restore"))
        good(ann.patch("/api/v1/projects/Q", json={"prearchive_code": 0, "accessibility": "protected"}))
        good(ann.put("/api/v1/projects/Q/members/bob", json={"role": "member"}))
        told = {"kind": "email", "target": "ann@example.org", "states": ["failed"]}
        subscription = good(ann.post("/api/v1/subscriptions", json=told)).json()
        good(ann.delete(f"/api/v1/subscriptions/{subscription['id']}"))
        good(ann.delete(f"/api/v1/imports/{uuid}"))
        good(ann.delete(f"/api/v1/tokens/{token['alias']}"))
        new = good(ann.put("/api/v1/auth/password", json={"current": PASSWORD, "new": "battery staple"})).json()
        ann.headers["X-CSRF-Token"] = new["csrf"]
        good(ann.post("/api/v1/auth/logout"))
    found = [one for one in lines(web) if one["actor"] == "ann"]
    assert [(one["action"], one["outcome"]) for one in found if one["action"] != "import_end"] == [
        ("login", "refused"),
        ("login", "done"),
        ("project_create", "done"),
        ("token_create", "done"),
        ("upload", "done"),
        ("move", "done"),
        ("archive", "done"),
        ("rebuild", "done"),
        ("edit", "done"),
        ("edit", "done"),
        ("download", "done"),
        ("download", "done"),
        ("download", "done"),
        ("delete", "done"),
        ("restore", "done"),
        ("project_edit", "done"),
        ("access_set", "done"),
        ("member_set", "done"),
        ("subscribe", "done"),
        ("unsubscribe", "done"),
        ("import_delete", "done"),
        ("token_revoke", "done"),
        ("password", "done"),
        ("logout", "done"),
    ]
    assert all(before["at"] <= after["at"] for before, after in pairwise(found))
    here = [one for one in found if one["action"] != "import_end"]
    assert {one["address"] for one in here} == {"127.0.0.1"}
    assert all(one["request_id"] for one in here)
    [upload] = lines(web, request_id="sent-1")
    assert (upload["target"], upload["project"], upload["details"]["door"]) == (uuid, "P", "raw")
    [end] = lines(web, action="import_end")
    assert (end["actor"], end["target"], end["project"]) == ("ann", uuid, "P")
    assert end["details"] == {"state": "placed", "code": "", "sessions": [session], "brought": 1}
    assert WORD not in json.dumps(lines(web))


def test_an_import_that_is_refused_says_so(web):
    with web.client() as admin:
        uuid = good(admin.post("/api/v1/imports", params={"project": "P"}, content=b"no archive")).json()["id"]
        assert ended(admin, uuid)["state"] == "refused"
    [end] = lines(web, action="import_end")
    assert (end["outcome"], end["details"]["state"], end["details"]["sessions"]) == ("refused", "refused", [])
    assert end["details"]["code"]


def test_what_the_janitor_gives_up_is_in_the_trail(web):
    with web.client() as admin:
        uuid = good(admin.post("/api/v1/imports", params={"project": "P"}, content=archive())).json()["id"]
        assert ended(admin, uuid)["state"] == "placed"
        [one] = admin.get("/api/v1/sessions").json()["items"]
        good(admin.delete(f"/api/v1/sessions/{one['id']}"))
    site = web.site
    assert empty_trash(site.catalog, site.store, 0, now=2**40) == [one["id"]]
    with site.catalog.read() as connection:
        assert connection.execute(trashed.select()).first() is None
    [line] = lines(web, action="purge")
    assert (line["actor"], line["target"], line["project"]) == ("system", one["id"], "P")


def test_the_command_lines_changes_are_in_the_trail(tmp_path):
    data, rules, packed = tmp_path / "data", tmp_path / "rules", tmp_path / f"{WORD}.zip"
    rules.write_text("(0010,4000):.*P_(\\w+):1\n")
    packed.write_bytes(archive())
    for words in (
        ["admin", "project", "add", "A"],
        ["admin", "rules", "set", "session", str(rules)],
        ["import", str(packed), "--project", "B", "--create-project"],
        ["import", str(packed), "--project", "B", "--create-project"],
    ):
        done = call_in_process(*words, "--data", data)
        assert done.returncode == 0, done.stderr
    told = call_in_process("admin", "audit", "--data", data)
    assert told.returncode == 0, told.stderr
    found = [json.loads(line) for line in told.stdout.splitlines()][::-1]
    assert [(one["action"], one["kind"]) for one in found] == [
        ("project_create", "project"),
        ("rules_set", "rules"),
        ("project_create", "project"),
        ("import_end", "import"),
        ("import_end", "import"),
    ]
    assert {one["actor"] for one in found} == {"system"}
    assert all(one["address"].startswith("local uid ") for one in found)
    assert WORD not in told.stdout


def test_every_kind_of_line_is_written_somewhere():
    source = Path(scandock.__file__).parent
    values = source / "services" / "audit.py"
    text = "".join(one.read_text() for one in sorted(source.rglob("*.py")) if one != values)
    assert [
        did.name for did in AuditAction if f"AuditAction.{did.name}" not in text and f'"{did.value}"' not in text
    ] == []
