"""What the web process keeps for pictures: its decoders, their line, and what was made or failed lately."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from scandock.viewing.cache import Cache
from scandock.viewing.decoders import Busy, Decoders, Lost
from scandock.viewing.exchange import Message
from scandock.viewing.stack import Stack

if TYPE_CHECKING:
    from scandock.services.settings import Settings

THREADS: Final = 12
BUSY: Final = "Many pictures are being made just now. Load it again in a moment."
_STACKS: Final = 12
_FAILED: Final = 2_000
_FAILED_SECONDS: Final = 600.0
_VIEW_SECONDS: Final = 3600.0
_VIEWS: Final = 20_000
_TIDY_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Made:
    """What a decoder made, or the reason why it did not; `lasting`: asked again, the answer is the same."""

    said: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""
    reason: str = ""
    lasting: bool = True


class Pictures:
    """What the web process keeps for pictures: the decoders, their threads, and what was made lately."""

    def __init__(self, data: str, settings: Settings) -> None:
        self.decoders = Decoders()
        self.cache = Cache(data, settings.cache_bytes, settings.min_free_bytes)
        self.threads = ThreadPoolExecutor(THREADS, "pictures")
        self._lock = threading.Lock()
        self._tidy_at = 0.0
        self._stacks: OrderedDict[tuple[str, int], Stack] = OrderedDict()
        self._failed: OrderedDict[tuple[Any, ...], tuple[float, str]] = OrderedDict()
        self._views: OrderedDict[tuple[Any, ...], float] = OrderedDict()

    def close(self) -> None:
        self.decoders.close()
        self.threads.shutdown(wait=True)

    def ask(
        self, said: dict[str, Any], files: Sequence[int], key: tuple[Any, ...], seconds: float | None = None
    ) -> Made:
        """Ask a decoder; what killed one, or took too long, is not tried again for a while (by `key`)."""
        with self._lock:
            before = self._failed.get(key)
            if before is not None and time.monotonic() - before[0] < _FAILED_SECONDS:
                return Made(reason=before[1], lasting=False)
        try:
            answer: Message = self.decoders.ask(said, files, seconds)
        except Busy:
            return Made(reason=BUSY, lasting=False)
        except Lost as lost:
            self._put(self._failed, key, (time.monotonic(), str(lost)), _FAILED)
            return Made(reason=str(lost), lasting=False)
        return Made(answer.said, answer.body, str(answer.said.get("reason", "")))

    def known(self, key: tuple[str, int]) -> Stack | None:
        with self._lock:
            found = self._stacks.get(key)
            if found is not None:
                self._stacks.move_to_end(key)
            return found

    def remember(self, key: tuple[str, int], stack: Stack) -> None:
        self._put(self._stacks, key, stack, _STACKS)

    def is_new_view(self, who: tuple[Any, ...]) -> bool:
        """Whether this person was not noted at this session within the hour; they are now."""
        now = time.monotonic()
        with self._lock:
            before = self._views.get(who)
            if before is not None and now - before < _VIEW_SECONDS:
                return False
        self._put(self._views, who, now, _VIEWS)
        return True

    def is_time_to_tidy(self) -> bool:
        """Whether what is kept on disk was not looked through for a while; it is now."""
        now = time.monotonic()
        with self._lock:
            if now < self._tidy_at:
                return False
            self._tidy_at = now + _TIDY_SECONDS
            return True

    def _put(self, kept: OrderedDict[Any, Any], key: object, value: object, most: int) -> None:
        with self._lock:
            kept[key] = value
            kept.move_to_end(key)
            while len(kept) > most:
                kept.popitem(last=False)
