"""HEAD is answered wherever GET is, without a body; a method that is not possible is told which ones are."""

from __future__ import annotations

import pytest

from scandock.services.settings import load_settings
from tests.integration.web import serve_by_socket

LISTS = [
    f"/api/v1/{name}" for name in ("imports", "projects", "subjects", "sessions", "prearchive", "audit", "accounts")
]


@pytest.fixture(scope="module", params=["", "/dock"], ids=["root", "base path"])
def web(tmp_path_factory, request):
    with pytest.MonkeyPatch.context() as patch:
        if request.param:
            patch.setenv("SCANDOCK_BASE_PATH", request.param)
        with serve_by_socket(tmp_path_factory.mktemp("methods") / "data", load_settings()) as running:
            yield running, request.param


@pytest.fixture
def client(web):
    running, path = web
    with running.client() as made:
        made.base_url = running.base + path
        yield made


@pytest.mark.long
def test_head_says_what_get_says_without_its_body(client):
    uuid = client.post("/api/v1/imports?project=P", content=b"x").json()["id"]
    addresses = ["/", "/healthz", "/readyz", "/metrics", "/api/openapi.json", *LISTS, "/api/v1/projects/P"]
    for address in [*addresses, f"/api/v1/imports/{uuid}"]:
        got, head = client.get(address), client.head(address)
        assert (head.status_code, head.content) == (200, b""), address
        for name in ("content-type", "etag", "cache-control"):
            assert head.headers.get(name) == got.headers.get(name), address
        if address != "/metrics":  # which counts the request itself
            assert head.headers["content-length"] == got.headers["content-length"] != "0", address
    assert client.get("/healthz").json() == {"status": "ok"}  # on the very connection


def test_head_of_what_is_not_there_or_not_allowed_is_as_get(client):
    for address in ("/api/v1/imports/none", "/api/v1/nothing"):
        assert (client.head(address).status_code, client.head(address).content) == (404, b"")
    client.auth = None
    assert client.head("/api/v1/imports").status_code == 401


def test_head_of_an_upload_is_that_of_tus(client):
    made = client.post("/api/v1/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "5"})
    path = f"/api/v1/uploads/{made.headers['location'].rpartition('/')[2]}"
    assert client.head(path, headers={"Tus-Resumable": "1.0.0"}).headers["upload-offset"] == "0"
    assert client.head(path).status_code == 412


@pytest.mark.parametrize(
    ("method", "address", "allowed"),
    [
        ("PUT", "/api/v1/imports", "GET, HEAD, POST"),
        ("POST", "/api/v1/imports/x", "DELETE, GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
        ("HEAD", "/api/v1/imports/x/events", "GET"),
        ("HEAD", "/api/v1/imports/x/cancel", "POST"),
        ("GET", "/api/v1/uploads/x", "DELETE, HEAD, OPTIONS, PATCH, POST"),
    ],
)
def test_what_is_possible_is_told_in_full(client, method, address, allowed):
    answer = client.request(method, address)
    assert (answer.status_code, answer.headers.get("allow")) == (405, allowed)
    if method != "HEAD":
        assert answer.json()["code"] == "method_not_allowed"
