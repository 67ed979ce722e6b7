"""Associations with DCMTK's tools, Orthanc and pynetdicom, against a small acceptor, plain and with TLS."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage  # type: ignore[attr-defined]

from scandock.dimse.objects import encode_meta
from scandock.dimse.records import (
    Answer,
    AssociationRequest,
    CommitmentAnswer,
    CommitmentRequest,
    CommitmentResult,
    Peer,
    StoreRequest,
    WireLimits,
    unknown_called_title,
)
from scandock.dimse.tls import TlsContexts, TlsFiles
from tests.acceptors import QUICK, Keeper, listening
from tests.certificates import certify
from tests.dimse_peer import EXPLICIT, IMPLICIT, MR, RawPeer, dataset, echo_rq
from tests.orthanc import Orthanc, running

pytestmark = pytest.mark.processes

JPEG_2000 = "1.2.840.10008.1.2.4.90"


def as_file(instance: str, syntax: str = EXPLICIT, *, pixels: int = 5000) -> bytes:
    store = StoreRequest(1, MR, instance, syntax, 1)
    request = AssociationRequest(Peer("127.0.0.1", 1), "A", "B", (), 0)
    return encode_meta(store, request) + dataset(instance, syntax=syntax, pixels=pixels)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five objects in files, one of them implicit VR and one large."""
    folder = tmp_path_factory.mktemp("objects")
    paths = []
    for number in range(1, 6):
        path = folder / f"{number}.dcm"
        syntax = IMPLICIT if number == 2 else EXPLICIT
        path.write_bytes(as_file(f"1.2.3.{number}", syntax, pixels=3_000_000 if number == 3 else 5000))
        paths.append(path)
    return paths


def run(*words: str | Path, expected: int = 0) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout + done.stderr


def seconds_of(*words: str | Path) -> float:
    began = time.monotonic()
    run(*words)
    return time.monotonic() - began


def kept(keeper: Keeper) -> dict[str, bytes]:
    """Data sets by instance, of whole files that pydicom reads."""
    objects = {}
    for (request, data), file in zip(keeper.objects, keeper.files, strict=True):
        ds = dcmread(BytesIO(file))
        assert (ds.SOPInstanceUID, ds.SOPClassUID) == (request.sop_instance, request.sop_class)
        assert ds.file_meta.MediaStorageSOPInstanceUID == request.sop_instance
        assert ds.file_meta.TransferSyntaxUID == request.transfer_syntax
        assert ds.file_meta.ReceivingApplicationEntityTitle
        assert ds.file_meta.SendingApplicationEntityTitle == ds.file_meta.SourceApplicationEntityTitle
        objects[request.sop_instance] = data
    return objects


@pytest.mark.parametrize("tool", ["storescu", "dcmsend"])
def test_dcmtk_sends(tool: str, files: list[Path]) -> None:
    keeper = Keeper()
    with listening(keeper, limits=WireLimits(memory=100_000)) as port:
        run("echoscu", "-aec", "ANY", "127.0.0.1", str(port))
        run(tool, "-aet", "SCANNER", "-aec", "DOCK", "127.0.0.1", str(port), *files)
        keeper.wait(2)
    objects = kept(keeper)
    assert sorted(objects) == [f"1.2.3.{number}" for number in range(1, 6)]
    for number in (1, 3, 4, 5):
        assert objects[f"1.2.3.{number}"] == dataset(f"1.2.3.{number}", pixels=3_000_000 if number == 3 else 5000)
    assert len(keeper.larges) == 1
    assert (keeper.requests[1].calling, keeper.requests[1].called) == ("SCANNER", "DOCK")
    assert keeper.ends == ["released", "released"]


