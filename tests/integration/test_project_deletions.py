"""Deleting a project: what it takes while it goes, what is left of it, and what a new one of its id never sees."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from sqlalchemy import insert, select, update

from scandock.access.principal import SYSTEM
from scandock.catalog.server_tables import audit, project_access, trashed
from scandock.catalog.sessions import find_session
from scandock.catalog.tables import project, project_deletion, session
from scandock.model.errors import Fault, Usage
from scandock.services import project_deletions
from scandock.services.consistency_check import check_data
from scandock.services.context import ServiceContext
from scandock.services.project_creation import create_project
from scandock.services.project_deletions import delete_project, finish_deletions
from scandock.services.session_moves import move_session
from scandock.services.trash import move_to_trash, restore_session
from scandock.testing.worker import InProcessWorker
from scandock.web.xnat.services.session_logs import read_log
from tests.builders import DataFolder, images, make_data_folder, uploader_layout, zip_entries
from tests.crash.processes import until
from tests.integration.web import Web, serve_data_folder

pytestmark = pytest.mark.long


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


def context_of(web: Web) -> ServiceContext:
    return ServiceContext(web.site.catalog, web.site.store, web.site.settings, SYSTEM)


def mark(web: Web, name: str = "P") -> None:
    """What a deletion leaves that was killed right after it began."""
    with web.site.catalog.write() as connection:
        number = connection.execute(select(project.c.id).where(project.c.name == name)).scalar_one()
        connection.execute(
            insert(project_deletion).values(project_id=number, actor="olga", address="", request_id="", begun=0)
        )


def number_of(web: Web, name: str) -> int:
    with web.site.catalog.read() as connection:
        return int(connection.execute(select(project.c.id).where(project.c.name == name)).scalar_one())


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def listed(client: httpx.Client, where: str) -> list[str]:
    answer = client.get(where)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]


# -- while it is being deleted -----------------------------------------------------------------------------------------


def test_what_is_being_deleted_takes_nothing_and_is_nowhere(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, admin):
        site.bring(uploader_layout("E", "1", images(2)))
        web.account("olga", P="owner")
        web.account("mia")
        (uuid,) = listed(admin, "/api/v1/sessions?project=P")
        admin.post("/api/v1/projects", json={"id": "Q"})
        mark(web)
        body = zip_entries(uploader_layout("F", "1", images(2)))
        with web.client("olga") as olga, web.client("mia") as mia:
            refused = [
                olga.patch("/api/v1/projects/P", json={"name": "New"}),
                olga.patch("/api/v1/projects/P", json={"accessibility": "public"}),
                olga.put("/api/v1/projects/P/members/mia", json={"role": "member"}),
                olga.patch(f"/api/v1/sessions/{uuid}", json={"label": "G"}),
                olga.delete(f"/api/v1/sessions/{uuid}"),
                olga.post("/api/v1/imports?project=P", content=body),
                admin.patch("/api/v1/projects/P", json={"name": "New"}),
                admin.post("/api/v1/projects", json={"id": "p"}),
                mia.post("/api/v1/projects", json={"id": "P"}),
            ]
            assert [code(one) for one in refused] == [(409, "project_deleting")] * len(refused)
            assert "is being deleted" in refused[0].json()["detail"]
            by_dialect = [
                olga.put("/data/projects/P", params={"name": "New"}),
                olga.put("/data/projects/P/subjects/S9"),
                olga.put("/data/projects/P/subjects/S9/experiments/E9?xsiType=xnat:mrSessionData"),
                olga.post("/data/services/import", params={"project": "P"}, content=body),
            ]
            assert [one.status_code for one in by_dialect] == [409] * len(by_dialect)
            assert all("is being deleted" in one.text for one in by_dialect)
            assert olga.get("/api/v1/projects/P").status_code == olga.get("/data/projects/P").status_code == 404
            assert olga.get(f"/api/v1/sessions/{uuid}").status_code == 404
            assert listed(olga, "/api/v1/projects") == listed(olga, "/api/v1/sessions") == []
        assert listed(admin, "/api/v1/projects") == ["Q"]
        assert listed(admin, "/api/v1/sessions") == []
        with pytest.raises(Usage, match="is being deleted"):
            site.bring(body)
        assert site.bring(body, project="Q").report["state"] == "placed"


def test_an_import_that_names_no_project_passes_by_one_that_is_being_deleted(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, _):
        site.bring(uploader_layout("E", "1", images(1)))
        mark(web)
        named = {0x00081030: (b"LO", b"P")}  # the study's description
        brought = site.bring(uploader_layout("F", "1", images(1, study=2, also=named)), project=None)
        assert {one["project"] for one in brought.sessions} == {"Unassigned"}


@pytest.mark.postgresql
def test_to_delete_again_does_the_rest_and_nothing_where_somebody_is_at_it(
    site: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_data_folder(site) as (web, admin):
        for number, label in enumerate(("E", "F"), start=1):
            site.bring(uploader_layout(label, "1", images(1, study=number)))
        web.account("olga", P="owner")
        web.account("mia", P="member")
        asked: list[httpx.Response] = []

        def ask_meanwhile(*args: object, **kwargs: object) -> None:
            with web.client("olga") as olga, web.client("mia") as mia:
                asked.append(olga.delete("/data/projects/P"))
                asked.append(mia.delete("/data/projects/P"))
            assert finish_deletions(web.site.catalog, web.site.store, web.site.settings).done == []
            move_to_trash(*args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(project_deletions, "move_to_trash", ask_meanwhile)
        assert admin.delete("/data/projects/P").status_code == 200
        assert [one.status_code for one in asked] == [200, 403] * 2
        assert admin.delete("/data/projects/P").status_code == 404
        assert len(listed(admin, "/api/v1/trash")) == 2


# -- interrupted -------------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_a_deletion_that_fails_is_finished_in_the_name_of_who_asked(
    site: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_data_folder(site) as (web, admin):
        for number, label in enumerate(("E", "F"), start=1):
            site.bring(uploader_layout(label, "1", images(1, study=number)))
        number = web.account("olga", P="owner")
        left: list[object] = []

        def fail_second(*args: object, **kwargs: object) -> None:
            if left:
                raise Fault("store_failed", "The disk is gone.")
            left.append(args)
            move_to_trash(*args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(project_deletions, "move_to_trash", fail_second)
        with web.client("olga") as olga:
            assert olga.delete("/data/projects/P").status_code == 503
        catalog, store = web.site.catalog, web.site.store
        assert {name: why.code for name, why in finish_deletions(catalog, store, site.settings).stuck.items()} == {
            "P": "store_failed"
        }
        assert [one.kind for one in check_data(str(site.data), site.settings)] == ["unfinished"]
        monkeypatch.setattr(project_deletions, "move_to_trash", move_to_trash)
        assert finish_deletions(catalog, store, site.settings).done == ["P"]
        assert finish_deletions(catalog, store, site.settings).done == []
        with catalog.read() as connection:
            assert connection.execute(select(session.c.id)).all() == []
            assert set(connection.execute(select(trashed.c.account_id)).scalars()) == {number}
            by = select(audit.c.kind, audit.c.actor).where(audit.c.action == "delete").order_by(audit.c.id)
            assert connection.execute(by).all() == [("project", "olga"), ("session", "olga"), ("session", "olga")]
        assert admin.post("/api/v1/projects", json={"id": "P"}).status_code == 201


def test_a_worker_finishes_what_was_interrupted(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, admin):
        site.bring(uploader_layout("E", "1", images(1)))
        mark(web)
        with InProcessWorker(site.data, site.settings):
            until(lambda: listed(admin, "/api/v1/trash"), "the session never left")
            until(lambda: admin.post("/api/v1/projects", json={"id": "P"}).status_code == 201, "its id stays taken")


# -- what is left of it ------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_no_id_that_people_can_give_keeps_a_project_from_being_deleted(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, admin):
        site.bring(uploader_layout("E", "1", images(1)))
        number = number_of(web, "P")
        for taken in (f"P_deleted_{number}", "P_deleted_1", f"P-{number}"):
            admin.post("/api/v1/projects", json={"id": taken})
        assert admin.post("/api/v1/projects", json={"id": f"P~{number}"}).status_code == 400
        assert admin.delete("/data/projects/P").status_code == 200
        assert f"P~{number}" in listed(admin, "/api/v1/projects")
        taken_ids = [one["ID"] for one in admin.get("/data/projects").json()["ResultSet"]["Result"]]
        assert f"P_deleted_{number}" in taken_ids
        assert f"P~{number}" not in taken_ids


@pytest.mark.postgresql
def test_what_comes_back_stands_in_the_deleted_project_and_leaves_it_again(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, admin):
        site.bring(uploader_layout("E", "1", images(1)))
        aside = f"P~{number_of(web, 'P')}"
        assert admin.delete("/data/projects/P").status_code == 200
        (gone,) = listed(admin, "/api/v1/trash")
        assert restore_session(context_of(web), gone).after is not None
        assert (site.data / "archive" / aside / "E").is_dir()
        (item,) = admin.get("/api/v1/sessions").json()["items"]
        assert (item["project"], item["label"]) == (aside, "E")
        assert admin.get(f"/projects/{aside}").status_code == 200
        assert admin.get(f"/api/v1/files?session={gone}").status_code == 200
        assert admin.delete(f"/api/v1/sessions/{gone}").status_code == 200


def test_a_deleted_project_is_not_there_at_any_door_but_to_leave_it(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, admin):
        site.bring(uploader_layout("E", "1", images(1)))
        site.bring(uploader_layout("W", "1", images(1, study=2)), destination="prearchive")
        web.account("bob")
        aside = f"P~{number_of(web, 'P')}"
        (waiting,) = listed(admin, "/api/v1/prearchive")
        assert admin.delete("/data/projects/P").status_code == 200
        admin.post("/api/v1/projects", json={"id": "Q"})
        assert admin.post(f"/api/v1/trash/{waiting}/restore").status_code == 200
        site.bring(uploader_layout("V", "1", images(1, study=3)), project="Q", destination="prearchive")
        (other,) = set(listed(admin, "/api/v1/prearchive")) - {waiting}
        hook = {"kind": "webhook", "target": "https://example.org/", "states": ["placed"], "project": aside}
        refused = [
            admin.patch(f"/api/v1/projects/{aside}", json={"accessibility": "public"}),
            admin.patch(f"/api/v1/projects/{aside}", json={"name": "x"}),
            admin.put(f"/api/v1/projects/{aside}/members/bob", json={"role": "member"}),
            admin.post(f"/api/v1/prearchive/{other}/move", json={"project": aside}),
            admin.post(f"/api/v1/prearchive/{waiting}/archive", json={}),
            admin.post("/api/v1/subscriptions", json=hook),
            admin.put(f"/data/projects/{aside}/subjects/NEW"),
            admin.put(f"/data/projects/{aside}/resources/R/files/a.txt", content=b"a"),
            admin.put(f"/data/projects/{aside}/accessibility/public"),
            admin.delete(f"/data/projects/{aside}"),
        ]
        assert [one.status_code for one in refused] == [404] * len(refused), [one.text for one in refused]
        assert admin.get(f"/api/v1/prearchive/{waiting}").json()["project"] == aside
        moved = admin.post(f"/api/v1/prearchive/{waiting}/move", json={"project": "Q"})
        assert moved.status_code == 200, moved.text
        assert admin.get(f"/api/v1/prearchive/{waiting}").json()["project"] == "Q"


def test_one_that_was_opened_before_is_closed_to_strangers(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, admin):
        site.bring(uploader_layout("E", "1", images(1)))
        aside = f"P~{number_of(web, 'P')}"
        (gone,) = listed(admin, "/api/v1/sessions")
        assert admin.delete("/data/projects/P").status_code == 200
        assert admin.post(f"/api/v1/trash/{gone}/restore").status_code == 200
        with web.site.catalog.write() as connection:
            values = {"project_id": number_of(web, aside), "accessibility": "public"}
            connection.execute(insert(project_access).values(**values))
        web.account("bob")
        with web.client("bob") as bob, web.client(None) as nobody:
            assert listed(bob, "/api/v1/projects") == listed(bob, "/api/v1/sessions") == []
            assert bob.get(f"/api/v1/sessions/{gone}").status_code == 404
            assert nobody.get(f"/api/v1/projects/{aside}").status_code == 401
        assert listed(admin, "/api/v1/sessions") == [gone]


@pytest.mark.postgresql
def test_of_a_project_without_sessions_nothing_is_left(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, admin):
        catalog = web.site.catalog
        create_project(catalog, site.settings, SYSTEM, "EMPTY", "", None)
        delete_project(context_of(web), "EMPTY", with_files=False)
        with catalog.read() as connection:
            assert connection.execute(select(project_deletion)).all() == []
        assert admin.get("/api/v1/projects/EMPTY").status_code == 404


# -- the audit ---------------------------------------------------------------------------------------------------------


def lines(client: httpx.Client, where: str) -> list[tuple[str, str]]:
    answer = client.get(where)
    assert answer.status_code == 200, answer.text
    return [(one["action"], one["target"]) for one in reversed(answer.json()["items"])]


@pytest.mark.postgresql
def test_a_new_project_sees_nothing_of_the_audit_of_one_that_had_its_id(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, admin):
        site.bring(uploader_layout("E", "1", images(1)))
        web.account("mia")
        aside = f"P~{number_of(web, 'P')}"
        (uuid,) = listed(admin, "/api/v1/sessions")
        assert admin.patch(f"/api/v1/sessions/{uuid}", json={"label": "F"}).status_code == 200
        assert admin.delete("/data/projects/P").status_code == 200
        with web.client("mia") as mia:
            assert mia.post("/api/v1/projects", json={"id": "P"}).status_code == 201
            assert lines(mia, "/api/v1/audit?project=P") == [("project_create", "P")]
            assert uuid not in mia.get("/projects/P/audit").text
            assert uuid not in mia.get("/api/v1/audit/export?project=P&format=csv").text
        assert lines(admin, "/api/v1/audit?project=P") == [("project_create", "P"), ("audit_export", "")]
        kept = lines(admin, f"/api/v1/audit?project={aside}")
        assert [("edit", uuid), ("delete", "P"), ("delete", uuid)] == [one for one in kept if one[0] != "import_end"][
            1:
        ]
        assert set(kept) < set(lines(admin, "/api/v1/audit"))


@pytest.mark.postgresql
def test_lines_from_before_there_were_uuids_are_the_project_s_from_its_making_on(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, admin):
        web.account("olga", P="owner")
        with web.site.catalog.write() as connection:
            connection.execute(update(project).where(project.c.name == "P").values(created=1_000))
            for at, target in ((999, "older"), (1_000, "newer")):
                values = {"at": at, "actor": "x", "action": "edit", "kind": "session", "target": target}
                connection.execute(insert(audit).values(project="P", **values))
        with web.client("olga") as olga:
            assert ("edit", "newer") in lines(olga, "/api/v1/audit?project=P")
            assert ("edit", "older") not in lines(olga, "/api/v1/audit?project=P")
        assert {("edit", "newer"), ("edit", "older")} <= set(lines(admin, "/api/v1/audit?project=p"))


def test_the_log_of_a_waiting_session_tells_nothing_of_the_project_that_had_the_id(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, admin):
        site.bring(uploader_layout("W", "1", images(1)), destination="prearchive")
        (uuid,) = listed(admin, "/api/v1/prearchive")
        assert admin.delete("/data/projects/P").status_code == 200
        assert admin.post("/api/v1/projects", json={"id": "P"}).status_code == 201
        restore_session(context_of(web), uuid)
        assert move_session(context_of(web), uuid, project_name="P").after is not None
        with web.site.catalog.read() as connection:
            found = find_session(connection, uuid)
            assert found is not None
            said = " ".join(one.text for one in read_log(connection, found))
        assert "move by system" in said
        assert "delete by" not in said
