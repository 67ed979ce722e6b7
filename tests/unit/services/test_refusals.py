"""Refusals become one line a minute for each address, account and action; nothing is lost at an orderly end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from scandock.access import accounts
from scandock.access.principal import RequestInfo
from scandock.catalog.engine import Catalog, open_catalog
from scandock.services import refusals
from scandock.services.audit import AuditAction, AuditFilter, TrailLine, search
from scandock.services.refusals import MINUTE, Refusal, Refusals


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    opened = open_catalog(database_url)
    yield opened
    opened.dispose()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def person(catalog: Catalog, name: str) -> int:
    with catalog.write() as connection:
        return accounts.create(connection, name).id


def lines(catalog: Catalog) -> list[dict[str, Any]]:
    with catalog.read() as connection:
        return [TrailLine.of(row).to_json() for row in search(connection, AuditFilter())][::-1]


def counts(catalog: Catalog) -> list[int | None]:
    """Of each line how many refusals it counts; None for the line of a single one."""
    return [one["details"].get("count") for one in lines(catalog)]


def refusal(account_id: int | None = None, address: str = "10.0.0.1", **more: Any) -> Refusal:
    return Refusal(**{"did": AuditAction.LOGIN, "account_id": account_id, "request": RequestInfo(address, "r"), **more})


@pytest.mark.postgresql
def test_the_first_is_written_at_once_and_the_others_once_a_minute(catalog: Catalog, clock: Clock) -> None:
    ann = person(catalog, "ann")
    noted = Refusals(catalog, clock)
    for _ in range(500):
        noted.note(refusal(ann, details={"code": "login_failed"}))
    [first] = lines(catalog)
    assert (first["actor"], first["account_id"], first["address"], first["request_id"]) == ("ann", ann, "10.0.0.1", "r")
    assert (first["action"], first["outcome"], first["kind"]) == ("login", "refused", "account")
    assert first["details"] == {"code": "login_failed"}
    for minute in (1, 2, 3):
        clock.now = minute * MINUTE
        noted.settle()
        noted.settle()
        assert counts(catalog) == [None, 499, 7, 7][: minute + 1]
        for _ in range(7):
            noted.note(refusal(ann))
    assert lines(catalog)[1]["details"] == {"code": "login_failed", "count": 499}
    assert lines(catalog)[1]["request_id"] == ""


def test_a_quiet_minute_forgets_it(catalog: Catalog, clock: Clock) -> None:
    noted = Refusals(catalog, clock)
    noted.note(refusal())
    clock.now = MINUTE
    noted.settle()
    assert (len(noted), counts(catalog)) == (0, [None])
    noted.note(refusal())
    assert counts(catalog) == [None, None]


def test_addresses_accounts_and_actions_are_told_apart(catalog: Catalog, clock: Clock) -> None:
    ann, bob = person(catalog, "ann"), person(catalog, "bob")
    noted = Refusals(catalog, clock)
    for one in (
        refusal(ann), refusal(bob), refusal(None), refusal(ann, "10.0.0.2"), refusal(ann, did=AuditAction.UPLOAD),
        refusal(ann, "2001:db8::1"), refusal(ann, "2001:db8::2"), refusal(ann, "2001:db8:0:1::1"),
    ):  # fmt: skip
        noted.note(one)
    told = [(one["actor"], one["address"], one["action"]) for one in lines(catalog)]
    assert told == [
        ("ann", "10.0.0.1", "login"), ("bob", "10.0.0.1", "login"), ("unknown", "10.0.0.1", "login"),
        ("ann", "10.0.0.2", "login"), ("ann", "10.0.0.1", "upload"), ("ann", "2001:db8::1", "login"),
        ("ann", "2001:db8:0:1::1", "login"),
    ]  # fmt: skip


def test_a_count_names_what_all_of_it_was_about_and_nothing_else(catalog: Catalog, clock: Clock) -> None:
    noted = Refusals(catalog, clock)
    for target in ("u1", "u1", "u1"):
        noted.note(refusal(did=AuditAction.EDIT, kind="session", target=target, project="P"))
    for project in ("P", "P", "Q"):
        noted.note(
            refusal(did=AuditAction.REQUEST, right="session_read", kind="project", target=project, project=project)
        )
    noted.close()
    told = {
        one["action"]: (one["kind"], one["target"], one["project"])
        for one in lines(catalog)
        if one["details"].get("count")
    }
    assert told == {"edit": ("session", "u1", "P"), "request": ("account", "", "")}


def test_a_strangers_thousand_addresses_cost_bounded_memory_and_lines(
    catalog: Catalog, clock: Clock, monkeypatch
) -> None:
    monkeypatch.setattr(refusals, "MAX_KEYS", 20)
    noted = Refusals(catalog, clock)
    for number in range(1_000):
        noted.note(refusal(None, f"10.0.{number // 250}.{number % 250}"))
    assert len(noted) == 21
    noted.close()
    told = lines(catalog)
    assert len(told) == 22
    assert (told[-1]["address"], told[-1]["details"]) == ("", {"addresses": "many", "count": 979})


def test_what_the_catalog_could_not_take_is_written_later(catalog: Catalog, clock: Clock, monkeypatch) -> None:
    monkeypatch.setattr(refusals, "MAX_KEYS", 3)
    noted = Refusals(catalog, clock)
    away = pytest.MonkeyPatch()
    away.setattr(catalog, "write", lambda: (_ for _ in ()).throw(OSError("away")))
    for minute in range(20):
        clock.now = minute * MINUTE
        for number in range(10):
            with contextlib.suppress(OSError):
                noted.note(refusal(None, f"10.0.0.{number}"))
            with contextlib.suppress(OSError):
                noted.settle()
    away.undo()
    assert len(noted) <= 4
    noted.close()
    assert sum(count or 1 for count in counts(catalog)) == 200
    assert len(lines(catalog)) <= 20


def test_an_orderly_end_loses_nothing(catalog: Catalog) -> None:
    """As the web process has it: a thread writes, and what was counted is written at the end."""
    noted = Refusals(catalog)
    noted.start()

    def ask() -> None:
        for _ in range(100):
            noted.note(refusal())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    noted.settle()
    assert counts(catalog) == [None]
    noted.close()
    assert counts(catalog) == [None, 399]


def test_noting_asks_no_catalog_where_a_thread_writes(catalog: Catalog) -> None:
    mine = threading.get_ident()
    asked: list[str] = []
    noted = Refusals(catalog)
    noted.start()

    def seen(*given: Any) -> None:
        if threading.get_ident() == mine:
            asked.append(given[2])

    event.listen(catalog.engine, "before_cursor_execute", seen)
    for number in range(50):
        noted.note(refusal(None, f"10.0.0.{number}"))
    assert asked == []
    noted.close()
    assert len(lines(catalog)) == 50
