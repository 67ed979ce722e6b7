"""Logging in by XNAT's dialect: cookies as its clients read them, alias tokens, and a logout that ends it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.web import PASSWORD, Web, serving


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with serving(Path(tmp_path_factory.mktemp("login"))) as running:
        yield running


@pytest.fixture
def nobody(web: Web) -> Iterator[httpx.Client]:
    with web.client(None) as one:
        yield one


def log_in(client: httpx.Client) -> httpx.Response:
    return client.put("/data/services/auth", data={"username": "admin", "password": PASSWORD})


def test_a_form_begins_a_login_that_its_cookie_goes_on_with(nobody: httpx.Client) -> None:
    answer = log_in(nobody)
    assert answer.status_code == 200
    session, expiry = answer.headers.get_list("set-cookie")
    assert session.startswith(f"JSESSIONID={answer.text}; Path=/")
    assert "HttpOnly" in session
    assert re.match(r'SESSION_EXPIRATION_TIME="\d{13},\d+"; Path=/', expiry)
    assert nobody.get("/data/auth").text == "User 'admin' is logged in"
    assert nobody.get("/data/JSESSION").text == answer.text  # the heartbeat keeps it
    assert nobody.put("/data/projects/Made").status_code in (200, 201)


def test_logging_out_ends_it(nobody: httpx.Client) -> None:
    secret = log_in(nobody).text
    assert nobody.delete("/data/JSESSION").status_code == 200
    answer = nobody.get("/data/auth", headers={"Cookie": f"JSESSIONID={secret}"})
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/plain")


def test_who_brings_nothing_is_a_guest_where_anything_is_public(web: Web, nobody: httpx.Client) -> None:
    """xnatpy without a name looks for a word in the page, and then for its heartbeat."""
    guest = '<span id="user_info">Logged in as: <span style="color:red;">Guest</span>'
    assert guest in nobody.get("/").text
    assert nobody.get("/data/JSESSION").status_code == 401
    with web.client() as client:
        assert guest not in client.get("/").text
        assert client.put("/data/projects/P/accessibility/public").status_code == 200
        answer = nobody.get("/data/JSESSION")
        assert (answer.status_code, answer.text, answer.headers.get("set-cookie")) == (200, "", None)
        assert nobody.post("/data/JSESSION").status_code == 401
        assert nobody.get("/data/JSESSION", headers={"Cookie": "JSESSIONID=ended"}).status_code == 401
        assert nobody.put("/data/projects/P/subjects/S1").status_code == 401
        assert client.put("/data/projects/P/accessibility/protected").status_code == 200


@pytest.mark.parametrize("path", ["/data/JSESSION", "/data/auth", "/data/projects"])
def test_a_wrong_password_is_401_and_no_redirect(web: Web, path: str) -> None:
    with web.asking(auth=("admin", "wrong")) as wrong:
        answer = wrong.get(path)
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/plain")


def test_basic_authentication_gives_both_cookies(web: Web) -> None:
    for path in ("/data/JSESSION", "/data/auth", "/"):
        with web.client() as one:
            names = [said.partition("=")[0] for said in one.get(path).headers.get_list("set-cookie")]
        assert {"JSESSIONID", "SESSION_EXPIRATION_TIME"} <= set(names), path


def test_alias_tokens_serve_as_name_and_password_until_they_are_ended(web: Web, nobody: httpx.Client) -> None:
    with web.client() as one:
        made = one.get("/data/services/tokens/issue?format=json").json()
    pair = (made["alias"], made["secret"])
    assert nobody.get("/data/JSESSION", auth=pair).status_code == 200
    nobody.cookies.clear()
    assert nobody.get("/data/services/tokens/validate/{}/{}".format(*pair)).json() == {"valid": "admin"}
    assert nobody.get(f"/data/services/tokens/validate/{pair[0]}/wrong").json() == {}
    assert nobody.get("/data/services/tokens/invalidate/{}/{}".format(*pair)).status_code == 200
    assert nobody.get("/data/projects/P", auth=pair).status_code == 401


def test_another_sites_page_changes_nothing_by_the_cookie(nobody: httpx.Client) -> None:
    log_in(nobody)
    answer = nobody.put("/data/projects/Theirs", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert nobody.get("/data/projects/Theirs").status_code == 404


def test_what_clients_ask_first_is_answered_to_everybody(nobody: httpx.Client) -> None:
    assert nobody.get("/").status_code == 200
    assert nobody.get("/data/version").text == nobody.get("/xapi/siteConfig/buildInfo").json()["version"]
    assert nobody.get("/xapi/schemas?format=json").json() == ["xdat", "xnat"]
    assert nobody.get("/xapi/schemas/xnat").text.startswith("<?xml")
    assert nobody.get("/xapi/schemas/none").status_code in (401, 404)
    assert nobody.get("/xapi/plugins/").json() == {}
