"""The decoder processes of one server: started when first asked, killed when they take too long, ended when idle.

Whose question is next is decided by `question_queue`. What takes more than a moment is heavy: one heavy question at a
time is asked, so that a decoder stays free for the others. Which one is heavy is seen by its time alone, as a header
may claim anything: where all decoders are busy for more than a moment and another question waits, the younger one is
stopped and put back into the line as a heavy one. A moment is one of the processor's time: where the machine is busy
with other things, small pictures take long too, and to begin again would help nobody.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from typing import Final

from scandock.model import request_limits
from scandock.model.children import Child, Output, bare_environment, start_connected
from scandock.model.process import python_command
from scandock.viewing.decoder_messages import BodyNotStored, DecoderRequest, Message, OpenBody, receive, send
from scandock.viewing.question_queue import MAX_WAITING, Question, QuestionQueue, QueueFull, Requester

DECODERS: Final = 2
SECONDS: Final = 15.0
"""What one question may take, once it is its turn."""

PATIENCE: Final = 30.0
"""Seconds that a question waits for its turn."""

MOMENT: Final = request_limits.DECODER_MOMENT
"""Seconds of the processor's time after which a question is heavy."""

START_SECONDS: Final = 0.5
"""What a decoder's first question may take longer: the libraries are loaded with it."""

STUCK_SECONDS: Final = 10.0
"""After so many it is heavy as well where it waits for something else than the processor."""

IDLE_SECONDS: Final = 120.0
WORK: Final = 2_000
"""Questions after which a decoder is replaced: libraries in C lose memory."""

_LOOK_SECONDS: Final = 0.02
_HEAVY: Final = 2_000
"""Contents that are known to be heavy."""

OpenFiles = Callable[[], AbstractContextManager[Sequence[int]]]
"""Opens the files of a question once its turn has come: what waits holds no descriptor."""

_ENVIRONMENT: Final = {
    "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "PYTHONDONTWRITEBYTECODE": "1",
}  # fmt: skip
"""One thread each."""


class DecodersBusy(Exception):
    """Too many questions wait already; nothing is wrong with this one."""


class DecoderLost(Exception):
    """The decoder died of a question, or was killed as it took too long; `str` of it says which."""


class _Decoder:
    """One process and our end of the pair."""

    def __init__(self, words: Sequence[str], niceness: int) -> None:
        environment = bare_environment(_ENVIRONMENT)
        self.process, self.end = start_connected(
            lambda end: Child([*words, str(end.fileno())], (end.fileno(),), output=Output.NONE, environment=environment)
        )
        if niceness:
            os.setpriority(os.PRIO_PROCESS, self.process.pid, niceness)
        self.asked = 0
        self.late = False
        """Whether the last answer came so late that the kill may be under way."""
        self.since = time.monotonic()
        """When it was last given a question, or back."""
        self.question: _WaitingQuestion | None = None
        """What it is asked now."""
        self._clock = ~self.process.pid << 3 | 2  # as clock_getcpuclockid(3) makes it
        self._used = 0.0

    def give(self, question: _WaitingQuestion) -> None:
        """Note what it is asked from now on."""
        self.question, self.since, self._used = question, time.monotonic(), self._processor_seconds()
        self.asked += 1

    def seconds(self) -> tuple[float, float]:
        """What the question takes so far: of the processor's time, and of all."""
        return self._processor_seconds() - self._used, time.monotonic() - self.since

    def _processor_seconds(self) -> float:
        try:
            return time.clock_gettime(self._clock)
        except OSError:  # it has ended
            return self._used

    def ask(self, fields: DecoderRequest, files: Sequence[int], seconds: float, keep: OpenBody | None) -> Message:
        """DecoderLost where it gives no answer in time, or none that is one. BodyNotStored."""
        deadline = time.monotonic() + seconds
        killer = threading.Timer(seconds, self.process.kill)  # however slowly it sends, byte by byte
        killer.daemon = True
        killer.start()
        try:
            send(self.end, fields, b"", files)
            answer = receive(self.end, keep)
        except OSError:
            answer = None
        finally:
            killer.cancel()
        if answer is None or answer.files:
            self.terminate()
            if time.monotonic() >= deadline:
                raise DecoderLost(f"Decoding it took more than {seconds:.0f} seconds.")
            raise DecoderLost("It can't be decoded: decoding it failed.")
        self.late = time.monotonic() >= deadline
        return answer

    def terminate(self) -> None:
        self.process.kill()
        self.process.wait()
        self.end.close()


