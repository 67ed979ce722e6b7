"""Files that projects and subjects have of their own in XNAT's dialect: made, listed, read, replaced, taken out.

(xnat-clients.md 1, 2.2 to 2.4 and 3.) Catalog and store are compared at the end of each.
"""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from scandock.access.principal import SYSTEM
from scandock.catalog.own_resources import project_resources, subject_resources
from scandock.catalog.projects import make_unassigned
from scandock.catalog.tables import project, subject
from scandock.publishing import operations, reserve
from scandock.publishing.locks import locks_of
from scandock.publishing.operations import end_unpublished, run_operation
from scandock.services.consistency_check import check_data
from scandock.services.context import ServiceContext
from scandock.services.damage import list_damage
from scandock.services.data_catalog import open_data
from scandock.services.pagination import Sorting
from tests.builders import DataFolder, make_data_folder, verify_some, zip_entries
from tests.integration.web import Web, serve_in_process

pytestmark = pytest.mark.long

SUBJECT = "/data/projects/P/subjects/S1"
WHERE = {"project": "/data/projects/P", "subject": SUBJECT}
URI = {"project": "/data/projects/P/resources/", "subject": "/data/subjects/XNAT_S00001/resources/"}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


@pytest.fixture(params=WHERE)
def of(request: pytest.FixtureRequest) -> str:
    """Whose files they are."""
    return str(request.param)


@contextmanager
def served(site: DataFolder) -> Iterator[tuple[Web, httpx.Client]]:
    """A server with a project P and a subject S1 in it."""
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        client.put(SUBJECT).raise_for_status()
        yield web, client
    assert check_data(str(site.data), site.settings) == []
    assert list((site.data / "work").iterdir()) == []


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, str]] = answer.json()["ResultSet"]["Result"]
    return listed


def done(answer: httpx.Response, status: int = 200) -> str:
    assert (answer.status_code, answer.headers["content-type"][:10]) == (status, "text/plain"), answer.text
    return answer.text


def names(client: httpx.Client, where: str) -> list[str]:
    return [one["URI"].partition("/files/")[2] for one in rows(client.get(f"{where}/files"))]


def stored(site: DataFolder) -> dict[str, bytes]:
    """What lies under DATA/resources, by path within its tree."""
    found = (path for path in (site.data / "resources").rglob("*") if path.is_file())
    return {"/".join(path.relative_to(site.data).parts[3:]): path.read_bytes() for path in found}


@pytest.mark.postgresql
def test_a_resource_is_made_filled_listed_and_read(site: DataFolder, of: str) -> None:
    with served(site) as (_, client):
        where = WHERE[of]
        assert rows(client.get(f"{where}/resources")) == rows(client.get(f"{where}/files")) == []
        said = {"format": "TXT", "content": "notes", "tags": "a,b"}
        number = done(client.put(f"{where}/resources/NOTES", params=said))
        assert done(client.put(f"{where}/resources/notes")) == number
        done(client.put(f"{where}/resources/NOTES/files/sub/a.txt", content=b"first"))
        (row,) = rows(client.get(f"{where}/resources"))
        assert row == {
            "xnat_abstractresource_id": number, "label": "NOTES", "element_name": "xnat:resourceCatalog",
            "category": "resources", "cat_id": "", "cat_desc": "", "file_count": "1", "file_size": "5",
            "tags": "a,b", "content": "notes", "format": "TXT",
        }  # fmt: skip
        (one,) = rows(client.get(f"{where}/files"))
        assert one == {
            "Name": "a.txt", "Size": "5", "URI": f"{URI[of]}{number}/files/sub/a.txt", "collection": "NOTES",
            "file_tags": "a,b", "file_format": "TXT", "file_content": "notes", "cat_ID": number,
            "digest": hashlib.md5(b"first").hexdigest(),
        }  # fmt: skip
        again = one["URI"].partition("/files/")[0] + "/files"
        assert rows(client.get(again)) == rows(client.get(f"{where}/resources/{number}/files")) == [one]
        (item,) = client.get(f"{where}/resources/NOTES?format=json").json()["items"]
        assert item["meta"]["xsi:type"] == "xnat:resourceCatalog"
        assert item["data_fields"]["xnat_abstractresource_id"] == number
        for prefix in ("/data", "/REST", "/data/archive"):
            address = one["URI"].replace("/data", prefix, 1)
            assert client.get(address).content == b"first"
        assert client.get(f"{where}/files/sub/a.txt", headers={"range": "bytes=1-2"}).content == b"ir"
        head = client.head(one["URI"])
        assert (head.status_code, head.headers["content-length"]) == (200, "5")
        assert "no file" in done(client.get(f"{where}/resources/NOTES/files/b.txt"), 404)
    assert stored(site) == {"resources/NOTES/files/sub/a.txt": b"first"}
    assert list((site.data / "archive").iterdir()) == []


