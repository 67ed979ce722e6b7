"""Space for what comes in: reserved for an hour after the last byte, shared fairly, and promised once."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import select, update

from scandock.catalog.server_tables import account, reception
from scandock.catalog.tables import upload
from scandock.model.errors import Fault, ScandockError
from scandock.model.incoming_upload import IncomingUpload
from scandock.rules.import_request import ImportRequest
from scandock.services.cleaning.uploads import ABANDONED_UPLOADS, delete_abandoned_uploads
from scandock.services.data_catalog import CATALOG_FILE
from scandock.services.receiving import UploadOffer, UploadReceiver
from scandock.services.reservations import CHECK_BYTES
from scandock.store.local import LocalStore
from scandock.store.spools import LocalSpool
from scandock.web.app import run_cleaner
from tests.builders import make_data_folder
from tests.integration.web import Web, serve_in_process

pytestmark = pytest.mark.usefixtures("unswept")

TUS = {"Tus-Resumable": "1.0.0"}
BODY = {**TUS, "Content-Type": "application/offset+octet-stream"}


class Disk:
    """So much room, of which the spools have taken their bytes."""

    def __init__(self, size: int) -> None:
        self.size = size

    def reserve(self, store: LocalStore, needed: int, *, files: int = 0, min_free: int = 0) -> int:
        taken = sum(path.stat().st_size for path in Path(store.path, "incoming").glob("*/archive"))
        free = self.size - taken
        if needed + min_free > free:
            raise Fault("disk_full", f"{needed} bytes are needed.", "Free some.")
        return free


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk(1_000)
    monkeypatch.setattr(LocalStore, "reserve", lambda store, needed, **more: made.reserve(store, needed, **more))
    return made


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str, disk: Disk) -> Iterator[Web]:
    site = make_data_folder(tmp_path, monkeypatch, database_url)
    with serve_in_process(site.data, site.settings.model_copy(update={"min_free_bytes": 0})) as running:
        running.account("ann", P="member")
        running.account("bob", P="member")
        yield running


@pytest.fixture
def ann(web: Web) -> Iterator[httpx.Client]:
    with web.client("ann", headers=TUS) as made:
        yield made


def asked(client: httpx.Client, size: int) -> httpx.Response:
    return client.post("/api/v1/uploads", headers={"Upload-Length": str(size)})


def made(client: httpx.Client, size: int) -> str:
    answer = asked(client, size)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def patch(client: httpx.Client, url: str, at: int, data: bytes, **more: str) -> httpx.Response:
    return client.patch(url, content=data, headers={**BODY, "Upload-Offset": str(at), **more})


def full(answer: httpx.Response) -> str:
    """The words of a refusal for want of space."""
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full"), answer.text
    return f"{answer.json()['detail']} {answer.json()['remedy']}"


def test_a_refusal_of_space_is_no_fault_of_the_program(ann: httpx.Client) -> None:
    with structlog.testing.capture_logs() as told:
        full(asked(ann, 2_000))
        for path in ("/api/v1/imports?project=P", "/data/services/import?project=P"):
            assert ann.post(path, content=b"x" * 2_000, headers={"Content-Type": "application/zip"}).status_code == 507
    refused = [one for one in told if one.get("code") == "disk_full"]
    assert refused == [{"event": "refused", "log_level": "warning", "code": "disk_full"}] * 3


def two_hours_later(web: Web) -> None:
    """Let every reservation be two hours older."""
    with web.site.catalog.write() as connection:
        connection.execute(update(reception).values(reserved_until=reception.c.reserved_until - 7_200_000))


def reserved_until(web: Web) -> int:
    with web.site.catalog.read() as connection:
        return int(connection.execute(select(reception.c.reserved_until)).scalar_one())


def figures(web: Web) -> dict[str, str]:
    with web.client() as admin:
        lines = admin.get("/metrics").text.splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


# -- an hour -----------------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_an_upload_without_bytes_for_an_hour_loses_its_space_and_not_its_id(web: Web, ann: httpx.Client) -> None:
    url = made(ann, 900)
    assert patch(ann, url, 0, b"x" * 100).status_code == 204
    with web.client("bob", headers=TUS) as bob:
        full(asked(bob, 500))
        two_hours_later(web)
        assert figures(web)["scandock_uploads_unreserved"] == "1.0"
        other = made(bob, 500)
        assert ann.head(url).headers["upload-offset"] == "100"
        told = full(patch(ann, url, 100, b"x" * 800))
        assert "800 bytes are needed, 400 are free" in told
        assert ann.head(url).headers["upload-offset"] == "100"
        assert bob.delete(other).status_code == 204
    assert patch(ann, url, 100, b"x" * 400).status_code == 204
    assert patch(ann, url, 500, b"x" * 400).status_code == 204
    assert ann.get(f"/api/v1/imports/{url.rpartition('/')[2]}").json()["state"] == "received"


def test_a_pause_of_two_hours_costs_nothing_where_there_is_space(web: Web, ann: httpx.Client) -> None:
    url = made(ann, 900)
    assert patch(ann, url, 0, b"x" * 100).status_code == 204
    two_hours_later(web)
    assert patch(ann, url, 100, b"x" * 300).status_code == 204
    with web.client("bob", headers=TUS) as bob:
        full(asked(bob, 300))  # it is reserved again
    assert patch(ann, url, 400, b"x" * 500).status_code == 204


def test_bytes_keep_the_space_and_requests_without_any_do_not(web: Web, ann: httpx.Client) -> None:
    url = made(ann, 900)
    at_first = reserved_until(web)
    assert patch(ann, url, 0, b"").status_code == 204
    assert reserved_until(web) == at_first
    with web.site.catalog.write() as connection:
        connection.execute(update(reception).values(reserved_until=reception.c.reserved_until - 1_800_000))
    assert patch(ann, url, 0, b"x").status_code == 204
    assert reserved_until(web) >= at_first
    two_hours_later(web)
    assert patch(ann, url, 1, b"").status_code == 204
    assert reserved_until(web) < at_first  # it brought nothing, and reserves nothing


def test_a_request_that_announces_bytes_and_brings_none_reserves_for_a_short_while(web: Web, ann: httpx.Client) -> None:
    url = made(ann, 900)
    at_first = reserved_until(web)
    incoming_upload = web.site.receiving.find(url.rpartition("/")[2])
    assert incoming_upload is not None
    two_hours_later(web)
    web.site.receiving.reserve_again(incoming_upload)
    limits = web.site.receiving.limits
    assert reserved_until(web) < at_first - limits.reserved_ms + limits.idle_seconds * 1000 + 600_000
    assert web.site.receiving.keep_reserved(incoming_upload)  # a byte of bytes that are to be checked as a whole
    assert reserved_until(web) >= at_first


def test_what_brings_bytes_after_its_space_was_given_away_is_told_so(web: Web, ann: httpx.Client) -> None:
    """A connection that was silent for so long, where an administrator lets it."""
    url = made(ann, 900)
    incoming_upload = web.site.receiving.find(url.rpartition("/")[2])
    assert incoming_upload is not None
    two_hours_later(web)
    with web.client("bob", headers=TUS) as bob:
        made(bob, 500)
    for call in (
        lambda: web.site.receiving.mark(incoming_upload, 10),
        lambda: web.site.receiving.keep_reserved(incoming_upload),
    ):
        with pytest.raises(Fault) as caught:
            call()
        assert caught.value.code == "disk_full"
    assert ann.head(url).headers["upload-offset"] == "0"


# -- half of it --------------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_one_upload_may_take_all_and_several_of_an_account_half(web: Web, ann: httpx.Client) -> None:
    url = made(ann, 1_000)
    assert ann.delete(url).status_code == 204
    made(ann, 300)
    refused = asked(ann, 201)
    assert refused.headers["retry-after"] == "30"
    told = full(refused)
    assert "501 bytes together" in told
    assert "may take 500, which is 50 %" in told
    assert "DELETE /api/v1/uploads/{id} gives up" in told
    made(ann, 200)
    with web.client("bob", headers=TUS) as bob:
        made(bob, 500)  # one alone: all that is left
        full(asked(bob, 1))
    counted = figures(web)
    assert counted['scandock_space_refused_total{why="account"}'] == "1.0"
    assert counted['scandock_space_refused_total{why="disk"}'] == "1.0"
    assert counted["scandock_reserved_bytes"] == "1000.0"


def test_what_must_stay_free_is_promised_to_nobody(web: Web, ann: httpx.Client) -> None:
    web.site.receiving.space.min_free = 400
    assert "600 are free" in full(asked(ann, 601))
    made(ann, 600)
    with web.client("bob", headers=TUS) as bob:
        full(asked(bob, 1))


def test_ten_sessions_at_once_have_room_on_a_disk_with_room(web: Web, ann: httpx.Client, disk: Disk) -> None:
    disk.size = 20_000
    urls = [made(ann, 1_000) for _ in range(10)]
    for url in urls:  # what came of one takes nothing from the others
        assert patch(ann, url, 0, b"x" * 999).status_code == 204
    two_hours_later(web)
    for url in urls:
        assert patch(ann, url, 999, b"x").status_code == 204


def test_bytes_that_came_count_as_much_as_those_that_are_to_come(web: Web, ann: httpx.Client) -> None:
    """Else an account would fill the disk by halves with uploads that it never ends."""
    url = made(ann, 500)
    assert patch(ann, url, 0, b"x" * 499).status_code == 204
    full(asked(ann, 100))
    two_hours_later(web)
    full(asked(ann, 100))
    assert [one for one in web.logged if one["event"] == "fault"] == []  # nothing of the server is broken


def test_the_part_is_a_setting(web: Web, ann: httpx.Client) -> None:
    web.site.receiving.space.percent = 100
    for _ in range(4):
        made(ann, 250)
    full(asked(ann, 1))


@pytest.mark.postgresql
def test_two_creations_at_once_are_not_promised_the_same_bytes(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each account's one upload may take all; both begin before either has ended."""
    begun = threading.Barrier(2, timeout=20)
    with web.client("ann", headers=TUS) as one, web.client("bob", headers=TUS) as two, ThreadPoolExecutor(2) as threads:

        def ask(client: httpx.Client) -> int:
            begun.wait()
            return asked(client, 600).status_code

        assert sorted(threads.map(ask, (one, two))) == [201, 507]


