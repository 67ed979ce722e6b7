"""Streams of events ask again at each look whether the right still stands: they end with it, and tell nothing more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import event, update

from scandock.access.principal import Door
from scandock.access.reauthentication import SavedCredentials, reauthenticate_all
from scandock.catalog.server_tables import api_token, login
from scandock.web import server_sent_events
from tests.integration.test_live_events import Heard, send, tell_stage
from tests.integration.web import PASSWORD, Web, serve_by_socket

pytestmark = pytest.mark.long

FOR_EVER = 3_600.0


@pytest.fixture
def web(tmp_path, monkeypatch) -> Iterator[Web]:
    monkeypatch.setattr(server_sent_events, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(server_sent_events, "HEARTBEAT_SECONDS", FOR_EVER)
    with serve_by_socket(tmp_path / "data") as running:
        running.account("mia", P="member")
        running.account("ole", P="owner")
        yield running


@contextmanager
def by_password(web: Web, name: str) -> Iterator[httpx.Client]:
    with web.client(name) as client:
        yield client


@contextmanager
def by_login(web: Web, name: str) -> Iterator[httpx.Client]:
    with web.client(None) as client:
        made = client.post("/api/v1/auth/login", json={"name": name, "password": PASSWORD})
        assert made.status_code == 200
        client.headers["X-CSRF-Token"] = made.json()["csrf"]
        yield client


def token(web: Web, name: str) -> tuple[str, str]:
    with web.client(name) as client:
        made = client.post("/api/v1/tokens", json={"scope": "read", "days": 1}).json()
    return made["alias"], made["secret"]


@contextmanager
def by_token(web: Web, name: str) -> Iterator[httpx.Client]:
    with web.asking(headers={"Authorization": f"Bearer {'.'.join(token(web, name))}"}) as client:
        yield client


@contextmanager
def by_alias(web: Web, name: str) -> Iterator[httpx.Client]:
    """As XNAT's clients send a token: in place of a name and password."""
    alias, secret = token(web, name)
    with web.asking(auth=(alias.upper(), secret)) as client:
        yield client


def logged_out(web: Web, client: httpx.Client) -> None:
    assert client.post("/api/v1/auth/logout").status_code in (200, 204)


def _expired(table: Any) -> Callable[[Web, httpx.Client], None]:
    def end(web: Web, client: httpx.Client) -> None:
        with web.site.catalog.write() as connection:
            connection.execute(update(table).values(expires=1))

    return end


def idle(web: Web, client: httpx.Client) -> None:
    with web.site.catalog.write() as connection:
        connection.execute(update(login).values(seen=1))


def revoked(web: Web, client: httpx.Client) -> None:
    with web.client("ole") as owner:
        for one in owner.get("/api/v1/tokens").json()["items"]:
            assert owner.delete(f"/api/v1/tokens/{one['alias']}").status_code == 204


def disabled(web: Web, client: httpx.Client) -> None:
    with web.client() as admin:
        assert admin.patch("/api/v1/accounts/ole", json={"disabled": True}).status_code == 200


def new_password(web: Web, client: httpx.Client) -> None:
    with web.client() as admin:
        assert admin.put("/api/v1/accounts/ole/password", json={"password": "another horse"}).status_code < 300


ENDS = [
    (by_login, logged_out), (by_login, _expired(login)), (by_login, idle), (by_login, disabled),
    (by_token, revoked), (by_alias, revoked), (by_token, _expired(api_token)), (by_token, new_password),
    (by_password, disabled), (by_password, new_password),
]  # fmt: skip


def followed(stack: ExitStack, client: httpx.Client, path: str) -> Heard:
    return Heard(stack.enter_context(client.stream("GET", path)))


@pytest.mark.parametrize(("come", "end"), ENDS, ids=[f"{come.__name__}-{n}" for n, (come, _) in enumerate(ENDS)])
def test_a_stream_ends_with_what_it_was_asked_for_by(web: Web, come, end) -> None:
    with web.client("mia") as mia, come(web, "ole") as client, ExitStack() as stack:
        uuid = send(mia, "P")
        every, one = (followed(stack, client, f"/api/v1/{of}events") for of in ("", f"imports/{uuid}/"))
        every.until("begin")
        one.until("received")
        tell_stage(web, uuid, "reading")
        assert every.until("stage")[-1][2]["id"] == uuid
        one.until("stage")
        end(web, client)
        tell_stage(web, uuid, "placing")
        for heard in (every, one):
            with pytest.raises(StopIteration):
                heard.next()
        assert client.get("/api/v1/events").status_code == 401
        assert not [line for line in web.logged if line["log_level"] == "error"]


