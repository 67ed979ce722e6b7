"""Clocks that jump: nothing is deleted for its age until a day after, and retries are not put off for long.

People see that deletions wait, and say that the clock is right where it is.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import structlog
from sqlalchemy import event, func, insert, select, update
from structlog.testing import capture_logs

from scandock.access import accounts, logins, tokens
from scandock.access.principal import ANONYMOUS, SYSTEM, AccessDenied
from scandock.catalog.engine import open_catalog
from scandock.catalog.server_tables import account, api_token, audit, clock_seen, delivery, login, reception, tracked
from scandock.cli import main
from scandock.model.errors import Usage
from scandock.queue.claim import SlotUsage, claim
from scandock.queue.owner import this_owner
from scandock.rules.permissions import Scope
from scandock.services import clock_check
from scandock.services.cleaning.cleaner import CatalogAndStore
from scandock.services.cleaning.registry import ENDED_ACCESS
from scandock.services.cleaning.trash import TRASH
from scandock.services.cleaning.uploads import IDLE_UPLOADS
from scandock.services.clock_check import (
    HOLD_MS,
    Clocks,
    check_deletion_allowed,
    confirm_clock_state,
    read_clock_state,
    update_deletion_age,
)
from scandock.services.notifications import send_due_deliveries
from scandock.services.receiving import UploadReceiver, receiving_limits
from scandock.services.settings import load_settings
from scandock.web import readiness
from scandock.web.xnat.services.cleaning import KEY_CLEANER
from scandock.workers.janitor import Janitor
from tests.integration.upload_server import UploadServer
from tests.integration.web import serve_in_process

pytestmark = pytest.mark.postgresql

DAY = 86_400_000


@dataclass
class Machine:
    """A machine's clocks: `pass_` lets time pass, `jump` sets the one that people see."""

    now: int
    up: int = 1_000
    start: str = "first"
    database_apart: int = 0

    def pass_(self, ms):
        self.now += ms
        self.up += ms

    def jump(self, ms):
        self.now += ms

    def restart(self, off):
        self.now += off
        self.up, self.start = 0, self.start + "x"

    @property
    def clocks(self):
        return Clocks(lambda: self.now, lambda: self.up, lambda: self.start, lambda *_: self.now + self.database_apart)


