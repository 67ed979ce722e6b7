"""Storage commitment: what is decided of objects, and how peers are told, Orthanc among them."""

from __future__ import annotations

import contextlib
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydicom import Dataset, dcmread
from pydicom.uid import UID
from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]
from sqlalchemy import insert, select, update

from scandock.access import accounts
from scandock.access.principal import SYSTEM
from scandock.catalog.engine import Catalog
from scandock.catalog.receivers import list_receivers, receiver_columns
from scandock.catalog.server_tables import (
    account,
    commitment,
    damage,
    dicom_association,
    dicom_peer,
    member,
    receiver,
    trashed,
)
from scandock.catalog.tables import file, project, session
from scandock.dimse import uids
from scandock.dimse.commitment import CommitmentError, read_commitment
from scandock.dimse.records import CommitmentRequest, CommitmentResult
from scandock.model.receivers import DicomPeer, Receiver
from scandock.model.reception import AssociationOutcome, CloseReason, StudyWish
from scandock.model.verdicts import ImportState
from scandock.queue.owner import this_owner
from scandock.queue.tokens import new_uuid
from scandock.rules.privacy import PrivacyRules, SitePrivacy
from scandock.rules.privacy_policy import Level, Policy
from scandock.rules.series_filters import read_lines
from scandock.services.commitment import Commitments, CommitmentTimes, find_stored
from scandock.services.context import ServiceContext
from scandock.services.dicom_peers import PeerCalls
from scandock.services.import_filters import set_local_filter
from scandock.services.manifest_fill import fill_manifests
from scandock.services.privacy_source import usable_privacy, use_privacy
from scandock.services.received_records import MAX_MESSAGE, AssociationLine, StudySender
from scandock.services.received_status import ask_for_study
from scandock.services.received_studies import ReceivedStudies
from scandock.services.receiver_errors import PeerCallFailed, StudyNotReceiving
from scandock.services.receiving import UploadReceiver, receiving_limits
from scandock.services.settings import load_settings
from scandock.store.local import LocalStore
from scandock.testing.privacy import given_privacy
from scandock.workers.commitment_keeper import CommitmentKeeper
from tests.builders import DataFolder, Image, images, make_data_folder
from tests.integration.receiver_site import ReceiverSite, make_receiver_site, quicken
from tests.orthanc import running
from tests.stored_files import all_files, make_all_old

MR = "1.2.840.10008.5.1.4.1.1.4"
CT = "1.2.840.10008.5.1.4.1.1.2"
KEY = b"k" * 32
GONE = (MR, "1.2.3.999")
TIMES = CommitmentTimes(look=0.05, same_association=60, retries=(0.05, 0.05))


@dataclass
class Reports:
    """Sends reports nowhere, or fails as often as it is told to."""

    failures: int = 0
    results: list[tuple[str, CommitmentResult]] = field(default_factory=list)

    def report(self, peer: DicomPeer, result: CommitmentResult, title: str) -> None:
        assert title == "SCANDOCK"
        if self.failures:
            self.failures -= 1
            raise PeerCallFailed(peer.title, peer.host, peer.port, "it did not answer")
        self.results.append((peer.title, result))


@dataclass
class Site:
    folder: DataFolder
    catalog: Catalog
    store: LocalStore
    receiver: Receiver
    reports: Reports = field(default_factory=Reports)
    number: int = 0

    def commitments(self, times: CommitmentTimes = TIMES) -> Commitments:
        return Commitments(self.catalog, self.store, times)

    def ask(self, *references: tuple[str, str], peer: str = "PEER", transaction: str = "", **options: Any) -> Any:
        self.number += 1
        request = CommitmentRequest(1, transaction or f"1.2.{self.number}", references)
        return self.commitments(**options).take(self.receiver, peer, "127.0.0.1", request)

    def decide(self, *references: tuple[str, str]) -> list[int]:
        with self.catalog.read() as connection:
            decision = find_stored(connection, references, usable_privacy(connection))
        return list(decision.values())

    def rows(self) -> list[Any]:
        with self.catalog.read() as connection:
            return list(connection.execute(select(commitment).order_by(commitment.c.id)).all())

    def make_due(self) -> None:
        with self.catalog.write() as connection:
            connection.execute(update(commitment).values(due=0))

    def turn(self, **options: Any) -> int:
        return self.commitments(**options).turn(self.reports, structlog.get_logger())


