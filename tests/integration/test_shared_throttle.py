"""Wrong passwords counted by several web hosts together, in PostgreSQL."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select, update

from scandock.access.shared_throttle import SharedThrottle, forget_forgiven
from scandock.access.throttle import ADDRESS, NAME, PAIR, Throttle, Throttled
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.server_tables import login_failure
from scandock.services.authentication import make_gate


def pass_seconds(catalog: Catalog, seconds: float) -> None:
    with catalog.write() as connection:
        connection.execute(update(login_failure).values(forgiven=login_failure.c.forgiven - int(seconds * 1000)))


def test_hosts_share_the_count_and_a_restart_keeps_it(hosts):
    first, second = (SharedThrottle(catalog) for catalog in hosts)
    for number in range(PAIR.burst):
        (first, second)[number % 2].begin("alice", "10.0.0.1")
    for throttle in (first, second, SharedThrottle(hosts[0])):
        with pytest.raises(Throttled) as refused:
            throttle.begin("Alice", "10.0.0.1")
        assert 1 <= refused.value.retry_after <= PAIR.seconds
    second.begin("alice", "10.0.0.2")
    pass_seconds(hosts[0], refused.value.retry_after)
    first.begin("alice", "10.0.0.1")
    with pytest.raises(Throttled):
        second.begin("alice", "10.0.0.1")


def test_a_right_password_gives_back_its_own_try_and_no_more(hosts):
    throttle, other = (SharedThrottle(catalog) for catalog in hosts)
    for _ in range(ADDRESS.burst + 1):
        throttle.begin("alice", "10.0.0.1")
        other.good("alice", "10.0.0.1")
    for _ in range(PAIR.burst - 1):
        throttle.begin("alice", "10.0.0.1")
    throttle.begin("alice", "10.0.0.1")
    throttle.good("alice", "10.0.0.1")
    throttle.begin("alice", "10.0.0.1")
    with pytest.raises(Throttled):
        throttle.begin("alice", "10.0.0.1")


def test_names_and_addresses_have_their_own_rates(hosts):
    throttle = SharedThrottle(hosts[0])
    for number in range(NAME.burst):
        throttle.begin("alice", f"10.0.1.{number}")
    with pytest.raises(Throttled):
        throttle.begin("alice", "10.0.2.1")
    for number in range(ADDRESS.burst):
        throttle.begin(f"user{number}", "10.0.0.1")
    with pytest.raises(Throttled):
        throttle.begin("another", "10.0.0.1")


def test_guesses_at_once_on_both_hosts_are_all_counted(hosts):
    throttles = [SharedThrottle(catalog) for catalog in hosts]
    outcomes: list[bool] = []

    def guess(number: int) -> None:
        try:
            throttles[number % 2].begin("alice", "10.0.0.1")
        except Throttled:
            outcomes.append(False)
        else:
            outcomes.append(True)

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(4 * PAIR.burst)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(True) == PAIR.burst
    assert len(outcomes) == 4 * PAIR.burst


def test_a_clock_that_was_ahead_locks_nobody_out_for_long(hosts):
    throttle = SharedThrottle(hosts[0])
    throttle.begin("alice", "10.0.0.1")
    pass_seconds(hosts[0], -3600)
    with pytest.raises(Throttled) as refused:
        throttle.begin("alice", "10.0.0.1")
    assert refused.value.retry_after <= PAIR.seconds


def test_what_counts_no_more_is_removed_and_no_name_is_written_down(hosts):
    throttle = SharedThrottle(hosts[0])
    throttle.begin("hunter2 in the wrong field", "10.0.0.1")
    with hosts[0].read() as connection:
        rows = connection.execute(select(login_failure)).all()
    assert len(rows) == 3
    assert not any(b"hunter2" in row.key for row in rows)
    assert forget_forgiven(hosts[0]) == 0
    pass_seconds(hosts[0], 60)
    assert forget_forgiven(hosts[0]) == 3


def test_the_gate_of_a_web_host_shares_where_hosts_can_be_several(hosts, sqlite_url):
    assert isinstance(make_gate(hosts[0]).throttle, SharedThrottle)
    embedded = open_catalog(sqlite_url)
    assert isinstance(make_gate(embedded).throttle, Throttle)
    embedded.dispose()
