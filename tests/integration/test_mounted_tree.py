"""/api/v1/tree: the archive as a read-only tree of folders and files, read as rclone's http backend reads one."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from email.message import Message
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

import httpx
import pytest

from scandock.access import accounts, tokens
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import damage
from scandock.catalog.tables import session
from scandock.catalog.trees import change_files
from scandock.rules.permissions import Scope
from scandock.services import archive_folders
from scandock.services.archive_folders import VISIT_SECONDS
from scandock.services.settings import load_settings
from scandock.web.v1 import tree
from tests.builders import DataFolder, images, make_data_folder, uploader_layout
from tests.integration.web import PASSWORD, Web, serve_in_process
from tests.stored_files import session_files

pytestmark = pytest.mark.long

TREE = "/api/v1/tree/"
DICOM = "P/S1/scans/1/resources/DICOM/files/"
NOTES = "P/S1/resources/NOTES/files/"
HOSTILE = "a?b#c%41 <b>&amp;\"ü'é:+;=@~*|.txt"
"""What the name of a file may be."""


def layout(label: str, study: int, count: int = 3) -> dict[str, bytes]:
    return {
        **uploader_layout(label, "1", images(count, study=study)),
        f"{label}/resources/NOTES/files/odd.txt": b"0123456789",
        f"{label}/resources/NOTES/files/sub/deep/empty.bin": b"",
    }


class Links(HTMLParser):
    """The links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if (tag, name) == ("a", "href")]


class Mount:
    """What rclone's http backend does (backend/http/http.go): it reads pages, and asks for the headers of each file."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def names(self, folder: str = "") -> list[str]:
        """What `parseName` takes of a page: what is below the page's own address, and has no other slash."""
        answer = self.client.get(TREE + folder)
        answer.raise_for_status()
        assert answer.headers["content-type"].startswith("text/html")
        own = urlsplit(str(answer.request.url))
        names = []
        for link in Links(answer.text).links:
            target = urlsplit(urljoin(str(answer.request.url), link))
            assert (target.query, target.fragment, target.netloc) == ("", "", own.netloc)
            name = unquote(target.path).removeprefix(unquote(own.path))
            if target.path.startswith(own.path) and name and "/" not in name[:-1]:
                names.append(name)
        return names

    def head(self, path: str) -> httpx.Response:
        return self.client.head(quoted(path))

    def walk(self, folder: str = "") -> Iterator[tuple[str, int]]:
        """Paths and sizes of all files below."""
        for name in self.names(folder):
            if name.endswith("/"):
                yield from self.walk(folder + name)
                continue
            answer = self.head(folder + name)
            if answer.status_code == 200:
                disposition = Message()
                disposition["Content-Disposition"] = answer.headers.get("content-disposition", "")
                assert disposition.get_filename() is None, "rclone looks for the file there, in the top folder"
                assert answer.headers["last-modified"]
                yield folder + name, int(answer.headers["content-length"])


def quoted(path: str) -> str:
    return TREE + quote(path)


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """Two sessions of the project P and one that is held; mia is a collaborator."""
    with served(make_data_folder(tmp_path, monkeypatch)) as running:
        yield running


@contextlib.contextmanager
def served(site: DataFolder, **settings: Any) -> Iterator[Web]:
    with serve_in_process(site.data, load_settings().model_copy(update=settings)) as running:
        for study in (1, 2):
            site.bring(layout(f"S{study}", study), session=f"S{study}")
        site.bring(layout("S3", 3), session="S3", destination="prearchive")
        running.account("mia", P="collaborator")
        running.account("eve")
        yield running


@pytest.fixture
def mia(web: Web) -> Iterator[Mount]:
    with web.client("mia") as client:
        yield Mount(client)


def sizes(data: str) -> dict[str, int]:
    archive = Path(data) / "archive"
    return {path.relative_to(archive).as_posix(): path.stat().st_size for path in archive.rglob("*") if path.is_file()}


