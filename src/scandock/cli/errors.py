"""What goes wrong, in one sentence with a remedy, and its exit code. Never a traceback, unless one asks for it."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable
from typing import Final, TextIO

from scandock.cli.consoles import output_fault, print_line, tolerate_closed_pipe
from scandock.model.errors import BadInput, ScandockError, Usage

FAULT: Final = 1
USAGE: Final = 2
FINDINGS: Final = 3
REFUSED: Final = 4
INTERRUPTED: Final = 130

REMEDIES: Final = {
    "project_unknown": "Make it (scandock admin project add ID --data DIR), or name the data folder that has it"
    " (--data DIR); an import makes it with --create-project.",
}
"""Remedies in words of the command line, for errors that other doors meet as well."""


def exit_code(error: ScandockError) -> int:
    """2 for a wrong request, 4 for input that can't be taken, 1 for a fault of the machine."""
    if isinstance(error, Usage):
        return USAGE
    return REFUSED if isinstance(error, BadInput) else FAULT


def error_sentence(error: ScandockError) -> str:
    """Message and remedy of `error`."""
    return f"{error.message} {REMEDIES.get(error.code, error.remedy)}".strip()


def print_error(error: ScandockError) -> int:
    """Print `error` on stderr; its exit code."""
    print_line(f"Error: {error_sentence(error)}")
    return exit_code(error)


def describe_unexpected(error: BaseException, *, quotes: bool = True) -> str:
    """One sentence on an error that nobody foresaw; the traceback goes to a file, or to stderr with SCANDOCK_DEBUG=1.

    The file is readable by its owner alone: tracebacks may quote names from headers. Without `quotes` they don't: they
    say where it was alone.
    """
    import traceback

    description = f"{type(error).__name__}: {error}" if str(error) and quotes else type(error).__name__
    text = "".join(traceback.format_exception(error)) if quotes else _format_places(error)
    if os.environ.get("SCANDOCK_DEBUG") == "1":
        for text_line in text.splitlines():
            print_line(text_line)
        return f"An unexpected error: {description}."
    import tempfile

    try:
        handle, name = tempfile.mkstemp(prefix="scandock-error-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return f"An unexpected error: {description}. SCANDOCK_DEBUG=1 shows where."
    return f"An unexpected error: {description}. Where it came from is written in {name}; please report it."


def _format_places(error: BaseException | None) -> str:
    """Where an error was raised, and those behind it, with no word of theirs."""
    import traceback

    parts = []
    while error is not None:
        parts += [f"{type(error).__name__}\n", *traceback.format_tb(error.__traceback__)]
        error = error.__cause__ or error.__context__
    return "".join(parts)


def print_unexpected(error: BaseException) -> int:
    """Print `unexpected` on stderr; exit code 1."""
    message = describe_unexpected(error)
    print_line(f"Error: {message}")
    return FAULT


def run_to_exit_code(run: Callable[[], int | None]) -> int:
    """Run a command; its exit code, where errors end as one sentence on stderr. `run` may also end by SystemExit."""
    try:
        return run() or 0
    except SystemExit as exit_error:
        return exit_error.code if isinstance(exit_error.code, int) else int(exit_error.code is not None)
    except ScandockError as error:
        return print_error(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            return print_unexpected(error)
        return print_error(output_fault(error))  # typer's own printing, of --help
    except Exception as error:  # noqa: BLE001 -- the last fence: a person gets a sentence, whatever it was
        return print_unexpected(error)
    finally:
        for stream in (sys.stdout, sys.stderr):
            flush_stream(stream)


def flush_stream(stream: TextIO) -> None:
    """The last flush of a stream; what it can't take any more has no reader, or was said before."""
    with contextlib.suppress(ScandockError), tolerate_closed_pipe(stream):
        stream.flush()
