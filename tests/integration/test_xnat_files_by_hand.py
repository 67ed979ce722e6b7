"""Files put by hand in XNAT's dialect: raw, in forms, in archives; many at once; refused, cut off, killed.

(xnat-clients.md 1, rules 11 and 12; 2.4, 3 and 4.) Catalog and store are compared at the end of each.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from scandock.catalog import trees
from scandock.catalog.tables import manifest
from scandock.publishing import tree_plan
from scandock.services.consistency_check import check_data
from tests.builders import DataFolder, images, make_data_folder, zip_entries
from tests.integration.web import Web, serve_in_process
from tests.stored_files import all_files

pytestmark = pytest.mark.long


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


@contextmanager
def served(site: DataFolder, **settings: int) -> Iterator[tuple[Web, httpx.Client, str]]:
    """A server with an experiment made by hand, and the address of its scan's resource DICOM."""
    with serve_in_process(site.data, site.settings.model_copy(update=settings)) as web, web.client() as client:
        where = "/data/projects/P/subjects/S1/experiments/E1"
        client.put(where, params={"xsiType": "xnat:mrSessionData"}).raise_for_status()
        client.put(f"{where}/scans/1", params={"xsiType": "xnat:mrScanData"}).raise_for_status()
        yield web, client, f"{where}/scans/1/resources/DICOM"
    assert check_data(str(site.data), site.settings) == []
    assert list((site.data / "work").iterdir()) == []


def digests(client: httpx.Client, resource: str) -> dict[str, str]:
    """MD5 by path, as the listing has them."""
    answer = client.get(f"{resource}/files")
    if answer.status_code == 404:
        return {}
    listed = answer.json()["ResultSet"]["Result"]
    return {one["URI"].partition("/files/")[2]: one["digest"] for one in listed}


def md5s(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.md5(data).hexdigest() for name, data in files.items()}


def done(answer: httpx.Response, status: int = 200) -> str:
    assert (answer.status_code, answer.headers["content-type"][:10]) == (status, "text/plain"), answer.text
    return answer.text


