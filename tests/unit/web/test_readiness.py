"""What /readyz tells, tried against folders and catalogs that are out of order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from structlog.testing import capture_logs

from scandock.model.errors import Fault
from scandock.web.readiness import FRESH_SECONDS, ReadinessCheck
from scandock.web.shared_call import SECONDS, StillRunning


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_was_said_is_said_again_for_a_moment():
    clock, asked = Clock(), []

    def look() -> str:
        asked.append(1)
        return "" if len(asked) == 1 else "gone"

    check = ReadinessCheck("it", look, clock)
    assert asyncio.run(check.ask()) == "ok"
    assert asyncio.run(check.ask()) == "ok"
    clock.now += FRESH_SECONDS
    assert asyncio.run(check.ask()) == "it"
    assert len(asked) == 2
    check.close()


def test_a_code_is_told_to_anybody_and_the_words_to_the_log_alone():
    def full() -> str:
        raise Fault("disk_full", "No space left.", "Free some.")

    def broken() -> str:
        raise KeyError("secret")

    with capture_logs() as logged:
        assert asyncio.run(ReadinessCheck("store", full).ask()) == "disk_full"
        assert asyncio.run(ReadinessCheck("workers", lambda: "no worker listens").ask()) == "worker_missing"
        assert asyncio.run(ReadinessCheck("it", broken).ask()) == "internal"
    assert [line.get("detail") for line in logged] == ["No space left. Free some.", "no worker listens", None, ""]
    assert "secret" not in str(logged)


def test_one_that_hangs_is_told_so_and_is_asked_once():
    clock, asked, free = Clock(), [], threading.Event()

    def hang() -> str:
        asked.append(1)
        clock.now += SECONDS + 2  # as if it had hung for so long
        free.wait(30)
        return ""

    async def twice() -> list[str]:
        check = ReadinessCheck("it", hang, clock)
        told = [await check.ask(), await check.ask()]
        free.set()
        while (last := await check.ask()) != "ok":
            await asyncio.sleep(0)
        check.close()
        return [*told, last]

    with capture_logs() as logged:
        assert asyncio.run(twice()) == ["hangs", "hangs", "ok"]
    assert len(asked) == 1
    assert [(line["event"], line.get("code")) for line in logged] == [("not ready", "hangs"), ("ready again", None)]


def test_one_that_ends_just_as_it_is_given_up_is_believed(monkeypatch):
    async def gives_up_too_late(look: Callable[[], str]) -> str:
        look()
        raise StillRunning(5)

    check = ReadinessCheck("it", lambda: "")
    monkeypatch.setattr(check._shared, "ask", gives_up_too_late)  # noqa: SLF001  no clock hits that moment
    with capture_logs() as logged:
        assert asyncio.run(check.ask()) == "ok"
    check.close()
    assert logged == []


def test_what_a_look_found_that_hung_long_ago_is_not_said():
    clock, asked, free = Clock(), [], threading.Event()

    def look() -> str:
        asked.append(1)
        if len(asked) > 1:
            return "gone"
        clock.now += SECONDS
        free.wait(30)
        return ""

    async def ask() -> str:
        check = ReadinessCheck("it", look, clock)
        assert await check.ask() == "hangs"
        free.set()
        thread = check._shared._thread  # noqa: SLF001  nothing else tells when the look has ended
        await asyncio.to_thread(thread.submit(list).result, 30)
        clock.now += 3600
        said = await check.ask()
        check.close()
        return said

    assert asyncio.run(ask()) == "it"


def test_the_log_has_each_change_once():
    clock = Clock()
    now: list[Fault] = []

    def look() -> str:
        if now:
            raise now[0]
        return ""

    check = ReadinessCheck("store", look, clock)
    with capture_logs() as logged:
        for fault in (
            None,
            Fault("disk_full", "full"),
            Fault("disk_full", "full still"),
            Fault("catalog", "away"),
            None,
            None,
        ):
            now[:] = [fault] if fault else []
            clock.now += FRESH_SECONDS
            asyncio.run(check.ask())
    check.close()
    assert [(line["event"], line.get("code"), line.get("detail")) for line in logged] == [
        ("not ready", "disk_full", "full"), ("not ready", "catalog", "away"), ("ready again", None, None),
    ]  # fmt: skip
