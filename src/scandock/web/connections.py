"""How many connections wait for their clients, in all and for each address, and who gives way where they are too many.

A connection waits from its beginning, or from the first byte of a further request, until that request is complete.
Those that rest between two requests, or whose head is not complete, may be ended at any time without harm: the longest
waiting one makes room for who comes, so that somebody who opens thousands and sends nothing keeps nobody out.

Heads are counted by the protocol (`scandock.web.protocol`), bodies by `BodyCounter`, knowing the client that a trusted
proxy names.
"""

from __future__ import annotations

import ipaddress
import resource
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from fastapi import Request

from scandock.access.throttle import network_of
from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.model.errors import Coded
from scandock.web.problems import error_response

if TYPE_CHECKING:
    from typing import Protocol

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from scandock.services.settings import Settings

    class ClientConnection(Protocol):
        """A connection, as it is known here."""

        def give_way(self) -> None:
            """End now, without a word."""


class TooManyConnections(Coded):
    """An address has too many requests that are not complete: 429."""

    CODE = "too_many_connections"
    STATUS = 429
    MEANING = "Too many requests of one address are not complete (`SCANDOCK_MAX_CONNECTIONS_PER_ADDRESS`)."
    SENTENCE = "More than {max_connections:,} requests of one address are not complete."
    REMEDY = "Send fewer at once, or ask an administrator of this server to raise the limit."

    def __init__(self, max_connections: int) -> None:
        self._fill({"max_connections": max_connections})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What connections may take. Sizes are bytes."""

    total: int
    per_address: int
    """Without a complete request."""
    head_bytes: int = request_limits.HEAD_BYTES
    """Of the URL and the headers together."""
    fields: int = request_limits.HEAD_FIELDS
    """Headers of one request."""
    head_seconds: float = request_limits.HEAD_SECONDS
    """From the first byte, or from the connection's beginning, to the end of the headers."""
    rest_seconds: float = request_limits.REST_SECONDS
    """For what is left of a body whose answer was sent before it came, and a second more for each 4 kB that comes."""
    linger_seconds: float = 5.0
    """For which a client that was refused may go on sending, so that it reads why."""


DESCRIPTORS_EACH: Final = 12
"""Of a connection: its own, the one by which a thread sends a body, and what a zip has open (a file has less): its
tree and two folders of it, files whose turn it is soon (`zip_stream.AHEAD_FILES`), its walk, and its directory.
"""
OWN_DESCRIPTORS: Final = 512
"""Of databases and processes: what connections and their files leave free."""


