"""`scandock serve` as people start it, in a group of its own: asked, killed in parts or whole, stopped."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.crash.forked import ForkedCommand
from tests.crash.processes import SCANDOCK, environment, members, process_name, until

PASSWORD = "secret"


def basic_header(name: str, password: str) -> dict[str, str]:
    """The header of a request that is made as an account."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


LOGIN = basic_header("admin", PASSWORD)
FINAL_STATES = ("placed", "held", "partly", "refused", "failed", "cancelled")


class ServerProcess:
    """A server of `folder`/data; what it prints goes to files, since nobody reads it while it runs.

    It is forked from a process that has imported Scandock, and its children from it, which saves three seconds of work.
    """

    fresh = False
    before: Sequence[str] = ()
    """Words of a command that runs the server's, of one that is `fresh`."""

    def __init__(self, folder: Path, port: int, *words: str, data: str = "", dropped: str = "", **changes: str) -> None:
        """DATA is `folder`/data, or where `data` says; the syncs that are `dropped` say yes and do nothing."""
        self.data = Path(data) if data else folder / "data"
        self.port = port
        self.out, self.err = folder / "out", folder / "err"
        self.process: subprocess.Popen[str] | ForkedCommand
        command = list(map(str, (SCANDOCK, "serve", "--data", self.data, "--port", port, *words)))
        env = environment(SCANDOCK_ADMIN_PASSWORD=PASSWORD, **changes)
        with self.out.open("a") as out, self.err.open("a") as err:
            if self.fresh:
                unsynced = [sys.executable, "-m", "tests.crash.dropped_syncs", dropped] if dropped else []
                self.process = subprocess.Popen(
                    [*self.before, *unsynced, *command],
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    text=True,
                    start_new_session=True,
                )
            else:
                self.process = ForkedCommand(
                    "tests.crash.forked:serve", dropped, argv=command, env=env, streams=(out, err)
                )
        self.group = self.process.pid

    def kill(self, *, whole: bool = True) -> None:
        """Kill the whole group, or the supervisor alone."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if whole else os.kill)(self.group, signal.SIGKILL)

    def wait(self) -> int:
        code = self.process.wait(60)
        until(lambda: not members(self.group), f"processes {members(self.group)} outlived the server")
        return code

    def ask(
        self, method: str, path: str, body: bytes | None = None, login: Mapping[str, str] = LOGIN
    ) -> tuple[int, Any]:
        """Status, and the body: JSON where it is an object."""
        connection = self.connect()
        try:
            headers = {**login, **({"Content-Type": "application/json"} if body and body[:1] == b"{" else {})}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(text) if text[:1] == b"{" else text

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ready(self) -> ServerProcess:
        def good() -> bool:
            assert self.process.poll() is None, self.err.read_text()
            try:
                return self.ask("GET", "/readyz")[0] == 200
            except (OSError, http.client.HTTPException):
                return False

        until(good, "it was never ready")
        return self

    def child(self, name: str) -> int | None:
        """A process of the group by what it calls itself: web, worker, attempt ..."""
        return next(iter(self.children(name)), None)

    def children(self, name: str) -> list[int]:
        """The processes of the group by what they call themselves: small imports go beside each other."""
        return [pid for pid in members(self.group) if process_name(pid) == name]

    def project(self) -> None:
        assert self.ask("POST", "/api/v1/projects", b'{"id": "P", "name": "P"}')[0] in (201, 409)

    def send(self, body: bytes) -> str:
        """An upload into the project P; its import's id."""
        self.project()
        status, body_ = self.ask("POST", "/api/v1/imports?project=P&filename=one.zip", body)
        assert status == 202, body_
        return str(body_["id"])

    def placed(self, uuid: str) -> None:
        import_object: dict[str, Any] = {}

        def ended() -> bool:
            status, answer = self.ask("GET", f"/api/v1/imports/{uuid}")
            assert status == 200, f"the import {uuid} is not known: {status} {answer}"
            import_object.update(answer)
            return import_object["state"] in FINAL_STATES

        until(ended, f"the import {uuid} never ended")
        assert import_object["state"] == "placed", import_object

    def end(self) -> None:
        self.process.terminate()
        assert self.wait() == 0, self.err.read_text()


class FreshServerProcess(ServerProcess):
    """A server whose processes are all started as they are for people."""

    fresh = True
