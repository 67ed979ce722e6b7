"""Whole bodies, raw and multipart, against a real server: kept once they are acknowledged, else without a trace."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select

from scandock.catalog.server_tables import audit, reception
from scandock.catalog.tables import upload
from scandock.model.machine_errors import DiskFull
from scandock.rules.import_request import ImportRequest
from scandock.services import spool_writer
from scandock.services.cleaning.uploads import delete_abandoned_uploads, discard_ended_spools
from scandock.services.receiving import UploadOffer
from scandock.services.settings import load_settings
from tests.builders import make_data_folder
from tests.crash.processes import until
from tests.integration.web import PASSWORD, serve_by_socket

pytestmark = pytest.mark.usefixtures("unswept")

DATA = hashlib.shake_256(b"archive").digest(3_300_000)


@pytest.fixture
def web(tmp_path, database_url, monkeypatch):
    site = make_data_folder(tmp_path, monkeypatch, database_url)
    with serve_by_socket(site.data, site.settings) as running:
        yield running


@pytest.fixture
def embedded(tmp_path):
    with serve_by_socket(tmp_path / "data") as running:
        yield running


def rows(web):
    with web.site.catalog.read() as connection:
        return connection.execute(select(func.count()).select_from(upload)).scalar_one()


def begin_request(web, path, headers, start):
    """A request on a socket of the test's own, of which only a part is sent."""
    where = urlsplit(web.base)
    raw = socket.create_connection((where.hostname, where.port), timeout=20)
    said = {"Host": "x", "Authorization": "Basic " + _basic(), **headers}
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in said.items())
    raw.sendall(head.encode() + b"\r\n" + start)
    return raw


def _basic():
    import base64

    return base64.b64encode(f"admin:{PASSWORD}".encode()).decode()


def test_a_raw_body_is_kept_once_it_is_acknowledged(web):
    asked = {
        "project": "p",
        "subject": "S1",
        "overwrite": "append",
        "filename": "x/day 1.zip",
        "mapping": "folder,subject\na,b",
    }
    with web.client() as client:
        answer = client.post("/api/v1/imports", params=asked, content=DATA)
        assert answer.status_code == 202
        made = answer.json()
        assert answer.headers["location"] == f"/api/v1/imports/{made['id']}"
        assert (made["state"], made["archive"], made["project"]) == ("received", "day 1.zip", "P")
        assert made["bytes"]["received"] == len(DATA)
        assert client.get(answer.headers["location"]).json() == made
    assert web.spool(made["id"]) == DATA
    with web.site.catalog.read() as connection:
        row = connection.execute(select(upload, reception).join(reception, reception.c.upload_id == upload.c.id)).one()
        trail = connection.execute(select(audit.c.action, audit.c.target).where(audit.c.kind == "import")).all()
    assert json.loads(row.request) == {"project": "P", "subject": "S1", "overwrite": "append"}
    assert (row.state, row.size, row.received, row.mapping) == ("received", len(DATA), len(DATA), asked["mapping"])
    assert row.accepted is not None
    assert trail == [("upload", made["id"])]


def test_a_multipart_body_is_kept_with_its_fields_before_and_behind(web):
    boundary = "b0und"
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"
        for name, more, value in (
            ("project", "", b"P"),
            ("image", '; filename="a.tar.gz"', DATA),
            ("session", "", b"L1"),
            ("mapping", '; filename="m.json"', b'[{"folder": "a", "subject": "S"}]'),
        )
    )
    body += f"--{boundary}--\r\n".encode()
    with web.client() as client:
        answer = client.post(
            "/api/v1/imports", content=body, headers={"Content-Type": f"multipart/form-data; boundary={boundary}"}
        )
    assert answer.status_code == 202, answer.text
    assert web.spool(answer.json()["id"]) == DATA
    with web.site.catalog.read() as connection:
        row = connection.execute(select(upload.c.archive, upload.c.request)).one()
        mapping = connection.execute(select(reception.c.mapping)).scalar_one()
    assert (row.archive, json.loads(row.request)) == ("a.tar.gz", {"project": "P", "session": "L1"})
    assert json.loads(mapping) == [{"folder": "a", "subject": "S"}]


