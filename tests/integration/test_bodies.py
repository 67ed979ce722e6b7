"""Bodies that are no upload, by HTTP: strangers, forms, half-sent ones, and the bodies that clients really send."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from scandock.services.settings import load_settings
from scandock.web.bodies import BodyLimits, is_upload
from scandock.web.receiving.limits import mapping_too_large
from tests.integration.web import PASSWORD, Web, serve_by_socket

KB = 1024


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A server on a socket."""
    with serve_by_socket(tmp_path_factory.mktemp("bodies") / "data", load_settings()) as running:
        yield running


@pytest.fixture
def soon(served: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies that stop are told so at once, and what is left of them is not waited for."""
    monkeypatch.setattr(BodyLimits, "first_seconds", 0.2)
    connections = served.app.state.connections
    monkeypatch.setattr(connections, "bounds", replace(connections.bounds, rest_seconds=0.2, linger_seconds=0.2))


class Line:
    """A connection of the test's own."""

    def __init__(self, web: Web) -> None:
        where = urlsplit(web.base)
        self.raw = socket.create_connection((where.hostname, where.port), timeout=20)

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.raw.close()

    def send(self, first: str, *headers: str, body: bytes = b"") -> Line:
        head = "\r\n".join((f"{first} HTTP/1.1", "Host: x", *headers, "", ""))
        self.raw.sendall(head.encode() + body)
        return self

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer, by its stated length."""
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.raw.recv(1)
            assert piece, head
            head += piece
        first, *lines = head.decode().splitlines()
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines if line)}
        body = b""
        while len(body) < int(headers.get("content-length", 0)):
            body += self.raw.recv(65536)
        return int(first.split()[1]), headers, body

    def is_closed(self) -> bool:
        """Whether the server ends the connection; waits until it does."""
        try:
            return self.raw.recv(1) == b""
        except ConnectionResetError:
            return True


def basic(password: str = PASSWORD) -> str:
    import base64

    return "Authorization: Basic " + base64.b64encode(f"admin:{password}".encode()).decode()


def test_routes_that_take_uploads_are_these_and_no_others(served: Web) -> None:
    """A new route is bounded unless it says that it takes an upload."""
    marked = {
        f"{route.endpoint.__module__.removeprefix('scandock.web.')}.{route.endpoint.__name__}"
        for one in served.app.routes
        for route in getattr(getattr(one, "original_router", None), "routes", [one])
        if is_upload(route.endpoint)
    }
    assert marked == {
        "dicomweb.store.store_objects", "dicomweb.store.store_study_objects",
        "v1.imports.create", "tus.routes.create", "tus.routes.go_on", "tus.routes.overridden", "pages.upload.send",
        "xnat.import_service.import_archive", "xnat.file_uploads.put", "xnat.cache.put",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("route", "kind", "shown"),
    [
        ("POST /api/v1/auth/login", "application/json", b'"code": "body_too_large"'),
        ("POST /login", "application/x-www-form-urlencoded", b"The body has more than 65,536 bytes"),
        ("PUT /data/services/auth", "application/x-www-form-urlencoded", b"The body has more than 65,536 bytes"),
        ("PATCH /api/v1/auth/me", "application/json", b'"code": "body_too_large"'),
    ],
)
def test_315_mb_of_a_stranger_are_refused_before_they_come(served: Web, route: str, kind: str, shown: bytes) -> None:
    for more in (("Content-Length: 315000000", "Expect: 100-continue"), ("Transfer-Encoding: chunked",)):
        expected = len(more) == 2
        body = b"" if expected else b"11000\r\n" + b"x" * 0x11000 + b"\r\n"
        with Line(served).send(route, f"Content-Type: {kind}", *more, body=body) as line:
            status, headers, told = line.answer()
            assert (status, headers.get("connection"), shown in told) == (413, "close" if expected else None, True), (
                told
            )
            assert body or line.is_closed()
    with served.client() as client:
        assert 'scandock_bodies_refused_total{by="size"}' in client.get("/metrics").text


def test_what_proves_nothing_buys_no_body(served: Web) -> None:
    big = {"name": "admin", "password": "x", "more": "x" * 100 * KB}
    with served.client(None) as client:
        for route in ("auth/login", "projects"):
            told = client.post(f"/api/v1/{route}", json=big, headers={"Cookie": "scandock_session=x"})
            assert told.status_code == 413, told.text
            assert client.post(f"/api/v1/{route}", json=big, auth=("admin", "wrong")).status_code == 401
        assert client.post("/api/v1/auth/login", json={"name": "admin", "password": PASSWORD}).status_code == 200


def test_a_body_after_login_may_have_a_megabyte(served: Web) -> None:
    with served.client() as client:
        told = client.post("/api/v1/projects", json={"id": "Q", "name": "x" * 900 * KB})
        assert (told.status_code, told.json()["code"]) == (422, "request_invalid")
        told = client.post("/api/v1/projects", json={"id": "Q", "name": "x" * 1100 * KB})
        assert (told.status_code, told.json()["code"]) == (413, "body_too_large")


def test_a_json_body_has_1_000_names_in_an_object_and_10_000_values_and_no_more(served: Web) -> None:
    many = {str(n): 1 for n in range(5_000)}
    with served.client(None) as client:
        told = client.post("/api/v1/auth/login", json=many)
        assert (told.status_code, told.json()["code"], len(told.content) < 1_000) == (400, "request_invalid", True)
    with served.client() as client:
        for route, body in {
            "projects": {"id": "ZZ", **{str(n): 1 for n in range(95_000)}},
            "prearchive/delete": {"sessions": [0] * 400_000},
            "sessions/known": {"sessions": [dict.fromkeys("abcdefgh", 1)] * 2_000},
        }.items():
            told = client.post(f"/api/v1/{route}", json=body)
            assert (told.status_code, told.json()["code"]) == (400, "request_invalid"), told.text
            assert "The body has" in told.json()["detail"]
            assert len(told.content) < 1_000
        told = client.post("/data/services/archive", json=many)
        assert (told.status_code, b"more than 1,000 members" in told.content) == (400, True), told.text


def test_what_is_off_with_a_body_is_named_within_bounds_and_large_ones_are_taken(served: Web) -> None:
    with served.client() as client:
        told = client.post("/api/v1/projects", json={"id": "ZZ", **{"x" * 800 + str(n): 1 for n in range(900)}})
        assert (told.status_code, len(told.json()["errors"])) == (422, 20)
        assert len(told.content) < 20_000
        told = client.post("/api/v1/prearchive/delete", json={"sessions": [str(n) for n in range(500)]})
        assert (told.status_code, len(told.json()["items"])) == (200, 500), told.text
        known = [{"project": "P", "label": str(n), "study_uid": "1"} for n in range(2_000)]
        assert client.post("/api/v1/sessions/known", json={"sessions": known}).status_code == 200


@pytest.mark.parametrize("body", [b'{"id": "\xff"}', b"[" * 100_000, b'{"id": ' + b"1" * 5_000 + b"}"])
def test_a_body_that_is_no_json_is_said_to_be_none(served: Web, body: bytes) -> None:
    with served.client() as client:
        told = client.post("/api/v1/projects", content=body, headers={"Content-Type": "application/json"})
        assert (told.status_code, told.json()["code"]) == (400, "request_invalid")
        assert "The body is no JSON" in told.json()["detail"]
        assert "JSON" in told.json()["remedy"]


def test_a_multipart_form_of_the_dialect_has_1_000_fields_and_no_more(served: Web) -> None:
    with served.client() as client:
        for number, many in ((1_000, False), (1_001, True)):
            told = client.post("/data/services/archive", files=[("src", (None, "x"))] * number)
            assert (b"The form has more than 1,000 fields." in told.content) is many, told.text
            assert b"Too many fields" not in told.content
        assert told.status_code == 400


def test_a_mapping_over_16_mib_is_named_with_its_limit(served: Web) -> None:
    large = b"x" * (16 * 1024 * KB + 1)
    with served.client() as client:
        form = client.post("/api/v1/imports", files={"mapping": ("m.csv", large), "file": ("a.zip", b"PK")})
        assert (form.status_code, form.json()["code"]) == (413, "body_too_large")
        assert form.json()["detail"] == mapping_too_large().message


@pytest.mark.usefixtures("soon")
def test_a_body_that_stops_is_told_so_and_an_upload_is_waited_for(served: Web) -> None:
    half = ("Content-Type: application/json", "Content-Length: 40")
    with Line(served).send("POST /api/v1/auth/login", *half, body=b'{"name": ') as line:
        status, headers, told = line.answer()
        assert (status, headers["connection"], b"body_too_slow" in told) == (408, "close", True)
        assert line.is_closed()
    with (
        Line(served).send("POST /api/v1/imports?filename=a", basic(), "Content-Length: 8", body=b"half") as upload,
        Line(served).send("POST /api/v1/auth/login", *half, body=b"{") as form,
    ):
        assert form.answer()[0] == 408
        upload.raw.sendall(b"half")
        assert upload.answer()[0] == 202


@pytest.mark.usefixtures("soon")
def test_a_half_sent_body_that_nobody_reads_ends_with_its_connection(served: Web) -> None:
    with Line(served).send("POST /data/JSESSION", basic(), "Content-Length: 8", body=b"half") as line:
        assert line.answer()[0] == 200
        assert line.is_closed()


def test_a_whole_body_that_nobody_reads_leaves_the_connection_open(served: Web) -> None:
    with Line(served).send("POST /data/JSESSION", basic(), "Content-Length: 4", body=b"full") as line:
        assert ("connection" in line.answer()[1], line.send("GET /healthz").answer()[0]) == (False, 200)


def test_100_continue_is_said_where_a_body_is_wanted(served: Web) -> None:
    said: tuple[Any, ...] = (basic(), "Content-Type: application/json", "Content-Length: 11", "Expect: 100-continue")
    with Line(served).send("POST /api/v1/projects", *said) as line:
        assert line.answer()[0] == 100
        line.raw.sendall(b'{"id": "R"}')
        assert line.answer()[0] == 201


def test_a_mapping_of_16_mb_is_taken_after_login(served: Web) -> None:
    whole = b'[{"folder": "a", "session": "b"}'
    whole += b" " * (16 * KB * KB - len(whole) - 1) + b"]"
    with served.client() as client:
        made = client.post("/api/v1/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "10"})
        address = f"{made.headers['location']}/mapping"
        assert client.put(address, content=whole).status_code == 204
        assert client.put(address, content=whole + b" ").status_code == 413
    with served.client(None) as client:
        assert client.put(address, content=whole).status_code == 401


def test_a_refused_upload_is_told_to_a_client_that_goes_on_sending(served: Web) -> None:
    size = 64 * 1024 * KB
    with Line(served).send("POST /api/v1/imports?project=Nowhere", basic(), f"Content-Length: {size}") as line:
        for _ in range(64):
            line.raw.sendall(bytes(1024 * KB))
        assert line.answer()[0] == 404
