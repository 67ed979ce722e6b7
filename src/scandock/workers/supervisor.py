"""`serve`: a web process and a worker process over a DATA, kept running until SIGTERM; a receiver process where
there are DICOM receivers. A host of the role `web` has the web process alone; on one of the role `worker` that answers
for the host's health and nothing else.

The supervisor holds DATA's lock and the listening socket, so that a restarted web process loses no client, and works on
nothing itself. Its children stay in its process group and die with it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scandock.access.bootstrap import ensure_admin
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault
from scandock.model.patience import tries
from scandock.model.process import python_command
from scandock.publishing.areas import make_areas
from scandock.queue.engines import engine_of
from scandock.queue.hosts import BEAT_SECONDS, SILENT_MS, Role, folder_mark, has_other_hosts, register_host
from scandock.services.data_catalog import host_folder, open_data_catalog
from scandock.services.data_errors import DataServed
from scandock.services.data_preparation import prepare_data
from scandock.services.logs import configure_logging
from scandock.services.receiver_states import clear_states, has_receivers, set_option_receiver
from scandock.services.settings import Settings
from scandock.services.store_opening import open_data_store
from scandock.store import server_lock
from scandock.store.identity import HOST_IDENTITY
from scandock.workers.errors import HostTaken, HostUnknown, PortTaken, RoleUnfit
from scandock.workers.liveness import WorkerLiveness
from scandock.workers.receiver_process import command_words
from scandock.workers.supervised_process import StartChild, SupervisedProcess, start_child_process

if TYPE_CHECKING:
    from scandock.catalog.engine import Catalog

WAIT_SECONDS = 10.0
"""For the lock and the port of a server that was just killed."""
STOP_SECONDS = 20.0
"""After which children that were asked to end are killed."""
WORKER_STOP_SECONDS = 10.0
"""Of these, what the worker has at least."""
TICK_SECONDS = 1.0
LOOK_SECONDS = 5.0
"""For which a start looks for damage in the catalog."""
STOPS = (signal.SIGTERM, signal.SIGINT)
_BACKLOG = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What `serve` was asked for; `slots`: imports at once, None for as many as the machine bears."""

    data: str
    host: str
    port: int
    slots: int | None = None
    dicom_port: int | None = None
    """Where the receiver `SCANDOCK` listens; None: that one does not."""
    role: Role = "all"

    @property
    def works(self) -> bool:
        """Whether there is a worker, and with it DICOM receivers."""
        return self.role != "web"


def default_slots() -> int:
    """One a core, at most 4; two at least, so that one is there for small imports."""
    return max(2, min(4, len(os.sched_getaffinity(0))))


