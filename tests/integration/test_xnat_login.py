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
    assert nobody.put("/data/projects/Made").status_code == 200


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


ELSEWHERE = [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://elsewhere.example"}]
FROM_HERE = [{}, {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "same-origin"}]


def issue(client: httpx.Client) -> tuple[str, str]:
    made = client.get("/data/services/tokens/issue").json()
    return made["alias"], made["secret"]


@pytest.mark.parametrize("said", ELSEWHERE)
def test_another_sites_page_changes_nothing_by_a_get(web: Web, said: dict[str, str]) -> None:
    """Its link, its image, its form: the browser sends the cookie, or the name and password it was asked for."""
    with web.client(None) as browser, web.client() as basic:
        secret = log_in(browser).text
        pair = issue(basic)
        before = tokens_and_logins(basic)
        for client in (browser, basic):
            for path in (
                "/data/services/tokens/issue", "/data/services/tokens/invalidate/{}/{}".format(*pair),
                "/app/action/LogoutUser",
            ):  # fmt: skip
                for method in ("GET", "HEAD"):
                    answer = client.request(method, path, headers=said)
                    assert answer.status_code == 403, (method, path)
                    assert "set-cookie" not in answer.headers
        for path in ("/data/JSESSION", "/data/JSESSIONID", "/data/auth"):
            assert basic.get(path, headers=said).status_code == 403, path
        front = basic.get("/", headers=said)
        assert (front.status_code, front.headers.get("set-cookie")) == (200, None), "shown, and no login begun"
        assert tokens_and_logins(basic) == before
        assert browser.get("/data/JSESSION", headers=said).text == secret, "what a cookie holds is only told"


def tokens_and_logins(client: httpx.Client) -> list[int]:
    return [len(client.get(path).json()["items"]) for path in ("/api/v1/tokens", "/api/v1/auth/logins")]


@pytest.mark.parametrize("said", FROM_HERE)
def test_clients_and_own_pages_change_by_get_as_ever(web: Web, said: dict[str, str]) -> None:
    with web.client(None, headers=said) as one:
        log_in(one)
        pair = issue(one)
        assert one.get("/data/services/tokens/invalidate/{}/{}".format(*pair)).json() == {"result": "OK"}
        assert one.get("/app/action/LogoutUser").status_code == 200
        assert one.get("/data/auth").status_code == 401


def test_who_holds_a_secret_ends_the_token_whatever_it_is_for_and_whoever_asks(web: Web, nobody: httpx.Client) -> None:
    with web.client() as one:
        made = [one.post("/api/v1/tokens", json={"scope": scope}).json() for scope in ("read", "upload", "all")]
    for token in made:
        address = f"/data/services/tokens/invalidate/{token['alias']}/{token['secret']}"
        own = (token["alias"], token["secret"])
        answer = nobody.get(address, auth=own) if token["scope"] == "upload" else nobody.get(address)
        assert answer.json() == {"result": "OK"}
        assert nobody.get("/data/projects/P", auth=own).status_code == 401
        assert nobody.get(address).status_code == 404


@pytest.mark.parametrize("scope", ["read", "upload"])
def test_a_token_that_is_for_less_hears_that_of_its_scope(web: Web, nobody: httpx.Client, scope: str) -> None:
    with web.client() as one:
        token = one.post("/api/v1/tokens", json={"scope": scope}).json()
    answer = nobody.post("/data/JSESSION", auth=(token["alias"], token["secret"]))
    assert answer.status_code == 403
    assert f"The token's scope is {scope}, which does not serve for this. Use a token with the scope all" in answer.text


def test_a_wrong_secret_tells_nothing_and_guesses_are_slowed_down(web: Web) -> None:
    with web.client() as one:
        alias, secret = issue(one)
    other = "00000000-0000-4000-8000-000000000000"
    with web.asking() as nobody:
        wrong, unknown, odd = (
            nobody.get(f"/data/services/tokens/invalidate/{name}/wrong") for name in (alias, other, "no-alias")
        )
        assert wrong.status_code == unknown.status_code == odd.status_code == 404
        assert wrong.text == unknown.text == odd.text
        for name in (alias, other):
            for verb in ("invalidate", "validate") * 8:
                answer = nobody.get(f"/data/services/tokens/{verb}/{name}/wrong")
                if answer.status_code == 429:
                    break
            assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)
        assert nobody.get("/data/projects", auth=(alias, secret)).status_code == 200, "it stands, and serves"


def test_a_login_by_an_alias_token_ends_with_it(web: Web, nobody: httpx.Client) -> None:
    """As xnatpy logs in by one: `/` gives the cookie that everything else is asked with."""
    with web.client() as one:
        pair = issue(one)
    session = {"Cookie": f"JSESSIONID={nobody.get('/', auth=pair).cookies['JSESSIONID']}"}
    nobody.cookies.clear()
    renewed = nobody.get("/data/services/tokens/issue", headers=session).json()
    again = (renewed["alias"], renewed["secret"])
    assert nobody.get("/data/projects", auth=again).status_code == 200
    assert nobody.get("/data/services/tokens/invalidate/{}/{}".format(*pair)).status_code == 200
    assert nobody.get("/data/auth", headers=session).status_code == 401
    assert nobody.get("/data/projects", auth=again).status_code == 401


def test_what_clients_ask_first_is_answered_to_everybody(nobody: httpx.Client) -> None:
    assert nobody.get("/").status_code == 200
    assert nobody.get("/data/version").text == nobody.get("/xapi/siteConfig/buildInfo").json()["version"]
    assert nobody.get("/xapi/schemas?format=json").json() == ["xdat", "xnat"]
    assert nobody.get("/xapi/schemas/xnat").text.startswith("<?xml")
    assert nobody.get("/xapi/schemas/none").status_code == 404
    assert nobody.get("/xapi/plugins/").json() == {}