class _WaitingQuestion(Question):
    """A question of a thread, which waits for `turn`."""

    def __init__(self, asker: Requester, content: Hashable, *, heavy: bool) -> None:
        super().__init__(asker, heavy=heavy)
        self.content = content
        self.turn = threading.Event()
        self.decoder: _Decoder | None = None
        """The one that it may ask; None once its turn is there: none any more."""
        self.trouble: DecoderLost | None = None
        self.stopped = False
        """Its decoder was killed for the sake of others."""


class DecoderPool:
    """At most `DECODERS` of them. Their processes die with the thread that starts them, so one that lasts does that."""

    def __init__(
        self,
        words: Sequence[str] | None = None,
        *,
        seconds: float = SECONDS,
        idle: float = IDLE_SECONDS,
        moment: float = MOMENT,
        start: float = START_SECONDS,
        stuck: float = STUCK_SECONDS,
        line: int = MAX_WAITING,
        niceness: int = 0,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`niceness` is what its processes leave to others of the processor, as nice(1) has it.

        `note` is told of each question that was `refused`, as too many wait, or `put_back`, as it is heavy.
        """
        self.seconds = seconds
        self._idle = idle
        self._moment = moment
        self._start_seconds = start
        self._stuck = stuck
        self._niceness = niceness
        self._note = note
        self._words = words
        self._change = threading.Condition()
        self._free: list[_Decoder] = []
        self._all: set[_Decoder] = set()
        self._starting = 0
        self._turns: QuestionQueue[_WaitingQuestion] = QuestionQueue(line)
        self._heavy: OrderedDict[Hashable, None] = OrderedDict()
        self._closed = False
        self._keeper: threading.Thread | None = None

    def ask(
        self,
        fields: DecoderRequest,
        opened: OpenFiles,
        *,
        asker: Requester = Requester(),  # noqa: B008  frozen
        content: Hashable = None,
        seconds: float | None = None,
        keep: OpenBody | None = None,
    ) -> Message:
        """The answer to one question. `content` is what it is known by, should it come again.

        DecodersBusy, DecoderLost, BodyNotStored.
        """
        question = _WaitingQuestion(asker, content, heavy=content is not None and content in self._heavy)
        while True:
            decoder = self._take(question)
            try:
                return self._ask(decoder, question, fields, opened, seconds or self.seconds, keep)
            except DecoderLost:
                if not question.stopped:
                    raise
                self._note("put_back")
                question.stopped = False
                question.turn.clear()
            finally:
                self._remember(question)

    def _ask(
        self,
        decoder: _Decoder,
        question: _WaitingQuestion,
        fields: DecoderRequest,
        opened: OpenFiles,
        seconds: float,
        keep: OpenBody | None,
    ) -> Message:
        """Ask the decoder that was taken; it is free again, or gone, whatever comes of it."""
        usable = True
        try:
            with opened() as files:
                usable = False
                try:
                    answer = decoder.ask(fields, files, seconds, keep)
                except BodyNotStored:
                    usable = True
                    raise
                question.heavy = self._left(decoder) < 0
                usable = not (answer.said.get("spent") or decoder.late or decoder.asked >= WORK)
            return answer
        finally:
            self._give_back(decoder, usable=usable)

    def warm(self) -> None:
        """Have a decoder started, where there is none, for who is about to ask."""
        with self._change:
            self._bury()
            if not (self._closed or self._all or self._starting):
                self._starting = 1
                self._keep()
                self._change.notify_all()

    def close(self) -> None:
        """End them all."""
        with self._change:
            self._closed = True
            while (question := self._turns.next(heavy=True)) is not None:
                self._tell(question)
            self._change.notify_all()
            keeper = self._keeper
        if keeper is not None:
            keeper.join()
        with self._change:
            decoders, self._all, self._free = self._all, set(), []
        for decoder in decoders:
            decoder.terminate()

    @property
    def waiting(self) -> int:
        """How many questions wait for a decoder."""
        with self._change:
            return len(self._turns)

    @property
    def pids(self) -> list[int]:
        """The processes that there are."""
        with self._change:
            return [decoder.process.pid for decoder in self._all]

    def _remember(self, question: _WaitingQuestion) -> None:
        """Know a content for heavy, should it be asked for again, or for heavy no more."""
        if question.content is None:
            return
        with self._change:
            self._heavy.pop(question.content, None)
            if question.heavy:
                self._heavy[question.content] = None
                while len(self._heavy) > _HEAVY:
                    self._heavy.popitem(last=False)

    def _take(self, question: _WaitingQuestion) -> _Decoder:
        """Wait for a question's turn; the decoder that it is asked."""
        with self._change:
            try:
                if self._closed:
                    raise QueueFull
                leaving = self._turns.add(question)
            except QueueFull:
                self._note("refused")
                raise DecodersBusy from None
            if leaving is not None:
                self._tell(leaving)
            self._share()
            self._change.notify_all()
        in_time = question.turn.wait(PATIENCE)
        with self._change:
            if not in_time and not question.turn.is_set():
                self._turns.remove(question)
            if question.decoder is not None:
                return question.decoder
        if question.trouble is not None:
            raise question.trouble
        self._note("refused")
        raise DecodersBusy

    def _tell(
        self, question: _WaitingQuestion, decoder: _Decoder | None = None, trouble: DecoderLost | None = None
    ) -> None:
        """Let a question's thread go on, with a decoder or without. Called with the lock."""
        question.decoder, question.trouble = decoder, trouble
        question.turn.set()

    def _share(self) -> None:
        """Give decoders that are free to those whose turn it is, and have others started. Called with the lock."""
        self._bury()
        while self._free:
            question = self._turns.next(heavy=not self._has_heavy())
            if question is None:
                return
            decoder = self._free.pop()
            decoder.give(question)
            self._tell(question, decoder)
        needed = len(self._turns) if not self._has_heavy() else int(self._turns.has_light())
        if not self._closed and len(self._all) + self._starting < DECODERS and self._starting < needed:
            self._starting += 1
            self._keep()
            self._change.notify_all()

    def _has_heavy(self) -> bool:
        return any(decoder.question is not None and decoder.question.heavy for decoder in self._all)

    def _bury(self) -> None:
        """Forget decoders that died without a question (killed for memory)."""
        for decoder in [decoder for decoder in self._free if decoder.process.poll() is not None]:
            self._free.remove(decoder)
            self._all.discard(decoder)
            decoder.terminate()

    def _give_back(self, decoder: _Decoder, *, usable: bool) -> None:
        """Free a decoder, or end it where it can't be asked again."""
        with self._change:
            question, decoder.question = decoder.question, None
            decoder.since = time.monotonic()
            if usable and not (question is not None and question.stopped):  # which may have come too late
                self._free.append(decoder)
                self._share()
                return
        decoder.terminate()
        with self._change:
            self._all.discard(decoder)
            self._share()

    def _left(self, decoder: _Decoder) -> float:
        """Seconds until what a decoder is asked is heavy, at least; below 0 once it is."""
        processor, whole = decoder.seconds()
        allowed = self._moment + (self._start_seconds if decoder.asked == 1 else 0)
        return min(allowed - processor, self._stuck - whole)

    def _keep(self) -> None:
        """Have a keeper; called with the lock."""
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._run, name="decoders", daemon=True)
            self._keeper.start()

    def _run(self) -> None:
        """Start what is asked for, stop what keeps others waiting, and end what nobody has asked for a while."""
        with self._change:
            while not self._closed:
                if self._starting:
                    self._start()
                self._end_idle()
                wait = self._stop_heavy()
                if not (self._starting or self._closed):  # it may have been closed while one was started
                    self._change.wait(wait)

    def _stop_heavy(self) -> float | None:
        """Stop the younger of questions that keep all decoders for long while others wait; when to look again."""
        idle = self._idle / 4 if self._all else None
        if not self._turns.has_light() or self._free or self._starting or len(self._all) < DECODERS:
            return idle
        seconds_left = max(self._left(decoder) for decoder in self._all)
        if seconds_left > 0:
            return max(seconds_left, _LOOK_SECONDS)
        busy = sorted(
            (decoder for decoder in self._all if decoder.question is not None), key=lambda decoder: decoder.since
        )
        for decoder in busy:
            if decoder.question is not None:
                decoder.question.heavy = True
                self._remember(decoder.question)
        youngest = busy[-1] if len(busy) == DECODERS else None
        if youngest is None or youngest.question is None or youngest.question.stopped:  # one is on its way back
            return self._moment
        youngest.question.stopped = True
        youngest.process.kill()
        return idle

    def _start(self) -> None:
        self._change.release()
        new_decoder: _Decoder | None = None
        failed: OSError | None = None
        try:
            new_decoder = _Decoder(self._words or python_command("scandock.viewing.decoder"), self._niceness)
        except OSError as error:
            failed = error
        finally:
            self._change.acquire()
        self._starting -= 1
        if new_decoder is not None:
            self._all.add(new_decoder)
            self._free.append(new_decoder)
            self._share()
        elif failed is not None and (question := self._turns.next(heavy=True)) is not None:
            self._tell(
                question, trouble=DecoderLost("The server can't decode images just now. Load it again in a moment.")
            )
            self._share()

    def _end_idle(self) -> None:
        now = time.monotonic()
        for decoder in [decoder for decoder in self._free if now - decoder.since > self._idle]:
            self._free.remove(decoder)
            self._all.discard(decoder)
            decoder.terminate()
