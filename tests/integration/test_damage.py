"""Damage: listed for those whose it is, never handed out as if it were whole, read again by hand, healed by imports."""

from __future__ import annotations

import errno
import io
import os
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from sqlalchemy import select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.own_resources import Holder
from scandock.catalog.server_tables import verification
from scandock.catalog.tables import session, shelf
from scandock.cli import main
from scandock.services import damage, file_verification
from scandock.services.consistency_check import check_data
from scandock.services.damage import read_damage_figures
from scandock.services.file_verification import VerificationCounts, VerificationPlan, mark_for_verification
from scandock.store.local import LocalStore
from scandock.store.paths import RelPath, TreePath
from scandock.store.port import Store
from scandock.store.snapshots import LocalSnapshot
from tests.builders import DataFolder, ImportOutcome, images, make_data_folder, uploader_layout, verify_some
from tests.integration.in_process import call_in_process
from tests.integration.web import Web, serve_in_process

pytestmark = pytest.mark.long

OBJECTS = images(3)
ARCHIVE = uploader_layout("S1", "1", OBJECTS)
OTHER = uploader_layout("S2", "1", images(2, case="other"))
HEADER = "X-Scandock-Damaged"
GONE = "S1\t\tthe session's whole folder is gone from the store\r\n"
"""What a zip tells of a session that it does not hold."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> DataFolder:
    made = make_data_folder(tmp_path, monkeypatch, sqlite_url)
    made.checked = False
    return made


def stored(site: DataFolder, told: ImportOutcome, archive: Mapping[str, bytes] = ARCHIVE) -> list[Path]:
    """Where the objects of an archive stand, in its order."""
    return [site.data / str(told.line(path)["stored_as"]) for path in archive]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.fixture
def web(site: DataFolder) -> Iterator[Web]:
    with serve_in_process(site.data, site.settings) as web:
        yield web


@pytest.fixture
def client(web: Web) -> Iterator[httpx.Client]:
    """An administrator's."""
    with web.client() as client:
        yield client


def verify(web: Web) -> None:
    verify_some(web.site.catalog, web.site.store, 60)


def listed(client: httpx.Client, **asked: str) -> list[dict[str, Any]]:
    answer = client.get("/api/v1/damage", params=asked)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def test_damage_is_listed_until_the_same_archive_has_healed_it(
    site: DataFolder, web: Web, client: httpx.Client
) -> None:
    told = site.bring(ARCHIVE, session="S1")
    victim, other, _ = stored(site, told)
    whole = victim.read_bytes()
    flip(victim)
    other.unlink()
    verify(web)
    changed, missing = listed(client)
    assert (changed["kind"], missing["kind"]) == ("changed", "missing")
    assert changed["path"] == victim.relative_to(site.data / told.session["path"]).as_posix()
    assert (changed["project"], changed["label"], changed["place"]) == ("P", "S1", "archive")
    metrics = client.get("/metrics").text
    assert 'scandock_damaged_files{kind="changed"} 1.0' in metrics
    session = client.get(f"/api/v1/sessions/{changed['session']}").json()
    assert (session["damaged"], session["verified"]) == (2, None)

    again = site.bring(ARCHIVE, session="S1")

    assert again.counts == {"stored": 2, "duplicate": 1}
    assert again.warned() == {"healed"}
    assert victim.read_bytes() == whole
    assert listed(client) == []
    assert 'scandock_damaged_files{kind="changed"} 0.0' in client.get("/metrics").text
    verify(web)
    assert client.get(f"/api/v1/sessions/{changed['session']}").json()["verified"] is not None
    site.check()