@pytest.fixture
def catalog(database_url):
    opened = open_catalog(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def machine():
    return Machine(1_800_000_000_000)


def test_time_that_passes_is_trusted_however_long_and_over_a_restart(catalog, machine):
    for ms in (0, 1_000, 3_600_000, 40 * DAY):
        machine.pass_(ms)
        assert check_deletion_allowed(catalog, machine.clocks) == ""
    machine.restart(off=7 * DAY)
    assert check_deletion_allowed(catalog, machine.clocks) == ""
    machine.restart(off=8 * DAY)
    assert "jumped by 8 days" in check_deletion_allowed(catalog, machine.clocks)


def test_what_was_doubted_long_ago_makes_nothing_older_at_the_next_jump(catalog, machine):
    assert check_deletion_allowed(catalog, machine.clocks) == ""
    ages: list[int] = []
    for ms in (20 * DAY, 3_600_000, 3_600_000):  # the last long after, the second soon
        machine.pass_(500 * DAY if len(ages) == 2 else 2 * DAY)
        machine.jump(ms)
        assert "jumped" in check_deletion_allowed(catalog, machine.clocks)
        machine.pass_(DAY)
        age = update_deletion_age(catalog, 30 * DAY, machine.clocks)
        assert age is not None
        ages.append(age - 30 * DAY)
    assert ages == [20 * DAY, 20 * DAY + 3_600_000, 3_600_000]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_clock_that_jumps_ahead_and_back_deletes_nothing_until_it_has_been_right_for_a_day(
    catalog, machine, restarts
):
    assert check_deletion_allowed(catalog, machine.clocks) == ""
    if restarts:
        machine.restart(off=0)
    machine.jump(40 * DAY)
    assert "jumped by 40 days" in check_deletion_allowed(catalog, machine.clocks)
    machine.pass_(45_000)
    assert "jumped by 40 days" in check_deletion_allowed(catalog, machine.clocks)
    machine.jump(-40 * DAY)
    assert "jumped by 40 days" in check_deletion_allowed(catalog, machine.clocks)
    machine.pass_(DAY - 1)
    assert "jumped" in check_deletion_allowed(catalog, machine.clocks)
    machine.pass_(1)
    assert check_deletion_allowed(catalog, machine.clocks) == ""


def test_a_database_whose_clock_says_otherwise_is_believed_as_little(catalog, machine):
    assert check_deletion_allowed(catalog, machine.clocks) == ""
    machine.database_apart = -20 * DAY
    assert "differ by 20 days" in check_deletion_allowed(catalog, machine.clocks)
    machine.database_apart = 60_000
    assert "jumped by 20 days" in check_deletion_allowed(catalog, machine.clocks), "it is the clock that dates all"
    assert held_off(catalog, machine, 30 * DAY) == 20 * DAY + 60_000, "what it dated meanwhile is dated too early"


def test_several_hosts_note_a_jump_once(catalog, machine):
    """Each compares with what it saw itself, however they take turns: a jump may be shorter than a restart takes."""
    other = Machine(machine.now, up=9_000, start="another")
    both = [machine, other]

    def look() -> list[str]:
        return [check_deletion_allowed(catalog, host.clocks) for host in both]

    assert look() == ["", ""]
    for host in both:
        host.pass_(3_600_000)
    assert look() == ["", ""]
    for host in both:
        host.jump(3 * DAY)
    assert all("jumped by 3 days" in why for why in look())
    assert all("jumped by 3 days" in why for why in look())
    for host in both:
        host.pass_(HOLD_MS)
    assert look() == ["", ""]
    assert update_deletion_age(catalog, 30 * DAY, other.clocks) == 33 * DAY, "not six days"


def test_a_host_whose_clock_is_off_keeps_no_other_from_deleting(catalog, machine):
    other = Machine(machine.now + 3_600_000, start="another", database_apart=-3_600_000)
    assert check_deletion_allowed(catalog, machine.clocks) == ""
    for _ in range(3):
        assert "differ by 60 minutes" in check_deletion_allowed(catalog, other.clocks)
        assert check_deletion_allowed(catalog, machine.clocks) == ""
        machine.pass_(120_000)
        other.pass_(120_000)


def test_what_is_looked_at_alone_is_told_as_well_and_nothing_is_written(catalog, machine):
    assert read_clock_state(catalog, machine.clocks).why == ""  # nobody has looked yet
    check_deletion_allowed(catalog, machine.clocks)
    machine.jump(40 * DAY)
    for _ in range(2):
        found = read_clock_state(catalog, machine.clocks)
        assert "jumped by 40 days" in found.why
        assert found.confirmable
    machine.jump(-40 * DAY)
    assert read_clock_state(catalog, machine.clocks).why == ""
    machine.database_apart = 40 * DAY
    found = read_clock_state(catalog, machine.clocks)
    assert ("differ by 40 days" in found.why, found.confirmable) == (True, False)


def test_an_administrator_says_that_a_clock_is_right_that_has_jumped(catalog, machine):
    check_deletion_allowed(catalog, machine.clocks)
    machine.jump(40 * DAY)
    with pytest.raises(AccessDenied):
        confirm_clock_state(catalog, ANONYMOUS, clocks=machine.clocks)
    assert check_deletion_allowed(catalog, machine.clocks) != ""
    confirm_clock_state(catalog, SYSTEM, clocks=machine.clocks)
    assert check_deletion_allowed(catalog, machine.clocks) == read_clock_state(catalog, machine.clocks).why == ""
    assert update_deletion_age(catalog, DAY, machine.clocks) == DAY
    with catalog.read() as connection:
        assert connection.execute(select(audit.c.kind, audit.c.target)).all() == [("clock", "held")]
    confirm_clock_state(catalog, SYSTEM, clocks=machine.clocks)  # there is nothing to say any more
    machine.database_apart = -40 * DAY
    with pytest.raises(Usage, match="differ by 40 days"):
        confirm_clock_state(catalog, SYSTEM, clocks=machine.clocks)
    with catalog.read() as connection:
        assert connection.execute(select(func.count()).select_from(audit)).scalar_one() == 1


def held_off(catalog, machine, kept):
    """For how much longer than `kept` nothing is deleted; once the clock is trusted again."""
    machine.pass_(HOLD_MS)
    assert check_deletion_allowed(catalog, machine.clocks) == ""
    return update_deletion_age(catalog, kept, machine.clocks) - kept


@pytest.mark.parametrize(("jumps", "late"), [((-20, 20), 20), ((20, -20), 0), ((-20, 20, -1, 1), 20), ((20,), 20)])
def test_what_was_dated_by_a_clock_that_was_behind_stays_as_long_as_all_else(catalog, machine, jumps, late):
    """Behind by 20 days, it dates what is deleted then 20 days too early."""
    check_deletion_allowed(catalog, machine.clocks)
    for days in jumps:
        machine.jump(days * DAY)
        assert update_deletion_age(catalog, 30 * DAY, machine.clocks) is None
        machine.pass_(1_000)
    assert held_off(catalog, machine, 30 * DAY) == late * DAY
    machine.pass_(29 * DAY)
    check_deletion_allowed(catalog, machine.clocks)
    assert update_deletion_age(catalog, 30 * DAY, machine.clocks) == 30 * DAY  # what was dated wrongly is older by now


def test_two_who_look_first_at_once_note_it_once(postgres_url, machine):
    """A web process and a worker of a new server. In SQLite one waits for the other anyway."""
    catalog = open_catalog(postgres_url)
    looked: list[str] = []

    def beside(_connection, _cursor, statement, *_):
        if statement.startswith("INSERT INTO clock_seen ") and not looked:
            looked.append("first")
            with ThreadPoolExecutor(1) as other:
                looked.append(other.submit(check_deletion_allowed, catalog, machine.clocks).result())

    event.listen(catalog.engine, "before_cursor_execute", beside)
    assert (check_deletion_allowed(catalog, machine.clocks), looked) == ("", ["first", ""])
    assert update_deletion_age(catalog, DAY, machine.clocks) == DAY
    catalog.dispose()


def test_the_clocks_of_this_machine_are_right(catalog):
    assert [check_deletion_allowed(catalog), check_deletion_allowed(catalog)] == ["", ""]


@pytest.mark.parametrize("why", ["held", "dated too early", ""])
def test_trash_and_uploads_that_are_too_old_stay_while_the_clock_is_not_trusted(tmp_path, database_url, why):
    server = UploadServer(tmp_path / "data", database_url)
    entry = server.data / "trash" / "20200101T000000-abc"
    (entry / "tree").mkdir(parents=True)
    uuid = server.receive(b"x", size=2)
    assert check_deletion_allowed(server.catalog) == ""
    with server.catalog.write() as connection:
        connection.execute(update(reception).values(door="tus", expires=1))
        values: dict[str, object] = {"jumped": 40 * DAY, "held_until": 4 * 10**12 if why == "held" else 0}
        if why == "dated too early":
            values |= {"doubted": 4 * 10**12, "doubted_since": server.catalog.now()}
        connection.execute(update(clock_seen).values(**values))
    TRASH.run(CatalogAndStore(server.catalog, server.store, load_settings()))
    receiving = UploadReceiver(server.catalog, server.store, receiving_limits(load_settings()))
    IDLE_UPLOADS.run(SimpleNamespace(catalog=server.catalog, receiving=receiving, locks=()))
    assert (entry.exists(), server.state(uuid)) == ((True, "receiving") if why else (False, "cancelled"))
    assert ("jumped by 40 days" in check_deletion_allowed(server.catalog)) is (why == "held")
    server.close()


@contextmanager
def wrong(catalog, tables):
    """As if the clock were ahead: all is over that these tables date; and it is known that the clock has jumped."""
    with catalog.write() as connection:
        kept = {column: connection.execute(select(column)).scalar_one() for column in tables}
        for column in tables:
            connection.execute(update(column.table).values({column: 1}))
        connection.execute(update(clock_seen).values(jumped=40 * DAY, held_until=4 * 10**12))
    yield
    with catalog.write() as connection:
        for column, value in kept.items():
            connection.execute(update(column.table).values({column: value}))


def test_logins_tokens_and_keys_that_a_wrong_clock_ends_hold_again_once_it_is_right(tmp_path, database_url):
    server = UploadServer(tmp_path / "data", database_url)
    catalog = server.catalog
    number = server.account("ann")
    assert check_deletion_allowed(catalog) == ""
    with catalog.write() as connection:
        ann = accounts.find(connection, "ann")
        assert ann is not None
        begun, token = logins.begin(connection, ann), tokens.issue(connection, ann, scope=Scope.ALL)
        connection.execute(insert(tracked).values(account_id=number, key="k", created=catalog.now()))

    def holds():
        with catalog.read() as connection:
            return (
                logins.find(connection, begun.secret) is not None,
                tokens.find(connection, token.alias, token.secret) is not None,
                connection.execute(select(func.count()).select_from(tracked)).scalar_one() == 1,
            )

    with wrong(catalog, (login.c.expires, api_token.c.expires, tracked.c.created)):
        assert holds() == (False, False, True)
        assert (ENDED_ACCESS.run(server), KEY_CLEANER.run(server)) == (0, 0)
        with catalog.write() as connection:  # neither do others that begin make room
            others = logins.begin(connection, ann), tokens.issue(connection, ann, scope=Scope.ALL)
            logins.end(connection, others[0].secret)
            tokens.revoke(connection, number, others[1].alias)
    assert holds() == (True, True, True)
    server.close()


def test_an_upload_that_a_wrong_clock_ends_is_gone_on_with(tmp_path, database_url):
    server = UploadServer(tmp_path / "data", database_url)
    receiving = UploadReceiver(server.catalog, server.store, receiving_limits(load_settings()))
    uuid = server.receive(b"x", size=2)
    with server.catalog.write() as connection:
        connection.execute(update(reception).values(door="tus", expires=4 * 10**12))
    assert check_deletion_allowed(server.catalog) == ""
    with wrong(server.catalog, (reception.c.expires,)):
        assert (found := receiving.find(uuid)) is not None
        assert found.expired is False
        with server.catalog.write() as connection:
            connection.execute(update(clock_seen).values(held_until=0))
        assert (found := receiving.find(uuid)) is not None
        assert found.expired is True
    server.close()


def test_a_message_that_a_wrong_clock_put_off_is_sent(catalog):
    with catalog.write() as connection:
        values = {"name": "ann", "key": "ann", "created": 0, "modified": 0, "uuid": "a"}
        number = connection.execute(insert(account).values(**values)).inserted_primary_key[0]
        connection.execute(insert(delivery).values(account_id=number, state="waiting", next_at=0))
    for ms, sent in ((60_000, 0), (40 * DAY, 1)):
        with catalog.write() as connection:
            connection.execute(update(delivery).values(next_at=catalog.now() + ms))
        assert send_due_deliveries(catalog, load_settings()).sent == sent


def test_a_wait_that_a_wrong_clock_gave_is_not_waited_for(tmp_path, database_url):
    server = UploadServer(tmp_path / "data", database_url)
    uuid = server.send(b"x")
    for ms, begins in ((60_000, False), (40 * DAY, True)):
        with server.catalog.write() as connection:
            connection.execute(
                update(reception)
                .where(reception.c.upload_id == server.id(uuid))
                .values(retry_at=server.catalog.now() + ms)
            )
        assert (claim(server.catalog, this_owner(), SlotUsage(1)) is not None) is begins
    server.close()


# -- who is told, and the way out --------------------------------------------------------------------------------------


@pytest.fixture
def web(tmp_path, sqlite_url, monkeypatch):
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)
    with serve_in_process(tmp_path / "data") as web:
        yield web