def add_peer(catalog: Catalog, title: str, port: int) -> None:
    with catalog.write() as connection:
        connection.execute(
            insert(dicom_peer).values(uuid=title, title=title, host="127.0.0.1", port=port, created=0, modified=0)
        )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[Site]:
    folder = make_data_folder(tmp_path, monkeypatch, database_url)
    folder.project()
    with folder.catalog() as catalog:
        add_peer(catalog, "PEER", 104)
        with catalog.write() as connection:
            account = accounts.create(connection, "sender", password=None, admin=True)
            row = Receiver(number=1, uuid="r", title="SCANDOCK", port=11112, account_id=account.id, account="sender")
            connection.execute(insert(receiver).values(uuid="r", created=0, modified=0, **receiver_columns(row)))
        store = LocalStore(str(folder.data))
        yield Site(folder, catalog, store, row)
        store.close()


def references(objects: Sequence[bytes]) -> list[tuple[str, str]]:
    """SOP classes and instances of files."""
    found = [dcmread(BytesIO(raw)) for raw in objects]
    return [(str(ds.SOPClassUID), str(ds.SOPInstanceUID)) for ds in found]


@pytest.mark.postgresql
def test_what_is_stored_is_kept_and_nothing_else(site: Site) -> None:
    objects = images(3, modality=b"MR")
    first, second, third = references(objects)
    site.folder.bring({f"{n}.dcm": raw for n, raw in enumerate(objects)})
    assert site.decide(first, GONE, third, (CT, second[1])) == [0, 0x112, 0, 0x119]
    with site.catalog.write() as connection:
        tree = connection.execute(select(session.c.tree_id)).scalar_one()
        (n,) = (row.n for _, row in all_files(connection) if row.sop_uid == second[1])
        connection.execute(insert(damage).values(tree_id=tree, file_n=n, kind="changed", bytes=1, found=0))
    assert site.decide(first, second) == [0, 0x112]
    with site.catalog.write() as connection:  # as a deletion leaves it: in the trash, and then nowhere
        row = connection.execute(select(session)).one()
        connection.execute(session.delete())
        connection.execute(
            insert(trashed).values(
                uuid=row.uuid, project_id=row.project_id, tree_id=tree, trash_id="t", name="n", session="{}", deleted=0
            )
        )
    assert site.decide(first, second) == [0, 0x112]
    with site.catalog.write() as connection:
        connection.execute(trashed.delete())
    assert site.decide(first, second) == [0x112, 0x112]


@pytest.mark.postgresql
def test_a_peer_is_told_of_projects_of_its_receivers_account_alone(site: Site) -> None:
    objects = images(2, modality=b"MR")
    site.folder.bring({f"{n}.dcm": raw for n, raw in enumerate(objects)})
    first, _ = references(objects)
    assert site.ask(first).result.kept == (first,)
    with site.catalog.write() as connection:
        connection.execute(update(account).values(admin=False))
    assert site.ask(first).result.failed == ((*first, 0x112),)
    with site.catalog.write() as connection:
        (project_id,) = connection.execute(select(session.c.project_id)).scalars()
        connection.execute(
            insert(member).values(account_id=site.receiver.account_id, project_id=project_id, role="member")
        )
    assert site.ask(first).result.kept == (first,)


@pytest.mark.parametrize("hashed", [True, False])
def test_files_of_before_are_found_before_and_after_they_are_brought_over(site: Site, hashed: bool) -> None:
    objects = images(3)
    site.folder.bring({f"{n}.dcm": raw for n, raw in enumerate(objects)})
    with site.catalog.write() as connection:
        make_all_old(connection, hashed=hashed)
    assert site.decide(*references(objects), GONE) == [0, 0, 0, 0x112]
    assert not fill_manifests(site.catalog, 60, lambda: False)
    with site.catalog.read() as connection:
        assert connection.execute(select(file.c.n)).first() is None
    assert site.decide(*references(objects), GONE) == [0, 0, 0, 0x112]