def test_what_an_import_does_not_bring_stays_listed(site: DataFolder, web: Web, client: httpx.Client) -> None:
    told = site.bring(ARCHIVE, session="S1")
    flip(stored(site, told)[0])
    verify(web)
    (before,) = listed(client)
    more = site.bring(uploader_layout("S1", "1", images(5)[3:]), session="S1")
    assert more.warned() == {"session_damaged"}
    (after,) = listed(client)
    assert {**after, "id": 0} == {**before, "id": 0}
    more = site.bring({**uploader_layout("S1", "1", images(4)[:1]), "S1/resources/N/files/a.txt": b"a"}, session="S1")
    assert more.warned() == {"healed"}
    assert listed(client) == []


def test_it_is_read_again_when_somebody_asks(site: DataFolder, web: Web, client: httpx.Client) -> None:
    told = site.bring(ARCHIVE, session="S1")
    victim = stored(site, told)[0]
    flip(victim)
    verify(web)
    (one,) = listed(client)
    flip(victim)  # put back from a backup
    assert client.post(f"/api/v1/sessions/{one['session']}/verify").status_code == 204
    verify(web)
    assert listed(client) == []


def test_owners_see_what_is_theirs_and_nobody_else_does(site: DataFolder, web: Web, client: httpx.Client) -> None:
    for project in ("P", "Q"):
        flip(stored(site, site.bring(ARCHIVE, session="S1", project=project))[0])
    web.account("ann", P="owner", Q="member")
    verify(web)
    assert {one["project"] for one in listed(client)} == {"P", "Q"}
    of_q = next(one for one in listed(client) if one["project"] == "Q")
    with web.client("ann") as ann:
        assert {one["project"] for one in listed(ann)} == {"P"}
        assert {one["project"] for one in listed(ann, project="P")} == {"P"}
        assert ann.get("/api/v1/damage", params={"project": "Q"}).status_code == 403
        assert ann.post(f"/api/v1/sessions/{of_q['session']}/verify").status_code == 403


def test_the_pages_list_damage_and_have_it_read_again(site: DataFolder, web: Web, client: httpx.Client) -> None:
    victim = stored(site, site.bring(ARCHIVE, session="S1"))[0]
    web.account("ann", P="owner")
    assert "No stored file is known to be damaged" in client.get("/admin/damage").text
    flip(victim)
    verify(web)
    (one,) = listed(client)
    with web.client("ann") as ann:
        assert "/projects/P/damage" in ann.get("/projects/P").text
        for person, address in ((client, "/admin/damage"), (ann, "/projects/P/damage")):
            assert one["path"] in person.get(address).text
        assert ann.get("/admin/damage").status_code == 403
        text = ann.get("/projects/P/sessions/S1").text
        assert "1 file damaged" in text
        assert "damaged=omit" in text
        flip(victim)
        assert ann.post(f"/damage/{one['session']}/verify", data={"project": "P"}).status_code == 303
        verify(web)
        assert one["path"] not in ann.get("/projects/P/damage").text


def test_all_that_is_damaged_is_read_again_at_once(site: DataFolder, web: Web, client: httpx.Client) -> None:
    victims = {}
    for project, label in (("P", "S1"), ("P", "S2"), ("Q", "S1")):
        archive = ARCHIVE if label == "S1" else OTHER
        victims[project, label] = stored(site, site.bring(archive, session=label, project=project), archive)[0]
    site.bring(uploader_layout("S3", "1", images(1, case="whole")), session="S3")
    web.account("ann", P="owner", Q="member")
    web.account("bob", P="member")
    verify(web)

    def harm() -> None:
        for victim in victims.values():
            flip(victim)

    def again(asking: httpx.Client, sessions: int, **asked: str) -> None:
        answer = asking.post("/api/v1/damage/verify", params=asked)
        assert (answer.status_code, answer.json()) == (200, {"sessions": sessions})

    again(client, 0)
    harm()
    for uuid in (one["id"] for one in client.get("/api/v1/sessions").json()["items"]):
        assert client.post(f"/api/v1/sessions/{uuid}/verify").status_code == 204
    verify(web)
    assert {(one["project"], one["label"]) for one in listed(client)} == set(victims)
    harm()  # put back from a backup
    with web.client("ann") as ann, web.client("bob") as bob:
        assert bob.post("/api/v1/damage/verify", params={"project": "P"}).status_code == 403
        again(bob, 0)
        assert ann.post("/api/v1/damage/verify", params={"project": "Q"}).status_code == 403
        again(ann, 2)
        verify(web)
        assert {(one["project"], one["label"]) for one in listed(client)} == {("Q", "S1")}
        assert "Verify all again</button>" not in ann.get("/projects/P/damage").text  # there is nothing
        assert bob.post("/damage/verify", data={"project": "P"}).status_code == 403
    assert "Verify all again</button>" in client.get("/admin/damage").text
    again(client, 0, project="P")
    again(client, 1, project="q")
    verify(web)
    assert listed(client) == []
    assert client.post("/damage/verify").status_code == 303
    lines = client.get("/api/v1/audit", params={"action": "verify", "kind": "project"}).json()["items"]
    assert [(one["actor"], one["target"], one["details"]) for one in lines] == [
        ("admin", "Q", {"sessions": 1}), ("ann", "P", {"sessions": 2}),
    ]  # fmt: skip


