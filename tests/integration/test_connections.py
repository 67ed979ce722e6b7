"""What comes before the application is asked: heads without end, connections that send nothing, answers to both.

By real sockets, as it is the HTTP server's own.
"""

from __future__ import annotations

import base64
import json
import socket
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace

import pytest

from scandock.services.settings import load_settings
from tests.crash.processes import until
from tests.integration.web import PASSWORD, serve_by_socket

PER_ADDRESS, TOTAL = 8, 24
SECONDS = 0.3
"""Of the limits on time, where a test waits for their end."""


@contextmanager
def bounded(folder, trusted=("none",), **more):
    """A server whose limits are within reach; this machine's addresses are trusted where a test says so."""
    settings = load_settings().model_copy(
        update={
            "trusted_proxies": () if trusted == ("none",) else trusted,
            "max_connections_per_address": PER_ADDRESS,
            "max_connections": TOTAL,
        }
    )
    with serve_by_socket(folder / "data", settings) as web:
        connections = web.app.state.connections
        connections.bounds = replace(connections.bounds, **more)
        yield web


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with bounded(tmp_path_factory.mktemp("connections")) as running:
        yield running


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    with bounded(
        tmp_path_factory.mktemp("hasty"), head_seconds=SECONDS, rest_seconds=SECONDS, linger_seconds=SECONDS
    ) as running:
        yield running


