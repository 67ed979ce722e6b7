"""One stream of all imports that one may see: what it tells, to whom, where it goes on, and when it ends."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, event, insert, select

from scandock.catalog import server_tables
from scandock.catalog.engine import Catalog
from scandock.catalog.tables import upload
from scandock.queue.claim import SlotUsage, claim
from scandock.queue.event_data import StageBegun
from scandock.queue.events import add_event
from scandock.queue.owner import this_owner
from scandock.queue.tokens import new_uuid
from scandock.services.import_events import EventWatcher
from scandock.web import server_sent_events
from tests.integration.web import Web, serve_by_socket

pytestmark = pytest.mark.long


class Heard:
    """A stream that is read event by event."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        self._lines = answer.iter_lines()

    def next(self) -> tuple[str, str, dict[str, Any]]:
        """(id, kind, data) of the next event; StopIteration at the end."""
        mark = kind = ""
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "id":
                mark = value
            elif name == "event":
                kind = value
            elif name == "data":
                return mark, kind, json.loads(value)
        raise StopIteration

    def until(self, kind: str) -> list[tuple[str, str, dict[str, Any]]]:
        """What comes up to the next event of a kind, with it."""
        found = [self.next()]
        while found[-1][1] != kind:
            found.append(self.next())
        return found

    def kinds(self, kind: str) -> list[str]:
        return [one for _, one, _ in self.until(kind)]


@contextmanager
def following(client: httpx.Client, mark: str = "", **more: Any) -> Iterator[Heard]:
    headers = {"Last-Event-ID": mark} if mark else {}
    with client.stream("GET", "/api/v1/events", headers=headers, **more) as answer:
        yield Heard(answer)


@pytest.fixture
def web(tmp_path, monkeypatch) -> Iterator[Web]:
    monkeypatch.setattr(server_sent_events, "LOOK_SECONDS", 0.02)
    with serve_by_socket(tmp_path / "data") as running:
        yield running


def send(client: httpx.Client, project: str = "") -> str:
    answer = client.post("/api/v1/imports", params={"filename": "a.zip"} | ({"project": project} if project else {}),
                         content=b"no archive")  # fmt: skip
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def multiply(catalog: Catalog, uuid: str, count: int) -> None:
    """Let there be so many of an import that waits, as if it had been sent again and again."""
    of_it = (server_tables.reception, server_tables.event)
    with catalog.write() as connection:
        row = dict(connection.execute(select(upload).where(upload.c.uuid == uuid)).mappings().one())
        number = row.pop("id")
        rows = {t: connection.execute(select(t).where(t.c.upload_id == number)).mappings().all() for t in of_it}
        assert all(rows.values())
        for _ in range(count - 1):
            made = connection.execute(
                insert(upload).values({**row, "uuid": new_uuid()}).returning(upload.c.id)
            ).scalar()
            for table, its in rows.items():
                new = [{key: value for key, value in one.items() if key != "id"} for one in its]
                connection.execute(insert(table), [{**one, "upload_id": made} for one in new])


def tell_stage(web: Web, uuid: str, stage: str) -> None:
    with web.site.catalog.write() as connection:
        number = connection.execute(select(upload.c.id).where(upload.c.uuid == uuid)).scalar_one()
        add_event(web.site.catalog, connection, number, StageBegun(stage=stage, attempt=1))


def test_it_begins_with_what_is_under_way_and_tells_what_happens(web):
    with web.client() as client, following(client) as heard:
        mark, kind, begun = heard.next()
        assert (mark, kind, begun) == ("0-0", "begin", {"user": "admin", "resumed": False, "imports": []})
        uuid = send(client)
        _, kind, told = heard.until("received")[-1]
        assert (kind, told["id"], told["archive"], told["mine"]) == ("received", uuid, "a.zip", True)
        with following(client) as later:
            _, _, begun = later.next()
            assert [(one["id"], one["state"]) for one in begun["imports"]] == [(uuid, "received")]


def test_numbers_come_as_they_change(web):
    with web.client() as client, following(client) as heard:
        heard.until("begin")
        uuid = send(client)
        found = claim(web.site.catalog, this_owner(), SlotUsage(4))
        assert found is not None
        heard.until("running")
        with web.site.catalog.write() as connection:
            connection.execute(
                server_tables.progress.insert().values(
                    upload_id=found.lease.upload_id,
                    stage="reading",
                    entries_done=3,
                    bytes_done=5,
                    sessions="[]",
                    modified=1,
                )
            )
        _, kind, told = heard.next()
        assert (kind, told["id"], told["entries"], told["stage"]) == (
            "progress", uuid, {"done": 3, "total": None}, "reading",
        )  # fmt: skip
        tell_stage(web, uuid, "placing")
        mark, kind, told = heard.next()
        assert (kind, told["stage"]) == ("stage", "placing")
        assert mark.split("-")[1] == str(told["at"])