def test_the_zip_of_what_has_no_files_is_empty(site: DataFolder, of: str) -> None:
    with served(site) as (_, client):
        asked = (f"{WHERE[of]}/files", {"format": "zip"})
        assert client.head(asked[0], params=asked[1]).status_code == 200
        with zipfile.ZipFile(io.BytesIO(client.get(asked[0], params=asked[1]).content)) as none:
            assert none.namelist() == []


def test_a_file_needs_no_resource_before_it_and_replaces_only_where_asked(site: DataFolder, of: str) -> None:
    with served(site) as (_, client):
        where = f"{WHERE[of]}/resources/R/files/a.txt"
        done(client.put(where, content=b"old", params={"format": "TXT"}))
        done(client.put(where, content=b"old"))  # the answer was lost, and it is sent again
        for said in ({}, {"overwrite": "false", "inbody": "true"}):
            assert "already" in done(client.post(where, content=b"new", params=said), 409)
        done(client.put(where, content=b"new", params={"overwrite": "true"}))
        assert client.get(where).content == b"new"
        assert "can't be the label" in done(client.put(f"{WHERE[of]}/resources/a%20b"), 400)
        assert "no resource" in done(client.put(f"{WHERE[of]}/resources/12345678901/files/x", content=b"x"), 404)
        (row,) = rows(client.get(f"{WHERE[of]}/resources"))
        assert (row["file_count"], row["file_size"], row["format"]) == ("1", "3", "TXT")
    assert stored(site) == {"resources/R/files/a.txt": b"new"}
    replaced = [path.read_bytes() for path in (site.data / "trash").rglob("a.txt")]
    assert replaced == [b"old"]


def test_archives_are_extracted_and_files_come_back_as_a_zip(site: DataFolder, of: str) -> None:
    with served(site) as (_, client):
        where = WHERE[of]
        packed = zip_entries({"one.txt": b"1", "sub/two.txt": b"22"})
        done(client.put(f"{where}/resources/A/files/up.zip", content=packed, params={"extract": "true"}))
        done(client.put(f"{where}/resources/B/files/three.txt", content=b"333"))
        assert names(client, where) == ["one.txt", "sub/two.txt", "three.txt"]
        label = where.rpartition("/")[2]
        for asked, wanted in (
            (f"{where}/files?format=zip", ["A/files/one.txt", "A/files/sub/two.txt", "B/files/three.txt"]),
            (f"{where}/resources/A/files?format=zip", ["A/files/one.txt", "A/files/sub/two.txt"]),
            (f"{where}/resources/B?format=zip", ["B/files/three.txt"]),
        ):
            answer = client.get(asked)
            assert answer.headers["content-type"] == "application/zip"
            with zipfile.ZipFile(io.BytesIO(answer.content)) as back:
                assert back.namelist() == [f"{label}/resources/{one}" for one in wanted]
        assert "can't be taken" in done(
            client.put(f"{where}/resources/C/files/x", content=zip_entries({"../x": b""}), params={"extract": "true"}),
            400,
        )
        assert [one["label"] for one in rows(client.get(f"{where}/resources"))] == ["A", "B"]


