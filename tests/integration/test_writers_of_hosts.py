"""Two web hosts over one catalog and one folder: who writes to an upload, and whose requests live."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, text, update

from scandock.access.principal import SYSTEM, RequestInfo
from scandock.catalog.errors import CatalogFailed
from scandock.catalog.server_tables import reception
from scandock.catalog.tables import upload
from scandock.model.incoming_upload import IncomingUpload
from scandock.model.machine_errors import DiskFull
from scandock.services.cleaning.uploads import delete_abandoned_uploads
from scandock.services.upload_writers import UploadWriters
from scandock.store.bucket import Bucket
from scandock.web.tus import locks
from tests.builders import make_data_folder
from tests.crash.processes import until
from tests.integration.web import PASSWORD, Web, serve_by_socket

pytestmark = pytest.mark.usefixtures("unswept")

DATA = bytes(range(256)) * 12_000
BODY = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def webs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str) -> Iterator[tuple[Web, Web]]:
    site = make_data_folder(tmp_path, monkeypatch, postgres_url)
    with serve_by_socket(site.data, site.settings) as one, serve_by_socket(site.data, site.settings) as other:
        yield one, other


@pytest.fixture
def apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str, bucket: Bucket
) -> Iterator[tuple[Web, Web]]:
    """Two hosts that have a bucket in common, and no folder."""
    monkeypatch.setenv("SCANDOCK_STORE", bucket.url)
    monkeypatch.setenv("SCANDOCK_S3_ENDPOINT", bucket.endpoint or "")
    sites = [make_data_folder(tmp_path / name, monkeypatch, postgres_url) for name in ("one", "other")]
    with (
        serve_by_socket(sites[0].data, sites[0].settings) as one,
        serve_by_socket(sites[1].data, sites[1].settings) as other,
    ):
        yield one, other


def make(web: Web, size: int = len(DATA), **headers: str) -> str:
    """A resumable upload; its path."""
    project = base64.b64encode(b"P").decode()
    with web.client(headers={"Tus-Resumable": "1.0.0"}) as client:
        made = client.post(
            "/api/v1/uploads", headers={"Upload-Length": str(size), "Upload-Metadata": f"project {project}", **headers}
        )
    assert made.status_code == 201
    return httpx.URL(made.headers["location"]).path


def patch(web: Web, path: str, at: int, data: bytes) -> tuple[int, str]:
    with web.client(headers=BODY) as client:
        answer = client.patch(path, content=data, headers={"Upload-Offset": str(at)})
    return answer.status_code, answer.json()["code"] if answer.content else ""


def offset(web: Web, path: str) -> int:
    with web.client(headers={"Tus-Resumable": "1.0.0"}) as client:
        answer = client.head(path)
    assert answer.status_code == 200
    return int(answer.headers["upload-offset"])


def open_request(web: Web, method: str, path: str, length: int, sent: bytes, **headers: str) -> socket.socket:
    """A request whose body stops after `sent`."""
    url = httpx.URL(web.base)
    raw = socket.create_connection((url.host, url.port), timeout=30)
    basic = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    named = {"Host": "x", "Authorization": f"Basic {basic}", "Content-Length": str(length), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
    raw.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + sent)
    return raw


def open_patch(web: Web, path: str, at: int, sent: bytes) -> socket.socket:
    return open_request(web, "PATCH", path, len(DATA) - at, sent, Upload_Offset=str(at), **BODY)


def answer_of(raw: socket.socket) -> str:
    return raw.recv(65536).decode().partition("\r\n")[0]


def stored(web: Web, path: str) -> bytes:
    """What the store has of an upload, as any host reads it."""
    with contextlib.closing(web.site.store.spool(path.rpartition("/")[2])) as spool:
        return spool.read_at(0, len(DATA) + 1)


def pass_time(web: Web, milliseconds: int) -> None:
    """Let what hosts have said of their requests be older."""
    with web.site.catalog.write() as connection:
        connection.execute(update(reception).values(writer_seen=reception.c.writer_seen - milliseconds))


def patch_instead(silent: Web, other: Web, path: str, at: int, data: bytes) -> None:
    """Go on at another host once the first has brought nothing for long; what it just brought may be noted first."""

    def is_taken() -> bool:
        pass_time(silent, 11_000)
        return patch(other, path, at, data) == (204, "")

    until(is_taken, "nobody may go on with it")


def writer_of(web: Web, path: str) -> str:
    with web.site.catalog.read() as connection:
        query = select(reception.c.writer).join(upload, upload.c.id == reception.c.upload_id)
        return str(connection.execute(query.where(upload.c.uuid == path.rpartition("/")[2])).scalar_one())


def test_one_host_writes_and_any_knows_how_far_it_is(webs: tuple[Web, Web]) -> None:
    one, other = webs
    path = make(one)
    assert patch(other, path, 0, DATA[:1000]) == (204, "")
    assert (offset(one, path), offset(other, path), writer_of(one, path)) == (1000, 1000, "")
    with open_patch(one, path, 1000, DATA[1000:2000]) as raw:
        until(lambda: writer_of(one, path), "no row says who writes")
        assert patch(other, path, 1000, DATA[1000:]) == (423, "tus_locked")
        assert offset(other, path) == 1000
        with other.client() as client:
            [item] = client.get("/api/v1/uploads").json()["items"]
        assert item["receiving"] is True
        raw.sendall(DATA[2000:])
        assert answer_of(raw) == "HTTP/1.1 204 No Content"
    assert one.spool(path.rpartition("/")[2]) == DATA
    with other.client() as client:
        assert client.get(f"/api/v1/imports/{path.rpartition('/')[2]}").json()["state"] == "received"


def test_a_silent_writer_is_replaced_by_another_host_and_spoils_nothing(webs: tuple[Web, Web]) -> None:
    one, other = webs
    path = make(one)
    half = len(DATA) // 2
    assert patch(one, path, 0, DATA[:half]) == (204, "")
    with open_patch(one, path, half, b"\0" * 1_100_000) as raw:  # bytes that are none of the file's
        until(lambda: writer_of(one, path), "no row says who writes")
        patch_instead(one, other, path, half, DATA[half:])
        with contextlib.suppress(OSError):
            raw.sendall(b"\0" * 1_000)
        assert answer_of(raw) == "HTTP/1.1 423 Locked"
    assert other.spool(path.rpartition("/")[2]) == DATA
    assert offset(one, path) == len(DATA)


def test_a_replaced_writer_takes_nothing_back_where_the_bytes_are_in_a_bucket(apart: tuple[Web, Web]) -> None:
    """What it still has in memory when it hears of it is behind what it knew, not behind what is there."""
    one, other = apart
    path = make(one)
    with open_patch(one, path, 0, b"\0" * 500_000) as raw:  # less than a block: it waits in memory
        until(lambda: writer_of(one, path), "no row says who writes")
        patch_instead(one, other, path, 0, DATA[:1_200_000])
        assert answer_of(raw) == "HTTP/1.1 423 Locked"
    until(lambda: not len(one.site.locks), "it did not end")
    assert stored(other, path) == DATA[:1_200_000]
    assert patch(one, path, 1_200_000, DATA[1_200_000:]) == (204, "")
    assert stored(other, path) == DATA


@pytest.mark.parametrize("ends", ["whole", "broken off"])
def test_what_a_bucket_did_not_take_is_not_noted_as_received(
    apart: tuple[Web, Web], monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    one, other = apart
    path = make(one)
    assert patch(one, path, 0, DATA[:1000]) == (204, "")
    puts: list[str] = []
    put = Bucket.put

    def fail_once(self: Bucket, key: str, data: bytes | memoryview) -> None:
        puts.append(key)
        if len(puts) == 1:
            raise self.fault("writing", key, "away")
        put(self, key, data)

    monkeypatch.setattr(Bucket, "put", fail_once)
    if ends == "whole":
        assert patch(one, path, 1000, DATA[1000:2_500_000])[0] == 503
    else:
        open_patch(one, path, 1000, DATA[1000:2_500_000]).close()
    until(lambda: puts and not len(one.site.locks), "it did not end")
    assert offset(other, path) == len(stored(other, path)) == 1000
    assert patch(other, path, 1000, DATA[1000:]) == (204, "")
    assert stored(one, path) == DATA


def test_a_replaced_writer_that_still_holds_the_bytes_is_waited_for(
    webs: tuple[Web, Web], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where its host is cut off from the catalog, and does not hear that it was replaced."""
    one, other = webs
    path = make(one)
    monkeypatch.setattr(locks, "WAIT_SECONDS", 0.1)
    with contextlib.closing(one.site.store.spool(path.rpartition("/")[2])) as spool:
        assert spool.hold()
        assert patch(other, path, 0, DATA) == (423, "tus_locked")
        assert offset(other, path) == 0
    assert patch(other, path, 0, DATA) == (204, "")


