"""The command line.

This module is what the console script imports, in every process that `spawn` starts as well: it stays empty of imports.
"""

from __future__ import annotations

_COLLECT_AFTER = 50_000
"""New objects between two searches for garbage, once a command is made."""
_INTERRUPTED = 130
"""Exit code of a command that was interrupted (`errors.INTERRUPTED`)."""


def _open_missing_streams() -> None:
    """Where the caller closed a standard stream (`>&-`), let it lead nowhere.

    Python has None in its place then, and the next file that is opened would get its number: what is meant for the
    stream, by whatever process, would go into the catalog.
    """
    import os
    import sys

    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def run() -> None:
    """Be the process of the command of sys.argv: it ends with its exit code."""
    code = main()
    from scandock.model.process import end_process

    end_process(lambda: code)


def main() -> int:
    """Run the command of sys.argv; its exit code."""
    import gc
    import os
    import sys

    _open_missing_streams()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # it would search all that is installed for them
    gc.set_threshold(_COLLECT_AFTER)
    gc.disable()  # until a command is made (app): what is imported until then stays
    try:
        if sys.argv[1:2] in (["import"], ["inspect"]):
            from scandock.cli.reading_command import run_reading_command

            return run_reading_command(sys.argv[1:])
        from scandock.cli.app import main as run

        return run()
    except KeyboardInterrupt:  # before a command has begun, which ends in its own way
        return _INTERRUPTED
    finally:
        gc.freeze()  # the process ends: looking through all that is still there would take a tenth of a second
