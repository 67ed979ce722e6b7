"""`python -m scandock.cli`."""

from __future__ import annotations

import sys

from scandock.cli import main

if __name__ == "__main__":
    sys.exit(main())
