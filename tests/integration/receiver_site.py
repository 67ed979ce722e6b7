"""A DICOM receiver within the test process: the real one but for its process, with a worker beside it where asked.

What it asks of the catalog goes over real sockets to a worker's threads, in this process.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import insert, select, update

from scandock.access import accounts
from scandock.catalog.engine import Catalog
from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.receivers import receiver_columns
from scandock.catalog.server_tables import dicom_association, received_study, receiver, reception
from scandock.catalog.tables import project, session, upload
from scandock.model.receivers import Receiver
from scandock.queue.tokens import new_uuid
from scandock.services.data_catalog import open_data_catalog
from scandock.services.settings import Settings, load_settings
from scandock.store.local import LocalStore
from scandock.testing.data import make_data
from scandock.testing.worker import InProcessWorker
from scandock.workers import receiver_process
from scandock.workers.receiver_catalog import ReceiverCatalog
from scandock.workers.receiver_catalog_thread import ReceiverCatalogThread
from scandock.workers.receiver_figures import ReceiverFigures
from scandock.workers.receiver_process import ReceiverProcess
from tests.dicom_sender import DicomSender
from tests.ports import free_port

QUICK = {
    "dicom_idle_seconds": 0.4,
    "dicom_release_seconds": 0.2,
    "dicom_abort_seconds": 0.6,
    "dicom_silence_seconds": 5.0,
    "dicom_request_seconds": 5.0,
}
"""Times in which studies close, for tests."""


@dataclass
class ReceiverSite:
    """A DATA with a receiver `SCANDOCK` for the project P, which runs within `running`."""

    data: Path
    settings: Settings
    catalog: Catalog
    port: int
    account_id: int
    figures: ReceiverFigures = field(default_factory=ReceiverFigures)
    process: ReceiverProcess = field(init=False)

    def add(self, title: str = "SCANDOCK", **values: Any) -> int:
        """A receiver of the project P at the site's port; `values` as `Receiver` takes them. Its number."""
        named: dict[str, Any] = {"project": "P", "port": self.port, "bind": "127.0.0.1"} | values
        name = named.pop("project")
        with self.catalog.write() as connection:
            uuid = connection.execute(select(project.c.uuid).where(project.c.name == name)).scalar()
            row = Receiver(
                number=0, uuid="", title=title, account_id=self.account_id, account="", project_uuid=uuid, **named
            )
            now = self.catalog.now()
            key = connection.execute(
                insert(receiver).values(uuid=new_uuid(), created=now, modified=now, **receiver_columns(row))
            ).inserted_primary_key
        assert key is not None
        return int(key[0])

    def set(self, **values: Any) -> None:
        """Change all receivers."""
        with self.catalog.write() as connection:
            connection.execute(update(receiver).values(modified=self.catalog.now(), **values))

    @contextmanager
    def running(self) -> Iterator[ReceiverProcess]:
        """The receiver, until the end."""
        log = structlog.get_logger()
        by_receiver, by_worker = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with by_worker:
            calls = ReceiverCatalogThread(by_worker, self.catalog, LocalStore(self.data), self.settings, log)
            calls.start()
            rows = ReceiverCatalog(by_receiver)
            process = self.process = ReceiverProcess(str(self.data), rows, self.settings.reception, self.figures, log)
            thread = threading.Thread(target=process.run, name="receiver")
            thread.start()
            try:
                self.until(lambda: self.figures.settled)
                yield process
            finally:
                process.stop()
                thread.join(30)
                assert not thread.is_alive()
                calls.end()

    @contextmanager
    def importing(self) -> Iterator[ReceiverProcess]:
        """The receiver with a worker beside it."""
        with InProcessWorker(self.data, self.settings, upkeep=False), self.running() as process:
            yield process

    def sender(self, **options: Any) -> DicomSender:
        return DicomSender(self.port, **options)

    def rows(self, table: Any) -> list[Any]:
        with self.catalog.read() as connection:
            return list(connection.execute(select(table)).all())

    def uploads(self) -> list[Any]:
        """State, size, closing and so on of everything that was received."""
        with self.catalog.read() as connection:
            return list(
                connection.execute(
                    select(upload.c.uuid, upload.c.state, upload.c.report, upload.c.message, reception, received_study)
                    .join(reception, reception.c.upload_id == upload.c.id)
                    .join(received_study, received_study.c.upload_id == upload.c.id)
                    .order_by(upload.c.id)
                ).all()
            )

    def states(self) -> list[str]:
        return [row.state for row in self.uploads()]

    def sessions(self) -> list[Any]:
        return self.rows(session)

    def associations(self) -> list[Any]:
        return self.rows(dicom_association)

    def until(self, holds: Callable[[], object], seconds: float = 30) -> None:
        """Wait for it, no longer than that."""
        event, waited = threading.Event(), 0.0
        while not holds():
            assert waited < seconds, (self.uploads(), self.associations())
            event.wait(0.02)
            waited += 0.02


@contextmanager
def make_receiver_site(folder: Path, **settings: Any) -> Iterator[ReceiverSite]:
    """A DATA with a project P and one receiver `SCANDOCK`; `settings` beside those of `QUICK`."""
    data = make_data(folder / "data")
    all_settings = load_settings().model_copy(update=QUICK | settings)
    with contextlib.closing(_Disposing(open_data_catalog(str(data), all_settings))) as opened:
        catalog = opened.catalog
        add_project(catalog, ProjectRow(name="P"))
        with catalog.write() as connection:
            account = accounts.create(connection, "sender", password=None, admin=True)
        site = ReceiverSite(data=data, settings=all_settings, catalog=catalog, port=free_port(), account_id=account.id)
        yield site


class _Disposing:
    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def close(self) -> None:
        self.catalog.dispose()


def quicken(monkeypatch: Any) -> None:
    """Have the receiver look at its settings and studies without waiting."""
    monkeypatch.setattr(receiver_process, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(receiver_process, "NOTE_SECONDS", 0.05)
    monkeypatch.setattr(receiver_process, "BUSY_SECONDS", 0.02)
