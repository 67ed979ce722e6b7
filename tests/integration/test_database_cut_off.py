"""A host that is cut off from PostgreSQL without a word: what asks fails within seconds, and then all is well again."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url, text

from scandock.catalog import server_connections
from scandock.catalog.engine import WRITERS, Catalog, open_catalog
from scandock.catalog.errors import CatalogFailed
from scandock.catalog.server_connections import WORDS, add_words, conninfo
from scandock.model.errors import OUTAGES
from scandock.model.patience import tries
from scandock.services.settings import load_settings
from tests import postgres
from tests.integration.web import serve_in_process
from tests.tcp_proxy import Proxy, proxy_of

SECONDS = 9.0
"""Two until the server is asked whether it lives, three until that counts as no answer, three for a new connection."""


@pytest.fixture
def proxy(postgres_cluster: postgres.Cluster) -> Iterator[Proxy]:
    with proxy_of(f"{postgres_cluster.socket_folder}/.s.PGSQL.5432") as running:
        yield running


@pytest.fixture
def proxied_url(proxy: Proxy, postgres_url: str) -> str:
    url = make_url(postgres_url).set(host="127.0.0.1", port=proxy.port, query={})
    return url.render_as_string(hide_password=False)


@pytest.fixture
def catalog(proxied_url: str) -> Iterator[Catalog]:
    opened = open_catalog(proxied_url)
    yield opened
    opened.dispose()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what comes of it; the first one waits for as long as people do."""
    monkeypatch.setattr(server_connections, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(server_connections, "LIVES_SECONDS", 0.4)


def ask(catalog: Catalog, statement: str = "SELECT 1") -> object:
    with catalog.read() as connection:
        return connection.execute(text(statement)).scalar_one()


def fails_soon(call: Callable[[], object]) -> CatalogFailed:
    begun = time.monotonic()
    with pytest.raises(CatalogFailed) as failed:
        call()
    assert time.monotonic() - begun < SECONDS
    return failed.value


def test_a_statement_under_way_and_the_next_ones_fail_and_then_all_is_well(catalog, proxy):
    assert ask(catalog) == 1
    failures: list[CatalogFailed] = []
    began = threading.Barrier(4)

    def wait_long() -> None:
        with catalog.read() as connection:
            connection.execute(text("SELECT 1"))
            began.wait()
            connection.execute(text("SELECT pg_sleep(60)"))

    threads = [threading.Thread(target=lambda: failures.append(fails_soon(wait_long))) for _ in range(3)]
    for thread in threads:
        thread.start()
    began.wait()
    proxy.hole.set()
    for thread in threads:
        thread.join()
    assert len(failures) == 3
    assert all("does not answer" in str(failure) for failure in failures)
    assert {failure.code for failure in failures} <= OUTAGES.keys(), "imports wait until it is over"
    fails_soon(lambda: ask(catalog))
    proxy.hole.clear()
    is_well_again(lambda: ask(catalog) == 1)


def is_well_again(asked: Callable[[], bool]) -> None:
    for _ in tries(2 * server_connections.LOST_SECONDS, 0.05):
        with contextlib.suppress(CatalogFailed):
            if asked():
                return
    pytest.fail("it is not well again")


@pytest.mark.usefixtures("quick")
def test_a_crowd_that_waits_for_its_turn_to_write_is_told_within_seconds(catalog, proxy):
    """Many more than may write at once: each would try to connect by itself, one after another."""
    assert ask(catalog) == 1
    proxy.hole.set()

    def write() -> None:
        with catalog.write() as connection:
            connection.execute(text("SELECT 1"))

    failures: list[CatalogFailed] = []
    threads = [threading.Thread(target=lambda: failures.append(fails_soon(write))) for _ in range(WRITERS * 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failures) == len(threads)


@pytest.mark.usefixtures("quick")
def test_who_takes_a_connection_from_the_pool_fails_too(catalog, proxy):
    assert ask(catalog) == 1
    proxy.hole.set()
    fails_soon(lambda: ask(catalog))


@pytest.mark.usefixtures("quick")
def test_a_long_statement_goes_on_where_the_server_lives(catalog, proxy):
    assert ask(catalog) == 1
    taken = proxy.taken
    assert ask(catalog, "SELECT pg_sleep(1)::text") == ""
    assert proxy.taken > taken, "the server was asked whether it lives"


def test_many_that_wait_ask_once(proxy):
    probe = server_connections.ServerProbe()
    threads = [threading.Thread(target=probe.lives, args=("127.0.0.1", proxy.port)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert proxy.taken == 1
    assert probe.lives("127.0.0.1", proxy.port)


def test_a_server_on_a_socket_of_this_machine_is_asked_there(postgres_cluster, tmp_path):
    probe = server_connections.ServerProbe()
    assert probe.lives(str(postgres_cluster.socket_folder), 5432)
    assert not probe.lives(str(tmp_path), 5432)


@pytest.mark.usefixtures("quick")
def test_requests_are_told_of_the_fault_and_served_again(tmp_path: Path, proxied_url: str, proxy: Proxy):
    settings = load_settings().model_copy(update={"database_url": proxied_url})
    with serve_in_process(tmp_path / "data", settings) as web, web.client() as client:
        assert client.get("/api/v1/projects").status_code == 200
        proxy.hole.set()
        begun = time.monotonic()
        refused = client.get("/api/v1/projects")
        assert time.monotonic() - begun < SECONDS
        assert (refused.status_code, refused.json()["code"]) == (503, "catalog")
        assert client.get("/readyz").status_code == 503
        proxy.hole.clear()
        is_well_again(lambda: client.get("/api/v1/projects").status_code == 200)


def test_words_of_the_url_and_the_environment_go_first(monkeypatch):
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    assert add_words("postgresql://host/name") == WORDS
    assert "tcp_user_timeout" not in add_words("postgresql://host/name?tcp_user_timeout=60000")
    url = "postgresql+psycopg://u:p%40w@host/name?connect_timeout=9"
    given = conninfo_to_dict(conninfo(url, **add_words(url)))
    assert given["connect_timeout"] == "9"
    assert given["keepalives_count"] == "3"
    assert given["password"] == "p@w"
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "60")
    assert "connect_timeout" not in add_words("postgresql://host/name")


@pytest.mark.parametrize("hosts", ["host=a&host=b", "host=a,b", "host=a:&host=b:"])
def test_libpq_is_told_all_hosts_of_a_url(hosts):
    given = conninfo_to_dict(conninfo(f"postgresql://u@/name?{hosts}&target_session_attrs=read-write"))
    assert (given["host"], given["dbname"], given["target_session_attrs"]) == ("a,b", "name", "read-write")


def test_a_session_has_its_bounds_unless_somebody_has_set_them(catalog, proxied_url):
    def shown(opened: Catalog, name: str) -> object:
        return ask(opened, f"SHOW {name}")

    assert shown(catalog, "idle_in_transaction_session_timeout") == "5min"
    assert shown(catalog, "lock_timeout") == "1min"
    assert shown(catalog, "tcp_keepalives_idle") in {"5", "0"}  # 0 on a socket of this machine
    own = open_catalog(f"{proxied_url}?options=-c%20lock_timeout%3D0")
    assert shown(own, "lock_timeout") == "0"
    assert shown(own, "idle_in_transaction_session_timeout") == "5min"
    own.dispose()
