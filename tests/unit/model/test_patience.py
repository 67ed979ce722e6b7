"""Tries at what is soon over."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from scandock.model import patience
from scandock.model.patience import tries


@pytest.mark.parametrize(
    ("seconds", "takes", "waited"), [(0.0, 1.0, []), (1.0, 0.0, [0.5, 0.5, 0.5]), (1.0, 0.4, [0.5])]
)
def test_it_ends_once_a_try_has_ended_after_the_time(
    monkeypatch: pytest.MonkeyPatch, seconds: float, takes: float, waited: list[float]
) -> None:
    now, waits = [100.0], []

    def wait(pause: float) -> None:
        waits.append(pause)
        now[0] += pause

    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: now[0]))
    for _ in tries(seconds, 0.5, wait):
        now[0] += takes
    assert waits == waited
