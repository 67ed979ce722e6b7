"""What lists of DICOM studies have of a session: from its import on, wherever it goes, and of sessions from before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EIO, ENOENT
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import Connection, Table, delete, func, insert, select, update

from scandock.catalog.dicom_listings import rewrite_listing
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import damage
from scandock.catalog.tables import ListingState, dicom_series, dicom_study, project, scan, session, tree
from scandock.catalog.trees import scan_values, scans_of
from scandock.model.series import REQUESTS, SeriesTally
from scandock.model.tags import NUMBERS
from scandock.rules.dicom_listing import LATER_READ
from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Level, Policy
from scandock.services.cleaning.cleaner import CatalogAndStore
from scandock.services.cleaning.trash import TRASH
from scandock.services.data_catalog import open_data
from scandock.services.dicom_listing_fill import fill_listings
from scandock.store.local import LocalStore
from scandock.store.snapshots import LocalSnapshot
from scandock.testing.privacy import given_privacy
from scandock.workers.janitor import Janitor
from tests.badinput.objects import ITEM, ITEM_END, element
from tests.builders import DataFolder, Image, make_data_folder
from tests.integration.web import serve_data_folder

REQUEST = ITEM + element(0x00400009, b"SH", b"STEP1") + element(0x00401001, b"SH", b"PROC1") + ITEM_END
ALSO = {
    0x00080050: (b"SH", b"ACC1"),
    0x00080090: (b"PN", b"House^Gregory"),
    0x00080201: (b"SH", b"+0100"),
    0x00081030: (b"LO", b"Head"),
    0x0008103E: (b"LO", b"t1"),
    0x00100021: (b"LO", b"Hospital"),
    0x00100030: (b"DA", b"19700102"),
    0x00100040: (b"CS", b"F"),
    0x00200010: (b"SH", b"17"),
    0x00400244: (b"DA", b"20200131"),
    0x00400245: (b"TM", b"1014"),
    0x00400275: (b"SQ", REQUEST),
}
FILES = {"removeFiles": "true"}
STUDY = {
    "date": "20200131", "time": "101500", "accession": "ACC1", "patient_id": "PAT1", "issuer": "Hospital",
    "patient_name": "DOE^JANE", "birth_date": "19700102", "sex": "F", "physician": "House^Gregory", "study_id": "17",
    "description": "Head", "timezone": "+0100", "modalities": "MR", "series": 1, "instances": 2,
}  # fmt: skip


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


def objects(study: object = 1, series: int = 1, count: int = 2, **values: Any) -> dict[str, bytes]:
    return {
        f"{study}-{series}-{n}.dcm": Image(
            case="listed", study=study, series=series, number=n, series_number=b"%d" % series, also=ALSO, **values
        ).file()
        for n in range(1, count + 1)
    }


def shown(site: DataFolder) -> list[dict[str, Any]]:
    """The rows of studies that are somebody's to see, with the project's id, by date of the row."""
    with site.catalog() as catalog, catalog.read() as connection:
        rows = connection.execute(
            select(dicom_study, project.c.name.label("project"), session.c.label)
            .join(session, session.c.id == dicom_study.c.session_id)
            .join(project, project.c.id == dicom_study.c.project_id)
            .order_by(dicom_study.c.study_uid)
        ).mappings()
        return [dict(row) for row in rows]


def series_rows(site: DataFolder) -> list[dict[str, Any]]:
    """The series of these studies."""
    trees = {row["tree_id"] for row in shown(site)}
    with site.catalog() as catalog, catalog.read() as connection:
        rows = connection.execute(select(dicom_series).order_by(dicom_series.c.n)).mappings()
        return [dict(row) for row in rows if row["tree_id"] in trees]


def places(site: DataFolder) -> list[tuple[str, str, str, int, int]]:
    return [(row["project"], row["place"], row["label"], row["series"], row["instances"]) for row in shown(site)]


def orphans(site: DataFolder) -> int:
    """Rows of trees that nobody sees and that are not in the trash either."""
    with site.catalog() as catalog, catalog.read() as connection:
        states = connection.execute(select(tree.c.state).join(dicom_study, dicom_study.c.tree_id == tree.c.id))
        return sum(state == "staged" for state in states.scalars())


@pytest.mark.postgresql
def test_an_import_writes_what_headers_have(site: DataFolder) -> None:
    """All values of a study and its series; a repeat changes nothing, and one more series joins them."""
    site.bring(objects())
    (row,) = shown(site)
    assert {name: row[name] for name in STUDY} == STUDY
    assert (row["patient_alphabetic"], row["physician_alphabetic"]) == ("doe^jane", "house^gregory")
    (series,) = series_rows(site)
    assert (series["number"], series["description"], series["step_date"], series["step_time"]) == (
        *("1", "t1", "20200131", "1014"),
    )
    assert series["requests"] == '[["STEP1", "PROC1"]]'
    assert series["instances"] == 2
    site.bring(objects())
    site.bring(objects(series=2, count=3, modality=b"CT"), overwrite="append")
    (row,) = shown(site)
    assert (row["modalities"], row["series"], row["instances"]) == ("CT\\MR", 2, 5)
    assert orphans(site) == 0


@pytest.mark.postgresql
def test_studies_go_where_their_session_goes(site: DataFolder) -> None:
    """Prearchive, another project there, archive, another label, the trash, back from it; into another session."""
    with serve_data_folder(site) as (_, admin):
        _ok(admin.post("/api/v1/projects", json={"id": "Q", "name": "Second"}))
        site.bring(objects(), destination="prearchive")
        assert places(site) == [("P", "prearchive", "PAT1", 1, 2)]
        (waiting,) = _items(admin, "/api/v1/prearchive")
        _ok(admin.post(f"/api/v1/prearchive/{waiting['id']}/move", json={"project": "Q"}))
        assert places(site) == [("Q", "prearchive", "PAT1", 1, 2)]
        _ok(admin.post(f"/api/v1/prearchive/{waiting['id']}/archive"))
        assert places(site) == [("Q", "archive", "PAT1", 1, 2)]
        _ok(admin.patch(f"/api/v1/sessions/{waiting['id']}", json={"label": "Other"}))
        assert places(site) == [("Q", "archive", "Other", 1, 2)]
        _ok(admin.delete(f"/api/v1/sessions/{waiting['id']}"))
        assert places(site) == []
        _ok(admin.post(f"/api/v1/trash/{waiting['id']}/restore"))
        assert places(site) == [("Q", "archive", "Other", 1, 2)]
        # one more series of the study waits, and joins its session by the merge of archiving
        site.bring(objects(series=2), project="Q", destination="prearchive")
        assert places(site) == [("Q", "archive", "Other", 1, 2), ("Q", "prearchive", "Other", 1, 2)]
        (waiting,) = _items(admin, "/api/v1/prearchive")
        _ok(admin.post(f"/api/v1/prearchive/{waiting['id']}/archive", json={"overwrite": "append"}))
        assert places(site) == [("Q", "archive", "Other", 2, 4)]
        assert [(row["number"], row["instances"]) for row in series_rows(site)] == [("1", 2), ("2", 2)]
        (archived,) = _items(admin, "/api/v1/sessions")
        _ok(admin.delete(f"/data/projects/Q/subjects/{archived['subject']}/experiments/Other/scans/1", params=FILES))
        assert places(site) == [("Q", "archive", "Other", 1, 2)]
        assert [row["number"] for row in series_rows(site)] == ["2"]
        _ok(admin.delete(f"/api/v1/sessions/{archived['id']}"))
    assert places(site) == []


def test_trees_that_are_gone_leave_no_rows(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, admin):
        site.bring(objects())
        (archived,) = _items(admin, "/api/v1/sessions")
        _ok(admin.delete(f"/api/v1/sessions/{archived['id']}"))
        assert count(site, dicom_study) == count(site, dicom_series) == 1
        state = web.site
        assert TRASH.clean(CatalogAndStore(state.catalog, state.store, state.settings), 0) == 1
    assert count(site, dicom_study) == count(site, dicom_series) == 0


def test_a_study_of_two_sessions_has_a_row_for_each(site: DataFolder) -> None:
    """PET and MR are parted by the project's setting."""
    site.project(petmr="separate")
    site.bring({**objects(modality=b"MR"), **objects(series=2, modality=b"PT")})
    rows = shown(site)
    assert len({row["study_uid"] for row in rows}) == 1
    assert sorted((row["modalities"], row["series"]) for row in rows) == [("MR", 1), ("PT", 1)]


