"""What the receiver process asks of the catalog, where the worker that answers dies, or the one that asked has."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from sqlalchemy import delete, select, update

from scandock.catalog import receivers
from scandock.catalog.server_tables import received_study, reception
from scandock.catalog.tables import project, upload
from scandock.model.errors import Fault
from scandock.model.receivers import Receiver
from scandock.model.reception import AssociationOutcome, CloseReason, StudyWish
from scandock.model.verdicts import ImportState
from scandock.queue.owner import start_time, this_owner
from scandock.services.received_records import AssociationLine, StudyProgress, StudySender
from scandock.services.received_studies import ReceivedStudies
from scandock.services.receiving import UploadReceiver, receiving_limits
from scandock.store.local import LocalStore
from scandock.workers import receiver_catalog
from scandock.workers.errors import WorkerAway
from scandock.workers.receiver_catalog import ReceiverCatalog
from scandock.workers.receiver_catalog_thread import ReceiverCatalogThread
from scandock.workers.record_wire import from_plain, to_plain
from scandock.workers.wire import Wire
from tests.integration.receiver_site import ReceiverSite, make_receiver_site

SENDER = StudySender(calling="CT", called="SCANDOCK", address="127.0.0.1")


class Pair:
    """The supervisor's pair of sockets: a receiver process at one end, workers that come and go at the other."""

    def __init__(self, site: ReceiverSite) -> None:
        self.site = site
        self.receiver, self.worker = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.catalog = ReceiverCatalog(self.receiver.dup())

    @contextmanager
    def working(self) -> Iterator[None]:
        site = self.site
        thread = ReceiverCatalogThread(
            self.worker, site.catalog, LocalStore(site.data), site.settings, structlog.get_logger()
        )
        thread.start()
        try:
            yield
        finally:
            thread.end()

    def die_before_answering(self) -> None:
        """A worker that does what it is asked for, and is killed before it says so."""
        sent, fds, _, _ = socket.recv_fds(self.worker, 4096, 1)
        owner = json.dumps(json.loads(sent) | {"catalog": self.site.catalog.place})
        with socket.socket(fileno=fds[0]) as end:
            message = Wire(end).receive()
            assert message is not None
            name, arguments = message
            getattr(rows_of(self.site, owner), name)(*map(from_plain, arguments))

    def in_thread(self) -> threading.Thread:
        thread = threading.Thread(target=self.die_before_answering)
        thread.start()
        return thread

    def close(self) -> None:
        self.catalog.close()
        self.receiver.close()
        self.worker.close()


def rows_of(site: ReceiverSite, owner: str) -> ReceivedStudies:
    limits = receiving_limits(site.settings)
    receiving = UploadReceiver(site.catalog, LocalStore(site.data), limits, owner)
    return ReceivedStudies(site.catalog, receiving, owner)


@pytest.fixture
def pair(tmp_path: Any) -> Iterator[Pair]:
    with make_receiver_site(tmp_path) as site:
        site.add()
        pair = Pair(site)
        yield pair
        pair.close()


def receiver(site: ReceiverSite) -> Receiver:
    with site.catalog.read() as connection:
        (row,) = receivers.list_receivers(connection)
    return row


def line(number: int, outcome: AssociationOutcome = AssociationOutcome.OPEN, **more: Any) -> AssociationLine:
    return AssociationLine(
        number=number,
        receiver_id=None,
        port=104,
        called="SCANDOCK",
        calling="CT",
        address="127.0.0.1",
        outcome=outcome,
        begun=1_000 + number,
        **more,
    )


def test_a_study_that_was_begun_by_a_worker_that_died_is_begun_once(pair: Pair) -> None:
    dying = pair.in_thread()
    begun: list[Any] = []
    beginning = threading.Thread(target=lambda: begun.append(pair.catalog.begin(receiver(pair.site), SENDER)))
    beginning.start()
    dying.join(30)
    assert len(pair.site.uploads()) == 1
    assert not begun
    with pair.working():
        beginning.join(30)
    assert [row.uuid for row in pair.site.uploads()] == [begun[0].uuid]


