"""Downloads that last: while one goes on, it is asked again whether who began it may still read what comes next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from scandock.access.clock import monotonic
from scandock.catalog.own_resources import Holder, find_holder
from scandock.rules.permissions import Action
from scandock.services import own_resources, rights
from scandock.services.context import ServiceContext
from scandock.services.zip_stream import ZipEntry

T = TypeVar("T")

CHECK_SECONDS: Final = 30.0
"""How long bytes of one session go out before it is asked again."""


class DownloadAccess:
    """One download. It asks at the first piece of each session, and then every `CHECK_SECONDS`."""

    def __init__(self, context: ServiceContext, clock: Callable[[], float] = monotonic) -> None:
        self._context = context
        self._clock = clock
        self._uuid = ""
        self._asked = 0.0

    def note_asked(self, holder: Holder) -> None:
        """It was asked just now whether a session may be read: the first piece of it needs no other question."""
        self._uuid, self._asked = holder.uuid, self._clock()

    def each(self, holder: Holder, pieces: Iterable[T]) -> Iterator[T]:
        """The pieces of a session, or own resources, as long as it may be read.

        AccessDenied where it may not any more.
        """
        for piece in pieces:
            self.check(holder)
            yield piece

    def entries(self, holder: Holder, entries: Iterable[ZipEntry]) -> Iterator[ZipEntry]:
        """As `each`, of a zip: within an entry it is asked too, as one file may take longer than all others."""
        for entry in self.each(holder, entries):
            yield replace(entry, ask=partial(self.check, holder))

    def check(self, holder: Holder) -> None:
        """Raise AccessDenied where who asks has lost the right, or the login or token that they came by has ended."""
        now = self._clock()
        if holder.uuid == self._uuid and now - self._asked < CHECK_SECONDS:
            return
        principal = self._context.still()
        with self._context.catalog.read() as connection:
            if find_holder(connection, holder.uuid) is not None:
                own_resources.find_holder_for(
                    connection, principal, holder.uuid, Action.SESSION_READ, prearchive_action=Action.PREARCHIVE_READ
                )
            else:  # deleted meanwhile: what has begun goes on from its snapshot
                is_own = rights.is_own_upload(connection, principal, holder.tree_id, holder.project)
                rights.check(connection, principal, Action.SESSION_READ, holder.project, is_own=is_own)
        self._uuid, self._asked = holder.uuid, now