def test_it_goes_on_behind_an_event_and_says_when_it_can_not(web):
    with web.client() as client:
        with following(client) as heard:
            heard.until("begin")
            uuid = send(client)
            mark = heard.until("received")[-1][0]
        tell_stage(web, uuid, "reading")
        tell_stage(web, uuid, "placing")
        for more in ({"mark": mark}, {"params": {"after": mark}}):
            with following(client, **more) as heard:
                assert heard.kinds("begin") == ["stage", "stage", "begin"]
        number = mark.partition("-")[0]
        for stale in (f"{number}-1", "9999-1", "x", "1", "0-x"):
            with following(client, stale) as heard:
                assert heard.kinds("begin") == ["begin"]
                assert heard.status == 200


def test_resumed_is_told(web):
    with web.client() as client:
        send(client)
        asked = {"follow": "false"}
        with following(client, params=asked) as heard:
            mark, _, begun = heard.next()
            assert not begun["resumed"]
        with following(client, mark, params=asked) as heard:
            assert heard.next()[2]["resumed"]
            with pytest.raises(StopIteration):
                heard.next()


def test_numbers_that_are_given_again_are_heard_of_again(web):
    """SQLite gives the highest number anew once its row is deleted, as with an import that is forgotten."""
    with web.client() as client, following(client) as heard:
        heard.until("begin")
        first = send(client)
        heard.until("received")
        with web.site.catalog.write() as connection:
            connection.execute(delete(upload).where(upload.c.uuid == first))
        second = send(client)
        assert heard.until("received")[-1][2]["id"] == second


def test_others_hear_of_theirs_alone(web):
    web.account("ann")
    web.account("ben")
    with web.client() as admin, web.client("ann") as ann, web.client("ben") as ben:
        assert ann.post("/api/v1/projects", json={"id": "A"}).status_code == 201
        web.account("cas", A="member")
        web.account("dot", A="owner")
        with (
            web.client("cas") as cas, web.client("dot") as dot, following(admin) as by_admin,
            following(ben) as by_ben, following(cas) as by_cas, following(dot) as by_dot,
        ):  # fmt: skip
            for one in (by_admin, by_ben, by_cas, by_dot):
                one.until("begin")
            uuid = send(ann, "A")
            assert by_admin.until("received")[-1][2]["id"] == uuid
            told = by_dot.until("received")[-1][2]
            assert (told["id"], told["mine"], told["project"]) == (uuid, False, "A")
            own = [send(ben), send(cas)]
            assert [by_ben.next()[2]["id"], by_cas.next()[2]["id"]] == own


def test_nobody_in_particular_is_asked_to_log_in(web):
    with web.client(None) as client:
        assert client.get("/api/v1/events").status_code == 401


def test_it_ends_with_the_login_and_with_the_account(web, monkeypatch):
    monkeypatch.setattr(server_sent_events, "HEARTBEAT_SECONDS", 0.05)
    with web.client(None) as client:
        login = client.post("/api/v1/auth/login", json={"name": "admin", "password": "correct horse"})
        assert login.status_code == 200
        with following(client) as heard:
            heard.until("begin")
            out = client.post("/api/v1/auth/logout", headers={"X-CSRF-Token": login.json()["csrf"]})
            assert out.status_code == 204
            with pytest.raises(StopIteration):
                heard.next()


def test_it_ends_with_the_server(web):
    with web.client() as client, following(client) as heard:
        heard.until("begin")
        web.site.stopping.set()
        with pytest.raises(StopIteration):
            heard.next()


def test_one_looks_for_all_and_nobody_where_nobody_listens(web, monkeypatch):
    looks = []
    look = EventWatcher.look

    def counted(self: EventWatcher) -> Any:
        looks.append(self)
        return look(self)

    monkeypatch.setattr(EventWatcher, "look", counted)
    with web.client() as client:
        with following(client) as one, following(client) as two, following(client) as three:
            heard = [one, two, three]
            for each in heard:
                each.until("begin")
            uuid = send(client)
            assert [each.until("received")[-1][2]["id"] for each in heard] == [uuid] * 3
        assert len(set(map(id, looks))) == 1


def test_a_look_at_nothing_new_is_three_statements_with_300_imports(web):
    with web.client() as client:
        uuid = send(client)
    multiply(web.site.catalog, uuid, 300)
    watch = EventWatcher(web.site.catalog)
    watch.begin()
    assert watch.look() == []
    asked: list[str] = []
    mine = threading.get_ident()

    def note(*given: Any) -> None:
        if threading.get_ident() == mine:  # the server's chores ask too
            asked.append(given[2])

    engine = web.site.catalog.engine
    event.listen(engine, "before_cursor_execute", note)
    assert watch.look() == []
    event.remove(engine, "before_cursor_execute", note)
    assert len([one for one in asked if one.lstrip().startswith("SELECT")]) == 3
