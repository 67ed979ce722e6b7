"""Outcomes are told several at once: a slow receiver keeps no other waiting, and nothing else that a worker does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import insert

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import account, delivery, subscription
from scandock.catalog.tables import upload
from scandock.queue.tokens import new_uuid
from scandock.services import notifications
from scandock.services.cleaning.cleaner import CatalogAndStore
from scandock.services.cleaning.trash import TRASH
from scandock.services.data_catalog import open_data
from scandock.services.notifications import MAX_MAILS, MAX_PER_OWNER, ClaimedDelivery, DeliverySlots
from scandock.services.settings import load_settings
from scandock.workers.message_sender import SENDER_THREADS, MessageSender
from tests.builders import DataFolder, make_data_folder, verify_some

SETTINGS = load_settings()
SECONDS = 15.0


@dataclass
class Receivers:
    """Where messages go: those of a name in `slow` wait until `go`; `seen` is told of each that begins."""

    slow: frozenset[str]
    go: threading.Event = field(default_factory=threading.Event)
    begun: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, taken: ClaimedDelivery, _settings: Any) -> None:
        with self.changed:
            self.begun.append(taken.target)
            self.changed.notify_all()
        if taken.target in self.slow:
            assert self.go.wait(20)
        with self.changed:
            self.ended.append(taken.target)
            self.changed.notify_all()

    def until_ended(self, *targets: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: set(targets) <= set(self.ended), 20), self.ended


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


@pytest.fixture
def catalog(site: DataFolder) -> Iterator[Catalog]:
    with open_data(str(site.data), site.settings) as (made, _):
        yield made


def owner(catalog: Catalog, name: str) -> int:
    values = {"uuid": new_uuid(), "name": name, "key": name, "created": 1, "modified": 1}
    with catalog.write() as connection:
        return int(connection.execute(insert(account).values(**values).returning(account.c.id)).scalar_one())


def waiting(catalog: Catalog, account_id: int, target: str, count: int = 1, kind: str = "webhook") -> None:
    """So many messages that are due for one subscription."""
    with catalog.write() as connection:
        hook = {"uuid": new_uuid(), "account_id": account_id, "kind": kind, "target": target, "states": ",placed,"}
        made = insert(subscription).values(**hook, created=1).returning(subscription.c.id)
        number = connection.execute(made).scalar_one()
        for _ in range(count):
            row = {"uuid": new_uuid(), "archive": "a", "source": "server", "state": "placed", "request": "{}"}
            ended = connection.execute(insert(upload).values(**row, created=1).returning(upload.c.id)).scalar_one()
            connection.execute(
                insert(delivery).values(subscription_id=number, upload_id=ended, state="waiting", next_at=0)
            )


@contextmanager
def telling(catalog: Catalog, monkeypatch: pytest.MonkeyPatch, *slow: str) -> Iterator[Receivers]:
    receivers = Receivers(frozenset(slow))
    monkeypatch.setattr(notifications, "_send_delivery", receivers.take)
    messenger = MessageSender(catalog, SETTINGS, structlog.get_logger())
    messenger.start()
    try:
        yield receivers
    finally:
        receivers.go.set()
        messenger.end()


def test_a_slow_receiver_keeps_nothing_waiting(
    site: DataFolder, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its owner's other hook, nor others', nor the trash and the verification of files."""
    ann, bob = owner(catalog, "ann"), owner(catalog, "bob")
    waiting(catalog, ann, "slow", 5)
    waiting(catalog, ann, "quick", 3)
    waiting(catalog, bob, "other", 4)
    with telling(catalog, monkeypatch, "slow") as receivers:
        receivers.until_ended("quick", "other")
        with receivers.changed:
            receivers.changed.wait_for(lambda: len(receivers.ended) == 7 and len(receivers.begun) == 8, 20)
            assert receivers.begun.count("slow") == 1  # one at a time for a hook
            assert sorted(receivers.ended) == ["other"] * 4 + ["quick"] * 3
        with open_data(str(site.data), site.settings) as (other, store):
            assert TRASH.run(CatalogAndStore(other, store, site.settings)) == 0
            assert verify_some(other, store, 1).problems == 0
        receivers.go.set()
        with receivers.changed:
            receivers.changed.wait_for(lambda: receivers.ended.count("slow") == 5, 20)
    assert receivers.ended.count("slow") == 5


@pytest.mark.postgresql
def test_slow_receivers_of_one_account_leave_lanes_for_others(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = owner(catalog, "ann"), owner(catalog, "bob")
    slow = [f"slow {number}" for number in range(SENDER_THREADS + 2)]
    for name in slow:
        waiting(catalog, ann, name)
    waiting(catalog, bob, "quick", 3)
    with telling(catalog, monkeypatch, *slow) as receivers:
        with receivers.changed:
            receivers.changed.wait_for(
                lambda: len(receivers.begun) == 3 + MAX_PER_OWNER and len(receivers.ended) == 3, 20
            )
            assert receivers.ended == ["quick"] * 3
            assert len(receivers.begun) == 3 + MAX_PER_OWNER
        receivers.go.set()
        receivers.until_ended(*slow)


def test_mails_leave_lanes_for_webhooks(catalog: Catalog) -> None:
    """All of them go through one mail server, which may be slow."""
    for number in range(MAX_MAILS + 1):
        waiting(catalog, owner(catalog, f"m{number}"), f"m{number}@example.org", kind="email")
    waiting(catalog, owner(catalog, "ann"), "hook")
    lanes = DeliverySlots()
    held = []
    for _ in range(MAX_MAILS + 2):
        lane = lanes.taken(catalog, SECONDS)
        held.append(lane)
        taken = lane.__enter__()
        if taken is None:
            break
        kind = taken.kind
    assert (len(held), kind) == (MAX_MAILS + 2, "webhook")
    for lane in held:
        lane.__exit__(None, None, None)
    with lanes.taken(catalog, SECONDS) as last:
        assert last is not None
        assert last.kind == "email"
