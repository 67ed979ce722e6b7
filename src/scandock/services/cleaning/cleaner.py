"""A cleaner: what it takes away, how often, and after how long. What is deleted for its age asks the clock here.

Of several hosts one takes a turn (`queue.chores`), but of what each has of its own.

A cleaner that says `kept_ms` is called with an age, and with none while the clock can't be trusted: it is not called
then (docs/design/0006). One that deletes what nobody owns, whatever its age, says none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from scandock.model.dataclass import dataclass
from scandock.queue.chores import chore
from scandock.services.clock_check import update_deletion_age

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scandock.catalog.engine import Catalog
    from scandock.services.decoding import Pictures
    from scandock.services.dicomweb_objects import DicomwebCache
    from scandock.services.receiving import UploadReceiver
    from scandock.services.settings import Settings
    from scandock.store.port import Store

TURN_SECONDS: Final = 60.0
"""How often a server looks which of its cleaners are due."""


class HasCatalog(Protocol):
    """What cleaners of rows alone work with."""

    @property
    def catalog(self) -> Catalog: ...


class HasStore(HasCatalog, Protocol):
    """What cleaners of files work with."""

    @property
    def store(self) -> Store: ...
    @property
    def settings(self) -> Settings: ...


class HasServerState(HasStore, Protocol):
    """What cleaners work with that know what a web process is doing: its `Site`."""

    @property
    def receiving(self) -> UploadReceiver: ...
    @property
    def pictures(self) -> Pictures: ...
    @property
    def dicomweb(self) -> DicomwebCache: ...
    @property
    def locks(self) -> Iterable[str]:
        """Uploads that are being written to."""
        ...


@dataclass(frozen=True, slots=True)
class CatalogAndStore:
    """A catalog and its store, as a worker has them."""

    catalog: Catalog
    store: Store
    settings: Settings


Context_contra = TypeVar("Context_contra", bound=HasCatalog, contravariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaner(Generic[Context_contra]):
    """One kind of what is taken away. A cleaner stands on its own: an error of one hinders no other."""

    what: str
    """What it takes away, in the plural."""
    clean: Callable[[Context_contra, int], int]
    """Take it away from that age on (ms, by its date; 0 without `kept_ms`); how much it was."""
    kept_ms: Callable[[Context_contra], int] | None = None
    """How long it is kept by its date, 0 where the row itself says until when. None: its age is not asked about."""
    every_seconds: float = TURN_SECONDS
    of_host: bool = False
    """Whether each host does it for itself: of a cache that is its own, or by what its process alone knows."""

    def run(self, context: Context_contra) -> int:
        """Take away what is due; how much it was. Fault where the catalog fails.

        0 while the clock can't be trusted, or where another host has done it, or does.
        """
        age = 0 if self.kept_ms is None else update_deletion_age(context.catalog, self.kept_ms(context))
        if age is None:
            return 0
        if self.of_host:
            return self.clean(context, age)
        with chore(context.catalog, self.what, self.every_seconds) as is_turn:
            return self.clean(context, age) if is_turn else 0


class Schedule(Generic[Context_contra]):
    """Which of some cleaners are due: each at the first turn, and again after its `every_seconds`."""

    def __init__(
        self, cleaners: Sequence[Cleaner[Context_contra]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cleaners = cleaners
        self._next: dict[str, float] = {}
        self._clock = clock

    def due(self) -> Iterator[Cleaner[Context_contra]]:
        """Those whose time has come, in their order; what is given out counts as done."""
        for cleaner in self._cleaners:
            now = self._clock()
            if now >= self._next.get(cleaner.what, now):
                self._next[cleaner.what] = now + cleaner.every_seconds - TURN_SECONDS / 2  # turns come a little late
                yield cleaner
