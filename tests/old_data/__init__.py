"""DATA folders that older versions really made, small and packed; `make.py` makes them anew from the project's history.

Each is `VERSION.tar.xz`, by the catalog's version: `data/` as that code left it, killed while an import stood between
its intents and its end, and `expected.json`, what must be served of it. `0022-names` has patients with names of all
scripts, and was not killed. `VERSION-postgresql.tar.xz` has its catalog as
`catalog.sql`, by pg_dump. Times in them are those of the day on which they were made.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

STILL_VALID = (
    "UPDATE api_token SET expires = expires + 3153600000000",
    "UPDATE reception SET expires = expires + 3153600000000 WHERE expires IS NOT NULL",
)
"""Puts off by a hundred years what was to expire soon after the day on which a DATA was made."""


def unpack(name: str, folder: Path) -> dict[str, Any]:
    """Unpack a DATA to `folder`/data; what must be served of it."""
    with tarfile.open(HERE / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    expected: dict[str, Any] = json.loads((folder / "expected.json").read_text())
    return expected
