"""Attacks by the head of a request: as large, as long or as slow as nobody's is."""

from __future__ import annotations

from tests.attack.connections import PATIENCE, PIECE, Answers, Connection, Deadline, close_all, hold, repeat
from tests.attack.site import ATTACKER, PROXY, AttackedSite

BEGIN = b"GET /healthz HTTP/1.1\r\nHost: attacked\r\n"
LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: attacked\r\nContent-Type: application/json\r\n"
MB = 1_000_000


def huge_header(site: AttackedSite, deadline: Deadline, size: int = 134 * MB) -> Answers:
    """One header of so many bytes, on one connection after another."""
    return repeat(lambda: _sent(site, [BEGIN + b"X-Long: ", *_filled(size), b"\r\n\r\n"]), deadline)


def long_url(site: AttackedSite, deadline: Deadline, size: int = 63 * MB) -> Answers:
    """A URL of so many bytes."""
    tail = b" HTTP/1.1\r\nHost: attacked\r\n\r\n"
    return repeat(lambda: _sent(site, [b"GET /projects?search=", *_filled(size), tail]), deadline)


def many_headers(site: AttackedSite, deadline: Deadline, number: int = 10_000) -> Answers:
    """So many headers in one request, four requests at once."""
    lines = b"".join(b"X-%d: %d\r\n" % (one, one) for one in range(number))
    return repeat(lambda: _sent(site, [BEGIN, lines, b"\r\n"]), deadline, at_once=4)


def endless_headers(site: AttackedSite, deadline: Deadline, most: int = 1_000 * MB) -> Answers:
    """Header lines that never end (before `most` bytes), on four connections at once."""
    lines = b"X-Line: 1\r\n" * (PIECE // 11)

    def once() -> str:
        with site.connect() as connection:
            # not cut by the deadline: a head that a busy machine could not send is answered by nothing
            connection.send_each([BEGIN, *(lines for _ in range(most // len(lines)))], Deadline(PATIENCE))
            return connection.status()

    return repeat(once, deadline, at_once=4)


def dripped_headers(site: AttackedSite, deadline: Deadline, number: int = 600) -> Answers:
    """A byte a second of a header, on so many connections of one address."""
    connections, answers = _open(site, number)
    try:
        begun = [one for one in connections if one.send(BEGIN + b"X-Slow: ")]
        answers.update(one.status(1.0) for one in connections if one not in begun)
        return answers + hold(begun, b"a", deadline)
    finally:
        close_all(connections)


def idle_connections(site: AttackedSite, deadline: Deadline, number: int = 600) -> Answers:
    """Connections on which nothing is sent."""
    connections, answers = _open(site, number)
    try:
        return answers + hold(connections, b"", deadline)
    finally:
        close_all(connections)


def waiting_behind_proxy(site: AttackedSite, deadline: Deadline, number: int = 600) -> Answers:
    """Requests of one client without an end of their bodies, by a proxy that is believed."""
    head = LOGIN + b"X-Forwarded-For: 203.0.113.7\r\nContent-Length: 100\r\n\r\n{"
    connections, answers = _open(site, number, PROXY)
    try:
        begun = [one for one in connections if one.send(head)]
        answers.update(one.status(1.0) for one in connections if one not in begun)
        return answers + hold(begun, b"", deadline)
    finally:
        close_all(connections)


def chunk_extensions(site: AttackedSite, deadline: Deadline, size: int = 64 * MB) -> Answers:
    """A chunk whose extension has so many bytes."""
    pieces = [LOGIN + b"Transfer-Encoding: chunked\r\n\r\n1;long=", *_filled(size), b"\r\n{\r\n0\r\n\r\n"]
    return repeat(lambda: _sent(site, pieces), deadline, at_once=2)


def trailers(site: AttackedSite, deadline: Deadline, size: int = 64 * MB) -> Answers:
    """Trailers of so many bytes behind the last chunk."""
    begin = LOGIN + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Trailer: "
    return repeat(lambda: _sent(site, [begin, *_filled(size), b"\r\n\r\n"]), deadline, at_once=2)


def pipelined(site: AttackedSite, deadline: Deadline, number: int = 5_000) -> Answers:
    """So many requests sent on one connection before an answer is read, four connections at once.

    Counted are the answers that came; `short` is a connection on which fewer came.
    """
    request = b"GET /healthz HTTP/1.1\r\nHost: attacked\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: attacked\r\nConnection: close\r\n\r\n"
    answers: Answers = Answers()

    def once() -> str:
        with site.connect() as connection:
            text, left = b"", memoryview(request * (number - 1) + last)
            while left:  # what is answered is read between, as the server may take no more before
                connection.send(bytes(left[:PIECE]))
                left = left[PIECE:]
                text += connection.read(0.0) or b""
            text += connection.read_all()
        came = text.count(b"HTTP/1.1 200")
        answers["200"] += came
        return "whole" if came == number else "short"

    return repeat(once, deadline, at_once=4) + answers


def _open(site: AttackedSite, number: int, address: str = ATTACKER) -> tuple[list[Connection], Answers]:
    """So many connections, and how many the server did not take."""
    connections, answers = [], Answers()
    for _ in range(number):
        try:
            connections.append(site.connect(address))
        except OSError:
            answers["refused"] += 1
    return connections, answers


def _sent(site: AttackedSite, pieces: list[bytes]) -> str:
    """How a request is answered that is sent on a connection of its own."""
    with site.connect() as connection:
        for piece in pieces:
            if not connection.send(piece):
                break
        return connection.status()


def _filled(size: int) -> list[bytes]:
    """`size` letters, in pieces that are one and the same object."""
    piece = b"a" * PIECE
    return [piece] * (size // PIECE) + [b"a" * (size % PIECE)]
