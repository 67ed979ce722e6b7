"""Downloads that last: while one goes on, it is asked again whether who began it may still read what comes next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from scandock.access.clock import monotonic
from scandock.catalog.own_resources import Holder, find_holder
from scandock.rules.permissions import Action
from scandock.services import rights, shelves
from scandock.services.moving import Desk
from scandock.services.zip_stream import ZipEntry

T = TypeVar("T")

ASK_SECONDS: Final = 30.0
"""How long bytes of one session go out before it is asked again."""


class Lasting:
    """One download. It asks at the first piece of each session, and then every `ASK_SECONDS`."""

    def __init__(self, desk: Desk, clock: Callable[[], float] = monotonic) -> None:
        self._desk = desk
        self._clock = clock
        self._uuid = ""
        self._asked = 0.0

    def each(self, holder: Holder, pieces: Iterable[T]) -> Iterator[T]:
        """The pieces of a session, or a shelf, as long as it may be read; Denied where it may not any more."""
        for piece in pieces:
            self.check(holder)
            yield piece

    def entries(self, holder: Holder, entries: Iterable[ZipEntry]) -> Iterator[ZipEntry]:
        """As `each`, of a zip: within an entry it is asked too, as one file may take longer than all others."""
        for one in self.each(holder, entries):
            yield replace(one, ask=partial(self.check, holder))

    def check(self, holder: Holder) -> None:
        """Raise Denied where who asks has lost the right, or the login or token that they came by has ended."""
        now = self._clock()
        if holder.uuid == self._uuid and now - self._asked < ASK_SECONDS:
            return
        principal = self._desk.still()
        with self._desk.catalog.read() as connection:
            if find_holder(connection, holder.uuid) is not None:
                shelves.holder_for(
                    connection, principal, holder.uuid, Action.SESSION_READ, waiting=Action.PREARCHIVE_READ
                )
            else:  # deleted meanwhile: what has begun goes on from its snapshot
                own = rights.is_own(connection, principal, holder.tree_id, holder.project)
                rights.check(connection, principal, Action.SESSION_READ, holder.project, own=own)
        self._uuid, self._asked = holder.uuid, now