def test_whoever_gives_an_upload_up_ends_its_writer_on_another_host(webs: tuple[Web, Web]) -> None:
    one, other = webs
    path = make(one)
    with open_patch(one, path, 0, DATA[:1000]) as raw:
        until(lambda: writer_of(one, path), "no row says who writes")
        with other.client(headers={"Tus-Resumable": "1.0.0"}) as client:
            assert client.delete(path).status_code == 204
        assert answer_of(raw).startswith("HTTP/1.1 4")
    assert (one.spools(), other.site.receiving.find(path.rpartition("/")[2])) == ([], None)


def test_a_writer_that_could_not_be_released_keeps_out_other_hosts_alone(
    webs: tuple[Web, Web], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = webs
    path = make(one)

    def away(*_: object) -> None:
        raise DiskFull("No space left.")

    with monkeypatch.context() as patched:
        patched.setattr(UploadWriters, "release", away)
        assert patch(one, path, 0, DATA[:1000]) == (204, "")
    assert patch(other, path, 1000, DATA[1000:2000]) == (423, "tus_locked")
    assert patch(one, path, 1000, DATA[1000:2000]) == (204, "")
    assert patch(other, path, 2000, DATA[2000:]) == (204, "")


def test_an_upload_whose_request_lives_on_another_host_is_not_cleared_away(webs: tuple[Web, Web]) -> None:
    one, other = webs
    headers = {"Idempotency-Key": "k"}
    with open_request(one, "POST", "/api/v1/imports?project=P", 1000, b"x", **headers) as raw:
        until(lambda: one.site.receptions, "it did not begin")
        disown(one)
        pass_time(one, 20_000)
        assert delete_abandoned_uploads(other.site.receiving) == 0
        with other.client() as client:
            again = client.post("/api/v1/imports?project=P", content=b"x" * 1000, headers=headers)
        assert (again.status_code, again.json()["code"]) == (409, "upload_running")
        until(lambda: age_of_lease(one) < 15_000, "its lease was not renewed")
        raw.sendall(b"x" * 999)
        assert answer_of(raw) == "HTTP/1.1 202 Accepted"


def disown(web: Web) -> None:
    """Let the process that receives be one of which nothing is known here, as on another machine."""
    with web.site.catalog.write() as connection:
        connection.execute(update(upload).values(owner='{"host": "elsewhere"}'))


def fall_silent(web: Web) -> None:
    """Let a host that receives an upload in one request live, and have been unable to say so for half a minute."""
    disown(web)
    web.site.reception_writers.clear()
    pass_time(web, 31_000)


def count(web: Web, table: str) -> int:
    with web.site.catalog.read() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def age_of_lease(web: Web) -> int:
    with web.site.catalog.read() as connection:
        return int(connection.execute(select(web.site.catalog.now() - reception.c.writer_seen)).scalar_one())


def assert_given_up(connection: socket.socket) -> None:
    """It is to be sent again, by whatever client: nothing of it is kept, and nobody cancelled it."""
    with contextlib.closing(http.client.HTTPResponse(connection)) as answer:
        answer.begin()
        assert (answer.status, json.load(answer)["code"]) == (503, "upload_given_up")
        assert answer.headers["Retry-After"]


@pytest.mark.parametrize("how", ["cleared", "sent again"])
def test_a_request_that_was_given_up_as_dead_has_nothing_accepted(webs: tuple[Web, Web], how: str) -> None:
    """Its host lives, and could not say so."""
    one, other = webs
    headers = {"Idempotency-Key": "k"}
    with open_request(one, "POST", "/api/v1/imports?project=P", 1000, b"x", **headers) as raw:
        until(lambda: one.site.receptions, "it did not begin")
        fall_silent(one)
        if how == "cleared":
            assert delete_abandoned_uploads(other.site.receiving) == 1
        else:
            with other.client() as client:
                again = client.post("/api/v1/imports?project=P", content=b"y" * 1000, headers=headers)
            assert again.status_code == 202
        raw.sendall(b"x" * 999)
        assert_given_up(raw)
    with one.site.catalog.read() as connection:
        states = connection.execute(text("SELECT state FROM upload")).scalars().all()
    assert states == ([] if how == "cleared" else ["received"])


def test_a_form_that_was_given_up_as_dead_is_told_where_a_bucket_has_its_bytes(apart: tuple[Web, Web]) -> None:
    one, other = apart
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n'
    rest = b"x\r\n--b--\r\n"
    sent = head + b"x" * 1_100_000  # more than a block, so that it is written, and less than a part: it waits in memory
    kind = "multipart/form-data; boundary=b"
    length = len(sent) + len(rest)
    with open_request(one, "POST", "/api/v1/imports?project=P", length, sent, Content_Type=kind) as raw:
        until(lambda: count(one, "spool_writer"), "none of it was written")
        fall_silent(one)
        assert delete_abandoned_uploads(other.site.receiving) == 1
        raw.sendall(rest)
        assert_given_up(raw)
    assert [count(one, table) for table in ("upload", "spool_part", "spool_writer")] == [0, 0, 0]


def test_a_request_given_up_as_dead_has_nothing_accepted_whatever_becomes_of_the_next(
    webs: tuple[Web, Web], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the catalog dies once the bytes are gone, before their row is."""
    one, other = webs
    headers = {"Idempotency-Key": "k"}

    def discard_bytes(incoming: IncomingUpload) -> bool:
        other.site.store.spool(incoming.uuid).discard()
        raise DiskFull("No space left.")

    with open_request(one, "POST", "/api/v1/imports?project=P", 1000, b"x", **headers) as raw:
        until(lambda: one.site.receptions, "it did not begin")
        fall_silent(one)
        with monkeypatch.context() as patched, other.client() as client:
            patched.setattr(other.site.receiving, "discard", discard_bytes)
            again = client.post("/api/v1/imports?project=P", content=b"y" * 1000, headers=headers)
        assert again.status_code == 507
        raw.sendall(b"x" * 999)
        assert_given_up(raw)
    with one.site.catalog.read() as connection:
        assert connection.execute(text("SELECT state FROM upload")).scalars().all() == ["receiving"]
    assert delete_abandoned_uploads(other.site.receiving) == 1


def test_what_is_accepted_just_before_it_is_taken_for_dead_stays(webs: tuple[Web, Web]) -> None:
    """Between the look at the leases and the clearing away."""
    one, other = webs
    with one.client() as client:
        uuid = client.post("/api/v1/imports?project=P", content=b"x" * 1000).json()["id"]
    incoming = one.site.receiving.find(uuid)
    assert incoming is not None
    with other.site.catalog.write() as connection:
        assert other.site.receiving.take_over(connection, uuid, incoming.writer) is None
    assert not other.site.receiving.discard(incoming)
    assert one.spool(uuid) == b"x" * 1000


def test_only_its_writer_forgets_an_upload(webs: tuple[Web, Web]) -> None:
    one, other = webs
    path = make(one)
    incoming = one.site.receiving.find(path.rpartition("/")[2])
    assert incoming is not None
    with contextlib.closing(one.site.store.spool(incoming.uuid)) as spool:
        spool.append(0, b"x")
    assert not other.site.receiving.discard(replace(incoming, writer="another"))
    assert not other.site.receiving.mark(replace(incoming, writer="another"), 1)
    principal, request = SYSTEM, RequestInfo()
    assert not other.site.receiving.accept(replace(incoming, writer="another"), 1, principal, request)
    assert one.spools() == [incoming.uuid]
    assert other.site.receiving.discard(incoming)


def test_a_lease_that_can_not_be_renewed_ends_no_request(
    webs: tuple[Web, Web], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = webs
    path = make(one)

    def away(*_: object) -> None:
        raise CatalogFailed("The catalog is away.")

    monkeypatch.setattr(UploadWriters, "renew", away)
    with open_patch(one, path, 0, DATA[:1000]) as raw:
        until(lambda: any(line["event"] == "leases" for line in other.logged), "it was not told")
        raw.sendall(DATA[1000:])
        assert answer_of(raw) == "HTTP/1.1 204 No Content"