def test_a_study_that_may_have_been_begun_is_forgotten(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver_catalog, "ANSWER_SECONDS", 0.2)
    dying = pair.in_thread()
    with pytest.raises(WorkerAway):
        pair.catalog.begin(receiver(pair.site), SENDER)
    dying.join(30)
    assert pair.site.states() == [ImportState.RECEIVING]
    monkeypatch.setattr(receiver_catalog, "ANSWER_SECONDS", 20.0)
    with pair.working():
        pair.catalog.read_wishes()
    assert pair.site.states() == []


def test_a_study_that_is_begun_after_it_was_forgotten_is_forgotten_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its call waited for the catalog for longer than the receiver did."""
    monkeypatch.setattr(receiver_catalog, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(receiver_catalog, "UNSURE_SECONDS", 0.0)
    forget = ReceivedStudies.forget
    uuids: list[str] = []

    def begin_behind(rows: ReceivedStudies, uuid: str) -> None:
        forget(rows, uuid)
        if not uuids:
            rows.begin(receiver(pair.site), SENDER, uuid)
        uuids.append(uuid)

    with pytest.raises(WorkerAway):
        pair.catalog.begin(receiver(pair.site), SENDER)
    monkeypatch.setattr(ReceivedStudies, "forget", begin_behind)
    monkeypatch.setattr(receiver_catalog, "ANSWER_SECONDS", 20.0)
    with pair.working():
        pair.catalog.read_wishes()
        pair.catalog.read_wishes()
    assert len(uuids) == 2
    assert pair.site.states() == []


def test_a_call_for_which_there_is_no_thread_ends_and_others_are_answered(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver_catalog, "ANSWER_SECONDS", 5.0)
    with pair.working():
        start = threading.Thread.start
        refused: list[threading.Thread] = []

        def refuse_once(thread: threading.Thread) -> None:
            if thread.name == "receiver calls" and not refused:
                refused.append(thread)
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse_once)
        with pytest.raises(WorkerAway):
            pair.catalog.list_receivers()
        assert [one.title for one in pair.catalog.list_receivers()] == ["SCANDOCK"]
    assert len(refused) == 1


def test_a_study_whose_bytes_are_not_there_now_is_not_forgotten(pair: Pair) -> None:
    """As where nothing is mounted at `incoming`; one that somebody wants discarded is."""
    site = pair.site
    owner = json.dumps(json.loads(this_owner()) | {"pid": 2**22 + 1})
    incoming = rows_of(site, owner).begin(receiver(site), SENDER, "00000000-0000-7000-8000-000000000001")
    spool = LocalStore(site.data).object_spool(incoming.uuid)
    spool.append("a.dcm", [b"a"])
    spool.close()
    away = site.data / "away"
    (site.data / "incoming" / incoming.uuid).rename(away)
    with site.catalog.write() as connection:
        connection.execute(update(received_study).values(objects=1))
    with pair.working():
        assert pair.catalog.find_left() == ([], True)
        away.rename(site.data / "incoming" / incoming.uuid)
        ((left,), lingers) = pair.catalog.find_left()
        assert (left.incoming.uuid, lingers) == (incoming.uuid, False)
        (site.data / "incoming" / incoming.uuid).rename(away)
        with site.catalog.write() as connection:
            connection.execute(update(received_study).values(wish=StudyWish.DISCARD))
        assert pair.catalog.find_left() == ([], False)
    assert site.states() == []


def test_a_process_whose_study_another_one_has_taken_over_notes_nothing_of_it(pair: Pair) -> None:
    site = pair.site
    former = rows_of(site, json.dumps(json.loads(this_owner()) | {"pid": 2**22 + 1}))
    incoming = former.begin(receiver(site), SENDER, "00000000-0000-7000-8000-000000000001")
    spool = LocalStore(site.data).object_spool(incoming.uuid)
    spool.append("a.dcm", [b"a"])
    spool.close()

    def progress(objects: int, upload_id: int = incoming.upload_id) -> StudyProgress:
        return StudyProgress(upload_id=upload_id, writer=incoming.writer, objects=objects, bytes=objects * 100, rate=0)

    def noted() -> tuple[int, int]:
        with site.catalog.read() as connection:
            query = select(received_study.c.objects, reception.c.received)
            row = connection.execute(query.join(reception, reception.c.upload_id == received_study.c.upload_id)).one()
        return row.objects, row.received

    assert former.write_progress([progress(1)]) == []
    assert noted() == (1, 100)
    own = rows_of(site, this_owner())
    ((left,), _) = own.find_left()
    assert own.take_over(left)
    assert own.write_progress([progress(2)]) == []
    assert former.write_progress([progress(9)]) == []  # it goes on: elsewhere
    assert noted() == (2, 200)
    assert former.write_progress([progress(9, incoming.upload_id + 1)]) == [incoming.upload_id + 1]


def test_an_association_that_may_have_been_written_is_written_once(pair: Pair) -> None:
    dying = pair.in_thread()
    with pytest.raises(WorkerAway):
        pair.catalog.write_associations([line(1), line(2)])
    dying.join(30)
    with pair.working():
        pair.catalog.write_associations([line(1, objects=3), line(2), line(3)])
        pair.catalog.write_associations([line(1, AssociationOutcome.RELEASED, ended=2_000, objects=4)])
    assert [(row.begun, row.objects, row.outcome) for row in pair.site.associations()] == [
        (1_001, 4, "released"),
        (1_002, 0, "open"),
        (1_003, 0, "open"),
    ]


@pytest.mark.parametrize("call", ["begin", "accept"])
def test_what_waited_for_the_catalog_longer_than_its_caller_is_not_done(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Who asked has gone on as if nothing came of it: what is done behind it would be nobody's, or done twice."""
    site = pair.site
    row = receiver(site)
    waits, goes_on, is_over = threading.Event(), threading.Event(), threading.Event()
    actual = getattr(UploadReceiver, call)

    def late(*words: Any, **more: Any) -> Any:
        waits.set()
        assert goes_on.wait(30)
        try:
            return actual(*words, **more)
        finally:
            is_over.set()

    with pair.working():
        incoming = pair.catalog.begin(row, SENDER) if call == "accept" else None
        monkeypatch.setattr(UploadReceiver, call, late)
        monkeypatch.setattr(receiver_catalog, "ANSWER_SECONDS", 0.5)
        if incoming is None:
            with pytest.raises(WorkerAway):
                pair.catalog.begin(row, SENDER)
        else:
            with pytest.raises(WorkerAway):
                pair.catalog.accept(incoming, 10, 1, SENDER, CloseReason.IDLE)
        assert waits.is_set()
        goes_on.set()
        assert is_over.wait(30)
    assert site.states() == ([] if incoming is None else [ImportState.RECEIVING])


