"""DICOM receivers end to end: what senders are told, what is on the disk then, and what becomes of studies."""

from __future__ import annotations

import contextlib
import errno
import gzip
import itertools
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import delete, insert, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.server_tables import (
    account,
    audit,
    dicom_association,
    received_study,
    receiver,
    receiver_state,
    reception,
)
from scandock.catalog.tables import intent, project, tree, upload
from scandock.dimse import records
from scandock.dimse.records import Answer, AssociationNumbers, Peer, Status
from scandock.model.errors import Fault, Usage
from scandock.model.incoming_upload import IncomingUpload
from scandock.model.machine_errors import DiskFull
from scandock.model.receivers import Closing, Receiver
from scandock.model.reception import AssociationOutcome, CloseReason
from scandock.model.verdicts import ImportState
from scandock.queue.owner import start_time, this_owner
from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Level, Policy
from scandock.rules.shown_names import is_dropped
from scandock.services.backup import back_up
from scandock.services.backup_restore import restore_backup
from scandock.services.received_records import HOST, LeftStudy, StudySender
from scandock.services.received_studies import ReceivedStudies, end_left_associations
from scandock.services.receiver_states import count_unsettled, has_receivers, set_option_receiver
from scandock.services.receiving import UploadReceiver, receiving_limits
from scandock.store.local import LocalStore
from scandock.store.object_spools import LocalObjectSpool
from scandock.testing.privacy import given_privacy
from scandock.web.readiness import ReceiverCheck
from scandock.workers import receiver_acceptor, receiver_process
from scandock.workers.receiver_acceptor import Refused
from scandock.workers.receiver_figures import ReceiverFigures
from scandock.workers.receiver_studies import OpenStudies, OpenStudy, StudyKey
from tests.builders import Image, images
from tests.byte_search import explain, search_folder
from tests.dicom_sender import DicomSender, RejectedError
from tests.integration.receiver_site import ReceiverSite, make_receiver_site, quicken
from tests.integration.web import serve_in_process
from tests.marked_objects import MARKS, marked_image
from tests.ports import free_port

pytestmark = pytest.mark.disk

MAKE_CERTIFICATE = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=receiver", "-days", "2"]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReceiverSite]:
    quicken(monkeypatch)
    with make_receiver_site(tmp_path) as made:
        yield made


def objects(count: int, **values: object) -> list[bytes]:
    return images(count, **({"modality": b"MR"} | values))


def placed(site: ReceiverSite, count: int = 1) -> bool:
    return site.states() == [ImportState.PLACED] * count


def entries(row: SimpleNamespace) -> dict[str, int]:
    return {name: count for name, count in json.loads(row.report)["entries"].items() if count}


