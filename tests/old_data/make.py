"""`python -m tests.old_data.make [VERSION ...]`: make the packed DATA folders anew, by code of the project's history.

It needs the whole history, and PostgreSQL. The old code runs on the libraries of today.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests import postgres
from tests.builders import zip_entries
from tests.crash.archives import Study, zip_bytes
from tests.crash.processes import environment, is_stopped, members, until
from tests.integration.test_inspect_as_import import SCRIPTS, named_studies
from tests.ports import free_port

HERE = Path(__file__).parent
COMMITS = {
    "0001": "832176f",  # the command line alone
    "0002": "800a935",  # the first server
    "0007": "621b241",  # before projects had ids and deletions were gone on with
    "0022": "4d0cd44",  # before operations had a table of their own
    "0022-names": "4d0cd44",  # before names were spelled in ASCII for subjects' labels
}
ON_POSTGRESQL = ("0007", "0022")
PASSWORD = "correct horse"
RUN = "import sys; from scandock.cli import main; sys.exit(main())"
VERSION = {"Tus-Resumable": "1.0.0"}


@contextlib.contextmanager
def old_code(commit: str) -> Iterator[str]:
    """The folder of a commit's sources, for PYTHONPATH."""
    with tempfile.TemporaryDirectory(prefix="scandock-old-") as folder:
        packed = subprocess.run(
            ["git", "archive", commit, "src"], cwd=HERE.parents[1], stdout=subprocess.PIPE, check=True
        )
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(folder, filter="data")
        yield os.path.join(folder, "src")