def raise_descriptor_limit(connections: int) -> None:
    """Let the process have the descriptors of so many connections and of what they download, as far as may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = DESCRIPTORS_EACH * connections + OWN_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < needed:
        new_limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (new_limit, hard))


def connection_limits(settings: Settings) -> ConnectionLimits:
    """What the settings allow, and the system's limit on descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    total = settings.max_connections
    if soft != resource.RLIM_INFINITY:
        total = max(1, min(total, (soft - OWN_DESCRIPTORS) // DESCRIPTORS_EACH))
    return ConnectionLimits(total=total, per_address=settings.max_connections_per_address)


class Connections:
    """The connections of the process, by what they wait for. For one event loop."""

    def __init__(self, bounds: ConnectionLimits, trusted: Sequence[str], on_refusal: Callable[[str], None]) -> None:
        """`trusted` are addresses and networks of proxies; `on_refusal` gets why a connection or request was ended."""
        self.bounds = bounds
        self.refused = on_refusal
        self._trusted = [ipaddress.ip_network(network, strict=False) for network in trusted]
        self._open: dict[ClientConnection, str | None] = {}
        self._of: dict[str, dict[ClientConnection, None]] = {}
        """All of an address, the oldest first."""
        self._quiet: dict[ClientConnection, str | None] = {}
        """May be ended, the longest waiting one first."""
        self._heads: dict[str, dict[ClientConnection, None]] = {}
        self._bodies: Counter[str] = Counter()
        self.address_of = lru_cache(maxsize=4096)(self._address_of)

    def __len__(self) -> int:
        return len(self._open)

    def _address_of(self, peer: str) -> str | None:
        """What a peer counts as; None for a trusted proxy, and for what has no address."""
        try:
            parsed = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return None
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return None if any(parsed in network for network in self._trusted) else network_of(peer)

    def count_waiting(self, address: str) -> int:
        """Connections of an address without a complete request."""
        return len(self._heads.get(address, ())) + self._bodies[address]

    # -- heads ---------------------------------------------------------------------------------------------------

    def open(self, client: ClientConnection, address: str | None) -> str:
        """Take a new connection, which waits for its first head; else why not: `address` or `total`."""
        if address is not None and not self._has_room(address):
            return "address"
        if len(self._open) >= self.bounds.total and not self._end_longest(self._quiet) and not self._end_most(address):
            return "total"
        self._open[client] = address
        if address is not None:
            self._of.setdefault(address, {})[client] = None
        self._wait(client, address)
        return ""

    def wait(self, client: ClientConnection, address: str | None) -> bool:
        """A further request has begun to come; False where its address has too many."""
        if address is not None and not self._has_room(address):
            return False
        self._wait(client, address)
        return True

    def _wait(self, client: ClientConnection, address: str | None) -> None:
        self._quiet.pop(client, None)
        self._quiet[client] = address
        if address is not None:
            self._heads.setdefault(address, {})[client] = None

    def set_idle(self, client: ClientConnection) -> None:
        """It has nothing to do until its client sends more."""
        self.complete_head(client)
        self._quiet[client] = None

    def complete_head(self, client: ClientConnection) -> None:
        """Its head is complete."""
        address = self._quiet.pop(client, None)
        if address is not None:
            address_heads = self._heads[address]
            del address_heads[client]
            if not address_heads:
                del self._heads[address]

    def close(self, client: ClientConnection) -> None:
        self.complete_head(client)
        address = self._open.pop(client, None)
        if address is not None:
            address_clients = self._of[address]
            del address_clients[client]
            if not address_clients:
                del self._of[address]

    def _has_room(self, address: str) -> bool:
        return self.count_waiting(address) < self.bounds.per_address or self._end_longest(self._heads.get(address, {}))

    def _end_longest(self, candidates: dict[ClientConnection, str | None] | dict[ClientConnection, None]) -> bool:
        longest = next(iter(candidates), None)
        if longest is None:
            return False
        self.refused("gave_way")
        self.close(longest)
        longest.give_way()
        return True

    def _end_most(self, address: str | None) -> bool:
        """Where all are at work: end the oldest one of the address that has the most, if that is another's, and many.

        They may all be answers that nobody reads.
        """
        if not self._of:
            return False
        busiest = max(self._of, key=lambda each_address: len(self._of[each_address]))
        if busiest == address or len(self._of[busiest]) <= self.bounds.total // 4:
            return False
        return self._end_longest(self._of[busiest])

    # -- bodies --------------------------------------------------------------------------------------------------

    def begin_body(self, address: str) -> bool:
        """A request's body begins to come; False where its address has too many."""
        if not self._has_room(address):
            return False
        self._bodies[address] += 1
        return True

    def end_body(self, address: str) -> None:
        """A body is complete, or comes no more."""
        self._bodies[address] -= 1
        if not self._bodies[address]:
            del self._bodies[address]


_BODY_HEADERS: Final = (b"content-length", b"transfer-encoding")


class BodyCounter:
    """Counts requests whose body has not all come, by their client's address; one too many is told so (429)."""

    def __init__(self, app: ASGIApp, connections: Connections) -> None:
        self._app = app
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = self._sender(scope)
        if address is None:
            await self._app(scope, receive, send)
            return
        connections = self._connections
        if not connections.begin_body(address):
            connections.refused("address")
            await error_response(Request(scope), TooManyConnections(connections.bounds.per_address))(
                scope, receive, send
            )
            return
        is_receiving = True

        def end() -> None:
            nonlocal is_receiving
            if is_receiving:
                is_receiving = False
                connections.end_body(address)

        async def watched() -> Message:
            message = await receive()
            if not message.get("more_body", False):
                end()
            return message

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                end()  # what is left of the body the protocol counts
            await send(message)

        try:
            await self._app(scope, watched, answer)
        finally:
            end()

    def _sender(self, scope: Scope) -> str | None:
        """Who sends a body; None where none comes, or its sender does not count."""
        client = scope.get("client")
        if scope["type"] != "http" or client is None:
            return None
        if not any(name in _BODY_HEADERS and value != b"0" for name, value in scope["headers"]):
            return None
        return self._connections.address_of(client[0])
