"""Bodies of requests at the layer that bounds them: how much it takes, how long it waits, what it answers with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from starlette.responses import PlainTextResponse

from scandock.access.principal import ANONYMOUS
from scandock.model.errors import Usage
from scandock.web.bodies import BodyLimits, body_timeout, limit_body, receives_upload

MOST = 1024 * 1024
CHUNK = bytes(64 * 1024)
SOMEBODY = SimpleNamespace(signed_in=True)


@dataclass
class Client:
    """A client that sends pieces of a body and then says no more; it counts what was taken of them."""

    pieces: Iterator[bytes]
    headers: Sequence[tuple[bytes, bytes]] = ((b"transfer-encoding", b"chunked"),)
    ends: bool = True
    taken: int = 0
    answers: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    async def receive(self) -> dict[str, Any]:
        piece = next(self.pieces, None)
        if piece is not None:
            self.taken += len(piece)
            return {"type": "http.request", "body": piece, "more_body": True}
        if not self.ends:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: dict[str, Any]) -> None:
        self.answers.append(message)

    @property
    def status(self) -> int:
        return int(self.answers[0]["status"])

    @property
    def closes(self) -> bool:
        return (b"connection", b"close") in self.answers[0]["headers"]


def ask(
    client: Client, endpoint: Callable[..., Any], principal: Any = ANONYMOUS, seconds: float = 30.0, most: int = MOST
) -> Client:
    """One request to an endpoint, which reads all of it and answers how much, or what refused it."""
    counted = SimpleNamespace(labels=lambda by: SimpleNamespace(inc=lambda: client.refused.append(by)))

    async def run() -> None:
        site = SimpleNamespace(metrics=SimpleNamespace(bodies_refused=counted), stopping=asyncio.Event())
        scope = {
            "type": "http", "method": "POST", "path": "/", "headers": list(client.headers), "endpoint": endpoint,
            "state": {"principal": principal}, "app": SimpleNamespace(state=SimpleNamespace(server=site)),
        }  # fmt: skip
        layer = BodyLimits(endpoint, most)
        layer.first_seconds = seconds
        await layer(scope, client.receive, client.send)  # type: ignore[arg-type]

    asyncio.run(run())
    assert not client.answers[-1].get("more_body")
    return client


def reader() -> Callable[..., Any]:
    async def read(scope: Any, receive: Any, send: Any) -> None:
        size, more = 0, True
        try:
            while more:
                message = await receive()
                size += len(message["body"])
                more = message["more_body"]
            answer = PlainTextResponse(str(size))
        except Usage as error:
            answer = PlainTextResponse(error.code, 413 if error.code == "body_too_large" else 408)
        await answer(scope, receive, send)

    return read


async def deaf(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("no")(scope, receive, send)


def chunks(many: int) -> Iterator[bytes]:
    return (CHUNK for _ in range(many))


def test_a_body_of_a_stranger_is_cut_at_64_kb_and_the_rest_is_not_kept():
    """315 MB to the login route."""
    client = ask(Client(chunks(5_000)), reader())
    assert (client.status, client.closes, client.refused) == (413, False, ["size"])
    assert client.taken <= 2 * len(CHUNK)
    assert ask(Client(chunks(1)), reader()).answers[1]["body"] == b"65536"


def test_a_stated_length_over_the_limit_is_refused_before_anything_is_read():
    client = ask(
        Client(chunks(20), headers=[(b"content-length", b"1310720"), (b"expect", b"100-continue")]), reader(), SOMEBODY
    )
    assert (client.status, client.closes, client.taken) == (413, True, 0)


def test_a_body_after_login_is_bounded_by_the_setting():
    assert ask(Client(chunks(16)), reader(), SOMEBODY).answers[1]["body"] == b"1048576"
    assert ask(Client(chunks(17)), reader(), SOMEBODY).status == 413
    assert ask(Client(chunks(2)), reader(), SOMEBODY, most=100_000).status == 413
    assert ask(Client(chunks(1)), reader(), most=1_000).status == 413


def test_a_route_takes_more_after_login_where_it_says_so():
    mapping = limit_body(16 * MOST)(reader())
    assert ask(Client(chunks(256)), mapping, SOMEBODY).status == 200
    assert ask(Client(chunks(257)), mapping, SOMEBODY).status == 413
    assert ask(Client(chunks(2)), mapping).status == 413


def test_a_body_that_stops_is_told_so_and_an_upload_is_left_to_its_reader():
    client = ask(Client(iter([b"{"]), ends=False), reader(), SOMEBODY, seconds=0.0)
    assert (client.status, client.closes, client.refused) == (408, True, ["deadline"])
    upload = Client(chunks(300))
    assert (ask(upload, receives_upload(reader()), seconds=0.0).status, upload.closes) == (200, False)


def test_each_4_kb_that_came_give_a_second_more():
    """An upload at 64 kbit/s would be in time even so."""
    assert (body_timeout(0), body_timeout(4096), body_timeout(1024 * 1024)) == (30, 31, 286)
    assert all(body_timeout(8_000 * passed) > passed for passed in range(3_600))


def test_what_is_asked_for_by_100_continue_is_not_fetched_to_be_thrown_away():
    client = ask(Client(chunks(3), headers=[(b"content-length", b"196608"), (b"expect", b"100-continue")]), deaf)
    assert (client.status, client.closes, client.taken) == (200, True, 0)
