"""`python -m scandock.cli`."""

from __future__ import annotations

from scandock.cli import run

if __name__ == "__main__":
    run()
