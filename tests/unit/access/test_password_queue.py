"""The lines of those who wait for their passwords to be checked: turns, bounds, and who is told to come again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from scandock.access.password_queue import PasswordQueue, PasswordsBusy

ATTACKER, OTHER, THIRD = "192.0.2.1", "192.0.2.2", "192.0.2.3"


class Held:
    """Calls that go on when they are let, and the order in which they began."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.go_on = threading.Event()

    def call(self, name: str) -> str:
        self.began.append(name)
        assert self.go_on.wait(30)
        return name


def within(body: Callable[[PasswordQueue, Held], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Run a test in a loop, with a queue and calls that are held."""

    async def run() -> None:
        held, queue = Held(), PasswordQueue(**options)
        try:
            await body(queue, held)
        finally:
            held.go_on.set()
            await asyncio.get_running_loop().run_in_executor(None, queue.close)

    asyncio.run(run())


def ask(queue: PasswordQueue, held: Held, address: str, name: str, **more: Any) -> asyncio.Task[str]:
    return asyncio.ensure_future(queue.run(address, partial(held.call, name), **more))


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def test_addresses_take_turns_however_many_one_of_them_sends():
    async def body(queue, held):
        tasks = [ask(queue, held, ATTACKER, f"a{number}") for number in range(50)]
        await settled()
        tasks += [ask(queue, held, OTHER, "b"), ask(queue, held, THIRD, "c")]
        await settled()
        held.go_on.set()
        await asyncio.gather(*tasks)
        assert held.began[:4] == ["a0", "a1", "b", "c"]
        assert held.began[4:] == [f"a{number}" for number in range(2, 50)]

    within(body, threads=1)


def test_the_address_that_fills_its_line_is_told_and_nobody_else():
    counted = {"waited": 0, "refused": 0}

    def count(what: str) -> Callable[[], None]:
        def one() -> None:
            counted[what] += 1

        return one

    async def body(queue, held):
        tasks = [ask(queue, held, ATTACKER, f"a{number}") for number in range(300)]
        await settled()
        other = ask(queue, held, OTHER, "b")
        held.go_on.set()
        assert await other == "b"
        found = await asyncio.gather(*tasks, return_exceptions=True)
        refused = [one for one in found if isinstance(one, PasswordsBusy)]
        assert len(refused) == 300 - 101
        assert (refused[0].code, refused[0].retry_after) == ("busy", 10)

    within(body, threads=1, waited=count("waited"), refused=count("refused"))
    assert counted == {"waited": 100 + 1, "refused": 199}


def test_of_ipv6_a_network_is_one_address():
    async def body(queue, held):
        tasks = [ask(queue, held, f"2001:db8::{number}", str(number)) for number in range(1, 5)]
        await settled()
        held.go_on.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(one, PasswordsBusy) for one in found] == [False, False, True, True]

    within(body, threads=1, waiting_most=1)


def test_fifty_who_ask_the_same_at_once_wait_for_one_call():
    async def body(queue, held):
        tasks = [ask(queue, held, OTHER, "same", key=b"same") for _ in range(50)]
        elsewhere = ask(queue, held, THIRD, "same", key=b"same")
        await settled()
        held.go_on.set()
        assert await asyncio.gather(*tasks, elsewhere) == ["same"] * 51
        assert held.began == ["same", "same"], "once for each address"
        assert await ask(queue, held, OTHER, "same", key=b"same") == "same"
        assert len(held.began) == 3, "asked later it is looked at anew"

    within(body, threads=1)


def test_where_all_lines_are_full_together_the_longest_gives_way():
    async def body(queue, held):
        tasks = [ask(queue, held, ATTACKER, f"a{number}") for number in range(11)]
        await settled()
        one, two = ask(queue, held, OTHER, "b0"), ask(queue, held, ATTACKER, "late")
        await settled()
        held.go_on.set()
        assert await one == "b0"
        with pytest.raises(PasswordsBusy):
            await two
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(each, PasswordsBusy) for each in found] == [False] * 10 + [True]

    within(body, threads=1, total_most=10)


def test_who_has_waited_long_is_told_to_come_again():
    async def body(queue, held):
        first = ask(queue, held, OTHER, "first")
        await settled()
        with pytest.raises(PasswordsBusy):
            await ask(queue, held, OTHER, "second")
        held.go_on.set()
        assert await first == "first"
        assert held.began == ["first"]
        assert len(queue) == 0

    within(body, threads=1, wait_seconds=0)


def test_who_has_gone_away_leaves_the_line_and_a_call_that_runs_goes_on():
    async def body(queue, held):
        runs, waits = ask(queue, held, OTHER, "runs"), ask(queue, held, OTHER, "waits")
        await settled()
        runs.cancel()
        waits.cancel()
        await asyncio.gather(runs, waits, return_exceptions=True)
        assert len(queue) == 0
        held.go_on.set()
        assert await ask(queue, held, OTHER, "next") == "next"
        assert held.began == ["runs", "next"]

    within(body, threads=1)


def test_what_a_call_raises_is_told_to_each_who_waits():
    async def body(queue, held):
        def fail() -> None:
            raise ValueError("no")

        tasks = [asyncio.ensure_future(queue.run(OTHER, fail, key=1)) for _ in range(3)]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(one) for one in found] == ["no"] * 3

    within(body)