def test_storescu_sends_a_study_that_becomes_a_session(site, tmp_path):
    site.add()
    paths = []
    for number, raw in enumerate(objects(5)):
        paths.append(tmp_path / f"{number}.dcm")
        paths[-1].write_bytes(raw)
    with site.importing():
        words = ["storescu", "-aet", "CT1", "-aec", "SCANDOCK", "127.0.0.1", str(site.port), *map(str, paths)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        site.until(lambda: placed(site))
    (row,) = site.uploads()
    assert entries(row) == {"stored": 5}
    assert (row.calling, row.called, row.address, row.objects, row.closed_by) == (
        "CT1",
        "SCANDOCK",
        "127.0.0.1",
        5,
        "idle",
    )
    (session,) = site.sessions()
    assert session.files == 5
    (line,) = site.associations()
    assert (line.outcome, line.objects, line.failures, line.calling) == ("released", 5, 0, "CT1")
    (noted,) = [row for row in site.rows(audit) if row.action == "upload"]
    assert (noted.actor, noted.address) == ("sender", "127.0.0.1")
    assert json.loads(noted.details) == {
        "bytes": row.size, "door": "dimse", "calling": "CT1", "called": "SCANDOCK", "objects": 5, "closed": "idle",
    }  # fmt: skip


def test_a_study_by_many_associations_and_a_late_object_are_one_session(site):
    site.add()
    sent = objects(7)
    with site.importing():
        for number in range(0, 6, 2):
            with site.sender(calling=f"M{number}") as sender:
                assert sender.send(*sent[number : number + 2]) == [0, 0]
        site.until(lambda: placed(site))
        with site.sender() as sender:
            assert sender.send(sent[6], sent[0]) == [0, 0]
        site.until(lambda: placed(site, 2))
    assert [entries(row) for row in site.uploads()] == [{"stored": 6}, {"stored": 1, "duplicate": 1}]
    (session,) = site.sessions()
    assert session.files == 7


@pytest.mark.parametrize("level", ["hash", "drop"])
def test_original_uids_stand_nowhere_where_they_are_hidden(site: ReceiverSite, level: Level) -> None:
    """Not as the names of entries either, of objects that were stored, and there already."""
    site.add()
    first, second = (marked_image(number, modality=b"MR").file() for number in (1, 2))
    with given_privacy(PrivacyRules(key=b"k" * 32, policy=Policy(study_uid=level, patient=level))), site.importing():
        for count, sent in enumerate([(first, second), (first,)], 1):
            with site.sender() as sender:
                assert set(sender.send(*sent)) == {0}
            site.until(partial(placed, site, count))
    done = site.uploads()
    assert [entries(row) for row in done] == [{"stored": 2}, {"duplicate": 1}]
    assert {row.archive for row in site.rows(upload)} == {"DICOM from SENDER"}
    paths = [line["path"] for row in done for line in read_receipt(site, row.uuid)]
    assert len(paths) == 3
    assert all(is_dropped(path) is (level == "drop") for path in paths)
    found = search_folder(MARKS, site.data)
    assert not found, explain(found)


def read_receipt(site: ReceiverSite, uuid: str) -> list[dict[str, Any]]:
    with LocalStore(site.data).open_receipt(uuid) as packed, gzip.open(packed) as lines:
        return [json.loads(line) for line in lines]


def test_associations_at_once_feed_one_upload(site):
    site.add()
    sent = objects(24)
    statuses: list[int] = []

    def send(part: int) -> None:
        with site.sender() as sender:
            statuses.extend(sender.send(*sent[part::4]))

    with site.importing():
        threads = [threading.Thread(target=send, args=[part]) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        site.until(lambda: placed(site))
    assert statuses == [0] * 24
    assert [entries(row) for row in site.uploads()] == [{"stored": 24}]


def test_a_window_of_objects_is_synced_at_once(site, monkeypatch):
    site.add()
    syncs: list[int] = []
    sync = os.fdatasync

    def count(fd: int) -> None:
        syncs.append(fd)
        sync(fd)

    monkeypatch.setattr(os, "fdatasync", count)
    with site.running(), site.sender(window=0) as sender:
        assert sender.send_at_once(objects(30)) == [0] * 30
    assert len(syncs) < 25
    assert site.figures.syncs == len(syncs)


def test_nothing_is_acknowledged_before_its_sync(site, monkeypatch):
    """A failing disk: what earlier syncs covered is imported, the rest is refused and goes into another upload."""
    site.add()
    sent = objects(9)
    sync = os.fdatasync
    fails = threading.Event()

    def maybe(fd: int) -> None:
        if fails.is_set():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(fd)

    monkeypatch.setattr(os, "fdatasync", maybe)
    with site.importing():
        with site.sender() as sender, site.sender(window=0) as second:
            assert sender.send(*sent[:3]) == [0, 0, 0]
            fails.set()
            assert second.send_at_once(sent[3:6]) == [0xA700] * 3
            fails.clear()
            assert sender.send(*sent[6:]) == [0, 0, 0]
        site.until(lambda: placed(site, 2))
    first, second_upload = site.uploads()
    assert (entries(first), first.closed_by) == ({"stored": 3}, "failed")
    assert entries(second_upload) == {"stored": 3}
    assert [line.failures for line in site.associations()] in ([0, 3], [3, 0])
    (message,) = (line.message for line in site.associations() if line.failures)
    assert " refused with A700: Upload " in message  # of one sync or of several, each with its upload as a reason
    assert "2.25." in message
    assert site.figures.answers["A700"] == 3


def test_a_study_whose_sync_fails_is_imported_by_whoever_sees_it_first(site, monkeypatch):
    """Another association meets the spool that failed, before the one whose sync failed has closed its study."""
    site.add()
    sent = objects(4)
    sync, sync_study = os.fdatasync, LocalObjectSpool.sync
    failing, failed, go_on = threading.Event(), threading.Event(), threading.Event()

    def maybe(fd: int) -> None:
        if failing.is_set():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(fd)

    def wait(spool: LocalObjectSpool, end: int) -> None:
        try:
            sync_study(spool, end)
        except Fault:
            failing.clear()
            failed.set()
            assert go_on.wait(30)
            raise

    monkeypatch.setattr(os, "fdatasync", maybe)
    monkeypatch.setattr(LocalObjectSpool, "sync", wait)
    with site.importing():
        with site.sender() as first, site.sender() as second, ThreadPoolExecutor(1) as pool:
            assert first.send(*sent[:2]) == [0, 0]
            failing.set()
            refused = pool.submit(first.send, sent[2])
            assert failed.wait(30)
            assert second.send(sent[3]) == [0]
            go_on.set()
            assert refused.result(30) == [0xA700]
        site.until(lambda: placed(site, 2))
    one, two = site.uploads()
    assert (entries(one), one.closed_by, entries(two)) == ({"stored": 2}, "failed", {"stored": 1})


def test_a_study_is_closed_by_whatever_its_sync_fails_with(site, monkeypatch):
    site.add()
    sent = objects(2)
    sync = os.fdatasync
    failing = threading.Event()

    def maybe(fd: int) -> None:
        if failing.is_set():
            failing.clear()
            raise MemoryError
        sync(fd)

    monkeypatch.setattr(os, "fdatasync", maybe)
    with site.importing():
        with site.sender() as sender:
            assert sender.send(sent[0]) == [0]
            failing.set()
            assert sender.send(sent[1]) == [0x0110]
        site.until(lambda: placed(site))
    (row,) = site.uploads()
    assert (entries(row), row.closed_by) == ({"stored": 1}, "failed")


def test_a_full_disk_refuses_objects_then_associations(site, monkeypatch):
    site.add()
    write = os.pwritev
    full = threading.Event()

    def maybe(fd: int, parts: list[memoryview], at: int) -> int:
        if full.is_set():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, parts, at)

    monkeypatch.setattr(os, "pwritev", maybe)
    sent = objects(3)
    with site.importing():
        with site.sender() as sender:
            assert sender.send(sent[0]) == [0]
            full.set()
            assert sender.send(sent[1]) == [0xA700]
            full.clear()
            assert sender.send(sent[2]) == [0]
        site.until(lambda: placed(site))

        def refuse(*_: object, **__: object) -> int:
            raise DiskFull("No space is left.", "")

        monkeypatch.setattr(LocalStore, "reserve", refuse)
        with pytest.raises(RejectedError) as rejected:
            site.sender()
        assert rejected.value.args == (2, 3, 1)
    assert entries(site.uploads()[0]) == {"stored": 2}
    site.until(lambda: len(site.associations()) == 2)
    assert [line.message for line in site.associations()][1] == "No space is left."


def test_what_a_kill_left_is_recovered_and_gone_on_with(site):
    site.add()
    sent = objects(6)
    with site.running() as process:
        sender = site.sender()
        assert sender.send(*sent[:3]) == [0, 0, 0]
        # what a kill leaves: the spool as it is, with half an object behind, and an owner that is dead
        (study,) = process.studies.all
        path = site.data / "incoming" / study.incoming.uuid / "archive"
        sender.abort()
    with path.open("ab") as spool:
        spool.write(b"PK\x03\x04 half of an object")
    with site.catalog.write() as connection:
        dead = connection.execute(select(upload.c.owner)).scalar_one()
        owner = json.dumps(json.loads(dead) | {"pid": 2**22 + 1})
        connection.execute(update(upload).values(owner=owner))
    with site.importing() as process:
        site.until(lambda: process.studies.all)
        with site.sender() as sender:
            assert sender.send(*sent[3:]) == [0, 0, 0]
        site.until(lambda: placed(site))
    (row,) = site.uploads()
    assert entries(row) == {"stored": 6}
    assert site.sessions()[0].files == 6


def test_a_study_that_can_not_be_recovered_holds_up_no_other(site, monkeypatch, capsys):
    monkeypatch.setattr("scandock.workers.receiver_process.RETRY_SECONDS", 0.05)
    site.add()
    with site.running(), site.sender() as sender:
        assert sender.send(*objects(1), *objects(2, study=2)) == [0, 0, 0]
    with site.catalog.write() as connection:
        for row in connection.execute(select(upload.c.id, upload.c.owner)).all():
            owner = json.dumps(json.loads(row.owner) | {"pid": 2**22 + 1})
            connection.execute(update(upload).where(upload.c.id == row.id).values(owner=owner))
    unreadable = (site.data / "incoming" / site.uploads()[0].uuid / "archive").stat().st_ino
    read = os.pread
    mended = threading.Event()

    def maybe(fd: int, length: int, at: int) -> bytes:
        if os.fstat(fd).st_ino == unreadable and not mended.is_set():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(fd, length, at)

    monkeypatch.setattr(os, "pread", maybe)
    with site.importing():
        site.until(lambda: site.states() == [ImportState.RECEIVING, ImportState.PLACED])
        mended.set()
        site.until(lambda: placed(site, 2))
    assert "code=store_failed" in next(line for line in capsys.readouterr().out.splitlines() if "not recovered" in line)


def test_a_sender_that_is_back_while_its_study_is_recovered_displaces_nothing(site, monkeypatch):
    site.add()
    with site.running(), site.sender() as sender:
        assert sender.send(*objects(1)) == [0]
    with site.catalog.write() as connection:
        owner = json.loads(connection.execute(select(upload.c.owner)).scalar_one()) | {"pid": 2**22 + 1}
        connection.execute(update(upload).values(owner=json.dumps(owner)))
    begin, take_up = ReceivedStudies.begin, OpenStudies.take_up
    begun, recovered = threading.Event(), threading.Event()

    def wait_to_begin(*words: Any) -> IncomingUpload:
        begun.set()
        assert recovered.wait(30)
        return begin(*words)

    def wait_to_take_up(*words: Any) -> None:
        assert begun.wait(30)
        take_up(*words)
        recovered.set()

    monkeypatch.setattr(ReceivedStudies, "begin", wait_to_begin)
    monkeypatch.setattr(OpenStudies, "take_up", wait_to_take_up)
    with site.importing():
        with site.sender() as sender:
            assert sender.send(objects(2)[1]) == [0]
        site.until(lambda: placed(site, 2))
    assert site.sessions()[0].files == 2


@pytest.mark.parametrize("is_lost", [False, True])
def test_studies_that_are_left_are_all_taken_over_though_the_catalog_fails_midway(site, monkeypatch, is_lost):
    """Before the second of them is taken, or once that is written and the answer is lost."""
    monkeypatch.setattr("scandock.workers.receiver_process.RETRY_SECONDS", 0.05)
    monkeypatch.setattr("scandock.workers.receiver_process.RECOVERY_SECONDS", 0.05)
    site.add()
    with site.running(), site.sender() as sender:
        assert sender.send(*objects(1), *objects(1, study=2), *objects(1, study=3)) == [0] * 3
    with site.catalog.write() as connection:
        for row in connection.execute(select(upload.c.id, upload.c.owner)).all():
            owner = json.dumps(json.loads(row.owner) | {"pid": 2**22 + 1})
            connection.execute(update(upload).where(upload.c.id == row.id).values(owner=owner))
    take_over = ReceivedStudies.take_over
    calls = itertools.count(1)

    def fail(rows: ReceivedStudies, left: LeftStudy) -> bool:
        is_second = next(calls) == 2
        is_taken = not (is_second and not is_lost) and take_over(rows, left)
        if is_second:
            raise Fault("catalog", "The catalog went away.", "")
        return is_taken

    with monkeypatch.context() as patch:
        patch.setattr(ReceivedStudies, "take_over", fail)
        with site.importing():
            site.until(lambda: placed(site, 3))


def test_what_a_process_that_lingers_has_left_is_taken_up_once_it_has_ended(site, monkeypatch):
    """As one that waits for its disk when its supervisor is killed: it holds what it has until it is gone."""
    monkeypatch.setattr("scandock.workers.receiver_process.RECOVERY_SECONDS", 0.05)
    site.add()
    with site.running(), site.sender() as sender:
        assert sender.send(*objects(2)) == [0, 0]
    with subprocess.Popen(["sleep", "600"]) as lingering:
        with site.catalog.write() as connection:
            facts = json.loads(connection.execute(select(upload.c.owner)).scalar_one())
            facts |= {"pid": lingering.pid, "started": start_time(lingering.pid)}
            connection.execute(update(upload).values(owner=json.dumps(facts)))
        with site.importing() as process:
            site.until(lambda: site.figures.settled)
            assert process.studies.all == []
            lingering.kill()  # and nobody reaps it yet
            site.until(lambda: placed(site))
    assert site.sessions()[0].files == 2


def test_what_another_host_has_open_is_left_to_it(site, monkeypatch):
    """Its senders may still be there: that nothing is known of its process here says nothing."""
    site.add()
    with site.running(), site.sender() as sender:
        assert sender.send(*objects(2)) == [0, 0]
    limits = receiving_limits(site.settings)
    rows = ReceivedStudies(site.catalog, UploadReceiver(site.catalog, LocalStore(site.data), limits), this_owner())
    monkeypatch.setattr(site.catalog, "host", "here")

    def found_of(**changes):
        with site.catalog.write() as connection:
            facts = json.loads(connection.execute(select(upload.c.owner)).scalar_one()) | changes
            connection.execute(update(upload).values(owner=json.dumps(facts)))
            connection.execute(update(dicom_association).values(outcome="open", owner=json.dumps(facts)))
        left, lingers = rows.find_left()
        return len(left), lingers, end_left_associations(site.catalog)

    assert found_of(host_id="there", boot="another") == (0, False, 0)
    assert found_of(host_id="here") == (1, False, 1)  # this machine was started again


def test_a_study_whose_receiver_was_removed_is_imported_all_the_same(site):
    site.add()
    with site.running(), site.sender() as sender:
        assert sender.send(*objects(2)) == [0, 0]
    with site.catalog.write() as connection:
        owner = json.loads(connection.execute(select(upload.c.owner)).scalar_one()) | {"pid": 2**22 + 1}
        connection.execute(update(upload).values(owner=json.dumps(owner)))
        connection.execute(delete(receiver))
    assert has_receivers(site.catalog)
    with site.importing():
        site.until(lambda: placed(site))
    assert not has_receivers(site.catalog)
    assert site.sessions()[0].files == 2


def test_a_stop_leaves_studies_open_and_ends_associations_after_their_object(site):
    site.add()
    first, second = objects(2)
    with site.running() as process:
        sender = site.sender()
        assert sender.send(first) == [0]
        pdus = list(sender.pdus_of(second))
        (association,) = process.associations.associations()
        before = association.bytes_received
        sender.send_raw(pdus[0])  # the command; its data come while the server stops
        site.until(lambda: association.bytes_received > before)
        process.stop()
        site.until(lambda: association.stopping)
        sender.send_raw(b"".join(pdus[1:]))
        assert sender.answer() == 0
        assert sender.read_pdu()[0] == 7
        sender.close()
    assert site.states() == [ImportState.RECEIVING]
    (line,) = site.associations()
    assert (line.outcome, "stopped by the server" in line.message) == ("ended", True)


@pytest.mark.parametrize("closing", [Closing.RELEASE, Closing.IDLE])
def test_a_study_closes_soon_after_the_release_or_when_it_is_idle(site, closing):
    site.add(closing=closing, idle_seconds=None if closing is Closing.IDLE else 60)
    with site.running():
        with site.sender() as sender:
            assert sender.send(*objects(2)) == [0, 0]
        site.until(lambda: site.states() == [ImportState.RECEIVED])
    assert site.uploads()[0].closed_by == closing


def test_after_an_abort_a_study_waits_for_its_sender(site):
    site.add(closing=Closing.RELEASE)
    first, second = objects(2)
    with site.running() as process:
        sender = site.sender()
        assert sender.send(first) == [0]
        sender.abort()
        (study,) = process.studies.all
        site.until(lambda: study.was_aborted)
        with site.sender() as sender:
            assert sender.send(second) == [0]
        site.until(lambda: site.states() == [ImportState.RECEIVED])
    (row,) = site.uploads()
    assert (row.objects, row.closed_by) == (2, "release")


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_study_that_closes_at_release_waits_no_longer_than_for_its_sender_to_be_back(site, is_killed):
    """However long its idle time is: after an association that broke off, and after a kill."""
    site.add(closing=Closing.RELEASE, idle_seconds=3_600)
    with site.running() as process:
        sender = site.sender()
        assert sender.send(*objects(1)) == [0]
        if not is_killed:
            sender.abort()
            site.until(lambda: site.states() == [ImportState.RECEIVED])
        process.stop()
        sender.close()
    if is_killed:
        with site.catalog.write() as connection:
            owner = json.loads(connection.execute(select(upload.c.owner)).scalar_one()) | {"pid": 2**22 + 1}
            connection.execute(update(upload).values(owner=json.dumps(owner)))
        with site.running():
            site.until(lambda: site.states() == [ImportState.RECEIVED])


def test_a_study_closes_before_it_is_over_a_limit(tmp_path, monkeypatch):
    quicken(monkeypatch)
    sent = objects(7)
    with make_receiver_site(tmp_path, max_entries=3, dicom_open_seconds=600) as site:
        site.add()
        with site.importing():
            with site.sender() as sender:
                assert sender.send(*sent) == [0] * 7
            site.until(lambda: placed(site, 3))
        assert [row.closed_by for row in site.uploads()] == ["full", "full", "idle"]
        (session,) = site.sessions()
        assert session.files == 7


def test_an_object_over_a_limit_is_refused_and_named(site):
    site.add(max_object_bytes=3_000)
    small = objects(1)[0]
    image = Image(case="large", modality=b"MR", also={0x00100020: (b"LO", b"P"), 0x7FE00010: (b"OW", bytes(4_000))})
    with site.importing():
        with site.sender() as sender:
            assert sender.send(small, image.file()) == [0, 0xA700]
        site.until(lambda: placed(site))
        site.until(lambda: [line.outcome for line in site.associations()] == ["released"])
    (line,) = site.associations()
    assert line.failures == 1
    assert image.sop_uid.decode() in line.message
    assert "2.9 KB" in line.message or "3" in line.message


def test_of_many_objects_that_are_refused_the_reasons_are_named_each_with_its_first(site):
    site.add(max_object_bytes=3_000)
    large = [Image(case=f"large{n}", modality=b"MR", also={0x7FE00010: (b"OW", bytes(4_000))}) for n in range(3)]
    with site.running() as process:
        with site.sender() as sender:
            assert sender.send(*(image.file() for image in large), *objects(1)) == [0xA700] * 3 + [0]
            (association,) = process.associations.associations()
            for n in range(6):  # more reasons than are named
                refused = Answer(Status.CANNOT_UNDERSTAND, f"Why {n}")
                process.associations.note_failure(association, Refused.OBJECT, refused, f"1.2.{n}")
            refused = Answer(Status.PROCESSING_FAILURE, "x" * 3_000)
            for _ in range(2):
                process.associations.note_failure(association, Refused.COMMITMENT, refused)
        site.until(lambda: [line.outcome for line in site.associations()] == ["released"])
    (line,) = site.associations()
    assert (line.failures, line.number) == (11, association.number)
    why = "The object has more than the 3 kB that one may have"
    assert line.message.split("\n") == [
        f"3 objects were refused with A700: {why}. The first one is {large[0].sop_uid.decode()}.",
        *(f"Object 1.2.{n} was refused with C000: Why {n}." for n in range(4)),
        "4 more were refused for other reasons.",
    ]


def test_log_and_page_have_one_number_and_a_new_process_counts_on(site, monkeypatch):
    site.add()
    rows: list[Any] = []
    with structlog.testing.capture_logs() as logs:
        for process in range(2):
            numbers = AssociationNumbers()
            for module in (records, receiver_acceptor, receiver_process):
                monkeypatch.setattr(module, "association_numbers", numbers)
            with site.running():
                with pytest.raises(RejectedError):
                    site.sender(called="NOBODY")
                with socket.create_connection(("127.0.0.1", site.port)) as plain:
                    plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
                    plain.recv(1)
                sender = site.sender()
                sender.send_raw(b"nonsense" * 4)
                sender.read_pdu()
                sender.close()
                site.until(lambda count=process: len(site.associations()) == 3 * (count + 1))
            rows = site.associations()
    assert sorted(row.number for row in rows) == [1, 2, 3, 4, 5, 6]
    words = {"rejected": "association rejected", "failed": "no association", "ended": "association ended"}
    logged = {(line["association"], line["event"]) for line in logs if "association" in line}
    assert logged == {(row.number, words[row.outcome]) for row in rows}


def test_where_uids_are_hidden_an_object_that_is_refused_is_not_named(site, monkeypatch):
    monkeypatch.setattr("scandock.services.received_studies.is_anything_private", lambda _catalog: True)
    site.add(max_object_bytes=200)
    with site.running() as process:
        site.until(lambda: not process.associations.shows_uids)
        with site.sender() as sender:
            assert sender.send(*objects(1)) == [0xA700]
        site.until(lambda: [line.outcome for line in site.associations()] == ["released"])
    (line,) = site.associations()
    assert line.message.startswith("One object was refused with A700: ")


def test_objects_that_are_not_what_their_command_says(site):
    site.add()
    image = Image(case="odd", modality=b"MR")
    raw = image.file()
    data = raw[len(raw) - (len(raw) - raw.index(b"\x08\x00\x16\x00")) :]
    with site.running():
        with site.sender() as sender:
            answers = []
            for sop_class, instance, content in (
                ("1.2.840.10008.5.1.4.1.1.4", "1.2.3.4", data),
                ("1.2.840.10008.5.1.4.1.1.2", image.sop_uid.decode(), data),
                ("1.2.840.10008.5.1.4.1.1.4", image.sop_uid.decode(), b"no object at all" * 20),
            ):
                sender.send_raw(b"".join(sender.store(sop_class, instance, content)))
                answers.append(sender.answer())
            assert answers == [0xA900, 0xA900, 0xC000]
            without = Image(case="odd", modality=b"MR", without=frozenset({0x0020000D}))
            assert sender.send(raw) == [0]
            sender.send_raw(
                b"".join(sender.store("1.2.840.10008.5.1.4.1.1.4", without.sop_uid.decode(), without.file()[-400:]))
            )
            assert sender.answer() == 0xC000
        site.until(lambda: [line.outcome for line in site.associations()] == ["released"])
    assert site.associations()[0].failures == 4
    assert site.figures.answers["A900"] == site.figures.answers["C000"] == 2


def test_large_objects_go_through_a_file(site, tmp_path):
    """By storescu, the small object behind the large one."""
    site.add()
    large = Image(case="again", modality=b"MR", also={0x7FE00010: (b"OW", os.urandom(20_000_000))}).file()
    paths = [tmp_path / "large.dcm", tmp_path / "small.dcm"]
    for path, raw in zip(paths, (large, objects(2)[1]), strict=True):
        path.write_bytes(raw)
    with site.importing():
        words = ["storescu", "-aec", "SCANDOCK", "127.0.0.1", str(site.port), *map(str, paths)]
        assert subprocess.run(words, check=False, capture_output=True).returncode == 0
        site.until(lambda: placed(site))
    (row,) = site.uploads()
    assert entries(row) == {"stored": 2}
    assert row.size > 20_000_000
    assert os.listdir(site.data / "incoming") in ([], [row.uuid])


def test_a_large_object_is_in_a_backup_and_goes_on_after_a_restore(tmp_path, monkeypatch):
    quicken(monkeypatch)
    large = objects(1, also={0x7FE00010: (b"OW", os.urandom(5_000_000))})[0]
    small = objects(3)[1:]
    with make_receiver_site(tmp_path, dicom_idle_seconds=600) as site:
        site.add()
        with site.running() as process, site.sender() as sender:
            assert sender.send(small[0], large) == [0, 0]
            site.until(lambda: [row.received > 5_000_000 for row in site.uploads()] == [True])
            (study,) = process.studies.all
            folder = Path("incoming", study.incoming.uuid)
            back_up(str(site.data), site.settings, str(tmp_path / "backups"))
            back_up(str(site.data), site.settings, str(tmp_path / "backups"))
            assert sender.send(small[1]) == [0]
    assert restore_backup(str(tmp_path / "backups"), str(tmp_path / "new"), site.settings) == []
    assert sorted(os.listdir(tmp_path / "new" / folder)) == ["archive", "object-1"]
    with contextlib.closing(LocalStore(tmp_path / "new")) as store:
        assert store.object_spool(study.incoming.uuid).recover() == 2


def test_who_may_associate(site):
    site.add(allow_list=("GOOD@127.0.0.0/8", "127.0.0.9"), allow_list_enabled=True, max_associations=2)
    site.add("OTHER", enabled=False)
    with site.running():
        for options, reason in (
            ({"called": "NOBODY"}, (1, 1, 7)),
            ({"called": "scandock"}, (1, 1, 7)),
            ({"called": "OTHER"}, (1, 1, 7)),
            ({"calling": "BAD"}, (1, 1, 3)),
        ):
            with pytest.raises(RejectedError) as rejected:
                site.sender(**options)
            assert rejected.value.args == reason
        with site.sender(calling="GOOD"), site.sender(calling="ANY", address="127.0.0.9"):
            with pytest.raises(RejectedError) as rejected:
                site.sender(calling="GOOD")
            assert rejected.value.args == (2, 3, 2)
        with site.catalog.write() as connection:
            connection.execute(update(account).values(disabled=True))
        site.until(lambda: _is_rejected(site, (2, 1, 1)))
    refusals = {line.message for line in site.associations() if line.outcome == "rejected"}
    assert "No enabled receiver is called NOBODY at this port." in refusals
    assert "BAD at 127.0.0.1 is not on the allow list." in refusals
    assert "The receiver takes nothing: the account sender is disabled." in refusals


@pytest.mark.parametrize(
    ("loss", "place", "says"),
    [
        (
            "account",
            ("P", "prearchive"),
            "The account sender, for which it was received, may not upload to P any",
        ),
        ("role", ("P", "prearchive"), "The account sender, for which it was received, may not upload to P any"),
        ("project", ("Unassigned", "prearchive"), "Project P, to which it was sent, is gone."),
    ],
)
def test_what_was_acknowledged_is_kept_whatever_rights_go(site, loss, place, says):
    site.add(destination="archive")
    with site.importing():
        with site.sender() as sender:
            assert sender.send(*objects(4)) == [0] * 4
            with site.catalog.write() as connection:
                if loss == "project":
                    connection.execute(delete(project).where(project.c.name == "P"))
                else:
                    gone = {"disabled": True} if loss == "account" else {"admin": False}
                    connection.execute(update(account).values(**gone))
            site.until(lambda: _is_rejected(site, (2, 1, 1)))
            sender.close()  # it was ended
        site.until(lambda: placed(site))
    (row,) = site.uploads()
    assert entries(row) == {"stored": 4}
    (warning,) = json.loads(row.report)["warnings"]
    assert (warning["code"], warning["message"].startswith(says)) == ("right_lost", True)
    (held,) = site.sessions()
    (name,) = [one.name for one in site.rows(project) if one.id == held.project_id]
    assert ((name, held.place), held.files) == (place, 4)


def test_what_can_not_be_placed_stays_and_is_tried_again(site, monkeypatch):
    """Whatever is wrong with what a receiver asks for: nobody can be asked for the bytes again."""
    site.add()

    def refuse(*_: Any) -> None:
        raise Usage("label_unusable", "Nothing of it leaves a label.", "")

    with site.importing():
        with monkeypatch.context() as patch:
            patch.setattr("scandock.workers.context.WorkerContext.check_request", refuse)
            with site.sender() as sender:
                assert sender.send(*objects(2)) == [0, 0]
            site.until(lambda: [(one.attempt, one.state) for one in site.rows(upload)] == [(1, ImportState.RECEIVED)])
        (row,) = site.uploads()
        assert row.message.startswith("What a receiver took can't be placed: Nothing of it leaves a label.")
        with site.catalog.write() as connection:
            connection.execute(update(reception).values(retry_at=0))
        site.until(lambda: placed(site))
    assert entries(site.uploads()[0]) == {"stored": 2}


def _is_rejected(site: ReceiverSite, reason: tuple[int, int, int]) -> bool:
    try:
        site.sender(calling="GOOD").close()  # no release: it may be stopped in that moment
    except RejectedError as rejected:
        return rejected.args == reason
    return False


def test_one_address_takes_no_more_than_its_share(tmp_path, monkeypatch):
    quicken(monkeypatch)
    with make_receiver_site(tmp_path, dicom_associations_per_address=2, dicom_associations=3) as site:
        site.add()
        with site.running(), site.sender(), site.sender():
            with pytest.raises(RejectedError) as rejected:
                site.sender()
            assert rejected.value.args == (2, 3, 2)
            with site.sender(address="127.0.0.2"), pytest.raises(RejectedError) as rejected:
                site.sender(address="127.0.0.3")
            assert rejected.value.args == (2, 3, 2)


def test_receivers_come_and_go_while_it_runs(site):
    number = site.add()
    with site.running():
        with site.sender() as sender:
            other = free_port()
            site.set(port=other)
            site.until(lambda: _listens(other))
            assert not _listens(site.port)
            assert sender.read_pdu()[0] == 7  # who was there before goes
            sender.close()
            site.set(enabled=False)
            site.until(lambda: not _listens(other))
            site.set(enabled=True, title="RENAMED")
            site.until(lambda: _listens(other))
        DicomSender(other, called="RENAMED").release()
        site.until(lambda: count_unsettled(site.catalog) == 0)
        with site.catalog.write() as connection:
            connection.execute(delete(receiver).where(receiver.c.id == number))
        site.until(lambda: not _listens(other))


def test_nothing_is_taken_under_rules_that_are_gone(tmp_path, monkeypatch):
    quicken(monkeypatch)
    with make_receiver_site(tmp_path, dicom_idle_seconds=600) as site:
        add_project(site.catalog, ProjectRow(name="Q"))
        site.add()
        sent = objects(6)
        with site.running() as process, site.sender(calling="ONE") as one, site.sender(calling="TWO") as two:
            assert one.send(sent[0]) == [0]
            with site.catalog.read() as connection:
                other = connection.execute(select(project.c.uuid).where(project.c.name == "Q")).scalar_one()
            site.set(project_uuid=other)
            site.until(lambda: [row.closed_by for row in site.uploads()] == ["changed"])
            assert two.send(sent[1]) == [0]
            site.until(lambda: len(site.uploads()) == 2)
            first, second = site.uploads()
            assert (first.state, second.state) == (ImportState.RECEIVED, ImportState.RECEIVING)
            assert [row.project_id for row in (first, second)] == [1, 2]
            site.set(idle_seconds=500)
            site.until(lambda: [each.receiver and each.receiver.idle_seconds for each in process.studies.all] == [500])
            site.set(allow_list="TWO", allow_list_enabled=True)
            assert one.read_pdu()[0] == 7
            one.close()
            pdus = list(two.pdus_of(sent[2]))
            (association,) = process.associations.associations()
            before = association.bytes_received
            two.send_raw(pdus[0])  # the command; its data come when the receiver is off
            site.until(lambda: association.bytes_received > before)
            site.set(enabled=False)
            site.until(lambda: association.stopping)
            two.send_raw(b"".join(pdus[1:]))
            assert two.answer() == 0xA700
            assert two.read_pdu()[0] == 7
            two.close()
            site.until(lambda: [row.closed_by for row in site.uploads()] == ["changed", "changed"])
    messages = {line.calling: line.message for line in site.associations()}
    assert messages["ONE"] == "The association ended: stopped by the server: ONE at 127.0.0.1 is not on the allow list."
    assert ".." not in messages["TWO"]
    assert "stopped by the server: The receiver was disabled or removed." in messages["TWO"]
    assert [row.objects for row in site.uploads()] == [1, 1]


def test_what_a_kill_left_is_not_gone_on_with_under_other_rules(site):
    site.add()
    with site.running(), site.sender() as sender:
        assert sender.send(*objects(1)) == [0]
    with site.catalog.write() as connection:
        owner = json.loads(connection.execute(select(upload.c.owner)).scalar_one()) | {"pid": 2**22 + 1}
        connection.execute(update(upload).values(owner=json.dumps(owner)))
    site.set(project_uuid=None)
    with site.running() as process:
        site.until(lambda: process.studies.all or site.states() == [ImportState.RECEIVED])
        with site.sender() as sender:
            assert sender.send(*objects(2)[1:]) == [0]
        site.until(lambda: site.states() == [ImportState.RECEIVED] * 2)
    assert [row.project_id for row in site.uploads()] == [1, None]


def _listens(port: int) -> bool:
    try:
        DicomSender(port, called="NOBODY")
    except RejectedError:
        return True
    except OSError:
        return False
    raise AssertionError("Nobody is called so.")


def test_a_port_that_is_taken_is_said_of_its_receiver(site):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        site.add(port=taken.getsockname()[1])
        site.add("OTHER")
        with site.running():
            site.until(lambda: len(site.rows(receiver_state)) == 2)
            failed, good = sorted(site.rows(receiver_state), key=lambda row: row.listening)
            assert (failed.listening, good.listening) == (False, True)
            assert f"Another program listens at 127.0.0.1:{taken.getsockname()[1]}." == failed.message
            assert count_unsettled(site.catalog) == 0
    assert count_unsettled(site.catalog, all_of_them=True) == 2
    assert site.rows(receiver_state) == []


def test_studies_are_closed_or_discarded_when_people_want_it(tmp_path, monkeypatch):
    quicken(monkeypatch)
    with make_receiver_site(tmp_path, dicom_idle_seconds=600) as site:
        site.add()
        with site.importing(), site.sender() as sender:
            assert sender.send(*objects(2), *objects(1, study=2)) == [0, 0, 0]
            site.until(lambda: sorted(row.objects for row in site.uploads()) == [1, 2])
            one, two = site.uploads()
            assert (one.received > 0, one.objects) == (True, 2)
            with site.catalog.write() as connection:
                for row, wish in ((one, "close"), (two, "discard")):
                    connection.execute(
                        update(received_study).where(received_study.c.upload_id == row.upload_id).values(wish=wish)
                    )
            site.until(lambda: placed(site))
            assert site.uploads()[0].closed_by == "person"
            assert sender.send(*objects(1, study=2)) == [0]
            site.until(lambda: len(site.uploads()) == 2)
    assert not (site.data / "incoming" / two.uuid).exists()


def test_a_discard_ends_a_study_on_its_way_to_its_import(site, monkeypatch):
    """Of one that is being closed, one that could not be handed over and one that could not be recovered."""
    site.add()
    fsync, finish = os.fsync, LocalObjectSpool.finish
    closing, go_on = threading.Event(), threading.Event()

    def fail(fd: int) -> None:
        if threading.current_thread().name == "closing":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(fd)

    def wait(spool: LocalObjectSpool) -> int:
        closing.set()
        assert go_on.wait(30)
        return finish(spool)

    def discard_all() -> None:
        with site.catalog.write() as connection:
            connection.execute(update(received_study).values(wish="discard"))

    with site.running() as process:
        with monkeypatch.context() as patch, site.sender() as sender:
            patch.setattr(LocalObjectSpool, "finish", wait)
            assert sender.send(*objects(2)) == [0, 0]
            assert closing.wait(30)
            discard_all()
            go_on.set()
            site.until(lambda: not site.uploads() and not process.studies.busy)
        with monkeypatch.context() as patch, site.sender() as sender:
            patch.setattr(os, "fsync", fail)
            assert sender.send(*objects(2)) == [0, 0]
            site.until(lambda: process.studies.busy and not process.studies.all)
            discard_all()
            site.until(lambda: not site.uploads() and not process.studies.busy)
        with site.sender() as sender:
            assert sender.send(*objects(2)) == [0, 0]
        process.stop()
    with site.catalog.write() as connection:
        owner = json.loads(connection.execute(select(upload.c.owner)).scalar_one()) | {"pid": 2**22 + 1}
        connection.execute(update(upload).values(owner=json.dumps(owner)))
    discard_all()
    monkeypatch.setattr("scandock.workers.receiver_process.RETRY_SECONDS", 0.05)
    monkeypatch.setattr(LocalObjectSpool, "recover", lambda _: fail_always())
    with site.running():
        site.until(lambda: not site.uploads())
    assert [name for name in os.listdir(site.data / "incoming") if not name.startswith(".")] == []


def fail_always() -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_the_catalog_is_asked_for_a_study_and_never_for_an_object(site, monkeypatch):
    site.add()
    monkeypatch.setattr("scandock.workers.receiver_process.NOTE_SECONDS", 600.0)
    monkeypatch.setattr("scandock.workers.receiver_process.LOOK_SECONDS", 600.0)
    with site.running(), site.sender() as sender:
        assert sender.send(*objects(1)) == [0]

        def refuse(*_: object) -> None:
            raise AssertionError("The catalog was asked.")

        with monkeypatch.context() as patch:
            patch.setattr(Catalog, "read", refuse)
            patch.setattr(Catalog, "write", refuse)
            assert sender.send(*objects(3)[1:]) == [0, 0]


def test_a_catalog_that_fails_refuses_new_studies_alone(site, monkeypatch):
    site.add()
    with site.importing() as process:
        with site.sender() as sender:
            assert sender.send(*objects(1)) == [0]

            def fail(*_: object) -> None:
                raise Fault("catalog", "The catalog can't be written to.", "")

            with monkeypatch.context() as patch:
                patch.setattr(UploadReceiver, "begin", fail)
                assert sender.send(objects(2)[1], *objects(1, study=2)) == [0, 0xA700]
            assert sender.send(*objects(1, study=2)) == [0]
        assert process.studies._beginning == {}  # noqa: SLF001  locks of those that never began
        site.until(lambda: placed(site, 2))


def test_whatever_a_turn_fails_with_the_process_goes_on_and_ends_well(site, monkeypatch):
    """As with a line that the catalog refuses, as PostgreSQL does one with a NUL."""
    site.add()
    refused: list[str] = []

    def refuse(*_: object) -> None:
        refused.append("")
        raise Usage("text", "A text can't be kept.", "")

    with site.importing() as process:
        with monkeypatch.context() as patch:
            patch.setattr(ReceivedStudies, "write_associations", refuse)
            patch.setattr(ReceivedStudies, "write_progress", refuse)
            with site.sender() as sender:
                assert sender.send(*objects(1)) == [0]
                site.until(lambda: len(refused) > 2)
            site.until(lambda: placed(site))
        site.until(lambda: [line.objects for line in site.associations()] == [1])
        process.associations.add(
            process.associations.new_line(
                site.port, None, Peer("127.0.0.1", 1), AssociationOutcome.FAILED, "application context 1\0.2"
            )
        )
        site.until(lambda: len(site.associations()) == 2)
        assert site.associations()[1].message == "application context 1?.2"
        monkeypatch.setattr(ReceivedStudies, "write_progress", refuse)
        monkeypatch.setattr(ReceivedStudies, "write_states", refuse)
    assert not site.figures.settled


def test_a_flood_of_refusals_pushes_no_association_out(site, monkeypatch):
    """Neither of what is to be written down, also after that failed, nor of what is kept."""
    monkeypatch.setattr("scandock.services.received_studies.KEPT_ASSOCIATIONS", 3)
    site.add()
    with site.running() as process, monkeypatch.context() as patch:
        patch.setattr("scandock.workers.receiver_process.NOTE_SECONDS", 600.0)
        log = process.associations
        with site.sender() as sender:
            assert sender.send(*objects(1)) == [0]
        site.until(lambda: not log.open_count)

        def refuse() -> None:
            for _ in range(600):
                log.add(log.new_line(site.port, None, Peer("127.0.0.1", 1), AssociationOutcome.REJECTED, "unknown"))

        refuse()
        lines = log.take_changes()
        refuse()
        log.give_back(lines)
        lines = log.take_changes()
        assert len(lines) == 501
        process.rows.write_associations(lines)
        refuse()
        process.rows.write_associations(log.take_changes())
    assert [line.outcome for line in site.associations()] == ["released", *["rejected"] * 3]


def test_associations_of_a_receiver_that_was_removed_are_written_down(site):
    site.add()
    with site.running():
        sender = site.sender()
        with site.catalog.write() as connection:
            connection.execute(delete(receiver))
        assert sender.read_pdu()[0] == 7
        sender.close()
        site.until(lambda: [line.outcome for line in site.associations()] == ["ended"])
    assert site.associations()[0].receiver_id is None


def test_a_study_that_can_not_be_handed_over_is_tried_again(site, monkeypatch):
    site.add()
    monkeypatch.setattr("scandock.workers.receiver_studies.RETRY_SECONDS", 0.05)
    fsync = os.fsync
    failures = [OSError(errno.EIO, os.strerror(errno.EIO))] * 2

    def maybe(fd: int) -> None:
        if failures and threading.current_thread().name == "closing":
            raise failures.pop()
        fsync(fd)

    monkeypatch.setattr(os, "fsync", maybe)
    with site.importing():
        with site.sender() as sender:
            assert sender.send(*objects(2)) == [0, 0]
        site.until(lambda: placed(site))
    assert failures == []
    assert site.sessions()[0].files == 2


def test_a_study_for_whose_closing_there_is_no_thread_is_tried_again(site, monkeypatch):
    site.add()
    monkeypatch.setattr("scandock.workers.receiver_studies.RETRY_SECONDS", 0.05)
    start = threading.Thread.start
    failures = [RuntimeError("can't start new thread")] * 2

    def maybe(thread: threading.Thread) -> None:
        if failures and thread.name == "closing":
            raise failures.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", maybe)
    with site.importing():
        with site.sender() as sender:
            assert sender.send(*objects(2)) == [0, 0]
        site.until(lambda: placed(site))
    assert failures == []


def test_a_study_that_can_not_be_begun_is_asked_for_once_by_all_who_wait(site, monkeypatch):
    """A worker that is away takes 20 s each time."""
    site.add()
    asked, goes_on = [], threading.Event()

    def fail(*_: object) -> None:
        asked.append(1)
        assert goes_on.wait(30)
        raise Fault("catalog", "The catalog can't be written to.", "")

    monkeypatch.setattr(UploadReceiver, "begin", fail)
    with site.running() as process, ThreadPoolExecutor(3) as pool:

        def send(data: bytes) -> Any:
            with site.sender() as sender:
                return sender.send(data)

        sending = [pool.submit(send, data) for data in objects(3)]
        beginnings = process.studies._beginning  # noqa: SLF001
        site.until(lambda: [one.waiting for one in beginnings.values()] == [3])
        goes_on.set()
        assert [one.result(30) for one in sending] == [[0xA700]] * 3
        assert beginnings == {}
    assert asked == [1]


def test_an_import_keeps_its_bytes_where_the_answer_of_its_acceptance_was_lost(site, monkeypatch):
    """What is tried again then touches nothing of them: neither before the catalog answers, nor where it says no."""
    site.add()
    monkeypatch.setattr("scandock.workers.receiver_studies.RETRY_SECONDS", 0.05)
    accept, finish = UploadReceiver.accept, LocalObjectSpool.finish
    answers, finished = [], []

    def lose(receiving: UploadReceiver, *words: Any, **details: Any) -> bool:
        answers.append(accept(receiving, *words, **details))
        if len(answers) == 1:
            raise Fault("catalog", "The catalog went away.", "")
        return answers[-1]

    def count(spool: LocalObjectSpool) -> int:
        finished.append(spool.upload)
        return finish(spool)

    monkeypatch.setattr(UploadReceiver, "accept", lose)
    monkeypatch.setattr(LocalObjectSpool, "finish", count)
    with site.running() as process, site.sender() as sender:
        assert sender.send(*objects(2)) == [0, 0]
        site.until(lambda: answers and not process.studies.busy)
        (row,) = site.uploads()
        assert (answers, finished) == ([True], [row.uuid])
        incoming = UploadReceiver(site.catalog, LocalStore(site.data), receiving_limits(site.settings)).find(row.uuid)
        assert incoming is not None
        study = OpenStudy[Receiver, StudySender](
            StudyKey(0, row.uuid), None, StudySender(calling="", called="", address=""), incoming,
            process.store.object_spool(row.uuid), 0.0
        )  # fmt: skip
        study.spool.recover()
        states = [ImportState.RECEIVING]  # as the catalog is behind
        find = UploadReceiver.find

        def find_behind(receiving: UploadReceiver, uuid: str) -> IncomingUpload | None:
            found = find(receiving, uuid)
            return replace(found, state=states.pop()) if found is not None and states else found

        monkeypatch.setattr(UploadReceiver, "find", find_behind)
        process.studies.take_up(study)
        process.studies.close(study, CloseReason.IDLE)
        site.until(lambda: len(answers) == 2 and not process.studies.busy)
    assert answers == [True, False]
    with site.importing():
        site.until(lambda: placed(site))
    assert site.sessions()[0].files == 2


def test_the_bytes_of_a_study_whose_upload_was_cancelled_or_is_gone_are_removed(tmp_path, monkeypatch):
    quicken(monkeypatch)
    with make_receiver_site(tmp_path, dicom_idle_seconds=600) as site:
        site.add()
        with site.running() as process:
            with site.sender() as sender:
                assert sender.send(*objects(1), *objects(1, study=2)) == [0, 0]
            one, two = site.uploads()
            with site.catalog.write() as connection:
                connection.execute(update(upload).where(upload.c.uuid == one.uuid).values(state=ImportState.CANCELLED))
                connection.execute(delete(upload).where(upload.c.uuid == two.uuid))
            for study in process.studies.all:
                process.studies.close(study, CloseReason.PERSON)
            site.until(lambda: not process.studies.busy)
        assert [(site.data / "incoming" / row.uuid).exists() for row in (one, two)] == [False, False]


def test_a_study_that_was_discarded_behind_its_receiver_acknowledges_nothing_more(tmp_path, monkeypatch):
    """As by another host, which took this one for silent."""
    quicken(monkeypatch)
    with make_receiver_site(tmp_path, dicom_idle_seconds=600) as site:
        site.add()
        with site.running() as process, site.sender() as sender:
            first, second, third = objects(3)
            assert sender.send(first) == [0]
            (study,) = process.studies.all
            with site.catalog.write() as connection:
                connection.execute(delete(upload))
            assert sender.send(second)[0] in {0, 0xA700}
            folder = site.data / "incoming" / study.incoming.uuid
            site.until(lambda: study not in process.studies.all and not folder.exists())
            with pytest.raises(Fault) as refused:
                study.spool.sync(study.spool.size + 1)
            assert refused.value.code == "spool_closed"
            assert not (site.data / "incoming" / study.incoming.uuid).exists()
            assert sender.send(third) == [0]
        (row,) = site.uploads()
        assert row.uuid != study.incoming.uuid
        assert (site.data / "incoming" / row.uuid).exists()


def test_the_receiver_of_the_option_is_made_changed_and_put_off(site):
    first, second = free_port(), free_port()
    made = set_option_receiver(site.catalog, first, "127.0.0.1")
    assert made is not None
    assert (made.title, made.port, made.bind, made.enabled) == ("SCANDOCK", first, "127.0.0.1", True)
    assert (made.project, made.allow_list_enabled, made.account) == (None, False, "sender")
    changed = set_option_receiver(site.catalog, second, "0.0.0.0")
    assert changed is not None
    assert (changed.uuid, changed.port, changed.bind) == (made.uuid, second, "")
    site.add("OTHER")
    assert set_option_receiver(site.catalog, None, "127.0.0.1") is None
    assert [(row.title, row.enabled) for row in site.rows(receiver)] == [("SCANDOCK", False), ("OTHER", True)]


def test_a_receiver_whose_project_is_deleted_takes_nothing(site):
    site.add()
    with site.running():
        with site.catalog.write() as connection:
            connection.execute(delete(project))
        site.until(lambda: _is_rejected(site, (2, 1, 1)))
    site.until(lambda: any(line.outcome == "rejected" for line in site.associations()))
    assert "its project was deleted" in next(line.message for line in site.associations() if line.outcome == "rejected")


def test_silent_peers_leave_room_for_others(tmp_path, monkeypatch):
    """Peers that say nothing, or half of something, hold up nobody and are let go of in time."""
    import socket

    quicken(monkeypatch)
    with make_receiver_site(tmp_path, dicom_request_seconds=4.0, dicom_silence_seconds=4.0) as site:
        site.add()
        with site.running() as process:
            silent = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(10)]
            for connection in silent[5:]:
                connection.sendall(b"\1\0\0\0\1\0half")
            stuck = [site.sender(address="127.0.0.2") for _ in range(5)]
            for sender in stuck:
                sender.send_raw(next(sender.pdus_of(objects(1)[0])))
            begun = time.monotonic()
            with site.sender(address="127.0.0.3") as sender:
                assert sender.send(*objects(1)) == [0]
            assert time.monotonic() - begun < 2
            site.until(lambda: not process.ports.connections.threads)
            for connection in silent:
                connection.close()
            for sender in stuck:
                sender.close()
    outcomes = [line.outcome for line in site.associations()]
    assert (outcomes.count("failed"), outcomes.count("ended")) == (10, 5)


