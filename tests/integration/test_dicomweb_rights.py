"""Who reads by DICOMweb is found out with each request: what has ended since the one before counts at once."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, insert, select, update

from scandock.access import passwords
from scandock.catalog.server_tables import api_token, login
from scandock.catalog.tables import intent, session, tree
from scandock.services import dicomweb_objects, downloads
from scandock.services.context import ServiceContext
from scandock.services.decoding import MAX_WORKING
from scandock.services.tree_cache import TreeCache
from scandock.store.local import LocalStore
from scandock.web.security import COOKIE, CSRF_HEADER
from tests.builders import DataFolder, Image
from tests.crash.processes import until
from tests.integration.dicomweb_parts import parts_of
from tests.integration.web import PASSWORD, Web, serve_in_process

IMAGE = Image(case="rights")
OBJECT = (
    f"/dicomweb/projects/P/studies/{IMAGE.study_uid.decode()}/series/{IMAGE.series_uid.decode()}"
    f"/instances/{IMAGE.sop_uid.decode()}"
)
FRAME = f"{OBJECT}/frames/1"
READS = (FRAME, FRAME.replace("/projects/P", ""), f"{OBJECT}/metadata", OBJECT, "/dicomweb/projects/P/studies")
ACCEPT = {"Accept": "multipart/related; type=*/*; transfer-syntax=*, application/dicom+json"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    root = tmp_path_factory.mktemp("rights")
    with serve_in_process(root / "data") as running:
        DataFolder(root=root, checked=False).bring({"a.dcm": IMAGE.file()})
        yield running


@contextmanager
def by_password(web: Web, name: str) -> Iterator[httpx.Client]:
    with web.client(name) as client:
        yield client


@contextmanager
def by_token(web: Web, name: str) -> Iterator[httpx.Client]:
    with web.client(name) as client:
        token = client.post("/api/v1/tokens", json={"scope": "read"}).json()
    with web.client(None, headers={"Authorization": f"Bearer {token['alias']}.{token['secret']}"}) as client:
        yield client


@contextmanager
def by_token_as_password(web: Web, name: str) -> Iterator[httpx.Client]:
    with web.client(name) as client:
        token = client.post("/api/v1/tokens", json={"scope": "read"}).json()
    with web.asking(auth=(token["alias"], token["secret"])) as client:
        yield client


@contextmanager
def by_cookie(web: Web, name: str) -> Iterator[httpx.Client]:
    with web.client(None) as client:
        assert client.post("/api/v1/auth/login", json={"name": name, "password": PASSWORD}).status_code == 200
        yield client


DOORS = (by_password, by_token, by_token_as_password, by_cookie)


def lose_role(web: Web, name: str) -> None:
    with web.client() as admin:
        assert admin.delete(f"/api/v1/projects/P/members/{name}").status_code == 204


def be_disabled(web: Web, name: str) -> None:
    with web.client() as admin:
        assert admin.patch(f"/api/v1/accounts/{name}", json={"disabled": True}).status_code == 200


def have_another_password(web: Web, name: str) -> None:
    with web.client() as admin:
        assert admin.put(f"/api/v1/accounts/{name}/password", json={"password": "another"}).status_code == 204


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("end", "status"), [(lose_role, 404), (be_disabled, 401), (have_another_password, 401)])
def test_what_ends_between_two_requests_counts_at_once(
    web: Web, door: Callable[[Web, str], Any], end: Callable[[Web, str], None], status: int
) -> None:
    name = f"mia-{door.__name__}-{end.__name__}".replace("_", "-")
    web.account(name, P="member")
    with door(web, name) as client:
        for address in READS:
            assert client.get(address, headers=ACCEPT).status_code == 200, address
        end(web, name)
        for address in READS:
            assert client.get(address, headers=ACCEPT).status_code == status, address


def test_a_token_and_a_login_that_end_count_at_once(web: Web) -> None:
    web.account("ann", P="member")
    with web.client("ann") as ann, by_token(web, "ann") as client:
        assert client.get(FRAME, headers=ACCEPT).status_code == 200
        (token,) = ann.get("/api/v1/tokens").json()["items"]
        assert ann.delete(f"/api/v1/tokens/{token['alias']}").status_code == 204
        assert client.get(FRAME, headers=ACCEPT).status_code == 401
    with by_cookie(web, "ann") as client:
        assert client.get(FRAME, headers=ACCEPT).status_code == 200
        secret = dict(client.cookies)
        csrf = client.get("/api/v1/auth/me").json()["csrf"]
        assert client.post("/api/v1/auth/logout", headers={CSRF_HEADER: csrf}).status_code == 204
        client.cookies.update(secret)
        assert client.get(FRAME, headers=ACCEPT).status_code == 401


def test_a_password_is_checked_once_and_a_wrong_one_counts_once(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    web.account("ben", P="member")
    checked: list[str] = []
    verify = passwords.verify

    def count(stored: str | None, password: str) -> bool:
        checked.append(password)
        return verify(stored, password)

    monkeypatch.setattr(passwords, "verify", count)
    with web.client("ben") as ben:
        assert ben.get(FRAME, headers=ACCEPT).status_code == 200
        assert ben.get(FRAME, headers=ACCEPT).status_code == 200
    assert checked == [PASSWORD]
    with web.asking(auth=("ben", "wrong")) as ben:
        assert ben.get(FRAME, headers=ACCEPT).json()["code"] == "login_failed"
    assert checked == [PASSWORD, "wrong"]
    for header in ("Basic !", "Bearer a.b"):
        with web.asking(headers={"Authorization": header}) as nobody:
            assert nobody.get(FRAME, headers=ACCEPT).json()["code"] == "login_failed"
    with web.asking() as nobody:
        assert nobody.get(FRAME, headers=ACCEPT).json()["code"] == "login_needed"


def test_who_may_not_read_waits_for_no_place_of_a_viewer(web: Web) -> None:
    """However many viewers are at work: nor does anybody whose object is not there."""
    web.account("dan", P="member")
    web.account("eve")
    basic = (("eve", PASSWORD, 404), ("dan", "wrong", 401), ("nobody", "wrong", 401))
    pictures = web.site.pictures
    entered, finished = threading.Barrier(MAX_WORKING + 1), threading.Event()

    def look() -> None:
        entered.wait(20)
        finished.wait(20)

    at_work = [threading.Thread(target=pictures.work, args=(look,)) for _ in range(MAX_WORKING)]
    with contextlib.ExitStack() as clients, ThreadPoolExecutor(1) as one:
        clients.callback(finished.set)
        dan = clients.enter_context(by_token(web, "dan"))
        eve = clients.enter_context(by_token(web, "eve"))
        strangers = [(clients.enter_context(web.asking(auth=(name, word))), status) for name, word, status in basic]
        strangers += [
            (clients.enter_context(web.asking(headers=headers)), 401)
            for headers in ({}, {"Authorization": "Bearer a.b"}, {"Cookie": f"{COOKIE}=made-up"})
        ]
        for thread in at_work:
            thread.start()
        entered.wait(20)
        for client, status in [*strangers, (eve, 404)]:
            assert client.get(FRAME, headers=ACCEPT).status_code == status
        missing = FRAME.replace(IMAGE.sop_uid.decode(), "1.2.3")
        assert dan.get(missing, headers=ACCEPT).status_code == 404
        waiting = one.submit(dan.get, FRAME, headers=ACCEPT)
        with pytest.raises(TimeoutError):
            waiting.result(0.2)  # who may is the one that waits
        finished.set()
        assert waiting.result(20).status_code == 200
        for thread in at_work:
            thread.join()


@pytest.mark.parametrize(("door", "table"), [(by_token, api_token), (by_cookie, login)])
def test_the_use_of_a_token_or_login_is_noted(web: Web, door: Callable[[Web, str], Any], table: Any) -> None:
    name = f"cat-{door.__name__}".replace("_", "-")
    number = web.account(name, P="member")
    of_account = table.c.account_id == number
    with door(web, name) as client:
        with web.site.catalog.write() as connection:
            before = connection.execute(select(table.c.created).where(of_account)).scalar_one() - 90_000
            connection.execute(update(table).where(of_account).values(seen=before))
        assert client.get(FRAME, headers=ACCEPT).status_code == 200

    def seen() -> int:
        with web.site.catalog.read() as connection:
            return int(connection.execute(select(table.c.seen).where(of_account)).scalar_one())

    until(lambda: seen() > before, "the use was not noted")


def test_a_tree_that_is_just_being_replaced_is_waited_for(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[str] = []
    wait = downloads.open_session_snapshot

    def end_and_wait(context: ServiceContext, uuid: str) -> Any:
        waited.append(uuid)
        with web.site.catalog.write() as connection:
            connection.execute(delete(intent))
        return wait(context, uuid)

    monkeypatch.setattr(dicomweb_objects, "open_session_snapshot", end_and_wait)
    with web.client() as client:
        assert client.get(FRAME, headers=ACCEPT).status_code == 200
        assert not waited
        with web.site.catalog.write() as connection:
            row = connection.execute(select(session)).one()
            upload_id = connection.execute(select(tree.c.upload_id).where(tree.c.id == row.tree_id)).scalar_one()
            connection.execute(
                insert(intent).values(
                    upload_id=upload_id, n=1, state="intent", name=f"archive/P/{row.label}", staged="s", inode=1,
                    tree_id=row.tree_id, keep_base=False, session="{}", kind="publish",
                )
            )  # fmt: skip
        answers = [client.get(FRAME, headers=ACCEPT)]
        assert not waited  # the tree that stands there is known to be the one that the catalog has
        web.site.trees = TreeCache()
        answers.append(client.get(FRAME, headers=ACCEPT))
        assert [answer.status_code for answer in answers] == [200, 200]
        assert all(map(parts_of, answers))
        assert waited == [row.uuid]


CHANGES = ("replaced", "moved", "renamed", "deleted", "deleted and followed")
"""What becomes of a session after its object was found: `followed` is one that takes its label, and its folder."""
POINTS = ((dicomweb_objects, "try_snapshot"), (LocalStore, "snapshot"))
"""Before its snapshot is taken, and right after that, before its row is read again."""


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("owner", "name"), POINTS)
def test_a_session_that_changed_since_its_object_was_found_is_read_as_it_is_now(
    web: Web, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, change: str
) -> None:
    folder = DataFolder(root=Path(web.site.data).parent, checked=False)
    label = f"{change}-{name}".replace(" ", "-")
    image = Image(case=label)
    asked = {"session": label, "destination": "prearchive"} if change == "moved" else {"session": label}
    folder.bring({"a.dcm": image.file()}, **asked)
    with web.site.catalog.read() as connection:
        uuid = connection.execute(select(session.c.uuid).where(session.c.label == label)).scalar_one()
    changed: list[int] = []
    waited: list[str] = []
    real, wait = getattr(owner, name), downloads.open_session_snapshot

    def apply() -> None:
        with web.client() as client:
            if change == "replaced":
                folder.bring({"b.dcm": replace(image, number=2).file()}, overwrite="append", **asked)
            elif change == "moved":
                client.post("/api/v1/projects", json={"id": "Q"})
                assert client.post(f"/api/v1/prearchive/{uuid}/move", json={"project": "Q"}).status_code == 200
            elif change == "renamed":
                assert client.patch(f"/api/v1/sessions/{uuid}", json={"label": f"{label}-2"}).status_code == 200
            else:
                assert client.delete(f"/api/v1/sessions/{uuid}").status_code == 200
                if change != "deleted":
                    folder.bring({"c.dcm": Image(case=f"{label}-2").file()}, **asked)

    def take(*args: Any) -> Any:
        if changed:
            return real(*args)
        changed.append(1)
        if owner is dicomweb_objects:
            apply()
            snapshot = real(*args)
        else:
            snapshot = real(*args)
            apply()
        return snapshot

    def count(context: ServiceContext, uuid: str) -> Any:
        waited.append(uuid)
        return wait(context, uuid)

    monkeypatch.setattr(dicomweb_objects, "open_session_snapshot", count)
    monkeypatch.setattr(owner, name, take)
    study = image.study_uid.decode()
    address = f"/dicomweb/studies/{study}/series/{image.series_uid.decode()}/instances/{image.sop_uid.decode()}"
    with web.client() as client:
        answer = client.get(f"{address}/frames/1", headers=ACCEPT)
    assert changed
    assert waited == [uuid]  # the snapshot that was at hand is none of the session's
    if change == "replaced":
        assert (answer.status_code, answer.json()["code"]) == (412, "changed_meanwhile")
    elif change in ("moved", "renamed"):
        assert answer.status_code == 200
        assert [body for _, body in parts_of(answer)] == [hashlib.sha256(image.sop_uid).digest()]
    else:
        assert answer.json()["code"] == "file_missing"
