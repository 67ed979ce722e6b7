"""The queue on both databases: order, fairness, leases, and that no upload is ever claimed twice."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import contextmanager

import psycopg
import pytest
import structlog
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from scandock.catalog.errors import CatalogFailed
from scandock.catalog.server_connections import conninfo
from scandock.catalog.server_tables import reception
from scandock.catalog.tables import upload
from scandock.model.errors import Fault, TokenLost
from scandock.model.import_report import ImportOutcome
from scandock.model.verdicts import ImportState
from scandock.publishing.requeue import wait_or_fail
from scandock.queue import procrastinate_engine
from scandock.queue.cancel import CancelResult, cancel, check_not_cancelled, find_cancelled
from scandock.queue.claim import SMALL_BYTES, Claim, SlotUsage, claim, seconds_to_due
from scandock.queue.engines import engine_of
from scandock.queue.enqueue import accept
from scandock.queue.leases import PATIENCE_MS, RenewFailures, finish, renew, renew_all
from scandock.queue.owner import boot_id, start_time, this_owner
from scandock.queue.procrastinate_engine import ProcrastinateEngine
from scandock.queue.retry import MAX_ATTEMPTS, give_up_attempt, requeue, retry_upload
from scandock.services.settings import load_settings
from scandock.workers import attempt_runner
from scandock.workers.liveness import WorkerLiveness
from scandock.workers.worker import Worker
from tests.crash.processes import until
from tests.integration.upload_server import UploadServer

pytestmark = pytest.mark.postgresql

OWNER = this_owner(1)
ONE = SlotUsage(8)


@pytest.fixture
def server(tmp_path, database_url):
    made = UploadServer(tmp_path / "data", database_url)
    yield made
    made.close()


def claimed(server, owner=OWNER) -> Claim:
    found = claim(server.catalog, owner, ONE)
    assert found is not None
    return found


def take(server, slots=ONE):
    found = claim(server.catalog, OWNER, slots)
    return found and found.lease.uuid


def test_what_is_accepted_is_claimed_once(server):
    uuid = server.receive(b"x")
    assert take(server) is None
    server.accept(uuid)
    found = claimed(server)
    assert (found.lease.uuid, found.attempt, found.exhausted, found.previous) == (uuid, 1, False, "")
    assert take(server) is None
    assert server.state(uuid) == "running"
    renew(server.catalog, found.lease)


def test_an_upload_is_accepted_once_and_not_behind_a_cancel(server):
    uuid = server.send(b"x")
    other = server.receive(b"x")
    assert server.cancel(other) is CancelResult.DONE
    with server.catalog.write() as connection:
        assert not accept(server.catalog, connection, server.id(uuid))
        assert not accept(server.catalog, connection, server.id(other))
    assert server.state(other) == "cancelled"


def test_an_accept_that_is_rolled_back_enqueues_nothing(server):
    uuid = server.receive(b"x")

    def fail_behind_it():
        with server.catalog.write() as connection:
            accept(server.catalog, connection, server.id(uuid))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_behind_it()
    assert (server.state(uuid), take(server), server.events(uuid)) == ("receiving", None, [])
    if not server.catalog.sqlite:
        assert jobs(server) == []


def test_the_user_with_the_fewest_running_comes_first(server):
    ann = [server.send(b"x", by="ann") for _ in range(3)]
    bob = server.send(b"x", by="bob")
    assert [take(server) for _ in range(4)] == [ann[0], bob, ann[1], ann[2]]


def test_small_ones_of_a_user_go_before_huge_ones_unless_these_waited_long(server):
    huge = server.send(b"x", size=10**10)
    big = server.send(b"x", size=SMALL_BYTES)
    small = server.send(b"x")

    def waited(minutes):
        with server.catalog.write() as connection:
            connection.execute(
                update(reception)
                .where(reception.c.upload_id == server.id(huge))
                .values(accepted=server.catalog.now() - minutes * 60_000)
            )

    waited(minutes=5)
    assert take(server) == small
    assert take(server) == big
    later = server.send(b"x")
    waited(minutes=11)
    assert [take(server), take(server)] == [huge, later]


def test_one_slot_is_kept_for_small_imports(server):
    huge = [server.send(b"x", size=10**10) for _ in range(2)]
    assert take(server, SlotUsage(2)) == huge[0]
    assert take(server, SlotUsage(2, 1, 1)) is None
    small = server.send(b"x")
    assert take(server, SlotUsage(2, 1, 1)) == small
    assert take(server, SlotUsage(2, 2, 1)) is None
    assert take(server, SlotUsage(1)) == huge[1]


def test_what_is_to_wait_waits(server):
    uuid = server.send(b"x")
    lease = claimed(server).lease
    with server.catalog.write() as connection:
        requeue(server.catalog, connection, lease, Fault("out_of_memory", "None left."), attempt=1, seconds=60)
    row = server.row(uuid)
    assert (row["state"], row["code"], row["attempt"]) == ("received", "out_of_memory", 1)
    assert take(server) is None
    server.hurry(uuid)
    found = claimed(server)
    assert (found.attempt, found.reason, found.previous) == (2, "out_of_memory", lease.token)
    with pytest.raises(TokenLost):
        renew(server.catalog, lease)


def over(server, uuid, owner=None):
    values = {"lease_until": 0} | ({} if owner is None else {"owner": owner})
    with server.catalog.write() as connection:
        connection.execute(update(upload).where(upload.c.uuid == uuid).values(**values))


def gone(**changes):
    facts = json.loads(this_owner(1))
    return json.dumps({**facts, "pid": 2**22 - 3, "started": 1, **changes})


def test_a_lease_that_is_over_is_taken_over_and_counts(server):
    uuid = server.send(b"x")
    first = claimed(server)
    over(server, uuid)
    second = claimed(server)
    assert (second.attempt, second.previous, second.exhausted) == (2, first.lease.token, False)
    assert renew_all(server.catalog, [first.lease, second.lease]) == RenewFailures(lost=[first.lease], ended=[])


def test_a_lease_whose_import_has_ended_or_waits_again_is_not_lost(server):
    server.send(b"x")
    ended = claimed(server).lease
    with server.catalog.write() as connection:
        finish(server.catalog, connection, ended, ImportOutcome(state=ImportState.REFUSED))
    server.send(b"y")
    waits = claimed(server).lease
    with server.catalog.write() as connection:
        requeue(server.catalog, connection, waits, Fault("out_of_memory", "None left."), attempt=1, seconds=60)
    assert renew_all(server.catalog, [ended, waits]) == RenewFailures(lost=[], ended=[ended, waits])


def test_a_dead_owner_is_taken_over_at_once(server):
    uuid = server.send(b"x")
    claimed(server, gone())
    assert claimed(server).attempt == 2
    assert server.state(uuid) == "running"


@pytest.mark.parametrize("change", [{"server": {"pid": 2**22 - 5, "started": 1}}, {"boot": "another"}])
def test_a_server_that_was_killed_is_no_failed_attempt(server, change):
    server.send(b"x")
    assert boot_id() != "another"
    for _ in range(MAX_ATTEMPTS + 2):
        found = claimed(server, gone(**change))
        assert (found.attempt, found.exhausted) == (1, False)


def test_a_lost_attempt_too_many_is_told(server):
    uuid = server.send(b"x")
    for attempt in range(1, MAX_ATTEMPTS + 1):
        found = claimed(server)
        assert (found.attempt, found.exhausted) == (attempt, False)
        assert give_up_attempt(server.catalog, found.lease, counted=True, code="attempt_died", message="It died.")
    last = claimed(server)
    assert (last.exhausted, last.reason) == (True, "attempt_died")
    assert not give_up_attempt(server.catalog, found.lease, counted=True)
    assert server.state(uuid) == "running"


def test_waiting_for_the_machine_counts_as_no_attempt_and_keeps_its_cause(server):
    uuid = server.send(b"x")
    away = Fault("catalog", "The database is away.")
    for seconds in (5, 10, 20, 40):
        found = claimed(server)
        assert (found.attempt, found.exhausted) == (1, False)
        assert wait_or_fail(server.catalog, found.lease, away, most_seconds=60) == seconds
        assert not give_up_attempt(server.catalog, found.lease, counted=True, code="attempt_died", message="It died.")
        with pytest.raises(TokenLost):  # told once: a second time nothing is counted, and nothing waited for
            wait_or_fail(server.catalog, found.lease, away, most_seconds=60)
        row = server.row(uuid)
        assert (row["state"], row["code"], row["message"]) == ("running", "catalog", "The database is away.")
        assert take(server) is None
        server.hurry(uuid)
    assert wait_or_fail(server.catalog, claimed(server).lease, away, most_seconds=60) is None
    assert (server.state(uuid), server.row(uuid)["code"]) == ("failed", "catalog")


def test_a_claim_whose_answer_was_lost_is_run_at_once_and_counts_as_no_attempt(server, monkeypatch):
    """The database committed, and its connection broke before it could say so."""
    uuid, write = server.send(b"x"), server.catalog.write
    unsure: deque[str] = deque(maxlen=2)

    @contextmanager
    def unanswered():
        with write() as connection:
            yield connection
        raise Fault("catalog", "The connection is lost.")

    for _ in range(3):
        monkeypatch.setattr(server.catalog, "write", unanswered)
        with pytest.raises(Fault, match="lost"):
            claim(server.catalog, OWNER, ONE, unsure=unsure)
        monkeypatch.setattr(server.catalog, "write", write)
        assert server.state(uuid) == "running"
        assert take(server) is None
    found = claim(server.catalog, OWNER, ONE, unsure=unsure)
    assert found is not None
    assert (found.lease.uuid, found.attempt, found.lost, found.exhausted) == (uuid, 1, False, False)
    assert claim(server.catalog, OWNER, ONE, unsure=unsure) is None
    renew(server.catalog, found.lease)


def test_what_a_worker_runs_it_does_not_claim_anew_though_the_lease_is_over(server):
    uuid = server.send(b"x")
    first = claimed(server)
    over(server, uuid)
    assert claim(server.catalog, OWNER, ONE, frozenset({first.lease.upload_id})) is None
    renew(server.catalog, first.lease)
    over(server, uuid)
    second = claimed(server)
    assert (second.attempt, first.lost, second.lost) == (2, False, True)
    assert give_up_attempt(server.catalog, second.lease, counted=True, code="attempt_died", message="It died.")
    assert not claimed(server).lost  # its worker told of its end: nothing was lost


class _Ends:
    """An attempt that has ended as soon as it was started."""

    killed, pid = "", 0

    def kill(self, why):
        self.killed = why

    def wait(self):
        return 0

    def death(self, code):
        return Fault("attempt_died", "It died.")


def test_an_attempt_that_is_slow_to_start_is_claimed_once_and_keeps_its_lease(server, monkeypatch):
    """As under load, or where a lock kept its worker from the catalog: the other slots are free, the lease is over."""
    monkeypatch.setattr(attempt_runner, "RENEW_SECONDS", 0.02)
    begun, go, started = threading.Event(), threading.Event(), []

    def start(order):
        started.append(order.token)
        begun.set()
        assert len(started) > 1 or go.wait(60)
        return _Ends()

    uuid = server.send(b"x")
    settings = load_settings().model_copy(update={"database_url": server.url})
    log = structlog.get_logger()
    worker = Worker(str(server.data), 3, settings, 1, WorkerLiveness.make(), log, start, upkeep=False)
    worker.slots.start()
    worker.slots.look()
    try:
        assert begun.wait(60)
        over(server, uuid)
        assert worker.slots.offer().result(60) is False
        worker.running.start()
        until(lambda: server.row(uuid)["lease_until"] > 1, "the lease was not renewed")
    finally:
        go.set()
        worker.slots.end()
        worker.slots.join()
        worker.running.end()
        worker.catalog.dispose()
        worker.store.close()
    assert len(started) == 1
    assert worker.running.held == frozenset()


def test_who_lives_on_this_host_is_spared_for_a_while(server):
    """Beside a worker that a lock keeps waiting: it renews once that is free, and nobody runs its import meanwhile."""
    uuid = server.send(b"x")
    facts = json.loads(this_owner(1))
    lives = {"pid": os.getppid(), "started": start_time(os.getppid())}
    first = claimed(server, json.dumps({**facts, **lives}))
    over_by(server, uuid, 30_000)
    assert claim(server.catalog, OWNER, ONE) is None
    renew(server.catalog, first.lease)
    over_by(server, uuid, PATIENCE_MS + 1)
    assert claimed(server).attempt == 2


def over_by(server, uuid, milliseconds):
    with server.catalog.write() as connection:
        until = server.catalog.now() - milliseconds
        connection.execute(update(upload).where(upload.c.uuid == uuid).values(lease_until=until))


def test_what_somebody_holds_in_another_catalog_is_nobodys_in_a_copy_of_it(server):
    server.send(b"x")
    claimed(server, this_owner(1, place="0:0"))
    retry_upload = claim(server.catalog, OWNER, ONE)
    if server.catalog.sqlite:
        assert retry_upload is not None
        assert retry_upload.attempt == 1
    else:  # whose copy belongs to a data folder when somebody says so
        assert retry_upload is None


def test_a_failed_upload_is_tried_again_when_asked(server):
    uuid = server.send(b"x")
    found = claimed(server)
    with server.catalog.write() as connection:  # it had waited for the machine, and its cancel came too late
        connection.execute(update(reception).values(outages=5, cancel=True))
        outcome = ImportOutcome(state=ImportState.FAILED, code="disk_full", message="Full.")
        finish(server.catalog, connection, found.lease, outcome)
    with server.catalog.write() as connection:
        assert retry_upload(server.catalog, connection, server.id(uuid))
        assert not retry_upload(server.catalog, connection, server.id(uuid))
    found = claimed(server)
    assert found.attempt == 1
    with server.catalog.read() as connection:
        assert find_cancelled(connection, [found.lease.upload_id]) == []
    away = Fault("catalog", "The database is away.")
    assert wait_or_fail(server.catalog, found.lease, away, most_seconds=60) == 5
    kinds = [kind for kind, _ in server.events(uuid)]
    assert kinds == ["received", "running", "outcome", "received", "running", "retry"]


def test_a_cancel_wins_before_the_intent_alone(server):
    uuid = server.send(b"x")
    found = claimed(server)
    assert server.cancel(uuid) is CancelResult.COMING
    with pytest.raises(InterruptedError), server.catalog.write() as connection:
        check_not_cancelled(server.catalog, connection, found.lease)
    with server.catalog.write() as connection:
        outcome = ImportOutcome(state=ImportState.CANCELLED, code="cancelled")
        finish(server.catalog, connection, found.lease, outcome)
    assert server.cancel(uuid) is CancelResult.ENDED


def test_a_cancel_asks_for_the_row_that_who_records_intents_has_locked(tmp_path, postgres_url):
    """On PostgreSQL alone: on SQLite a writer waits for another at its beginning."""
    server = UploadServer(tmp_path / "data", postgres_url)
    uuid = server.send(b"x")
    found = claimed(server)
    number = server.id(uuid)
    with server.catalog.write() as first:
        check_not_cancelled(server.catalog, first, found.lease)
        with server.catalog.engine.connect() as second:
            second.execute(text("SET lock_timeout = '100ms'"))
            with pytest.raises(DBAPIError, match="lock timeout"):
                cancel(server.catalog, second, number)
    server.close()


def test_a_cancel_waits_for_the_transaction_of_the_intents_and_sees_it(server):
    uuid = server.send(b"x")
    found = claimed(server)
    told: list[CancelResult] = []

    def wish():
        with server.catalog.write() as connection:
            told.append(cancel(server.catalog, connection, server.id(uuid)))

    with server.catalog.write() as connection:
        check_not_cancelled(server.catalog, connection, found.lease)
        other = threading.Thread(target=wish)
        other.start()
        connection.execute(
            text("INSERT INTO tree (id, upload_id, state, created) VALUES (1, :n, 'staged', 0)"),
            {"n": found.lease.upload_id},
        )
        connection.execute(
            text(
                "INSERT INTO intent (upload_id, n, kind, state, name, staged, inode, tree_id, keep_base, session)"
                " VALUES (:n, 0, 'publish', 'intent', 'x', 'x', 1, 1, false, '{}')"
            ),
            {"n": found.lease.upload_id},
        )
    other.join(30)
    assert told == [CancelResult.TOO_LATE]


CLAIMER = """
import sys
from scandock.catalog.engine import open_catalog
from scandock.queue.claim import SlotUsage, claim
from scandock.queue.owner import this_owner
catalog = open_catalog(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
while (found := claim(catalog, this_owner(), SlotUsage(1000))) is not None:
    print(found.lease.uuid)
print("done", flush=True)
sys.stdin.readline()
"""


@pytest.mark.processes
def test_claims_by_several_processes_are_never_doubled(server):
    sent = [server.send(b"x", by=f"user{n % 7}") for n in range(60)]
    words = [sys.executable, "-c", CLAIMER, server.catalog.engine.url.render_as_string(hide_password=False)]
    claimers = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    pipes = [(one.stdin, one.stdout) for one in claimers if one.stdin is not None and one.stdout is not None]
    assert [told.readline() for _, told in pipes] == ["ready\n"] * 4
    for asked, _ in pipes:
        asked.write("go\n")
        asked.flush()
    taken = [list(iter(told.readline, "done\n")) for _, told in pipes]  # all live until all have done
    for one in claimers:
        one.communicate("end\n", timeout=60)
    assert sorted(line.strip() for lines in taken for line in lines) == sorted(sent)
    with server.catalog.read() as connection:
        assert set(connection.execute(select(upload.c.attempt)).scalars()) == {1}


class Recorded:
    """Slots that note what they are offered."""

    def __init__(self, size=2):
        self.size = size
        self.offers = 0
        self.looks = 0

    def offer(self):
        self.offers += 1
        done: Future[bool] = Future()
        done.set_result(True)
        return done

    def look(self):
        self.looks += 1

    def seconds_to_due(self):
        return None


@contextlib.contextmanager
def running_engine(engine, server, slots):
    stop = threading.Event()
    thread = threading.Thread(target=engine.run, args=(str(server.data), slots, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        engine.end()
        thread.join(20)
    assert not thread.is_alive()


def test_an_engine_wakes_at_once_and_ends_at_once(server):
    engine, slots = engine_of(server.catalog), Recorded()
    with running_engine(engine, server, slots):
        until(lambda: slots.looks > 0, "it never looked")
        before = slots.looks + slots.offers
        server.send(b"x")
        until(lambda: slots.looks + slots.offers > before, "it was not woken")
        if not server.catalog.sqlite:
            until(lambda: slots.offers == 1, "the message did not come")
            until(lambda: jobs(server) == [], "the message stayed")


def test_workers_of_other_hosts_are_woken_by_each_change_that_lets_an_import_begin(tmp_path, postgres_url, monkeypatch):
    """By the database's message, as none of them looks by itself before the test is over."""
    monkeypatch.setattr(procrastinate_engine, "NET_SECONDS", 600.0)
    server = UploadServer(tmp_path / "data", postgres_url)
    engine, slots = engine_of(server.catalog), Recorded()

    def wakes(change):
        before = slots.offers
        change()
        until(lambda: slots.offers > before, "it was not woken")

    with running_engine(engine, server, slots):
        until(lambda: slots.looks > 0, "it never looked")
        wakes(lambda: server.send(b"x"))
        first = claimed(server).lease
        wakes(lambda: give_up_attempt(server.catalog, first, counted=False))  # its server is stopped
        second = claimed(server).lease
        wakes(lambda: requeued(server, second))
        third = claimed(server).lease
        assert give_up_attempt(server.catalog, third, counted=True, seconds=60, code="attempt_died")
        wakes(lambda: cancelled(server, third.upload_id))
        assert slots.looks == 1
    server.close()


def requeued(server, lease):
    with server.catalog.write() as connection:
        requeue(server.catalog, connection, lease, None, attempt=1, seconds=0)


def cancelled(server, upload_id):
    with server.catalog.write() as connection:
        assert cancel(server.catalog, connection, upload_id) is CancelResult.COMING


def test_a_worker_looks_again_as_soon_as_something_that_waits_is_due(tmp_path, postgres_url, monkeypatch):
    monkeypatch.setattr(procrastinate_engine, "NET_SECONDS", 600.0)
    server = UploadServer(tmp_path / "data", postgres_url)
    server.send(b"x")
    assert seconds_to_due(server.catalog) is None
    lease = claimed(server).lease
    assert give_up_attempt(server.catalog, lease, counted=True, seconds=2, code="attempt_died")
    with server.catalog.write() as connection:
        connection.execute(text("DELETE FROM procrastinate_jobs"))
    assert 0 < (seconds_to_due(server.catalog) or 0) <= 2
    engine, slots = engine_of(server.catalog), Recorded()
    monkeypatch.setattr(slots, "seconds_to_due", lambda: seconds_to_due(server.catalog))
    with running_engine(engine, server, slots):
        until(lambda: slots.looks == 2, "it did not look when that was due")
        assert claim(server.catalog, OWNER, ONE) is not None
    server.close()


def test_the_message_of_a_worker_that_died_is_dropped_though_others_began_before_that_was_known(
    tmp_path, postgres_url, monkeypatch
):
    monkeypatch.setattr(procrastinate_engine, "CLEAR_SECONDS", 0.05)
    server = UploadServer(tmp_path / "data", postgres_url)
    server.send(b"x")
    with psycopg.connect(conninfo(postgres_url)) as connection:
        worker = connection.execute("INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id").fetchone()
        connection.execute("UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s", worker)
    engine, slots = engine_of(server.catalog), Recorded()
    with running_engine(engine, server, slots):
        until(lambda: workers(server) == 2, "the engine did not begin")  # and has looked once
        assert [status for _, status in jobs(server)] == ["doing"]
        with psycopg.connect(conninfo(postgres_url)) as connection:
            query = "UPDATE procrastinate_workers SET last_heartbeat = NOW() - INTERVAL '31 seconds' WHERE id = %s"
            connection.execute(query, worker)
        until(lambda: jobs(server) == [], "the message stayed")
    server.close()


def workers(server):
    with psycopg.connect(conninfo(server.url)) as connection:
        return len(connection.execute("SELECT id FROM procrastinate_workers").fetchall())


def jobs(server):
    with psycopg.connect(conninfo(server.url)) as connection:
        return connection.execute("SELECT id, status FROM procrastinate_jobs").fetchall()


def test_a_queue_that_could_not_be_prepared_is_prepared_for_the_next_upload(tmp_path, postgres_url, monkeypatch):
    def refuse(_conninfo):
        raise psycopg.OperationalError("FATAL:  sorry, too many clients already")

    server = UploadServer(tmp_path / "data", postgres_url)
    with monkeypatch.context() as patch:
        patch.setattr(psycopg, "connect", refuse)
        with pytest.raises(CatalogFailed, match="too many clients"):
            server.send(b"junk")
    server.send(b"junk")
    assert [status for _, status in jobs(server)] == ["todo"]
    server.close()


@pytest.mark.processes
def test_a_lost_or_doubled_message_does_no_harm(tmp_path, postgres_url):
    server = UploadServer(tmp_path / "data", postgres_url)
    engine = engine_of(server.catalog)
    assert isinstance(engine, ProcrastinateEngine)
    lost, doubled = server.send(b"junk"), server.send(b"junk")
    with psycopg.connect(conninfo(postgres_url)) as connection:
        connection.execute("DELETE FROM procrastinate_jobs")
    with server.catalog.write() as connection:
        engine.defer(connection, server.id(doubled))
        engine.defer(connection, server.id(doubled))
    with server.worker():
        assert [server.ended(uuid) for uuid in (lost, doubled)] == ["refused", "refused"]
        until(lambda: jobs(server) == [], "messages stayed")
    assert [server.row(uuid)["attempt"] for uuid in (lost, doubled)] == [1, 1]
    server.close()


@pytest.mark.processes
def test_a_worker_on_postgresql_places_and_is_taken_over(tmp_path, postgres_url):
    from tests.crash.archives import Study, zip_bytes

    study = Study(41, 1, count=3, side=8)
    server = UploadServer(tmp_path / "data", postgres_url)
    uuid = server.send(zip_bytes(study.entries("S")))
    once = tmp_path / "once"
    with server.worker(SCANDOCK_CRASH_AT="switched", SCANDOCK_CRASH_BY="SIGSTOP", SCANDOCK_CRASH_ONCE=str(once)) as one:
        until(once.exists, "it was not reached")
        one.kill()
    with server.worker():
        assert server.ended(uuid) == "placed"
        until(lambda: jobs(server) == [], "messages of the dead worker stayed")
    server.close()