@pytest.fixture
def admin(web, monkeypatch, capsys):
    """A command of `scandock admin` on the server's own machine; what it prints."""

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["scandock", "admin", *args, "--data", str(web.site.data)])
        code = main()
        out, err = capsys.readouterr()
        assert (code, err) == (0, "")
        return out

    return call


def hold(web):
    assert check_deletion_allowed(web.site.catalog) == ""
    with web.site.catalog.write() as connection:
        connection.execute(update(clock_seen).values(jumped=40 * DAY, held_until=4 * 10**12))


def test_people_see_that_deletions_wait_and_an_administrator_confirms_the_clock(web):
    web.account("ann", P="owner")
    with web.client() as client, web.client("ann") as ann:
        assert client.get("/readyz").json().keys() == {"ready", "checks"}
        assert "Deletions wait" not in client.get("/admin").text
        for confirmed_by in ("api", "page"):
            hold(web)
            answer = client.get("/readyz")
            assert (answer.status_code, answer.json()["ready"]) == (200, True)
            assert "jumped by 40 days" in answer.json()["notes"]["clock"]
            assert "scandock_deletions_held 1.0" in client.get("/metrics").text
            why = answer.json()["notes"]["clock"]
            assert client.get("/api/v1/clock").json() == {"trusted": False, "why": why, "confirmable": True}
            text = client.get("/admin").text
            assert "Deletions wait. The clock has jumped by 40 days" in text
            assert "The clock is right</button>" in text
            assert ann.get("/api/v1/clock").status_code == 403
            assert ann.post("/api/v1/clock/confirm").status_code == 403
            assert ann.post("/admin/clock").status_code == 403
            if confirmed_by == "api":
                assert client.post("/api/v1/clock/confirm").status_code == 204
            else:
                assert client.post("/admin/clock").status_code == 303
            assert "notes" not in client.get("/readyz").json()
            assert "scandock_deletions_held 0.0" in client.get("/metrics").text
            assert client.get("/api/v1/clock").json() == {"trusted": True, "why": "", "confirmable": False}
        lines = client.get("/api/v1/audit", params={"action": "clock_confirm"}).json()["items"]
        assert [(one["actor"], one["kind"], one["outcome"]) for one in lines] == [("admin", "clock", "done")] * 2