# -- every door --------------------------------------------------------------------------------------------------------


def begin(receiving: UploadReceiver, account_id: int, **more: Any) -> IncomingUpload:
    offer = UploadOffer(account_id=account_id, door="raw", filename="a.zip", request=ImportRequest())
    return receiving.begin(replace(offer, **more))


def account_of(web: Web, name: str) -> int:
    with web.site.catalog.read() as connection:
        return int(connection.execute(select(account.c.id).where(account.c.name == name)).scalar_one())


@pytest.mark.parametrize("door", ["raw", "multipart", "tus"])
def test_doors_share_the_space(web: Web, door: str) -> None:
    ann, bob = account_of(web, "ann"), account_of(web, "bob")
    begin(web.site.receiving, ann, size=600, door=door)
    with pytest.raises(Fault):
        begin(web.site.receiving, bob, size=401)
    with pytest.raises(Fault), web.site.receiving.space.hold(bob, 401):
        raise AssertionError
    with web.site.receiving.space.hold(bob, 400) as held:
        assert not held.came(100)  # and the rest stays reserved
        with pytest.raises(Fault):
            begin(web.site.receiving, bob, size=101)
    begin(web.site.receiving, bob, size=400)


def test_a_body_of_no_stated_size_eats_nothing_that_is_reserved(web: Web, disk: Disk) -> None:
    ann, bob = account_of(web, "ann"), account_of(web, "bob")
    unstated = begin(web.site.receiving, bob)
    web.site.store.spool(unstated.uuid).append(0, b"x" * 300)
    assert web.site.receiving.mark(unstated, 300)
    begin(web.site.receiving, ann, size=650)
    with web.site.receiving.space.hold(bob, None) as held:
        assert not held.came(40)
        assert held.came(CHECK_BYTES)
        held.check()
        assert not held.came(CHECK_BYTES + 1)
        web.site.store.spool(unstated.uuid).append(300, b"x" * 51)
        held.grew(CHECK_BYTES - 1)
        with pytest.raises(Fault):  # as what is unpacked of it goes on to take
            held.grew(1)
    with pytest.raises(Fault) as caught:
        web.site.receiving.mark(unstated, 351)
    assert caught.value.code == "disk_full"