def test_a_multipart_body_that_names_another_project_behind_its_file_leaves_nothing(embedded):
    body = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nxyz\r\n'
        b'--b\r\nContent-Disposition: form-data; name="project"\r\n\r\nQ\r\n--b--\r\n'
    )
    with embedded.client() as client:
        answer = client.post(
            "/api/v1/imports", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
        )
    assert (answer.status_code, answer.json()["code"]) == (404, "project_unknown")
    assert (embedded.spools(), rows(embedded)) == ([], 0)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"--b--\r\n", "multipart_no_file"),
        (b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nxyz', "multipart_damaged"),
        (b"nothing of the sort", "multipart_damaged"),
    ],
)
def test_a_multipart_body_without_a_whole_file_leaves_nothing(embedded, body, code):
    with embedded.client() as client:
        answer = client.post(
            "/api/v1/imports", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
        )
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert (embedded.spools(), rows(embedded)) == ([], 0)


@pytest.mark.parametrize("length", ["3000000", None], ids=["stated length", "chunks"])
def test_a_broken_connection_leaves_nothing(embedded, length):
    headers = {"Content-Length": length} if length else {"Transfer-Encoding": "chunked"}
    start = b"x" * 1_500_000 if length else b"16e360\r\n" + b"x" * 1_500_000 + b"\r\n"
    raw = begin_request(embedded, "/api/v1/imports", headers, start)
    until(lambda: rows(embedded) == 1)
    raw.close()
    until(lambda: rows(embedded) == 0)
    until(lambda: embedded.spools() == [])


def test_a_client_that_falls_silent_is_let_go(tmp_path):
    settings = load_settings()
    with serve_by_socket(tmp_path / "data", settings) as web:
        object.__setattr__(web.site.receiving.limits, "idle_seconds", 0.2)
        with begin_request(web, "/api/v1/imports", {"Content-Length": "100"}, b"x") as raw:
            assert b"408 Request Timeout" in raw.recv(65536)
        until(lambda: rows(web) == 0)
        assert web.spools() == []


def test_the_right_to_upload_is_asked_before_a_byte_is_taken(embedded):
    embedded.account("mia", P="member")
    embedded.account("carl", P="collaborator")
    embedded.account("eve")
    for name, status, code in (
        (None, 401, "login_needed"),
        ("eve", 404, "project_unknown"),
        ("carl", 403, "forbidden"),
    ):
        with begin_request_as(embedded, name) as raw:  # none of the body is ever sent
            answer = raw.recv(65536)
        assert f"HTTP/1.1 {status}".encode() in answer
        assert f'"code": "{code}"'.encode() in answer
    with embedded.client("mia") as client:
        assert client.post("/api/v1/imports?project=P", content=b"x").status_code == 202
        assert client.post("/api/v1/imports", content=b"x").status_code == 202
        refused = client.post("/api/v1/imports?project=P&mapping=folder,project%0Aa,Q", content=b"x")
        assert (refused.status_code, refused.json()["code"]) == (404, "project_unknown")


def begin_request_as(web, name):
    headers = {"Content-Length": "1000000"}
    if name is None:
        headers["Authorization"] = ""
    else:
        import base64

        headers["Authorization"] = "Basic " + base64.b64encode(f"{name}:{PASSWORD}".encode()).decode()
    return begin_request(web, "/api/v1/imports?project=P", headers, b"")


def test_a_hidden_project_is_refused_in_the_words_of_one_that_is_not_there(embedded):
    embedded.account("eve")
    with embedded.client("eve") as client:
        hidden, missing = (
            client.post(f"/api/v1/imports?project={name}", content=b"x", headers={"X-Request-Id": "same"})
            for name in "PQ"
        )
    assert hidden.json() == {**missing.json(), "detail": missing.json()["detail"].replace("project Q", "project P")}
    assert hidden.status_code == missing.status_code == 404


