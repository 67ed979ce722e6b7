from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from argon2 import PasswordHasher

from scandock.access import passwords
from scandock.access.passwords import PasswordCache, check_new, hash_password, is_outdated, verify
from scandock.model.errors import Usage


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_a_hash_is_argon2id_with_the_parameters_that_are_told():
    with passwords.use_hasher(passwords.HASHER):
        stored = hash_password("correct horse")
        assert stored != hash_password("correct horse")
        assert verify(stored, "correct horse")
        assert not verify(stored, "correct horsf")
        assert not is_outdated(stored)
        assert is_outdated("$argon2id$v=19$m=8192,t=1,p=1$c29tZXNhbHQ$YWJjZGVmZ2hpamtsbW5vcA")
    assert stored.startswith(f"$argon2id$v=19$m={passwords.MEMORY_KIB},t={passwords.PASSES},p={passwords.LANES}$")
    assert passwords.MEMORY_KIB >= 19 * 1024
    assert passwords.PASSES >= 2


def test_where_there_is_no_account_no_password_fits():
    for password in ("", "x", "a" * 10_000):
        assert not verify(None, password)
    assert not verify("no hash at all", "x")


def test_a_password_is_the_same_whichever_way_its_letters_were_composed():
    stored = hash_password("gr\u00fcn und blau")
    assert verify(stored, "gru\u0308n und blau")
    assert not verify(stored, "grun und blau")


def test_bytes_that_are_no_text_make_no_error():
    stored = hash_password("caf\udce9")
    assert verify(stored, "caf\udce9")


@pytest.mark.parametrize("unfit", ["", "seven77", "a" * 5000, "eight\0chars"])
def test_passwords_that_cannot_be_chosen(unfit):
    with pytest.raises(Usage) as refused:
        check_new(unfit)
    assert refused.value.code == "password_unfit"


def test_an_administrator_may_set_a_short_one_but_none_that_is_empty():
    check_new("pw", least=1)
    with pytest.raises(Usage):
        check_new("", least=1)


def test_passwords_are_checked_one_at_a_time():
    stored = hash_password("right")
    running, most = 0, 0
    counting = threading.Lock()

    class Hasher(PasswordHasher):
        def verify(self, *given):
            nonlocal running, most
            with counting:
                running += 1
                most = max(most, running)
            try:
                return super().verify(*given)
            finally:
                with counting:
                    running -= 1

    answers = []
    threads = [threading.Thread(target=lambda: answers.append(verify(stored, "right"))) for _ in range(4)]
    with passwords.use_hasher(Hasher()):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [True] * 4
    assert most == 1


def test_a_good_login_is_remembered_for_a_minute_of_its_epoch():
    clock = Clock()
    remembered = PasswordCache(clock)
    remembered.add("alice", "secret", 7, 3)
    assert remembered.knows("alice", "secret", 7, 3)
    assert not remembered.knows("alice", "secreT", 7, 3)
    assert not remembered.knows("alic", "esecret", 7, 3)
    clock.now += passwords.REMEMBER_SECONDS - 1
    assert remembered.knows("alice", "secret", 7, 3)
    assert not remembered.knows("alice", "secret", 7, 4)
    assert not remembered.knows("alice", "secret", 7, 3), "forgotten as soon as the epoch had moved on"
    remembered.add("alice", "secret", 7, 4)
    clock.now += passwords.REMEMBER_SECONDS
    assert not remembered.knows("alice", "secret", 7, 4)


def test_neither_name_nor_password_is_kept(monkeypatch):
    monkeypatch.setattr(passwords, "MAX_REMEMBERED", 2)
    remembered = PasswordCache(Clock())
    for number in range(5):
        remembered.add(f"name{number}", "sesame", number, 0)
    kept = repr(vars(remembered))
    assert "name" not in kept
    assert "sesame" not in kept
    assert [remembered.knows(f"name{number}", "sesame", number, 0) for number in range(5)] == [False] * 3 + [True] * 2
    assert remembered.knows("name4", "sesame", 4, 0)
    assert not remembered.knows("name0", "sesame", 0, 0)
    assert not PasswordCache(Clock()).knows("name4", "sesame", 4, 0)


_MANY_THREADS = """
import threading
from concurrent.futures import ThreadPoolExecutor
from scandock.access.passwords import hash_password, verify

def resident():
    with open("/proc/self/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))

stored = hash_password("correct horse")
before, together = resident(), threading.Barrier(8)

def check(_):
    together.wait()
    for _ in range(3):
        assert verify(stored, "correct horse")

with ThreadPoolExecutor(8) as pool:
    list(pool.map(check, range(8)))
print(resident() - before)
"""


@pytest.mark.long
def test_checks_from_many_threads_take_the_memory_of_one():
    """The allocator keeps what a thread has freed for that thread: each of them would hold the memory of a check."""
    grown = subprocess.run([sys.executable, "-c", _MANY_THREADS], check=True, capture_output=True, text=True).stdout
    assert int(grown) < 2 * passwords.MEMORY_KIB  # kB
