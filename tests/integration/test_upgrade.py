"""DATA folders that older versions made (`tests/old_data`) go on with this one: nothing of them is lost."""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import Connection, func, select

from scandock.access.passwords import hash_password
from scandock.catalog.engine import HEAD
from scandock.catalog.tables import intent, operation, reservation, session, shelf, tree, upload
from scandock.services.consistency_check import check_data
from scandock.services.data_catalog import open_data
from scandock.services.settings import load_settings
from scandock.testing.server import InProcessServer, add_account
from scandock.testing.worker import InProcessWorker
from tests import postgres
from tests.builders import Image
from tests.crash.archives import WAITING, Step, Study, write_zip
from tests.crash.checker import examine_data
from tests.crash.processes import find_unsound, import_words, run, until
from tests.integration.test_browser_modules import look
from tests.integration.test_cli_import import packed
from tests.integration.test_inspect_as_import import SCRIPTS, UTF8
from tests.integration.web import serve_by_socket
from tests.old_data import STILL_VALID, unpack
from tests.old_data.make import PASSWORD
from tests.stored_files import session_files

pytestmark = pytest.mark.processes

TUS = {"Tus-Resumable": "1.0.0"}


def standing(data: Path) -> dict[str, list[str]]:
    """sha256 of the files of each session, by what the checker names it."""
    held, wrong = examine_data(data)
    assert not wrong, "\n".join(wrong)
    return {key: sorted(one.files) for key, one in held.items()}


def promised(archived: dict[str, list[str]], waiting: dict[str, list[str]]) -> dict[str, list[str]]:
    return archived | {uid + WAITING: files for uid, files in waiting.items()}


def test_what_the_first_version_imported_is_known_to_this_one(tmp_path):
    """It knew the command line alone; an import of its own stands between its intents and its end."""
    old, data = unpack("0001", tmp_path), tmp_path / "data"
    step = Step(write_zip(tmp_path / "again.zip", Study(64, 1, series=1, count=3, side=8).entries("S")))
    again = run(import_words(step, data), threads=True)
    assert again.code == 0, str(again)
    assert again.report["entries"]["stored"] == 0
    assert find_unsound(data) == []
    assert standing(data) == promised(old["archived"], old["waiting"])
    with closing(sqlite3.connect(data / "scandock.db")) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        assert connection.execute("SELECT COUNT(*) FROM account").fetchone() == (0,)
        assert connection.execute("SELECT DISTINCT attributes FROM subject").fetchall() == [("{}",)]


def test_patients_keep_the_subjects_that_an_older_version_named(tmp_path):
    """In the preview and by the import; somebody else of such a name has the label that it gives now."""
    old, data, settings = unpack("0022-names", tmp_path), tmp_path / "data", load_settings()
    names = dict(enumerate(SCRIPTS)) | {90: "Müller^Anna", 91: "Øygård^Åse"}
    studies = {
        f"{n}.dcm": Image(
            case="upgraded", study=n, patient_id=f"ID{n}".encode(), patient_name=name.encode(), also=UTF8
        ).file()
        for n, name in names.items()
    }
    archive = packed(tmp_path / "again.zip", studies)
    expected = {**old["subjects"], "ID90": "Muller_Anna", "ID91": "Oygard_Ase"}
    assert expected["ID0"] == "M_ller_Anna"
    with open_data(str(data), settings) as (catalog, _):
        add_account(catalog, "admin", hash_password(PASSWORD), admin=True)
    with serve_by_socket(data) as web, web.client() as admin, InProcessWorker(data, settings):
        known = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        server = {"base": web.base, "authorization": f"Basic {known}"}
        [preview] = look([archive], projects=["P"], request={"project": "P"}, server=server)
        assert {one["label"]: one["subject"] for one in preview["studies"]} == expected  # labels are PatientIDs here
        sent = admin.post("/api/v1/imports", params={"project": "P"}, content=archive.read_bytes()).json()["id"]
        until(partial(is_placed, admin, sent), "it did not end")
        sessions = admin.get(f"/api/v1/imports/{sent}").json()["sessions"]
    assert {one["label"].partition("_")[0]: one["subject"] for one in sessions} == expected
    assert check_data(str(data), settings) == []


