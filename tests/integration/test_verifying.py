"""What was placed is read again: confirmed, given its MD5, and rot is told."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest
from sqlalchemy import insert, select

from scandock.access.principal import SYSTEM
from scandock.catalog.server_tables import audit, verification
from scandock.catalog.tables import file, session, upload
from scandock.queue.tokens import new_uuid
from scandock.services import browsing, verifying
from scandock.services.checking import check
from scandock.services.opening import opened
from scandock.services.upkeep import keep_up
from scandock.services.verifying import list_rot, verify_again, verify_some
from scandock.store.snapshots import LocalSnapshot
from tests.builders import Site, documented, images, site_at


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Site:
    return site_at(tmp_path, monkeypatch, database_url)


def item(catalog: Any) -> dict[str, Any]:
    with catalog.read() as connection:
        uuid = connection.execute(select(session.c.uuid)).scalar_one()
        return browsing.find_session(connection, SYSTEM, uuid)


@pytest.mark.postgresql
def test_every_file_is_confirmed_and_has_its_md5(site: Site) -> None:
    objects = images(3)
    site.bring(documented("S1", "1", objects), session="S1")
    with opened(str(site.data), site.settings) as (catalog, store):
        assert item(catalog)["verified"] is None
        done = verify_some(catalog, store, 60)
        assert (done.files, done.bytes, done.problems, done.trees) == (3, sum(map(len, objects)), 0, 1)
        assert item(catalog)["verified"] is not None
        with catalog.read() as connection:
            rows = connection.execute(select(file.c.md5, file.c.verified)).all()
        assert {row.md5 for row in rows} == {hashlib.md5(data).digest() for data in objects}
        assert all(row.verified for row in rows)
        again = verify_some(catalog, store, 60)
        assert (again.files, again.trees) == (0, 0)
    assert check(str(site.data), site.settings) == []


def test_what_joins_is_read_and_what_was_there_is_not_again(site: Site) -> None:
    site.bring(documented("S1", "1", images(3)), session="S1")
    with opened(str(site.data), site.settings) as (catalog, store):
        verify_some(catalog, store, 60)
    site.bring(documented("S1", "1", images(5)), session="S1")
    with opened(str(site.data), site.settings) as (catalog, store):
        assert item(catalog)["verified"] is None
        assert verify_some(catalog, store, 60).files == 2
        assert item(catalog)["verified"] is not None


HARMS = ("changed", "shorter", "missing", "folder")


@pytest.mark.parametrize(
    ("database_url", "harm"),
    [*(("sqlite", harm) for harm in HARMS), ("postgresql", "missing"), ("postgresql", "folder")],
    indirect=["database_url"],
)
def test_rot_is_told(site: Site, harm: str) -> None:
    told = site.bring(documented("S1", "1", images(3)), session="S1")
    folder = site.data / told.session["path"]
    victim = sorted(path for path in folder.rglob("*.dcm"))[1]
    data = bytearray(victim.read_bytes())
    if harm == "changed":
        data[-1] ^= 1
        victim.write_bytes(data)
    elif harm == "shorter":
        victim.write_bytes(data[:-2])
    elif harm == "missing":
        victim.unlink()
    else:
        folder.rename(site.data / "elsewhere")
    with opened(str(site.data), site.settings) as (catalog, store):
        done = verify_some(catalog, store, 60)
        assert (done.problems, done.trees) == (1, 1)
        found = item(catalog)
        assert (found["verified"], found["damaged"]) == (None, 1)
        with catalog.read() as connection:
            (rot,) = list_rot(connection)
            line = connection.execute(select(audit).where(audit.c.action == "verify")).one()
        assert rot.session == found["id"] == line.target
        assert (line.outcome, json.loads(line.details)) == ("failed", {"problems": 1})
        assert rot.details[0]["kind"] == {
            "changed": "changed", "shorter": "changed", "missing": "missing", "folder": "folder_missing",
        }[harm]  # fmt: skip
        assert verify_some(catalog, store, 60).trees == 0
        if harm == "folder":
            (site.data / "elsewhere").rename(folder)
        elif harm != "missing":
            data[-1] ^= harm == "changed"
            victim.write_bytes(data)
        if harm != "missing":
            verify_again(catalog, found["id"])
            assert verify_some(catalog, store, 60).problems == 0
            assert item(catalog)["verified"] is not None
    kinds = {finding.kind for finding in check(str(site.data), site.settings)}
    assert kinds == ({"missing"} if harm == "missing" else set())


@pytest.mark.postgresql
def test_it_goes_on_where_it_was_left(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "BATCH", 2)
    site.bring(documented("S1", "1", images(5)), session="S1")
    with opened(str(site.data), site.settings) as (catalog, store):
        asked = iter([False, False, False])  # the loop's, the tree's, and between two files of a batch
        done = verify_some(catalog, store, 60, lambda: next(asked, True))
        assert (0 < done.files < 5, done.trees) == (True, 0)
        with catalog.read() as connection:
            assert connection.execute(select(verification.c.finished)).scalar_one() is None
        assert check(str(site.data), site.settings) == []
        rest = verify_some(catalog, store, 60)
        assert (done.files + rest.files, rest.trees) == (5, 1)


class _Interrupted:
    """A snapshot of which something else happens each time after a file was opened."""

    def __init__(self, snapshot: LocalSnapshot, happens: Callable[[], None]) -> None:
        self._snapshot = snapshot
        self._happens = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._snapshot, name)

    def __enter__(self) -> _Interrupted:
        return self

    def __exit__(self, *error: object) -> None:
        self._snapshot.close()

    def open(self, path: str) -> IO[bytes]:
        stream = self._snapshot.open(path)
        self._happens()
        return stream


def test_a_session_that_is_replaced_before_its_first_file_is_read_is_left_to_the_next_look(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.bring(documented("S1", "1", images(2)), session="S1")
    with opened(str(site.data), site.settings) as (catalog, store):
        snapshot = store.snapshot
        replaced: list[Any] = []

        def replace(name: str) -> LocalSnapshot:
            taken = snapshot(name)
            if not replaced:
                replaced.append(site.bring(documented("S1", "1", images(3)), session="S1"))
            return taken

        monkeypatch.setattr(store, "snapshot", replace)
        done = verify_some(catalog, store, 60)
        assert (done.problems, done.files, done.trees) == (0, 3, 1)


@pytest.mark.postgresql
def test_a_session_that_is_replaced_meanwhile_harms_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.bring(documented("S1", "1", images(2)), session="S1")
    with opened(str(site.data), site.settings) as (catalog, store):
        replaced: list[Any] = []

        def replace() -> None:
            if not replaced:
                replaced.append(site.bring(documented("S1", "1", images(3)), session="S1"))

        snapshot = store.snapshot
        monkeypatch.setattr(store, "snapshot", lambda name: _Interrupted(snapshot(name), replace))
        done = verify_some(catalog, store, 60)
        assert len(replaced) == 1
        assert (done.problems, done.trees) == (0, 1)
        assert item(catalog)["verified"] is not None
    assert os.listdir(site.data / "work") == []


@pytest.mark.postgresql
def test_a_worker_verifies_while_nothing_else_is_to_be_done(site: Site) -> None:
    site.bring(documented("S1", "1", images(2)), session="S1")
    with opened(str(site.data), site.settings) as (catalog, store):
        with catalog.write() as connection:
            row = {"archive": "a.zip", "source": "server", "state": "received", "request": "{}", "created": 1}
            waiting = connection.execute(insert(upload).values(uuid=new_uuid(), **row).returning(upload.c.id))
            number = waiting.scalar_one()
        assert keep_up(catalog, store, site.settings, 60, lambda: False).verified.files == 0
        with catalog.write() as connection:
            connection.execute(upload.delete().where(upload.c.id == number))
        assert keep_up(catalog, store, site.settings, 60, lambda: True).verified.files == 0
        assert keep_up(catalog, store, site.settings, 60, lambda: False).verified.files == 2
