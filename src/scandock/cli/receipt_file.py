"""--receipt FILE: checked before the import, written after it, one file for all archives."""

from __future__ import annotations

import contextlib
import io
import os
from typing import Literal, Protocol, TextIO, cast

from scandock.cli.checks import error_reason
from scandock.cli.command_errors import ReceiptFailed, ReceiptNotWritable

Format = Literal["jsonl", "csv"]


class ReceiptSource(Protocol):
    """Whatever has a receipt to write."""

    def write_receipt(self, fileobj: TextIO, fmt: Format = "jsonl") -> None: ...


class ReceiptFile:
    """The file of --receipt. Opened without touching what is there, so that a command that fails leaves it as it was.

    Raises Usage (`receipt_not_writable`) where FILE can't be written; `add` raises Fault (`receipt_failed`) where the
    lines can't be written after all (a full disk).
    """

    def __init__(self, name: str, fmt: Format) -> None:
        self.name, self._format = name, fmt
        self._archives = 0
        self.written = False
        """Whether it holds what became of every archive that has a receipt."""
        self._made = not os.path.lexists(name)
        try:
            handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except (OSError, ValueError) as error:
            raise ReceiptNotWritable(
                f"--receipt {name!r} can't be written: {error_reason(error)}.",
                "Name a file in a folder that you may write to.",
            ) from None
        self._file = os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="")

    def add(self, result: ReceiptSource) -> None:
        """Append the lines of one archive; the first one empties the file."""
        self.written = False
        try:
            if self._archives == 0 and os.path.isfile(self.name):
                self._file.truncate(0)
            self._archives += 1
            if self._format == "csv" and self._archives > 1:
                result.write_receipt(cast("TextIO", _SkipFirstLine(self._file)), "csv")
            else:
                result.write_receipt(self._file, self._format)
            self._file.flush()
            self.written = True
        except OSError as error:
            raise ReceiptFailed(
                f"The receipt could not be written to {self.name!r}: {error_reason(error)}.",
                "The import itself stands as said; import the archive again to get another receipt.",
            ) from error

    def close(self) -> None:
        """Done; a file that got no line and was not there before goes away again."""
        with contextlib.suppress(OSError):
            self._file.close()
        if self._archives == 0 and self._made:
            with contextlib.suppress(OSError):
                os.unlink(self.name)


class _SkipFirstLine(io.TextIOBase):
    """Passes on everything after the first line: one file of several archives has one heading."""

    def __init__(self, target: TextIO) -> None:
        self._target, self._passed = target, False

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if self._passed:
            self._target.write(text)
        else:
            _heading, newline, rest = text.partition("\n")
            self._passed = bool(newline)
            self._target.write(rest)
        return len(text)
