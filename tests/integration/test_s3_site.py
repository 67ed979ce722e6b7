"""A site whose files are in a bucket: imported by the command line and by a server, and read back by another host."""

from __future__ import annotations

import contextlib
import io
import os
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from scandock.publishing.object_rows import PostgresObjectRows
from scandock.store.bucket import Bucket
from scandock.store.s3_stages import S3Stage
from scandock.store.s3_store import S3Store
from scandock.workers import context
from scandock.workers.archive_reader import ArchiveReader
from tests.badinput.objects import Image, sha256
from tests.builders import DataFolder, uploader_layout, zip_entries
from tests.crash.archives import Study, write_tar
from tests.crash.processes import SCANDOCK, run, until
from tests.crash.served import LOGIN, FreshServerProcess
from tests.integration.in_process import call_in_process
from tests.integration.test_cli_import import call
from tests.ports import free_port

pytestmark = pytest.mark.processes


GRADUAL = "/data/services/import?import-handler=gradual-DICOM&inbody=true&dest=/prearchive/projects/P"
FIRST = Image(case="B", number=1)


def objects(session: str, count: int = 3, **values: Any) -> list[bytes]:
    return [Image(number=number, case=session, **values).file() for number in range(1, count + 1)]


@pytest.fixture
def place(bucket: Bucket, postgres_url: str) -> dict[str, str]:
    """The settings that all hosts of the site share."""
    return {
        "SCANDOCK_DATABASE_URL": postgres_url,
        "SCANDOCK_STORE": bucket.url,
        "SCANDOCK_S3_ENDPOINT": bucket.endpoint or "",
        "SCANDOCK_GARBAGE_DAYS": "0",
    }


def sweep(data: Path, bucket: Bucket, url: str) -> None:
    """Delete what is due, as a janitor does at its next turn."""
    rows = PostgresObjectRows(url)
    with contextlib.closing(rows), contextlib.closing(S3Store(str(data), bucket, rows, garbage_ms=0)) as store:
        store.prepare()
        store.sweep()


