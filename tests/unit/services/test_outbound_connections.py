"""One deadline for a whole attempt: the name, the connection, TLS, the request and the answer."""

from __future__ import annotations

import http.client
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from scandock.model.errors import Fault
from scandock.services import outbound_connections
from scandock.services.mail import send_mail
from scandock.services.outbound_connections import Deadline, connect
from scandock.services.settings import load_settings
from scandock.services.webhooks import post_signed

SITE = replace(load_settings().notify, webhook_private=True)


class Seconds:
    """A clock that goes on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self._ticks = count()

    def __call__(self) -> float:
        return next(self._ticks)


class Dripping:
    """A connection that gives a byte at a time, for ever, and takes one at a time."""

    def __init__(self, answer: Iterator[bytes], takes: int = 1 << 20) -> None:
        self.answer = answer
        self.takes = takes
        self.timeouts: list[float] = []
        self.reads = self.sends = self.closed = 0

    def settimeout(self, seconds: float) -> None:
        self.timeouts.append(seconds)

    def send(self, data: memoryview) -> int:
        self.sends += 1
        return min(len(data), self.takes)

    def recv_into(self, buffer: memoryview) -> int:
        self.reads += 1
        piece = next(self.answer)
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self.closed += 1


def forever(begin: bytes, then: bytes) -> Iterator[bytes]:
    yield begin
    while True:
        for byte in then:
            yield bytes([byte])


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **more: [(2, 1, 6, "", ("93.184.216.34", port))])


def sent(monkeypatch: pytest.MonkeyPatch, dripping: Dripping) -> Fault | None:
    """What became of a message over such a connection."""
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: dripping)
    try:
        post_signed(SITE, "http://example.org/", "secret", "id", {"a": "b" * 1000}, Seconds())
    except Fault as error:
        return error
    finally:
        assert dripping.closed == 1
        assert dripping.timeouts == sorted(dripping.timeouts, reverse=True)
        assert dripping.reads + dripping.sends <= SITE.seconds
    return None


@pytest.mark.parametrize(
    ("begin", "then"),
    [(b"H", b"T"), (b"HTTP/1.1 200 OK\r\n", b"X"), (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 C\r\n\r\n")],
    ids=["a status that never ends", "a header that never ends", "one that is always to go on"],
)
def test_an_answer_that_drips_is_left_at_the_deadline(monkeypatch, name, begin, then):
    fault = sent(monkeypatch, Dripping(forever(begin, then)))
    assert fault is not None
    assert (fault.code, fault.message) == ("webhook_failed", "The receiver took longer than 15 seconds.")


def test_a_receiver_that_takes_a_byte_at_a_time_is_left_at_the_deadline(monkeypatch, name):
    fault = sent(monkeypatch, Dripping(forever(b"", b""), takes=1))
    assert fault is not None
    assert "longer than 15 seconds" in fault.message


def test_a_body_that_drips_behind_a_good_status_does_no_harm(monkeypatch, name):
    """The message was taken: sending it again would be one too many."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n"
    assert sent(monkeypatch, Dripping(forever(head, b"x"))) is None


def test_a_redirect_is_an_answer_and_is_not_followed(monkeypatch, name):
    head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"
    fault = sent(monkeypatch, Dripping(iter([head])))
    assert fault is not None
    assert fault.message == "The receiver answered 302."


def test_a_name_that_nobody_answers_is_left_at_the_deadline(monkeypatch):
    """And so is one that waits behind many of those."""
    monkeypatch.setattr(outbound_connections, "_lookups", threading.BoundedSemaphore(1))
    answered = threading.Event()

    def slow(*_: Any, **__: Any) -> list[Any]:
        answered.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    try:
        for words in ("not answered|time is over", "too many|time is over"):  # by how soon a thread begins
            with pytest.raises(TimeoutError, match=words):
                connect("example.org", 80, Deadline(0.1), private=True)
        with pytest.raises(Fault, match=r"longer than 0\.01 seconds"):
            post_signed(replace(SITE, webhook_private=False, seconds=0.01), "http://example.org/", "secret", "id", {})
    finally:
        answered.set()


def test_a_silent_receiver_behind_tls_is_left_at_the_deadline(monkeypatch):
    """A connection is taken, and nothing ever said: the handshake as a whole has what is left."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings = replace(SITE, seconds=0.05)
        with pytest.raises(Fault, match=r"longer than 0\.05 seconds"):
            post_signed(settings, f"https://127.0.0.1:{port}/", "secret", "id", {})


def test_what_is_connected_to_is_the_address_that_was_judged(monkeypatch):
    """A name that leads elsewhere when it is asked again (DNS rebinding) is not asked again."""
    answers = iter(["93.184.216.34", "127.0.0.1"])
    connected = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **more: [(2, 1, 6, "", (next(answers), port))])

    def connecting(address: tuple[str, int], **_: Any) -> Dripping:
        connected.append(address)
        return Dripping(iter([b"HTTP/1.1 204 No Content\r\n\r\n"]))

    monkeypatch.setattr(socket, "create_connection", connecting)
    post_signed(replace(SITE, webhook_private=False), "http://example.org:81/", "secret", "id", {})
    assert connected == [("93.184.216.34", 81)]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError("timed out"), "It took too long."),
        (socket.gaierror(-2, "Name or service not known"), "Its name is not known."),
        (ssl.SSLCertVerificationError("self-signed"), "Its certificate can't be trusted."),
        (ssl.SSLError("WRONG_VERSION_NUMBER"), "No encrypted connection to it could be made."),
        (ConnectionRefusedError(111, "Connection refused"), "It refuses connections."),
        (http.client.RemoteDisconnected("closed"), "It ended the connection."),
        (smtplib.SMTPServerDisconnected("closed"), "It ended the connection."),
        (smtplib.SMTPNotSupportedError("no AUTH"), "encryption"),
        (smtplib.SMTPDataError(554, b"no"), "It did not answer as it should."),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else "",
)
def test_a_server_that_can_t_be_used_is_told_of_in_words_for_people(monkeypatch, error, said):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr("scandock.services.mail._connect", fails)
    monkeypatch.setattr("scandock.services.webhooks._connect", fails)
    site = replace(SITE, smtp_host="mail.example.org")
    for send in (
        lambda: send_mail(site, "a@example.org", "subject", "text"),
        lambda: post_signed(site, "http://example.org/", "secret", "id", {}),
    ):
        with pytest.raises(Fault) as caught:
            send()
        assert type(error).__name__ not in caught.value.message
        assert said in caught.value.message or "took longer than" in caught.value.message
