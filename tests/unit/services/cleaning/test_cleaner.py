"""The list of cleaners: which of them ask the clock, and when each has its turn."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from scandock.model.durations import DAY_MS
from scandock.services.cleaning import cleaner
from scandock.services.cleaning.cleaner import TURN_SECONDS, Cleaner, Schedule
from scandock.services.cleaning.registry import (
    COPIED_EVENTS,
    ENDED_ACCESS,
    GONE_RECEIVERS,
    LOGIN_FAILURES,
    MANIFESTS,
    PICTURES,
    SERVER_CLEANERS,
)
from scandock.services.cleaning.trash import REPLACED, TRASH
from scandock.services.cleaning.uploads import ABANDONED_UPLOADS, ENDED_SPOOLS, FAILED_ORIGINALS, IDLE_UPLOADS
from scandock.web.xnat.services.cleaning import DIALECT_CLEANERS, INBOX_CLEANER, KEY_CLEANER

SITE: Any = SimpleNamespace(
    catalog=SimpleNamespace(sqlite=True),
    settings=SimpleNamespace(trash_days=30, failed_hours=72),
    receiving=SimpleNamespace(limits=SimpleNamespace(lasts_ms=7)),
)
KEPT = {
    IDLE_UPLOADS.what: 7,
    ENDED_ACCESS.what: 0,
    KEY_CLEANER.what: 31 * DAY_MS,
    MANIFESTS.what: 31 * DAY_MS,
    INBOX_CLEANER.what: 0,
    FAILED_ORIGINALS.what: 3 * DAY_MS,
    TRASH.what: 30 * DAY_MS,
    REPLACED.what: 30 * DAY_MS,
}
"""What is deleted for its age, as docs/design/0006 lists it."""


def turn(one: Cleaner[Any], monkeypatch: pytest.MonkeyPatch, doubted: int | None) -> tuple[list[int], int, list[int]]:
    """(for how long the clock was asked about, what came of it, with which ages it was then called)."""
    asked: list[int] = []
    ages: list[int] = []

    def oldest_kept(_catalog: object, kept_ms: int) -> int | None:
        asked.append(kept_ms)
        return None if doubted is None else kept_ms + doubted

    def clean(_site: object, age: int) -> int:
        ages.append(age)
        return 3

    monkeypatch.setattr(cleaner, "update_deletion_age", oldest_kept)
    return asked, replace(one, clean=clean).run(SITE), ages


@pytest.mark.parametrize("one", [*SERVER_CLEANERS, *DIALECT_CLEANERS, TRASH, REPLACED], ids=lambda one: one.what)
def test_what_is_deleted_for_its_age_asks_the_clock(one: Cleaner[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    if one in (
        ABANDONED_UPLOADS,
        COPIED_EVENTS,
        ENDED_SPOOLS,
        GONE_RECEIVERS,
        LOGIN_FAILURES,
        PICTURES,
    ):  # nobody owns it, or it can be made again: whatever its age
        assert turn(one, monkeypatch, None) == ([], 3, [0])
        return
    kept = KEPT[one.what]
    assert turn(one, monkeypatch, None) == ([kept], 0, [])
    assert turn(one, monkeypatch, 5) == ([kept], 3, [kept + 5])


def test_each_has_its_turn_at_the_start_and_pictures_every_five_minutes() -> None:
    now = [1_000.0]
    schedule = Schedule([*SERVER_CLEANERS, *DIALECT_CLEANERS], clock=lambda: now[0])
    turns = []
    for _ in range(7):
        turns.append([one.what for one in schedule.due()])
        now[0] += TURN_SECONDS
    every = [one.what for one in (*SERVER_CLEANERS, *DIALECT_CLEANERS)]
    others = [what for what in every if what != PICTURES.what]
    assert turns == [every, others, others, others, others, every, others]
    assert len(every) == 12