def tarred(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


# -- one file ----------------------------------------------------------------------------------------------------------


def test_a_file_comes_as_the_body_with_any_content_type_or_none(site: DataFolder) -> None:
    with served(site) as (_, client, resource):
        files = {
            "a.dcm": b"octets",
            "sub/b.txt": b"plain",
            "c d.bin": b"",
            "post.txt": b"posted",
            "big": b"x" * 3_000_000,
        }
        done(client.put(f"{resource}/files/a.dcm", content=files["a.dcm"], headers={"content-type": "application/zip"}))
        done(client.put(f"{resource}/files/sub/b.txt", content=files["sub/b.txt"]))
        done(client.put(f"{resource}/files/c%20d.bin", content=files["c d.bin"]))
        said = {"format": "U", "content": "U", "tags": "U", "overwrite": "false", "inbody": "true"}
        done(client.post(f"{resource}/files/post.txt", content=files["post.txt"], params=said))
        chunks = (files["big"][at : at + 70_000] for at in range(0, len(files["big"]), 70_000))
        done(client.put(f"{resource}/files/big", content=chunks))
        assert digests(client, resource) == md5s(files)
        for name, data in files.items():
            assert client.get(f"{resource}/files/{name}").content == data
        (row,) = client.get(f"{resource.removesuffix('/DICOM')}").json()["ResultSet"]["Result"]
        assert (row["file_count"], row["file_size"]) == ("5", str(sum(map(len, files.values()))))


def test_content_format_and_tags_are_the_file_s_and_of_a_new_resource_too(site: DataFolder) -> None:
    with served(site) as (_, client, resource):
        where = f"{resource.removesuffix('/DICOM')}/NOTES"
        said = {"content": "notes", "format": "TXT", "tags": "first,second"}
        done(client.put(f"{where}/files/a.txt", content=b"1", params=said))
        done(client.put(f"{where}/files/b.txt", content=b"2", params={"tags": "other"}))
        listed = client.get(f"{where}/files").json()["ResultSet"]["Result"]
        told = {(one["file_content"], one["file_format"], one["file_tags"]) for one in listed}
        assert told == {("notes", "TXT", "first,second"), ("notes", "TXT", "other")}
        rows = client.get(where.removesuffix("/NOTES")).json()["ResultSet"]["Result"]
        assert "first,second" in [one["tags"] for one in rows if one["label"] == "NOTES"]
        done(client.put(where, params={"tags": "third"}))
        listed = client.get(f"{where}/files").json()["ResultSet"]["Result"]
        assert {one["file_tags"] for one in listed} == {"first,second", "other"}


def test_files_come_in_a_form_too(site: DataFolder) -> None:
    with served(site) as (_, client, resource):
        done(client.put(f"{resource}/files/named.txt", files={"file": ("other.txt", b"1")}))
        both = [("one", ("x.txt", b"2")), ("two", ("y.txt", b"3"))]
        done(client.post(f"{resource}/files", files=both))
        assert digests(client, resource) == md5s({"named.txt": b"1", "x.txt": b"2", "y.txt": b"3"})
        assert "names one" in done(client.post(f"{resource}/files/z.txt", files=both), 400)
        assert done(client.post(f"{resource}/files", files={}, data={"a": "b"}), 400)
        assert "names no file" in done(client.post(f"{resource}/files", content=b"x"), 400)
        headers = {"content-disposition": 'attachment; filename="told.txt"'}
        done(client.post(f"{resource}/files", content=b"4", headers=headers))
        assert "told.txt" in digests(client, resource)
        done(client.post(f"{resource}/files/d/", files=both))
        assert [client.get(f"{resource}/files/d/{name}.txt").content for name in "xy"] == [b"2", b"3"]


def test_a_file_is_replaced_only_where_that_is_asked_for(site: DataFolder) -> None:
    with served(site) as (_, client, resource):
        where = f"{resource}/files/a.txt"
        done(client.put(where, content=b"old"))
        done(client.put(where, content=b"old"))  # the answer was lost, and it is sent again
        for overwrite in ({}, {"overwrite": "false"}):
            assert "already" in done(client.put(where, content=b"new", params=overwrite), 409)
        assert done(client.put(where, content=b"old", params={"overwrite": "false"}), 409)
        assert client.get(where).content == b"old"
        done(client.put(where, content=b"new", params={"overwrite": "true"}))
        assert digests(client, resource) == md5s({"a.txt": b"new"})
        assert "a folder's" in done(client.put(f"{where}/below", content=b"x"), 400)
        done(client.put(f"{resource}/files/f/g", content=b"x"))
        assert "a folder's" in done(client.put(f"{resource}/files/f", content=b"x", params={"overwrite": "true"}), 400)
    assert [one.name for one in (site.data / "trash").iterdir()] != []


def test_what_can_be_no_path_is_refused(site: DataFolder) -> None:
    with served(site) as (_, client, resource):
        for path in ("a%2F..%2F..%2Fb", "..%2Fa", "a%5Cb", "a%00b", "a//b", "x" * 256):
            assert done(client.put(f"{resource}/files/{path}", content=b"x"), 400), path
        assert done(client.put(resource.replace("DICOM", "a.b") + "/files/a", content=b"x"), 400)
        assert digests(client, resource) == {}


def test_limits_hold_for_files_by_hand(site: DataFolder) -> None:
    with served(site, max_upload_bytes=1000) as (_, client, resource):
        done(client.put(f"{resource}/files/a", content=b"x" * 1001), 413)
        done(client.put(f"{resource}/files/a", content=iter([b"x" * 600, b"x" * 600])), 413)
        done(client.put(f"{resource}/files/a", content=b"x" * 1000))
        assert list(digests(client, resource)) == ["a"]


def test_a_file_for_which_there_is_no_space_is_refused(site: DataFolder) -> None:
    with served(site, min_free_bytes=1 << 60) as (_, client, resource):
        done(client.put(f"{resource}/files/b", content=b"x"), 507)
        assert digests(client, resource) == {}


def test_an_object_is_known_by_its_uid(site: DataFolder) -> None:
    (one,) = images(1)
    with served(site) as (web, client, resource):
        done(client.put(f"{resource}/files/1.dcm", content=one))
        done(client.put(f"{resource}/files/1.txt", content=b"none"))
        done(client.put(resource.replace("DICOM", "OTHER") + "/files/1.dcm", content=one))
        with web.site.catalog.read() as connection:
            found = [row for _, row in all_files(connection)]
    assert [row.sop_uid is not None for row in found] == [True, False, False]
    assert found[0].dataset_at > 132


def test_a_resource_that_was_made_first_learns_what_it_holds_from_its_files(site: DataFolder) -> None:
    with served(site) as (_, client, resource):
        done(client.put(resource))
        done(client.put(f"{resource}/files/1", content=b"1", params={"format": "U", "content": "U"}))
        done(client.put(f"{resource}/files/2", content=b"2", params={"format": "DICOM", "content": "RAW"}))
        done(client.put(f"{resource}/files/3", content=b"3", params={"format": "NIFTI"}))
        (row,) = client.get(resource.removesuffix("/DICOM")).json()["ResultSet"]["Result"]
        assert (row["format"], row["content"], row["file_count"]) == ("DICOM", "RAW", "3")


# -- archives ----------------------------------------------------------------------------------------------------------

FILES = {"1.txt": b"one", "sub/2.txt": b"two", "sub/deep/3.bin": os.urandom(70_000)}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_an_archive_is_extracted_by_its_content(site: DataFolder, kind: str) -> None:
    packed = tarred([(member("./"), b""), *((member(f"./{name}"), data) for name, data in FILES.items())])
    raw = {"zip": zip_entries(FILES), "tar": packed, "tar.gz": gzip.compress(packed)}[kind]
    with served(site) as (_, client, resource):
        done(client.put(f"{resource}/files/upload.odd", content=raw, params={"extract": "true"}))
        assert digests(client, resource) == md5s(FILES)
        done(client.post(f"{resource}/files/in/upload.odd", content=raw, params={"extract": "true"}))
        assert digests(client, resource) == md5s({**FILES, **{f"in/{name}": data for name, data in FILES.items()}})
        done(client.post(f"{resource}/files", files={"f": ("u.x", raw)}, params={"extract": "true"}))
        done(client.put(f"{resource}/files", content=raw, params={"extract": "true"}))
        more = {"extract": "true", "overwrite": "false"}
        assert "already" in done(client.put(f"{resource}/files/u", content=raw, params=more), 409)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (tarred([(member("a"), b"1"), (member("b", tarfile.SYMTYPE, "/etc/passwd"), b"")]), "symlink"),
        (tarred([(member("a"), b"1"), (member("b", tarfile.LNKTYPE, "a"), b"")]), "hardlink"),
        (tarred([(member("a"), b"1"), (member("../b"), b"2")]), "path"),
        (tarred([(member("/b"), b"2")]), "path"),
        (zip_entries({"a": b"1", "x/../../b": b"2"}), "path"),
        (zip_entries({"a": b"1", "..\\b": b"2"}), "path"),
        (zip_entries([("a", b"1"), ("a", b"2")]), "twice"),
        (zip_entries({"a": b"1"})[:-10], ""),
        (gzip.compress(b"no tar"), "no zip and no tar"),
        (b"nothing", "no zip and no tar"),
    ],
)  # fmt: skip
def test_of_a_hostile_archive_nothing_is_taken(site: DataFolder, raw: bytes, why: str) -> None:
    with served(site) as (_, client, resource):
        assert why in done(client.put(f"{resource}/files/u", content=raw, params={"extract": "true"}), 400)
        assert digests(client, resource) == {}
    assert sorted(one.name for one in site.data.parent.rglob("b")) == []