def test_files_by_hand_reserve_and_give_back(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that does not fit beside an upload is refused before its bytes; one that fits leaves nothing reserved."""
    made_id = account_of(web, "ann")
    begin(web.site.receiving, made_id, size=990)
    address = "/data/projects/P/resources/notes/files/a.txt"
    with web.client() as admin:
        assert admin.put(address, content=b"x" * 11).status_code == 507
        assert admin.put(address, content=b"x" * 10).status_code == 200
    assert web.site.receiving.space.held == ()


def test_an_import_that_ended_or_was_given_up_reserves_nothing(web: Web) -> None:
    ann, bob = account_of(web, "ann"), account_of(web, "bob")
    incoming_upload = begin(web.site.receiving, ann, size=900)
    with pytest.raises(ScandockError):
        begin(web.site.receiving, bob, size=200)
    with web.site.catalog.write() as connection:
        connection.execute(update(upload).where(upload.c.uuid == incoming_upload.uuid).values(state="received"))
    begin(web.site.receiving, bob, size=200)


# -- who brings them is gone -------------------------------------------------------------------------------------------


def minutes_later(web: Web, minutes: int) -> None:
    """Let every reservation and lease be older, and nothing be received meanwhile."""
    past = minutes * 60_000
    with web.site.catalog.write() as connection:
        connection.execute(
            update(reception).values(
                reserved_until=reception.c.reserved_until - past, writer_seen=reception.c.writer_seen - past
            )
        )


def forget(web: Web) -> int:
    """The sweeper's turn, as the web process has it."""
    return delete_abandoned_uploads(web.site.receiving)


def vanish(web: Web, client: httpx.Client, monkeypatch: pytest.MonkeyPatch, **headers: str) -> None:
    """An upload of 900 bytes that breaks off while its request can't clear anything away, as a disk is away."""

    def away(spool: LocalSpool, *, erase: bool = False) -> None:
        raise Fault("store_failed", "The disk is away.")

    with monkeypatch.context() as patched:
        patched.setattr(LocalSpool, "discard", away)
        cut = client.post("/api/v1/imports?project=P", content=b"x" * 100, headers={**headers, "Content-Length": "900"})
        assert cut.status_code == 503
        assert forget(web) == 0
        minutes_later(web, 5)
        assert forget(web) == 0  # nor can the sweeper, which goes on with the others and tries again
    assert "broken upload not cleared" in [one["event"] for one in web.logged]


@pytest.mark.postgresql
def test_a_broken_upload_gives_back_its_space_and_its_row(
    web: Web, ann: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    vanish(web, ann, monkeypatch)
    with web.client("bob", headers=TUS) as bob:
        made(bob, 800)  # also before the sweeper came
    assert run_cleaner(web.site, ABANDONED_UPLOADS) == 1
    assert web.spools() == []
    assert figures(web)["scandock_uploads_broken_total"] == "1.0"
    assert ann.get("/api/v1/imports").json()["items"] == []


@pytest.mark.postgresql
def test_a_broken_upload_is_sent_again_under_its_key(web: Web, ann: httpx.Client) -> None:
    keyed = {"Idempotency-Key": "k"}
    incoming_upload = begin(
        web.site.receiving, account_of(web, "ann"), size=900, idempotency_key="k", request=ImportRequest(project="P")
    )
    waits = ann.post("/api/v1/imports?project=P", content=b"x" * 900, headers=keyed)
    assert (waits.status_code, waits.json()["code"]) == (409, "upload_running")
    minutes_later(web, 5)
    assert ann.post("/api/v1/imports?project=P", content=b"x" * 900, headers=keyed).status_code == 202
    assert web.site.receiving.find(incoming_upload.uuid) is None


def begin_keyed(web: Web) -> IncomingUpload:
    ann = account_of(web, "ann")
    return begin(web.site.receiving, ann, size=900, idempotency_key="k", request=ImportRequest(project="P"))


def test_bytes_of_a_broken_upload_go_while_no_transaction_is_open(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store may be slow to answer, and has transactions of its own."""
    discard = LocalSpool.discard
    discarded = []

    def write_and_discard(spool: LocalSpool, *, erase: bool = False) -> None:
        with closing(sqlite3.connect(Path(web.site.data) / CATALOG_FILE, timeout=0)) as connection:
            connection.execute("BEGIN IMMEDIATE")
        discarded.append(spool.upload)
        discard(spool, erase=erase)

    monkeypatch.setattr(LocalSpool, "discard", write_and_discard)
    broken = begin_keyed(web)
    minutes_later(web, 5)
    assert begin_keyed(web).uuid != broken.uuid
    assert discarded == [broken.uuid]


@pytest.mark.parametrize("is_discarded", [False, True])
def test_killed_beside_the_bytes_of_a_broken_upload_they_go_when_it_comes_again(
    web: Web, monkeypatch: pytest.MonkeyPatch, *, is_discarded: bool
) -> None:
    discard = LocalSpool.discard

    def killed(spool: LocalSpool, *, erase: bool = False) -> None:
        if is_discarded:
            discard(spool, erase=erase)
        raise KeyboardInterrupt

    broken = begin_keyed(web)
    with closing(web.site.store.spool(broken.uuid)) as spool:
        spool.append(0, b"x" * 10)
        spool.sync()
    minutes_later(web, 5)
    with monkeypatch.context() as patched:
        patched.setattr(LocalSpool, "discard", killed)
        with pytest.raises(KeyboardInterrupt):
            begin_keyed(web)
    left = web.site.receiving.find(broken.uuid)
    assert left is not None
    assert left.writer != broken.writer, "who brought it can't have it accepted any more"
    assert web.spools() == ([] if is_discarded else [broken.uuid])
    assert begin_keyed(web).uuid != broken.uuid
    assert web.site.receiving.find(broken.uuid) is None
    assert web.spools() == []


@pytest.mark.postgresql
def test_bytes_renew_the_lease_of_a_body_and_its_request_keeps_it(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    incoming_upload = begin(web.site.receiving, account_of(web, "ann"), size=900)
    lease = reserved_until(web)
    assert lease <= now(web) + web.site.receiving.limits.request_ms < now(web) + 600_000
    minutes_later(web, 3)
    assert web.site.receiving.mark(incoming_upload, 10)
    assert reserved_until(web) >= lease
    minutes_later(web, 5)
    with monkeypatch.context() as waiting:  # its request lives, and a lock keeps it waiting
        waiting.setattr(web.site.receiving, "busy", {incoming_upload.uuid})
        assert delete_abandoned_uploads(web.site.receiving) == 0
    assert forget(web) == 1


def test_resumable_uploads_keep_their_space_and_their_row(web: Web, ann: httpx.Client) -> None:
    url = made(ann, 900)
    minutes_later(web, 50)
    assert forget(web) == 0
    with web.client("bob", headers=TUS) as bob:
        full(asked(bob, 200))
    minutes_later(web, 50)
    assert forget(web) == 0
    assert ann.head(url).headers["upload-offset"] == "0"


def now(web: Web) -> int:
    with web.site.catalog.read() as connection:
        return int(connection.execute(select(web.site.catalog.now())).scalar_one())
