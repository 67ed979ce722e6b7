"""Procrastinate on PostgreSQL: deferred in the accepting transaction, brought by LISTEN/NOTIFY to workers on any host.

The job says that an import waits; its task takes a slot of the worker that fetched it, which claims whatever is next by
the lease. Jobs are deleted when done: what became of an import stands in the catalog alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any, cast

import psycopg
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Status
from procrastinate.schema import SchemaManager

from scandock.catalog.engine import AdvisoryLock
from scandock.catalog.errors import CatalogFailed
from scandock.catalog.server_connections import add_words, conninfo
from scandock.model.errors import Fault
from scandock.queue.engine import NET_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from scandock.queue.engine import WorkerSlots

QUEUE = "imports"
TASK = "scandock.import"
RESTART_SECONDS = 1.0
CLEAR_SECONDS = 10.0
"""After which a worker looks again for messages of workers that died: for 30 s nobody knows that one has."""
SOON_SECONDS = 0.2
"""After which something is looked for that was to wait: by the database's clock its time has surely come then."""


class ProcrastinateEngine:
    """See `scandock.queue.engine.QueueEngine`."""

    def __init__(self, url: str) -> None:
        self._conninfo = conninfo(url, **add_words(url))
        self._deferring = App(connector=SyncPsycopgConnector())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None

    def prepare(self) -> None:
        try:
            with psycopg.connect(self._conninfo) as connection:
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (AdvisoryLock.MAKE_QUEUE.value,))
                (table,) = cast("tuple[Any]", connection.execute("SELECT to_regclass('procrastinate_jobs')").fetchone())
                if table is None:
                    connection.execute(SchemaManager.get_schema())
        except psycopg.Error as error:
            raise CatalogFailed(f"The queue could not be prepared: {error}.", "Try again.", quotes=True) from error

    def defer(self, connection: Connection, upload_id: int) -> None:
        """On the very connection, so that the job is there with the accepted upload, or neither is."""
        raw = connection.connection.driver_connection
        try:
            self._deferring.configure_task(TASK, queue=QUEUE, connection=raw).defer(upload_id=upload_id)
        except ConnectorException as error:
            raise CatalogFailed(
                f"The import could not be announced: {error.__cause__}.", "Try again.", quotes=True
            ) from error

    def run(self, data: str, slots: WorkerSlots, stop: threading.Event) -> None:  # noqa: ARG002  for the embedded one
        asyncio.run(self._run(slots, stop))

    def end(self) -> None:
        loop, ended = self._loop, self._ended
        if loop is not None and ended is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                loop.call_soon_threadsafe(ended.set)

    async def _run(self, slots: WorkerSlots, stop: threading.Event) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        looking = asyncio.create_task(self._look(slots, stop))
        try:
            while not stop.is_set():
                with contextlib.suppress(ConnectorException, OSError):  # the database is away: the poll goes on
                    await self._work(slots)
                await self._pause(RESTART_SECONDS)
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking
            self._loop = self._ended = None

    async def _look(self, slots: WorkerSlots, stop: threading.Event) -> None:
        """The poll that makes a lost message harmless, and brings what was to wait, and leases that ran out."""
        while not stop.is_set():
            slots.look()
            due = None
            with contextlib.suppress(Fault):  # the catalog is away: the next look tells
                due = await asyncio.to_thread(slots.seconds_to_due)
            await self._pause(NET_SECONDS if due is None else min(NET_SECONDS, due + SOON_SECONDS))

    async def _pause(self, seconds: float) -> None:
        assert self._ended is not None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)

    async def _work(self, slots: WorkerSlots) -> None:
        app = App(connector=PsycopgConnector(conninfo=self._conninfo, min_size=1, max_size=4))

        @app.task(name=TASK, queue=QUEUE)
        async def take(upload_id: int) -> None:  # noqa: ARG001  the lease says which one is next
            await asyncio.wrap_future(slots.offer())

        assert self._ended is not None
        async with app.open_async():
            await _clear_jobs(app)
            worker = asyncio.create_task(
                app.run_worker_async(
                    queues=[QUEUE],
                    concurrency=slots.size,
                    delete_jobs="always",
                    install_signal_handlers=False,
                    shutdown_graceful_timeout=0,
                    fetch_job_polling_interval=5,
                )
            )
            ended = asyncio.create_task(self._ended.wait())
            try:
                await _keep_clear(app, worker, ended)
            finally:
                ended.cancel()
                worker.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await worker


async def _keep_clear(app: App, *until: asyncio.Task[Any]) -> None:
    """Drop the messages of workers that die, until one of the tasks is done."""
    while not await _any_done(until, CLEAR_SECONDS):
        clearing = asyncio.create_task(_clear_jobs(app))
        await _any_done((*until, clearing))
        clearing.cancel()
        with contextlib.suppress(ConnectorException, asyncio.CancelledError):  # the database is away, or this ends
            await clearing


async def _any_done(tasks: Iterable[asyncio.Task[Any]], seconds: float | None = None) -> bool:
    """Wait until one of them is done, at most so long."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)


async def _clear_jobs(app: App) -> None:
    """Drop the messages of workers that died: the lease has what they were about."""
    for job in await app.job_manager.get_stalled_jobs(queue=QUEUE):
        if job.id is not None:
            await app.job_manager.finish_job_by_id_async(job.id, Status.FAILED, delete_job=True)
