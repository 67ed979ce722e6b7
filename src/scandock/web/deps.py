"""What the routes share: the catalog and the store of DATA, threads for what blocks, and who is asked for leave."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from weakref import WeakSet

from fastapi import Request
from starlette.datastructures import State

from scandock.access.authentication import LoginState
from scandock.access.password_queue import PasswordQueue
from scandock.catalog.engine import Catalog, forbid_writes
from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault
from scandock.publishing.areas import make_areas
from scandock.services.archive_folders import ArchiveFolders
from scandock.services.authentication import make_gate
from scandock.services.batching import ChangeBatcher
from scandock.services.data_catalog import open_data_catalog
from scandock.services.data_preparation import prepare_data
from scandock.services.decoding import Pictures
from scandock.services.dicom_instances import InstanceHeaders
from scandock.services.dicomweb_objects import DicomwebCache
from scandock.services.logs import log
from scandock.services.ohif import OhifLookup
from scandock.services.receiving import UploadReceiver, receiving_limits
from scandock.services.refusals import Refusals
from scandock.services.response_buffers import ResponseBuffers
from scandock.services.store_check import check_store
from scandock.services.store_opening import open_data_store
from scandock.services.tree_cache import TreeCache
from scandock.services.tree_changes import TreeChange, apply_changes
from scandock.services.upload_writers import UploadWriters
from scandock.store.port import Store
from scandock.web.metrics import Metrics
from scandock.web.readiness import (
    Readiness,
    ReceiverCheck,
    check_catalog,
    check_clock,
    check_workers,
)
from scandock.web.response_sending import ResponseRegistry
from scandock.web.shared_call import SharedCall
from scandock.web.tus.locks import UploadLocks, Writer
from scandock.workers.gradual_uploads import GradualUploads
from scandock.workers.scrub_trial import ScrubTrials

if TYPE_CHECKING:
    from scandock.access.oidc import OidcProvider
    from scandock.model.incoming_upload import IncomingUpload
    from scandock.services.settings import Settings
    from scandock.workers.receiver_figures import ReceiverFigures
    from scandock.workers.worker_figures import WorkerFigures

P = ParamSpec("P")
T = TypeVar("T")

CATALOG_THREADS = 8
READ_THREADS = 8
"""Beside those: who only reads the catalog never waits for who waits to write to it."""
CACHES_BYTES = 16 * 1024 * 1024
"""Of SQLite's, all connections together: what the longest lists read, several times over."""

SPOOL_THREADS = 32
"""More than disks like at once, as one of them may hang on a sync for seconds; a thread that waits costs little."""

ZIP_THREADS = request_limits.ZIPS_MADE_READY
"""Zips that are made ready at once: one may name thousands of things, and listings and uploads don't wait for that."""

DOWNLOAD_THREADS = 16
"""That read and send files and zips, in short turns: as many downloads as wait for the disk at once."""

PROVIDER_THREADS = 2
CHANGE_THREADS = 8
"""Sessions that are changed by hand at once: each has one thread, however many requests wait for it."""