def test_dcmtk_is_told_of_a_failure_and_of_a_rejection(files: list[Path]) -> None:
    keeper = Keeper(answers=lambda answers: [Answer(0xA700, "Disk is full") for _ in answers])
    with listening(keeper) as port:
        said = run("storescu", "-v", "127.0.0.1", str(port), *files, expected=167)
        assert "Refused: OutOfResources" in said
    with listening(Keeper(admits=lambda _: unknown_called_title("x"))) as port:
        assert "Called AE Title Not Recognized" in run("echoscu", "127.0.0.1", str(port), expected=1)


def test_storescu_with_all_it_can_propose(files: list[Path]) -> None:
    """128 contexts at once, and a user identity that nobody asked for."""
    keeper = Keeper()
    with listening(keeper) as port:
        run("storescu", "-R", "--user", "someone", "--password", "secret", "127.0.0.1", str(port), files[0])
        run("storescu", "127.0.0.1", str(port), files[0])
        keeper.wait(2)
    assert len(keeper.requests[1].contexts) > 100
    identity = keeper.requests[0].identity
    assert identity is not None
    assert (identity.primary, identity.secondary) == (b"someone", b"secret")
    assert "secret" not in repr(keeper.requests)


def test_a_sender_with_nagle_is_not_held_back(files: list[Path]) -> None:
    """Default storescu waits for acknowledgements: delayed ones would cost 40 ms for each of forty objects."""
    many = [files[0]] * 40
    keeper = Keeper()
    with listening(keeper) as port:
        seconds = min(seconds_of("storescu", "127.0.0.1", str(port), *many) for _ in range(3))  # of a busy machine
    assert len(keeper.objects) == 120
    assert seconds < 1.2


