"""The command line.

This module is what the console script imports, in every process that `spawn` starts as well: it stays empty of imports.
"""

from __future__ import annotations


def main() -> int:
    """Run the command of sys.argv; the exit code is what the console script hands to the shell."""
    from scandock.cli.app import main as run

    return run()
