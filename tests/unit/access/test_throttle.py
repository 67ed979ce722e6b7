from __future__ import annotations

import pytest

from scandock.access import throttle as module
from scandock.access.throttle import ADDRESS, NAME, PAIR, Throttle, Throttled, network_of


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def throttle(clock):
    return Throttle(clock)


def fail(throttle, name, address, times):
    for _ in range(times):
        throttle.begin(name, address)


def test_after_a_burst_of_failures_the_next_try_has_to_wait_as_long_as_is_said(throttle, clock):
    fail(throttle, "alice", "10.0.0.1", PAIR.burst)
    with pytest.raises(Throttled) as refused:
        throttle.begin("Alice", "10.0.0.1")
    assert refused.value.code == "too_many_logins"
    assert 1 <= refused.value.retry_after <= PAIR.seconds
    clock.now += refused.value.retry_after
    throttle.begin("alice", "10.0.0.1")
    with pytest.raises(Throttled):
        throttle.begin("alice", "10.0.0.1")


def test_a_refused_try_costs_nothing(throttle, clock):
    fail(throttle, "alice", "10.0.0.1", PAIR.burst)
    for _ in range(100):
        with pytest.raises(Throttled) as refused:
            throttle.begin("alice", "10.0.0.1")
    assert refused.value.retry_after <= PAIR.seconds


def test_right_passwords_are_never_slowed_down(throttle):
    for _ in range(10 * ADDRESS.burst):
        throttle.begin("alice", "10.0.0.1")
        throttle.good("alice", "10.0.0.1")


def test_a_right_password_gives_back_its_own_try_and_no_more(throttle):
    fail(throttle, "alice", "10.0.0.1", PAIR.burst - 1)
    throttle.begin("alice", "10.0.0.1")
    throttle.good("alice", "10.0.0.1")
    throttle.begin("alice", "10.0.0.1")
    with pytest.raises(Throttled):
        throttle.begin("alice", "10.0.0.1")


def test_who_guesses_from_elsewhere_does_not_lock_the_owner_out(throttle):
    fail(throttle, "alice", "10.0.0.66", PAIR.burst)
    with pytest.raises(Throttled):
        throttle.begin("alice", "10.0.0.66")
    throttle.begin("alice", "10.0.0.1")
    throttle.begin("bob", "10.0.0.66")


def test_a_name_is_not_guessed_at_from_everywhere(throttle):
    for number in range(NAME.burst):
        throttle.begin("alice", f"10.0.1.{number}")
    with pytest.raises(Throttled):
        throttle.begin("alice", "10.0.2.1")


def test_an_address_does_not_guess_at_every_name(throttle):
    for number in range(ADDRESS.burst):
        throttle.begin(f"user{number}", "10.0.0.1")
    with pytest.raises(Throttled):
        throttle.begin("another", "10.0.0.1")


def test_one_machine_has_all_of_a_network_of_ipv6():
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:2") == "2001:db8::/64"
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert network_of("::ffff:10.0.0.1") == network_of("10.0.0.1") == "10.0.0.1"
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("unix") == "unix"


def test_memory_is_bounded(throttle, monkeypatch):
    monkeypatch.setattr(module, "MAX_KEYS", 10)
    for number in range(100):
        throttle.begin(f"user{number}", f"10.0.0.{number}")
    assert len(throttle) == 10
