"""The rows of trees: written, read, copied and summed, on both databases."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import select

from scandock.catalog import trees
from scandock.catalog.engine import Catalog
from scandock.catalog.file_rows import FileRow
from scandock.catalog.sessions import existing_session
from scandock.catalog.tables import tree
from scandock.catalog.trees import (
    ResourceRow,
    ScanRow,
    copy_files,
    files_of,
    resources_of,
    scans_of,
    write_files,
    write_structure,
)
from scandock.model.series import EcatFacts, SeriesTally
from tests.unit.catalog.conftest import Rows

pytestmark = pytest.mark.postgresql


def file_row(n: int, *, resource: int = 0, size: int = 10, frames: int = 1, sop: str | None = "1.2.3") -> FileRow:
    return FileRow(n, resource, f"{n}.dcm", size, hashlib.sha256(b"%d" % n).digest(), sop, frames, 132)


def read(catalog: Catalog, number: int) -> list[FileRow]:
    with catalog.read() as connection:
        return list(files_of(connection, number))


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of three, so that every test crosses their edges."""
    monkeypatch.setattr(trees, "BATCH", 3)


def test_files_come_back_as_they_were_written(catalog: Catalog, rows: Rows, subtests: pytest.Subtests) -> None:
    for count in (0, 1, 2, 3, 4, 7):
        with subtests.test(count=count):
            number = rows.tree()
            written = [file_row(n, sop=None if n % 2 else f"1.2.{n}") for n in range(count)]
            write_files(catalog, number, iter(written))

            assert read(catalog, number) == written


def test_files_come_by_number_whatever_the_order_of_writing(catalog: Catalog, rows: Rows) -> None:
    number = rows.tree()
    write_files(catalog, number, [file_row(n) for n in (5, 1, 4, 0, 9)])

    assert [row.n for row in read(catalog, number)] == [0, 1, 4, 5, 9]


def test_files_of_one_tree_are_none_of_another(catalog: Catalog, rows: Rows) -> None:
    one, two = rows.tree(), rows.tree()
    write_files(catalog, one, [file_row(0)])
    write_files(catalog, two, [file_row(0, size=99), file_row(1)])

    assert [row.bytes for row in read(catalog, one)] == [10]
    assert [row.bytes for row in read(catalog, two)] == [99, 10]


def test_a_copy_keeps_numbers_and_leaves_out_what_is_dropped(
    catalog: Catalog, rows: Rows, subtests: pytest.Subtests
) -> None:
    copies: list[tuple[list[int], list[int]]] = [
        ([0, 1, 2, 3, 4, 5, 6], []), ([0, 1, 2, 3], [3]), ([0, 2, 7, 8, 20], [2, 8]), ([4], [4]), ([], []),
    ]  # fmt: skip
    for numbers, dropped in copies:
        with subtests.test(numbers=numbers, dropped=dropped):
            old, new = rows.tree(), rows.tree(state="staged")
            write_files(catalog, old, [file_row(n) for n in numbers])
            copy_files(catalog, old, new, max(numbers, default=-1), dropped)

            assert read(catalog, new) == [file_row(n) for n in numbers if n not in dropped]
            assert read(catalog, old) == [file_row(n) for n in numbers]


def test_many_are_dropped_in_batches(catalog: Catalog, rows: Rows) -> None:
    old, new = rows.tree(), rows.tree(state="staged")
    write_files(catalog, old, [file_row(n) for n in range(20)])
    copy_files(catalog, old, new, 19, range(1, 20))

    assert [row.n for row in read(catalog, new)] == [0]


def test_scans_and_resources_come_back_with_what_they_are_made_from(catalog: Catalog, rows: Rows) -> None:
    tally = SeriesTally("1.2", "1.2.3", 5, 9)
    tally.add(0x00080060, "MR", 4)
    tally.add(0x0008103E, "größe\u0000😀\ud800")
    tally.nested = {"Radiopharmaceutical": "FDG"}
    tally.overfull = {0x00200013, 0x00080018}
    pet = EcatFacts(
        magic="MATRIX72v", file_type=7, patient_id="A", patient_name="B", scan_start_time=2**32 - 1, study_type="",
        study_description="", facility="", acquisition_type=3, num_planes=1, num_frames=2, num_gates=1, operator="",
        original_file_name="", system_type=962, isotope="F-18", radiopharmaceutical="", dose_start_time=0,
        parameters={"orientation": "x"}, frames=((1, 0.0, 60.5), (2, 60.5, 0.1)),
    )  # fmt: skip
    scans = [
        ScanRow(0, "4", "1.2.3", "MR", "xnat:mrScanData", "t1", {"quality": "usable"}, tally, 9, 5, 1234),
        ScanRow(3, "5", None, "PT", "xnat:petScanData", "", {}, [pet], 2, 1, 2**40),
        ScanRow(4, "6", "1.2.4"),
    ]
    resources = [ResourceRow(0, 0, "DICOM", "RAW", "DICOM", 5, 1234), ResourceRow(2, None, "NOTES", "NOTES", "", 1, 7)]
    number = rows.tree()
    with catalog.write() as connection:
        write_structure(connection, number, scans, resources)
    with catalog.read() as connection:
        assert scans_of(connection, number) == scans
        assert resources_of(connection, number) == resources
        made = connection.execute(select(tree.c.files, tree.c.bytes).where(tree.c.id == number)).one()
    assert tuple(made) == (6, 1241)


def test_a_tree_without_anything_is_one(catalog: Catalog, rows: Rows) -> None:
    number = rows.tree()
    with catalog.write() as connection:
        write_structure(connection, number, [], [])
    with catalog.read() as connection:
        assert (scans_of(connection, number), resources_of(connection, number)) == ([], [])


def test_a_session_to_join_comes_with_why_it_is_held(catalog: Catalog, rows: Rows) -> None:
    uuid = rows.session(
        rows.project(),
        label="VISIT",
        subject="S1",
        place="prearchive",
        timestamp="20200101_101112131",
        state="conflict",
        study_uid="1.2",
        patient_id="P1",
        ecat=True,
        held_code="sop_clash",
        held_message="It clashes.",
        held_remedy="Decide.",
        warnings='[{"code": "x", "message": "y"}]',
    )
    with catalog.read() as connection:
        found = existing_session(connection, uuid)

    assert (found.label, found.subject, found.place, found.timestamp) == (
        "VISIT",
        "S1",
        "prearchive",
        "20200101_101112131",
    )
    assert (found.state, found.study_uid, found.patient_id, found.ecat) == ("conflict", "1.2", "P1", True)
    assert found.held == ("sop_clash", "It clashes.", "Decide.")
    assert found.warnings == [{"code": "x", "message": "y"}]
