"""What came beside what is archived: counted by the catalog, for all held sessions of a page at once."""

from __future__ import annotations

import gc
from collections.abc import Sequence

import pytest
from sqlalchemy import event, select

from scandock.catalog.file_rows import FileRow
from scandock.catalog.tables import session
from scandock.services import comparison
from scandock.services.comparison import Comparison, compare_sessions
from tests.builders import DataFolder, Image, make_data_folder, uploader_layout


@pytest.fixture
def site(tmp_path, monkeypatch, database_url) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


def objects(numbers: Sequence[int], name: bytes = b"DOE^JANE", case: str = "compared") -> list[bytes]:
    return [Image(case=case, number=n, patient_name=name).file() for n in numbers]


def compared(site: DataFolder) -> dict[str, Comparison]:
    """By the label of what came."""
    with site.catalog() as catalog, catalog.read() as connection:
        uuids = connection.execute(select(session.c.uuid).where(session.c.place == "prearchive")).scalars().all()
        return {one.came.label: one for one in compare_sessions(connection, uuids).values()}


@pytest.mark.postgresql
def test_objects_are_the_same_different_or_on_one_side_alone(site):
    site.bring(uploader_layout("S1", "1", objects(range(6))))
    site.bring(uploader_layout("S1", "1", objects([0, 1, 2], b"OTHER") + objects([3, 4]) + objects([7, 8])))
    one = compared(site)["S1"]
    assert one.stands is not None
    assert (one.stands.label, one.stands.files, one.came.files) == ("S1", 6, 7)
    assert (one.same, one.differ, one.only_came, one.only_stands, one.inner) == (2, 3, 2, 1, 0)
    assert one.stands.date == "2020-01-31"


def test_what_came_again_is_all_there(site):
    site.bring(uploader_layout("S1", "1", objects(range(3))))
    site.bring(uploader_layout("S1", "1", objects(range(3))), overwrite="none")
    one = compared(site)["S1"]
    assert (one.same, one.differ, one.only_came, one.only_stands) == (3, 0, 0, 0)


def test_the_study_goes_before_the_label(site):
    site.bring(uploader_layout("S1", "1", objects(range(2))))
    site.bring(uploader_layout("S2", "1", objects(range(3))), session="S2")
    site.bring(uploader_layout("S3", "1", objects(range(2), case="another")), destination="prearchive")
    one = compared(site)["S2"]
    assert one.stands is not None
    assert (one.stands.label, one.same, one.only_came) == ("S1", 2, 1)


@pytest.mark.postgresql
def test_versions_within_what_came_are_told(site):
    site.bring(uploader_layout("S1", "1", objects([0, 1]) + objects([1], b"OTHER")))
    one = compared(site)["S1"]
    assert (one.stands, one.inner, one.spare, one.only_came) == (None, 1, 1, 3)


def test_other_files_are_compared_by_their_bytes(site):
    notes = {"S1/resources/NOTES/files/a.txt": b"one", "S1/resources/NOTES/files/b.txt": b"two"}
    site.bring(uploader_layout("S1", "1", objects([0])) | notes)
    more = {"S1/resources/NOTES/files/c.txt": b"one", "S1/resources/NOTES/files/d.txt": b"three"}
    site.bring(uploader_layout("S1", "1", objects([0])) | more, overwrite="none")
    one = compared(site)["S1"]
    assert (one.same, one.differ, one.only_came, one.only_stands) == (2, 0, 1, 1)


def test_what_nothing_contests_is_left_out(site):
    site.bring(uploader_layout("S1", "1", objects([0])), destination="prearchive")
    site.bring(
        uploader_layout(
            "S2", "1", [Image(case="two", number=n, patient_id=who).file() for n, who in enumerate((b"A", b"B"))]
        )
    )
    assert compared(site) == {}


@pytest.mark.postgresql
def test_many_cost_few_statements_and_big_ones_are_not_counted(site, monkeypatch):
    for case in ("a", "b", "c"):
        site.bring(uploader_layout(case, "1", objects(range(3), case=case)))
        site.bring(uploader_layout(case, "1", objects(range(4 + (case == "c")), case=case)), overwrite="none")
    monkeypatch.setattr(comparison, "MAX_FILES", 7)
    with site.catalog() as catalog, catalog.read() as connection:
        uuids = connection.execute(select(session.c.uuid).where(session.c.place == "prearchive")).scalars().all()
        asked: list[str] = []
        event.listen(connection, "before_cursor_execute", lambda *given: asked.append(given[2]))
        found = compare_sessions(connection, uuids)
        assert len(asked) == 2 + 2 * 4, "two for all sessions, and two for the files of each that is counted"
    assert {one.came.label: one.only_came for one in found.values()} == {"a": 1, "b": 1, "c": None}


def test_of_each_file_no_more_is_held_than_what_it_is_compared_by(site, monkeypatch):
    site.bring(uploader_layout("S1", "1", objects(range(6))))
    site.bring(uploader_layout("S1", "1", objects([0, 1, 2], b"OTHER")))
    compare, held = comparison._compare_files, []  # noqa: SLF001  where all files of both sides are there

    def compare_and_count(came, stood):
        gc.collect()
        held.append((len(came), len(stood), sum(type(one) is FileRow for one in gc.get_objects())))
        return compare(came, stood)

    monkeypatch.setattr(comparison, "_compare_files", compare_and_count)
    assert compared(site)["S1"].differ == 3
    assert held == [(3, 6, 0)]