def test_a_worker_that_ends_finishes_what_it_was_asked_for(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    site = pair.site
    waits, goes_on = threading.Event(), threading.Event()
    accept = UploadReceiver.accept
    answers: list[bool] = []

    def late(*words: Any, **more: Any) -> bool:
        waits.set()
        assert goes_on.wait(30)
        return accept(*words, **more)

    monkeypatch.setattr(UploadReceiver, "accept", late)
    with pair.working():
        incoming = pair.catalog.begin(receiver(site), SENDER)
        accepting = threading.Thread(
            target=lambda: answers.append(pair.catalog.accept(incoming, 10, 1, SENDER, CloseReason.IDLE))
        )
        accepting.start()
        assert waits.wait(30)
        letting_go = threading.Timer(0.2, goes_on.set)
        letting_go.start()
    accepting.join(30)
    letting_go.join(30)
    assert answers == [True]


def test_a_discard_that_comes_while_its_study_is_accepted_is_heeded(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = pair.site
    accept = UploadReceiver.accept

    def discard_first(*words: Any, **more: Any) -> bool:
        with site.catalog.write() as connection:
            connection.execute(update(received_study).values(wish=StudyWish.DISCARD))
        return accept(*words, **more)

    monkeypatch.setattr(UploadReceiver, "accept", discard_first)
    with pair.working():
        incoming = pair.catalog.begin(receiver(site), SENDER)
        assert not pair.catalog.accept(incoming, 10, 1, SENDER, CloseReason.IDLE)
    assert site.states() == [ImportState.RECEIVING]


def test_what_a_process_that_died_has_asked_for_is_not_done(pair: Pair) -> None:
    ours, theirs = socket.socketpair()
    with subprocess.Popen([sys.executable, "-c", ""]) as gone, ours, theirs:
        owner = json.loads(this_owner()) | {"pid": gone.pid, "started": 1}
        socket.send_fds(pair.receiver, [json.dumps(owner).encode()], [theirs.fileno()])
        theirs.close()
        wire = Wire(ours)
        wire.send(("begin", [to_plain(receiver(pair.site)), to_plain(SENDER), "00000000-0000-7000-8000-000000000001"]))
        with pair.working():
            assert wire.receive() is None
    assert pair.site.uploads() == []


def test_what_is_left_is_told_once_nothing_is_done_any_more_for_the_process_before(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else that might begin a study behind it, which nobody would end."""
    waiting, goes_on = threading.Event(), threading.Event()
    begin = UploadReceiver.begin

    def begin_late(*words: Any) -> Any:
        waiting.set()
        assert goes_on.wait(30)
        return begin(*words)

    monkeypatch.setattr(UploadReceiver, "begin", begin_late)
    with subprocess.Popen(["sleep", "600"]) as earlier, pair.working():
        ours, theirs = socket.socketpair()
        owner = json.loads(this_owner()) | {"pid": earlier.pid}
        owner["started"] = start_time(earlier.pid)
        socket.send_fds(pair.receiver, [json.dumps(owner).encode()], [theirs.fileno()])
        theirs.close()
        wire = Wire(ours)
        wire.send(("begin", [to_plain(receiver(pair.site)), to_plain(SENDER), "00000000-0000-7000-8000-000000000001"]))
        assert waiting.wait(30)
        earlier.kill()
        earlier.wait()
        wire.close()
        finding: list[Any] = []
        thread = threading.Thread(target=lambda: finding.append(pair.catalog.find_left()))
        thread.start()
        thread.join(0.2)
        assert not finding
        goes_on.set()
        thread.join(30)
    assert finding == [([], False)]  # its first byte never came: it was forgotten
    assert pair.site.uploads() == []


def test_a_study_is_taken_over_as_often_as_it_is_asked_for(pair: Pair) -> None:
    """The answer may have been lost with the worker: by then the study is that of this process already."""
    site = pair.site
    owner = json.dumps(json.loads(this_owner()) | {"pid": 2**22 + 1})
    incoming = rows_of(site, owner).begin(receiver(site), SENDER, "00000000-0000-7000-8000-000000000001")
    spool = LocalStore(site.data).object_spool(incoming.uuid)
    spool.append("a.dcm", [b"a"])
    spool.close()
    with pair.working():
        (left,), lingers = pair.catalog.find_left()
        assert not lingers
        assert [pair.catalog.take_over(left), pair.catalog.take_over(left)] == [True, True]
        assert pair.catalog.find_left() == ([], False)
        with site.catalog.write() as connection:
            connection.execute(update(upload).values(owner="another host's"))
        assert not pair.catalog.take_over(left)


def test_a_fault_is_told_with_its_code_and_no_other_call_is_made(pair: Pair, capsys: Any) -> None:
    site = pair.site
    with site.catalog.write() as connection:
        connection.execute(delete(project))
    with pair.working():
        with pytest.raises(Fault) as refused:
            pair.catalog.begin(receiver(site), SENDER)
        assert refused.value.code == "receiver_unfit"
        with pytest.raises(RuntimeError, match="ValueError"):
            pair.catalog._call("_find_row")  # noqa: SLF001
    assert "call=_find_row" in capsys.readouterr().out


def test_a_connection_that_the_worker_has_ended_is_not_used_again(pair: Pair) -> None:
    """A call that can't be made twice is not lost with a worker that ended before it was made."""
    for _ in range(2):
        with pair.working():
            assert [one.title for one in pair.catalog.list_receivers()] == ["SCANDOCK"]
    with pair.working():
        assert pair.catalog.read_wishes() == {}


def test_the_receiver_process_carries_no_database() -> None:
    """Nor what settings and pages are made of: it is to take 40 MB at most."""
    code = "import sys, scandock.workers.receiver_process; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"sqlalchemy", "alembic", "psycopg", "pydantic", "fastapi", "pydicom", "numpy"}.isdisjoint(modules)


def test_records_go_over_the_wire_and_nothing_else_does(pair: Pair) -> None:
    row = receiver(pair.site)
    assert from_plain(to_plain({1: [row, (SENDER, None)]})) == {1: [row, (SENDER, None)]}
    with pytest.raises(TypeError, match="Pair does not go over a wire"):
        to_plain([pair])
    with pytest.raises(KeyError):
        from_plain(("Pair", {}))