SCRIPTED = 'version "6.1"\n' + "".join(
    f"({tag}) := hashUID[({tag})]\n" for tag in ("0020,000D", "0020,000E", "0008,0018")
)


@pytest.mark.parametrize(
    ("rules", "answer"),
    [
        (PrivacyRules(key=KEY, scripts=(SCRIPTED,)), 0),
        (PrivacyRules(key=KEY, profile="basic", resources="keep"), 0),
        (PrivacyRules(key=KEY, scripts=(SCRIPTED,), policy=Policy(study_uid="drop")), 0x112),
    ],
    ids=["script", "profile", "drop"],
)
def test_what_got_other_uids_is_found_by_its_own(site: Site, rules: PrivacyRules, answer: int) -> None:
    objects = images(2, modality=b"MR")
    asked = references(objects)
    site.folder.scrubs = True
    with given_privacy(rules):
        outcome = site.folder.bring({f"{n}.dcm": raw for n, raw in enumerate(objects)})
        assert outcome.counts == {"stored": 2}
        with site.catalog.read() as connection:
            stored = [row for _, row in all_files(connection)]
        assert not {row.sop_uid for row in stored} & {uid for _, uid in asked}
        assert [row.sop_key is None for row in stored] == [answer != 0] * 2
        assert site.decide(*asked) == [answer] * 2
        said = site.ask(*asked).answer
    if answer:
        assert (said.status, said.comment) == (0x0110, "UIDs are replaced here, nothing is found by them")
        return
    assert said.status == 0
    renewed = PrivacyRules(key=b"n" * 32, scripts=rules.scripts, profile=rules.profile, older_keys=(KEY,))
    with given_privacy(renewed):  # after the site's key was changed
        assert site.decide(*asked) == [0, 0]
    with given_privacy(PrivacyRules(key=b"n" * 32)):
        assert site.decide(*asked) == [0x112] * 2


@pytest.mark.postgresql
def test_what_got_other_uids_in_a_project_that_drops_them_is_found_by_nobody(site: Site) -> None:
    objects = images(2, modality=b"MR")
    asked = references(objects)
    site.folder.scrubs = True
    rules = PrivacyRules(key=KEY, profile="basic", resources="keep")
    with given_privacy(rules):
        site.folder.bring({f"{n}.dcm": raw for n, raw in enumerate(objects)})
        assert site.decide(*asked) == [0, 0]
    with site.catalog.read() as connection:
        name = connection.execute(
            select(project.c.key).join(session, session.c.project_id == project.c.id)
        ).scalar_one()
    dropping = replace(rules, policy=Policy(study_uid="drop"))
    with use_privacy(SitePrivacy(site=rules, projects={name: dropping})):
        assert site.decide(*asked) == [0x112, 0x112]


@pytest.mark.postgresql
def test_a_study_that_somebody_discards_is_not_handed_to_its_import(site: Site) -> None:
    """Whoever of the receiver and that person comes first to the catalog."""
    settings = load_settings()
    receiving = UploadReceiver(site.catalog, site.store, receiving_limits(settings))
    rows = ReceivedStudies(site.catalog, receiving, this_owner())
    sender = StudySender(calling="CT1", called="SCANDOCK", address="127.0.0.1")
    context = ServiceContext(site.catalog, site.store, settings, SYSTEM)
    first, second = (rows.begin(site.receiver, sender, new_uuid()) for _ in range(2))
    for incoming in (first, second):
        spool = site.store.object_spool(incoming.uuid)
        spool.append("1.dcm", images(1))
        spool.finish()
        spool.close()
    ask_for_study(context, first.uuid, StudyWish.DISCARD)
    assert not rows.accept(first, 1, 1, sender, CloseReason.IDLE)
    assert rows.accept(second, 1, 1, sender, CloseReason.IDLE)
    with pytest.raises(StudyNotReceiving):
        ask_for_study(context, second.uuid, StudyWish.CLOSE)
    ask_for_study(context, second.uuid, StudyWish.DISCARD)
    assert rows.read_state(second) is ImportState.CANCELLED