def test_the_log_says_once_that_deletions_wait_and_that_they_go_on(web):
    janitor = Janitor(web.site.catalog, web.site.store, web.site.settings, structlog.get_logger())
    with capture_logs() as logged:
        for confirms in (False, False, True, False):
            if confirms:
                confirm_clock_state(web.site.catalog, SYSTEM)
            elif not logged:
                hold(web)
            janitor._clear()  # noqa: SLF001  a turn of its thread
    (waits, goes_on) = [(one["event"], one["why"]) for one in logged if "why" in one]
    assert (waits[0], "jumped by 40 days" in waits[1]) == ("nothing is deleted for its age", True)
    assert goes_on == ("deleting goes on", "")


def test_a_clock_that_differs_from_the_database_s_can_not_be_confirmed(web, monkeypatch):
    late = 40 * DAY + DAY // 24
    behind = replace(clock_check.Clocks(), database=lambda catalog, _: time.time_ns() // 1_000_000 - late)
    monkeypatch.setattr(clock_check, "Clocks", lambda: behind)
    with web.client() as client:
        assert "differ by 40 days" in client.get("/readyz").json()["notes"]["clock"]
        assert "scandock_deletions_held 1.0" in client.get("/metrics").text
        refused = client.post("/api/v1/clock/confirm")
        assert (refused.status_code, refused.json()["code"]) == (409, "clocks_differ")
        refused = client.post("/admin/clock")
        assert (refused.status_code, "Set the one that is wrong" in refused.text) == (409, True)
        assert "The clock is right</button>" not in client.get("/admin").text


def test_a_command_shows_the_clock_and_confirms_it(web, admin):
    hold(web)
    told = admin("clock")
    assert "jumped by 40 days" in told
    assert "--confirm" in told
    assert admin("clock", "--confirm").startswith("The clock is trusted")
    assert read_clock_state(web.site.catalog).why == ""