def connect(web, source="127.0.0.1"):
    _, _, port = web.base.rpartition(":")
    made = socket.create_connection(("127.0.0.1", int(port)), timeout=20, source_address=(source, 0))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def rest_of(connection):
    """All that comes to the end, however that comes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def answer_on(connection):
    """Status, headers and body of one answer with a length."""
    came = b""
    while b"\r\n\r\n" not in came:
        part = connection.recv(65536)
        assert part, f"the connection ended after {came!r}"
        came += part
    head, _, body = came.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    while len(body) < int(headers["content-length"]):
        part = connection.recv(65536)
        assert part, f"the connection ended after {body!r}"
        body += part
    return int(first.split()[1]), headers, body


def ask(web, data, source="127.0.0.1"):
    with closing(connect(web, source)) as connection:
        connection.sendall(data)
        return answer_on(connection)


def ended(web, limit):
    return web.site.metrics.registry.get_sample_value("scandock_connections_ended_total", {"limit": limit}) or 0.0


def head(*lines, target="/healthz", method="GET"):
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: it", *lines, "", ""]).encode()


def basic():
    return "Authorization: Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()


def lives(web, source="127.0.0.2"):
    return ask(web, head(), source)[0] == 200


# -- heads that are too long -----------------------------------------------------------------------------------------


def flood(web, *, begin, piece):
    """Send pieces without end; gives the answer, and how much was taken until then."""
    sent = 0
    with closing(connect(web)) as connection:
        connection.sendall(begin)
        connection.settimeout(0.2)
        try:
            while sent < 64_000_000:
                sent += connection.send(piece)
        except (TimeoutError, ConnectionError):
            pass
        connection.settimeout(20)
        status, _, body = answer_on(connection)
        return status, json.loads(body), sent


ENDLESS = {
    "one header": (b"GET / HTTP/1.1\r\nHost: it\r\nX: ", b"x" * 65536, 431),
    "a header's name": (b"GET / HTTP/1.1\r\nHost: it\r\nX", b"x" * 65536, 431),
    "headers": (b"GET / HTTP/1.1\r\nHost: it\r\n", b"A: b\r\n" * 8192, 431),
    "the address": (b"GET /", b"x" * 65536, 414),
    "the query": (b"GET /?", b"a=b&" * 16384, 414),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_a_head_without_end_is_refused_before_it_costs_anything(web, case):
    begin, piece, status = ENDLESS[case]
    answered, said, sent = flood(web, begin=begin, piece=piece)
    assert (answered, said["code"]) == (status, "head_too_long")
    assert " headers is " not in said["detail"]
    assert ("256 headers" if case == "headers" else "65,536 bytes") in said["detail"]
    assert sent < 32_000_000  # what the system's own buffers took
    assert lives(web)


@pytest.mark.parametrize(("size", "status"), [(60_000, 200), (66_000, 431)])
def test_a_head_counts_whole(web, size, status):
    assert ask(web, head(f"X-Long: {'x' * size}"))[0] == status
    assert ask(web, head(*[f"X-{n}: {'x' * 294}" for n in range(size // 300)]))[0] == status
    assert ask(web, head(target=f"/healthz?a={'x' * size}"))[0] == {431: 414}.get(status, status)


def test_a_long_mapping_is_told_where_it_belongs(web):
    long = "x" * 70_000
    status, headers, body = ask(web, head(target=f"/api/v1/imports?project=P&mapping={long}", method="POST"))
    said = json.loads(body)
    assert status == 414
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert headers["x-request-id"] == said["request_id"]
    assert "multipart" in said["remedy"]
    assert "PUT to /api/v1/uploads/{id}/mapping" in said["remedy"]


def test_what_chunks_and_trailers_say_is_bounded_and_no_header(web):
    login = "/api/v1/auth/login"
    begin = head("Transfer-Encoding: chunked", "Content-Type: application/json", method="POST", target=login)
    for piece in (b"1;" + b"x" * 200_000, b"1\r\n{\r\n0\r\nX: " + b"x" * 200_000):
        with closing(connect(web)) as connection:
            connection.sendall(begin + piece)
            with pytest.raises(ConnectionError):  # noqa: PT012  which of them fails is the system's choice
                while True:
                    connection.sendall(b"x" * 200_000)
    assert ended(web, "head_bytes") > 0
    said = b'{"name": "admin", "password": "wrong"}'
    chunks = b"%x\r\n%s\r\n0\r\nX-Request-Id: trailer\r\n\r\n" % (len(said), said)
    status, headers, _ = ask(web, begin + chunks)
    assert status == 401
    assert headers["x-request-id"] != "trailer"


MALFORMED = b"zz\r\n{\r\n"
"""A chunk whose length is no number."""


def test_a_malformed_chunk_is_told_where_nothing_was_answered_yet(web):
    chunked = ("Transfer-Encoding: chunked", "Content-Type: application/zip", basic())
    begin = head(*chunked, "Expect: 100-continue", method="POST", target="/api/v1/imports")
    with closing(connect(web)) as connection:
        connection.sendall(begin)
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")  # it is being received
        connection.sendall(b"2\r\nPK\r\n" + MALFORMED)
        status, headers, body = answer_on(connection)
    assert (status, headers["connection"]) == (400, "close")
    assert json.loads(body)["code"] == "request_unreadable"


def test_a_malformed_chunk_behind_an_answer_gets_no_second_one(web):
    begin = head("Transfer-Encoding: chunked", "Content-Type: application/zip", method="POST", target="/api/v1/imports")
    with closing(connect(web)) as connection:
        connection.sendall(begin)
        assert answer_on(connection)[0] == 401
        connection.sendall(MALFORMED)
        assert rest_of(connection) == b""


def test_requests_sent_ahead_are_answered_each(web):
    many = 1_000
    with closing(connect(web)) as connection:
        connection.sendall(head() * (many - 1) + head("Connection: close"))
        assert rest_of(connection).count(b"HTTP/1.1 200") == many


def test_what_is_sent_ahead_without_end_ends(web):
    with closing(connect(web)) as connection:
        connection.sendall(head(target="/api/v1/events?follow=1"))
        with pytest.raises(ConnectionError):  # noqa: PT012  which of them fails is the system's choice
            while True:
                connection.sendall(head("Content-Length: 100000000", method="POST") + b"x" * 100_000)
    assert lives(web)


def test_what_is_sent_ahead_behind_a_body_is_looked_at_as_far_as_the_rest(web):
    with closing(connect(web)) as connection:
        connection.sendall(head("Content-Length: 2", method="POST", target="/api/v1/auth/login") + b"{")
        connection.sendall(b"}" + head() * 500 + head("Connection: close"))
        came = rest_of(connection)
    assert (came.count(b"HTTP/1.1 422"), came.count(b"HTTP/1.1 200")) == (1, 501)


def test_long_heads_that_are_sent_ahead_are_not_kept(web):
    with closing(connect(web)) as connection:
        connection.sendall(head(f"X-Long: {'x' * 60_000}") * 20 + head("Connection: close"))
        assert rest_of(connection).count(b"HTTP/1.1 200") == 21


@pytest.mark.parametrize(("many", "status"), [(250, 200), (260, 431)])
def test_a_request_has_so_many_headers(web, many, status):
    assert ask(web, head(*[f"a{n}: b" for n in range(many)]))[0] == status


def test_an_offer_of_another_protocol_is_left_aside_and_the_body_taken(web):
    said = b'{"name": "admin", "password": "wrong"}'
    offer = head(
        "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
        "Content-Type: application/json", f"Content-Length: {len(said)}", method="POST", target="/api/v1/auth/login",
    )  # fmt: skip
    with closing(connect(web)) as connection:
        for cut in (0, 10):
            connection.sendall(offer + said[:cut])
            connection.sendall(said[cut:])
            assert answer_on(connection)[0] == 401  # and not 422: the body came
        connection.sendall(head("Connection: Upgrade", "Upgrade: websocket"))
        assert answer_on(connection)[0] == 200
    assert ask(web, b"CONNECT example.org:80 HTTP/1.1\r\nHost: it\r\n\r\n")[0] == 400


def test_what_is_no_request_is_told_so(web):
    status, _, body = ask(web, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert (status, json.loads(body)["code"]) == (400, "request_unreadable")


# -- connections that wait -------------------------------------------------------------------------------------------


def test_an_address_has_so_many_connections_without_a_complete_request(web):
    before = ended(web, "gave_way")
    with ExitStack() as stack:
        waiting = [stack.enter_context(closing(connect(web))) for _ in range(PER_ADDRESS)]
        waiting[0].sendall(b"GET / HTTP/1.1\r\nX: ")
        assert lives(web, "127.0.0.1")  # the longest waiting one gave way
        assert rest_of(waiting[0]) == b""
        assert ended(web, "gave_way") == before + 1
        for one in waiting[2:]:
            one.sendall(head())
            assert answer_on(one)[0] == 200


def test_bodies_that_do_not_come_count_and_are_never_ended_for_others(web):
    begin = head("Content-Length: 2", "Expect: 100-continue", method="POST", target="/api/v1/auth/login")
    with ExitStack() as stack:
        bringing = [stack.enter_context(closing(connect(web))) for _ in range(PER_ADDRESS)]
        for one in bringing:
            one.sendall(begin)
            assert one.recv(100).startswith(b"HTTP/1.1 100")
        status, headers, body = answer_on(stack.enter_context(closing(connect(web))))
        assert (status, json.loads(body)["code"]) == (429, "too_many_connections")
        assert headers["retry-after"]
        assert lives(web)  # another address
        for one in bringing:
            one.sendall(b"{}")
            assert answer_on(one)[0] == 422
    assert lives(web, "127.0.0.1")


def test_answered_connections_that_rest_do_not_count(web):
    with ExitStack() as stack:
        resting = []
        for _ in range(2 * PER_ADDRESS):
            resting.append(stack.enter_context(closing(connect(web))))
            resting[-1].sendall(head())
            assert answer_on(resting[-1])[0] == 200
        for one in resting:
            one.sendall(head())
            assert answer_on(one)[0] == 200


def test_all_together_are_bounded_and_whoever_comes_finds_room(web):
    with ExitStack() as stack:
        opened = []
        for n in range(TOTAL):
            opened.append(stack.enter_context(closing(connect(web, f"127.0.1.{n}"))))
            opened[-1].sendall(head())
            assert answer_on(opened[-1])[0] == 200
        assert lives(web)
        assert rest_of(opened[0]) == b""
        opened[-1].sendall(head())
        assert answer_on(opened[-1])[0] == 200
        assert len(web.app.state.connections) <= TOTAL


def test_answers_that_nobody_reads_keep_nobody_else_out(web):
    with ExitStack() as stack:
        for _ in range(TOTAL):
            one = stack.enter_context(closing(connect(web)))
            one.sendall(head(basic(), target="/api/v1/events"))
            assert one.recv(20).startswith(b"HTTP/1.1 200")
        assert lives(web)  # one gave way
        one = stack.enter_context(closing(connect(web)))
        one.sendall(head(basic(), target="/api/v1/events"))
        assert one.recv(20).startswith(b"HTTP/1.1 200")
        status, headers, body = answer_on(stack.enter_context(closing(connect(web))))
        assert (status, json.loads(body)["code"], headers["retry-after"]) == (503, "server_full", "10")


def test_bodies_whose_answer_is_there_count_and_give_way(web):
    with ExitStack() as stack:
        opened = []
        for n in range(TOTAL):
            opened.append(stack.enter_context(closing(connect(web, f"127.0.1.{n}"))))
            opened[-1].sendall(head("Content-Length: 100", method="POST", target="/api/v1/nothing") + b"x")
            assert answer_on(opened[-1])[0] == 404
        assert lives(web)
        for _ in range(PER_ADDRESS):
            one = stack.enter_context(closing(connect(web)))
            one.sendall(head("Content-Length: 100", method="POST", target="/api/v1/nothing") + b"x")
            assert answer_on(one)[0] == 404
        until(lambda: web.app.state.connections.count_waiting("127.0.0.1") == PER_ADDRESS, "they do not all count")
        assert lives(web, "127.0.0.1")
        assert web.app.state.connections.count_waiting("127.0.0.1") < PER_ADDRESS


def test_behind_a_trusted_proxy_the_client_that_it_names_counts(tmp_path):
    begin = head(
        "Content-Length: 2", "Expect: 100-continue", "X-Forwarded-For: 192.0.2.7", method="POST",
        target="/api/v1/auth/login",
    )  # fmt: skip
    with bounded(tmp_path, trusted=("127.0.0.1",)) as web, ExitStack() as stack:
        for _ in range(PER_ADDRESS):
            one = stack.enter_context(closing(connect(web)))
            one.sendall(begin)
            assert one.recv(100).startswith(b"HTTP/1.1 100")
        status, _, body = ask(web, begin)
        assert (status, json.loads(body)["code"]) == (429, "too_many_connections")
        other = stack.enter_context(closing(connect(web)))
        other.sendall(begin.replace(b"192.0.2.7", b"192.0.2.8"))
        assert other.recv(100).startswith(b"HTTP/1.1 100")
        for _ in range(PER_ADDRESS):
            stack.enter_context(closing(connect(web)))
        assert lives(web, "127.0.0.1")


# -- what comes too late ---------------------------------------------------------------------------------------------


def test_a_head_that_does_not_come_ends_the_connection(hasty):
    with closing(connect(hasty)) as silent, closing(connect(hasty)) as slow, closing(connect(hasty)) as second:
        slow.sendall(b"GET / HTTP/1.1\r\nX: ")
        second.sendall(head() + b"GET / HTTP/1.1\r\nX")
        assert answer_on(second)[0] == 200
        for one in (slow, second):
            status, _, body = answer_on(one)
            assert (status, json.loads(body)["code"]) == (408, "head_late")
        assert rest_of(silent) == b""


def test_the_rest_of_a_body_is_not_waited_for(hasty):
    with closing(connect(hasty)) as half:
        half.sendall(head("Content-Length: 100000", method="POST", target="/api/v1/nothing") + b"abc")
        assert answer_on(half)[0] == 404
        assert rest_of(half) == b""
    assert ended(hasty, "rest_seconds") == 1


def test_a_body_that_comes_after_its_answer_is_read_and_the_connection_goes_on(web):
    with closing(connect(web)) as one:
        for _ in range(2):
            one.sendall(head("Content-Length: 300000", method="POST", target="/api/v1/nothing"))
            assert answer_on(one)[0] == 404
            one.sendall(b"x" * 300_000)
        one.sendall(head())
        assert answer_on(one)[0] == 200


def test_who_still_sends_reads_why_it_was_refused(web):
    request = head("Content-Length: 3000000", "Connection: close", method="POST", target="/api/v1/nothing")
    status, headers, _ = ask(web, request + b"x" * 3_000_000)
    assert status == 404
    assert headers["connection"] == "close"
