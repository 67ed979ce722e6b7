"""The trees that imports, merges and choices plan: nothing in them that nobody has a row of, and sums that are true."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from scandock.access.principal import SYSTEM
from scandock.catalog.tables import resource, scan, session, tree
from scandock.catalog.trees import files_of
from scandock.services.archiving import archive_session
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.held_sessions import resolve_session
from tests.builders import DataFolder, Image, images, make_data_folder, sha256, zip_entries

COMMENT = 0x00204000
FRAMES = 0x00280008


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


def image(number: int, text: bytes = b"", *, frames: bytes = b"", series: int = 1) -> bytes:
    also = {COMMENT: (b"LT", text)} | ({FRAMES: (b"IS", frames)} if frames else {})
    return Image(case="next", number=number, series=series, series_number=b"%d" % series, also=also).file()


def damaged(entries: dict[str, bytes]) -> bytes:
    """A zip whose last entry can't be read."""
    raw = bytearray(zip_entries(entries))
    raw[raw.index([*entries][-1].encode()) + 60] ^= 0xFF
    return bytes(raw)


def sums_hold(site: DataFolder) -> dict[str, int]:
    """Frames by scan of the only session, once all its sums were compared with its files' rows."""
    with site.catalog() as catalog, catalog.read() as connection:
        (tree_id,) = connection.execute(select(session.c.tree_id)).scalars()
        whole = connection.execute(select(tree.c.files, tree.c.bytes).where(tree.c.id == tree_id)).one()
        files = list(files_of(connection, tree_id))
        by_resource = {n: [row for row in files if row.resource_n == n] for n in {row.resource_n for row in files}}
        rows = {
            n: (len(of_n), sum(row.bytes for row in of_n), sum(row.frames for row in of_n))
            for n, of_n in by_resource.items()
        }
        resources = connection.execute(select(resource).where(resource.c.tree_id == tree_id)).all()
        scans = connection.execute(select(scan).where(scan.c.tree_id == tree_id)).all()
    assert {one.n: (one.files, one.bytes) for one in resources} == {n: row[:2] for n, row in rows.items()}
    assert tuple(whole) == (sum(row[0] for row in rows.values()), sum(row[1] for row in rows.values()))
    for one in scans:
        mine = [rows[each.n] for each in resources if each.scan_n == one.n]
        assert (one.files, one.bytes) == (sum(row[0] for row in mine), sum(row[1] for row in mine))
    images = {each.n: rows[each.n][2] for each in resources if each.label == "DICOM"}
    frames = {
        one.n: sum(images[each.n] for each in resources if each.scan_n == one.n and each.n in images) for one in scans
    }
    assert {one.n: one.frames for one in scans} == frames
    return {one.scan_id: one.frames for one in scans}


@pytest.mark.postgresql
def test_sums_are_those_of_the_rows_whatever_joins_or_goes(site: DataFolder) -> None:
    first = site.bring({"1.dcm": image(1, frames=b"5"), "2.dcm": image(2), "a/log.txt": b"one"})
    assert sums_hold(site) == {"1": 6}
    site.bring({"3.dcm": image(3, frames=b"2"), "4.dcm": image(4, series=2), "a/log.txt": b"more"})
    assert sums_hold(site) == {"1": 8, "2": 1}
    taken = {"4.dcm": image(4, b"other", frames=b"3", series=2), "a/log.txt": b"replaced"}
    site.bring(taken, overwrite="delete")
    assert sums_hold(site) == {"1": 8, "2": 3}
    (site.data / str(first.line("1.dcm")["stored_as"])).unlink()
    site.bring({"1.dcm": image(1, frames=b"5"), "5.dcm": image(5)})
    assert sums_hold(site) == {"1": 9, "2": 3}


def test_sums_are_those_of_the_rows_after_a_merge_and_a_choice(site: DataFolder) -> None:
    site.bring({"1.dcm": image(1, frames=b"5"), "a/log.txt": b"one"}, session="S")
    site.bring({"2.dcm": image(2, frames=b"2"), "a/log.txt": b"two"}, session="S", destination="prearchive")
    with open_data(str(site.data), site.settings) as (catalog, store):
        context = ServiceContext(catalog, store, site.settings, SYSTEM)
        with catalog.read() as connection:
            waits = connection.execute(select(session.c.uuid).where(session.c.place == "prearchive")).scalar_one()
        before = site.files()
        looked = archive_session(context, waits, overwrite="append", dry_run=True)
        assert site.files() == before
        done = archive_session(context, waits, overwrite="append")
    assert (looked.counts, looked.warnings) == (done.counts, done.warnings)
    assert sums_hold(site) == {"1": 7}
    site.check()


def test_of_versions_the_one_that_is_not_chosen_counts_for_nothing(site: DataFolder) -> None:
    site.bring({"1.dcm": image(1, b"a", frames=b"5"), "2.dcm": image(1, b"b", frames=b"2"), "3.dcm": image(3)})
    assert sums_hold(site) == {"1": 8}
    with open_data(str(site.data), site.settings) as (catalog, store):
        with catalog.read() as connection:
            held = connection.execute(select(session.c.uuid)).scalar_one()
        resolve_session(ServiceContext(catalog, store, site.settings, SYSTEM), held, "keep_new")
    assert sums_hold(site) == {"1": 3}
    site.check()


def test_what_a_refused_inner_archive_brought_is_in_no_tree(site: DataFolder) -> None:
    """Of the same series as what another one brought, and read into the same folder before it was refused."""
    objects = images(4)
    broken = damaged({"3.dcm": objects[2], "4.dcm": objects[3]})
    told = site.bring({"a.zip": zip_entries({"1.dcm": objects[0], "2.dcm": objects[1]}), "b.zip": broken})

    assert told.counts == {"stored": 2, "refused": 2}
    assert sorted(site.files().values()) == sorted(map(sha256, objects[:2]))


def test_what_takes_the_name_of_a_refused_object_has_it(site: DataFolder) -> None:
    """The refused one was read first, so that the readers gave the other one a spare name."""
    broken = damaged({"1.dcm": image(1, b"refused"), "2.dcm": image(2)})
    told = site.bring({"a.zip": broken, "b.zip": zip_entries({"1.dcm": image(1, b"kept"), "3.dcm": image(3)})})

    assert told.counts == {"stored": 2, "refused": 2}
    assert sorted(site.files().values()) == sorted([sha256(image(1, b"kept")), sha256(image(3))])
    assert not any("_" in Path(str(line["stored_as"])).name for line in told.lines if line["stored_as"])


def test_a_file_that_an_archive_heals_is_not_replaced_by_the_same_archive(site: DataFolder) -> None:
    first = site.bring({"1.dcm": image(1), "a/log.txt": b"one"})
    stands = site.data / str(first.line("a/log.txt")["stored_as"])
    stands.write_bytes(b"cut short")
    told = site.bring(
        zip_entries([("1.dcm", image(1)), ("a/log.txt", b"one"), ("a/log.txt", b"two")]), overwrite="delete"
    )

    assert told.counts == {"duplicate": 1, "resource": 2}
    assert stands.read_bytes() == b"one"
    assert sha256(b"two") in site.files().values()
    site.check()
