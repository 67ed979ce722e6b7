"""Behind a reverse proxy: under a path of its own, told of the client's address and of TLS by whom it trusts."""

from __future__ import annotations

import pytest

from scandock.services.settings import load_settings
from tests.integration.web import PASSWORD, serve_by_socket

LOGIN = {"name": "admin", "password": PASSWORD}


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCANDOCK_PUBLIC_URL", "https://example.org/dock")
        with serve_by_socket(tmp_path_factory.mktemp("proxied") / "data", load_settings()) as running:
            yield running


@pytest.mark.parametrize("prefix", ["", "/dock"], ids=["taken off", "left"])
def test_addresses_in_answers_have_the_path(web, prefix):
    with web.client() as client:
        assert client.get(f"{prefix}/").status_code == 200
        assert client.get(f"{prefix}/readyz").status_code == 200
        project = "Taken" if prefix == "" else "Left"
        made = client.post(f"{prefix}/api/v1/projects", json={"id": project})
        assert made.headers["Location"] == f"/dock/api/v1/projects/{project}"
        page = client.get(f"{prefix}/api/v1/projects", params={"limit": 1})
        assert page.headers["Link"].startswith("</dock/api/v1/projects?")
        sent = client.post(f"{prefix}/api/v1/imports", params={"project": project}, content=b"abc")
        assert sent.headers["Location"] == f"/dock/api/v1/imports/{sent.json()['id']}"
        begun = client.post(f"{prefix}/api/v1/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "3"})
        assert begun.headers["Location"].startswith("/dock/api/v1/uploads/")
        described = client.get(f"{prefix}/api/openapi.json").json()
        assert described["servers"] == [{"url": "/dock"}]


def test_the_path_alone_and_others_like_it(web):
    with web.client() as client:
        assert client.get("/dock").status_code == 200
        assert client.get("/docker/api/v1/projects").status_code == 404
        assert client.get("/dock/dock/api/v1/projects").status_code == 404


def test_the_cookie_belongs_to_the_path_and_to_tls(web):
    with web.client(None) as client:
        plain = client.post("/api/v1/auth/login", json=LOGIN).headers["Set-Cookie"]
        safe = client.post("/api/v1/auth/login", json=LOGIN, headers={"X-Forwarded-Proto": "https"})
        assert "Path=/dock" in plain
        assert "Secure" not in plain
        assert "Secure" in safe.headers["Set-Cookie"]


@pytest.mark.parametrize(("origin", "status"), [("https://example.org", 200), ("https://evil.example", 403)])
def test_the_sites_own_pages_are_known_by_its_public_address(web, origin, status):
    with web.client() as client:
        answer = client.patch("/api/v1/auth/me", json={}, headers={"Origin": origin})
        assert answer.status_code == status


def addresses(client):
    """Where logins have come from, the latest first."""
    lines = client.get("/api/v1/audit", params={"action": "login"}).json()["items"]
    return [line["address"] for line in lines]


def test_the_clients_address_is_the_proxys_word_where_that_is_trusted(web):
    with web.client(None) as client:
        client.post("/api/v1/auth/login", json=LOGIN, headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"})
    with web.client() as client:
        assert addresses(client)[0] == "198.51.100.7"  # the last one that no trusted proxy has said itself


def test_nobody_is_believed_where_none_is_trusted(tmp_path, monkeypatch):
    monkeypatch.setenv("SCANDOCK_TRUSTED_PROXIES", "192.0.2.0/24")
    with serve_by_socket(tmp_path / "data", load_settings()) as web, web.client(None) as client:
        told = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}
        answer = client.post("/api/v1/auth/login", json=LOGIN, headers=told)
        assert "Secure" not in answer.headers["Set-Cookie"]
        with web.client() as admin:
            assert addresses(admin) == ["127.0.0.1"]