def test_documents_name_its_resources_and_may_be_sent_back(site: DataFolder, of: str) -> None:
    with served(site) as (web, client):
        where = WHERE[of]
        number = done(client.put(f"{where}/resources/NOTES", params={"format": "TXT"}))
        (item,) = client.get(f"{where}?format=json").json()["items"]
        (told,) = [one for one in item["children"] if one["field"] == "resources/resource"]
        (resource,) = told["items"]
        fields = resource["data_fields"]
        assert (fields["label"], fields["xnat_abstractresource_id"], fields["format"]) == ("NOTES", int(number), "TXT")
        document = client.get(where).text
        assert f'xnat_abstractresource_id="{number}"' in document
        done(client.put(where, content=document.encode(), headers={"content-type": "text/xml"}))
        assert [one["label"] for one in rows(client.get(f"{where}/resources"))] == ["NOTES"]
        if of == "project":  # whoever sees its title alone is told nothing of what is in it
            client.put("/data/projects/P/accessibility/protected").raise_for_status()
            web.account("one")
            with web.client("one") as one:
                assert "NOTES" not in one.get(where).text
                assert one.get(f"{where}/resources").status_code == 403


@pytest.mark.postgresql
def test_many_at_once_lose_nothing(site: DataFolder, of: str) -> None:
    with served(site) as (web, client):
        where, files = WHERE[of], {f"{n}.txt": str(n).encode() for n in range(24)}

        def put(name: str) -> int:
            with web.client() as mine:  # each of them may be the first that needs the shelf
                return mine.put(f"{where}/resources/R{len(name)}/files/{name}", content=files[name]).status_code

        with ThreadPoolExecutor(6) as threads:
            assert set(threads.map(put, files)) == {200}
        assert sorted(names(client, where)) == sorted(files)


