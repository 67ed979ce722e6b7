"""The command line.

This module is what the console script imports, in every process that `spawn` starts as well: it stays empty of imports.
"""

from __future__ import annotations

_COLLECT_AFTER = 50_000
"""New objects between two searches for garbage: importing libraries makes that many, hardly any of it garbage."""


def main() -> int:
    """Run the command of sys.argv; the exit code is what the console script hands to the shell."""
    import gc

    gc.set_threshold(_COLLECT_AFTER)
    from scandock.cli.app import main as run

    try:
        return run()
    finally:
        gc.freeze()  # the process ends: looking through all that is still there would take a tenth of a second
