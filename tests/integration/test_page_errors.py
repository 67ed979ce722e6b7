"""What went wrong is told as a page to people at a browser, and as a problem to programs."""

from __future__ import annotations

import pytest

from scandock.web.pages import browse
from scandock.web.pages.routing import PageRoute
from tests.integration.web import PASSWORD, serve_by_socket

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with serve_by_socket(tmp_path_factory.mktemp("errors") / "data") as running:
        yield running


def told(web, path, **headers):
    with web.client() as client:
        return client.get(path, headers=headers)


def test_an_address_that_is_none_is_a_page_for_people(web):
    page = told(web, "/nowhere/at/all", **BROWSER)
    assert page.status_code == 404
    assert "<h1>Page not found, or you don&#39;t have access</h1>" in page.text
    assert "There is nothing of that name" not in page.text  # the same in other words
    hidden = told(web, "/projects/Nowhere", **BROWSER)
    assert hidden.text.replace("/projects/Nowhere", "/nowhere/at/all") == page.text
    assert page.headers["content-security-policy"].startswith("default-src 'self'")


def test_an_address_of_programs_is_a_problem_whoever_asks(web):
    answer = told(web, "/api/v1/nowhere", **BROWSER)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize("path", ["/data/nowhere", "/xapi/nowhere", "/REST/nowhere"])
def test_an_address_of_xnats_clients_is_told_in_plain_text_whoever_asks(web, path):
    answer = told(web, path, **BROWSER)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/plain")


def test_programs_get_a_problem_everywhere(web):
    assert told(web, "/nowhere", Accept="*/*").json()["code"] == "not_found"


def test_a_query_that_is_off_is_told_as_a_page(web):
    page = told(web, "/projects/P?sort=nothing", **BROWSER)
    assert page.status_code == 400
    assert "<h1" in page.text


@pytest.mark.parametrize(
    ("path", "stands"),
    [
        ("/account/tokens", "/account"),
        ("/account/password", "/account"),
        ("/account/tokens/any/revoke", "/account"),
        ("/projects/P%20Q/members", "/projects/P%20Q/settings"),
        ("/admin/accounts/ann", "/admin/accounts"),
        ("/imports/one/retry", "/imports/one"),
    ],
)
def test_who_reloads_what_a_form_sent_is_led_to_the_form(web, path, stands):
    answer = told(web, path, **BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (303, stands)
    assert told(web, path).json()["code"] == "method_not_allowed"


def test_no_form_answers_a_reload_with_a_problem_for_programs(web):
    made = [getattr(one, "original_router", None) or one for one in web.app.routes]
    routes = [route for one in made for route in getattr(one, "routes", [one])]
    forms = {route.path for route in routes if isinstance(route, PageRoute) and "POST" in (route.methods or ())}
    assert len(forms) > 15
    for path in sorted(forms):
        answer = told(web, path.replace("{", "").replace("}", ""), **BROWSER)
        assert "text/html" in answer.headers.get("content-type", "") or answer.status_code == 303, path


def test_where_no_one_page_has_the_form_that_is_told(web):
    page = told(web, "/trash/one/restore", **BROWSER)
    assert (page.status_code, page.headers["allow"]) == (405, "POST")
    assert "what a button of a page asks" in page.text


def test_a_fault_is_told_as_a_page_with_the_requests_number_and_logged(web, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(browse, "list_projects", broken)
    page = told(web, "/projects", **BROWSER)
    assert page.status_code == 500
    number = page.headers["x-request-id"]
    assert number in page.text
    assert any(line.get("event") == "unexpected" and "ZeroDivisionError" in str(line) for line in web.logged)


def test_what_an_error_quotes_is_escaped(web):
    with web.client() as client:
        page = client.post("/admin/accounts", data={"name": "<b>x", "password": "battery x9"})
    assert page.status_code == 400
    assert "&lt;b&gt;x" in page.text
    assert "<b>x" not in page.text


def test_the_providers_way_back_tells_people_by_a_page(web):
    page = told(web, "/api/v1/auth/oidc/callback?code=x&state=y", **BROWSER)
    assert page.status_code == 404
    assert "no provider" in page.text
    assert told(web, "/api/v1/auth/oidc/callback?code=x&state=y").json()["code"] == "oidc_off"


def test_a_login_or_a_form_from_another_site_is_refused(web):
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
    with web.client(None) as client:
        sent = client.post("/login", data={"name": "admin", "password": PASSWORD}, headers=elsewhere)
        assert sent.status_code == 403
        assert "set-cookie" not in sent.headers
        good = client.post("/login", data={"name": "admin", "password": PASSWORD, "then": "//evil.example"})
        assert good.status_code == 303
        assert good.headers["location"] == "/"
        assert client.post("/projects", data={"id": "New"}).status_code == 403  # no token of the login
        assert client.post("/projects", data={"id": "New", "csrf": "wrong"}).status_code == 403
    with web.client() as client:  # a browser that was asked for a name and password sends them along
        assert client.post("/projects", data={"id": "New"}, headers=elsewhere).status_code == 403
        assert client.get("/api/v1/projects/New").status_code == 404


def test_a_page_says_nothing_that_its_address_brings(web):
    page = told(web, "/projects?said=Send+your+password+to+evil", **BROWSER)
    assert "evil" not in page.text
