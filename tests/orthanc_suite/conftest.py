"""Without the suite its test is not there; test_outcomes.py has one that is skipped and says so."""

from __future__ import annotations

from pathlib import Path

from tests.orthanc_suite.checkout import checkout


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    return True if collection_path.name == "test_suite.py" and checkout() is None else None
