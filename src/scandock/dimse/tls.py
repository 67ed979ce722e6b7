"""TLS for receivers: the BCP 195 profile of PS3.15 annex B.12, with certificates read again when their files change."""

from __future__ import annotations

import os
import ssl
import threading
from dataclasses import dataclass
from typing import Final

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


def _stamp(path: str) -> tuple[int, int, int]:
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns, status.st_size
