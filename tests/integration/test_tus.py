"""Resumable uploads against a real server: with tuspy, and by hand where the protocol's corners are."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import io
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import select
from tusclient.client import TusClient

from scandock.catalog.server_tables import clock_seen, event, reception
from scandock.catalog.tables import upload
from scandock.queue.enqueue import accept
from scandock.services import spool_writer
from scandock.services.cleaning.uploads import expire_uploads
from scandock.services.clock_check import check_deletion_allowed
from scandock.services.imports import find_import
from scandock.web.receiving import spooler
from scandock.web.tus import locks
from tests.crash.processes import until
from tests.integration.web import PASSWORD, serve_by_socket

DATA = hashlib.shake_256(b"resumable").digest(5_000_000)
TUS = {"Tus-Resumable": "1.0.0"}
BODY = {**TUS, "Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def web(tmp_path):
    with serve_by_socket(tmp_path / "data") as running:
        yield running


@pytest.fixture
def client(web):
    with web.client(headers=TUS) as made:
        yield made


def metadata(**named):
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in named.items())


def make(client, size=5_000_000, **named):
    headers = {"Upload-Length": str(size), "Upload-Metadata": metadata(**named)}
    answer = client.post("/api/v1/uploads", headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def patch(client, url, offset, data, **headers):
    said = {**BODY, "Upload-Offset": str(offset), **{name.replace("_", "-"): value for name, value in headers.items()}}
    return client.patch(url, content=data, headers=said)


def offset(client, url):
    answer = client.head(url)
    assert answer.status_code == 200
    return int(answer.headers["upload-offset"])


def import_of(client, url):
    return client.get(f"/api/v1/imports/{url.rpartition('/')[2]}").json()


def code(answer):
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("checked", [False, True], ids=["plain", "with checksums"])
def test_tuspy_uploads_with_a_pause_in_between(web, client, checked):
    basic = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    tus = TusClient(f"{web.base}/api/v1/uploads", headers={"Authorization": f"Basic {basic}"})
    named = {"project": "P", "subject": "S1", "filename": "ä.zip"}
    first = tus.uploader(file_stream=io.BytesIO(DATA), chunk_size=1_000_000, metadata=named, upload_checksum=checked)
    first.upload(stop_at=2_000_000)
    url = first.url
    assert import_of(client, url)["state"] == "receiving"
    second = tus.uploader(file_stream=io.BytesIO(DATA), chunk_size=1_500_000, url=url, upload_checksum=checked)
    assert second.offset == 2_000_000
    second.upload()
    made = import_of(client, url)
    assert (made["state"], made["archive"], made["project"], made["door"]) == ("received", "ä.zip", "P", "tus")
    assert web.spool(made["id"]) == DATA


def test_what_the_server_can_do_is_told_to_anybody(web):
    with web.client(None) as stranger:
        answer = stranger.options("/api/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert set(answer.headers["tus-extension"].split(",")) == {
        "creation",
        "creation-with-upload",
        "checksum",
        "termination",
        "expiration",
    }
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256,md5"
    assert int(answer.headers["tus-max-size"]) > 2**35


def test_creation_may_bring_the_first_bytes_or_all(web, client):
    headers = {**BODY, "Upload-Length": "10", "Upload-Metadata": metadata(filename="a.zip")}
    part = client.post("/api/v1/uploads", headers=headers, content=b"12345")
    assert (part.status_code, part.headers["upload-offset"]) == (201, "5")
    assert part.headers["upload-expires"].endswith(" GMT")
    assert patch(client, part.headers["location"], 5, b"67890").headers["upload-offset"] == "10"
    whole = client.post("/api/v1/uploads", headers=headers, content=b"1234567890")
    for answer in (part, whole):
        made = import_of(client, answer.headers["location"])
        assert made["state"] == "received"
        assert web.spool(made["id"]) == b"1234567890"


def test_an_empty_upload_is_accepted_at_once_for_its_import_to_refuse(client):
    assert import_of(client, make(client, size=0))["state"] == "received"


def test_an_upload_that_ends_while_a_late_request_asks_for_it_is_not_called_cancelled(web, client, monkeypatch):
    url = make(client, size=10, filename="a.zip")
    uuid = url.rpartition("/")[2]
    incoming_upload = web.site.receiving.find(uuid)
    ends: list[bool] = []

    def ended_after(read):
        def reading(*given, **named):
            value = read(*given, **named)
            if not ends:
                other = threading.Thread(target=lambda: ends.append(accepted()))  # a request that reads may not write
                other.start()
                other.join()
            return value

        return reading

    def accepted():
        with web.site.catalog.write() as connection:
            return accept(web.site.catalog, connection, incoming_upload.upload_id)

    monkeypatch.setattr(web.site.receiving, "find", ended_after(web.site.receiving.find))
    monkeypatch.setattr("scandock.web.tus.routes.find_import", ended_after(find_import))
    assert code(patch(client, url, 3, b"late")) == (409, "tus_offset")
    assert ends == [True]


def test_wrong_offsets_change_nothing(web, client):
    url = make(client, size=10)
    assert patch(client, url, 0, b"1234").status_code == 204
    for wrong in (0, 3, 5, 11):
        assert code(patch(client, url, wrong, b"xx")) == (409, "tus_offset")
    assert offset(client, url) == 4
    assert code(patch(client, url, 4, b"x" * 7)) == (400, "tus_too_long")
    assert offset(client, url) == 4
    assert patch(client, url, 4, b"567890").status_code == 204
    assert web.spool(import_of(client, url)["id"]) == b"1234567890"


def test_the_last_request_may_be_repeated_where_its_answer_was_lost(client):
    url = make(client, size=4)
    assert patch(client, url, 0, b"1234").status_code == 204
    again = patch(client, url, 4, b"")
    assert (again.status_code, again.headers["upload-offset"]) == (204, "4")
    assert code(patch(client, url, 4, b"5")) == (400, "tus_too_long")
    assert code(patch(client, url, 0, b"1234")) == (409, "tus_offset")
    head = client.head(url)
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == ("4", "4")
    assert "upload-expires" not in head.headers


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_bytes_with_a_wrong_checksum_are_not_kept(web, client, algorithm):
    url = make(client, size=6)
    right = base64.b64encode(hashlib.new(algorithm, b"123").digest()).decode()
    assert patch(client, url, 0, b"123", Upload_Checksum=f"{algorithm} {right}").status_code == 204
    assert code(patch(client, url, 3, b"45x", Upload_Checksum=f"{algorithm} {right}")) == (460, "tus_checksum")
    assert offset(client, url) == 3
    assert code(patch(client, url, 3, b"456", Upload_Checksum="crc32 AAAA")) == (400, "tus_header")
    right = base64.b64encode(hashlib.new(algorithm, b"456").digest()).decode()
    assert patch(client, url, 3, b"456", Upload_Checksum=f"{algorithm} {right}").status_code == 204
    assert web.spool(import_of(client, url)["id"]) == b"123456"


def open_patch(web, url, at, announced, sent, **headers):
    """A PATCH of which only a part is sent."""
    host, port = web.base.removeprefix("http://").split(":")
    raw = socket.create_connection((host, int(port)), timeout=20)
    basic = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    said = {
        "Host": "x",
        "Authorization": f"Basic {basic}",
        **BODY,
        "Upload-Offset": str(at),
        "Content-Length": str(announced),
        **headers,
    }
    head = f"PATCH {url} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in said.items())
    raw.sendall(head.encode() + b"\r\n" + sent)
    return raw


def test_a_broken_connection_keeps_what_came(web, client):
    url = make(client)
    uuid = url.rpartition("/")[2]
    raw = open_patch(web, url, 0, len(DATA), DATA[:2_345_678])
    until(lambda: uuid in web.site.locks)
    raw.shutdown(socket.SHUT_WR)
    raw.close()
    until(lambda: uuid not in web.site.locks)
    assert offset(client, url) == 2_345_678
    assert patch(client, url, 2_345_678, DATA[2_345_678:]).status_code == 204
    assert web.spool(uuid) == DATA


def test_a_broken_connection_keeps_nothing_that_was_to_be_checked(web, client):
    url = make(client)
    uuid = url.rpartition("/")[2]
    with open_patch(web, url, 0, len(DATA), DATA[:2_000_000], **{"Upload-Checksum": "sha1 AAAA"}):
        until(lambda: uuid in web.site.locks)
    until(lambda: uuid not in web.site.locks)
    assert offset(client, url) == 0
    assert patch(client, url, 0, DATA).status_code == 204
    assert web.spool(uuid) == DATA


def test_a_second_patch_beside_the_first_is_locked_out(web, client):
    url = make(client)
    uuid = url.rpartition("/")[2]
    with open_patch(web, url, 0, len(DATA), DATA[:1000]) as raw:
        until(lambda: uuid in web.site.locks)
        assert code(patch(client, url, 0, DATA)) == (423, "tus_locked")
        raw.sendall(DATA[1000:])
        assert b"204 No Content" in raw.recv(65536)
    assert web.spool(uuid) == DATA


def listed(client):
    [one] = client.get("/api/v1/uploads").json()["items"]
    return one["receiving"], one["offset"], one["arrived"]


def test_the_list_says_which_upload_is_being_sent_right_now(web, client, monkeypatch):
    url = make(client)
    assert listed(client) == (False, 0, 0)
    with open_patch(web, url, 0, len(DATA), DATA[:1000]):
        until(lambda: listed(client) == (True, 0, 1000))
        with web.client() as other:  # the same account in another browser
            assert listed(other) == (True, 0, 1000)
        with monkeypatch.context() as silent:  # its connection is probably dead, and it would give way
            silent.setattr(locks, "STALE_SECONDS", 0.0)
            assert listed(client) == (False, 0, 0)
    until(lambda: listed(client) == (False, 1000, 1000))


def test_many_patches_at_once_keep_the_bytes_once(web, client):
    url = make(client)
    answers = []

    def one():
        with web.client() as mine, contextlib.suppress(httpx.TransportError):
            answers.append(patch(mine, url, 0, DATA).status_code)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count(204) == 1
    assert set(answers) <= {204, 409, 423}
    assert web.spool(url.rpartition("/")[2]) == DATA


def test_a_request_that_died_silently_gives_way(web, client, monkeypatch):
    url = make(client)
    uuid = url.rpartition("/")[2]
    with open_patch(web, url, 0, len(DATA), DATA[:1000]) as raw:
        until(lambda: listed(client) == (True, 0, 1000))
        monkeypatch.setattr(locks, "STALE_SECONDS", 0.0)
        refused = patch(client, url, 0, DATA)  # lets the first one go, which keeps its bytes
        assert code(refused) == (409, "tus_offset")
        assert b"423 " in raw.recv(65536)
    assert offset(client, url) == 1000
    assert patch(client, url, 1000, DATA[1000:]).status_code == 204
    assert web.spool(uuid) == DATA


def test_an_upload_can_be_given_up_while_it_comes_in(web, client):
    url = make(client)
    uuid = url.rpartition("/")[2]
    with open_patch(web, url, 0, len(DATA), DATA[:1000]) as raw:
        until(lambda: uuid in web.site.locks)
        assert client.delete(url).status_code == 204
        assert b"410 Gone" in raw.recv(65536)
    assert client.head(url).status_code == 404
    assert code(patch(client, url, 0, DATA)) == (404, "import_unknown")
    assert web.spools() == []


def test_an_accepted_upload_is_no_upload_to_give_up(client):
    url = make(client, size=1)
    assert patch(client, url, 0, b"1").status_code == 204
    assert code(client.delete(url)) == (409, "import_running")
    assert import_of(client, url)["state"] == "received"


def test_expired_uploads_are_gone(web, client):
    url, busy = make(client), make(client)
    uuids = [one.rpartition("/")[2] for one in (url, busy)]
    assert patch(client, url, 0, DATA[:100]).status_code == 204
    with web.site.catalog.write() as connection:
        connection.execute(reception.update().values(expires=1))
    assert code(patch(client, url, 100, DATA[100:])) == (410, "upload_expired")
    assert client.head(url).status_code == 410
    expire_uploads(web.site.receiving, web.site.receiving.limits.lasts_ms, {uuids[1]})
    assert web.spools() == []
    assert (import_of(client, url)["state"], import_of(client, url)["code"]) == ("cancelled", "upload_expired")
    assert import_of(client, busy)["state"] == "receiving"
    assert client.head(url).status_code == 410
    with web.site.catalog.read() as connection:
        told = connection.execute(select(event.c.kind).join(upload, upload.c.id == event.c.upload_id)).scalars().all()
    assert told == ["outcome"]


@pytest.mark.parametrize("asked", ["head", "patch", "head of all"])
def test_an_upload_whose_bytes_are_gone_is_to_be_begun_anew(web, client, asked):
    """As after `rm -r DATA/incoming`, or in a copy of DATA whose catalog is newer than its files."""
    had = len(DATA) if asked == "head of all" else 40_000
    url = make(client, fingerprint="mine")
    uuid = url.rpartition("/")[2]
    assert patch(client, url, 0, DATA[:40_000]).status_code == 204
    with web.site.catalog.write() as connection:
        connection.execute(reception.update().values(received=had))
    shutil.rmtree(f"{web.site.store.path}/incoming")
    if asked == "patch":
        assert code(patch(client, url, 40_000, DATA[40_000:])) == (410, "upload_lost")
    assert client.head(url).status_code == 410
    assert code(patch(client, url, had, b"")) == (410, "upload_lost")
    ended = import_of(client, url)
    assert (ended["state"], ended["code"]) == ("cancelled", "upload_lost")
    assert f"{had:,} bytes" in ended["message"]
    assert client.get("/api/v1/uploads").json()["items"] == []
    with web.site.catalog.read() as connection:
        told = connection.execute(select(event.c.kind).join(upload, upload.c.id == event.c.upload_id)).scalars().all()
    assert told == ["outcome"]
    web.site.store.prepare()
    anew = make(client, fingerprint="mine")
    assert anew != url
    assert patch(client, anew, 0, DATA).status_code == 204
    assert uuid not in web.spools()


def test_an_upload_that_a_request_brings_right_now_is_not_taken_for_lost(web, client):
    """A sync that fails drops the bytes a moment before the row says so: whoever asks meanwhile ends nothing."""
    url = make(client)
    uuid = url.rpartition("/")[2]
    assert patch(client, url, 0, DATA[:100]).status_code == 204

    async def asked_beside_a_writer():
        async with web.site.locks.write(uuid):
            web.site.store.spool(uuid).discard()
            return await asyncio.to_thread(offset, client, url)

    with ThreadPoolExecutor(1) as another:  # a browser of tests before this one may have left a loop in this thread
        assert another.submit(lambda: asyncio.run(asked_beside_a_writer())).result() == 100


def test_an_upload_that_a_clock_which_has_jumped_ends_goes_on(web, client):
    url = make(client)
    assert check_deletion_allowed(web.site.catalog) == ""
    with web.site.catalog.write() as connection:
        connection.execute(reception.update().values(expires=1))
        connection.execute(clock_seen.update().values(held_until=4 * 10**12))
    assert offset(client, url) == 0
    assert patch(client, url, 0, DATA).status_code == 204


def test_going_on_puts_off_the_expiry(web, client):
    url = make(client)
    with web.site.catalog.write() as connection:
        connection.execute(reception.update().values(expires=reception.c.expires - 3_600_000))

    def expires():
        with web.site.catalog.read() as connection:
            return connection.execute(select(reception.c.expires)).scalar_one()

    before = expires()
    assert patch(client, url, 0, DATA[:100]).status_code == 204
    assert expires() > before


def test_the_offset_is_what_was_marked_whatever_the_spool_holds(web, client, monkeypatch):
    """As after a kill: bytes beyond the last mark, checked or not, count for nothing."""
    monkeypatch.setattr(spool_writer, "MARK_BYTES", 1)
    url = make(client)
    uuid = url.rpartition("/")[2]
    assert patch(client, url, 0, DATA[:100]).status_code == 204
    spool = web.site.store.spool(uuid)
    spool.append(100, b"never marked")
    spool.close()
    assert offset(client, url) == 100
    assert patch(client, url, 100, DATA[100:]).status_code == 204
    assert web.spool(uuid) == DATA


def test_uploads_are_their_owners_alone(web, client):
    web.account("mia", P="member")
    web.account("olga", P="owner")
    web.account("carl", P="collaborator")
    url = make(client, project="P")
    with web.client("mia", headers=TUS) as other:
        assert other.head(url).status_code == 404
        assert code(patch(other, url, 0, DATA)) == (404, "import_unknown")
        assert other.delete(url).status_code == 404
    with web.client("olga", headers=TUS) as owner:
        assert owner.head(url).status_code == 200
        assert code(patch(owner, url, 0, DATA)) == (403, "forbidden")
    with web.client("carl", headers={**TUS, "Upload-Length": "5"}) as reader:
        refused = reader.post("/api/v1/uploads", headers={"Upload-Metadata": metadata(project="P")})
        assert code(refused) == (403, "forbidden")
    with web.client(None, headers={**TUS, "Upload-Length": "5"}) as stranger:
        assert stranger.post("/api/v1/uploads").status_code == 401
        assert stranger.head(url).status_code == 401
    assert offset(client, url) == 0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Upload-Length": "5", "Tus-Resumable": "0.2.2"}, (412, "tus_version")),
        ({}, (400, "tus_header")),
        ({"Upload-Defer-Length": "1"}, (400, "tus_header")),
        ({"Upload-Length": "-5"}, (400, "tus_header")),
        ({"Upload-Length": str(2**50)}, (413, "upload_too_large")),
        ({"Upload-Length": "5", "Upload-Metadata": "project ***"}, (400, "tus_metadata")),
        ({"Upload-Length": "5", "Upload-Metadata": metadata(project="Q")}, (404, "project_unknown")),
    ],
)
def test_creations_that_are_off_make_nothing(web, client, headers, expected):
    answer = client.post("/api/v1/uploads", headers=headers)
    assert code(answer) == expected
    assert client.get("/api/v1/imports").json()["items"] == []
    if expected[0] == 412:
        assert answer.headers["tus-version"] == "1.0.0"


def test_every_answer_says_the_version(web, client):
    url = make(client, size=5)
    free = web.site.store.reserve(0)
    answers = {
        400: client.patch(url, content=b"123456", headers={**BODY, "Upload-Offset": "0"}),
        401: httpx.patch(web.base + url, headers={**BODY, "Upload-Offset": "0"}, trust_env=False),
        404: client.head(f"{url[:-1]}x"),
        405: client.put(url),
        409: client.patch(url, content=b"1", headers={**BODY, "Upload-Offset": "3"}),
        412: client.head(url, headers={"Tus-Resumable": "0.2.2"}),
        413: client.post("/api/v1/uploads", headers={"Upload-Length": str(2**50)}),
        415: client.patch(url, content=b"1", headers={"Upload-Offset": "0"}),
        460: client.patch(url, content=b"1", headers={**BODY, "Upload-Offset": "0", "Upload-Checksum": "md5 AAAA"}),
        507: client.post("/api/v1/uploads", headers={"Upload-Length": str(free + 10_000)}),
    }
    for status, answer in answers.items():
        assert (answer.status_code, answer.headers.get("tus-resumable")) == (status, "1.0.0")
    assert "tus-resumable" not in client.get("/api/v1/imports").headers


@pytest.mark.parametrize(
    ("more", "content", "expected"),
    [
        ({"Upload-Checksum": "md5 AAAA"}, b"12345", (460, "tus_checksum")),
        ({"Upload-Checksum": "sha1"}, b"12345", (400, "tus_header")),
        ({}, b"123456", (400, "tus_too_long")),
        ({}, iter([b"123456"]), (400, "tus_too_long")),
    ],
    ids=["checksum", "no checksum", "too long", "too long in chunks"],
)
def test_a_creation_whose_first_bytes_are_refused_leaves_no_upload(web, client, more, content, expected):
    answer = client.post("/api/v1/uploads", headers={**BODY, "Upload-Length": "5", **more}, content=content)
    assert code(answer) == expected
    assert client.get("/api/v1/uploads").json()["items"] == []
    assert web.spools() == []


@pytest.mark.parametrize("more", [{"Idempotency-Key": "k"}, {"Upload-Metadata": metadata(fingerprint="f")}])
def test_a_creation_that_can_be_found_again_stays(web, client, more):
    headers = {**BODY, "Upload-Length": "5", "Upload-Checksum": "md5 AAAA", **more}
    assert code(client.post("/api/v1/uploads", headers=headers, content=b"12")) == (460, "tus_checksum")
    (item,) = client.get("/api/v1/uploads").json()["items"]
    assert patch(client, f"/api/v1/uploads/{item['id']}", 0, b"12345").status_code == 204


def test_too_many_bytes_are_told_alike_whether_their_length_was_stated(client):
    for content in (b"123456", iter([b"123456"])):
        answer = client.patch(make(client, size=5), content=content, headers={**BODY, "Upload-Offset": "0"})
        assert code(answer) == (400, "tus_too_long")


def test_a_right_that_is_gone_while_the_last_bytes_come_is_asked_for_again(web, client, monkeypatch):
    web.account("mia", P="member")
    finish = spooler.Spooler.finish

    async def slowly(self):
        monkeypatch.undo()
        kept = await finish(self)
        take = await asyncio.to_thread(client.put, "/api/v1/projects/P/members/mia", json={"role": "collaborator"})
        assert take.status_code < 300
        return kept

    with web.client("mia", headers=TUS) as mia:
        url = make(mia, size=5, project="P")
        monkeypatch.setattr(spooler.Spooler, "finish", slowly)
        assert patch(mia, url, 0, b"12345").status_code == 403
    assert import_of(client, url)["state"] == "receiving"


@pytest.mark.parametrize("door", ["head", "patch"])
def test_an_upload_whose_last_bytes_were_refused_is_accepted_by_its_owners_next_request(web, client, monkeypatch, door):
    """A login ended elsewhere while the bytes came: all of them are there, and no client has any left to send."""
    web.account("mia", P="member")
    finish = spooler.Spooler.finish

    async def slowly(self):
        monkeypatch.undo()
        kept = await finish(self)
        await asyncio.to_thread(client.delete, "/api/v1/projects/P/members/mia")
        return kept

    def ask(one):
        return one.head(url) if door == "head" else patch(one, url, 5, b"")

    with web.client("mia", headers=TUS) as mia:
        url = make(mia, size=5, project="P")
        monkeypatch.setattr(spooler.Spooler, "finish", slowly)
        assert patch(mia, url, 0, b"12345").status_code == 404
        assert ask(mia).status_code == 404
        assert offset(client, url) == 5  # an administrator looks: that is not its owner's asking
        assert import_of(client, url)["state"] == "receiving"
        client.put("/api/v1/projects/P/members/mia", json={"role": "member"})
        assert ask(mia).headers["upload-offset"] == "5"
        assert "upload-expires" not in ask(mia).headers
        made = import_of(mia, url)
    assert made["state"] == "received"
    assert web.spool(made["id"]) == b"12345"


def test_patches_that_are_off(client):
    url = make(client, size=5)
    assert code(client.patch(url, content=b"1", headers={"Upload-Offset": "0"})) == (415, "tus_type")
    assert code(client.patch(url, content=b"1", headers=BODY)) == (400, "tus_header")
    assert code(client.patch(f"{url[:-1]}x", content=b"1", headers={**BODY, "Upload-Offset": "0"})) == (
        404,
        "import_unknown",
    )


def test_methods_may_be_overridden(client):
    url = make(client, size=5)
    headers = {**BODY, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert client.post(url, content=b"12345", headers=headers).status_code == 204
    assert import_of(client, url)["state"] == "received"


def test_the_same_key_gives_the_same_upload(client):
    headers = {"Upload-Length": "5", "Idempotency-Key": "k"}
    first = client.post("/api/v1/uploads", headers=headers).headers["location"]
    assert patch(client, first, 0, b"12").status_code == 204
    again = client.post("/api/v1/uploads", headers=headers)
    assert (again.status_code, again.headers["location"], again.headers["upload-offset"]) == (201, first, "2")


def test_ones_own_unfinished_uploads_are_listed_for_going_on(web, client):
    web.account("mia", P="owner")
    first = make(client, size=10, filename="a.zip", fingerprint="f1", project="P")
    assert patch(client, first, 0, b"1234").status_code == 204
    second = make(client, size=4, filename="b.zip")
    assert patch(client, second, 0, b"1234").status_code == 204
    gone = make(client, size=4, filename="c.zip")
    assert client.delete(gone).status_code == 204
    items = client.get("/api/v1/uploads").json()["items"]
    assert [(one["filename"], one["state"], one["size"], one["offset"], one["fingerprint"]) for one in items] == [
        ("b.zip", "received", 4, 4, None),
        ("a.zip", "receiving", 10, 4, "f1"),
    ]
    assert [(one["project"], one["created"] > 1_700_000_000_000) for one in items] == [(None, True), ("P", True)]
    assert [one["id"] for one in items] == [url.rpartition("/")[2] for url in (second, first)]
    with web.client("mia") as other:
        assert other.get("/api/v1/uploads").json()["items"] == []
    with web.client(None) as stranger:
        assert stranger.get("/api/v1/uploads").status_code == 401


def test_a_mapping_comes_beside_the_bytes_while_they_come(web, client):
    url = make(client, size=10, filename="a.zip", project="P", mapping="patient_id,session\nA,FIRST\n")
    rows = "".join(f"1.2.{n},S{n}\n" for n in range(20_000))
    for text in ("patient_id,session\nA,SECOND\n", "study_uid,session\n" + rows):
        assert client.put(f"{url}/mapping", content=text.encode()).status_code == 204
        with web.site.catalog.read() as connection:
            assert connection.execute(select(reception.c.mapping)).scalar_one() == text
    wrong = client.put(f"{url}/mapping", content=b"subject,session\na,b\n")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "mapping_unreadable")
    elsewhere = client.put(f"{url}/mapping", content=b"folder,project\na,Nowhere\n")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (404, "project_unknown")
    large = client.put(f"{url}/mapping", content=b"x" * (16 * 1024 * 1024 + 1))
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    assert large.json()["detail"] == "The mapping has more than 16 MiB (16,777,216 bytes)."
    assert patch(client, url, 0, b"0123456789").status_code == 204
    late = client.put(f"{url}/mapping", content=b"folder,session\na,b\n")
    assert (late.status_code, late.json()["code"]) == (409, "import_running")
