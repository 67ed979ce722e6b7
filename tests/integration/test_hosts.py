"""Several hosts with one catalog in PostgreSQL and one folder: told apart by more than names, each with its role.

A host is a server of its own mount namespace here, in which the machine has another boot id, and the same name.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, select, text

from scandock.catalog.tables import upload
from tests.crash.archives import Study, zip_bytes
from tests.crash.forked import BOOT_ID, BOOT_ID_FILE
from tests.crash.processes import SCANDOCK, environment, run, until
from tests.crash.served import LOGIN, PASSWORD, ServerProcess
from tests.ports import free_port

pytestmark = [pytest.mark.crash, pytest.mark.processes]

TUS = {"Tus-Resumable": "1.0.0"}


def make_boot_id(folder: Path, number: int) -> Path:
    """A file with the boot id of a machine."""
    path = folder / "boot"
    path.write_text(f"{number:08d}-0000-4000-8000-000000000000\n")
    return path


class Host(ServerProcess):
    """A server on a machine of its own, over the folder that all of them have."""

    def __init__(self, folder: Path, number: int, url: str, *words: str, **changes: str) -> None:
        own = folder / f"host{number}"
        own.mkdir(exist_ok=True)
        changes |= {"SCANDOCK_DATABASE_URL": url, "SCANDOCK_HOST_FOLDER": str(own / "scandock")}
        changes |= {BOOT_ID_FILE: str(make_boot_id(own, number))}
        super().__init__(own, free_port(), *words, data=str(folder / "data"), **changes)

    def ready(self) -> Host:
        super().ready()
        return self

    def request(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, http.client.HTTPMessage, Any]:
        """Status, headers and body; headers are named with underscores."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {**LOGIN, **TUS, **named})
            answer = connection.getresponse()
            content = answer.read()
        return answer.status, answer.headers, json.loads(content) if content[:1] == b"{" else content

    def open_request(self, method: str, path: str, length: int, sent: bytes, **headers: str) -> socket.socket:
        """A request that has brought only the first of its bytes."""
        login = LOGIN["Authorization"]
        named = {"Authorization": login, "Content-Length": str(length), **TUS, **headers}
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + sent)
        return connection


StartHost = Callable[..., Host]


@pytest.fixture
def start(tmp_path: Path, postgres_url: str) -> Iterator[StartHost]:
    words: list[str | Path] = ["unshare", "--mount", "mount", "--bind", make_boot_id(tmp_path, 0), BOOT_ID]
    probe = subprocess.run(words, capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("no namespaces may be made here, in which machines of one name could be told apart")
    hosts: list[Host] = []

    def begin(number: int, *words: str, **changes: str) -> Host:
        hosts.append(Host(tmp_path, number, postgres_url, *words, **changes))
        return hosts[-1]

    yield begin
    for host in hosts:
        host.kill()
    for host in hosts:
        host.wait()


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Connection]:
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def body(number: int) -> bytes:
    return zip_bytes(Study(92, number, count=6, side=8).entries(f"S{number}"))


def stands(host: Host, uuid: str) -> str:
    return str(host.ask("GET", f"/api/v1/imports/{uuid}")[1]["state"])


def make_upload(host: Host, size: int) -> str:
    metadata = ",".join(
        f"{name} {base64.b64encode(value.encode()).decode()}"
        for name, value in (("project", "P"), ("filename", "a.zip"))
    )
    status, headers, _ = host.request(
        "POST", "/api/v1/uploads", Upload_Length=str(size), Upload_Metadata=metadata, Content_Length="0"
    )
    assert status == 201
    return str(headers["Location"]).removeprefix(f"http://127.0.0.1:{host.port}")


def patch(host: Host, path: str, at: int, data: bytes) -> tuple[int, Any]:
    status, _, answer = host.request(
        "PATCH", path, data, Upload_Offset=str(at), Content_Type="application/offset+octet-stream"
    )
    return status, answer


def offset(host: Host, path: str) -> int:
    status, headers, _ = host.request("HEAD", path)
    assert status == 200
    return int(headers["Upload-Offset"])


def pass_time(connection: Connection) -> None:
    """Let all that hosts have said of themselves be half a minute older than it is."""
    for statement in (
        "UPDATE reception SET writer_seen = writer_seen - 30000",
        "UPDATE upload SET lease_until = lease_until - 30000 WHERE state = 'running'",
    ):
        connection.execute(text(statement))