def test_storescu_is_here():
    assert shutil.which("storescu"), "apt-get install dcmtk"


def assert_a_queued_study_is_discarded_and_not_cancelled(site: ReceiverSite, client: httpx.Client, uuid: str) -> None:
    shown = client.get("/activity?whose=all").text
    assert "Cancel the import" not in shown
    assert f'href="/imports/{uuid}/discard"' in shown
    assert f'action="/imports/{uuid}/close"' not in shown
    for _ in range(2):
        refused = client.post(f"/api/v1/imports/{uuid}/cancel")
        assert (refused.status_code, refused.json()["code"]) == (409, "import_running")
        assert "Discard the study" in refused.json()["remedy"]
    late = client.post(f"/api/v1/receivers/studies/{uuid}/close")
    assert (late.status_code, late.json()["code"]) == (409, "study_not_receiving")
    assert site.states() == [ImportState.RECEIVED]
    confirm = client.get(f"/imports/{uuid}/discard").text
    assert "Its import is cancelled: nothing of it is stored." in confirm
    discard = f"/api/v1/receivers/studies/{uuid}/discard"
    with site.catalog.write() as connection:  # as while its import runs
        number = connection.execute(update(upload).values(state="running").returning(upload.c.id)).scalar_one()
    refused = client.post(f"/api/v1/imports/{uuid}/cancel")
    assert (refused.json()["code"], "Discard the study" in refused.json()["remedy"]) == ("import_running", True)
    with site.catalog.write() as connection:  # and as while it is being placed
        made = connection.execute(insert(tree).values(upload_id=number, state="staged", created=1)).inserted_primary_key
        assert made is not None
        connection.execute(
            insert(intent).values(
                upload_id=number, n=1, state="intent", name="archive/P/S", staged="s", inode=1, tree_id=made[0],
                keep_base=False, session="{}", kind="publish",
            )
        )  # fmt: skip
    for address in (f"/api/v1/imports/{uuid}/cancel", discard):
        assert (client.post(address).status_code, client.post(address).json()["code"]) == (409, "import_placing")
    with site.catalog.write() as connection:
        connection.execute(delete(intent))
        connection.execute(delete(tree))
    assert client.post(discard).status_code == 202
    assert [row.cancel for row in site.uploads()] == [True]
    assert f'href="/imports/{uuid}/discard"' not in client.get("/activity?whose=all").text
    with site.catalog.write() as connection:
        connection.execute(update(upload).values(state="received"))
        connection.execute(update(reception).values(cancel=False))
    assert client.post(discard).status_code == 202
    assert site.states() == [ImportState.CANCELLED]
    assert not list((site.data / "incoming").glob(f"{uuid}*/archive"))
    line = site.rows(audit)[-1]
    assert (line.action, line.target, json.loads(line.details)["objects"]) == ("study_discard", uuid, 3)
    again = client.post(discard)
    assert (again.status_code, again.json()["code"]) == (409, "study_not_receiving")
    assert client.get(f"/imports/{uuid}/discard").status_code == 409


