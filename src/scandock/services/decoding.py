"""What the web process keeps for pictures: its decoders, their line, and what was made or failed lately."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError
from scandock.services.response_buffers import BufferedFile, ResponseBuffers
from scandock.viewing.cache import ImageCache
from scandock.viewing.decoder_messages import BodyNotStored, DecoderRequest, JsonObject, Message
from scandock.viewing.decoder_pool import DECODERS, DecoderLost, DecoderPool, DecodersBusy, OpenFiles
from scandock.viewing.question_queue import MAX_WAITING, Requester
from scandock.viewing.stack import Stack

if TYPE_CHECKING:
    from scandock.services.settings import Settings

T = TypeVar("T")

MAX_WORKING: Final = 12
"""Threads that are at work at once: those that wait for a decoder are none of them."""

MAX_FINDING: Final = 4
"""Threads that find out at once who asks, and for what: all connections to the catalog are not theirs."""

THREADS: Final = MAX_WAITING + DECODERS + MAX_WORKING
"""One for each question that waits or is asked. A thread that waits costs little."""

BUSY: Final = "Many pictures are being made just now. Load it again in a moment."
NO_ROOM: Final = "There is no room on the server for it just now. Load it again in a moment."
_LARGE: Final = frozenset({"raw", "picture", "objects", "native", "stored", "explicit", "rendered", "bulk"})
"""What may have a large body."""

_STACKS: Final = 12
_STACK_IMAGES: Final = 300_000
"""Of all stacks that are remembered; the last one is in any case."""

_FAILED: Final = 2_000
_FAILED_SECONDS: Final = 600.0
_VIEW_SECONDS: Final = 3600.0
_VIEWS: Final = 20_000


@dataclass(frozen=True, slots=True)
class DecoderResult:
    """What a decoder made, or the reason why it did not; `lasting`: asked again, the answer is the same.

    A large body is in `file`, which whoever takes it closes.
    """

    said: JsonObject = field(default_factory=dict)
    body: bytes = b""
    reason: str = ""
    lasting: bool = True
    file: BufferedFile | None = None


class _BodyBuffer:
    """Where the body of one answer is kept while it waits for its client."""

    def __init__(self, pictures: Pictures, asker: Requester) -> None:
        self._pictures = pictures
        self._asker = asker
        self.file: BufferedFile | None = None

    def __call__(self, size: int) -> IO[bytes]:
        """ResponseBuffersFull, OSError."""
        self.close()  # of a question that was put back
        hold = self._pictures.held.hold(self._asker.who, size)
        file = self._pictures.cache.open_unnamed(size)
        self.file = BufferedFile(file, hold)
        return file

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None


class Pictures:
    """What the web process keeps for pictures: the decoders, their threads, and what was made lately."""

    def __init__(
        self,
        data: str,
        settings: Settings,
        buffers: ResponseBuffers,
        note: Callable[[str], None] = lambda _: None,
        *,
        niceness: int = 0,
    ) -> None:
        """`note` is told of questions as by `DecoderPool`; `niceness` is that of its processes."""
        self.decoders = DecoderPool(niceness=niceness, note=note)
        self.held = buffers
        self.cache = ImageCache(data, settings.cache_bytes, settings.min_free_bytes)
        self.threads = ThreadPoolExecutor(THREADS, "pictures")
        self._working = threading.Semaphore(MAX_WORKING)
        self._finding = threading.Semaphore(MAX_FINDING)
        self._lock = threading.Lock()
        self._stacks: OrderedDict[tuple[str, int], tuple[int, Stack]] = OrderedDict()
        self._failed: OrderedDict[tuple[Any, ...], tuple[float, str]] = OrderedDict()
        self._views: OrderedDict[tuple[Any, ...], float] = OrderedDict()

    def close(self) -> None:
        self.decoders.close()
        self.threads.shutdown(wait=True)

    def find(self, call: Callable[[], T]) -> T:
        """Find out who asks and for what, in one of `threads`, before `work`: who may not has no place there."""
        with self._finding:
            return call()

    def work(self, call: Callable[[], T]) -> T:
        """Do what asks decoders, in one of `threads`: few at once, those aside that wait for their turn."""
        with self._working:
            return call()

    def ask(
        self,
        request: DecoderRequest,
        open_files: OpenFiles,
        key: tuple[Any, ...],
        *,
        asker: Requester,
        seconds: float | None = None,
    ) -> DecoderResult:
        """Ask a decoder; what killed one, or took too long, is not tried again for a while (by `key`).

        ResponseBuffersFull.
        `key` begins with what is asked and the content that it is asked of: what is slow is known by these two.
        """
        with self._lock:
            failure = self._failed.get(key)
            if failure is not None and time.monotonic() - failure[0] < _FAILED_SECONDS:
                return DecoderResult(reason=failure[1], lasting=False)
        body_buffer = _BodyBuffer(self, asker)
        try:
            answer = self._answer(request, open_files, body_buffer, asker=asker, content=key[:2], seconds=seconds)
        except DecodersBusy:
            return DecoderResult(reason=BUSY, lasting=False)
        except DecoderLost as lost:
            self._put(self._failed, key, (time.monotonic(), str(lost)), _FAILED)
            return DecoderResult(reason=str(lost), lasting=False)
        except BodyNotStored as error:
            if isinstance(error.__cause__, ScandockError):
                raise error.__cause__ from None
            return DecoderResult(reason=NO_ROOM, lasting=False)
        if body_buffer.file is not None and request["verb"] not in _LARGE:  # no decoder of ours does that
            body_buffer.close()
            return DecoderResult(reason="Its picture is too large.", lasting=False)
        return DecoderResult(answer.said, answer.body, str(answer.said.get("reason", "")), file=body_buffer.file)

    def _answer(self, request: DecoderRequest, open_files: OpenFiles, body_buffer: _BodyBuffer, **more: Any) -> Message:  # noqa: ANN401
        """Wait for the decoder's answer, while another thread may work."""
        try:
            return self.aside(lambda: self.decoders.ask(request, open_files, keep=body_buffer, **more))
        except BaseException:
            body_buffer.close()
            raise

    def aside(self, call: Callable[[], T]) -> T:
        """Do what only waits, within `work`, while another thread may work."""
        self._working.release()
        try:
            return call()
        finally:
            self._working.acquire()

    def known(self, key: tuple[str, int], of_round: int | None) -> Stack | None:
        """A stack that was remembered in a round of verification; None: in any."""
        with self._lock:
            known_round, stack = self._stacks.get(key, (None, None))
            if of_round is not None and known_round != of_round:
                return None
            if stack is not None:
                self._stacks.move_to_end(key)
            return stack

    def remember(self, key: tuple[str, int], of_round: int, stack: Stack) -> None:
        self._put(self._stacks, key, (of_round, stack), _STACKS)
        with self._lock:
            while (
                len(self._stacks) > 1
                and sum(len(each_stack.images) for _, each_stack in self._stacks.values()) > _STACK_IMAGES
            ):
                self._stacks.popitem(last=False)

    def is_new_view(self, viewer: tuple[Any, ...]) -> bool:
        """Whether this person was not noted at this session within the hour; they are now."""
        now = time.monotonic()
        with self._lock:
            seen_at = self._views.get(viewer)
            if seen_at is not None and now - seen_at < _VIEW_SECONDS:
                return False
        self._put(self._views, viewer, now, _VIEWS)
        return True

    def forget_view(self, viewer: tuple[Any, ...]) -> None:
        """It could not be noted."""
        with self._lock:
            self._views.pop(viewer, None)

    def _put(self, cache: OrderedDict[Any, Any], key: object, value: object, max_entries: int) -> None:
        with self._lock:
            cache[key] = value
            cache.move_to_end(key)
            while len(cache) > max_entries:
                cache.popitem(last=False)
