"""Whoever guesses passwords keeps nobody else waiting: logins that are known, cookies, tokens and guests go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path
from typing import Literal

import httpx
import pytest
from argon2 import PasswordHasher

from scandock.access.passwords import use_hasher
from scandock.testing.server import InProcessServer
from scandock.web.deps import CATALOG_THREADS
from tests.integration.web import PASSWORD, check_documented

ATTACKER, OFFICE, HOME = "192.0.2.1", "192.0.2.2", "192.0.2.3"
WAITING, THREADS = 5, 4
GUESSES = CATALOG_THREADS + 6


class HeldHasher(PasswordHasher):
    """Checks of wrong passwords last until they are let go; what was checked is written down."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.go_on = threading.Event()
        self.checked: list[bytes] = []

    def verify(self, stored: str | bytes, password: str | bytes) -> Literal[True]:
        self.checked.append(password if isinstance(password, bytes) else password.encode())
        if b"wrong" in self.checked[-1]:
            assert self.go_on.wait(30)
        return super().verify(stored, password)


@pytest.fixture
def hasher() -> Iterator[HeldHasher]:
    held = HeldHasher()
    with use_hasher(held):
        try:
            yield held
        finally:
            held.go_on.set()


@pytest.fixture
def server(tmp_path: Path, hasher: HeldHasher) -> Iterator[InProcessServer]:
    with InProcessServer(tmp_path / "data") as running:
        running.add_account("alice", PASSWORD)
        running.site.passwords.waiting_most = WAITING
        yield running
        hasher.go_on.set()


def client(server: InProcessServer, address: str, auth: tuple[str, str] | None = None) -> httpx.Client:
    transport = server.transport(address)
    hooks = {"response": [check_documented]}
    return httpx.Client(base_url=server.base, auth=auth, transport=transport, event_hooks=hooks, trust_env=False)


def guess(server: InProcessServer, number: int) -> httpx.Response:
    with client(server, ATTACKER, (f"name{number}", "wrong")) as one:
        return one.get(("/api/v1/auth/me", "/data/projects", "/projects")[number % 3])


def test_guesses_keep_nobody_waiting_and_the_address_that_fills_its_line_is_told_so(server, hasher):
    with client(server, HOME) as home:
        assert home.post("/api/v1/auth/login", json={"name": "alice", "password": PASSWORD}).status_code == 200
        csrf = home.get("/api/v1/auth/me").json()["csrf"]
        token = home.post("/api/v1/tokens", json={}, headers={"X-CSRF-Token": csrf}).json()["token"]
        with ThreadPoolExecutor(GUESSES) as pool:
            guesses = {pool.submit(guess, server, number) for number in range(GUESSES)}
            refused = set(islice(as_completed(guesses), GUESSES - WAITING - THREADS))
            # all the others are held from here on: more of them than there are threads for the catalog
            assert home.get("/api/v1/auth/me").json()["door"] == "cookie"
            bearer = {"Authorization": f"Bearer {token}"}
            assert home.get("/data/projects", headers=bearer).status_code == 200
            with client(server, OFFICE, ("alice", PASSWORD)) as known:
                assert known.get("/api/v1/auth/me").json()["door"] == "basic"
            with client(server, ATTACKER) as guest:
                assert guest.get("/login").status_code == 200
            hasher.go_on.set()
            told = [one.result() for one in guesses - refused]
        for answer in (one.result() for one in refused):
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
        assert {one.status_code for one in told} == {401, 303}, "a page leads to the login"
        assert hasher.checked.count(b"wrong") == WAITING + THREADS
        metrics = home.get("/metrics").text
    assert f"scandock_password_checks_refused_total {len(refused)}.0" in metrics
    assert f"scandock_password_checks_waited_total {WAITING}.0" in metrics


@pytest.mark.long
def test_fifty_clients_of_one_address_that_begin_at_once_are_checked_once(server, hasher):
    def ask(_number: int) -> int:
        with client(server, OFFICE, ("alice", PASSWORD)) as one:
            return one.get("/data/projects").status_code

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(ask, range(50))) == {200}
    assert len(hasher.checked) <= 2, "those that came after the first was remembered ask for no other"


@pytest.mark.long
def test_fifty_browsers_behind_one_address_log_in_at_once(server, hasher):
    names = [f"user{number}" for number in range(50)]
    server.site.passwords.waiting_most = 100
    for name in names:
        server.add_account(name, PASSWORD)

    def log_in(name: str) -> int:
        with client(server, OFFICE) as one:
            return one.post("/login", data={"name": name, "password": PASSWORD}).status_code

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(log_in, names)) == {303}


def test_a_wrong_password_counts_once_though_the_page_of_its_error_asks_again(server, hasher):
    hasher.go_on.set()
    with client(server, OFFICE, ("alice", "wrong")) as one:
        assert one.get("/projects", headers={"Accept": "text/html"}).status_code == 303
        assert one.post("/projects", headers={"Accept": "text/html"}).status_code == 401
    assert hasher.checked == [b"wrong"] * 2


def test_a_password_that_is_set_is_hashed_in_its_turn(server, hasher):
    """By an administrator, and by oneself: neither holds up a thread that others need, and both work."""
    server.add_account("boss", PASSWORD, admin=True)
    with client(server, OFFICE, ("boss", PASSWORD)) as boss:
        assert boss.post("/api/v1/accounts", json={"name": "new", "password": "pw"}).status_code == 201
        assert boss.put("/api/v1/accounts/new/password", json={"password": "other"}).status_code == 204
    with client(server, HOME, ("new", "other")) as new:
        change = {"current": "other", "new": "battery staple"}
        assert new.put("/api/v1/auth/password", json=change).status_code == 200
    with client(server, HOME, ("new", "battery staple")) as new:
        assert new.get("/api/v1/auth/me").status_code == 200