def test_a_study_that_comes_is_shown_closed_and_discarded_and_never_cancelled(tmp_path, monkeypatch):
    quicken(monkeypatch)
    with serve_in_process(tmp_path / "data") as web, make_receiver_site(tmp_path, dicom_idle_seconds=600) as site:
        site.account_id = web.account("sender2", P="owner")
        site.add()
        with site.running(), web.client() as client, site.sender(calling="CT1") as sender:
            assert sender.send(*objects(3), *objects(1, study=2)) == [0] * 4
            site.until(lambda: sorted(row.objects for row in site.uploads()) == [1, 3])
            one, two = site.uploads()
            shown = client.get("/activity?whose=all").text
            assert "From CT1 at 127.0.0.1: 3 objects" in shown
            assert f'action="/imports/{one.uuid}/close"' in shown
            assert "Cancel the import" not in shown
            refused = client.post(f"/api/v1/imports/{one.uuid}/cancel")
            assert (refused.status_code, refused.json()["code"]) == (409, "import_running")
            assert client.delete(f"/api/v1/imports/{one.uuid}").status_code == 409
            for row, wish in ((one, "close"), (two, "discard")):
                asked = client.post(f"/api/v1/receivers/studies/{row.uuid}/{wish}")
                assert asked.status_code in (200, 202, 204), asked.text
            site.until(lambda: site.states() == [ImportState.RECEIVED])
            assert_a_queued_study_is_discarded_and_not_cancelled(site, client, one.uuid)
            names = client.get("/metrics").text
            assert 'scandock_dicom_answers_total{status="0000"}' in names
        assert {row.action for row in site.rows(audit)} >= {"study_close", "study_discard"}


