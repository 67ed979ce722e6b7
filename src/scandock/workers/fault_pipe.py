"""How an attempt that could not write down its end tells its worker what stopped it: the catalog itself may be away."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Final, Self

from scandock.model.errors import Fault

NO_PIPE: Final = -1
"""In place of a descriptor: nobody listens."""
_LONGEST = 4096
"""Characters of a text: all of it fits into a pipe that nobody reads yet."""
_BYTES = 65_536


class FaultPipe:
    """A worker's end. `writing` is the descriptor that the attempt is given; `begun` closes it here."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def begun(self) -> Self:
        """The attempt has a descriptor of its own, or never will."""
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = NO_PIPE
        return self

    def end(self) -> Fault | None:
        """What an attempt that has ended told, once; None where it told nothing. Closes the pipe."""
        self.begun()
        if self._reading < 0:
            return None
        reading, self._reading = self._reading, NO_PIPE
        try:
            data = os.read(reading, _BYTES)
        except BlockingIOError:  # something that it started has the descriptor still
            return None
        finally:
            os.close(reading)
        return Fault(*json.loads(data)) if data else None


def send_fault(writing: int, fault: Fault) -> None:
    """Tell the worker, if it listens."""
    texts = [text[:_LONGEST] for text in (fault.code, *fault.public)]
    if writing >= 0:
        with contextlib.suppress(OSError):
            os.write(writing, json.dumps(texts).encode())
