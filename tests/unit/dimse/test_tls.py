"""What is said of TLS handshakes that fail: why, what to do, and the reason of OpenSSL behind."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import ssl
import sys
import termios
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from scandock.dimse.connection import Connection, EndedError
from scandock.dimse.records import Deadlines, EndCause, WireLimits
from scandock.dimse.tls import TlsContexts, TlsFiles, describe_failure
from tests.acceptors import Keeper, listening
from tests.certificates import certify
from tests.crash.processes import until

Act = Callable[[socket.socket], object]


def client(authority: str = "", own: TlsFiles | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if authority:
        context.load_verify_locations(authority)
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context


def shake(context: ssl.SSLContext) -> Act:
    def act(end: socket.socket) -> None:
        with context.wrap_socket(end) as secure:
            secure.recv(1)

    return act


def fail(server: ssl.SSLContext, act: Act, cause: EndCause = EndCause.TLS) -> str:
    """What is said where a peer does that instead of a handshake, or within it."""
    ours, theirs = socket.socketpair()

    def run() -> None:
        with contextlib.suppress(OSError), theirs:
            act(theirs)

    peer = threading.Thread(target=run)
    peer.start()
    wire = Connection(ours, Deadlines(handshake=5, close=0.1), WireLimits())
    try:
        with pytest.raises(EndedError) as ended:
            wire.start_tls(server)
    finally:
        wire.close(b"")
        peer.join(10)
    assert ended.value.end.cause is cause
    return ended.value.end.detail


def test_a_handshake_that_fails_says_why_and_what_to_do(tmp_path: Path, subtests: pytest.Subtests) -> None:
    authority, name, key = certify(tmp_path, "authority", None)
    server, _, _ = certify(tmp_path, "server", (name, key))
    stranger, _, _ = certify(tmp_path, "stranger", None)
    expired, _, _ = certify(tmp_path, "expired", (name, key), days=-1)
    future, _, _ = certify(tmp_path, "future", (name, key), begins=1, days=2)
    for_servers, _, _ = certify(tmp_path, "for_servers", (name, key), purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    of_stranger, _, _ = certify(tmp_path, "of_stranger", certify(tmp_path, "unknown", None)[1:])
    forged, _, _ = certify(tmp_path, "forged", (name, ec.generate_private_key(ec.SECP256R1())))
    optional = TlsContexts().get(TlsFiles(server.certificate, server.key, authority.certificate))
    required = TlsContexts().get(TlsFiles(server.certificate, server.key, authority.certificate, required=True))
    old, weak = client(authority.certificate), client(authority.certificate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("AES128-SHA256")

    def say(data: bytes) -> Act:
        def act(end: socket.socket) -> None:
            end.sendall(data)
            end.recv(1)

        return act

    trials: list[tuple[str, ssl.SSLContext, Act, str, str]] = [
        ("DICOM", optional, say(b"\x01\0\0\0\0\xcc" + bytes(200)), "does not speak TLS", "wrong version number"),
        ("HTTP", optional, say(b"GET / HTTP/1.1\r\n\r\n"), "does not speak TLS", "http request"),
        ("old", optional, shake(old), "no version or cipher of TLS in common", "unsupported protocol"),
        ("weak", optional, shake(weak), "no version or cipher of TLS in common", "no shared cipher"),
        ("none", required, shake(client(authority.certificate)), "or make certificates optional",
         "peer did not return a certificate"),
        ("stranger", optional, shake(client(authority.certificate, stranger)), "SCANDOCK_DICOM_TLS_CLIENT_CA",
         "certificate verify failed, self"),
        ("of a stranger", optional, shake(client(authority.certificate, of_stranger)), "of none of the authorities",
         "certificate verify failed, unable to get"),
        ("expired", optional, shake(client(authority.certificate, expired)),
         "the certificate of the sender, or of its authority, has expired. Renew it.",
         "certificate verify failed, certificate has expired"),
        ("future", optional, shake(client(authority.certificate, future)), "is not valid yet. Check the clock",
         "certificate verify failed, certificate is not yet valid"),
        ("for servers", optional, shake(client(authority.certificate, for_servers)), "is not for TLS clients. Have",
         "certificate verify failed, unsuitable certificate purpose"),
        ("forged", optional, shake(client(authority.certificate, forged)),
         "the certificate of the sender was not accepted.", "certificate verify failed, certificate signature"),
        ("distrust", optional, shake(client()), "does not accept the server's certificate", "tlsv1 alert unknown ca"),
        ("gone", optional, lambda end: end.close(), "closed the connection", "unexpected eof while reading"),
    ]  # fmt: skip
    for what, context, act, words, reason in trials:
        with subtests.test(what):
            detail = fail(context, act)
            sentences, behind, openssl = detail.partition(" OpenSSL: ")
            assert behind, detail
            assert words in sentences, detail
            assert openssl.startswith(reason)


@pytest.mark.parametrize("wakes", [True, False])
def test_a_part_of_a_record_holds_up_neither_a_stop_nor_the_deadline(tmp_path: Path, *, wakes: bool) -> None:
    server, _, _ = certify(tmp_path, "server", None)
    ours, theirs = socket.socketpair()
    raw, same = theirs.dup(), ours.dup()  # as TLS takes the others
    wire = Connection(ours, Deadlines(handshake=5, silence=0.2, between=30 if wakes else 0.5), WireLimits())
    ends: list[EndedError] = []

    def wait() -> None:
        wire.start_tls(TlsContexts().get(TlsFiles(server.certificate, server.key)))
        try:
            wire.wait_for_pdu()
        except EndedError as ended:
            ends.append(ended)

    waiting = threading.Thread(target=wait)
    waiting.start()
    with raw, same, client(server.certificate).wrap_socket(theirs):
        raw.sendall(b"\x17\x03\x03")
        until(lambda: not waits_to_be_read(same), "the part of a record was not read")
        if wakes:
            wire.wake()
        waiting.join(20)
    wire.close(b"")
    assert [one.end.cause for one in ends] == [EndCause.STOPPED if wakes else EndCause.SILENT]


def waits_to_be_read(end: socket.socket) -> int:
    """Bytes that have come and nobody has read."""
    return int.from_bytes(fcntl.ioctl(end, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_a_reason_that_nobody_knows_is_openssls() -> None:
    assert describe_failure(ssl.SSLError(1, "what else")) == "OpenSSL: what else"
    reset = describe_failure(ConnectionResetError(104, "Connection reset by peer"))
    assert reset.startswith("the sender closed the connection. ")
    assert reset.endswith("Connection reset by peer")
    assert describe_failure(OSError(105, "No buffer space available")) == "No buffer space available"


def test_what_the_server_lacks_after_a_handshake_is_no_fault_of_the_sender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, _, _ = certify(tmp_path, "server", None)

    def refuse(*_: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("scandock.dimse.connection.os.eventfd", refuse)
    detail = fail(TlsContexts().get(files), shake(client(files.certificate)), EndCause.FAULT)
    assert detail == "Too many open files"


def test_tls_to_a_port_without_it_is_said_to_be_that() -> None:
    keeper = Keeper()
    with listening(keeper) as port, contextlib.suppress(OSError):
        client().wrap_socket(socket.create_connection(("127.0.0.1", port))).close()
    (end,) = keeper.wait(1)
    assert end.startswith("no association: broke the protocol: the sender speaks TLS, and the receiver does not.")