def test_readiness_waits_for_receivers_and_no_longer_than_it_should(site):
    figures, now = ReceiverFigures(), [0.0]
    check = ReceiverCheck(site.catalog, figures, lambda: now[0])
    assert check() == ""  # there is none
    number = site.add()
    site.add("OTHER")
    assert check() == "2 DICOM receivers do not listen yet"
    figures.set_settled(is_settled=True)
    with site.catalog.write() as connection:
        connection.execute(
            insert(receiver_state).values(
                receiver_id=number, host=HOST, listening=False, message="taken", at=site.catalog.now()
            )
        )
    assert check() == "a DICOM receiver does not listen yet"
    now[0] = 36.0
    assert check() == ""
    site.set(enabled=False)
    assert check() == ""
    site.set(enabled=True)
    assert check() == "2 DICOM receivers do not listen yet"


def test_a_receiver_with_tls_says_what_is_wrong_with_its_certificate_and_serves_once_it_is_there(tmp_path, monkeypatch):
    quicken(monkeypatch)
    pem = tmp_path / "receiver.pem"
    with make_receiver_site(tmp_path, dicom_tls_certificate=str(pem)) as site:
        site.add(tls=True)
        raw = tmp_path / "one.dcm"
        raw.write_bytes(objects(1)[0])
        words = ["storescu", "+tla", "-ic", "-aec", "SCANDOCK", "127.0.0.1", str(site.port), str(raw)]
        with site.running():
            site.until(lambda: site.rows(receiver_state))
            (state,) = site.rows(receiver_state)
            assert (state.listening, "certificate of TLS can't be used" in state.message) == (False, True)
            made = tmp_path / "key.pem"
            subprocess.run(
                [*MAKE_CERTIFICATE, "-keyout", str(made), "-out", str(tmp_path / "cert.pem")],
                check=True,
                capture_output=True,
            )
            pem.write_bytes(made.read_bytes() + (tmp_path / "cert.pem").read_bytes())
            site.until(lambda: [row.listening for row in site.rows(receiver_state)] == [True])
            assert subprocess.run(words, check=False, capture_output=True).returncode == 0
            plain = [word for word in words if word not in ("+tla", "-ic")]
            assert subprocess.run(plain, check=False, capture_output=True).returncode != 0
    outcomes = sorted(line.outcome for line in site.associations())
    assert outcomes == ["failed", "released"]
    assert "TLS" in next(line.security for line in site.associations() if line.outcome == "released")