class Old:
    """Old code at work on a DATA of its own."""

    def __init__(self, source: str, folder: Path, url: str | None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.env = environment(PYTHONPATH=source, SCANDOCK_ADMIN_PASSWORD=PASSWORD, SCANDOCK_WORKERS="1")
        if url is not None:
            self.env["SCANDOCK_DATABASE_URL"] = url

    def start(self, *words: str, **changes: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", RUN, *words]
        return subprocess.Popen(command, env=self.env | changes, cwd=self.folder, start_new_session=True)

    def study(self, number: int) -> Study:
        return Study(64, number, series=1, count=3, side=8)

    def archive(self, number: int) -> Path:
        path = self.folder / f"{number}.zip"
        path.write_bytes(zip_bytes(self.study(number).entries("S")))
        return path

    def files(self, *numbers: int) -> dict[str, list[str]]:
        """sha256 of what is to be stored of studies, by their uids."""
        return {self.study(number).uid: sorted(self.study(number).held().files) for number in numbers}


def import_by_command(old: Old) -> dict[str, Any]:
    """One archived, one that waits in the prearchive, one that dies between its intents and its end."""
    ends = []
    for number, more, changes in (
        (1, [], {}),
        (2, ["--destination", "prearchive"], {}),
        (3, [], {"SCANDOCK_CRASH_AT": "intent"}),
    ):
        where = ["--data", str(old.data), "--project", "P", "--create-project"]
        process = old.start("import", str(old.archive(number)), *where, *more, **changes)
        ends.append(process.wait(60))
    assert ends == [0, 0, -signal.SIGKILL], ends
    return {"archived": old.files(1, 3), "waiting": old.files(2)}


def import_names(old: Old) -> dict[str, Any]:
    """Patients whose names are of all scripts, under the labels that subjects had then, by PatientID."""
    path = old.folder / "names.zip"
    path.write_bytes(zip_entries(named_studies(*SCRIPTS)))
    words = ["import", str(path), "--data", str(old.data), "--project", "P", "--create-project"]
    assert old.start(*words).wait(60) == 0
    with contextlib.closing(sqlite3.connect(old.data / "scandock.db")) as catalog:
        return {"subjects": dict(catalog.execute("SELECT patient_id, subject FROM session"))}


def use_server(old: Old) -> dict[str, Any]:
    """A site with all that people do there; killed with an import in the midst, another that waits and half a third."""
    port, once = free_port(), str(old.folder / "once")
    words = ["serve", "--data", str(old.data), "--port", str(port), "--workers", "1"]
    stop = {"SCANDOCK_CRASH_AT": "intent", "SCANDOCK_CRASH_BY": "SIGSTOP", "SCANDOCK_CRASH_ONCE": once}
    Path(once).touch()  # not before the last import
    server = old.start(*words, **stop)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=("admin", PASSWORD), timeout=60) as client:
            until(lambda: _is_ready(client), "it was never ready")
            expected = _people(client) | _sessions(client, old)
            Path(once).unlink()
            running = _send(client, old.archive(5))
            until(lambda: any(map(is_stopped, members(server.pid))), "the import was not reached")
            waits = _send(client, old.archive(6))
            tus = _begin_by_tus(client, old.archive(7).read_bytes()) | {"files": old.files(7)}
            lines = client.get("/api/v1/audit?limit=200").json()["items"]
            states = {one["state"] for one in client.get("/api/v1/imports").json()["items"]}
            assert {"running", "received", "receiving"} <= states, states
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        until(lambda: not members(server.pid), "processes were left")
    ends = {"running": running, "received": waits}
    audit = sorted([line["action"], line["id"]] for line in lines)
    return expected | {"ends": old.files(5, 6), "uploads": ends, "tus": tus, "audit": audit}


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _good(answer: httpx.Response) -> httpx.Response:
    assert answer.is_success, answer.text
    return answer


def _people(client: httpx.Client) -> dict[str, Any]:
    _good(client.post("/api/v1/projects", json={"id": "P", "name": "First"}))
    for name in ("ann", "bob"):
        _good(client.post("/api/v1/accounts", json={"name": name, "password": f"{name} {PASSWORD}"}))
    _good(client.put("/api/v1/projects/P/members/ann", json={"role": "member"}))
    asking = client.build_request("POST", "/api/v1/tokens", json={"name": "script", "days": 30})
    token = _good(client.send(asking, auth=("ann", f"ann {PASSWORD}"))).json()["token"]
    return {"token": token, "passwords": {"ann": f"ann {PASSWORD}", "bob": f"bob {PASSWORD}", "admin": PASSWORD}}


def _sessions(client: httpx.Client, old: Old) -> dict[str, Any]:
    """Two in the archive, one that waits, one in the trash."""
    for number, more in ((1, ""), (2, ""), (3, "&destination=prearchive"), (4, "")):
        _placed(client, _send(client, old.archive(number), more))
    rows = _good(client.get("/api/v1/sessions?project=P")).json()["items"]
    (last,) = [row["id"] for row in rows if row["label"] == "CRASH64_4"]
    _good(client.delete(f"/api/v1/sessions/{last}"))
    return {
        "archived": old.files(1, 2),
        "waiting": old.files(3),
        "trashed": old.files(4),
        "sessions": {row["id"]: row["label"] for row in rows},
    }


def _send(client: httpx.Client, archive: Path, more: str = "") -> str:
    address = f"/api/v1/imports?project=P&filename={archive.name}{more}"
    return str(_good(client.post(address, content=archive.read_bytes())).json()["id"])


def _placed(client: httpx.Client, upload: str) -> None:
    until(lambda: client.get(f"/api/v1/imports/{upload}").json()["finished"], "it never ended")
    assert client.get(f"/api/v1/imports/{upload}").json()["state"] == "placed"


def _begin_by_tus(client: httpx.Client, body: bytes) -> dict[str, Any]:
    """Half an upload."""
    named = ",".join(f"{k} {base64.b64encode(v).decode()}" for k, v in (("project", b"P"), ("filename", b"7.zip")))
    begun = client.post(
        "/api/v1/uploads", headers=VERSION | {"Upload-Length": str(len(body)), "Upload-Metadata": named}
    )
    where = _good(begun).headers["location"]
    half = len(body) // 2
    kind = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    _good(client.patch(where, content=body[:half], headers=VERSION | kind))
    return {"path": httpx.URL(where).path, "offset": half, "body": base64.b64encode(body).decode()}


def pack(version: str, folder: Path, expected: dict[str, Any], name: str) -> Path:
    """Pack what old code left, once it is sure that it was old code."""
    if (folder / "catalog.sql").exists():
        dump = (folder / "catalog.sql").read_text()
        assert f"INSERT INTO public.alembic_version VALUES ('{version}');" in dump, re.findall(".*alembic.*", dump)
    else:
        with contextlib.closing(sqlite3.connect(folder / "data" / "scandock.db")) as catalog:
            assert catalog.execute("SELECT version_num FROM alembic_version").fetchall() == [(version,)]
    (folder / "expected.json").write_text(json.dumps({"version": version, **expected}, indent=1))
    path = HERE / f"{name}.tar.xz"
    with tarfile.open(path, "w:xz", preset=9) as archive:
        for part in ("data", "expected.json", "catalog.sql"):
            if (folder / part).exists():
                archive.add(folder / part, part, filter=_plain)
    return path


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def make(version: str, cluster: postgres.Cluster | None) -> Path:
    with tempfile.TemporaryDirectory(prefix="scandock-made-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        source = stack.enter_context(old_code(COMMITS[version]))
        url = None if cluster is None else stack.enter_context(cluster.database())
        old = Old(source, folder, url)
        expected = _use(version, old, url)
        if url is None:
            return pack(version.partition("-")[0], folder, expected, version)
        words = ["--no-owner", "--inserts", f"--file={folder}/catalog.sql", url.replace("+psycopg", "")]
        subprocess.run([str(postgres.find_programs() / "pg_dump"), *words], check=True)
        _for_any_psql(folder / "catalog.sql")
        return pack(version, folder, expected, f"{version}-postgresql")


def _use(version: str, old: Old, url: str | None) -> dict[str, Any]:
    if version == "0001":
        return import_by_command(old)
    if version == "0022-names":
        return import_names(old)
    if version == "0022":
        from tests.old_data.points import kill_everywhere  # it uses this module

        return kill_everywhere(old, url)
    return use_server(old)


def _for_any_psql(dump: Path) -> None:
    """Leave out what only psql of the newest fixes knows."""
    lines = dump.read_text().splitlines(keepends=True)
    dump.write_text("".join(line for line in lines if not line.startswith(("\\restrict", "\\unrestrict"))))


def main(versions: list[str]) -> int:
    for version in versions or COMMITS:
        made = [make(version, None)]
        if version in ON_POSTGRESQL:
            with postgres.cluster() as cluster:
                made.append(make(version, cluster))
        for path in made:
            print(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()[:16])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
