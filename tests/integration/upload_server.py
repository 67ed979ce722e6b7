"""Uploads that have come by the server, and workers on them, without a web process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.server_tables import account, event, progress, reception
from scandock.catalog.tables import upload
from scandock.queue.cancel import CancelResult, cancel
from scandock.queue.enqueue import accept
from scandock.queue.notify import notify
from scandock.queue.tokens import new_uuid
from scandock.store.local import LocalStore
from scandock.testing.data import make_data
from tests.crash.processes import environment, members, process_name, until

FINAL_STATES = ("placed", "held", "partly", "refused", "failed", "cancelled")


class UploadServer:
    """A DATA with its catalog; `url` None is SQLite in it."""

    def __init__(self, data: Path, url: str | None = None) -> None:
        self.data = data
        self.store = LocalStore(data)
        self.store.prepare()
        if url is None:
            make_data(data)
        self.url = url
        self.catalog: Catalog = open_catalog(url or f"sqlite:///{data}/scandock.db")
        self.accounts: dict[str, int] = {}
        add_project(self.catalog, ProjectRow(name="P"))

    def close(self) -> None:
        self.catalog.dispose()
        self.store.close()

    def account(self, name: str) -> int:
        if name not in self.accounts:
            with self.catalog.write() as connection:
                values = {"name": name, "key": name, "created": 0, "modified": 0, "admin": True}
                key = connection.execute(insert(account).values(uuid=new_uuid(), **values)).inserted_primary_key
                assert key is not None
                self.accounts[name] = key[0]
        return self.accounts[name]

    def receive(
        self, body: bytes, *, by: str = "ann", name: str = "archive.zip", size: int | None = None, **options: Any
    ) -> str:
        """An upload whose bytes have come; not accepted yet."""
        uuid = new_uuid()
        with closing(self.store.spool(uuid)) as spool:
            spool.append(0, body)
            spool.sync()
        request = json.dumps({"project": "P", **options})
        owner = self.account(by)
        with self.catalog.write() as connection:
            row = {"uuid": uuid, "archive": name, "source": "server", "state": "receiving", "request": request}
            key = connection.execute(insert(upload).values(created=self.catalog.now(), **row)).inserted_primary_key
            assert key is not None
            reception_values = {"upload_id": key[0], "account_id": owner, "door": "raw"}
            connection.execute(
                insert(reception).values(
                    size=len(body) if size is None else size, received=len(body), **reception_values
                )
            )
        return uuid

    def accept(self, uuid: str) -> None:
        with self.catalog.write() as connection:
            assert accept(self.catalog, connection, self.id(uuid))
        notify(str(self.data))

    def send(self, body: bytes, **how: Any) -> str:
        uuid = self.receive(body, **how)
        self.accept(uuid)
        return uuid

    def cancel(self, uuid: str) -> CancelResult:
        with self.catalog.write() as connection:
            result = cancel(self.catalog, connection, self.id(uuid))
        notify(str(self.data))
        return result

    def id(self, uuid: str) -> int:
        with self.catalog.read() as connection:
            return int(connection.execute(select(upload.c.id).where(upload.c.uuid == uuid)).scalar_one())

    def row(self, uuid: str) -> dict[str, Any]:
        with self.catalog.read() as connection:
            joined = select(upload, reception.c.retry_at, reception.c.cancel).join(
                reception, reception.c.upload_id == upload.c.id
            )
            return dict(connection.execute(joined.where(upload.c.uuid == uuid)).mappings().one())

    def state(self, uuid: str) -> str:
        return str(self.row(uuid)["state"])

    def ended(self, uuid: str) -> str:
        """Wait for its end; the state."""
        until(lambda: self.state(uuid) in FINAL_STATES, f"it never ended: {uuid}")
        return self.state(uuid)

    def events(self, uuid: str) -> list[tuple[str, dict[str, Any]]]:
        with self.catalog.read() as connection:
            rows = connection.execute(
                select(event.c.kind, event.c.data).where(event.c.upload_id == self.id(uuid)).order_by(event.c.id)
            ).all()
        return [(row.kind, json.loads(row.data)) for row in rows]

    def progress(self, uuid: str) -> dict[str, Any] | None:
        with self.catalog.read() as connection:
            row = connection.execute(select(progress).where(progress.c.upload_id == self.id(uuid))).mappings().first()
        return None if row is None else dict(row)

    def hurry(self, uuid: str) -> None:
        """Let a back-off be over, and wake the worker."""
        with self.catalog.write() as connection:
            connection.execute(update(reception).where(reception.c.upload_id == self.id(uuid)).values(retry_at=0))
        notify(str(self.data))

    def spooled(self) -> list[str]:
        return self.store.spools()

    def worker(self, slots: int = 2, **changes: str) -> AbstractContextManager[Worker]:
        """A worker process in a group of its own, with this process as its server; killed at the end."""
        return run_worker(self.data, self.url, slots, **changes)


@contextmanager
def run_worker(data: Path, url: str | None = None, slots: int = 2, **changes: str) -> Iterator[Worker]:
    """A worker process on a DATA, whose catalog is at `url` (None: SQLite in it); killed at the end."""
    if url is not None:
        changes["SCANDOCK_DATABASE_URL"] = url
    process = subprocess.Popen(
        [sys.executable, "-m", "scandock.workers.worker", str(os.getpid()), str(data), str(slots)],
        env=environment(**{"SCANDOCK_WORKERS": "1", **changes}),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    running = Worker(process)
    try:
        yield running
    finally:
        running.kill()


@dataclass
class Worker:
    process: subprocess.Popen[str]
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def attempts(self) -> list[int]:
        return [pid for pid in members(self.process.pid) if process_name(pid) == "attempt"]

    def kill(self) -> None:
        """Kill the worker alone, as something else might; what it started dies with it."""
        if self.process.poll() is None:
            self.process.kill()
        self._bury()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self._bury()
        return self.process.returncode

    def _bury(self) -> None:
        _, err = self.process.communicate(timeout=60)
        if err:
            self.log.extend(json.loads(line) for line in err.splitlines() if line.startswith("{"))
        until(lambda: not members(self.process.pid), "processes outlived their worker")
