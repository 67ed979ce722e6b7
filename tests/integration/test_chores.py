"""What several hosts on one PostgreSQL do by turns: each turn once."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from sqlalchemy import event, insert, select, update

from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.server_tables import chore as chore_table
from scandock.catalog.tables import tree
from scandock.queue.chores import CLAIM_MS, LONGEST_MS, chore
from scandock.services.cleaning.cleaner import Cleaner
from scandock.services.settings import load_settings
from scandock.store.local import LocalStore
from scandock.workers.janitor import EVERY_SECONDS, Janitor
from scandock.workers.verifier import VerifierThread

NAME = "a chore"


def pass_ms(catalog: Catalog, ms: int) -> None:
    with catalog.write() as connection:
        connection.execute(update(chore_table).values(until=chore_table.c.until - ms))


def take(catalog: Catalog, every: float = 60) -> bool:
    with chore(catalog, NAME, every) as is_turn:
        return is_turn


def test_a_turn_is_one_hosts_and_the_next_comes_with_its_time(hosts):
    one, other = hosts
    assert [take(one), take(other), take(one)] == [True, False, False]
    pass_ms(one, 50_000)
    assert not take(other)
    pass_ms(one, 10_000)
    assert [take(other), take(one)] == [True, False]


def test_nobody_takes_what_another_does(hosts):
    one, other = hosts
    with chore(one, NAME) as is_turn:
        assert is_turn
        assert not take(other)
    assert take(other, every=0), "it is done again at once where it has no time of its own"
    assert take(one, every=0)


def test_hosts_that_come_at_once_take_one_turn(hosts):
    taken: list[bool] = []
    threads = [threading.Thread(target=lambda n=n: taken.append(take(hosts[n % 2]))) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 9 + [True]


def test_a_host_that_dies_in_it_or_fails_keeps_nobody_from_it(hosts):
    one, other = hosts
    with pytest.raises(KeyError), chore(one, NAME):
        raise KeyError
    assert take(other, every=0)
    died = chore(one, NAME, 60)
    assert died.__enter__()
    assert not take(other)
    pass_ms(one, CLAIM_MS)
    with chore(other, NAME, 60) as is_turn:
        assert is_turn
        died.__exit__(None, None, None)  # it comes to, and says that it is done
        assert not take(one), "which is no end of what another does"


def test_a_clock_that_was_ahead_puts_nothing_off_for_long(hosts):
    assert take(hosts[0])
    pass_ms(hosts[0], -2 * LONGEST_MS)
    assert take(hosts[1])


def test_cleaners_have_one_turn_on_all_hosts_but_those_of_a_host(hosts):
    cleaned: list[str] = []

    def clean(who: Any, _age: int) -> int:
        cleaned.append(who.name)
        return 1

    sites = [SimpleNamespace(catalog=catalog, name=name) for catalog, name in zip(hosts, "ab", strict=True)]
    shared: Cleaner[Any] = Cleaner(what="rows", clean=clean)
    own: Cleaner[Any] = Cleaner(what="a cache", clean=clean, of_host=True)
    assert [shared.run(site) for site in sites] == [1, 0]
    assert [own.run(site) for site in sites] == [1, 1]
    assert cleaned == ["a", "a", "b"]


def test_on_sqlite_every_turn_is_its_own_and_nothing_is_written(sqlite_url):
    catalog = open_catalog(sqlite_url)
    asked: list[str] = []
    event.listen(catalog.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    assert [take(catalog), take(catalog)] == [True, True]
    assert asked == []
    catalog.dispose()


def test_one_host_looks_for_rows_of_nobody_and_one_verifies(hosts, tmp_path: Path):
    store = LocalStore(tmp_path / "data")
    store.prepare()
    looked: list[int] = []

    def note(number: int) -> Any:
        def before(*given: Any) -> None:
            if given[2].startswith("SELECT tree.id") and "tree.state <>" in given[2]:
                looked.append(number)

        return before

    for number, catalog in enumerate(hosts):
        event.listen(catalog.engine, "before_cursor_execute", note(number))
    with hosts[0].write() as connection:
        connection.execute(insert(tree).values(state="retired", created=1))
    janitors = [Janitor(catalog, store, load_settings(), structlog.get_logger()) for catalog in hosts]
    for _ in range(2):
        for one in janitors:
            one._clear()  # noqa: SLF001  a turn of its thread
    assert looked == [0]
    pass_ms(hosts[0], int(EVERY_SECONDS * 1000))
    janitors[1]._clear()  # noqa: SLF001
    assert looked == [0, 1]
    with hosts[0].read() as connection:
        assert connection.execute(select(tree.c.id)).all() == []
    verifiers = [VerifierThread(catalog, store, load_settings(), structlog.get_logger()) for catalog in hosts]
    with chore(hosts[0], "verification") as is_turn:
        assert is_turn
        hosts[1].engine.dispose()
        asked: list[str] = []
        event.listen(hosts[1].engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
        assert verifiers[1]._turn() > 0  # noqa: SLF001
        assert not [one for one in asked if "verification" in one]
    verifiers[1]._turn()  # noqa: SLF001
    assert [one for one in asked if "verification" in one]
    store.close()
