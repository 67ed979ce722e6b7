"""The reader processes of one import: started, fed, listened to, buried."""

from __future__ import annotations

import contextlib
import signal
from collections import deque
from collections.abc import Callable
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from scandock.model.children import start_connected
from scandock.model.dataclass import dataclass
from scandock.model.entry import Container, Entry
from scandock.model.errors import BadInput, Fault, LimitExceeded
from scandock.model.limits import Limits
from scandock.model.readiness import wait_readable
from scandock.workers.errors import OutOfMemory, ReaderFailed
from scandock.workers.reader_counters import ReaderCounters
from scandock.workers.readers import RunningReader, are_quick, start_reader
from scandock.workers.wire import Wire

if TYPE_CHECKING:
    from scandock.pipeline.entry_filter import FilterSetup

MAX_KILLS = 3
"""Readers killed from outside (lack of memory) before the import gives up."""


class ReaderFailure(Exception):
    """An error of a reader that nobody foresaw: a mistake of ours, as if the import itself had made it."""


class _ReaderTraceback(Exception):
    """Where in the reader it came from; never raised, it shows in the traceback of the error that it caused."""

    def __str__(self) -> str:
        return f"in a reader:\n{self.args[0]}"


@dataclass(slots=True)
class Task:
    """A range of entries; `resume` and `avoid` are set when a reader has died at it."""

    kind: str
    container: Container
    payload: Any
    """What its reader is told to read; None once that is done, as all ranges of a zip have 140 bytes an entry."""
    resume: bytes = b""
    avoid: set[bytes] = field(default_factory=set)
    suspects: set[bytes] = field(default_factory=set)