def test_space_is_reserved_before_bytes_are_taken(embedded):
    free = embedded.site.store.reserve(0)
    with (
        embedded.client() as client,
        begin_request(embedded, "/api/v1/imports", {"Content-Length": str(free + 10_000)}, b"") as raw,
    ):
        answer = raw.recv(65536)
        assert b"507 " in answer
        assert f"{free + 10_000:,} bytes are needed".encode() in answer
        # what another upload has announced is as good as taken
        half = free // 2 + 10_000_000
        with begin_request(embedded, "/api/v1/imports", {"Content-Length": str(half)}, b"x"):
            until(lambda: rows(embedded) == 1)
            with begin_request(embedded, "/api/v1/imports", {"Content-Length": str(half)}, b"") as second:
                assert b"507 " in second.recv(65536)
        assert client.get("/healthz").status_code == 200


def test_limits_for_an_upload_and_an_account(embedded):
    object.__setattr__(embedded.site.receiving.limits, "upload_bytes", 2_000_000)
    object.__setattr__(embedded.site.receiving.limits, "uploads", 1)
    with embedded.client() as client:
        stated = client.post("/api/v1/imports", content=DATA)
        chunked = client.post("/api/v1/imports", content=iter([DATA]))
        for answer in (stated, chunked):
            assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
        assert (embedded.spools(), rows(embedded)) == ([], 0)
        with begin_request(embedded, "/api/v1/imports", {"Content-Length": "1000"}, b"x"):
            until(lambda: rows(embedded) == 1)
            answer = client.post("/api/v1/imports", content=b"x")
            assert (answer.status_code, answer.json()["code"]) == (429, "uploads_too_many")
            assert int(answer.headers["retry-after"]) > 0
        until(lambda: rows(embedded) == 0)
        assert client.post("/api/v1/imports", content=b"x").status_code == 202


@pytest.mark.postgresql
def test_the_same_idempotency_key_makes_one_import(web):
    key = {"Idempotency-Key": "k-1"}
    with web.client() as client:
        first = client.post("/api/v1/imports?project=P", content=b"abc", headers=key).json()
        second = client.post("/api/v1/imports?project=P", content=b"abc", headers=key)
        assert (second.status_code, second.json()["id"]) == (202, first["id"])
        other = client.post("/api/v1/imports?project=P&subject=S", content=b"abc", headers=key)
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert rows(web) == 1


@pytest.mark.postgresql
def test_a_key_can_be_used_again_whose_upload_broke_while_nothing_could_be_written(embedded, monkeypatch):
    """Neither that it was kept nor that it was given up: its row stays, and stands in nobody's way."""

    def full(*_arguments, **_more):
        raise DiskFull("No space left.")

    def send(client):
        return client.post("/api/v1/imports?project=P", content=b"PK", headers={"Idempotency-Key": "k"})

    with embedded.client() as client:
        with monkeypatch.context() as patch:
            for call in ("accept", "discard"):
                patch.setattr(embedded.site.receiving, call, full)
            assert send(client).status_code == 507
        for call, left in (("discard", 1), ("_insert", 0)):
            with monkeypatch.context() as patch:
                patch.setattr(embedded.site.receiving, call, full)
                assert send(client).status_code == 507
            assert rows(embedded) == left
        made = send(client)
        assert made.status_code == 202, made.text
        assert send(client).json()["id"] == made.json()["id"]
    assert rows(embedded) == 1


def test_what_a_killed_server_left_of_whole_bodies_is_cleared_away(web, monkeypatch):
    mine = UploadOffer(account_id=1, door="raw", filename="a.zip", request=ImportRequest(), size=10)
    with web.site.catalog.read() as connection:
        account_id = connection.execute(select(audit.c.account_id).limit(1)).scalar_one()
    alive, dead = (web.site.receiving.begin(replaced(mine, account_id)) for _ in range(2))
    web.site.store.spool(dead.uuid).append(0, b"xx")
    with web.site.catalog.write() as connection:
        connection.execute(upload.update().where(upload.c.id == dead.upload_id).values(owner=json.dumps(of_the_dead())))
    assert delete_abandoned_uploads(web.site.receiving) == 1
    assert (web.site.receiving.find(dead.uuid), web.spools()) == (None, [])
    assert web.site.receiving.find(alive.uuid) is not None


