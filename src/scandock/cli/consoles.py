"""Where output goes: rich on a terminal, plain lines into a pipe, and no fuss when the reader has gone."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from scandock.cli.command_errors import OutputFailed
from scandock.cli.text_format import printable
from scandock.model.errors import Fault

if TYPE_CHECKING:
    from rich.console import Console


def is_terminal(stream: TextIO) -> bool:
    """True where a person sees `stream` and it understands more than plain lines."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # closed
        return False


def make_console(stream: TextIO) -> Console:
    """Rich on `stream`, without markup, emoji or highlighting: names must come out as they are. NO_COLOR is rich's."""
    from rich.console import Console

    return Console(file=stream, markup=False, emoji=False, highlight=False)


def print_line(text: str, stream: TextIO | None = None) -> None:
    """One line for people, made harmless, on stderr or `stream`."""
    target = sys.stderr if stream is None else stream
    with tolerate_closed_pipe(target):
        target.write(printable(text) + "\n")
        target.flush()


@contextlib.contextmanager
def tolerate_closed_pipe(stream: TextIO) -> Iterator[None]:
    """Writing to a pipe whose reader has gone (`| head`) is no error of the import: the rest goes nowhere.

    Raises Fault (`output_failed`) where stdout takes no more for another reason (a full disk).
    """
    try:
        yield
        stream.flush()
    except BrokenPipeError:
        _send_nowhere(stream)
    except OSError as error:
        _send_nowhere(stream)
        if stream is not sys.stderr:  # a terminal that was closed takes no errors, and nobody is there to read them
            raise output_fault(error) from error


def output_fault(error: OSError) -> Fault:
    """What is said where stdout takes no more."""
    return OutputFailed(str(error.strerror).lower())


def _send_nowhere(stream: TextIO) -> None:
    """Python flushes again when it ends; that must find a descriptor that takes what is left."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