def rename_odd(catalog: Catalog, data: str) -> None:
    with catalog.write() as connection:
        (odd,) = (one for one in session_files(connection, session.c.label == "S1") if one.row.name == "odd.txt")
        change_files(connection, odd.tree_id, {odd.row.n: {"name": HOSTILE}})
    folder = Path(data) / "archive" / NOTES
    (folder / "odd.txt").rename(folder / HOSTILE)


@pytest.mark.postgresql
def test_a_mount_shows_the_archive(tmp_path, monkeypatch, database_url) -> None:
    with served(make_data_folder(tmp_path, monkeypatch, database_url)) as web:
        rename_odd(web.site.catalog, web.site.data)
        with web.client("mia") as client:
            mount = Mount(client)
            assert mount.names() == ["P/"]
            assert mount.names("P/") == ["S1/", "S2/"]
            assert dict(mount.walk()) == sizes(web.site.data)
            assert client.get(quoted(NOTES + HOSTILE)).content == b"0123456789"


def test_who_may_mount(web: Web) -> None:
    with web.site.catalog.write() as connection:
        issued = {
            scope: tokens.issue(connection, accounts.get(connection, "mia"), scope=scope)
            for scope in (Scope.READ, Scope.UPLOAD)
        }
    read, upload = issued[Scope.READ], issued[Scope.UPLOAD]
    whole = sizes(web.site.data)
    for options in (
        {"auth": ("mia", PASSWORD)},
        {"auth": (read.alias, read.secret)},
        {"headers": {"Authorization": f"Bearer {read.bearer}"}},
    ):
        with web.asking(**options) as client:
            assert dict(Mount(client).walk()) == whole
    file_path = next(path for path in whole if path.startswith(DICOM))
    for options, statuses in (
        ({}, (401,) * 4),  # no project is public
        ({"auth": ("mia", "wrong")}, (401,) * 4),
        ({"headers": {"Authorization": f"Bearer {upload.bearer}"}}, (403,) * 4),
        ({"auth": ("eve", PASSWORD)}, (200, 404, 404, 404)),
    ):
        with web.asking(**options) as client:
            for path, status in zip(("", "P/", "P/S1/", file_path), statuses, strict=True):
                assert client.get(TREE + path).status_code == status, (options, path)
                assert client.head(TREE + path).status_code == status, (options, path)
            if statuses[0] == 200:
                assert Mount(client).names() == []
    with web.asking() as client:
        assert client.get(f"{TREE}P/").headers["www-authenticate"].startswith("Basic ")


def test_a_file_comes_with_ranges_tags_and_times(mia: Mount, web: Web) -> None:
    where = quoted(NOTES + "odd.txt")
    client = mia.client
    whole = client.get(where)
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    head = client.head(where)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "etag", "last-modified", "content-type", "accept-ranges", "content-security-policy"):
        assert head.headers[name] == whole.headers[name]
    assert whole.headers["content-type"] == "application/octet-stream"
    image = next(path for path, _ in mia.walk("P/S1/scans/"))
    for method in ("GET", "HEAD"):
        assert client.request(method, quoted(image)).headers["content-type"] == "application/dicom"
    for asked, status, part in (
        ("bytes=0-3", 206, b"0123"),
        ("bytes=4-", 206, b"456789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=99-", 416, None),
    ):
        answer = client.get(where, headers={"Range": asked})
        assert answer.status_code == status
        if part is not None:
            assert answer.content == part
    tag, modified = whole.headers["etag"], whole.headers["last-modified"]
    for method in ("GET", "HEAD"):
        for name, value in (("If-None-Match", tag), ("If-Modified-Since", modified)):
            assert client.request(method, where, headers={name: value}).status_code == 304
        assert client.request(method, where, headers={"If-Match": '"z"'}).status_code == 412
    with web.client() as admin:
        told = admin.get("/api/v1/audit", params={"action": "download"}).json()["items"]
    assert [(line["actor"], line["details"]) for line in told] == [("mia", {"tree": True})], "a line for an hour"