def test_what_is_found_is_told_at_once_and_again_if_that_failed(site: Site) -> None:
    objects = images(1, modality=b"MR")
    kept = references(objects)
    site.folder.bring({"1.dcm": objects[0]})
    answer = site.ask(*kept, GONE, transaction="1.2.77")
    assert answer.answer.status == 0
    assert answer.result == CommitmentResult("1.2.77", tuple(kept), ((*GONE, 0x112),))
    assert [row.state for row in site.rows()] == ["decided"]
    assert site.ask(*kept, transaction="1.2.77").answer.status == 0x0210
    assert site.ask(*kept, transaction="1.2.77", peer="OTHER").answer.status == 0x0110
    assert site.turn(times=TIMES) == 0  # the peer is being told on its own association
    site.commitments().note_report("PEER", "1.2.77", None)
    assert site.turn() == 1
    assert site.reports.results == [("PEER", answer.result)]
    assert [(row.state, row.wanted, row.result) for row in site.rows()] == [("told", b"", None)]
    assert site.turn() == 0
    again = site.ask(*kept, transaction="1.2.77")
    assert again.answer.status == 0
    site.commitments().note_report("PEER", "1.2.77", 0)
    site.make_due()
    assert site.turn() == 0
    assert [row.state for row in site.rows()] == ["told", "told"]


def test_a_peer_that_cannot_be_told_is_tried_again_and_given_up(site: Site) -> None:
    site.ask(GONE)
    site.reports.failures = 2
    for tries in (1, 2):
        site.make_due()
        assert site.turn() == 1
        assert [(row.state, row.tries) for row in site.rows()] == [("decided", tries)]
    site.make_due()
    site.turn()
    assert [(row.state, row.message) for row in site.rows()] == [("told", "")]
    site.ask(GONE)
    site.reports.failures = 9
    for _ in range(3):
        site.make_due()
        site.turn()
    assert [row.state for row in site.rows()] == ["told", "failed"]
    assert "it did not answer" in site.rows()[1].message
    assert site.commitments().forget_old() == 0
    with site.catalog.write() as connection:
        connection.execute(update(commitment).values(received=0))
        connection.execute(dicom_peer.delete())
    site.ask(GONE)
    assert site.commitments().forget_old() == 2


