"""How many connections wait for their clients, in all and for each address, and who gives way where they are too many.

A connection waits from its beginning, or from the first byte of a further request, until that request is complete.
Those that rest between two requests, or whose head is not complete, may be ended at any time without harm: the longest
waiting one makes room for who comes, so that somebody who opens thousands and sends nothing keeps nobody out.

Heads are counted by the protocol (`scandock.web.protocol`), bodies by `Senders`, which knows the client that a trusted
proxy names.
"""

from __future__ import annotations

import ipaddress
import resource
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from fastapi import Request

from scandock.access.throttle import network_of
from scandock.model import request_limits
from scandock.model.errors import Coded
from scandock.web.problems import told

if TYPE_CHECKING:
    from typing import Protocol

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from scandock.services.settings import Settings

    class Waiting(Protocol):
        """A connection, as it is known here."""

        def give_way(self) -> None:
            """End now, without a word."""


class Crowded(Coded):
    """An address has too many requests that are not complete: 429."""

    CODE = "too_many_connections"
    STATUS = 429
    MEANING = "Too many requests of one address are not complete (`SCANDOCK_MAX_CONNECTIONS_PER_ADDRESS`)."
    SENTENCE = "More than {most:,} requests of one address are not complete."
    REMEDY = "Send fewer at once, or ask an administrator of this server to raise the limit."

    def __init__(self, most: int) -> None:
        self._fill({"most": most})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
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


OWN_DESCRIPTORS: Final = 512
"""Of databases and processes: what connections and their files leave free."""


def make_room(connections: int) -> None:
    """Let the process have a descriptor for each of so many connections and one for its file, as far as may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + OWN_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def bounds_of(settings: Settings) -> Bounds:
    """What the settings allow, and the system's limit on descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    total = settings.max_connections
    if soft != resource.RLIM_INFINITY:
        total = max(1, min(total, (soft - OWN_DESCRIPTORS) // 2))
    return Bounds(total=total, per_address=settings.max_connections_per_address)


class Connections:
    """The connections of the process, by what they wait for. For one event loop."""

    def __init__(self, bounds: Bounds, trusted: Sequence[str], refused: Callable[[str], None]) -> None:
        """`trusted` are addresses and networks of proxies; `refused` is told why a connection or request was ended."""
        self.bounds = bounds
        self.refused = refused
        self._trusted = [ipaddress.ip_network(one, strict=False) for one in trusted]
        self._open: dict[Waiting, str | None] = {}
        self._of: dict[str, dict[Waiting, None]] = {}
        """All of an address, the oldest first."""
        self._quiet: dict[Waiting, str | None] = {}
        """May be ended, the longest waiting one first."""
        self._heads: dict[str, dict[Waiting, None]] = {}
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
        return None if any(parsed in one for one in self._trusted) else network_of(peer)

    def waiting(self, address: str) -> int:
        """Connections of an address without a complete request."""
        return len(self._heads.get(address, ())) + self._bodies[address]

    # -- heads ---------------------------------------------------------------------------------------------------

    def open(self, one: Waiting, address: str | None) -> str:
        """Take a new connection, which waits for its first head; else why not: `address` or `total`."""
        if address is not None and not self._has_room(address):
            return "address"
        if len(self._open) >= self.bounds.total and not self._end_longest(self._quiet) and not self._end_most(address):
            return "total"
        self._open[one] = address
        if address is not None:
            self._of.setdefault(address, {})[one] = None
        self._wait(one, address)
        return ""

    def wait(self, one: Waiting, address: str | None) -> bool:
        """A further request has begun to come; False where its address has too many."""
        if address is not None and not self._has_room(address):
            return False
        self._wait(one, address)
        return True

    def _wait(self, one: Waiting, address: str | None) -> None:
        self._quiet.pop(one, None)
        self._quiet[one] = address
        if address is not None:
            self._heads.setdefault(address, {})[one] = None

    def rest(self, one: Waiting) -> None:
        """It has nothing to do until its client sends more."""
        self.work(one)
        self._quiet[one] = None

    def work(self, one: Waiting) -> None:
        """Its head is complete."""
        address = self._quiet.pop(one, None)
        if address is not None:
            heads = self._heads[address]
            del heads[one]
            if not heads:
                del self._heads[address]

    def close(self, one: Waiting) -> None:
        self.work(one)
        address = self._open.pop(one, None)
        if address is not None:
            mine = self._of[address]
            del mine[one]
            if not mine:
                del self._of[address]

    def _has_room(self, address: str) -> bool:
        return self.waiting(address) < self.bounds.per_address or self._end_longest(self._heads.get(address, {}))

    def _end_longest(self, among: dict[Waiting, str | None] | dict[Waiting, None]) -> bool:
        longest = next(iter(among), None)
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
        most = max(self._of, key=lambda one: len(self._of[one]))
        if most == address or len(self._of[most]) <= self.bounds.total // 4:
            return False
        return self._end_longest(self._of[most])

    # -- bodies --------------------------------------------------------------------------------------------------

    def bring(self, address: str) -> bool:
        """A request's body begins to come; False where its address has too many."""
        if not self._has_room(address):
            return False
        self._bodies[address] += 1
        return True

    def brought(self, address: str) -> None:
        """A body is complete, or comes no more."""
        self._bodies[address] -= 1
        if not self._bodies[address]:
            del self._bodies[address]


_LENGTHS: Final = (b"content-length", b"transfer-encoding")


class Senders:
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
        if not connections.bring(address):
            connections.refused("address")
            await told(Request(scope), Crowded(connections.bounds.per_address))(scope, receive, send)
            return
        bringing = True

        def end() -> None:
            nonlocal bringing
            if bringing:
                bringing = False
                connections.brought(address)

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
        if not any(name in _LENGTHS and value != b"0" for name, value in scope["headers"]):
            return None
        return self._connections.address_of(client[0])