@pytest.mark.parametrize("root", [None, "/scandock"])
def test_a_folder_has_its_slash_and_a_file_none(tmp_path, monkeypatch, root) -> None:
    site = make_data_folder(tmp_path, monkeypatch)
    with served(site, base_path=root) as web, web.client("mia") as client:
        for path in ("", "P", "P/S1", "P/S1/scans", DICOM.rstrip("/")):
            for method in ("GET", "HEAD"):
                asked = f"{TREE}{path}".rstrip("/")
                answer = client.request(method, asked)
                assert (answer.status_code, answer.headers["location"]) == (308, f"{root or ''}{asked}/")
        for path, status in (
            (f"{NOTES}odd.txt/", 404),
            (f"{NOTES}none", 404),
            ("P/S1/scans/2/", 404),
            ("P/S3/", 404),
            ("P/s1/", 404),
            ("p/", 404),
            ("p/S1/", 404),
            ("P//", 404),
            ("P//S1/", 404),
            ("/P/", 404),
            ("P/S1//", 404),
            ("Unassigned/", 404),
            ("P/S1/%2e%2e/S2/", 404),
            ("P/S1/..%2fS2/", 404),
        ):
            for method in ("GET", "HEAD"):
                assert client.request(method, TREE + path).status_code == status, path


def test_what_is_damaged_is_left_out_and_what_is_deleted_is_gone(mia: Mount, web: Web, monkeypatch) -> None:
    monkeypatch.setattr(archive_folders, "VISIT_SECONDS", 0.0)
    image = next(path for path, _ in mia.walk("P/S1/scans/"))
    stored = Path(web.site.data) / "archive" / image
    kept = stored.read_bytes()
    stored.unlink()
    assert mia.client.get(quoted(image)).json()["code"] == "file_missing"
    stored.write_bytes(kept)
    with web.site.catalog.write() as connection:
        (found,) = (one for one in session_files(connection, session.c.label == "S1") if one.row.name == stored.name)
        connection.execute(damage.insert().values(tree_id=found.tree_id, file_n=found.row.n, kind="changed", found=1))
    answer = mia.client.get(quoted(image))
    assert (answer.status_code, answer.json()["code"]) == (409, "file_damaged")
    assert mia.head(image).status_code == 409
    assert dict(mia.walk("P/S1/")).keys() == {
        path for path in sizes(web.site.data) if path.startswith("P/S1/") and path != image
    }
    with web.client() as admin:
        uuid = admin.get("/api/v1/sessions", params={"project": "P", "search": "S2"}).json()["items"][0]["id"]
        assert admin.delete(f"/api/v1/sessions/{uuid}").status_code == 200
    assert mia.names("P/") == ["S1/"]
    assert mia.client.get(f"{TREE}P/S2/").status_code == 404


def test_headers_come_from_memory_for_a_second_and_bytes_never(mia: Mount, web: Web, monkeypatch) -> None:
    """Four thousand files are listed so, each asked for its headers alone."""
    now = [100.0]
    monkeypatch.setattr(archive_folders, "monotonic", lambda: now[0])
    (image, _), *others = mia.walk("P/S1/scans/")
    asked: list[Callable[[], Any]] = []
    reads = Catalog.read

    def read(catalog: Catalog) -> Any:
        asked.append(catalog.read)
        return reads(catalog)

    monkeypatch.setattr(Catalog, "read", read)
    for path, size in [(image, None), *others]:
        assert mia.head(path).headers["content-length"] == str(size or len(mia_bytes(web, path)))
    assert asked == []
    with web.client("eve") as eve:
        assert eve.head(quoted(image)).status_code == 404, "what one was let into is no other's"
    with web.client() as admin:
        assert admin.delete("/api/v1/projects/P/members/mia").status_code == 204
    assert mia.head(image).status_code == 404, "a right that is lost by this server is lost at once"
    assert mia.client.get(quoted(image)).status_code == 404
    assert mia.client.get(TREE + DICOM).status_code == 404
    with web.client() as admin:
        assert admin.put("/api/v1/projects/P/members/mia", json={"role": "member"}).status_code == 200
    assert mia.head(image).status_code == 200
    with closing(sqlite3.connect(Path(web.site.data) / "scandock.db")) as other, other:
        other.execute("DELETE FROM member")  # as the command line does, or another host
    assert mia.client.get(quoted(image)).status_code == 404
    assert mia.head(image).status_code == 200
    now[0] += VISIT_SECONDS + 0.1
    assert mia.head(image).status_code == 404
    with web.client() as admin:
        Mount(admin).names("P/S2/")
    assert len(web.site.archive_folders._visits) == 1, "what is over keeps no tree in memory"  # noqa: SLF001