def test_whatever_a_turn_fails_with_the_next_is_made(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    again = threading.Event()

    def fail(*_: object) -> dict[str, list[int]]:
        turns.append(len(turns))
        if len(turns) == 1:
            raise ValueError("a result that can't be read")
        again.set()
        return {}

    monkeypatch.setattr(Commitments, "take_due", fail)
    keeper = CommitmentKeeper(site.catalog, site.store, load_settings(), structlog.get_logger(), every=0.01)
    keeper.start()
    assert again.wait(10)
    keeper.end()


def test_a_peer_that_does_not_answer_holds_up_no_other_and_is_not_asked_for_each(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its 20 requests fail by two calls, while the other peer is told."""
    add_peer(site.catalog, "DEAD", 105)
    for _ in range(20):
        site.ask(GONE, peer="DEAD")
    site.ask(GONE)
    site.make_due()
    calls: list[str] = []
    told, ended = threading.Event(), threading.Event()

    def report(_: object, peer: DicomPeer, _result: CommitmentResult, _title: str) -> None:
        calls.append(peer.title)
        if peer.title == "PEER":
            told.set()
            return
        assert told.wait(30)
        if calls.count("DEAD") == 2:
            ended.set()
        raise PeerCallFailed(peer.title, peer.host, peer.port, "there was no answer")

    monkeypatch.setattr(PeerCalls, "report", report)
    times = CommitmentTimes(same_association=60, retries=(600, 600))
    keeper = CommitmentKeeper(site.catalog, site.store, load_settings(), structlog.get_logger(), times, every=0.01)
    keeper.start()
    assert told.wait(30)
    assert ended.wait(30)
    keeper.end()
    assert sorted(calls) == ["DEAD", "DEAD", "PEER"]
    assert [(row.peer, row.state, row.tries) for row in site.rows()] == [
        *[("DEAD", "decided", 1)] * 20,
        ("PEER", "told", 0),
    ]


@pytest.fixture
def receiving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReceiverSite]:
    quicken(monkeypatch)
    with make_receiver_site(tmp_path) as made:
        yield made


@pytest.mark.parametrize("names", ["keep", "hash", "drop"])
def test_what_is_on_its_way_is_waited_for_and_what_was_left_out_is_said(receiving: ReceiverSite, names: Level) -> None:
    """Also where receipts call it otherwise; where they have no names, whatever is not there may have been left out."""
    with contextlib.nullcontext() if names == "keep" else given_privacy(PrivacyRules(key=KEY, policy=Policy(names))):
        _ask_for_what_was_left_out(receiving, 0x110 if names == "drop" else 0x112)


def _ask_for_what_was_left_out(receiving: ReceiverSite, gone: int) -> None:
    receiving.add()
    add_peer(receiving.catalog, "SENDER", 104)
    objects = images(2, modality=b"MR")
    filtered = Image(
        case="again", number=9, series="scout", modality=b"MR", also={0x0008103E: (b"LO", b"SCOUT")}
    ).file()
    asked = [*references(objects), *references([filtered]), GONE]
    commitments, reports = Commitments(receiving.catalog, LocalStore(str(receiving.data)), TIMES), Reports()
    set_local_filter(str(receiving.data), receiving.settings, "P", read_lines("SCOUT", "blacklist"))
    with receiving.importing():
        with receiving.sender() as sender:
            assert sender.send(*objects, filtered) == [0, 0, 0]
            with receiving.catalog.read() as connection:
                (row,) = list_receivers(connection)
            answer = commitments.take(row, "SENDER", "127.0.0.1", CommitmentRequest(1, "1.2.5", tuple(asked)))
            assert (answer.answer.status, answer.result) == (0, None)
            commitments.turn(reports, structlog.get_logger())
            assert not reports.results
        receiving.until(lambda: receiving.states() == ["placed"])
    with receiving.catalog.write() as connection:
        connection.execute(update(commitment).values(due=0))
    commitments.turn(reports, structlog.get_logger())
    [(_, result)] = reports.results
    assert result.kept == tuple(asked[:2])
    assert result.failed == ((*asked[2], 0x110), (*GONE, gone))


def test_what_a_project_stores_by_no_uid_can_not_be_told_from_what_is_gone(site: Site) -> None:
    """Of receivers whose objects go where rules say: of one of a project that drops UIDs nothing is asked at all."""
    dropping = PrivacyRules(key=KEY, policy=Policy(study_uid="drop"))
    privacy = SitePrivacy(site=PrivacyRules(key=KEY), projects={"q": dropping})
    with use_privacy(privacy):
        answer = site.ask(GONE)
        assert (answer.answer.status, answer.result.failed) == (0, ((*GONE, 0x110),))
        with site.catalog.write() as connection:
            connection.execute(update(commitment).values(state="waiting", due=0))
        site.turn()
        assert [result.failed for _, result in site.reports.results] == [((*GONE, 0x110),)]
    privacy = SitePrivacy(site=PrivacyRules(key=KEY), projects={})
    with use_privacy(privacy):
        assert site.ask(GONE).result.failed == ((*GONE, 0x112),)


@pytest.mark.processes
def test_orthanc_stores_asks_and_is_told(receiving: ReceiverSite, tmp_path: Path) -> None:
    objects = images(3, modality=b"MR")
    asked = references(objects)
    folder = tmp_path / "orthanc"
    folder.mkdir()
    receiving.add()
    keeper = CommitmentKeeper(
        receiving.catalog,
        LocalStore(str(receiving.data)),
        receiving.settings,
        structlog.get_logger(),
        TIMES,
        every=0.02,
    )
    with running(folder) as orthanc, receiving.importing():
        add_peer(receiving.catalog, "ORTHANC", orthanc.dicom_port)
        orthanc.modality("dock", receiving.port)
        keeper.start()
        ids = orthanc.upload(*objects)
        wanted = {"Resources": ids, "Synchronous": True, "StorageCommitment": True}
        job = orthanc.call("POST", "/modalities/dock/store", wanted)
        transaction = job["StorageCommitmentTransactionUID"]
        reports: list[Any] = []
        receiving.until(lambda: _told(orthanc, transaction, reports))
        assert reports[-1]["Status"] == "Success"
        assert len(reports[-1]["Success"]) == 3
        body = {"DicomInstances": [list(asked[0]), list(GONE)]}
        late = orthanc.call("POST", "/modalities/dock/storage-commitment", body)["ID"]
        receiving.until(lambda: _told(orthanc, late, reports))
        assert reports[-1]["Status"] == "Failure"
        assert [(one["SOPInstanceUID"], one["FailureReason"]) for one in reports[-1]["Failures"]] == [(GONE[1], 274)]
        told = [row.state for row in receiving.rows(commitment)]
        receiving.until(lambda: [row.state for row in receiving.rows(commitment)] == ["told", "told"])
        keeper.end()
    assert len(told) == 2


def _told(orthanc: Any, transaction: str, reports: list[Any]) -> bool:
    reports.append(orthanc.call("GET", f"/storage-commitment/{transaction}"))
    return bool(reports[-1]["Status"] != "Pending")


def test_a_result_comes_on_the_same_association(receiving: ReceiverSite) -> None:
    objects = images(2, modality=b"MR")
    receiving.add()
    add_peer(receiving.catalog, "ASKER", 9)
    told: list[tuple[int, Dataset]] = []

    def handle(event: evt.Event) -> tuple[int, None]:
        told.append((event.event_type or 0, event.event_information))
        return 0, None

    with receiving.importing():
        with receiving.sender() as sender:
            sender.send(*objects)
        receiving.until(lambda: receiving.states() == ["placed"])
        ae = AE("ASKER")
        ae.add_requested_context(StorageCommitmentPushModel)
        association = ae.associate(
            "127.0.0.1", receiving.port, ae_title="SCANDOCK",
            ext_neg=[build_role(StorageCommitmentPushModel, scu_role=True)],
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, handle)],
        )  # fmt: skip
        assert association.is_established
        ds = Dataset()
        ds.TransactionUID = "1.2.3.4"
        ds.ReferencedSOPSequence = []
        for sop_class, instance in references(objects):
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
            ds.ReferencedSOPSequence.append(item)
        status, _ = association.send_n_action(ds, 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1")
        assert status.Status == 0
        receiving.until(lambda: told)
        receiving.until(lambda: [row.state for row in receiving.rows(commitment)] == ["told"])
        association.release()
    [(event, information)] = told
    assert event == 1
    assert len(information.ReferencedSOPSequence) == 2


def test_peers_that_ask_are_told_whether_objects_are_changed(receiving: ReceiverSite) -> None:
    receiving.add()
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = MR, b"\2\0\0\0\0\0"
    answers = []
    with receiving.running():
        for rules in (PrivacyRules(key=KEY), PrivacyRules(key=KEY, profile="basic")):
            ae = AE("ASKER")
            ae.add_requested_context(MR)
            with given_privacy(rules):
                association = ae.associate("127.0.0.1", receiving.port, ae_title="SCANDOCK", ext_neg=[item])
            assert association.is_established
            answers.append(association.acceptor.sop_class_extended[UID(MR)])
            association.release()
    assert answers == [b"\2\0\1\0\0\0", b"\2\0\1\0\1\0"]


@pytest.mark.postgresql
def test_whatever_a_peer_sends_can_be_written_down(site: Site) -> None:
    """NULs, bytes that are no text, lengths that no column has; and the receiver may be gone."""
    odd = "\0a\udc80" + "x" * 5_000
    receiving = UploadReceiver(site.catalog, site.store, receiving_limits(load_settings()))
    rows = ReceivedStudies(site.catalog, receiving, this_owner())
    line = AssociationLine(
        number=1, receiver_id=77, port=104, called=odd, calling=odd, address=odd, security=odd,
        outcome=AssociationOutcome.FAILED, message=odd, begun=0,
    )  # fmt: skip
    rows.write_associations([line])
    with site.catalog.read() as connection:
        row = connection.execute(select(dicom_association)).one()
    assert (row.receiver_id, row.called, row.message[:4]) == (None, "?a?" + "x" * 13, "?a?x")
    assert len(row.message) == MAX_MESSAGE
    for transaction in ("1.2\0.3", "\0", "1.2.\x85"):
        value = transaction.encode("latin-1")
        data = struct.pack("<HHI", 0x0008, 0x1195, len(value)) + value
        with pytest.raises(CommitmentError) as refused:
            read_commitment(data, uids.IMPLICIT)
        assert refused.value.answer.status == 0x0115