def test_the_command_line_imports_into_a_bucket_and_another_host_reads_it(tmp_path: Path, place, bucket) -> None:
    files = objects("A")
    archive = tmp_path / "a.zip"
    archive.write_bytes(zip_entries(uploader_layout("A", "1", files)))
    done = call("import", archive, "--data", tmp_path / "one", "--project", "P", "--create-project", **place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Store: {bucket.url}\n" in done.stdout
    assert "Session: " not in done.stdout
    kinds = sorted({key.split("/")[1] for key in bucket.list("v1") if key.count("/") > 1})
    assert kinds == ["p", "r"]
    assert not any((tmp_path / "one" / "work").iterdir())

    archive.write_bytes(zip_entries(uploader_layout("A", "1", [*files, *objects("A", 5)[3:]])))
    done = call("import", archive, "--data", tmp_path / "two", "--project", "P", "--overwrite", "append", **place)
    assert done.returncode == 0, done.stdout + done.stderr

    checked = call_in_process("check", "--data", tmp_path / "one", **place)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout == f"0 findings in {bucket.url}\n"
    told = call_in_process("admin", "store", "show", "--data", tmp_path / "one", **place)
    assert told.stdout.splitlines()[0].startswith(f"Files of sessions in {bucket.url}: 2 objects, "), told.stdout
    target = tmp_path / "out"
    exported = call_in_process("export", "P", "--to", target, "--data", tmp_path / "two", **place)
    assert exported.returncode == 0, exported.stdout + exported.stderr
    found = sorted(sha256(path.read_bytes()) for path in target.rglob("*.dcm"))
    assert found == sorted(map(sha256, objects("A", 5)))


def test_nothing_is_sent_before_the_bucket_is_known_to_be_the_catalogs(
    tmp_path: Path, place, bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalog is opened beside the reading, and here once that is over."""
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    told: list[str] = []
    is_read = threading.Event()
    read, send_ahead, make_areas = ArchiveReader.read, S3Stage.send_ahead, S3Store.make_areas
    open_context = context.open_context

    def read_then_tell(*words: Any, **options: Any) -> Any:
        try:
            return read(*words, **options)
        finally:
            is_read.set()

    def open_late(*words: Any) -> Any:
        assert is_read.wait(60)
        return open_context(*words)

    def tell(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def told_of(*words: Any) -> Any:
            made = call(*words)
            told.append(name)
            return made

        return told_of

    monkeypatch.setattr(ArchiveReader, "read", read_then_tell)
    monkeypatch.setattr(context, "open_context", open_late)
    monkeypatch.setattr(S3Stage, "send_ahead", tell("sent", send_ahead))
    monkeypatch.setattr(S3Store, "make_areas", tell("known", make_areas))
    site = DataFolder(root=tmp_path)
    done = site.bring(uploader_layout("A", "1", objects("A")))
    assert done.report["state"] == "placed"
    assert told[0] == "known"
    assert len(list(bucket.list("v1/p"))) == 1


def test_images_in_segments_survive_their_reader_and_are_told_apart(tmp_path: Path, place, bucket) -> None:
    """A reader dies between two that it has told of, another reads on; one object comes twice, one of a UID differs."""
    entries = Study(5, 1, count=100).entries("T")
    entries |= {"T/again.dcm": entries["T/s1/004.dcm"], "T/other.dcm": Study(5, 1, version=1).objects["s1/006.dcm"]}
    archive, once = write_tar(tmp_path / "a.tar", entries), tmp_path / "once"
    options = ("--data", tmp_path / "one", "--project", "P", "--create-project", "--workers", "1", "--json")
    death = {"SCANDOCK_CRASH_ENTRY": "s2/060.dcm", "SCANDOCK_CRASH_BY": "SIGKILL", "SCANDOCK_CRASH_ONCE": str(once)}
    done = run([SCANDOCK, "import", archive, *options], threads=False, **death, **place)
    assert once.exists()
    assert (done.report["state"], done.report["code"]) == ("held", "sop_clash"), str(done)
    told = [done.report["entries"][verdict] for verdict in ("stored", "conflict", "duplicate", "resource")]
    assert told == [199, 2, 1, 1]
    (session,) = done.report["sessions"]
    assert [scan["resources"][0]["files"] for scan in session["scans"]] == [101, 100]
    checked = call_in_process("check", "--data", tmp_path / "one", **place)  # which reads every file
    assert checked.stdout == f"0 findings in {bucket.url}\n"


def test_a_web_host_takes_what_a_worker_host_imports_and_gives_it_back(tmp_path: Path, place, bucket) -> None:
    """They have no folder in common."""
    hosts = []
    for role in ("web", "worker"):
        (tmp_path / role).mkdir()
        hosts.append(FreshServerProcess(tmp_path / role, free_port(), "--workers", "1", "--role", role, **place))
    server = hosts[0]
    try:
        for host in hosts:
            host.ready()
        files = objects("B", 4)
        uuid = server.send(zip_entries(uploader_layout("B", "1", files)))
        server.placed(uuid)
        assert server.ask("GET", f"/api/v1/imports/{uuid}/receipt?format=csv")[0] == 200
        (session,) = server.ask("GET", "/api/v1/sessions?project=P")[1]["items"]
        address = f"/api/v1/sessions/{session['id']}"
        check_reading(server, address, files)

        # single objects are acknowledged once the bucket has them, and built where somebody asks for them
        for single in objects("C", 2):
            assert server.ask("POST", GRADUAL, single)[0] == 200
            assert list_prearchive(server) == ["RECEIVING"]
        assert os.listdir(tmp_path / "web" / "data" / "incoming") == []
        (waiting,) = read_rows(server, "/data/prearchive/projects/P")
        rows = read_rows(server, f"/data{waiting['url']}/scans/ALL/files")
        assert (len(rows), list_prearchive(server)) == (2, ["READY"])

        # a file of the user's cache, by a range and beyond its end
        cached = "/data/user/cache/resources/r/files/a.zip"
        assert server.ask("PUT", cached, b"0123456789")[0] == 200
        assert server.ask("GET", cached, login={**LOGIN, "Range": "bytes=2-5"}) == (206, b"2345")
        assert server.ask("GET", cached, login={**LOGIN, "Range": "bytes=90-"})[0] == 416
        assert server.ask("DELETE", cached)[0] == 200

        # deleted, and brought back
        assert server.ask("DELETE", address)[0] in (200, 204)
        (gone,) = server.ask("GET", "/api/v1/trash")[1]["items"]
        assert server.ask("POST", f"/api/v1/trash/{gone['id']}/restore", b"{}")[0] == 200
        (session,) = server.ask("GET", "/api/v1/sessions?project=P")[1]["items"]
        check_reading(server, f"/api/v1/sessions/{session['id']}", files)
        for host in hosts:
            host.end()
    finally:
        for host in hosts:
            host.kill()
    for host in hosts:
        checked = call_in_process("check", "--data", host.data, **place)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert os.listdir(host.data / "work") == []
    sweep(tmp_path / "judge", bucket, place["SCANDOCK_DATABASE_URL"])
    assert list(bucket.list("v1/s")) == []


KILLS = ("object_synced", "study_finished")


def test_what_a_dead_host_has_acknowledged_of_single_objects_another_one_builds(
    tmp_path: Path, place, bucket, postgres_url: str
) -> None:
    """Killed between the bucket and the acknowledgment, and between that and the import."""
    survivor = FreshServerProcess(tmp_path, free_port(), "--workers", "1", **place)
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    hosts = [survivor]
    try:
        survivor.ready().project()
        for number, point in enumerate(KILLS, 1):
            (tmp_path / point).mkdir()
            named = {"SCANDOCK_CRASH_AT": point, "SCANDOCK_GRADUAL_SECONDS": "600"}
            host = FreshServerProcess(tmp_path / point, free_port(), "--role", "web", **place, **named)
            hosts.append(host)
            host.ready()
            is_acknowledged = send_until_killed(host, *objects(point, 1))
            assert is_acknowledged == (point != "object_synced")
            with engine.connect() as connection:  # as if they had been silent for long; who lives says so again
                connection.execute(text("UPDATE host SET seen = 0, worker_seen = 0"))
            built = ["READY"] * number
            until(lambda: list_prearchive(survivor) == built, "nobody went on with it")  # noqa: B023
        sessions = read_rows(survivor, "/data/prearchive/projects/P")
        files = [row for one in sessions for row in read_rows(survivor, f"/data{one['url']}/scans/ALL/files")]
        contents = [survivor.ask("GET", row["URI"])[1] for row in files]
        assert sorted(contents) == sorted(objects(point, 1)[0] for point in KILLS)
        survivor.end()
    finally:
        engine.dispose()
        for host in hosts:
            host.kill()
            host.wait()
    assert list(bucket.list("v1/s")) == []


def send_until_killed(host: FreshServerProcess, body: bytes) -> bool:
    """Send an object to a host that dies of it, or of building its session: whether it was acknowledged."""
    is_acknowledged = False
    with contextlib.suppress(OSError):
        status, uri = host.ask("POST", GRADUAL, body)
        is_acknowledged = status == 200
        host.ask("GET", f"{uri.decode().strip()}/scans")
    until(lambda: host.child("web") is None, "it was not killed")
    host.kill()
    host.wait()
    return is_acknowledged


def list_prearchive(server: FreshServerProcess) -> list[str]:
    """The states of the sessions of project P that wait."""
    return [row["status"] for row in read_rows(server, "/data/prearchive/projects/P")]


def read_rows(server: FreshServerProcess, path: str) -> list[dict[str, str]]:
    """The rows of a listing of XNAT's dialect."""
    rows: list[dict[str, str]] = server.ask("GET", f"{path}?format=json")[1]["ResultSet"]["Result"]
    return rows


def check_reading(server: FreshServerProcess, address: str, files: list[bytes]) -> None:
    """A session is read whole, by file, by a range and by frame, and has its page."""
    status, content = server.ask("GET", f"{address}/download")
    assert status == 200, content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert sorted(sha256(archive.read(name)) for name in archive.namelist()) == sorted(map(sha256, files))
    (first, *_) = server.ask("GET", f"/api/v1/files?session={address.rpartition('/')[2]}")[1]["items"]
    status, content = server.ask("GET", f"{address}/files/{first['id']}/content")
    assert (status, sha256(content)) == (200, first["sha256"])
    ranged = {**LOGIN, "Range": "bytes=100-299"}
    assert server.ask("GET", f"{address}/files/{first['id']}/content", login=ranged) == (206, content[100:300])
    assert server.ask("GET", f"{address}/files/{first['id']}/header")[0] == 200
    study, series, sop = (uid.decode() for uid in (FIRST.study_uid, FIRST.series_uid, FIRST.sop_uid))
    assert sop in str(server.ask("GET", f"/dicomweb/projects/P/instances?SOPInstanceUID={sop}")[1])
    web = f"/dicomweb/projects/P/studies/{study}/series/{series}/instances/{sop}"
    assert server.ask("GET", f"{web}/frames/1")[0] == 200
    assert server.ask("GET", f"{web}/thumbnail")[0] == 200
    assert server.ask("GET", web)[0] == 200
    assert server.ask("GET", "/projects/P")[0] == 200