def mia_bytes(web: Web, path: str) -> bytes:
    return (Path(web.site.data) / "archive" / path).read_bytes()


def test_a_replaced_session_is_another_tree(mia: Mount, web: Web, monkeypatch) -> None:
    before = mia.client.get(quoted(NOTES + "odd.txt"))
    found = archive_folders.ArchiveFolders.find
    site = DataFolder(root=Path(web.site.data).parent, checked=False)
    left = [True]

    def find(*given: Any) -> Any:
        answer = found(*given)
        if left:  # between the look for the file and its opening: the numbers of files may change
            left.clear()
            new = layout("S1", 1) | {"S1/resources/NOTES/files/odd.txt": b"new", "S1/resources/A/files/a": b"a"}
            importing = threading.Thread(target=lambda: site.bring(new, session="S1", overwrite="delete"))
            importing.start()
            importing.join()
        return answer

    monkeypatch.setattr(archive_folders.ArchiveFolders, "find", find)
    after = mia.client.get(quoted(NOTES + "odd.txt"))
    assert (before.content, after.content) == (b"0123456789", b"new")
    assert before.headers["etag"] != after.headers["etag"]
    assert after.headers["content-length"] == "3"
    assert dict(mia.walk()) == sizes(web.site.data)


def test_a_long_index_is_sent_in_pieces(mia: Mount, web: Web, monkeypatch) -> None:
    whole = {folder: mia.client.get(TREE + folder) for folder in ("", "P/", DICOM)}
    monkeypatch.setattr(tree, "MAX_WHOLE", 0)
    monkeypatch.setattr(tree, "_LINES", 2)
    for folder, answer in whole.items():
        pieces = mia.client.get(TREE + folder)
        assert (pieces.content, "content-length" in pieces.headers) == (answer.content, False)
        assert pieces.headers["content-type"] == answer.headers["content-type"]
        assert (mia.client.head(TREE + folder).status_code, "content-length" in answer.headers) == (200, True)
    assert dict(mia.walk()) == sizes(web.site.data)


def test_too_many_files_for_a_listing(mia: Mount, web: Web, monkeypatch) -> None:
    whole = sizes(web.site.data)
    monkeypatch.setattr(archive_folders, "MAX_LISTED", 4)
    for folder in (DICOM, NOTES):
        answer = mia.client.get(TREE + folder)
        assert (answer.status_code, answer.json()["code"]) == (409, "folder_too_large")
    assert mia.names("P/S1/scans/1/") == ["resources/"]
    for path, size in whole.items():
        assert mia.head(path).headers["content-length"] == str(size)
        assert mia.client.get(quoted(path)).content == mia_bytes(web, path)
    assert mia.client.get(quoted(f"{NOTES}none")).status_code == 404
    monkeypatch.setattr(archive_folders, "MAX_LISTED", 8)  # of all together, so that one goes for the other
    web.site.archive_folders._trees.clear()  # noqa: SLF001
    for _ in range(2):
        assert dict(mia.walk()) == whole
