"""The user's cache of XNAT's dialect: what is put there, who sees it, and imports that take it (1.9 and 1.2)."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from scandock.catalog.server_tables import reception
from scandock.catalog.tables import upload
from scandock.rules.import_request import ImportRequest
from scandock.services.cleaning.uploads import IDLE_UPLOADS, delete_abandoned_uploads
from scandock.services.receiving import UploadOffer
from scandock.services.settings import load_settings
from scandock.testing.worker import InProcessWorker
from scandock.web.xnat.services.user_cache import begin_file
from tests.builders import images, make_data_folder, uploader_layout, zip_entries
from tests.crash.served import LOGIN, ServerProcess
from tests.integration.web import Web, serve_in_process
from tests.ports import free_port

pytestmark = pytest.mark.usefixtures("unswept")

CACHE = "/data/user/cache/resources"
FILE = f"{CACHE}/20260101_101010/files/a%20b.zip"
SRC = "/user/cache/resources/20260101_101010/files/a b.zip"
BODY = zip_entries(uploader_layout("folder", "1", images(2, case="cache")))


@pytest.fixture
def web(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    site = make_data_folder(tmp_path, monkeypatch, database_url)
    with serve_in_process(site.data, site.settings) as running:
        yield running


def worker(web: Web) -> InProcessWorker:
    return InProcessWorker(web.site.data, web.site.settings)


def put(client: httpx.Client, body: bytes = BODY, where: str = FILE) -> None:
    answer = client.put(where, params={"inbody": "true"}, content=body)
    assert answer.status_code == 200, answer.text


def listed(client: httpx.Client, where: str = f"{CACHE}/20260101_101010/files") -> list[dict[str, str]]:
    answer = client.get(where)
    if answer.status_code == 404:
        return []
    found: list[dict[str, str]] = answer.json()["ResultSet"]["Result"]
    return found


@pytest.mark.parametrize("how", ["put", "post", "chunks", "put form", "post form"])
def test_a_file_is_kept_whichever_way_it_comes(client: httpx.Client, how: str) -> None:
    if how == "chunks":
        answer = client.put(FILE, content=iter([BODY[:100], BODY[100:]]))
    elif how.endswith("form"):
        answer = client.request(how.partition(" ")[0], FILE, files={"image_archive": ("x.zip", BODY)}, data={"a": "b"})
    else:
        answer = client.request(how, FILE, content=BODY, headers={"Content-Type": "application/zip"})
    assert (answer.status_code, answer.text) == (200, "")
    assert client.get(FILE).content == BODY
    part = client.get(FILE, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, BODY[2:6])
    assert client.head(FILE).headers["content-length"] == str(len(BODY))
    (row,) = listed(client)
    assert (row["Name"], row["Size"]) == ("a b.zip", str(len(BODY)))
    assert [one["Name"] for one in listed(client, CACHE)] == ["20260101_101010"]


@pytest.mark.long
@pytest.mark.postgresql
def test_a_file_of_the_same_name_takes_its_place_and_leaves_no_bytes(web: Web, client: httpx.Client) -> None:
    put(client, b"first")
    put(client, b"second")
    assert client.get(FILE).content == b"second"
    assert len(listed(client)) == len(web.spools()) == 1
    for _ in range(2):
        put(client, b"other", f"{CACHE}/other/files/folder/c.zip")
    assert client.delete(FILE).status_code == 200
    assert client.get(FILE).status_code == client.delete(FILE).status_code == 404
    assert client.delete(f"{CACHE}/other").status_code == 200
    assert listed(client, CACHE) == []
    assert web.spools() == []


def test_a_cache_is_its_user_s_alone(web: Web, client: httpx.Client) -> None:
    web.account("mia", P="member")
    with web.client("mia") as mia, web.client(None) as nobody:
        put(mia)
        for other in (client, nobody):
            status = 401 if other is nobody else 404
            assert other.get(FILE).status_code == other.delete(FILE).status_code == status
            asked = other.post("/data/services/import", data={"src": SRC, "project": "P"})
            assert asked.status_code == status, asked.text
        assert nobody.put(FILE, content=b"x").status_code == 401
        assert listed(client, CACHE) == []
        assert mia.get(FILE).content == BODY


def test_what_can_t_be_kept_is_refused_and_leaves_nothing(web: Web, client: httpx.Client) -> None:
    assert client.put(FILE, params={"extract": "true"}, content=BODY).status_code == 400
    assert client.put(FILE).status_code == 400
    assert client.put(FILE, params={"inbody": "true"}, files={"a": ("a", b"x")}).status_code == 406
    assert client.put(FILE, files={"a": (None, "no file")}).status_code == 400
    assert client.put(FILE, files=[("a", ("a", b"x")), ("b", ("b", b"y"))]).status_code == 400
    assert client.put(f"{CACHE}/x/files/%2E%2E", content=b"x").status_code == 400
    assert client.put(f"{CACHE}/x/files/a%09b", content=b"x").status_code == 400
    assert web.spools() == []
    assert client.get("/api/v1/imports").json()["items"] == []


def test_limits_of_uploads_hold(tmp_path: Path) -> None:
    settings = load_settings().model_copy(update={"max_uploads_per_user": 2, "max_upload_bytes": 10})
    with serve_in_process(tmp_path / "data", settings) as web, web.client() as client:
        assert client.put(FILE, content=b"x" * 11).status_code == 413
        assert client.put(FILE, content=iter([b"x" * 11])).status_code == 413
        for name in "ab":
            put(client, b"x", f"{CACHE}/x/files/{name}")
        assert client.put(f"{CACHE}/x/files/c", content=b"x").status_code == 429
        assert len(web.spools()) == 2


@pytest.mark.postgresql
def test_an_import_takes_the_very_bytes(web: Web, client: httpx.Client) -> None:
    put(client)
    (kept,) = web.spools()
    (shown,) = client.get("/api/v1/imports").json()["items"]
    assert (shown["id"], shown["message"]) == (
        kept,
        "The file is kept in its sender's cache; an import of it was not asked for yet.",
    )
    assert client.post("/data/services/import", params={"src": SRC, "project": "NOWHERE"}).status_code == 404
    with worker(web):
        answer = client.post("/data/services/import", data={"src": f"/data{SRC}", "dest": "/archive/projects/P"})
    assert answer.text == "/data/archive/projects/P/subjects/DOE_JANE/experiments/PAT1\r\n"
    (done,) = client.get("/api/v1/imports").json()["items"]
    assert (done["id"], done["state"], done["project"], done["archive"]) == (kept, "placed", "P", "a b.zip")
    again = client.post("/data/services/import", data={"src": SRC, "project": "P"})
    assert again.status_code == 404
    assert again.text.startswith(f"Unknown src file. The import {kept} has taken it")
    assert client.get(FILE).status_code == 404
    assert client.delete(FILE).status_code == 200, "it is where the client wants it"
    assert web.spools() == []


@pytest.mark.parametrize("src", [SRC, SRC.replace(" ", "%20"), f"/data{SRC}"])
def test_src_stands_in_the_query_or_a_form_as_it_is_or_as_in_an_address(client: httpx.Client, src: str) -> None:
    """Only found: what is asked of the project comes first, and tells."""
    put(client)
    for where, how in (("params", src), ("data", src), ("files", (None, src))):
        asked: dict[str, Any] = {"params": {}, where: {"src": how}}
        asked["params"] = {**asked["params"], "project": "NOWHERE"}
        answer = client.post("/data/services/import", **asked)
        assert answer.text.startswith("There is no project NOWHERE"), answer.text
    assert client.get(FILE).content == BODY


@pytest.mark.long
def test_file_parts_without_a_byte_stand_beside_src(web: Web, client: httpx.Client) -> None:
    """A browser's form has one for each file that nobody chose."""
    put(client)
    for empty in ([("image_archive", ("", b""))], [("a", ("", b"")), ("b", ("b.zip", b""))]):
        with worker(web):
            answer = client.post("/data/services/import", data={"src": SRC, "project": "P"}, files=empty)
        assert (answer.status_code, answer.text.rstrip()[-5:]) == (200, "/PAT1"), answer.text
        put(client)
    told = client.post("/data/services/import", data={"project": "P"}, files={"image_archive": ("a.zip", b"")})
    assert (told.status_code, told.text) == (400, "Unable to identify upload format.")
    both = client.post("/data/services/import", data={"src": SRC, "project": "P"}, files={"b": ("b.zip", BODY)})
    assert both.status_code == 400
    assert [one["Name"] for one in listed(client)] == ["a b.zip"], "what was refused took nothing"


