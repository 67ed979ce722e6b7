"""Lists and items of the API: pages that neither double nor hide, rights, ETags, and a cost that rows do not raise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select, text

from scandock.access.principal import ANONYMOUS, SYSTEM, AccessDenied, Door, Principal
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.server_tables import account, member, project_access, reception
from scandock.catalog.tables import project, session, upload
from scandock.model.errors import Usage
from scandock.queue.tokens import new_uuid
from scandock.rules.permissions import Role
from scandock.services import browsing, editing, session_contents
from scandock.services.browsing import ListFilter
from scandock.services.context import ServiceContext
from scandock.services.pagination import Page, Sorting
from scandock.services.records import Session
from scandock.services.settings import load_settings
from scandock.store.local import LocalStore
from tests.builders import images, make_data_folder, uploader_layout
from tests.integration.many_rows import seed, seed_content
from tests.integration.web import serve_in_process

ALL = ListFilter()


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    made = open_catalog(database_url)
    yield made
    made.dispose()


@contextmanager
def counted(catalog: Catalog) -> Iterator[list[str]]:
    """The statements that are executed meanwhile, without those that begin and end transactions."""
    said: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        said.append(statement)

    event.listen(catalog.engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(catalog.engine, "before_cursor_execute", note)


def ask(catalog: Catalog, call: Callable[[Connection], Any]) -> Any:
    with catalog.read() as connection:
        return call(connection)


def uuids(catalog: Catalog) -> list[str]:
    return list(ask(catalog, lambda c: c.execute(select(session.c.uuid).order_by(session.c.id)).scalars().all()))


def sessions_page(sorting: Sorting, connection: Connection) -> Page[Session]:
    return browsing.list_sessions(connection, SYSTEM, ALL, sorting)


def _swapped(call: Callable[[Connection, Sorting], Page[Any]], sorting: Sorting, connection: Connection) -> Page[Any]:
    return call(connection, sorting)


# -- the cost ----------------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_no_list_asks_more_the_more_rows_it_has(catalog: Catalog) -> None:
    seed(catalog, 60)
    for n in range(60):
        add_project(catalog, ProjectRow(name=f"More{n}"))
    (one, *_) = uuids(catalog)
    seed_content(catalog, one, 60, 60)
    lists: dict[str, Callable[[Connection, Sorting], Page[Any]]] = {
        "projects": lambda c, s: browsing.list_projects(c, SYSTEM, ALL, s),
        "subjects": lambda c, s: browsing.list_subjects(c, SYSTEM, ALL, s),
        "sessions": lambda c, s: browsing.list_sessions(c, SYSTEM, ListFilter(project="P"), s),
        "scans": lambda c, s: session_contents.list_scans(c, SYSTEM, one, s),
        "resources": lambda c, s: session_contents.list_resources(c, SYSTEM, one, s),
        "files": lambda c, s: session_contents.list_files(c, SYSTEM, one, s),
    }
    for name, call in lists.items():
        told = {}
        for limit in (1, 15 if name == "subjects" else 50):
            with counted(catalog) as said:
                page = ask(catalog, partial(_swapped, call, Sorting(limit=limit)))
            assert len(page.items) == limit, name
            told[limit] = len([one for one in said if not one.startswith(("BEGIN", "select pg_catalog"))])
        assert len(set(told.values())) == 1, (name, told)
        assert max(told.values()) <= (10 if name == "files" else 4), (name, told)


def test_ten_thousand_sessions_cost_a_page_what_sixty_do(catalog: Catalog, subtests: pytest.Subtests) -> None:
    """In statements; what they take in time is measured by `python -m bench.listings`."""
    seed(catalog, 60, name="Few")
    seed(catalog, 10_000, name="P")
    for sort in ("label", "-modified", "-bytes", "subject"):
        with subtests.test(sort=sort):
            statements = []
            for name in ("Few", "P"):
                for wanted in (ListFilter(project=name), ListFilter(project=name, search="ess_000")):
                    with counted(catalog) as said:
                        page = ask(catalog, partial(_wanted_page, wanted, Sorting(sort=sort, limit=20)))
                        ask(catalog, partial(_wanted_page, wanted, Sorting(sort=sort, limit=20, cursor=page.next)))
                    assert len(page.items) == 20
                    statements.append(len(said))
            assert statements[:2] == statements[2:], statements


def _wanted_page(wanted: ListFilter, sorting: Sorting, connection: Connection) -> Page[Session]:
    return browsing.list_sessions(connection, SYSTEM, wanted, sorting)


# -- pages -------------------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_pages_hold_every_row_once(catalog: Catalog, subtests: pytest.Subtests) -> None:
    seed(catalog, 53)
    for sort in ("", "label", "-label", "modified", "-bytes", "bytes", "subject", "-type"):
        with subtests.test(sort=sort):
            rows = _all_pages(catalog, sort)
            assert len(rows) == 53
            assert sorted(row.id for row in rows) == sorted(uuids(catalog))
            name = sort.lstrip("-") or "label"
            values = [getattr(row, name) for row in rows]
            if name != "subject":  # texts are sorted by the database's own order
                assert values == sorted(values, reverse=sort.startswith("-"))


def _all_pages(catalog: Catalog, sort: str) -> list[Session]:
    rows: list[Session] = []
    cursor = None
    while True:
        page = ask(catalog, partial(sessions_page, Sorting(sort=sort, limit=10, cursor=cursor)))
        rows += page.items
        cursor = page.next
        if cursor is None:
            return rows


@pytest.mark.postgresql
def test_a_row_that_goes_meanwhile_hides_no_other(catalog: Catalog) -> None:
    seed(catalog, 20)
    first = ask(catalog, lambda c: browsing.list_sessions(c, SYSTEM, ALL, Sorting(limit=10)))
    with catalog.write() as connection:
        connection.execute(session.delete().where(session.c.uuid == first.items[9].id))
    rest = ask(catalog, lambda c: browsing.list_sessions(c, SYSTEM, ALL, Sorting(limit=50, cursor=first.next)))
    assert [one.label for one in rest.items] == [f"Sess_{n:05}" for n in range(10, 20)]


NO_PAGES = [
    (Sorting(sort="password"), "sort_unknown"),
    (Sorting(limit=0), "limit_invalid"),
    (Sorting(limit=501), "limit_invalid"),
    (Sorting(cursor="!!!"), "cursor_invalid"),
    (Sorting(cursor="W10"), "cursor_invalid"),
    (Sorting(cursor="eyJhIjoxfQ"), "cursor_invalid"),
    (Sorting(cursor="WyIiLCBudWxsLCAxXQ"), "cursor_invalid"),
]


@pytest.mark.postgresql
def test_what_is_no_page(catalog: Catalog, subtests: pytest.Subtests) -> None:
    for sorting, code in NO_PAGES:
        with subtests.test(sorting=sorting):
            with pytest.raises(Usage) as caught:
                ask(catalog, partial(sessions_page, sorting))
            assert caught.value.code == code


@pytest.mark.postgresql
def test_search_and_filters(catalog: Catalog) -> None:
    seed(catalog, 30)

    def labels(**wanted: Any) -> list[str]:
        page = ask(catalog, lambda c: browsing.list_sessions(c, SYSTEM, ListFilter(**wanted), Sorting(limit=100)))
        return [one.label for one in page.items]

    assert labels(search="SS_0001") == [f"Sess_{n:05}" for n in range(10, 20)]
    assert labels(prefix="sess_0000") == [f"Sess_{n:05}" for n in range(10)]
    assert labels(prefix="ess") == []
    assert labels(search="SUB1") == labels(subject="Sub1")  # by the subject too
    assert labels(search="%") == []
    assert labels(search="s_s") == []
    assert labels(equal={"study_uid": "1.2.7"}) == ["Sess_00007"]
    assert len(labels(subject="Sub1")) == 5
    assert labels(project="p") == labels()


SORTED_BY_INDEX = {"subject": "subject", "-date": "date", "modality": "modalities", "-received": "received"}


def spread(catalog: Catalog) -> None:
    """Days, modalities and times of reception that differ from session to session."""
    with catalog.write() as connection:
        for n, number in enumerate(connection.execute(select(session.c.id).order_by(session.c.id)).scalars().all()):
            connection.execute(
                session.update()
                .where(session.c.id == number)
                .values(
                    date=f"2020-01-{n % 28 + 1:02}" if n % 7 else "",
                    modalities=("MR", "CT\\PT", "PT")[n % 3],
                    received=1_700_000_000_000 + n * 1000,
                )
            )


@pytest.mark.postgresql
def test_sessions_are_filtered_by_modality_date_and_reception(catalog: Catalog) -> None:
    seed(catalog, 30)
    spread(catalog)

    def numbers(sort: str = "", **wanted: Any) -> list[int]:
        filters = ListFilter(project="P", **wanted)
        page = ask(catalog, lambda c: browsing.list_sessions(c, SYSTEM, filters, Sorting(sort=sort, limit=100)))
        return [int(one.label.removeprefix("Sess_")) for one in page.items]

    assert numbers(modality="pt") == [n for n in range(30) if n % 3]
    assert numbers(modality="P") == numbers(modality="%") == numbers(modality="MR\\PT") == []
    assert numbers(date_from="2020-01-20") == [n for n in range(30) if n % 7 and n % 28 + 1 >= 20]
    assert numbers(date_to="2020-01-05") == [1, 2, 3, 4, 29]  # those without a date are left out
    assert numbers(date_from="2020-01-05", date_to="2020-01-06", modality="CT") == [4]
    assert numbers(received_since=1_700_000_027_000) == [27, 28, 29]
    assert numbers("-received") == list(reversed(range(30)))
    assert numbers("-date")[-5:] == [28, 21, 14, 7, 0]
    assert numbers("modality") == sorted(range(30), key=lambda n: (n % 3 != 1, n % 3 != 0, n))
    for day in ("2020-02-30", "2020", "20200101", "1\u0662:00"):
        with pytest.raises(Usage, match="is not a date"):
            numbers(date_from=day)
    assert ask(catalog, lambda c: browsing.list_modalities(c, "p")) == ["CT", "MR", "PT"]
    assert ask(catalog, lambda c: browsing.list_modalities(c, "nowhere")) == []


@pytest.mark.long
@pytest.mark.postgresql
def test_a_projects_list_is_read_in_the_order_of_an_index(catalog: Catalog, subtests: pytest.Subtests) -> None:
    """For as many sessions as that matters: the page's rows alone are read, not all to be sorted."""
    for name in ("P", "Q"):
        seed(catalog, 1500, name=name)
    spread(catalog)
    explain = "EXPLAIN QUERY PLAN" if catalog.engine.dialect.name == "sqlite" else "EXPLAIN"
    with catalog.engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        connection.commit()
        asked: list[tuple[str, Any]] = []
        event.listen(connection, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
        for sort, column in SORTED_BY_INDEX.items():
            with subtests.test(sort=sort):
                browsing.list_sessions(connection, SYSTEM, ListFilter(project="P"), Sorting(sort=sort))
                statement, values = asked[-1]
                plan = "\n".join(str(row) for row in connection.exec_driver_sql(f"{explain} {statement}", values))
                assert f"ix_session_project_id_place_{column}_id" in plan


# -- rights ------------------------------------------------------------------------------------------------------------


def person(catalog: Catalog, name: str, **roles: str) -> Principal:
    with catalog.write() as connection:
        uuid = new_uuid()
        values = {"uuid": uuid, "name": name, "key": name, "created": 1, "modified": 1}
        number = connection.execute(insert(account).values(**values).returning(account.c.id)).scalar_one()
        for project_name, role in roles.items():
            of = connection.execute(select(project.c.id).where(project.c.name == project_name)).scalar_one()
            connection.execute(insert(member).values(project_id=of, account_id=number, role=role))
    return Principal(number, uuid, name, roles={k: Role(v) for k, v in roles.items()}, door=Door.BASIC)


@pytest.mark.postgresql
def test_nobody_sees_another_projects_sessions(catalog: Catalog) -> None:
    seed(catalog, 3, name="P")
    seed(catalog, 4, name="Q")
    seed(catalog, 5, name="Open")
    with catalog.write() as connection:
        number = connection.execute(select(project.c.id).where(project.c.name == "Open")).scalar_one()
        connection.execute(insert(project_access).values(project_id=number, accessibility="public"))
    ann = person(catalog, "ann", P="collaborator")

    def counts(who: Principal, call: Callable[..., Page[Any]]) -> int:
        return len(ask(catalog, lambda c: call(c, who, ALL, Sorting())).items)

    assert counts(ann, browsing.list_sessions) == 8
    assert counts(ann, browsing.list_projects) == 2
    assert counts(ANONYMOUS, browsing.list_sessions) == 5
    assert counts(SYSTEM, browsing.list_sessions) == 12
    every = ask(catalog, lambda c: c.execute(select(session.c.uuid, project.c.name).join(project)).all())
    for uuid, name in every:
        if name == "Q":
            with pytest.raises(AccessDenied):
                ask(catalog, partial(browsing.find_session, principal=ann, uuid=uuid))
            with pytest.raises(AccessDenied):
                ask(catalog, partial(session_contents.list_files, principal=ann, uuid=uuid, sorting=Sorting()))
    with pytest.raises(AccessDenied):
        ask(catalog, lambda c: browsing.list_sessions(c, ann, ListFilter(project="Q"), Sorting()))


@pytest.mark.postgresql
def test_one_sees_ones_own_in_unassigned_and_no_others(catalog: Catalog) -> None:
    seed(catalog, 2, name="Unassigned", place="prearchive")
    ann, bob = person(catalog, "ann"), person(catalog, "bob")
    with catalog.write() as connection:
        (came,) = connection.execute(select(upload.c.id)).scalars()
        connection.execute(insert(reception).values(upload_id=came, account_id=ann.account_id, door="raw"))

    def seen(who: Principal, **wanted: Any) -> int:
        listed = ask(
            catalog, lambda c: browsing.list_sessions(c, who, ListFilter(**wanted), Sorting(), place="prearchive")
        )
        return len(listed.items)

    assert (seen(ann), seen(bob), seen(SYSTEM)) == (2, 0, 2)
    assert (seen(ann, project="Unassigned"), seen(bob, project="Unassigned")) == (2, 0)
    (one, _) = uuids(catalog)
    assert ask(catalog, lambda c: browsing.find_session(c, ann, one)).id == one
    with pytest.raises(AccessDenied):
        ask(catalog, lambda c: browsing.find_session(c, bob, one))


# -- over HTTP ---------------------------------------------------------------------------------------------------------


def test_items_edits_and_etags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_data_folder(tmp_path, monkeypatch)
    with serve_in_process(site.data) as web, web.client() as client:
        site.bring({**uploader_layout("S1", "4", images(2)), "S1/resources/NOTES/files/a.txt": b"x"}, session="S1")
        (found,) = client.get("/api/v1/sessions", params={"project": "P"}).json()["items"]
        where = f"/api/v1/sessions/{found['id']}"
        assert client.get(where).json() == found
        assert found["uri"] == "/data/archive/projects/P/subjects/DOE_JANE/experiments/S1"
        tag = client.get(where).headers["etag"]
        assert client.get(where, headers={"if-none-match": tag}).status_code == 304

        (one,) = client.get("/api/v1/scans", params={"session": found["id"]}).json()["items"]
        assert client.get(f"{where}/scans").json()["items"] == [one]
        old = client.get(f"{where}/scans/{one['id']}").headers["etag"]
        told = client.patch(
            f"{where}/scans/{one['id']}", json={"quality": "unusable", "note": "moved"}, headers={"if-match": old}
        )
        assert (told.status_code, told.json()["quality"], told.json()["note"]) == (200, "unusable", "moved")
        late = client.patch(f"{where}/scans/{one['id']}", json={"note": "no"}, headers={"if-match": old})
        assert (late.status_code, late.json()["code"]) == (412, "changed_meanwhile")
        assert client.patch(f"{where}/scans/{one['id']}", json={"quality": "fine"}).status_code == 422

        files = client.get("/api/v1/files", params={"session": found["id"], "sort": "name"}).json()["items"]
        assert len(files) == 3
        assert {(one["scan"], one["resource"]) for one in files} == {(one["id"], "DICOM"), (None, "NOTES")}
        of_scan = {"session": found["id"], "scan": one["id"]}
        labels = [told["label"] for told in client.get("/api/v1/resources", params=of_scan).json()["items"]]
        assert labels == ["DICOM"]
        for wanted, count in (
            (of_scan, 2),
            ({"session": found["id"], "resource": "notes"}, 1),
            ({**of_scan, "resource": "NOTES"}, 0),
        ):
            assert len(client.get("/api/v1/files", params=wanted).json()["items"]) == count
        listed = client.get("/api/v1/resources", params={"session": found["id"]}).json()["items"]
        assert {one["label"]: one["files"] for one in listed} == {"DICOM": 2, "NOTES": 1}

        renamed = client.patch(where, json={"label": "S2"}, headers={"if-match": tag})
        assert renamed.status_code == 412  # what was said of a scan has changed the session
        assert client.patch(where, json={"label": "S2", "subject": "Sub"}).json()["done"]
        (kin,) = client.get("/api/v1/subjects", params={"project": "P", "search": "sub"}).json()["items"]
        assert (kin["label"], kin["sessions"], kin["files"]) == ("Sub", 1, 3)
        assert client.patch(f"/api/v1/subjects/{kin['id']}", json={"label": "Person"}).json()["label"] == "Person"
        assert client.get(where).json()["uri"] == "/data/archive/projects/P/subjects/Person/experiments/S2"
        assert client.get(f"{where}/scans/{one['id']}").json()["note"] == "moved"

        project_tag = client.get("/api/v1/projects/P").headers["etag"]
        assert client.patch("/api/v1/projects/P", json={"prearchive_code": 3}).status_code == 422
        changed = client.patch("/api/v1/projects/P", json={"name": "New"}, headers={"if-match": project_tag})
        assert (changed.json()["name"], changed.json()["sessions"], changed.json()["files"]) == ("New", 1, 3)
        trail = client.get("/api/v1/audit", params={"project": "P", "kind": "session"}).json()["items"]
        assert [line["action"] for line in trail] == ["edit", "edit"]
        assert client.get(where.replace(found["id"], new_uuid())).status_code == 404
    assert site.files("archive/P/S2")


@pytest.mark.postgresql
def test_settings_take_owners(catalog: Catalog, tmp_path: Path) -> None:
    seed(catalog, 1)
    member_of = person(catalog, "meg", P="member")
    owner = person(catalog, "olga", P="owner")
    for who, allowed in ((member_of, False), (owner, True)):
        context = ServiceContext(catalog, LocalStore(tmp_path), load_settings(), who)
        if allowed:
            assert editing.edit_project(context, "P", {"prearchive_code": 0}).prearchive_code == 0
        else:
            with pytest.raises(AccessDenied):
                editing.edit_project(context, "P", {"prearchive_code": 0})


def test_a_session_is_told_with_both_its_times(sqlite_url: str) -> None:
    catalog = open_catalog(sqlite_url)
    try:
        seed(catalog, 5)
        with catalog.write() as connection:
            connection.execute(session.update().values(created=1_000, modified=2_000))
        with catalog.read() as connection:
            items = browsing.list_sessions(connection, SYSTEM, ListFilter(), Sorting()).items
        assert {(item.created, item.modified) for item in items} == {(1_000, 2_000)}
    finally:
        catalog.dispose()
