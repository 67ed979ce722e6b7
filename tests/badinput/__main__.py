"""`python -m tests.badinput FOLDER`: write the archives of all rows."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.badinput import write_all

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.badinput FOLDER")
    files = write_all(Path(sys.argv[1]))
    print(f"{len(files)} archives, {sum(file.stat().st_size for file in files):,} bytes, under {sys.argv[1]}")
