"""Who reads files is told the same by manifests as by rows: lists and their pages, the dialect, DICOMweb."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import Connection, select, update

from scandock.access.principal import SYSTEM
from scandock.catalog import file_manifests, verified_files
from scandock.catalog.engine import Catalog
from scandock.catalog.tables import file, session
from scandock.catalog.trees import count_variants, files_of, files_of_resources, find_files, heads_of
from scandock.catalog.verified_files import add_digests, read_learned
from scandock.publishing.tree_files import damaged_paths_of, paths_of
from scandock.services.data_catalog import open_data
from scandock.services.dicomweb_objects import read_tree
from scandock.services.pagination import CursorInvalid, Sorting
from scandock.services.session_contents import FILE_SORTS, find_file, find_readable_session, list_files
from scandock.services.session_parts import Folder, find_resources, find_scans
from scandock.services.session_parts import find_files as find_parts
from scandock.web.xnat.services.resource_catalog import has_missing_digests, iter_files
from scandock.workers.janitor import Janitor
from tests.builders import DataFolder, images, make_data_folder, uploader_layout
from tests.stored_files import make_all_old


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    monkeypatch.setattr(file_manifests, "FILES", 5)
    monkeypatch.setattr(file_manifests, "FEW", 2)
    monkeypatch.setattr(file_manifests, "SPLIT_AT", 2)
    return make_data_folder(tmp_path, monkeypatch, database_url)


def walk(connection: Connection, uuid: str, sort: str, limit: int, **chosen: Any) -> Iterator[Any]:
    """All files of a list, page by page."""
    cursor = None
    while True:
        page = list_files(connection, SYSTEM, uuid, Sorting(sort=sort, limit=limit, cursor=cursor), **chosen)
        assert len(page.items) == limit or page.next is None
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


def read_all(catalog: Catalog, uuid: str) -> dict[str, Any]:
    """What all readers say of a session."""
    answers: dict[str, Any] = {}
    with catalog.read() as connection:
        holder = find_readable_session(connection, SYSTEM, uuid)
        every = list(walk(connection, uuid, "n", 500))
        for name in FILE_SORTS:
            for sort in (name, f"-{name}"):
                for chosen in ({}, {"scan_id": "1"}, {"resource_label": "notes"}, {"search": "A"}, {"scan_id": "none"}):
                    found = list(walk(connection, uuid, sort, 3, **chosen))
                    answers[f"{sort} {chosen}"] = found
                    expected = [
                        one
                        for one in every
                        if chosen.get("scan_id") in (None, one.scan)
                        and chosen.get("resource_label", one.resource).lower() == one.resource.lower()
                        and chosen.get("search", "").lower() in one.name.lower()
                    ]
                    expected.sort(key=lambda one: (one.id if name == "n" else getattr(one, name), one.id))
                    assert found == (expected[::-1] if sort.startswith("-") else expected), (sort, chosen)
        answers["one"] = [find_file(connection, SYSTEM, uuid, one.id) for one in every]
        assert answers["one"] == every
        scans = find_scans(connection, holder)
        for resources in (find_resources(connection, holder), find_resources(connection, holder, scans=scans)):
            names = ("a.txt", "sub/b.txt", "none")
            answers[f"parts {len(answers)}"] = [
                find_parts(connection, holder, resources),
                *(find_parts(connection, holder, resources, name) for name in names),
                *(find_parts(connection, holder, resources, folder=Folder("sub", deep)) for deep in (True, False)),
            ]
        tree_id = holder.tree_id
        files = list(files_of(connection, tree_id))
        answers["files"] = files
        assert [tuple(one) for one in heads_of(connection, tree_id)] == [row[:4] for row in files]
        assert list(files_of(connection, tree_id, 2, 7)) == [row for row in files if 2 <= row.n <= 7]
        assert list(files_of(connection, tree_id, downwards=True)) == files[::-1]
        assert list(files_of(connection, tree_id, 2, 7, downwards=True)) == [r for r in files[::-1] if 2 <= r.n <= 7]
        assert find_files(connection, tree_id, {1, 6, 99}) == [row for row in files if row.n in (1, 6)]
        numbers = {row.resource_n for row in files[:1]}
        assert list(files_of_resources(connection, tree_id, numbers)) == [r for r in files if r.resource_n in numbers]
        facts = read_learned(connection, tree_id)
        answers["learned"] = [(facts.moment(row.n), facts.md5(row.n)) for row in files]
        answers["objects"] = list(read_tree(connection, holder).objects)
        answers["paths"] = paths_of(connection, tree_id), damaged_paths_of(connection, tree_id)
        answers["variants"] = count_variants(connection, tree_id)
    return answers


@pytest.mark.postgresql
def test_manifests_tell_readers_what_rows_do(site: DataFolder) -> None:
    notes = {
        f"S1/resources/NOTES/files/{name}": name.encode() for name in ("a.txt", "sub/b.txt", "sub/c/d.txt", "ä.txt")
    }
    scans = {**uploader_layout("S1", "1", images(7)), **uploader_layout("S1", "2", images(11)[7:])}
    site.bring({**scans, **notes}, session="S1", resources="keep")
    with open_data(str(site.data), site.settings) as (catalog, store):
        with catalog.read() as connection:
            uuid, tree_id = connection.execute(select(session.c.uuid, session.c.tree_id)).one()
            assert file_manifests.has_manifests(connection, tree_id)
        by_manifests = read_all(catalog, uuid)
        with catalog.write() as connection:  # as it is with a session of an older version
            make_all_old(connection)
            old = {"md5": b"m" * 16, "verified": 77}
            connection.execute(update(file).where(file.c.n > 1).values(**old))
        by_rows = read_all(catalog, uuid)
        learned = by_rows.pop("learned")
        assert learned == [(None, None)] * 2 + [(77, b"m" * 16)] * (len(learned) - 2)
        Janitor(catalog, store, site.settings, structlog.get_logger())._clear()  # noqa: SLF001  a turn of its thread
        with catalog.read() as connection:
            assert file_manifests.has_manifests(connection, tree_id)
            assert connection.execute(select(file.c.n)).first() is None
        moved = read_all(catalog, uuid)
        assert moved.pop("learned") == learned, "what rows said of before goes along"
        assert len(moved["files"]) == 15
        assert moved.keys() == by_rows.keys() == by_manifests.keys() - {"learned"}
        for key, answer in moved.items():
            assert answer == by_rows[key], key


@pytest.mark.postgresql
def test_what_is_asked_of_a_few_files_is_read_of_a_few(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are between them: a session may have a million."""
    monkeypatch.setattr(verified_files, "DIGESTS_OF_A_ROW", 3)
    for label, some in (("A", images(4)), ("Z", images(33)[4:])):
        notes = {f"S1/resources/{label}/files/note.txt": label.encode()}
        site.bring(uploader_layout("S1", "1", some) | notes, session="S1", resources="keep", overwrite="append")
    unpacked: list[str] = []

    def count_unpacked(module: Any, name: str) -> None:
        unpack = getattr(module, name)

        def unpack_and_count(body: bytes) -> Any:
            unpacked.append(name)
            return unpack(body)

        monkeypatch.setattr(module, name, unpack_and_count)

    count_unpacked(file_manifests, "unpack_rows")
    count_unpacked(verified_files, "unpack_digests")
    with site.catalog() as catalog:
        with catalog.write() as connection:
            uuid, tree_id = connection.execute(select(session.c.uuid, session.c.tree_id)).one()
            files = list(files_of(connection, tree_id))
            assert len(files) == 35
            add_digests(connection, tree_id, {row.n: bytes([row.n]) * 16 for row in files})
        with catalog.read() as connection:
            images_of_1 = next(row.resource_n for row in files if row.name.endswith(".dcm"))
            of_scan = [row for row in files if row.resource_n == images_of_1]
            for sort, expected in (("-n", of_scan[:-4:-1]), ("n", of_scan[:3])):
                unpacked.clear()
                page = list_files(connection, SYSTEM, uuid, Sorting(sort=sort, limit=3), scan_id="1")
                assert [one.id for one in page.items] == [row.n for row in expected]
                assert unpacked.count("unpack_rows") <= 2, sort
                assert unpacked.count("unpack_digests") <= 2, sort

            unpacked.clear()
            page = list_files(connection, SYSTEM, uuid, Sorting(sort="n", limit=9), search="note.txt")
            assert [one.md5 for one in page.items] == [(bytes([one.id]) * 16).hex() for one in page.items]
            assert unpacked.count("unpack_digests") == 2

            unpacked.clear()
            holder = find_readable_session(connection, SYSTEM, uuid)
            resources = find_resources(connection, holder) + find_resources(
                connection, holder, scans=find_scans(connection, holder)
            )
            found = find_parts(connection, holder, resources, "note.txt")
            assert [one.md5 for one in found] == [bytes([one.n]) * 16 for one in found]
            assert len(found) == unpacked.count("unpack_digests") == 2

            for one in resources:
                of_resource = [row for row in files if row.resource_n == one.n]
                entries = list(iter_files(connection, holder, one))
                assert [(entry.name, entry.md5) for entry in entries] == [
                    (r.name, bytes([r.n]) * 16) for r in of_resource
                ]
                assert not has_missing_digests(connection, holder, one)


@pytest.mark.postgresql
def test_a_cursor_of_other_values_is_refused(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(4)), session="S1")
    with site.catalog() as catalog, catalog.read() as connection:
        uuid = connection.execute(select(session.c.uuid)).scalar_one()
        by_name = list_files(connection, SYSTEM, uuid, Sorting(sort="name", limit=2)).next
        assert by_name is not None
        for cursor in ("x", by_name):
            with pytest.raises(CursorInvalid):
                list_files(connection, SYSTEM, uuid, Sorting(sort="bytes", limit=2, cursor=cursor))
