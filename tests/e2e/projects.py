"""What a test in a browser works with on a server that many tests share: a project of its own, and who owns that."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, StorageState

from scandock.rules.import_request import ImportRequest
from scandock.services.settings import load_settings
from scandock.testing.data import make_data
from scandock.workers.local_import import run_import
from tests.builders import zip_entries
from tests.crash.forked import BUNDLE
from tests.crash.processes import is_stopped, until
from tests.crash.served import PASSWORD, ServerProcess, basic_header
from tests.e2e.browsing import Person, base_of, person
from tests.ports import free_port

OWNERS_PASSWORD = "battery staple"
COOKIE = "scandock_session"
_numbers = count(1)


@contextmanager
def shared_site(folder: Path, bundle: Path | None = None) -> Iterator[ServerProcess]:
    """A server for many tests. An import stops there once it has read its archive, where a test asks for that.

    Its pages are as a wheel serves them with a `bundle`, else plain modules.
    """
    make_data(folder / "data")
    stopped = folder / "stopped"
    stopped.touch()
    running = ServerProcess(
        folder,
        free_port(),
        SCANDOCK_WORKERS="1",
        SCANDOCK_CRASH_AT="read",
        SCANDOCK_CRASH_BY="SIGSTOP",
        SCANDOCK_CRASH_ONCE=str(stopped),
        **({BUNDLE: str(bundle)} if bundle else {}),
    ).ready()
    try:
        yield running
        running.end()
    finally:
        running.kill()


@dataclass(kw_only=True)
class NextImport:
    """The next import of a shared server: it stops once it has read its archive, until `go_on`."""

    served: ServerProcess

    def stopped(self) -> None:
        """Wait until it has stopped."""
        until(lambda: any(map(is_stopped, self.served.children("attempt"))), "the import never came to its point")

    def go_on(self) -> None:
        attempts = self.served.children("attempt")
        assert attempts
        for attempt in attempts:  # another small import may go beside the one that stopped
            _send_on(attempt)


@contextmanager
def stopping(served: ServerProcess) -> Iterator[NextImport]:
    """Let the next import stop on its way."""
    mark = served.data.parent / "stopped"
    mark.unlink()
    try:
        yield NextImport(served=served)
    finally:
        mark.touch()
        for attempt in served.children("attempt"):
            _send_on(attempt)


def _send_on(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def log_in(base: str, name: str = "admin", password: str = PASSWORD) -> StorageState:
    """What a browser keeps of a login, for `person(..., storage_state=...)`: without the login page."""
    body = {"name": name, "password": password}
    answer = httpx.post(f"{base}/api/v1/auth/login", json=body, trust_env=False)
    assert answer.status_code == 200, answer.text
    secret = answer.cookies[COOKIE]
    return {"cookies": [{"name": COOKIE, "value": secret, "domain": "127.0.0.1", "path": "/"}], "origins": []}


@dataclass(kw_only=True)
class Project:
    """A project, and an account that owns it and may see nothing else of the server."""

    served: ServerProcess
    id: str
    owner: str
    imported: int = field(default=0, init=False)

    @property
    def port(self) -> int:
        return self.served.port

    @property
    def data(self) -> Path:
        return self.served.data

    @property
    def base(self) -> str:
        return base_of(self.served)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Ask as the owner."""
        return self.served.ask(method, path, body, basic_header(self.owner, OWNERS_PASSWORD))

    def log_in(self) -> StorageState:
        """A login of the owner."""
        return log_in(self.base, self.owner, OWNERS_PASSWORD)

    def account(self, name: str, role: str | None = None) -> str:
        """Make an account, with a role in the project or without; gives its name, which no other test has."""
        whole = f"{name}_{self.id}"
        made = json.dumps({"name": whole, "password": OWNERS_PASSWORD}).encode()
        assert self.served.ask("POST", "/api/v1/accounts", made)[0] == 201
        if role is not None:
            self.member(whole, role)
        return whole

    def member(self, account: str, role: str) -> None:
        body = json.dumps({"role": role}).encode()
        assert self.served.ask("PUT", f"/api/v1/projects/{self.id}/members/{account}", body)[0] in (200, 204)

    def store(self, entries: Mapping[str, bytes], **options: Any) -> dict[str, Any]:
        """Import an archive as the command line does, beside the server and within this process; gives its report.

        For what has to be there before a test begins: it takes a tenth of an upload's time, and is no upload that the
        page of activity shows.
        """
        self.imported += 1
        path = self.data.parent / f"{self.id}_{self.imported}.zip"
        path.write_bytes(zip_entries(entries))
        result = run_import(
            data=str(self.data),
            archive=str(path),
            request=ImportRequest(project=self.id, workers=1, **options),
            settings=load_settings(),
            on_progress=None,
            cancelled=threading.Event(),
        )
        return dict(result.report)

    def send(self, body: bytes, name: str = "one.zip", **more: str) -> str:
        """Upload an archive into the project as its owner; gives its import's id."""
        asked = httpx.QueryParams({"filename": name, "project": self.id, **more})
        status, made = self.ask("POST", f"/api/v1/imports?{asked}", body)
        assert status == 202, made
        return str(made["id"])

    def ended(self, uuid: str) -> dict[str, Any]:
        """An import once it has ended: the server's stream of its events ends with it."""
        assert self.ask("GET", f"/api/v1/imports/{uuid}/events")[0] in (200, 204)
        told: dict[str, Any] = self.ask("GET", f"/api/v1/imports/{uuid}")[1]
        return told

    def placed(self, uuid: str) -> dict[str, Any]:
        told = self.ended(uuid)
        assert told["state"] == "placed", told
        return told


def project_of(served: ServerProcess, kind: str = "Lab", title: str = "") -> Project:
    """A new project with an owner."""
    name = f"{kind}{next(_numbers)}"
    body = json.dumps({"id": name, "name": title or name}).encode()
    assert served.ask("POST", "/api/v1/projects", body)[0] == 201
    made = Project(served=served, id=name, owner="")
    made.owner = made.account("olga", "owner")
    return made


@contextmanager
def owner(browser: Browser, project: Project, **more: Any) -> Iterator[Person]:
    """The project's owner at a browser, logged in; `more` as `person` takes it."""
    with person(browser, project.base, storage_state=project.log_in(), **more) as one:
        yield one