def test_pynetdicom_sends(files: list[Path]) -> None:
    keeper = Keeper()
    ae = AE()
    ae.add_requested_context(MRImageStorage, [JPEG_2000, EXPLICIT])
    with listening(keeper) as port:
        association = ae.associate("127.0.0.1", port)
        assert association.is_established
        assert association.accepted_contexts[0].transfer_syntax == [JPEG_2000]
        association.release()
        ae.requested_contexts = []
        ae.add_requested_context(MRImageStorage, EXPLICIT)
        association = ae.associate("127.0.0.1", port)
        assert association.send_c_store(dcmread(files[0])).Status == 0
        association.abort()
        keeper.wait(2)
    assert keeper.ends == ["released", "aborted by the peer: source 0, reason 0"]
    assert len(keeper.objects) == 1


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with running(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


def test_orthanc_sends_and_asks_for_commitment(orthanc: Orthanc, files: list[Path]) -> None:
    def decide(request: CommitmentRequest) -> CommitmentAnswer:
        known, gone = request.references[:-1], request.references[-1:]
        failed = tuple((*pair, 0x112) for pair in gone)
        return CommitmentAnswer(Answer(), CommitmentResult(request.transaction, known, failed))

    keeper = Keeper(decide=decide)
    ids = orthanc.upload(*(path.read_bytes() for path in files))
    with listening(keeper) as port:
        orthanc.modality("dock", port)
        orthanc.call("POST", "/modalities/dock/echo", {})
        sent = orthanc.call("POST", "/modalities/dock/store", {"Resources": ids, "Synchronous": True})
        assert sent["FailedInstancesCount"] == 0
        assert sent["InstancesCount"] == 5
        references = {"DicomInstances": [[MR, "1.2.3.1"], [MR, "1.2.9"]]}
        asked = orthanc.call("POST", "/modalities/dock/storage-commitment", references)
        keeper.wait(3)
    assert len(kept(keeper)) == 5
    assert keeper.commitments[0].references == ((MR, "1.2.3.1"), (MR, "1.2.9"))
    assert keeper.commitments[0].transaction in str(asked)
    assert set(keeper.ends) == {"released"}


def test_tls_with_and_without_client_certificates(tmp_path: Path, files: list[Path]) -> None:
    authority, name, key = certify(tmp_path, "authority", None)
    server, _, _ = certify(tmp_path, "server", (name, key))
    client, _, _ = certify(tmp_path, "client", (name, key))
    stranger, _, _ = certify(tmp_path, "stranger", None)
    shown = ("-rc", "+cf", authority.certificate)
    contexts = TlsContexts()
    keeper = Keeper()
    plain = contexts.get(server)
    optional = contexts.get(TlsFiles(server.certificate, server.key, authority.certificate))
    required = contexts.get(TlsFiles(server.certificate, server.key, authority.certificate, required=True))
    with (
        listening(keeper, tls=plain) as port,
        listening(keeper, tls=optional) as optional_port,
        listening(keeper, tls=required, deadlines=QUICK) as required_port,
    ):
        run("storescu", "+tla", *shown, "127.0.0.1", str(port), *files)
        run("echoscu", "+tla", *shown, "127.0.0.1", str(optional_port))
        with_own = ("+tls", client.key, client.certificate, *shown)
        for each in (port, optional_port, required_port):
            run("echoscu", *with_own, "127.0.0.1", str(each))
        assert keeper.wait(5) == ["released"] * 5
        run("echoscu", "+tla", *shown, "127.0.0.1", str(required_port), expected=1)
        run("echoscu", "+tls", stranger.key, stranger.certificate, *shown, "127.0.0.1", str(required_port), expected=1)
        run("echoscu", "127.0.0.1", str(port), expected=1)
        ends = keeper.wait(8)[5:]
    assert all(end.startswith("no association: TLS handshake failed") for end in ends), ends
    assert len(kept(keeper)) == 5
    certificates = [request.peer.certificate for request in keeper.requests]
    assert certificates == ["", "", "", "commonName=client", "commonName=client"]
    assert all(request.peer.tls.startswith("TLSv1.3 ") for request in keeper.requests)


def test_a_stop_wakes_who_waits_within_tls(tmp_path: Path) -> None:
    files, _, _ = certify(tmp_path, "server", None)
    trusting = ssl.create_default_context(cafile=files.certificate)
    trusting.check_hostname = False
    keeper = Keeper()
    with (
        listening(keeper, tls=TlsContexts().get(files)) as port,
        trusting.wrap_socket(socket.create_connection(("127.0.0.1", port))) as secure,
    ):
        peer = RawPeer(secure)
        peer.associate()
        peer.send(echo_rq())
        assert peer.response().command.Status == 0
        keeper.associations[0].stop()
        assert peer.abort() == (0, 0)
    assert keeper.ends == ["stopped by the server"]


def test_old_tls_is_refused_and_a_new_certificate_is_read(tmp_path: Path) -> None:
    files, _, key = certify(tmp_path, "server", None)
    contexts = TlsContexts()
    first = contexts.get(files)
    assert contexts.get(files) is first
    assert first.minimum_version is ssl.TLSVersion.TLSv1_2
    ciphers = {cipher["name"] for cipher in first.get_ciphers()}
    assert all("GCM" in name or "CHACHA20" in name for name in ciphers - {"TLS_AES_128_CCM_SHA256"}), ciphers
    certify(tmp_path, "server", None, key=key)
    assert contexts.get(files) is not first


def test_fifty_silent_peers_keep_nobody_out(tmp_path: Path) -> None:
    """Neither those that say nothing, nor those within TLS; and their places are free after the deadlines."""
    files, _, _ = certify(tmp_path, "server", None)
    keeper = Keeper()
    deadlines = replace(QUICK, handshake=3.0, request=3.0)
    with (
        listening(keeper, deadlines=deadlines) as port,
        listening(keeper, tls=TlsContexts().get(files), deadlines=deadlines) as secure,
    ):
        silent = [socket.create_connection(("127.0.0.1", each)) for each in (port, secure) for _ in range(25)]
        assert seconds_of("echoscu", "127.0.0.1", str(port)) < 3
        assert len(keeper.wait(51)) == 51
        for sock in silent:
            sock.close()
    assert keeper.ends.count("released") == 1
    assert sum(end.startswith("no association: nothing came in time") for end in keeper.ends) == 50