@dataclass(slots=True, kw_only=True)
class ServerState:
    """One DATA behind one web process."""

    data: str
    settings: Settings
    store: Store
    catalog: Catalog
    receiving: UploadReceiver
    metrics: Metrics
    locks: UploadLocks
    gate: LoginState
    passwords: PasswordQueue
    """Whatever checks or hashes a password is done by it."""
    refusals: Refusals
    catalog_threads: ThreadPoolExecutor
    read_threads: ThreadPoolExecutor
    spool_threads: ThreadPoolExecutor
    zip_threads: ThreadPoolExecutor
    download_threads: ThreadPoolExecutor
    pictures: Pictures
    dicomweb: DicomwebCache
    response_buffers: ResponseBuffers
    """Room for answers that wait until their clients take them."""
    scrub_trials: ScrubTrials
    """Processes in which people try scripts on a file."""
    answers: ResponseRegistry
    """Those that are being sent."""
    tree_changes: ChangeBatcher[TreeChange]
    """Changes by hand to archived sessions, those of one session together."""
    ohif: OhifLookup
    """The OHIF viewer, where it is installed."""
    provider: OidcProvider | None = None
    """Of logins by OpenID Connect; None where the site has none."""
    provider_threads: ThreadPoolExecutor
    change_threads: ThreadPoolExecutor
    header_threads: ThreadPoolExecutor
    """One: a header that is made to take long holds up others that are looked at, and nothing else."""
    workers_ready: Callable[[], str]
    """Why no worker takes imports; empty where one does."""
    gradual: GradualUploads
    """Single objects that come one a request, until their sessions are built."""
    receivers: ReceiverFigures | None = None
    """What the receiver process of this server counts; None where the server has none."""
    readiness: Readiness = field(init=False)
    shared_metrics: SharedCall[bytes] = field(default_factory=lambda: SharedCall("metrics", begin=forbid_writes))
    """Whatever asks for the metrics: a disk that hangs keeps no thread but this one's."""
    instance_headers: InstanceHeaders = field(default_factory=InstanceHeaders)
    """What searches for DICOM instances have read."""
    archive_folders: ArchiveFolders = field(default_factory=ArchiveFolders)
    """What those who mount the archive have looked at."""
    trees: TreeCache = field(default_factory=TreeCache)
    """What is remembered of the trees that requests have opened."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server ends: streams that never end by themselves listen to it."""
    bodies: WeakSet[Writer] = field(default_factory=WeakSet)
    """Bodies that are being received, and can't be gone on with later."""
    receptions: dict[str, asyncio.Task[Any]] = field(default_factory=dict)
    """Uploads that come whole, and what receives each: what is broken off is cleared away before the process ends."""
    reception_writers: dict[str, str] = field(default_factory=dict)
    """The writer of each, as its row has it."""
    lease_threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "leases"))
    """One, that says of requests that they live, whatever all others wait for."""

    def __post_init__(self) -> None:
        self.receiving.busy = self.receptions
        self.readiness = Readiness(
            {
                "catalog": lambda: check_catalog(self.catalog),
                "store": lambda: check_store(self.catalog, self.store, self.settings),
                "workers": lambda: self.workers_ready(),  # noqa: PLW0108  as it is then
            }
            | ({} if self.receivers is None else {"receivers": ReceiverCheck(self.catalog, self.receivers)}),
            notes={"clock": lambda: check_clock(self.catalog)},
        )

    def track_reception(self, incoming_upload: IncomingUpload, task: asyncio.Task[Any]) -> None:
        """Note that a task of this process receives an upload, until it ends."""
        uuid = incoming_upload.uuid
        self.receptions[uuid] = task
        self.reception_writers[uuid] = incoming_upload.writer

        def forget(_: object) -> None:
            self.receptions.pop(uuid, None)
            self.reception_writers.pop(uuid, None)

        task.add_done_callback(forget)

    async def renew_receptions(self) -> None:
        """Say of each upload that comes whole that its request lives. Fault where the catalog is away."""
        writers = list(self.reception_writers.values())
        if writers:
            await self.lease(partial(self.receiving.renew, writers))

    async def renew_writers(self) -> None:
        """As `renew_receptions`, of resumable uploads that any of several hosts may write to."""
        await self.locks.renew(self.lease)

    async def lease(self, call: Callable[[], T]) -> T:
        """Call what says that a request lives."""
        return await asyncio.get_running_loop().run_in_executor(self.lease_threads, call)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what asks the catalog and may write to it, in a thread."""
        bound_call = partial(copy_context().run, call, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self.catalog_threads, bound_call)

    async def read(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what only reads the catalog, in a thread that those who wait to write leave alone."""
        bound_call = partial(copy_context().run, call, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self.read_threads, bound_call)

    async def look(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what reads the header of an object that comes in."""
        bound_call = partial(copy_context().run, call, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self.header_threads, bound_call)

    async def spool(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what waits for the disk, where nobody waits for the catalog's threads."""
        bound_call = partial(copy_context().run, call, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self.spool_threads, bound_call)

    def close(self) -> None:
        """Give everything back, once no request is left."""
        self.readiness.close()
        self.shared_metrics.close()
        self.change_threads.shutdown(wait=True)
        self.passwords.close()
        self.catalog_threads.shutdown(wait=True)
        self.read_threads.shutdown(wait=True)
        self.spool_threads.shutdown(wait=True)
        self.zip_threads.shutdown(wait=True)
        self.download_threads.shutdown(wait=True)
        self.header_threads.shutdown(wait=True)
        self.lease_threads.shutdown(wait=True)
        self.refusals.close()
        self.pictures.close()
        self.scrub_trials.close()
        self.provider_threads.shutdown(wait=True)
        if self.provider is not None:
            self.provider.close()
        self.catalog.dispose()
        self.store.close()


def open_server_state(
    data: str,
    settings: Settings,
    workers_ready: Callable[[], str] | None = lambda: "",
    worker_figures: WorkerFigures | None = None,
    receiver_figures: ReceiverFigures | None = None,
) -> ServerState:
    """Open DATA, made where missing. Recovery is the workers' and never delays readiness.

    `workers_ready` says why no worker of this host takes imports, or nothing; None where this host has none, and any
    other's will do.
    """
    store = open_data_store(data, settings)
    prepare_data(store, settings)
    catalog = open_data_catalog(store.path, settings)
    with contextlib.suppress(Fault):  # what is placed can be looked up all the same, and `/readyz` tells of it
        make_areas(catalog, store)
    catalog.limit_caches(CACHES_BYTES)
    change_threads = ThreadPoolExecutor(CHANGE_THREADS, "hands")
    metrics = Metrics(catalog, store, worker_figures, receiver_figures)
    receiving = UploadReceiver(catalog, store, receiving_limits(settings))
    receiving.space.on_refusal = lambda reason: metrics.space_refused.labels(reason).inc()
    response_buffers = ResponseBuffers(settings.answer_bytes, metrics.full.inc)
    pictures = Pictures(
        store.path, settings, response_buffers, lambda decoder_kind: metrics.decoders.labels(decoder_kind).inc()
    )
    metrics.held.set_function(lambda: response_buffers.bytes)
    metrics.waiting.set_function(lambda: pictures.decoders.waiting)
    gradual = GradualUploads(catalog, store, receiving, settings, log(), metrics.gradual_syncs.observe)
    metrics.gradual_open.set_function(lambda: gradual.open_count)
    refusals = Refusals(catalog, counted=lambda action: metrics.refused.labels(action.value).inc())
    refusals.start()
    return ServerState(
        data=store.path,
        settings=settings,
        store=store,
        catalog=catalog,
        receiving=receiving,
        metrics=metrics,
        locks=UploadLocks() if catalog.sqlite else UploadLocks(UploadWriters(catalog), store),
        gate=make_gate(catalog, refusals),
        refusals=refusals,
        passwords=PasswordQueue(waited=metrics.passwords_waited.inc, refused=metrics.passwords_refused.inc),
        catalog_threads=ThreadPoolExecutor(CATALOG_THREADS, "catalog"),
        read_threads=ThreadPoolExecutor(READ_THREADS, "reads", initializer=forbid_writes),
        spool_threads=ThreadPoolExecutor(SPOOL_THREADS, "spool"),
        zip_threads=ThreadPoolExecutor(ZIP_THREADS, "zip"),
        download_threads=ThreadPoolExecutor(DOWNLOAD_THREADS, "downloads"),
        pictures=pictures,
        dicomweb=DicomwebCache(store.path, settings.metadata_bytes, settings.min_free_bytes),
        response_buffers=response_buffers,
        scrub_trials=ScrubTrials(),
        answers=ResponseRegistry(settings.download_idle_seconds, lambda kind: metrics.unread.labels(kind).inc()),
        tree_changes=ChangeBatcher(change_threads, apply_changes, lambda change: change.holds.close()),
        change_threads=change_threads,
        header_threads=ThreadPoolExecutor(1, "headers"),
        ohif=OhifLookup(store.path),
        provider=_open_provider(settings, catalog),
        provider_threads=ThreadPoolExecutor(PROVIDER_THREADS, "provider"),
        gradual=gradual,
        workers_ready=workers_ready or partial(check_workers, catalog),
        receivers=receiver_figures,
    )


def _open_provider(settings: Settings, catalog: Catalog) -> OidcProvider | None:
    """The provider of logins; its libraries are loaded where there is one."""
    oidc_settings = settings.oidc
    if oidc_settings is None:
        return None
    from scandock.access.login_keys import read_login_keys
    from scandock.access.oidc import OidcProvider

    return OidcProvider(oidc_settings, partial(read_login_keys, catalog))


def server_state(request: Request) -> ServerState:
    """The site that a request is for."""
    state: State | Any = request.app.state
    found: ServerState = state.server
    return found
