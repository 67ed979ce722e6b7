"""An account that is disabled, or loses its right, while its upload comes in: refused at its end, and nothing kept."""

from __future__ import annotations

import base64
import socket
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select, update

from scandock.catalog.server_tables import account
from scandock.catalog.tables import upload
from scandock.testing.worker import InProcessWorker
from tests.crash.archives import Study, zip_bytes
from tests.crash.processes import until
from tests.integration.upload_server import UploadServer
from tests.integration.web import PASSWORD, serve_by_socket

BODY = b"x" * 100_000
FORM = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.zip"\r\n\r\n' + BODY + b"\r\n--b--\r\n"
DOORS = {"raw": ("application/zip", BODY), "multipart": ("multipart/form-data; boundary=b", FORM)}


@pytest.fixture
def web(tmp_path):
    with serve_by_socket(tmp_path / "data") as running:
        running.account("mia", P="member")
        yield running


def count(web):
    with web.site.catalog.read() as connection:
        return connection.execute(select(func.count()).select_from(upload)).scalar_one()


@contextmanager
def half_sent(web, door, query, authorization=None):
    """An upload of mia's of which all but the last bytes have come; gives what sends those and reads the answer."""
    kind, body = DOORS[door]
    basic = "Basic " + base64.b64encode(f"mia:{PASSWORD}".encode()).decode()
    said = {
        "Host": "x",
        "Authorization": authorization or basic,
        "Content-Type": kind,
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    where = urlsplit(web.base)
    with socket.create_connection((where.hostname, where.port), timeout=20) as raw:
        head = f"POST /api/v1/imports{query} HTTP/1.1\r\n" + "".join(f"{name}: {said[name]}\r\n" for name in said)
        raw.sendall(head.encode() + b"\r\n" + body[:-50])
        until(lambda: count(web) == 1, "the upload never began")

        def end():
            raw.sendall(body[-50:])
            answer = b""
            while piece := raw.recv(65536):
                answer += piece
            return answer

        yield end


def nothing_is_left(web):
    until(lambda: (count(web), web.spools()) == (0, []), "something was kept")


@pytest.mark.parametrize("query", ["", "?project=P"])
@pytest.mark.parametrize("door", DOORS)
def test_a_disabled_account(web, door, query):
    with web.client() as admin, half_sent(web, door, query) as end:
        assert admin.patch("/api/v1/accounts/mia", json={"disabled": True}).status_code == 200
        answer = end()
    assert b"HTTP/1.1 401 " in answer
    assert b'"login_failed"' in answer
    nothing_is_left(web)


def test_a_changed_password(web):
    with web.client() as admin, half_sent(web, "raw", "") as end:
        assert admin.put("/api/v1/accounts/mia/password", json={"password": "another horse"}).status_code < 300
        assert b"HTTP/1.1 401 " in end()
    nothing_is_left(web)


def test_a_revoked_token(web):
    with web.client("mia") as mia:
        made = mia.post("/api/v1/tokens", json={"scope": "upload", "days": 1, "name": "n"}).json()
        bearer = f"Bearer {made['alias']}.{made['secret']}"
        with half_sent(web, "raw", "?project=P", bearer) as end:
            assert mia.delete(f"/api/v1/tokens/{made['alias']}").status_code == 204
            assert b"HTTP/1.1 401 " in end()
    nothing_is_left(web)


@pytest.mark.parametrize("door", DOORS)
def test_a_right_that_is_gone(web, door):
    with web.client() as admin:
        with half_sent(web, door, "?project=P") as end:
            assert admin.put("/api/v1/projects/P/members/mia", json={"role": "collaborator"}).status_code < 300
            assert b"HTTP/1.1 403 " in end()
        nothing_is_left(web)
        assert admin.put("/api/v1/projects/P/members/mia", json={"role": "member"}).status_code < 300
        with half_sent(web, door, "?project=P") as end:
            assert admin.delete("/api/v1/projects/P/members/mia").status_code == 204
            answer = end()
    assert b"HTTP/1.1 404 " in answer
    assert b'"project_unknown"' in answer
    nothing_is_left(web)


def test_a_worker_refuses_what_an_account_sent_that_is_disabled_since(tmp_path):
    server = UploadServer(tmp_path / "data")
    try:
        uuid = server.receive(zip_bytes(Study(31, 1, count=2, side=8).entries("S")), project=None)
        server.accept(uuid)
        with server.catalog.write() as connection:
            connection.execute(update(account).values(disabled=True))
        with InProcessWorker(server.data):
            assert server.ended(uuid) == "refused"
            until(lambda: not server.spooled() and not server.store.works(), "bytes or staging were left")
        assert server.row(uuid)["code"] == "account_disabled"
        assert [path for area in ("archive", "prearchive") for path in (server.data / area).rglob("*.dcm")] == []
    finally:
        server.close()