@pytest.mark.parametrize("level", ["hash", "drop"])
def test_nothing_of_the_originals_is_listed(site: DataFolder, level: Level) -> None:
    """Where a policy hashes or drops UIDs and patients, rows have those of the new objects."""
    site.scrubs = True
    rules = PrivacyRules(key=b"k" * 32, policy=Policy(study_uid=level, patient=level, names=level))
    original = Image(case="listed", series=1, number=1)
    with given_privacy(rules):
        site.bring(objects())
    (row,) = shown(site)
    (series,) = series_rows(site)
    assert row["study_uid"] != original.study_uid.decode()
    assert series["series_uid"] != original.series_uid.decode()
    assert row["patient_id"] != "PAT1"
    for value in (*row.values(), *series.values()):
        assert not any(text in str(value).casefold() for text in ("doe", "jane")), value
    assert row["instances"] == 2


# -- sessions from before ----------------------------------------------------------------------------------------------


def forget(site: DataFolder, *, facts: bool) -> None:
    """Make DATA as an earlier version left it: nothing listed, and with `facts` fewer elements counted."""
    numbers = {NUMBERS[keyword] for keyword in LATER_READ}
    with site.catalog() as catalog, catalog.write() as connection:
        connection.execute(delete(dicom_study))
        connection.execute(delete(dicom_series))
        connection.execute(update(tree).values(listing=ListingState.MISSING))
        for tree_id in connection.execute(select(tree.c.id)).scalars().all() if facts else ():
            for row in scans_of(connection, tree_id):
                assert isinstance(row.facts, SeriesTally)
                row.facts.values = {tag: texts for tag, texts in row.facts.values.items() if tag not in numbers}
                row.facts.nested.pop(REQUESTS, None)
                values = scan_values(tree_id, row)
                where = (scan.c.tree_id == tree_id, scan.c.n == row.n)
                connection.execute(update(scan).where(*where).values(facts=values["facts"]))


