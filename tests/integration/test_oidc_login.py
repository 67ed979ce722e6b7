"""Logging in by OpenID Connect as a browser does it: the real web server between it and a real provider."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from scandock.services.settings import load_settings
from scandock.web.v1.oidc import FLOW_COOKIE
from tests.integration import oidc_provider
from tests.integration.oidc_provider import CLIENT, SECRET
from tests.integration.web import serve_by_socket

ALICE = {
    "sub": "1234",
    "preferred_username": "alice",
    "name": "Alice A.",
    "email": "alice@example.org",
    "email_verified": True,
}
LOGIN = "/api/v1/auth/oidc/login"


@pytest.fixture(scope="module")
def running():
    with oidc_provider.run_provider() as one:
        yield one


@pytest.fixture
def there(running):
    """The provider, honest again."""
    fresh = oidc_provider.OidcProvider(issuer=running.issuer, keys=running.keys[:1], person=dict(ALICE))
    running.__dict__.update(fresh.__dict__)
    return running


@pytest.fixture
def settings(there, monkeypatch):
    monkeypatch.setenv("SCANDOCK_OIDC_ISSUER", there.issuer)
    monkeypatch.setenv("SCANDOCK_OIDC_CLIENT_ID", CLIENT)
    monkeypatch.setenv("SCANDOCK_OIDC_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("SCANDOCK_OIDC_DOMAINS", "example.org")
    return load_settings()


@pytest.fixture
def web(tmp_path, settings):
    with serve_by_socket(tmp_path / "data", settings) as made:
        yield made


@pytest.fixture
def browser(web):
    with web.client(None) as made:
        yield made


def go(browser: httpx.Client, there: oidc_provider.OidcProvider, **how) -> tuple[httpx.Response, str]:
    """Go to the provider and come back; the server's last answer, and the address that the provider sends back to."""
    begun = browser.get(LOGIN, **how)
    assert begun.status_code == 303, begun.text
    asked = dict(parse_qsl(urlsplit(begun.headers["Location"]).query))
    brought = there.authorize(begun.headers["Location"])
    path = urlsplit(asked["redirect_uri"]).path
    return browser.get(path, params=brought), asked["redirect_uri"]


def trail(web):
    with web.client() as admin:
        lines = admin.get("/api/v1/audit", params={"limit": 1000}).json()["items"]
    return [
        (line["actor"], line["action"], line["outcome"], line["details"].get("code", ""))
        for line in reversed(lines)
        if line["action"] in {"login", "account_create"}
    ]


def test_the_first_login_makes_an_account_and_logs_it_in_by_cookie(web, browser, there):
    answer, redirect_uri = go(browser, there, params={"then": "/projects/P"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/projects/P")
    assert redirect_uri == f"{web.base}/api/v1/auth/oidc/callback"
    assert FLOW_COOKIE not in browser.cookies
    me = browser.get("/api/v1/auth/me").json()
    assert (me["name"], me["door"], me["admin"], me["roles"]) == ("alice", "cookie", False, {})
    # its changes need the login's own token, as those of a login by password do
    assert browser.post("/api/v1/projects", json={"id": "A"}).json()["code"] == "csrf_failed"
    made = browser.post("/api/v1/projects", json={"id": "A"}, headers={"X-CSRF-Token": me["csrf"]})
    assert made.status_code == 201
    assert trail(web) == [("alice", "account_create", "done", ""), ("alice", "login", "done", "")]
    with web.client() as admin:
        [line] = admin.get("/api/v1/audit", params={"action": "login"}).json()["items"]
    assert (line["address"], line["details"]) == ("127.0.0.1", {"by": "oidc"})
    assert line["request_id"]


def test_who_is_not_of_the_rule_stays_out_and_leaves_a_line(web, browser, there):
    there.person["email"] = "alice@example.net"
    answer, _ = go(browser, there)
    assert (answer.status_code, answer.json()["code"]) == (403, "oidc_not_allowed")
    assert browser.get("/api/v1/auth/me").status_code == 401
    assert trail(web) == [("unknown", "login", "refused", "oidc_not_allowed")]


def test_a_disabled_account_stays_out_and_the_line_names_it(web, browser, there):
    go(browser, there)
    with web.client() as admin:
        assert admin.patch("/api/v1/accounts/alice", json={"disabled": True}).status_code == 200
    assert browser.get("/api/v1/auth/me").status_code == 401
    answer, _ = go(browser, there)
    assert (answer.status_code, answer.json()["code"]) == (401, "login_failed")
    assert trail(web)[-1] == ("alice", "login", "refused", "login_failed")


def test_an_answer_that_is_made_up_fails(web, browser, there):
    begun = browser.get(LOGIN)
    brought = there.authorize(begun.headers["Location"])
    with web.client(None) as other:
        stolen = other.get("/api/v1/auth/oidc/callback", params=brought)
    assert (stolen.status_code, stolen.json()["code"]) == (401, "oidc_failed")
    wrong = browser.get("/api/v1/auth/oidc/callback", params={**brought, "state": "x"})
    assert wrong.json()["code"] == "oidc_failed"
    assert browser.get("/api/v1/auth/oidc/callback", params=brought).status_code == 303


def test_answers_that_are_made_up_are_slowed_down(web, browser):
    codes = [browser.get("/api/v1/auth/oidc/callback", params={"code": "x"}).status_code for _ in range(9)]
    assert codes == [401] * 8 + [429]
    assert trail(web) == [("unknown", "login", "refused", "oidc_failed")]  # the others are counted
    with web.client() as admin:  # who logs in by password is not
        assert admin.get("/api/v1/auth/me").status_code == 200


@pytest.mark.parametrize("then", ["https://evil.example", "//evil.example", "/\\evil.example", "projects"])
def test_it_goes_on_at_this_server_alone(browser, there, then):
    assert go(browser, there, params={"then": then})[0].headers["Location"] == "/"


def test_a_provider_that_does_not_answer_is_a_fault_that_passes(browser, there):
    there.metadata = {"issuer": "https://another.example"}
    answer = browser.get(LOGIN)
    assert (answer.status_code, answer.json()["code"]) == (503, "oidc_unreachable")
    there.metadata = {}
    assert go(browser, there)[0].status_code == 303


@pytest.mark.parametrize("then", ["/projects/P", "/dock/projects/P"])
def test_under_a_path_and_over_tls(tmp_path, settings, there, then):
    changed = settings.model_copy(update={"public_url": "https://example.org/dock"})
    with serve_by_socket(tmp_path / "data", changed) as web, web.client(None) as browser:
        begun = browser.get(LOGIN, params={"then": then}, headers={"X-Forwarded-Proto": "https"})
        cookie = begun.headers["Set-Cookie"]
        assert "Path=/dock/api/v1/auth/oidc" in cookie
        assert "Secure" in cookie
        assert "HttpOnly" in cookie
        brought = there.authorize(begun.headers["Location"])
        asked = dict(parse_qsl(urlsplit(begun.headers["Location"]).query))
        assert asked["redirect_uri"] == "https://example.org/dock/api/v1/auth/oidc/callback"
        flow = cookie.partition(";")[0]
        answer = browser.get(
            "/dock/api/v1/auth/oidc/callback",
            params=brought,
            headers={"X-Forwarded-Proto": "https", "Cookie": flow},
        )
        assert (answer.status_code, answer.headers["Location"]) == (303, "/dock/projects/P")


def test_a_site_without_a_provider_has_no_such_login(tmp_path):
    with serve_by_socket(tmp_path / "data") as web, web.client(None) as client:
        for path in (LOGIN, "/api/v1/auth/oidc/callback"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "oidc_off")