def test_limits_hold_for_what_is_extracted(site: DataFolder) -> None:
    with served(site, max_entries=2, max_entry_bytes=1000) as (_, client, resource):
        for files in ({"a": b"", "b": b"", "c": b""}, {"a": b"x" * 1001}):
            assert done(client.put(f"{resource}/files/u", content=zip_entries(files), params={"extract": "true"}), 400)
        assert digests(client, resource) == {}


# -- many at once ------------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_ten_threads_into_one_resource_all_land(site: DataFolder) -> None:
    files = {f"{n}.bin": os.urandom(500 + n) for n in range(60)}
    with served(site) as (web, client, resource):
        trees: list[int] = []

        def send(item: tuple[str, bytes]) -> None:
            done(client.put(f"{resource}/files/{item[0]}", content=item[1]))
            with web.site.catalog.read() as connection:
                trees.append(connection.execute(select(manifest.c.tree_id).limit(1)).scalar_one())

        with ThreadPoolExecutor(10) as threads:
            list(threads.map(send, files.items()))
        assert digests(client, resource) == md5s(files)
        assert len(set(trees)) < len(files), "each file had a tree of its own"


def test_rows_of_big_sessions_are_written_in_several_transactions(
    site: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (trees, tree_plan):
        monkeypatch.setattr(module, "BATCH", 3)
    files = {f"{n}": b"%d" % n for n in range(8)}
    with served(site) as (_, client, resource):
        for _ in range(2):
            more = {"extract": "true", "overwrite": "true"}
            done(client.put(f"{resource}/files/u", content=zip_entries(files), params=more))
            assert digests(client, resource) == md5s(files)
        done(client.delete(f"{resource}/files/3"))
        del files["3"]
        assert digests(client, resource) == md5s(files)


def test_one_that_is_refused_costs_the_others_nothing(site: DataFolder) -> None:
    with served(site) as (_, client, resource):
        done(client.put(f"{resource}/files/taken", content=b"x"))

        def send(n: int) -> int:
            name = "taken" if n % 3 == 0 else f"{n}"
            return client.put(f"{resource}/files/{name}", content=b"%d" % n).status_code

        with ThreadPoolExecutor(10) as threads:
            told = list(threads.map(send, range(30)))
        assert told == [409 if n % 3 == 0 else 200 for n in range(30)]
        assert len(digests(client, resource)) == 21


# -- cut off -----------------------------------------------------------------------------------------------------------


def test_a_body_that_is_cut_off_leaves_nothing(site: DataFolder) -> None:
    def cut() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise ConnectionError("gone")

    with served(site) as (_, client, resource):
        with pytest.raises(ConnectionError):
            client.put(f"{resource}/files/a", content=cut(), headers={"content-length": "200000"})
        done(client.put(f"{resource}/files/b", content=b"b"))
        assert list(digests(client, resource)) == ["b"]