@pytest.mark.parametrize("role", [None, "collaborator"])
def test_who_loses_the_role_hears_nothing_more_of_the_project(web: Web, role) -> None:
    with web.client("mia") as mia, web.client("ole") as ole, web.client() as admin, ExitStack() as stack:
        uuid = send(mia, "P")
        every, one = (followed(stack, ole, f"/api/v1/{of}events") for of in ("", f"imports/{uuid}/"))
        every.until("begin")
        one.until("received")
        if role is None:
            assert admin.delete("/api/v1/projects/P/members/ole").status_code == 204
        else:
            assert admin.put("/api/v1/projects/P/members/ole", json={"role": role}).status_code < 300
        with pytest.raises(StopIteration):
            one.next()
        tell_stage(web, uuid, "placing")
        own = send(ole)
        assert {found[2]["id"] for found in every.until("received")} == {own}


def test_who_is_no_administrator_any_more_hears_their_own_alone(web: Web) -> None:
    web.account("adam", admin=True)
    with web.client("mia") as mia, web.client("adam") as adam, web.client() as admin, ExitStack() as stack:
        uuid = send(mia)
        every, one = (followed(stack, adam, f"/api/v1/{of}events") for of in ("", f"imports/{uuid}/"))
        every.until("begin")
        one.until("received")
        assert admin.patch("/api/v1/accounts/adam", json={"admin": False}).status_code == 200
        with pytest.raises(StopIteration):
            one.next()
        tell_stage(web, uuid, "placing")
        own = send(adam)
        assert {found[2]["id"] for found in every.until("received")} == {own}


def test_the_stream_of_an_import_ends_when_that_is_forgotten(web: Web) -> None:
    with web.client("mia") as mia, ExitStack() as stack:
        uuid = send(mia, "P")
        one = followed(stack, mia, f"/api/v1/imports/{uuid}/events")
        one.until("received")
        assert mia.post(f"/api/v1/imports/{uuid}/cancel").status_code == 202
        assert mia.delete(f"/api/v1/imports/{uuid}").status_code == 204
        with pytest.raises(StopIteration):
            one.until("nothing of the kind")
    assert not [line for line in web.logged if line["log_level"] == "error"]


def test_who_still_may_goes_on(web: Web) -> None:
    with web.client("mia") as mia, by_login(web, "ole") as ole, by_login(web, "ole") as beside, ExitStack() as stack:
        uuid = send(mia, "P")
        every, one = (followed(stack, ole, f"/api/v1/{of}events") for of in ("", f"imports/{uuid}/"))
        every.until("begin")
        one.until("received")
        logged_out(web, beside)
        with web.client() as admin:
            assert admin.put("/api/v1/projects/P/members/mia", json={"role": "owner"}).status_code < 300
        for stage in ("reading", "placing"):
            tell_stage(web, uuid, stage)
            assert every.until("stage")[-1][2]["stage"] == stage
            assert one.until("stage")[-1][2]["stage"] == stage


def test_many_listeners_are_asked_for_in_a_few_statements(web: Web) -> None:
    asked: list[str] = []
    with ExitStack() as stack:
        logins = [stack.enter_context(by_login(web, "ole")) for _ in range(6)]
        sent = [SavedCredentials(Door.COOKIE, secret=one.cookies["scandock_session"]) for one in logins]
        sent += [
            SavedCredentials(Door.TOKEN, alias=alias, secret=secret)
            for alias, secret in (token(web, "ole") for _ in "1234")
        ]
        reauthenticate_all(web.site.catalog, sent)  # notes the use of each, once a minute
        event.listen(web.site.catalog.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
        assert {one.name for one in reauthenticate_all(web.site.catalog, sent).values()} == {"ole"}
    found = [re.search(r"\sFROM (login|api_token|account|member)\b", one) for one in asked]
    assert sorted(one[1] for one in found if one is not None) == ["account", "api_token", "login", "member"]