def fill(site: DataFolder, seconds: float = 60, stop_after: int | None = None) -> bool:
    calls = iter(range(1_000))
    with open_data(str(site.data), site.settings) as (catalog, store):
        return fill_listings(catalog, store, seconds, lambda: stop_after is not None and next(calls) >= stop_after)


def states(site: DataFolder) -> set[int]:
    with site.catalog() as catalog, catalog.read() as connection:
        return set(connection.execute(select(tree.c.listing)).scalars())


@pytest.mark.postgresql
def test_sessions_from_before_are_filled(site: DataFolder) -> None:
    """At once by what their imports counted, then by an object of each series; a damaged one hinders nothing."""
    site.bring({**objects(), **objects(series=2)})
    site.bring(objects(study=2))
    whole, whole_series = shown(site), series_rows(site)

    def values(rows: list[dict[str, Any]], *, later: bool = True) -> list[dict[str, Any]]:
        left_out = {"id"} if later else {"id", "issuer", "physician", "physician_alphabetic", "timezone"}
        left_out |= set() if later else {"step_date", "step_time", "requests"}
        return [{name: value for name, value in row.items() if name not in left_out} for row in rows]

    forget(site, facts=True)
    assert shown(site) == []
    assert fill(site, stop_after=1), "two trees by their facts"
    assert states(site) == {ListingState.PARTIAL}
    assert values(shown(site), later=False) == values(whole, later=False)
    assert shown(site)[0]["physician"] == ""
    assert not fill(site)
    assert values(shown(site)) == values(whole)
    assert values(series_rows(site)) == values(whole_series)
    assert states(site) == {ListingState.COMPLETE}
    assert not fill(site)
    forget(site, facts=True)
    for path in (site.data / "archive").rglob("*.dcm"):
        path.write_bytes(b"rotten")
    assert not fill(site)
    assert values(shown(site), later=False) == values(whole, later=False)
    assert states(site) == {ListingState.COMPLETE}


