"""Where the suite is, and which tests it has."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

VARIABLE: Final = "ORTHANC_TESTS"
"""Names a checkout of orthanc-tests, whose `Plugins/DicomWeb/Run.py` is run."""
_TEST: Final = re.compile(r"^    def (test_\w+)\(self\)", re.MULTILINE)


def checkout() -> Path | None:
    """The checkout of the suite, None where none is named."""
    named = os.environ.get(VARIABLE)
    root = Path(named) if named else None
    return root if root and script(root).is_file() and (root / "Database").is_dir() else None


def script(root: Path) -> Path:
    """What holds the suite's tests of DICOMweb."""
    return root / "Plugins" / "DicomWeb" / "Run.py"


def names_of(root: Path) -> list[str]:
    """The tests that a checkout has."""
    return _TEST.findall(script(root).read_text(encoding="utf-8"))
