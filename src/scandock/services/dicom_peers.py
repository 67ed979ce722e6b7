"""Calls to DICOM peers, by pynetdicom: C-ECHO, and reports of storage commitment on an association of our own."""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from scandock.dimse import uids
from scandock.dimse.commitment import ALL_KEPT, SOME_FAILED, encode_result
from scandock.dimse.negotiation import IMPLEMENTATION_VERSION
from scandock.model.dataclass import dataclass
from scandock.model.receivers import DEFAULT_TITLE
from scandock.services.receiver_errors import PeerCallFailed

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.association import Association
    from pynetdicom.events import Event

    from scandock.dimse.records import CommitmentResult
    from scandock.model.receivers import DicomPeer
    from scandock.model.reception import ReceptionSettings

CALL_SECONDS: Final = 10.0
"""For the connection, for each answer, and in silence."""
_REJECTIONS: Final = {
    (1, 1): "it gave no reason",
    (1, 2): "it does not know the application context",
    (1, 3): "it does not allow our AE title {ours}",
    (1, 7): "it has no AE title {theirs}",
    (2, 1): "it gave no reason",
    (2, 2): "it does not know this version of the protocol",
    (3, 1): "it is busy",
    (3, 2): "it has too many associations",
}
"""By source and reason of an A-ASSOCIATE-RJ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCalls:
    """How peers are called: our AE title, and files of TLS, empty where there are none."""

    title: str = DEFAULT_TITLE
    certificate: str = ""
    key: str = ""
    authorities: str = ""
    """Whose certificates count; empty: those that the machine trusts."""
    seconds: float = CALL_SECONDS

    def echo(self, peer: DicomPeer) -> float:
        """C-ECHO; the seconds from the connection to the answer. PeerCallFailed."""
        began = time.monotonic()
        with self._associate(peer, uids.VERIFICATION, self.title) as association:
            status = _status_of(association.send_c_echo())
        if status is None:
            raise _failure(peer, "it did not answer the C-ECHO")
        if status:
            raise _failure(peer, f"it answered the C-ECHO with status {status:04X}")
        return time.monotonic() - began

    def report(self, peer: DicomPeer, result: CommitmentResult, title: str) -> None:
        """N-EVENT-REPORT of storage commitment, as its provider (PS3.4 J.3.3). PeerCallFailed.

        `title`: ours, by which the peer knows us as it asked.
        """
        event = SOME_FAILED if result.failed else ALL_KEPT
        with self._associate(peer, uids.COMMITMENT, title) as association:
            answer, _ = association.send_n_event_report(
                _data_set(result), event, uids.COMMITMENT, uids.COMMITMENT_INSTANCE
            )
            status = _status_of(answer)
        if status is None:
            raise _failure(peer, "it did not answer the report of storage commitment")
        if status:
            raise _failure(peer, f"it answered the report of storage commitment with status {status:04X}")

    @contextmanager
    def _associate(self, peer: DicomPeer, abstract_syntax: str, title: str) -> Iterator[Association]:
        from pynetdicom import AE, build_role, evt
        from pynetdicom.pdu import A_ASSOCIATE_RJ

        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)  # what fails is told by our own errors
        ae = AE(title)
        as_provider = abstract_syntax == uids.COMMITMENT
        ae.implementation_class_uid = uids.IMPLEMENTATION_CLASS
        ae.implementation_version_name = IMPLEMENTATION_VERSION
        for waiting in ("connection", "acse", "dimse", "network"):
            setattr(ae, f"{waiting}_timeout", self.seconds)
        ae.add_requested_context(abstract_syntax, [uids.ROOT + "1.2.1", uids.IMPLICIT])
        roles: list[Any] = [build_role(abstract_syntax, scu_role=False, scp_role=True)] if as_provider else []
        tls = (self._tls_context(peer), peer.host) if peer.tls else None
        sockets: list[socket.socket] = []
        rejections: list[tuple[int, int]] = []

        def keep_rejection(event: Event) -> None:
            """Now and then pynetdicom takes a rejection for an abort, where the peer's close comes with it."""
            if isinstance(event.pdu, A_ASSOCIATE_RJ):
                rejections.append((event.pdu.source or 0, event.pdu.reason_diagnostic or 0))

        def keep_socket(event: Event) -> None:
            transport = event.assoc.dul.socket
            if transport is not None and transport.socket is not None:
                sockets.append(transport.socket)

        try:
            association = ae.associate(
                peer.host, peer.port, ae_title=peer.title, ext_neg=roles, max_pdu=131_072, tls_args=tls,
                evt_handlers=[(evt.EVT_CONN_OPEN, keep_socket), (evt.EVT_PDU_RECV, keep_rejection)],
            )  # fmt: skip
        except socket.gaierror:
            raise _failure(peer, "there is no host of that name") from None
        try:
            if not association.is_established:
                raise _failure(peer, self._refusal(rejections, peer, title))
            if not association.accepted_contexts:
                what = "storage commitment" if as_provider else "C-ECHO"
                raise _failure(peer, f"it does not take part in {what}")
            try:
                yield association
            except (ValueError, RuntimeError) as error:  # roles it does not take; an association that is over
                raise _failure(peer, f"it ended the association or refused our role ({error})") from None
        finally:
            if association.is_established:
                association.release()
            if association.is_alive():
                association.join(self.seconds)
            for sock in sockets:
                sock.close()  # pynetdicom leaves some open

    def _check_reachable(self, peer: DicomPeer) -> None:
        """Raise what is wrong with host or port, which pynetdicom only logs."""
        try:
            socket.create_connection((peer.host, peer.port), self.seconds).close()
        except TimeoutError:
            raise _failure(peer, "there was no answer") from None
        except OSError as error:
            raise _failure(peer, (error.strerror or str(error)).lower()) from None

    def _refusal(self, rejections: Sequence[tuple[int, int]], peer: DicomPeer, title: str) -> str:
        if rejections:
            words = _REJECTIONS.get(rejections[0], "it gave an unknown reason")
            return "it rejected the association, as " + words.format(ours=title, theirs=peer.title)
        self._check_reachable(peer)
        if peer.tls:
            return "it could be reached, but no association came of it; check TLS and its certificate"
        return "it could be reached, but it aborted or did not answer; it may ask for TLS"

    def _tls_context(self, peer: DicomPeer) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False  # certificates of devices name no host; whose they are is checked
        try:
            if self.authorities:
                context.load_verify_locations(self.authorities)
            else:
                context.load_default_certs()
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key or None)
        except OSError as error:
            raise _failure(peer, f"the certificates of this server can't be read ({error})") from None
        return context


def _failure(peer: DicomPeer, why: str) -> PeerCallFailed:
    return PeerCallFailed(peer.title, peer.host, peer.port, why)


def _status_of(answer: Dataset) -> int | None:
    """None where the peer did not answer in time."""
    status: int | None = answer.get("Status")
    return status


def _data_set(result: CommitmentResult) -> Dataset:
    from pynetdicom.dsutils import decode

    return decode(BytesIO(encode_result(result, uids.IMPLICIT)), True, True)


def peer_calls(settings: ReceptionSettings) -> PeerCalls:
    """How peers are called by a server with these settings."""
    return PeerCalls(certificate=settings.tls_certificate, key=settings.tls_key, authorities=settings.tls_client_ca)
