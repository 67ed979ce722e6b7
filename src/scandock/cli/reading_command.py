"""`scandock import` and `scandock inspect` from their first moment on: their readers' server starts before all else.

It loads what readers need beside what the command loads, which is little where its words are plain.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

from scandock.workers.readers import own_reader_server

_HELP = frozenset({"-h", "--help"})


def run_reading_command(words: Sequence[str]) -> int:
    """Run the command of these words, the first of which is its name; the exit code."""
    if not _HELP.isdisjoint(words):
        return _run_by_typer()
    with own_reader_server():
        from scandock.cli.plain_words import parse_plain_words

        command, *options = words
        values = parse_plain_words(options)
        has_data = values is not None and "data" in values
        if values is None or not (has_data or (command == "inspect" and "SCANDOCK_DATA" not in os.environ)):
            return _run_by_typer()
        from scandock.cli.errors import run_to_exit_code

        return run_to_exit_code(partial(_run_plain, command, **values))


def _run_plain(command: str, archives: Sequence[str], **values: Any) -> int:  # noqa: ANN401  options of a command
    from dataclasses import fields

    from scandock.cli.archive_commands import import_archives, inspect_archives
    from scandock.cli.import_options import ImportOptions

    asked = ImportOptions(
        **{field.name: values.pop(field.name) for field in fields(ImportOptions) if field.name in values}
    )
    gc.freeze()
    gc.enable()
    return (import_archives if command == "import" else inspect_archives)(archives, asked=asked, **values)


def _run_by_typer() -> int:
    from scandock.cli.app import main

    return main()
