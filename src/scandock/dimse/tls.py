"""TLS for receivers: the BCP 195 profile of PS3.15 annex B.12, with certificates read again when their files change."""

from __future__ import annotations

import os
import ssl
import threading
from typing import Final

from scandock.model.dataclass import dataclass

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:!eNULL:!PSK:!SRP:!DSS"
"""Of TLS 1.2; those of 1.3 are all of the kind."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of a receiver. `authorities` says whose client certificates count; empty: none is asked for."""

    certificate: str
    key: str
    authorities: str = ""
    required: bool = False
    """Whether a client without a certificate is turned away."""


class TlsContexts:
    """Contexts by their files, made anew where one of the files has changed. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[TlsFiles, tuple[tuple[tuple[int, int, int], ...], ssl.SSLContext]] = {}

    def get(self, files: TlsFiles) -> ssl.SSLContext:
        """Raises OSError (ssl.SSLError among them) where the files can't be read or do not fit each other."""
        stamps = tuple(_stamp(path) for path in (files.certificate, files.key, files.authorities) if path)
        with self._lock:
            stamp, context = self._made.get(files, (None, None))
            if context is None or stamp != stamps:
                context = make_context(files)
                self._made[files] = (stamps, context)
            return context


def make_context(files: TlsFiles) -> ssl.SSLContext:
    """A server's context: TLS 1.2 and 1.3, forward secrecy, authenticated ciphers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.load_cert_chain(files.certificate, files.key)
    if files.authorities:
        context.load_verify_locations(files.authorities)
        context.verify_mode = ssl.CERT_REQUIRED if files.required else ssl.CERT_OPTIONAL
    return context


def describe_failure(error: OSError) -> str:
    """Why a handshake with a peer failed and what to do, in sentences, with the words of OpenSSL behind."""
    if not isinstance(error, ssl.SSLError):
        words = error.strerror or str(error)
        return f"{_CLOSED} {words}" if isinstance(error, ConnectionError) else words
    reason = getattr(error, "reason", None) or ""
    words = reason.replace("_", " ").lower() or str(error)
    sentences = _FAILURES.get(reason, "")
    if isinstance(error, ssl.SSLCertVerificationError):
        words = f"{words}, {error.verify_message}"
        sentences = _NOT_VERIFIED.get(error.verify_code, "the certificate of the sender was not accepted.")
    return f"{sentences} OpenSSL: {words}".strip()


_PLAIN: Final = (
    "the sender does not speak TLS, and the receiver takes nothing else."
    " Turn TLS on at the sender, or off at the receiver."
)
_NOTHING_COMMON: Final = (
    "the sender and the server have no version or cipher of TLS in common."
    " Have the sender use TLS 1.2 or 1.3 with AES-GCM or ChaCha20."
)
_NO_CERTIFICATE: Final = (
    "the sender has shown no certificate, and the receiver asks for one."
    " Have the sender use a client certificate, or make certificates optional."
)
_STRANGER: Final = (
    "the certificate of the sender is of none of the authorities of SCANDOCK_DICOM_TLS_CLIENT_CA."
    " Add its authority, or have the sender use another certificate."
)
_NOT_VERIFIED: Final = {
    9: "the certificate of the sender, or of its authority, is not valid yet."
    " Check the clock of the server, or wait until it is.",
    10: "the certificate of the sender, or of its authority, has expired. Renew it.",
    18: _STRANGER,
    19: _STRANGER,
    20: _STRANGER,
    26: "the certificate of the sender is not for TLS clients."
    " Have the sender use one whose extended key usage has clientAuth.",
}
"""By OpenSSL's numbers (X509_V_ERR_...): it is not said which certificate of the chain is meant."""
_DISTRUSTED: Final = (
    "the sender does not accept the server's certificate. Have it trust that certificate, or its authority."
)
_OURS_EXPIRED: Final = (
    "the sender says that the server's certificate has expired. Renew SCANDOCK_DICOM_TLS_CERTIFICATE."
)
_CLOSED: Final = (
    "the sender closed the connection. Its log says why: it may not trust the server's certificate, or speak no TLS."
)
_FAILURES: Final = {
    "WRONG_VERSION_NUMBER": _PLAIN,
    "UNKNOWN_PROTOCOL": _PLAIN,
    "HTTP_REQUEST": _PLAIN,
    "PACKET_LENGTH_TOO_LONG": _PLAIN,
    "RECORD_LAYER_FAILURE": _PLAIN,
    "UNSUPPORTED_PROTOCOL": _NOTHING_COMMON,
    "VERSION_TOO_LOW": _NOTHING_COMMON,
    "NO_SHARED_CIPHER": _NOTHING_COMMON,
    "NO_SUITABLE_KEY_SHARE": _NOTHING_COMMON,
    "NO_SUITABLE_SIGNATURE_ALGORITHM": _NOTHING_COMMON,
    "TLSV1_ALERT_PROTOCOL_VERSION": _NOTHING_COMMON,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": _NOTHING_COMMON,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _NOTHING_COMMON,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": _NO_CERTIFICATE,
    "TLSV1_ALERT_UNKNOWN_CA": _DISTRUSTED,
    "TLSV1_ALERT_ACCESS_DENIED": _DISTRUSTED,
    "SSLV3_ALERT_BAD_CERTIFICATE": _DISTRUSTED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _DISTRUSTED,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _DISTRUSTED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _DISTRUSTED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _OURS_EXPIRED,
    "UNEXPECTED_EOF_WHILE_READING": _CLOSED,
}
"""Reasons of OpenSSL, and what they come from."""


def _stamp(path: str) -> tuple[int, int, int]:
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns, status.st_size
