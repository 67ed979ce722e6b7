"""Downloads over HTTP: ranges, types and names of files, and zips that are valid uploads again, whatever goes on."""

from __future__ import annotations

import asyncio
import io
import os
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import Request, Response
from sqlalchemy import event, select, update

from scandock.access.principal import SYSTEM, AccessDenied
from scandock.catalog.server_tables import audit
from scandock.catalog.sessions import existing_session
from scandock.catalog.tables import session, tree
from scandock.catalog.trees import files_of
from scandock.model.errors import Fault
from scandock.services.chunks import copy_chunk
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.downloads import open_file, zip_session
from scandock.services.trash import delete_session
from scandock.services.zip_stream import AHEAD_FILES, CHUNK, ZipEntry, ZipStream, stored_length
from scandock.store import file_access
from scandock.web.body_sending import ClientStopped
from scandock.web.connections import DESCRIPTORS_EACH
from scandock.web.file_responses import file_response, zip_response
from scandock.web.response_sending import SEND_CHUNKS
from tests.builders import DataFolder, Image, ecat, images, sha256, uploader_layout
from tests.integration.web import Web

pytestmark = pytest.mark.long

NAME = 'ümläut "quoted" $(x).txt'


OBJECTS = images(3)
SESSION = {
    **uploader_layout("S1", "4", OBJECTS),
    f"S1/resources/NOTES/files/{NAME}": "grüße\n".encode(),
    "S1/resources/NOTES/files/page.html": b"<script>alert(1)</script>",
    "S1/resources/NOTES/files/empty.bin": b"",
}


def bring(site: DataFolder, client: httpx.Client) -> dict[str, Any]:
    site.bring(SESSION, session="S1")
    (found,) = client.get("/api/v1/sessions").json()["items"]
    return dict(found)


def files(client: httpx.Client, uuid: str) -> dict[str, dict[str, Any]]:
    listed = client.get("/api/v1/files", params={"session": uuid, "limit": 500}).json()["items"]
    return {one["path"]: one for one in listed}


# -- descriptors -------------------------------------------------------------------------------------------------------


IN_A_FOLDER = pytest.mark.skipif(
    os.environ.get("TESTS_STORE") == "bucket", reason="of a bucket no file is open while it is sent"
)


