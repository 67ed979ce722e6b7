"""Which tests of other suites ours are the same requests of, and which of theirs stay out, with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

Test = TypeVar("Test", bound=Callable[..., object])

VARIABLE = "XNAT_REST_TESTS"
"""Names a checkout of NrgXnat/xnat-rest-tests."""


def checkout() -> Path | None:
    """The checkout of the original's suite, None where none is named."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def data_folder() -> Path | None:
    """The folder of the files that the original's suite sends, None where there is none."""
    root = checkout()
    folder = root / "src/test/resources/data" if root else None
    return folder if folder and folder.is_dir() else None


def original(*names: str) -> Callable[[Test], Test]:
    """Say of a test that it asserts what these tests of the original's suite (`Class.method`) assert."""

    def mark(test: Test) -> Test:
        marked: Test = pytest.mark.original(*names)(test)
        return marked

    return mark


def differs(reason: str) -> pytest.MarkDecorator:
    """Say of a test that Scandock answers otherwise, by intention: it must fail."""
    return pytest.mark.xfail(strict=True, reason=reason)
