"""Fixtures of the command line's tests."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    """No setting of whoever runs the tests gets into them."""
    for name in [name for name in os.environ if name.upper().startswith("SCANDOCK_")]:
        monkeypatch.delenv(name)
