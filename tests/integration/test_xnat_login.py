"""Logging in by XNAT's dialect: cookies as its clients read them, alias tokens, and a logout that ends it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from scandock.access import accounts
from tests.integration.web import PASSWORD, Web, serve_in_process


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with serve_in_process(Path(tmp_path_factory.mktemp("login"))) as running:
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
    for alias, secret in ((pair[0], "wrong"), ("1-2-3-4-5-6-7-8", "hidden secret number")):
        unknown = nobody.get(f"/data/services/tokens/validate/{alias}/{secret}")
        assert (unknown.status_code, unknown.headers["content-type"][:10]) == (404, "text/plain")
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
                "/data/services/tokens/issue/user/admin", f"/data/services/tokens/invalidate/{pair[0]}",
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


# -- tokens for others -------------------------------------------------------------------------------------------------

ISSUE = "/data/services/tokens/issue/user"


@pytest.fixture
def people(web: Web) -> None:
    """An account without a role, and a second administrator."""
    with web.site.catalog.read() as connection:
        there = accounts.find(connection, "ann") is not None
    if not there:
        web.account("ann")
        web.account("olga", P="owner")
        web.account("second", admin=True)


def pair_of(answer: httpx.Response) -> tuple[str, str]:
    assert answer.status_code == 200, answer.text
    made = answer.json()
    return made["alias"], made["secret"]


def status(web: Web, pair: tuple[str, str], path: str) -> int:
    with web.asking(auth=pair) as client:
        return client.get(path).status_code


@pytest.mark.usefixtures("people")
def test_an_administrator_issues_a_token_for_somebody_who_may_then_do_what_that_one_may(web: Web) -> None:
    with web.client() as admin:
        assert admin.get(f"{ISSUE}/ANN").json()["xdatUserId"] == "ann"
        pair = pair_of(admin.get(f"{ISSUE}/ann"))
        assert admin.get("/data/services/tokens/validate/{}/{}".format(*pair)).json() == {"valid": "ann"}
        lines = admin.get("/api/v1/audit", params={"action": "token_create", "limit": 2}).json()["items"]
        assert {one["actor"] for one in lines} == {"admin"}, "who issued it, not whose it is"
    with web.client("ann") as ann:
        names = {one["alias"]: one["name"] for one in ann.get("/api/v1/tokens").json()["items"]}
        assert names[pair[0]] == "Issued by admin", "who has the account sees it, and may end it"
    with web.asking(auth=pair) as client:
        assert client.get("/data/auth").text == "User 'ann' is logged in"
        assert client.get("/data/projects/P/subjects").status_code in (403, 404), "ann has no role there"
        assert client.get("/data/users").status_code == 403
        assert client.get(f"{ISSUE}/olga").status_code == 403


@pytest.mark.usefixtures("people")
def test_nobody_else_issues_one_but_for_themselves(web: Web) -> None:
    for name, refused in (("ann", 403), ("olga", 403), (None, 401)):
        with web.client(name) as client:
            for whose in ("admin", "second", "nobody-of-that-name", "olga" if name == "ann" else "ann"):
                answer = client.get(f"{ISSUE}/{whose}")
                assert answer.status_code == refused, (name, whose)
                assert refused == 401 or "admin" in answer.text
    with web.client("ann") as ann:
        assert ann.get("/data/auth", auth=pair_of(ann.post(f"{ISSUE}/Ann"))).text == "User 'ann' is logged in"
    with web.client() as admin:
        assert status(web, pair_of(admin.get(f"{ISSUE}/admin")), "/data/users") == 200
        assert admin.get(f"{ISSUE}/nobody").status_code == 404


@pytest.mark.usefixtures("people")
def test_no_administrator_acts_under_another_ones_name_or_by_a_shut_account(web: Web) -> None:
    with web.client() as admin:
        answer = admin.get(f"{ISSUE}/second")
        assert (answer.status_code, "second is an administrator" in answer.text) == (403, True)
        assert admin.patch("/api/v1/accounts/ann", json={"disabled": True}).status_code == 200
        assert admin.get(f"{ISSUE}/ann").status_code == 403
        assert admin.patch("/api/v1/accounts/ann", json={"disabled": False}).status_code == 200


def less(admin: httpx.Client) -> None:
    assert admin.patch("/api/v1/accounts/second", json={"admin": False}).status_code == 200


def shut(admin: httpx.Client) -> None:
    assert admin.patch("/api/v1/accounts/second", json={"disabled": True}).status_code == 200


def more(admin: httpx.Client) -> None:
    assert admin.patch("/api/v1/accounts/ann", json={"admin": True}).status_code == 200


@pytest.mark.long
@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("change", [less, shut, more])
def test_what_was_issued_for_somebody_ends_with_the_right_to_have_issued_it(
    web: Web, change: Callable[..., None]
) -> None:
    """Else who was an administrator goes on as others, and whoever becomes one makes the token's holder one."""
    with web.client() as admin, web.client("second") as second, web.client("ann") as ann:
        pair, own = pair_of(second.get(f"{ISSUE}/ann")), issue(ann)
        with web.asking(auth=pair) as client:
            child = issue(client)
        assert [status(web, one, "/data/projects") for one in (pair, child, own)] == [200, 200, 200]
        change(admin)
        assert [status(web, one, "/data/projects") for one in (pair, child, own)] == [401, 401, 200]
        for name, said in (("second", {"admin": True, "disabled": False}), ("ann", {"admin": False})):
            assert admin.patch(f"/api/v1/accounts/{name}", json=said).status_code == 200
        assert status(web, pair, "/data/projects") == 401


@pytest.mark.usefixtures("people")
def test_a_token_is_ended_by_its_alias_by_who_has_it_and_by_administrators(web: Web, nobody: httpx.Client) -> None:
    with web.client("ann") as ann, web.client("olga") as olga, web.client() as admin:
        first, other = issue(ann), issue(ann)
        where = f"/data/services/tokens/invalidate/{first[0]}"
        unknown = olga.get("/data/services/tokens/invalidate/00000000-0000-4000-8000-000000000000")
        hidden = olga.get(where)
        assert (hidden.status_code, hidden.text) == (unknown.status_code, unknown.text) == (404, unknown.text)
        assert nobody.get(where).status_code == 401
        assert status(web, first, "/data/projects") == 200
        assert ann.get(where).json() == {"result": "OK"}
        assert status(web, first, "/data/projects") == 401
        assert ann.get(where).status_code == 404
        assert admin.get(f"/data/services/tokens/invalidate/{other[0].upper()}").json() == {"result": "OK"}
        assert status(web, other, "/data/projects") == 401
        line = admin.get("/api/v1/audit", params={"action": "token_revoke", "limit": 1}).json()["items"][0]
        assert (line["actor"], line["details"]) == ("admin", {"alias": other[0]})


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
    build = nobody.get("/xapi/siteConfig/buildInfo").json()
    assert nobody.get("/data/version").text == build["version"]
    assert {key: nobody.get(f"/xapi/siteConfig/buildInfo/{key}").text for key in build} == build
    assert nobody.get("/xapi/siteConfig/buildInfo/attributes").json() == {}
    unknown = nobody.get("/xapi/siteConfig/buildInfo/none")
    assert (unknown.status_code, "version" in unknown.text) == (404, True)
    assert nobody.get("/xapi/schemas?format=json").json() == ["xdat", "xnat"]
    assert nobody.get("/xapi/schemas/xnat").text.startswith("<?xml")
    assert nobody.get("/xapi/schemas/none").status_code == 404
    assert nobody.get("/xapi/plugins/").json() == {}