@pytest.mark.parametrize("case", ["disk", "damage", "renamed"])
def test_what_can_t_be_read_just_now_is_read_later(
    site: DataFolder, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    site.bring(objects())
    whole = shown(site)
    forget(site, facts=True)
    assert fill(site, stop_after=0), "its facts alone"

    def fail(*_: object) -> None:
        raise OSError(EIO, "Input/output error")

    def rename(*_: object) -> None:
        with catalog.write() as connection:
            connection.execute(update(session).values(label="Renamed"))
        raise FileNotFoundError(ENOENT, "No such file")

    site.checked = case == "disk"
    with open_data(str(site.data), site.settings) as (catalog, store), monkeypatch.context() as patch:
        if case == "renamed":
            patch.setattr(LocalStore, "snapshot", rename)
        else:
            patch.setattr(LocalSnapshot, "open", fail)
        if case == "damage":  # of the disk itself, as verification has found
            with catalog.write() as connection:
                tree_id = connection.execute(select(tree.c.id)).scalar_one()
                for n in range(2):
                    values = {"tree_id": tree_id, "file_n": n, "kind": "unreadable", "found": 1, "error": ""}
                    connection.execute(insert(damage).values(values))
        assert not fill_listings(catalog, store, 60, lambda: False)
    if case == "damage":
        assert states(site) == {ListingState.COMPLETE}
        return
    assert states(site) == {ListingState.PARTIAL}
    with site.catalog() as catalog, catalog.write() as connection:
        connection.execute(update(session).values(label=whole[0]["label"]))
    assert not fill(site)
    assert states(site) == {ListingState.COMPLETE}
    assert shown(site)[0]["physician"] == whole[0]["physician"] != ""


def interrupt(catalog: Catalog, monkeypatch: pytest.MonkeyPatch, change: Callable[[Connection], None]) -> None:
    """Let something change before the next transaction that writes."""
    plain = catalog.write

    @contextmanager
    def write() -> Iterator[Connection]:
        monkeypatch.undo()
        with plain() as connection:
            change(connection)
        with plain() as connection:
            yield connection

    monkeypatch.setattr(catalog, "write", write)


@pytest.mark.postgresql
def test_what_headers_say_meanwhile_is_kept(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers are read anew while a worker is about to list what was known before."""
    site.bring(objects())
    forget(site, facts=True)
    assert fill(site, stop_after=0), "its facts alone"

    def read_anew(connection: Connection) -> None:
        tree_id = connection.execute(select(session.c.tree_id)).scalar_one()
        (row,) = scans_of(connection, tree_id)
        assert isinstance(row.facts, SeriesTally)
        row.facts.values[NUMBERS["StudyDescription"]] = {"Read anew": 2}
        row.facts.values[NUMBERS["ReferringPhysicianName"]] = {"Wilson^James": 2}
        values = scan_values(tree_id, row)
        connection.execute(update(scan).where(scan.c.tree_id == tree_id).values(facts=values["facts"]))
        rewrite_listing(connection, tree_id, [(row.n, row.series_uid, row.facts)])

    with open_data(str(site.data), site.settings) as (catalog, store):
        interrupt(catalog, monkeypatch, read_anew)
        assert not fill_listings(catalog, store, 60, lambda: False)
    (listed,) = shown(site)
    assert (listed["description"], listed["physician"]) == ("Read anew", "Wilson^James")
    assert states(site) == {ListingState.COMPLETE}


def test_what_objects_say_is_of_their_own_session(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of a tree that is gone comes again, in another session."""
    site.bring(objects(count=1))
    other = {**ALSO, 0x00080090: (b"PN", b"Wilson^James")}
    site.bring({"a.dcm": Image(case="listed", study=2, also=other, patient_id=b"PAT2").file()})
    forget(site, facts=True)
    assert fill(site, stop_after=1)
    names = {row["tree_id"]: row["uuid"] for row in of_sessions(site)}
    first, second = sorted(names)

    def swap(connection: Connection) -> None:
        for tree_id, uuid in ((second, names[first]), (first, names[second])):
            connection.execute(update(session).where(session.c.uuid == uuid).values(tree_id=tree_id))

    with open_data(str(site.data), site.settings) as (catalog, store):
        interrupt(catalog, monkeypatch, swap)
        fill_listings(catalog, store, 60, lambda: True)
        with catalog.read() as connection:
            physicians = connection.execute(select(dicom_study.c.physician).order_by(dicom_study.c.tree_id))
            assert list(physicians.scalars()) == ["", ""]


def of_sessions(site: DataFolder) -> list[dict[str, Any]]:
    with site.catalog() as catalog, catalog.read() as connection:
        return [dict(row) for row in connection.execute(select(session.c.uuid, session.c.tree_id)).mappings()]


def test_a_workers_janitor_fills(site: DataFolder) -> None:
    site.bring(objects())
    forget(site, facts=False)
    with open_data(str(site.data), site.settings) as (catalog, store):
        janitor = Janitor(catalog, store, site.settings, structlog.get_logger())
        janitor._clear()  # noqa: SLF001  a turn of its thread
    assert places(site) == [("P", "archive", "PAT1", 1, 2)]


def count(site: DataFolder, table: Table) -> int:
    with site.catalog() as catalog, catalog.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _items(client: httpx.Client, address: str) -> list[dict[str, Any]]:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def _ok(answer: httpx.Response) -> httpx.Response:
    assert answer.status_code < 300, answer.text
    return answer