def count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@IN_A_FOLDER
def test_a_zip_has_no_more_open_than_a_connection_may(
    site: DataFolder, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {f"S1/resources/R{n}/files/a/b/c/d/{n}.txt": b"1" for n in range(40)}
    site.bring(uploader_layout("S1", "4", OBJECTS) | many, session="S1")
    (found,) = client.get("/api/v1/sessions").json()["items"]
    peaks: list[int] = []
    open_file = file_access.open_file

    def counted(*words: Any) -> Any:
        opened = open_file(*words)
        peaks.append(count_descriptors())
        return opened

    with open_data(str(site.data), site.settings) as (catalog, store):
        context = ServiceContext(catalog, store, site.settings, SYSTEM)
        list(zip_session(context, found["id"]).chunks)  # the catalog has its connections
        before = count_descriptors()
        monkeypatch.setattr(file_access, "open_file", counted)
        list(zip_session(context, found["id"]).chunks)
        assert count_descriptors() == before
    assert len(peaks) == 43
    directory, sockets = 1, 2
    assert max(peaks) - before + directory + sockets <= DESCRIPTORS_EACH
    assert max(peaks) - before > AHEAD_FILES  # or it counts something else


@IN_A_FOLDER
@pytest.mark.parametrize("by_threads", [True, False])
def test_a_response_that_is_dropped_before_its_first_byte_leaves_nothing_open(
    site: DataFolder, client: httpx.Client, by_threads: bool
) -> None:
    uuid = bring(site, client)["id"]
    (item, *_) = files(client, uuid).values()

    async def lost(message: Any) -> None:
        raise ClientStopped

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def drop(response: Response) -> None:
        with ThreadPoolExecutor(1) as threads:
            app = SimpleNamespace(state=SimpleNamespace(server=SimpleNamespace(download_threads=threads)))
            extensions = {SEND_CHUNKS: lost} if by_threads else {}
            scope = {"type": "http", "app": app, "extensions": extensions, "asgi": {"spec_version": "2.4"}}
            with pytest.raises((ClientStopped, ExceptionGroup)):
                await response(scope, receive, lost)

    request = Request({"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""})
    with open_data(str(site.data), site.settings) as (catalog, store):
        context = ServiceContext(catalog, store, site.settings, SYSTEM)
        list(zip_session(context, uuid).chunks)
        makers = (
            lambda: zip_response(zip_session(context, uuid)),
            lambda: file_response(request, open_file(context, uuid, int(item["id"]))),
        )
        asyncio.run(asyncio.sleep(0))
        for make in makers:
            before = count_descriptors()
            response = make()  # it is kept: nothing is closed because nobody knows it any more
            assert count_descriptors() > before
            asyncio.run(drop(response))
            assert count_descriptors() == before


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_file_comes_with_its_type_name_and_tag(site: DataFolder, client: httpx.Client) -> None:
    uuid = bring(site, client)["id"]
    for path, item in files(client, uuid).items():
        where = f"/api/v1/sessions/{uuid}/files/{item['id']}/content"
        told = client.get(where)
        assert told.status_code == 200
        assert sha256(told.content) == item["sha256"]
        assert told.headers["content-length"] == str(item["bytes"])
        assert told.headers["x-content-type-options"] == "nosniff"
        assert told.headers["etag"] == f'"{item["sha256"]}"'
        kind, name = told.headers["content-type"], told.headers["content-disposition"]
        assert name.startswith("attachment; filename=")
        if "/DICOM/" in path:
            assert kind == "application/dicom"
        elif path.endswith("empty.bin"):
            assert kind == "application/octet-stream"
        else:
            assert kind == "text/plain; charset=utf-8"
        if path.endswith("(x).txt"):
            assert name.endswith("; filename*=UTF-8''" + quote(item["name"], safe=""))
            assert name.count('"') == 2
        head = client.head(where)
        assert (head.status_code, head.content) == (200, b"")
        for header in ("content-length", "etag", "content-type", "accept-ranges"):
            assert head.headers[header] == told.headers[header]
        assert client.get(where, headers={"if-none-match": told.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=10-", 206, slice(10, None)),
        ("bytes=-7", 206, slice(-7, None)),
        ("bytes=0-999999999", 206, slice(0, None)),
        ("bytes=-999999999", 206, slice(0, None)),
        ("bytes=5-4", 200, slice(0, None)),
        ("bytes=0-1,5-6", 200, slice(0, None)),
        ("lines=0-1", 200, slice(0, None)),
        ("bytes=999999999-", 416, None),
        ("bytes=-0", 416, None),
    ],
)
def test_ranges(site: DataFolder, client: httpx.Client, asked: str, status: int, part: slice | None) -> None:
    uuid = bring(site, client)["id"]
    item = next(one for path, one in files(client, uuid).items() if "/DICOM/" in path)
    where = f"/api/v1/sessions/{uuid}/files/{item['id']}/content"
    whole = client.get(where).content
    told = client.get(where, headers={"range": asked})
    assert told.status_code == status
    if part is not None:
        assert told.content == whole[part]
    if status == 206:
        start = part.indices(len(whole))[0] if part is not None else 0
        assert told.headers["content-range"] == f"bytes {start}-{start + len(told.content) - 1}/{len(whole)}"
        stale = client.get(where, headers={"range": asked, "if-range": '"other"'})
        assert (stale.status_code, stale.content) == (200, whole)


def test_conditions_on_a_file(site: DataFolder, client: httpx.Client) -> None:
    uuid = bring(site, client)["id"]
    item = next(iter(files(client, uuid).values()))
    where = f"/api/v1/sessions/{uuid}/files/{item['id']}/content"
    told = client.get(where)
    tag, made = told.headers["etag"], told.headers["last-modified"]
    for method in ("GET", "HEAD"):
        for known in (f"W/{tag}", "*", f'"other", {tag}'):
            assert client.request(method, where, headers={"if-none-match": known}).status_code == 304
        assert client.request(method, where, headers={"if-modified-since": made}).status_code == 304
        assert client.request(method, where, headers={"if-match": tag}).status_code == 200
        assert client.request(method, where, headers={"if-match": "zz"}).status_code == 412
    assert client.get(where, headers={"if-match": '"zz"'}).json()["code"] == "changed_meanwhile"


def test_a_new_label_changes_nothing_of_a_file(site: DataFolder, web: Web, client: httpx.Client) -> None:
    uuid = bring(site, client)["id"]
    item = next(iter(files(client, uuid).values()))
    where = f"/api/v1/sessions/{uuid}/files/{item['id']}/content"
    with web.site.catalog.read() as connection:
        made = connection.execute(select(tree.c.created).where(tree.c.state == "current")).scalar_one()
    assert client.patch(f"/api/v1/sessions/{uuid}", json={"label": "S2"}).status_code == 200
    with web.site.catalog.write() as connection:  # what a change would do a while later
        connection.execute(update(session).values(modified=made + 3_600_000))
    told = client.get(where).headers["last-modified"]
    assert parsedate_to_datetime(told).timestamp() == made // 1000


def test_an_item_may_be_kept_and_is_asked_for_again(site: DataFolder, client: httpx.Client) -> None:
    uuid = bring(site, client)["id"]
    told = client.get(f"/api/v1/sessions/{uuid}")
    assert told.headers["cache-control"] == "private, no-cache"
    again = client.get(f"/api/v1/sessions/{uuid}", headers={"if-none-match": f"W/{told.headers['etag']}"})
    assert (again.status_code, again.headers["cache-control"]) == (304, "private, no-cache")


def test_what_is_not_there_or_not_ones_own(site: DataFolder, web: Web, client: httpx.Client) -> None:
    uuid = bring(site, client)["id"]
    web.account("eve")
    assert client.get(f"/api/v1/sessions/{uuid}/files/999/content").status_code == 404
    assert client.get(f"/api/v1/sessions/{uuid}/scans/none/download").status_code == 404
    paths = [f"sessions/{uuid}/files/0/content", f"sessions/{uuid}/download", "projects/P/download"]
    with web.client("eve") as eve, web.client(None) as nobody:
        for path in paths:
            assert eve.get(f"/api/v1/{path}").status_code == 404
            assert nobody.get(f"/api/v1/{path}").status_code == 401
    with web.site.catalog.read() as connection:
        assert connection.execute(select(audit.c.id).where(audit.c.action == "download")).all() == []


# -- zips --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [False, True])
def test_a_session_s_zip_is_the_upload_again(site: DataFolder, client: httpx.Client, compress: bool) -> None:
    found = bring(site, client)
    before = site.files()
    told = client.get(f"/api/v1/sessions/{found['id']}/download", params={"compress": compress})
    assert told.headers["content-type"] == "application/zip"
    assert told.headers["content-disposition"] == 'attachment; filename="S1.zip"'
    assert ("content-length" in told.headers) is not compress
    with zipfile.ZipFile(io.BytesIO(told.content)) as archive:
        assert archive.testzip() is None
        held = {f"archive/P/{one}": sha256(archive.read(one)) for one in archive.namelist()}
    assert held == before
    again = site.bring(told.content, session="S1")
    assert again.state == "placed"
    assert set(again.counts) == {"duplicate"}
    assert again.counts["duplicate"] == len(before)
    assert site.files() == before


def test_a_scan_s_and_a_project_s_zip(site: DataFolder, client: httpx.Client) -> None:
    found = bring(site, client)
    site.bring({"E1/scans/1/resources/ECAT/files/a.v": ecat()}, session="E1")
    scan = client.get(f"/api/v1/sessions/{found['id']}/scans/1/download")
    with zipfile.ZipFile(io.BytesIO(scan.content)) as archive:
        assert {name.rpartition("/")[0] for name in archive.namelist()} == {"S1/scans/1/resources/DICOM/files"}
        assert len(archive.namelist()) == 3
    assert scan.headers["content-length"] == str(len(scan.content))
    before = site.files()
    every = client.get("/api/v1/projects/P/download").content
    with zipfile.ZipFile(io.BytesIO(every)) as archive:
        assert {f"archive/P/{one}": sha256(archive.read(one)) for one in archive.namelist()} == before
    again = site.bring(every)
    assert (again.state, set(again.counts)) == ("placed", {"duplicate"})
    assert site.files() == before
    trail = client.get("/api/v1/audit", params={"action": "download"}).json()["items"]
    assert [line["kind"] for line in trail] == ["project", "session"]


def test_a_replace_meanwhile_changes_nothing_of_a_download(site: DataFolder) -> None:
    """The zip is of the tree that stood when it was begun; nothing of it is locked."""
    site.bring(uploader_layout("S1", "1", OBJECTS), session="S1")
    comment = {0x00204000: (b"LT", b"other")}
    with open_data(str(site.data), site.settings) as (catalog, store):
        context = ServiceContext(catalog, store, site.settings, SYSTEM)
        with catalog.read() as connection:
            uuid = connection.execute(select(session.c.uuid)).scalar_one()
        made = zip_session(context, uuid)
        sent = bytearray(next(made.chunks))
        told = site.bring(
            uploader_layout("S1", "1", [Image(case="again", number=n, also=comment).file() for n in (1, 2, 3)]),
            session="S1",
            overwrite="delete",
        )
        assert told.state == "placed"
        delete_session(context, uuid)
        store.purge(0, now=4e9)
        store.sweep()
        for chunk in made.chunks:
            sent += chunk
        assert len(sent) == made.length
    with zipfile.ZipFile(io.BytesIO(sent)) as archive:
        held = sorted(sha256(archive.read(name)) for name in archive.namelist())
    assert held == sorted(map(sha256, OBJECTS))


def test_a_file_of_a_known_tree_is_that_of_the_tree_that_stands(site: DataFolder) -> None:
    """After the first time no question tells which tree stands there: a new one is seen all the same."""
    site.bring(uploader_layout("S1", "1", OBJECTS[:1]), session="S1")
    comment = {0x00204000: (b"LT", b"other")}
    other = Image(case="again", number=1, also=comment).file()
    with open_data(str(site.data), site.settings) as (catalog, store):
        context = ServiceContext(catalog, store, site.settings, SYSTEM)
        with catalog.read() as connection:
            uuid = connection.execute(select(session.c.uuid)).scalar_one()

        def read() -> bytes:
            with catalog.read() as connection:
                n = next(files_of(connection, existing_session(connection, uuid).tree_id)).n
            download = open_file(context, uuid, n)
            data = b"".join(map(copy_chunk, download.chunks()))
            assert download.etag == f'"{sha256(data)}"'
            return data

        assert [read(), read()] == [OBJECTS[0]] * 2
        told = site.bring(uploader_layout("S1", "1", [other]), session="S1", overwrite="delete")
        assert told.state == "placed"
        assert [read(), read()] == [other] * 2
        delete_session(context, uuid)
        with pytest.raises(AccessDenied):
            open_file(context, uuid, 0)


def test_a_file_of_a_known_tree_takes_one_reading_transaction_and_few_statements(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", OBJECTS), session="S1")
    with open_data(str(site.data), site.settings) as (catalog, store):
        context = ServiceContext(catalog, store, site.settings, SYSTEM)
        with catalog.read() as connection:
            uuid = connection.execute(select(session.c.uuid)).scalar_one()
        open_file(context, uuid, 0).close()
        asked: list[str] = []
        event.listen(catalog.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
        begun: list[object] = []
        event.listen(catalog.engine, "begin", begun.append)
        open_file(context, uuid, 1).close()
    assert len(begun) == 2  # one that reads, one that writes the line of the audit
    assert len(asked) == 3, asked  # the session with its project, the tree with the file, the line


def test_a_file_that_has_shrunk_breaks_the_zip_off() -> None:
    """A client must not take a zip for whole that holds less than it should."""
    entries = [ZipEntry("a", 10, lambda: io.BytesIO(b"short"))]
    with pytest.raises(Fault) as caught:
        list(ZipStream().chunks(entries))
    assert caught.value.code == "file_changed"


def test_a_zip_of_many_files_needs_no_memory(tmp_path: Path) -> None:
    """70,000 entries: the directory of 9 MB waits compressed; more than 65,535 need zip64."""
    count = 70_000
    text = b"x" * 10
    name = "Session_1/scans/4-MR1/resources/DICOM/files/1.2.826.0.1.3680043.8.498.{:040d}.dcm".format
    target = tmp_path / "a.zip"
    tracemalloc.start()
    try:
        with target.open("wb") as out:
            entries = (ZipEntry(name(n), len(text), lambda: io.BytesIO(text)) for n in range(count))
            for chunk in ZipStream().chunks(entries):
                out.write(chunk)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000
    assert target.stat().st_size == stored_length((name(n), len(text)) for n in range(count))
    with zipfile.ZipFile(target) as archive:
        assert len(archive.infolist()) == count
        assert archive.read(name(count - 1)) == text


ZEROS = bytes(CHUNK)


class Zeros(io.BytesIO):
    """So many bytes of nothing, which nobody has to read from a disk."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._left = size

    def readinto(self, buffer: Any, /) -> int:
        given = min(len(buffer), self._left)
        self._left -= given
        buffer[:given] = ZEROS[:given]
        return given


def test_an_entry_beyond_4_gib_is_zip64(tmp_path: Path) -> None:
    """Only the figures are big, the zip has a hole. What stands behind it has an offset beyond 4 GiB."""
    size = (1 << 32) + 12_345
    sent = 0
    tail = bytearray()
    entries = [ZipEntry("big.v", size, lambda: Zeros(size)), ZipEntry("b", 2, lambda: io.BytesIO(b"ok"))]
    with (tmp_path / "big.zip").open("wb") as out:
        for chunk in ZipStream().chunks(entries):
            sent += len(chunk)
            if chunk == ZEROS:
                out.seek(len(chunk), io.SEEK_CUR)
            else:
                out.write(chunk)
            tail = bytearray(chunk)
        out.truncate(sent)
    assert tail.endswith(b"\0\0")
    assert sent == stored_length([("big.v", size), ("b", 2)])
    with zipfile.ZipFile(tmp_path / "big.zip") as archive:
        assert [(one.filename, one.file_size) for one in archive.infolist()] == [("big.v", size), ("b", 2)]
        assert archive.read("b") == b"ok"