@pytest.mark.parametrize("place", ["archive", "prearchive"])
def test_the_page_of_a_session_has_it_read_again(site: DataFolder, web: Web, client: httpx.Client, place: str) -> None:
    told = site.bring(ARCHIVE, session="S1", destination=place)
    verify(web)
    flip(stored(site, told)[0])
    (one,) = client.get("/api/v1/sessions" if place == "archive" else "/api/v1/prearchive").json()["items"]
    page = "/projects/P/sessions/S1" if place == "archive" else f"/prearchive/{one['id']}"
    web.account("ann", P="owner")
    web.account("bob", P="member")
    with web.client("ann") as ann, web.client("bob") as bob:
        assert ">Verify again</button>" in ann.get(page).text
        assert ">Verify again</button>" not in bob.get(page).text
        form = {"project": "P", "label": "S1", "shown": place}
        answer = ann.post(f"/damage/{one['id']}/verify", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{page}?said=verifying")
        verify(web)
        assert "1 file damaged" in ann.get(page).text


def test_a_command_reads_again_by_itself(
    site: DataFolder,
    web: Web,
    client: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command(*args: str) -> tuple[int | str | None, str]:
        monkeypatch.setattr(sys, "argv", ["scandock", "admin", "verify", *args, "--data", str(site.data)])
        code = main()
        return code, "".join(capsys.readouterr())

    victims = [
        stored(site, site.bring(archive, session=label), archive)[0]
        for label, archive in (("S1", ARCHIVE), ("S2", OTHER))
    ]
    for victim in victims:
        flip(victim)
    verify(web)
    assert len(listed(client)) == 2
    assert command("--damaged") == (3, "5 files (3.5 kB) of 2 sessions read: 2 files damaged.\n")
    flip(victims[0])
    first = next(one["session"] for one in listed(client) if one["label"] == "S1")
    assert command(first)[0] == 0
    assert [one["label"] for one in listed(client)] == ["S2"]
    assert command("--damaged", "--project", "Q")[0] == 2
    flip(victims[1])
    assert command("--damaged", "--project", "P") == (0, "2 files (1.4 kB) of 1 session read: all of them are whole.\n")
    assert listed(client) == []
    assert command("--damaged") == (0, "No damaged files are listed.\n")
    for wrong in ((), (first, "--damaged"), (first, "--project", "P")):
        code, said = command(*wrong)
        assert (code, "--damaged" in said) == (2, True)
    code, said = command(first, "nobody")
    assert (code, "nobody is no session's id." in said, first in said) == (2, True, False)


def test_check_tells_how_what_it_finds_comes_on_the_list_of_damage(
    site: DataFolder, web: Web, client: httpx.Client
) -> None:
    told = site.bring(ARCHIVE, session="S1")
    site.bring(OTHER, session="S2")
    (site.data / "archive" / "stray").touch()
    assert "verify" not in call_in_process("check", "--data", site.data).stdout
    changed, missing, _ = stored(site, told)
    flip(changed)
    whole = missing.read_bytes()
    missing.unlink()
    done = call_in_process("check", "--data", site.data)
    assert (done.returncode, listed(client)) == (3, [])
    *_, how, last = done.stdout.splitlines()
    assert last.startswith("3 findings in ")
    command = how.partition(": ")[2].split()
    assert command[:3] == ["scandock", "admin", "verify"]
    assert call_in_process(*command[1:]).returncode == 3
    assert {one["kind"] for one in listed(client)} == {"changed", "missing"}
    flip(changed)
    missing.write_bytes(whole)
    assert f"\n{how}\n" in call_in_process("check", "--data", site.data).stdout  # they are listed, but whole


def test_a_command_tells_of_damage_that_a_worker_has_found_before_it(
    site: DataFolder, web: Web, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server's worker takes what was asked for as well, and the command goes on where that has left it."""
    for label, archive in (("S1", ARCHIVE), ("S2", OTHER)):
        flip(stored(site, site.bring(archive, session=label), archive)[0])
    verify(web)
    last = {"S1": 1, "S2": 0}
    whole = file_verification.verify_tree

    def behind_the_worker(
        catalog: Catalog, store: Store, standing: Holder, plan: VerificationPlan
    ) -> VerificationCounts:
        with catalog.write() as connection:
            mine = verification.c.tree_id == standing.tree_id
            connection.execute(update(verification).where(mine).values(done_n=last[standing.label]))
        return whole(catalog, store, standing, plan)

    monkeypatch.setattr(damage, "verify_tree", behind_the_worker)
    done = call_in_process("admin", "verify", "--damaged", "--data", site.data)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.endswith(" of 2 sessions read: 2 files damaged.\n")
    assert len(listed(client)) == 2


def test_a_command_says_what_it_could_not_read_as_it_was_being_replaced(
    site: DataFolder, web: Web, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(stored(site, site.bring(ARCHIVE, session="S1"))[0])
    verify(web)
    (one,) = listed(client)
    snapshot = LocalStore.snapshot
    more = [uploader_layout("S1", "1", images(4))]

    def replaced(store: LocalStore, name: TreePath) -> LocalSnapshot:
        taken = snapshot(store, name)
        if more:
            site.bring(more.pop(), session="S1")
        return taken

    monkeypatch.setattr(LocalStore, "snapshot", replaced)
    done = call_in_process("admin", "verify", one["session"], "--data", site.data)
    assert more == []
    assert done.returncode == 3
    assert f"Not read: {one['session']}" in done.stdout
    assert "whole" not in done.stdout


def test_what_comes_back_from_the_trash_says_that_it_is_damaged_and_is_read_first(
    site: DataFolder, web: Web, client: httpx.Client
) -> None:
    told = site.bring(ARCHIVE, session="S1")
    victim, whole, _ = stored(site, told)
    flip(victim)
    verify(web)
    (one,) = listed(client)
    assert client.delete(f"/api/v1/sessions/{one['session']}").status_code == 200
    assert listed(client) == []
    (kept,) = client.get("/api/v1/trash").json()["items"]
    assert kept["damaged"] == 1
    assert "1 file damaged" in client.get("/projects/P/trash").text
    where = f"/api/v1/trash/{kept['id']}/restore"
    for dry_run in (True, False):
        (warning,) = client.post(where, params={"dry_run": dry_run}).json()["warnings"]
        assert (warning["code"], f"(1, {victim.name} the first)" in warning["message"]) == ("restored_damaged", True)
    assert [again["path"] for again in listed(client)] == [one["path"]]
    flip(whole)  # as if it had rotted in the trash
    verify(web)
    assert {again["path"].rpartition("/")[2] for again in listed(client)} == {victim.name, whole.name}

    assert client.delete(f"/api/v1/sessions/{one['session']}").status_code == 200
    answer = client.post(f"/trash/{kept['id']}/restore", data={"project": "P"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/projects/P/trash?said=restored-damaged")
    flip(victim)
    flip(whole)
    verify(web)
    assert listed(client) == []
    assert client.delete(f"/api/v1/sessions/{one['session']}").status_code == 200
    assert client.post(where).json()["warnings"] == []


def test_check_names_what_can_not_be_read_and_what_is_listed_though_it_is_whole(
    site: DataFolder, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, other, _ = stored(site, site.bring(ARCHIVE, session="S1"))
    flip(victim)
    verify(web)
    opened = LocalSnapshot.open

    def failing(snapshot: LocalSnapshot, rel: RelPath, *more: Any) -> IO[bytes]:
        if rel.endswith(other.name):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opened(snapshot, rel, *more)

    monkeypatch.setattr(LocalSnapshot, "open", failing)
    found = {one.name.rpartition("/")[2]: one.kind for one in check_data(str(site.data), site.settings)}
    assert found == {victim.name: "changed", other.name: "unreadable"}
    flip(victim)  # put back, and verified by nobody yet
    found = {one.name.rpartition("/")[2]: one.kind for one in check_data(str(site.data), site.settings)}
    assert found == {victim.name: "listed", other.name: "unreadable"}
    with web.site.catalog.write() as connection:
        (number,) = connection.execute(select(session.c.tree_id)).scalars()
        mark_for_verification(web.site.catalog, connection, number)
    verify(web)
    with web.client() as client:
        (one,) = listed(client)
    assert (one["kind"], one["path"].rpartition("/")[2]) == ("unreadable", other.name)


# -- downloads ---------------------------------------------------------------------------------------------------------


def members(answer: httpx.Response) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def test_a_damaged_file_is_refused_unless_it_is_asked_for(site: DataFolder, web: Web, client: httpx.Client) -> None:
    told = site.bring(ARCHIVE, session="S1")
    victim, whole, _ = stored(site, told)
    rows = client.get("/api/v1/files", params={"session": client.get("/api/v1/sessions").json()["items"][0]["id"]})
    where = {
        row["path"].rpartition("/")[2]: f"/api/v1/sessions/{row['session']}/files/{row['id']}/content"
        for row in rows.json()["items"]
    }
    tag = client.get(where[victim.name]).headers["etag"]
    victim.write_bytes(b"cut")
    verify(web)
    for ask in (client.get, client.head):
        assert ask(where[victim.name]).status_code == 409
        assert ask(where[victim.name], headers={"If-None-Match": tag}).status_code == 409
        assert ask(where[victim.name], params={"damaged": "omit"}).status_code == 409
        assert ask(where[whole.name]).status_code == 200
    problem = client.get(where[victim.name]).json()
    assert (problem["code"], victim.name in problem["detail"]) == ("file_damaged", True)
    given = client.get(where[victim.name], params={"damaged": "include"}, headers={"If-None-Match": tag})
    assert (given.status_code, given.content, given.headers[HEADER]) == (200, b"cut", "changed")
    assert "etag" not in given.headers
    uri = f"{told.session['uri']}/scans/1/resources/DICOM/files"
    assert client.get(f"{uri}/{victim.name}").status_code == 409
    assert client.get(f"{uri}/{victim.name}", params={"damaged": "include"}).content == b"cut"
    assert client.get(f"{uri}/{whole.name}").content == whole.read_bytes()


@pytest.mark.parametrize(
    "where",
    [
        "/api/v1/sessions/{session}/download",
        "/api/v1/sessions/{session}/scans/1/download",
        "/api/v1/projects/P/download",
        "/data/archive/experiments/{xnat}/scans/ALL/files?format=zip",
        "/data/archive/experiments/{xnat},{other}/scans/ALL/files?format=zip",
    ],
)
def test_zips_hold_no_damaged_file_unasked(site: DataFolder, web: Web, client: httpx.Client, where: str) -> None:
    told = site.bring(ARCHIVE, session="S1")
    site.bring(uploader_layout("S2", "1", images(1, case="other")), session="S2")
    victim = stored(site, told)[0]
    uuid = next(one["id"] for one in client.get("/api/v1/sessions").json()["items"] if one["label"] == "S1")
    rows = client.get("/data/experiments", params={"format": "json"}).json()["ResultSet"]["Result"]
    ids = {row["label"]: row["ID"] for row in rows}
    address = httpx.URL(where.format(session=uuid, xnat=ids["S1"], other=ids["S2"]))
    before = members(client.get(address))
    (name,) = [one for one in before if one.startswith("S1/") and one.endswith(f"/{victim.name}")]
    victim.write_bytes(b"cut")
    verify(web)
    refused = client.get(address)
    assert (refused.status_code, "damaged" in refused.text) == (409, True)
    omitted = client.get(address.copy_add_param("damaged", "omit"))
    inside = members(omitted)
    said = inside.pop("not-included.txt").decode()
    assert said == f"S1\tscans/1/resources/DICOM/files/{victim.name}\tits bytes are not those that were stored\r\n"
    assert inside == {one: data for one, data in before.items() if one != name}
    included = client.get(address.copy_add_param("damaged", "include"))
    assert members(included) == {**before, name: b"cut"}
    assert omitted.headers[HEADER] == included.headers[HEADER] == "1"


@pytest.mark.parametrize(
    "where", ["/api/v1/sessions/{session}/download", "/data/experiments/{xnat}/scans/ALL/files?format=zip"]
)
def test_a_zip_names_the_file_that_is_gone_also_where_it_is_wanted_and_is_a_valid_upload(
    site: DataFolder, web: Web, client: httpx.Client, where: str
) -> None:
    told = site.bring(ARCHIVE, session="S1")
    victim = stored(site, told)[0]
    (row,) = client.get("/data/experiments", params={"format": "json"}).json()["ResultSet"]["Result"]
    (one,) = client.get("/api/v1/sessions").json()["items"]
    victim.unlink()
    verify(web)
    address = httpx.URL(where.format(session=one["id"], xnat=row["ID"]))
    inside = members(client.get(address.copy_add_param("damaged", "include")))
    said = inside["not-included.txt"].decode()
    assert said == f"S1\tscans/1/resources/DICOM/files/{victim.name}\tit is gone from the store\r\n"
    again = site.bring(inside, project="Q")
    assert (again.state, again.session["label"]) == ("placed", "S1")


def test_a_projects_zip_is_not_refused_for_what_it_does_not_hold(
    site: DataFolder, web: Web, client: httpx.Client
) -> None:
    site.bring(uploader_layout("S2", "1", images(1, case="other")), session="S2")
    told = site.bring(ARCHIVE, session="S1", destination="prearchive")
    flip(stored(site, told)[0])
    verify(web)
    assert len(listed(client)) == 1
    answer = client.get("/api/v1/projects/P/download")
    assert answer.status_code == 200
    assert len(members(answer)) == 1
    assert HEADER not in answer.headers


def test_messages_count_what_is_damaged_where_one_answers_for_it(site: DataFolder, web: Web) -> None:
    told = site.bring(ARCHIVE, session="S1")
    site.bring(uploader_layout("T1", "1", images(1, case="other")), session="T1", project="Q")
    flip(stored(site, told)[0])
    verify(web)
    ids = {
        "owner": web.account("olga", P="owner"),
        "member": web.account("mia", P="member", Q="owner"),
        "admin": web.account("root", admin=True),
    }
    with web.site.catalog.read() as connection:
        counts = {
            name: read_damage_figures(connection, project_id=None, account_id=number).files
            for name, number in ids.items()
        }
    assert counts == {"owner": 1, "member": 0, "admin": 1}


def test_what_a_project_has_of_its_own_is_no_other(site: DataFolder, web: Web, client: httpx.Client) -> None:
    where = "/data/projects/P/resources/N/files/a.txt"
    assert client.put(where, params={"inbody": "true"}, content=b"abc").status_code == 200
    (victim,) = (path for path in (site.data / "resources").rglob("a.txt"))
    verify(web)
    victim.write_bytes(b"abd")
    web.account("ann", P="owner")
    with web.client("ann") as ann:
        with web.site.catalog.write() as connection:
            mark_for_verification(web.site.catalog, connection, *connection.execute(select(shelf.c.tree_id)).scalars())
        verify(web)
        (one,) = listed(ann)
        assert (one["kind"], one["place"], one["path"]) == ("changed", "resources", "resources/N/files/a.txt")
        for address in (where, "/data/projects/P/files?format=zip", "/data/projects/P/resources/N/files?format=zip"):
            refused = ann.get(address)
            assert (refused.status_code, "damaged" in refused.text) == (409, True), address
        assert ann.get(where, params={"damaged": "include"}).content == b"abd"
        assert f"{where}?damaged=include" in ann.get("/projects/P").text
        victim.write_bytes(b"abc")
        assert ann.post("/api/v1/damage/verify").json() == {"sessions": 1}
        verify(web)
        assert (listed(ann), ann.get(where).content) == ([], b"abc")


def test_downloads_are_refused_too_where_a_whole_folder_is_gone(
    site: DataFolder, web: Web, client: httpx.Client
) -> None:
    told = site.bring(ARCHIVE, session="S1")
    site.bring(OTHER, session="S2")
    (site.data / told.session["path"]).rename(site.data / "elsewhere")
    verify(web)
    (uuid,) = [one["id"] for one in client.get("/api/v1/sessions").json()["items"] if one["label"] == "S1"]
    rows = client.get("/data/experiments", params={"format": "json"}).json()["ResultSet"]["Result"]
    ids = {row["label"]: row["ID"] for row in rows}
    for address in (
        "/api/v1/projects/P/download", f"/api/v1/sessions/{uuid}/download", f"/api/v1/sessions/{uuid}/files/0/content",
        f"/data/experiments/{ids['S1']}/scans/1/files?format=zip",
        f"/data/experiments/{ids['S2']},{ids['S1']}/scans/ALL/files?format=zip",
    ):  # fmt: skip
        refused = client.get(address)
        assert (refused.status_code, "damaged" in refused.text or "gone" in refused.text) == (409, True), address
    assert client.get(f"/api/v1/sessions/{uuid}/download", params={"damaged": "include"}).status_code == 409
    omitted = client.get("/api/v1/projects/P/download", params={"damaged": "omit"})
    assert omitted.headers[HEADER] == "1"
    inside = members(omitted)
    assert inside.pop("not-included.txt").decode() == GONE
    assert {name.partition("/")[0] for name in inside} == {"S2"}
    several = f"/data/experiments/{ids['S1']},{ids['S2']}/scans/ALL/files?format=zip"
    for asked in ("omit", "include"):
        answer = client.get(f"{several}&damaged={asked}")
        assert answer.headers[HEADER] == "1"
        inside = members(answer)
        assert inside.pop("not-included.txt").decode() == GONE
        assert {name.partition("/")[0] for name in inside} == {"S2"}


def test_sessions_of_one_label_are_told_apart_in_what_a_zip_does_not_hold(
    site: DataFolder, web: Web, client: httpx.Client
) -> None:
    """By the name that each has in the zip; one that is gone as a whole takes its name, too."""
    for project in ("P", "Q", "R"):
        told = site.bring(ARCHIVE, session="S1", project=project)
        victim = stored(site, told)[0]
        if project == "P":
            (site.data / told.session["path"]).rename(site.data / "elsewhere")
        else:
            victim.write_bytes(b"cut")
    verify(web)
    rows = client.get("/data/experiments", params={"format": "json"}).json()["ResultSet"]["Result"]
    ids = {row["project"]: row["ID"] for row in rows}
    several = f"/data/experiments/{ids['P']},{ids['Q']},{ids['R']}/scans/ALL/files?format=zip&damaged=omit"
    inside = members(client.get(several))
    said = [line.split("\t") for line in inside.pop("not-included.txt").decode().splitlines()]
    file = f"scans/1/resources/DICOM/files/{victim.name}"
    assert [line[:2] for line in said] == [["S1", ""], ["S1_Q", file], ["S1_R", file]]
    assert {name.partition("/")[0] for name in inside} == {"S1_Q", "S1_R"}


@pytest.mark.parametrize("place", ["archive", "prearchive"])
def test_every_address_of_a_damaged_file_says_so(site: DataFolder, web: Web, client: httpx.Client, place: str) -> None:
    """Whole, by ranges, by its head, in zips of scans and resources, and what is read of it: by all dialects' names."""
    told = site.bring(ARCHIVE, session="S1", destination=place)
    victim, *whole = stored(site, told)
    uri = told.session["uri"]
    rest = f"scans/1/resources/DICOM/files/{victim.name}"
    (one,) = client.get("/api/v1/sessions" if place == "archive" else "/api/v1/prearchive").json()["items"]
    files = client.get("/api/v1/files", params={"session": one["id"]}).json()["items"]
    number = next(row["id"] for row in files if row["path"].endswith(f"/{victim.name}"))
    of_file = f"/api/v1/sessions/{one['id']}/files/{number}"
    single = [f"{of_file}/content", f"{uri}/{rest}"]
    zips = [
        f"/api/v1/sessions/{one['id']}/download", f"/api/v1/sessions/{one['id']}/scans/1/download",
        f"{uri}/scans/ALL/files?format=zip", f"{uri}/scans/1/files?format=zip",
        f"{uri}/scans/1/resources/DICOM/files?format=zip",
    ]  # fmt: skip
    if place == "archive":
        rows = client.get("/data/experiments", params={"format": "json"}).json()["ResultSet"]["Result"]
        (named,) = [row["ID"] for row in rows]
        single += [f"/data/experiments/{named}/{rest}", f"/data/archive/experiments/{named}/{rest}"]
        zips += [f"/data/experiments/{named}/scans/1/files?format=zip", "/api/v1/projects/P/download"]
    for address in (*single, *zips):
        assert client.get(address).status_code == 200, address
    victim.write_bytes(b"cut")
    verify(web)
    ranged = {"Range": "bytes=0-1"}
    for address in single:
        for headers in ({}, ranged, {**ranged, "If-Range": '"x"'}, {"If-None-Match": "*"}):
            refused = client.get(address, headers=headers)
            assert (refused.status_code, "damaged" in refused.text) == (409, True), (address, headers)
        assert client.head(address).status_code == 409, address
        part = client.get(address, params={"damaged": "include"}, headers=ranged)
        assert (part.status_code, part.content, part.headers[HEADER]) == (206, b"cu", "changed"), address
    for address in zips:
        refused = client.get(address)
        assert (refused.status_code, "damaged" in refused.text) == (409, True), address
    shown = client.get(f"{of_file}/header").json()
    assert (shown["rows"], "is damaged" in shown["reason"]) == ([], True)
    assert client.get(f"{uri}/scans/1/resources/DICOM/files/{whole[0].name}").content == whole[0].read_bytes()
    if place == "archive":
        pulled = client.put(f"/data/experiments/{named}", params={"pullDataFromHeaders": "true"})
        assert (pulled.status_code, "damaged" in pulled.text) == (409, True)