def test_a_file_outlives_who_received_it_and_expires_as_an_upload(web: Web, client: httpx.Client) -> None:
    put(client)
    dead = {"host": platform.node(), "boot": "another", "space": 0, "pid": 1, "started": 1}
    with web.site.catalog.write() as connection:
        connection.execute(update(upload).values(owner=json.dumps(dead)))
    assert delete_abandoned_uploads(web.site.receiving) == 0
    assert IDLE_UPLOADS.run(web.site) == 0
    assert client.get(FILE).content == BODY
    with web.site.catalog.write() as connection:
        connection.execute(update(reception).values(expires=1))
    assert IDLE_UPLOADS.run(web.site) == 1
    assert client.get(FILE).status_code == 404
    assert web.spools() == []


def test_a_file_that_did_not_come_whole_goes_with_who_received_it(web: Web, client: httpx.Client) -> None:
    offer = UploadOffer(account_id=1, door="raw", filename="a", request=ImportRequest())
    begin_file(web.site.receiving, offer, "20260101_101010", "a b.zip")
    assert client.get(FILE).status_code == 404
    dead = {"host": platform.node(), "boot": "another", "space": 0, "pid": 1, "started": 1}
    with web.site.catalog.write() as connection:
        connection.execute(update(upload).values(owner=json.dumps(dead)))
    assert delete_abandoned_uploads(web.site.receiving) == 1


def test_a_cancelled_file_is_no_file(web: Web, client: httpx.Client) -> None:
    put(client)
    (uuid,) = web.spools()
    assert client.post(f"/api/v1/imports/{uuid}/cancel").status_code == 202
    assert client.get(FILE).status_code == 404
    assert client.post("/data/services/import", data={"src": SRC}).status_code == 404


@pytest.mark.processes
@pytest.mark.crash
def test_a_file_survives_a_kill_of_the_whole_server(tmp_path: Path) -> None:
    port = free_port()
    first = ServerProcess(tmp_path, port).ready()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=LOGIN, trust_env=False, timeout=60) as client:
        put(client)
        first.kill()
        first.wait()
        second = ServerProcess(tmp_path, port).ready()
        try:
            assert client.get(FILE).content == BODY
            second.project()
            answer = client.post("/data/services/import", data={"src": SRC, "project": "P", "action": "commit"})
            assert answer.text.startswith("/data/prearchive/projects/P/")
        finally:
            second.kill()
            second.wait()
