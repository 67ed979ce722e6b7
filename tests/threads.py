"""Readers as threads: switched on for every test by tests/conftest.py."""

from __future__ import annotations

import pytest


def read_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing any more."""