class Site:
    """A DATA of an older server, served by this version."""

    def __init__(self, name: str, folder: Path, url: str | None) -> None:
        self.old: dict[str, Any] = unpack(name, folder)
        self.data = folder / "data"
        self.url = url
        self.settings = load_settings().model_copy(update={"database_url": url})
        if url is None:
            with closing(sqlite3.connect(self.data / "scandock.db")) as lite, lite:
                for statement in STILL_VALID:
                    lite.execute(statement)
            return
        plain = url.replace("+psycopg", "")
        words = ["-qX", "-v", "ON_ERROR_STOP=1", "-f", str(folder / "catalog.sql"), plain]
        subprocess.run([str(postgres.find_programs() / "psql"), *words], check=True, stdout=subprocess.DEVNULL)
        with psycopg.connect(plain) as connection:
            for statement in STILL_VALID:
                connection.execute(statement.encode())


@contextmanager
def unpacked(request: pytest.FixtureRequest, folder: Path) -> Iterator[Site]:
    if not request.param.endswith("postgresql"):
        yield Site(request.param, folder, None)
        return
    cluster: postgres.Cluster = request.getfixturevalue("postgres_cluster")
    with cluster.database() as url:
        yield Site(request.param, folder, url)


@pytest.fixture(params=["0002", "0007", "0007-postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with unpacked(request, tmp_path) as site:
        yield site


@pytest.fixture(params=["0022", "0022-postgresql"])
def dead_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Imports and changes by hand of the version before operations had a table of their own, dead at each point."""
    with unpacked(request, tmp_path) as site:
        yield site


def test_a_site_of_an_older_server_is_served_whole_and_what_was_under_way_there_ends(site):
    old = site.old
    with InProcessServer(site.data, site.settings) as server, InProcessWorker(site.data, site.settings, upkeep=False):
        people = {name: server.client(auth=(name, password)) for name, password in old["passwords"].items()}
        admin = people["admin"]
        assert admin.get("/readyz").status_code == 200
        everyone_may_what_they_might(server.client, people, old)
        for upload in old["uploads"].values():
            until(partial(is_placed, admin, upload), f"it did not end: {upload}")
        goes_on(admin, old["tus"])
        assert stored(admin, "sessions") == old["archived"] | old["ends"] | old["tus"]["files"]
        assert stored(admin, "prearchive") == old["waiting"]
        comes_back(admin, old)
        assert stored(admin, "sessions") == old["archived"] | old["ends"] | old["tus"]["files"] | old["trashed"]
    assert check_data(str(site.data), site.settings) == []
    if site.url is None:
        archived = old["archived"] | old["ends"] | old["tus"]["files"] | old["trashed"]
        assert standing(site.data) == promised(archived, old["waiting"])


def test_what_died_at_any_point_in_an_older_version_ends_with_this_one(dead_site):
    """Imports and people's changes, among them some of sessions whose import was deleted, or that came by none."""
    old, data, settings = dead_site.old, dead_site.data, dead_site.settings
    with open_data(str(data), settings) as (catalog, _), catalog.read() as connection:
        for table in (operation, intent, reservation):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0
        assert shown(connection, "archive") == old["archived"]
        assert shown(connection, "prearchive") == old["waiting"]
        moved = select(session.c.study_uid, session.c.label).where(session.c.study_uid.in_(old["moved"]))
        assert {row.study_uid: row.label for row in connection.execute(moved)} == old["moved"]
        by_hand = select(session.c.label).join(tree).where(tree.c.upload_id.is_(None), session.c.by_hand)
        assert sorted(connection.execute(by_hand).scalars()) == old["made"]
        left = connection.execute(select(upload.c.archive, upload.c.request).where(~upload.c.deleted)).all()
        assert all(name.endswith(".zip") and "operation" not in json.loads(request) for name, request in left)
        assert connection.execute(select(func.count()).select_from(shelf)).scalar_one() == old["own"]
    assert check_data(str(data), settings) == []  # which reads all bytes that are stored
    assert list((data / "work").iterdir()) == []
    with InProcessServer(data, settings) as server, InProcessWorker(data, settings, upkeep=False):
        admin = server.client(auth=("admin", PASSWORD))
        assert len(items(admin, "trash")) == len(old["trashed"])
        assert admin.get(f"/api/v1/imports/{old['deleted']}").status_code == 404
        known = {one["id"] for one in items(admin, "imports")}
        assert (old["imported"] in known, old["deleted"] in known) == (True, False)
        cache = "/data/user/cache/resources/R/files"
        listed = admin.get(cache, params={"format": "json"}).json()["ResultSet"]["Result"]
        assert {one["Name"] for one in listed} == set(old["cached"])
        asked = {"src": "/user/cache/resources/R/files/3.zip", "import-handler": "DICOM-zip", "project": "P"}
        assert admin.post("/data/services/import", params={**asked, "dest": "/archive"}).status_code == 200
    with open_data(str(data), settings) as (catalog, _), catalog.read() as connection:
        assert shown(connection, "archive") == old["archived"] | old["brings"]


def shown(connection: Connection, place: str) -> dict[str, list[str]]:
    """sha256 of what the catalog has of each session with a study there."""
    held: dict[str, list[str]] = {}
    for one in session_files(connection, session.c.place == place):
        if one.study_uid is not None:
            held.setdefault(one.study_uid, []).append(one.row.sha256.hex())
    return {uid: sorted(files) for uid, files in held.items()}


def items(client: httpx.Client, area: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.get(f"/api/v1/{area}?limit=200").json()["items"]
    return rows


def everyone_may_what_they_might(
    client: Callable[..., httpx.Client], people: dict[str, httpx.Client], old: dict[str, Any]
) -> None:
    """Accounts with their passwords and roles, a token, and the lines of the audit."""
    session = next(iter(old["sessions"]))
    with client(headers={"Authorization": f"Bearer {old['token']}"}) as script:
        for allowed in (people["admin"], people["ann"], script):
            assert allowed.get(f"/api/v1/sessions/{session}").json()["label"] == old["sessions"][session]
    assert people["bob"].get("/api/v1/sessions").json()["items"] == []
    assert people["bob"].get(f"/api/v1/sessions/{session}").status_code == 404
    lines = people["admin"].get("/api/v1/audit?limit=1000").json()["items"]
    assert {(action, number) for action, number in old["audit"]} <= {(line["action"], line["id"]) for line in lines}


def is_placed(client: httpx.Client, upload: str) -> bool:
    told = client.get(f"/api/v1/imports/{upload}").json()
    assert told["finished"] is None or told["state"] == "placed", told
    return told["finished"] is not None


def goes_on(client: httpx.Client, tus: dict[str, Any]) -> None:
    """Half an upload that the old server took: its other half comes."""
    begun = client.head(tus["path"], headers=TUS)
    assert (begun.status_code, begun.headers["upload-offset"]) == (200, str(tus["offset"]))
    kind = {"Upload-Offset": str(tus["offset"]), "Content-Type": "application/offset+octet-stream"}
    rest = base64.b64decode(tus["body"])[tus["offset"] :]
    assert client.patch(tus["path"], content=rest, headers=TUS | kind).status_code == 204
    upload = tus["path"].rpartition("/")[2]
    until(partial(is_placed, client, upload), "what came by tus did not end")


def comes_back(client: httpx.Client, old: dict[str, Any]) -> None:
    """What the old server's trash has is restored under its id."""
    (deleted,) = client.get("/api/v1/trash").json()["items"]
    assert deleted["id"] in old["sessions"]
    assert client.post(f"/api/v1/trash/{deleted['id']}/restore").status_code == 200
    assert client.get(f"/api/v1/sessions/{deleted['id']}").json()["label"] == old["sessions"][deleted["id"]]


def stored(client: httpx.Client, area: str) -> dict[str, list[str]]:
    """sha256 of all that is sent of the sessions in the archive or the prearchive, by their studies' uids."""
    found = {}
    for row in items(client, area):
        files = client.get("/api/v1/files", params={"session": row["id"], "limit": 200}).json()["items"]
        sent = [client.get(f"/api/v1/sessions/{row['id']}/files/{file['id']}/content") for file in files]
        assert [answer.status_code for answer in sent] == [200] * len(files)
        found[row["study_uid"]] = sorted(hashlib.sha256(answer.content).hexdigest() for answer in sent)
    return found