def test_two_machines_of_one_name_are_told_apart_and_each_goes_on_with_what_the_other_left(
    start: StartHost, connection: Connection
) -> None:
    first = start(1, "--workers", "1", SCANDOCK_CRASH_AT="rows", SCANDOCK_CRASH_BY="SIGSTOP").ready()
    stopped = first.send(body(1))
    until(lambda: stands(first, stopped) == "running", "it did not begin")
    second = start(2, "--workers", "1").ready()
    second.placed(second.send(body(2)))  # its worker has looked for what is next, before and after that one
    row = connection.execute(select(upload.c.attempt, upload.c.owner).where(upload.c.uuid == stopped)).one()
    assert json.loads(row.owner)["boot"] == "00000001-0000-4000-8000-000000000000", "it takes itself for this machine"
    ids = [
        (host.data.parent / f"host{number}/scandock/host-id").read_text().strip()
        for number, host in ((1, first), (2, second))
    ]
    assert ids[0] != ids[1]
    assert (row.attempt, json.loads(row.owner)["host_id"]) == (1, ids[0]), "stolen from a machine that lives"

    content = body(3)
    path = make_upload(first, len(content))
    keyed = {"Idempotency_Key": "k", "Content_Type": "application/zip"}
    with (
        first.open_request("POST", "/api/v1/imports?project=P&filename=b.zip", 1000, b"PK", **keyed),
        first.open_request(
            "PATCH", path, len(content), content[:500], Upload_Offset="0",
            Content_Type="application/offset+octet-stream",
        ),
    ):  # fmt: skip
        until(lambda: count_written(connection) == 2, "its writers are in no row")
        assert patch(second, path, 0, content)[0] == 423, "two hosts write one upload"
        assert offset(second, path) == 0
        assert send_keyed(second, keyed) == (409, "upload_running")
        first.kill()
        first.wait()
    assert patch(second, path, 0, content)[0] == 423, "it may still live, for all that is known"
    assert send_keyed(second, keyed) == (409, "upload_running")
    pass_time(connection)
    second.placed(stopped)
    assert connection.execute(select(upload.c.attempt).where(upload.c.uuid == stopped)).scalar_one() == 2
    at = offset(second, path)
    assert patch(second, path, at, content[at:])[0] == 204
    second.placed(path.rpartition("/")[2])
    assert send_keyed(second, keyed) == (202, "")
    until(lambda: count_receiving(connection) == 0, "what the dead host left stayed")


def send_keyed(host: Host, headers: dict[str, str]) -> tuple[int, str]:
    status, _, answer = host.request("POST", "/api/v1/imports?project=P&filename=b.zip", body(4), **headers)
    return status, answer.get("code") or ""


def count_written(connection: Connection) -> int:
    return int(
        connection.execute(text("SELECT count(*) FROM reception WHERE writer <> '' AND accepted IS NULL")).scalar_one()
    )


def count_receiving(connection: Connection) -> int:
    return int(connection.execute(text("SELECT count(*) FROM upload WHERE state = 'receiving'")).scalar_one())


def test_a_web_host_answers_and_a_worker_host_imports(start: StartHost, connection: Connection, tmp_path: Path) -> None:
    web = start(1, "--role", "web")
    until(lambda: "worker_missing" in str(readiness(web)), "it did not say that nobody imports")
    web.project()
    archive = tmp_path / "exam.zip"
    archive.write_bytes(body(6))
    errors = tmp_path / "errors"
    with errors.open("w") as output:
        words = upload_words(web, archive)
        uploading = subprocess.Popen(words, env=environment(SCANDOCK_PASSWORD=PASSWORD), stderr=output, stdout=output)
    until(lambda: "scandock serve --role worker" in errors.read_text(), "it waits in silence")
    assert uploading.poll() is None, "it does not wait"
    (waiting,) = web.ask("GET", "/api/v1/imports")[1]["items"]
    assert (waiting["state"], waiting["code"], waiting["waiting"]) == ("received", "worker_missing", None)
    worker = start(2, "--role", "worker").ready()
    web.ready()
    assert uploading.wait(60) == 0, errors.read_text()
    assert errors.read_text().count("No host of this server has a worker that takes imports now.") == 1
    refused = run(upload_words(worker, archive), SCANDOCK_PASSWORD=PASSWORD)
    assert refused.code == 2
    assert f"http://127.0.0.1:{worker.port}: This host has the role worker" in refused.err
    assert "role web or all" in refused.err
    assert (web.child("worker"), web.child("receiver")) == (None, None)
    uuid = web.send(body(5))
    web.placed(uuid)
    assert worker.ask("GET", "/healthz")[0] == 200
    status, metrics = worker.ask("GET", "/metrics")
    assert (status, b"scandock_" in metrics) == (200, True)
    for method, path in (
        ("GET", "/"),
        ("GET", "/api/v1/imports"),
        ("GET", "/data/projects"),
        ("POST", "/api/v1/imports"),
    ):
        status, problem = worker.ask(method, path)
        assert (status, problem["code"]) == (404, "worker_host")
    roles = connection.execute(text("SELECT role, worker_seen > 0 FROM host ORDER BY role")).all()
    assert [tuple(row) for row in roles] == [("web", False), ("worker", True)]
    worker.end()
    until(lambda: "worker_missing" in str(readiness(web)), "a host that has ended counts on")
    assert connection.execute(text("SELECT count(*) FROM host WHERE seen > 0 AND role = 'worker'")).scalar_one() == 0
    web.end()


def upload_words(host: Host, archive: Path) -> list[str | Path]:
    return [SCANDOCK, "upload", archive, "--url", f"http://127.0.0.1:{host.port}", "--project", "P", "--user", "admin"]


def readiness(host: Host) -> object:
    try:
        return host.ask("GET", "/readyz")[1]
    except (OSError, http.client.HTTPException):
        return ""