def serve(
    options: ServeOptions, settings: Settings, say: Callable[[str], None], start: StartChild = start_child_process
) -> int:
    """Serve until SIGTERM or Ctrl-C; `say` tells a person. Raises Usage or Fault where it can't begin."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [*STOPS, signal.SIGCHLD])
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    log = configure_logging("supervisor", settings.log_level)
    check_role(options, settings)
    store = open_data_store(options.data, settings)
    prepare_data(store, settings)
    with _lock_data(store.path, host_folder(store.path, settings)), _open_listener(options) as listener:
        store.try_writing()
        slots = str(options.slots or default_slots())
        liveness = WorkerLiveness.make()
        by_receiver, by_worker = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # outlive those who have them
        web = python_command("scandock.web.process", store.path, str(listener.fileno()), str(liveness.fd), options.role)
        shared = (str(liveness.fd), str(by_worker.fileno()), options.role)
        worker = python_command("scandock.workers.worker", store.path, slots, *shared)
        receiver_words = command_words(
            store.path, liveness.fd, by_receiver.fileno(), settings.reception, settings.log_level
        )
        receiver = python_command("scandock.workers.receiver_process", *receiver_words)
        working = SupervisedProcess(
            "worker", worker, log, pass_fds=[liveness.fd, by_worker.fileno()], liveness=liveness, start=start
        )
        answering = SupervisedProcess("web", web, log, pass_fds=[listener.fileno(), liveness.fd], start=start)
        receiving = SupervisedProcess(
            "receiver",
            receiver,
            log,
            pass_fds=[liveness.fd, by_receiver.fileno()],
            start=start,
            on_death=liveness.receiver.clear,
        )
        # First, as nobody else upgrades it while we serve; closed before there is a child, as one that is a fork would
        # take SQLite's locks on it for its own.
        catalog = open_data_catalog(store.path, settings, serves=True)
        try:
            if catalog.host:
                register_this_host(catalog, options.role, host_folder(store.path, settings))
            make_areas(catalog, store)
        finally:
            catalog.dispose()
        if options.works:
            working.start()  # at once: what is unfinished goes on while the rest is made ready
        wanted = _prepare_first_start(store.path, settings, options, say)
        answering.start()
        if wanted:
            receiving.start()
        host, port = listener.getsockname()[:2]
        say(f"Scandock serves {store.path} at http://{f'[{host}]' if ':' in host else host}:{port}/")
        _run_children([working, answering] if options.works else [answering], receiving, liveness)
        log.info("stopping")
        _end([answering, receiving], working)
        liveness.close()
        by_receiver.close()
        by_worker.close()
    log.info("stopped")
    return 0


def _prepare_first_start(data: str, settings: Settings, options: ServeOptions, say: Callable[[str], None]) -> bool:
    """Tables, the first account and the receiver of the options, before anybody is let in.

    Whether a receiver process has something to do.
    """
    catalog = open_data_catalog(data, settings, serves=True)
    try:
        catalog.try_writing(int(WAIT_SECONDS))
        catalog.quick_check(LOOK_SECONDS)
        engine_of(catalog)
        password = settings.admin_password
        admin = ensure_admin(catalog, password.get_secret_value() if password is not None else None)
        receiver, are_wanted = None, False
        if options.works:
            if options.dicom_port is not None or not has_other_hosts(catalog):
                receiver = set_option_receiver(catalog, options.dicom_port, options.host)
            clear_states(catalog)
            are_wanted = has_receivers(catalog)
    finally:
        catalog.dispose()
    if admin is not None and admin.password is not None:
        say(f"The first account is {admin.name}, its password {admin.password} (it is not shown again).")
    if receiver is not None:
        say(f"The DICOM receiver {receiver.title} is set to port {receiver.port}.")  # whether it can, others say
        if not receiver.allow_list_enabled:
            say(f"Warning: {receiver.title} has no allow list: whoever reaches that port may send to it.")
    return are_wanted


def _run_children(children: list[SupervisedProcess], receiving: SupervisedProcess, liveness: WorkerLiveness) -> None:
    """Restart what dies, until a signal says stop; `receiving` is started once there is something to receive."""
    children = [*children, receiving]
    waited = [*STOPS, signal.SIGCHLD]
    while True:
        due = [child.due for child in children if child.due is not None]
        wait = max(0.0, min(due) - time.monotonic()) if due else TICK_SECONDS
        signal_info = signal.sigtimedwait(waited, wait)
        if signal_info is not None and signal_info.si_signo in STOPS:
            return
        for child in children:
            child.look()
        if liveness.figures.receivers and not receiving.running and receiving.due is None:
            receiving.start()


def _end(children: list[SupervisedProcess], worker: SupervisedProcess) -> None:
    """Ask all to end, and kill who does not; the worker once the others have, as the receiver process needs it."""
    for child in children:
        child.stop()
    deadline = time.monotonic() + STOP_SECONDS
    ending = [*children, worker]
    while any(child.running for child in ending):
        left = deadline - time.monotonic()
        receiving = children[-1].running and left > WORKER_STOP_SECONDS
        if not (worker.is_stopping or receiving):
            worker.stop()
        if left <= 0:
            for child in ending:
                child.stop(signal.SIGKILL)
        signal.sigtimedwait([signal.SIGCHLD], min(TICK_SECONDS, max(left, 0.1)))
        for child in ending:
            child.look()


def check_role(options: ServeOptions, settings: Settings) -> None:
    """Raise RoleUnfit where a host of this role could do nothing, or not what is asked of it."""
    if options.role != "all" and settings.database_url is None:
        raise RoleUnfit(
            f"A host of the role {options.role} needs a catalog that others have too.",
            "Set SCANDOCK_DATABASE_URL, or leave --role out.",
        )
    if not options.works and options.dicom_port is not None:
        raise RoleUnfit("A host of the role web has no DICOM receiver.", "Give --dicom-port to a worker host.")


def register_this_host(catalog: Catalog, role: Role, folder: str) -> None:
    """Say that this host serves. What its machine said before it went down is waited for. Raises HostTaken."""
    for _ in tries(SILENT_MS / 1000 + BEAT_SECONDS, 0.5, _wait_for_stop):
        if register_host(catalog, role, folder_mark(folder)):
            return
    raise HostTaken(os.path.join(folder, HOST_IDENTITY))


@contextmanager
def _lock_data(data: str, folder: str) -> Iterator[None]:
    """Lock the host's folder (DATA, where it has none) itself: one server at a time, and no file of ours lies about."""
    fd = server_lock.open_data(folder)
    try:
        _retry_while_busy(
            lambda: server_lock.take(fd),
            DataServed(f"Another server is at work on {data}.", "Stop it, or serve another folder.")
            if folder == data
            else DataServed(
                f"Another server is at work with the host folder {folder}.",
                "Stop it, or give this host a folder of its own by SCANDOCK_HOST_FOLDER.",
            ),
        )
        yield
    finally:
        os.close(fd)


@contextmanager
def _open_listener(options: ServeOptions) -> Iterator[socket.socket]:
    """The server's socket, bound and listening before anything else is done: who connects early, waits."""
    try:
        addresses = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise HostUnknown(f"{options.host!r} is no address of this machine: {error.strerror}.") from error
    family, kind, protocol, _, address = addresses[0]
    with contextlib.closing(socket.socket(family, kind, protocol)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

        def bind() -> None:
            try:
                listening.bind(address)
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:
                    raise
                raise HostUnknown(
                    f"{options.host} is no address of this machine.",
                    "Name one that it has, or 0.0.0.0 for all.",
                ) from error

        _retry_while_busy(
            bind,
            PortTaken(options.port, options.host),
        )
        listening.listen(_BACKLOG)
        yield listening


def _retry_while_busy(attempt: Callable[[], None], otherwise: Fault) -> None:
    """Try for as long as what a killed server held may take to be free; a signal to stop is heard meanwhile."""
    why: OSError | None = None
    for _ in tries(WAIT_SECONDS, 0.05, _wait_for_stop):
        try:
            attempt()
        except OSError as error:
            why = error
            if isinstance(error, PermissionError):
                break
        else:
            return
    raise otherwise from why


def _wait_for_stop(seconds: float) -> None:
    """Wait; end where a signal says so meanwhile."""
    if signal.sigtimedwait(STOPS, seconds) is not None:
        sys.exit(130)
