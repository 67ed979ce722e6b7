"""Calls to DICOM peers: our own loop, Orthanc and DCMTK at the other end, and nobody."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]

from scandock.dimse.records import CommitmentResult, calling_not_allowed, unknown_called_title
from scandock.dimse.tls import TlsContexts
from scandock.model.receivers import DicomPeer
from scandock.services.dicom_peers import PeerCalls
from scandock.services.receiver_errors import PeerCallFailed
from tests.acceptors import Keeper, listening
from tests.certificates import certify
from tests.orthanc import running
from tests.ports import free_port

pytestmark = pytest.mark.processes

CALLS = PeerCalls(seconds=5)
RESULT = CommitmentResult(
    "1.2.3.9", (("1.2.840.10008.5.1.4.1.1.4", "1.2.3.1"),), (("1.2.840.10008.5.1.4.1.1.4", "1.2.9", 0x112),)
)


def peer(port: int, title: str = "PEER", host: str = "127.0.0.1", *, tls: bool = False) -> DicomPeer:
    return DicomPeer(number=1, uuid="1", title=title, host=host, port=port, tls=tls)


def test_echo() -> None:
    keeper = Keeper()
    with listening(keeper) as port:
        assert 0 < CALLS.echo(peer(port)) < 5
        keeper.wait()
    assert (keeper.requests[0].called, keeper.requests[0].calling) == ("PEER", "SCANDOCK")
    assert keeper.requests[0].implementation_version.startswith("SCANDOCK")


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # pynetdicom leaves the socket open where nobody listens
def test_what_is_wrong_is_said() -> None:
    for rejected, words in (
        (unknown_called_title("x"), "it has no AE title PEER"),
        (calling_not_allowed("x"), "it does not allow our AE title SCANDOCK"),
    ):
        keeper = Keeper(admits=lambda _, rejected=rejected: rejected)  # type: ignore[misc]
        with listening(keeper) as port, pytest.raises(PeerCallFailed, match=words):
            CALLS.echo(peer(port))
    with pytest.raises(PeerCallFailed, match="connection refused"):
        CALLS.echo(peer(free_port()))
    with pytest.raises(PeerCallFailed, match="there is no host of that name"):
        CALLS.echo(peer(104, host="no.such.host.invalid"))
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(PeerCallFailed, match="it aborted or did not answer"),
    ):
        PeerCalls(seconds=0.3).echo(peer(silent.getsockname()[1]))
    gc.collect()


def test_tls(tmp_path: Path) -> None:
    authority, name, key = certify(tmp_path, "authority", None)
    server, _, _ = certify(tmp_path, "server", (name, key))
    stranger, _, _ = certify(tmp_path, "stranger", None)
    keeper = Keeper()
    with listening(keeper, tls=TlsContexts().get(server)) as port:
        PeerCalls(authorities=authority.certificate, seconds=5).echo(peer(port, tls=True))
        for calls in (
            PeerCalls(authorities=stranger.certificate, seconds=5),
            PeerCalls(certificate="nowhere", seconds=5),
        ):
            with pytest.raises(PeerCallFailed, match="certificate"):
                calls.echo(peer(port, tls=True))
        with pytest.raises(PeerCallFailed, match="it may ask for TLS"):
            CALLS.echo(peer(port))
    assert keeper.requests[0].peer.tls.startswith("TLSv1.3")


@pytest.fixture
def asker() -> Iterator[tuple[int, list[tuple[int, Dataset]], list[int]]]:
    """Somebody who asked for commitment, by pynetdicom: its port, what it was told, statuses that it answers."""
    reports: list[tuple[int, Dataset]] = []
    statuses = [0]

    def handle(event: evt.Event) -> tuple[int, None]:
        reports.append((event.event_type or 0, event.event_information))
        return statuses[-1], None

    ae = AE("ASKER")
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, handle)])
    assert server is not None
    try:
        yield server.server_address[1], reports, statuses
    finally:
        server.shutdown()


def test_a_report_goes_on_an_association_of_our_own(asker: tuple[int, list[tuple[int, Dataset]], list[int]]) -> None:
    port, reports, statuses = asker
    CALLS.report(peer(port, "ASKER"), RESULT, "CTROOM3")
    [(event, told)] = reports
    assert event == 2
    assert told.TransactionUID == "1.2.3.9"
    assert [one.ReferencedSOPInstanceUID for one in told.ReferencedSOPSequence] == ["1.2.3.1"]
    assert [(one.ReferencedSOPInstanceUID, one.FailureReason) for one in told.FailedSOPSequence] == [("1.2.9", 0x112)]
    statuses.append(0x0110)
    with pytest.raises(PeerCallFailed, match="with status 0110"):
        CALLS.report(peer(port, "ASKER"), RESULT, "CTROOM3")
    with listening(Keeper()) as other, pytest.raises(PeerCallFailed, match="with status 0211"):
        CALLS.report(peer(other), RESULT, "CTROOM3")


def test_orthanc_answers(tmp_path: Path) -> None:
    with running(tmp_path) as orthanc:
        CALLS.echo(peer(orthanc.dicom_port, "ORTHANC"))