def test_who_finds_its_making_under_way_waits_as_long_as_for_any_change(
    site: DataFolder, of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that is slow, with many who wait, one wait of an operation is soon over."""
    release, looks = threading.Event(), count(1)
    held = reserve.find_holders

    def held_by_others(*asked: Any) -> set[str]:
        others = held(*asked)
        if others and next(looks) == 4:  # several waits are over by then
            release.set()
        return others

    monkeypatch.setattr(operations, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(operations, "PATIENCE", 1_000)  # waits without a pause: the other may take a while to end
    monkeypatch.setattr(operations, "find_holders", held_by_others)
    with served(site) as (web, client):
        with web.site.catalog.read() as connection:
            first = connection.execute(select(subject.c.id)).scalar_one()
            project_id = connection.execute(select(project.c.id).where(project.c.name == "P")).scalar_one()
            shelf = project_resources(connection, project_id, "P") if of == "project" else None
            shelf = shelf or subject_resources(connection, first)
        assert shelf is not None
        with ThreadPoolExecutor(1) as threads, run_operation(web.site.catalog, web.site.store, "make") as other:
            with other.reserve_names({"P"}, lambda _: locks_of(shelf)):
                pass
            put = threads.submit(client.put, f"{WHERE[of]}/resources/R/files/a.txt", content=b"a")
            put.add_done_callback(lambda _: release.set())
            assert release.wait(60)
            end_unpublished(other)
            other.ended = True
            done(put.result())
        assert names(client, WHERE[of]) == ["a.txt"]


def test_files_and_resources_are_taken_out(site: DataFolder, of: str) -> None:
    with served(site) as (_, client):
        where = WHERE[of]
        for name in ("A/files/a.txt", "A/files/b.txt", "B/files/c.txt"):
            done(client.put(f"{where}/resources/{name}", content=name.encode()))
        done(client.delete(f"{where}/resources/A/files/a.txt?removeFiles=true"))
        assert "no file" in done(client.delete(f"{where}/resources/A/files/a.txt"), 404)
        assert names(client, where) == ["b.txt", "c.txt"]
        (a, _) = rows(client.get(f"{where}/resources"))
        done(client.delete(f"{where}/resources/{a['xnat_abstractresource_id']}"))
        assert "no resource" in done(client.delete(f"{where}/resources/A"), 404)
        done(client.delete(f"{where}/resources/B"))
        assert rows(client.get(f"{where}/resources")) == []
        done(client.put(f"{where}/resources/A/files/a.txt", content=b"again"))
    assert stored(site) == {"resources/A/files/a.txt": b"again"}
    kept = {path.name for path in (site.data / "trash").rglob("*.txt")}
    assert kept == {"a.txt", "b.txt", "c.txt"}


@pytest.mark.postgresql
def test_a_renamed_subject_keeps_its_files_and_sessions_of_it_do_not_touch_them(site: DataFolder) -> None:
    with served(site) as (_, client):
        done(client.put(f"{SUBJECT}/resources/R/files/a.txt", content=b"a"))
        (before,) = rows(client.get(f"{SUBJECT}/files"))
        done(client.put(SUBJECT, params={"label": "S2"}))
        renamed = "/data/projects/P/subjects/S2"
        assert rows(client.get(f"{renamed}/files")) == [before]
        session = f"{renamed}/experiments/E1"
        done(client.put(session, params={"xsiType": "xnat:mrSessionData"}), 201)
        done(client.put(f"{session}/resources/R/files/b.txt", content=b"b"))
        assert names(client, renamed) == ["a.txt"]
        assert names(client, session) == ["b.txt"]
        assert [one["label"] for one in rows(client.get("/data/projects/P/experiments"))] == ["E1"]
        found = client.get("/api/v1/projects/P").json()
        assert (found["files"], found["bytes"], found["sessions"]) == (2, 2, 1)


# -- with whose they are -----------------------------------------------------------------------------------------------


def test_what_has_files_is_deleted_only_where_that_is_said(site: DataFolder, of: str) -> None:
    with served(site) as (_, client):
        where = WHERE[of]
        done(client.put(f"{SUBJECT}/experiments/E1", params={"xsiType": "xnat:mrSessionData"}), 201)
        done(client.put(f"{where}/resources/R/files/a.txt", content=b"a"))
        told = done(client.delete(where), 409)
        assert "has 1 file of its own" in told
        assert "removeFiles=true" in told
        assert [one["label"] for one in rows(client.get("/data/projects/P/experiments"))] == ["E1"]
        done(client.delete(f"{where}?removeFiles=true"))
        assert client.get(f"{where}/resources").status_code == 404
        assert [one["label"] for one in client.get("/api/v1/trash").json()["items"]] == ["E1"]
        if of == "project":
            assert client.post("/api/v1/projects", json={"id": "P", "name": "Again"}).status_code == 201
        client.put(SUBJECT).raise_for_status()
        assert rows(client.get(f"{where}/files")) == []
    assert stored(site) == {}
    assert list((site.data / "resources").iterdir()) == []
    assert [path.read_bytes() for path in (site.data / "trash").rglob("a.txt")] == [b"a"]


@pytest.mark.postgresql
def test_a_project_goes_with_what_its_subjects_have(site: DataFolder) -> None:
    with served(site) as (_, client):
        for where in WHERE.values():
            done(client.put(f"{where}/resources/R/files/a.txt", content=b"a"))
        done(client.delete("/data/projects/P/resources/R"))
        assert "subject S1 has 1 file" in done(client.delete("/data/projects/P"), 409)
        done(client.delete("/data/projects/P?removeFiles=true"))
        assert client.get("/data/projects/P").status_code == 404
    assert stored(site) == {}


def test_an_empty_shelf_keeps_nothing_from_being_deleted(site: DataFolder, of: str) -> None:
    with served(site) as (_, client):
        done(client.put(f"{WHERE[of]}/resources/R"))
        done(client.delete(WHERE[of]))
        assert client.get(WHERE[of]).status_code == 404


def test_in_unassigned_nothing_is_kept(site: DataFolder) -> None:
    with served(site) as (web, client):
        make_unassigned(web.site.catalog)
        assert "nothing is made by hand" in done(client.put("/data/projects/Unassigned/resources/R"), 409)
        assert done(client.put("/data/projects/Unassigned/resources/R/files/a", content=b"a"), 409)


# -- who, and whether it is so -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "read", "write", "remove"),
    [("collaborator", 200, 403, 403), ("member", 200, 200, 403), ("owner", 200, 200, 200), (None, 404, 404, 404)],
)
def test_members_put_files_and_owners_take_them_out(
    site: DataFolder, of: str, role: str | None, read: int, write: int, remove: int
) -> None:
    with served(site) as (web, client):
        where = f"{WHERE[of]}/resources/R/files"
        done(client.put(f"{where}/a.txt", content=b"a"))
        if role is None:
            web.account("one")
        else:
            web.account("one", P=role)
        with web.client("one") as one:
            assert one.get(f"{where}/a.txt").status_code == read
            assert one.get(f"{WHERE[of]}/resources").status_code == read
            assert one.put(f"{where}/b.txt", content=b"b").status_code == write
            assert one.put(f"{where.removesuffix('/files')}").status_code == write
            refresh = {"resource": f"/archive{WHERE[of].removeprefix('/data')}/resources/R"}
            assert one.post("/data/services/refresh/catalog", params=refresh).status_code == write
            assert one.delete(f"{where}/a.txt").status_code == remove
            assert one.delete(where.removesuffix("/files")).status_code == remove


def test_the_trail_tells_of_it_by_ids(site: DataFolder, of: str) -> None:
    with served(site) as (_, client):
        where = f"{WHERE[of]}/resources/R/files/a.txt"
        done(client.put(where, content=b"a"))
        client.get(where)
        client.get(f"{WHERE[of]}/files?format=zip")
        lines = client.get("/api/v1/audit", params={"project": "P"}).json()["items"]
        mine = [one for one in lines if one["action"] in ("edit", "download")]
        assert [one["action"] for one in mine if one["details"].get("fields") != ["resources"]][:3] == [
            "download",
            "download",
            "edit",
        ]
        assert {one["kind"] for one in mine} <= {of, "subject"}
        assert "a.txt" not in str(lines)


@pytest.mark.parametrize("harm", ["changed", "missing", "stray", "gone"])
def test_check_and_verification_find_what_is_not_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str, harm: str
) -> None:
    site = make_data_folder(tmp_path, monkeypatch)
    with served(site) as (_, client):
        done(client.put(f"{WHERE[of]}/resources/R/files/a.txt", content=b"a"))
    (path,) = (site.data / "resources").rglob("a.txt")
    tree = path.parents[3]
    if harm == "changed":
        path.write_bytes(b"b")
    elif harm == "missing":
        path.unlink()
    elif harm == "stray":
        (path.parent / "b.txt").write_bytes(b"b")
    else:
        tree.rename(tree.parent / "elsewhere")
    found = {(one.kind, one.name.removeprefix("resources/P/")) for one in check_data(str(site.data), site.settings)}
    file = f"{tree.name}/resources/R/files"
    assert (
        found
        == {
            "changed": {("changed", f"{file}/a.txt")},
            "missing": {("missing", f"{file}/a.txt")},
            "stray": {("stray", f"{file}/b.txt")},
            "gone": {("missing", tree.name), ("stray", "elsewhere")},
        }[harm]
    )
    with open_data(str(site.data), site.settings) as (catalog, store):
        verify_some(catalog, store, 10)
        with catalog.read() as connection:
            context = ServiceContext(catalog, store, site.settings, SYSTEM)
            rot = [(one.label, one.place) for one in list_damage(connection, context, Sorting()).items]
    whose = WHERE[of].rpartition("/")[2]
    assert rot == ([] if harm == "stray" else [(whose, "resources")])