def test_so_is_what_one_left_that_is_still_to_be_reaped(web):
    """Nobody reaps what a killed supervisor had started before init comes to it."""
    offer = UploadOffer(account_id=1, door="raw", filename="a.zip", request=ImportRequest(), size=10)
    with web.site.catalog.read() as connection:
        account_id = connection.execute(select(audit.c.account_id).limit(1)).scalar_one()
    left = web.site.receiving.begin(replaced(offer, account_id))
    with subprocess.Popen(
        [sys.executable, "-c", "from scandock.queue.owner import this_owner; print(this_owner())"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        owner = process.stdout.read()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with web.site.catalog.write() as connection:
            connection.execute(upload.update().where(upload.c.id == left.upload_id).values(owner=owner))
        assert delete_abandoned_uploads(web.site.receiving) == 1
    assert web.site.receiving.find(left.uuid) is None


def test_what_a_request_brings_is_never_taken_for_broken(embedded):
    """However long ago it could last be noted."""
    headers = {"Content-Length": "1000", "Idempotency-Key": "k"}
    with begin_request(embedded, "/api/v1/imports", headers, b"x") as raw, embedded.client() as client:
        until(lambda: rows(embedded) == 1)
        with embedded.site.catalog.write() as connection:
            connection.execute(reception.update().values(reserved_until=1))
        until(lambda: embedded.site.receptions)
        assert delete_abandoned_uploads(embedded.site.receiving) == 0
        again = client.post("/api/v1/imports", content=b"x" * 1000, headers={"Idempotency-Key": "k"})
        assert (again.status_code, again.json()["code"]) == (409, "upload_running")
        raw.sendall(b"x" * 999)
        assert b"202 Accepted" in raw.recv(65536)
    until(lambda: not embedded.site.receptions)


def replaced(offer, account_id):
    from dataclasses import replace

    return replace(offer, account_id=account_id)


def of_the_dead():
    from scandock.queue.owner import this_owner

    return {**json.loads(this_owner()), "pid": 2**22 + 1, "started": 1}


def test_bytes_of_ended_imports_go_and_those_of_strangers_stay(embedded):
    with embedded.client() as client:
        ended, failed = (client.post("/api/v1/imports", content=b"x").json()["id"] for _ in range(2))
    with embedded.site.catalog.write() as connection:
        for uuid, state in ((ended, "refused"), (failed, "failed")):
            connection.execute(upload.update().where(upload.c.uuid == uuid).values(state=state))
    embedded.site.store.spool("of-another-catalog").append(0, b"x")
    assert discard_ended_spools(embedded.site.catalog, embedded.site.store) == 1
    assert sorted(embedded.spools()) == sorted([failed, "of-another-catalog"])


def test_a_cancel_while_it_comes_in_ends_it(embedded, monkeypatch):
    monkeypatch.setattr(spool_writer, "MARK_BYTES", 1)
    with embedded.client() as client:
        with begin_request(embedded, "/api/v1/imports", {"Content-Length": "9000000"}, b"x" * 10) as raw:
            until(lambda: rows(embedded) == 1)
            (item,) = client.get("/api/v1/imports").json()["items"]
            assert item["state"] == "receiving"
            assert item["progress"]["bytes"] == {"done": 0, "total": 9_000_000}
            assert client.post(f"/api/v1/imports/{item['id']}/cancel").json()["state"] == "cancelled"
            raw.sendall(b"x" * 8_999_990)
            assert b"410 Gone" in raw.recv(65536)
        until(lambda: embedded.spools() == [])
        assert client.get(f"/api/v1/imports/{item['id']}").json()["state"] == "cancelled"


def test_the_log_tells_no_names(embedded):
    with embedded.client() as client:
        client.post("/api/v1/imports?project=P&subject=Mustermann&filename=Mustermann.zip", content=b"x")
        client.get("/api/v1/imports/Mustermann")
    lines = [line for line in embedded.logged if line["event"] == "request"]
    assert {line["route"] for line in lines} >= {"/api/v1/imports", "/api/v1/imports/{id}"}
    assert "Mustermann" not in json.dumps(embedded.logged)
    assert any(line.get("upload") for line in lines)
