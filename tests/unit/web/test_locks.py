from __future__ import annotations

import asyncio

import pytest

from scandock.model.errors import Usage
from scandock.web.tus import locks
from scandock.web.tus.locks import HeldSpool, UploadLocks


async def hold(held: UploadLocks, began: asyncio.Event) -> str:
    """Write until asked to stop; the code of why."""
    async with held.write("u") as writer:
        began.set()
        await writer.stop.wait()
        return writer.why.code


def run(scene):
    async def whole():
        held, began = UploadLocks(), asyncio.Event()
        first = asyncio.ensure_future(hold(held, began))
        await began.wait()
        try:
            return await scene(held, first)
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            assert len(held) == 0

    return asyncio.run(whole())


def test_a_second_writer_is_told_that_it_is_locked():
    async def scene(held, first):
        async with held.write("other"):
            pass
        with pytest.raises(Usage) as refused:
            async with held.write("u"):
                pass
        return refused.value.code

    assert run(scene) == "tus_locked"


def test_a_writer_that_brings_nothing_gives_way(monkeypatch):
    monkeypatch.setattr(locks, "STALE_SECONDS", 0)

    async def scene(held, first):
        async with held.write("u"):
            return await first

    assert run(scene) == "tus_locked"


def test_whoever_ends_the_upload_ends_its_writer():
    async def scene(held, first):
        async with held.write("u", stop=True):
            return await first

    assert run(scene) == "upload_stopped"


def test_the_servers_end_ends_all_writers():
    async def scene(held, first):
        await held.end_all(5)
        return await first

    assert run(scene) == "server_stopping"


def test_a_spool_that_was_let_go_of_is_not_held_again():
    """A thread of a request that has ended may begin late: it would take the upload back from who writes by now."""

    class Spool:
        is_held = False

        def hold(self):
            self.is_held = True
            return True

        def close(self):
            self.is_held = False

    spool = Spool()
    held = HeldSpool(spool)  # type: ignore[arg-type]  # no more of a spool is asked for
    held.close()
    with pytest.raises(Usage) as refused:
        held.hold()
    assert refused.value.code == "tus_locked"
    assert not spool.is_held