class ReaderListener(Protocol):
    """What an import does with what its readers find."""

    def entries(self, entries: list[Entry], segment: str, offsets: list[int]) -> None: ...
    def study(self, study_uid: str, patient_id: bytes, patient_name: bytes) -> None: ...
    def container(self, container: Container) -> list[Task]: ...
    def damaged(self, container: bytes, code: str, message: str) -> None: ...
    def note(self, code: str, message: str) -> None: ...
    def tally(self, container: bytes, values: tuple[Any, ...]) -> None: ...
    def scrubbed(self, outcomes: list[tuple[Any, ...]], counted: list[tuple[Any, ...]]) -> None: ...
    def tick(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class ReaderSetup:
    """What every reader is told at its start."""

    root: str
    upload: str
    token: str
    limits: Limits
    received: int
    wanted: frozenset[int]
    keep_images: bool
    keep_loose: bool
    filters: FilterSetup | None = None
    hash_datasets: bool = False
    """Whether they tell the digest of each object's data set."""
    rules: list[tuple[tuple[object, ...], bytes]] = field(default_factory=list)
    """By which objects are de-identified (`rules.privacy`), where they do that, and which UIDs stay by each."""
    names: tuple[object, ...] = ()
    """What messages call entries (`workers.entry_names`), where their names may not be known."""
    early: dict[str, str] | None = None
    """What scripts know by name, where the only rules are applied to objects as they are read."""
    is_ahead: bool = False
    """Whether the archive is still being received: that goes first, and so do imports of what is here."""
    segment_files: int = 0
    """How many images each reader may put into a segment (`store/segment_writer.py`)."""


Hear = Callable[["Task", tuple[Any, ...]], list["Task"]]
"""What is done with what a reader tells of a task; gives tasks that are to be done as well."""
MoreTasks = Callable[[], "list[Task] | None"]
"""What else is to be done by now, each time that it is asked; None once there will be no more. It waits for nothing."""
WAIT_SECONDS = 0.1
FEED_SECONDS = 0.01
"""The same while more tasks are to come."""


class _Reader:
    def __init__(self, index: int, process: RunningReader, wire: Wire) -> None:
        self.index = index
        self.process = process
        self.wire = wire
        self.task: Task | None = None


class ReaderPool:
    """Up to `size` readers over one board, as many as there is work for; `run` returns when every task is done."""

    def __init__(self, size: int) -> None:
        self._setup: ReaderSetup | None = None
        self.size = size
        self._most = size
        """Readers at a time: fewer where memory was short."""
        self.board = ReaderCounters.create(size)
        self.readers: dict[int, _Reader] = {}
        self.deaths = 0
        self.kills = 0
        self.reread = False
        """Whether a reader died, so that files that no entry tells of may lie in the stage."""

    def start(self, count: int) -> None:
        """Start some before it is known how many have work, where they take a moment to come up."""
        if not are_quick():
            for _ in range(min(count, self.size)):
                self._add()

    def _add(self) -> _Reader:
        index = next(index for index in range(self.size) if index not in self.readers)
        reader = self.readers[index] = self._spawn(index)
        return reader

    def _spawn(self, index: int) -> _Reader:
        process, ours = start_connected(lambda end: start_reader(end, self.board.fds))
        reader = _Reader(index, process, Wire(ours))
        if self._setup is not None:
            self._tell(reader, self._setup)
        return reader

    def expect_scrub(self) -> None:
        """Have readers that wait for their setup load what de-identifies, since they will need it."""
        for reader in self.readers.values():
            with contextlib.suppress(OSError):
                reader.wire.send(("expect scrub",))

    def setup(self, setup: ReaderSetup) -> None:
        """Tell every reader, those to come too, what it works on; they were started before to lose no time."""
        self._setup = setup
        for reader in self.readers.values():
            self._tell(reader, setup)

    def _tell(self, reader: _Reader, setup: ReaderSetup) -> None:
        words = (
            setup.root, setup.upload, setup.token, *self.board.fds, reader.index, setup.limits._asdict(),
            setup.received, list(setup.wanted), setup.keep_images, setup.keep_loose, setup.filters,
            setup.hash_datasets, setup.rules, setup.names, setup.early, setup.is_ahead,
            setup.segment_files,
        )  # fmt: skip
        with contextlib.suppress(OSError):  # it died: who listens to it finds out
            reader.wire.send(words)

    def run(
        self,
        tasks: list[Task],
        listener: ReaderListener,
        cancelled: Callable[[], bool],
        more: MoreTasks | None = None,
    ) -> None:
        """Work through the tasks of an archive and what they announce, and `more` that come. Raises as `work` does."""
        self.work(tasks, partial(_tell_listener, listener), listener.tick, cancelled, more)

    def work(
        self,
        tasks: list[Task],
        hear: Hear,
        tick: Callable[[], object],
        cancelled: Callable[[], bool],
        more: MoreTasks | None = None,
    ) -> None:
        """Work through the tasks and what comes of them. Raises LimitExceeded, BadInput or Fault, as a reader said."""
        waiting = deque(tasks)
        while True:
            if more is not None:
                new_tasks = more()
                waiting.extend(new_tasks or ())
                more = None if new_tasks is None else more
            for reader in self.readers.values():
                if reader.task is None and waiting:
                    self._give(reader, waiting.popleft())
            while waiting and len(self.readers) < self._most:
                self._give(self._add(), waiting.popleft())
            busy = {r.wire.fileno(): r for r in self.readers.values() if r.task is not None}
            if not busy and not waiting and more is None:
                return
            if cancelled():
                raise InterruptedError
            for fd in wait_readable(busy, WAIT_SECONDS if more is None else FEED_SECONDS):
                self._hear(busy[fd], waiting, hear)
            tick()

    def _give(self, reader: _Reader, task: Task) -> None:
        reader.task = task
        try:
            reader.wire.send(
                (
                    task.kind,
                    tuple(task.container._replace(kind=str(task.container.kind))),
                    task.payload,
                    task.resume,
                    list(task.avoid),
                )
            )
        except OSError:
            return  # it died: the next receive finds out and gives the task to another

    def _hear(self, reader: _Reader, waiting: deque[Task], hear: Hear) -> None:
        message = reader.wire.receive()
        task = reader.task
        assert task is not None
        if message is None:
            self._bury(reader, waiting)
            return
        if message[0] == "done":
            reader.task = task.payload = None
        elif message[0] in _ERRORS:
            raise _message_error(message)
        else:
            waiting.extend(hear(task, message))

    def _bury(self, reader: _Reader, waiting: deque[Task]) -> None:
        """A reader is gone: give its task to a fresh one, told where to go on and what to leave out."""
        code = reader.process.wait()
        reader.wire.close()
        del self.readers[reader.index]
        task = reader.task
        assert task is not None
        self.reread = True
        if reader.process.server_died:
            pass  # by no fault of what it read, and others of it died by the same
        elif code == -signal.SIGKILL:
            self.kills += 1
            self._most = max(1, self._most - 1)
            if self.kills >= MAX_KILLS:
                raise OutOfMemory(
                    "Readers were killed again and again, as happens when memory runs out.",
                    "Give the machine more memory, or use fewer readers.",
                )
        else:
            self.deaths += 1
            suspect = self.board.current(reader.index)
            if not suspect and self.deaths > 2 * self.size:
                raise ReaderFailed
            if suspect in task.suspects:
                task.avoid.add(suspect)
            elif suspect:
                task.suspects.add(suspect)
        self.board.set_current(reader.index, b"")
        waiting.appendleft(task)

    def dismiss(self) -> None:
        """Kill what still runs, without waiting for that: `stop` does, which is to be called later."""
        self.board.end_wait()
        for reader in self.readers.values():
            reader.process.kill()

    def stop(self) -> None:
        """Kill what still runs, and wait until all are gone."""
        self.dismiss()
        for reader in self.readers.values():
            reader.process.wait()
            reader.wire.close()
        self.readers.clear()

    def close(self) -> None:
        self.stop()
        self.board.close()


_ERRORS = ("limit", "bad", "fault", "crash")


def _tell_listener(listener: ReaderListener, task: Task, message: tuple[Any, ...]) -> list[Task]:
    """Tell a listener what a reader found in an archive."""
    kind = message[0]
    if kind == "entries":
        entries = [Entry(*values) for values in message[1]]
        task.resume = max(task.resume, entries[-1].ordinal)
        listener.entries(entries, message[3], message[4])
        for container_number, *counted in message[2]:
            listener.tally(container_number, tuple(counted))
        if len(message) > 5:
            listener.scrubbed(message[5], message[6])
    elif kind == "study":
        listener.study(*message[1:])
    elif kind == "container":
        container = Container(*message[1])
        task.resume = max(task.resume, container.ordinal)  # it is shared now: nobody opens it a second time
        return listener.container(container)
    elif kind == "damaged":
        listener.damaged(*message[1:])
    elif kind == "note":
        listener.note(*message[1:])
    return []


def _message_error(message: tuple[Any, ...]) -> Exception:
    kind = message[0]
    if kind == "limit":
        return LimitExceeded(*message[1:])
    if kind == "bad":
        return BadInput(*message[1:])
    if kind == "fault":
        fault = Fault(*message[2:])
        fault.quotes = message[1]
        return fault
    error = ReaderFailure(message[1])
    error.__cause__ = _ReaderTraceback(message[2])
    return error
