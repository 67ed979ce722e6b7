"""Making by hand in XNAT's dialect: projects, subjects, experiments, scans, resources; said of, read anew, deleted.

(xnat-clients.md 2.4, 3 to 5.) On both databases, with catalog and store compared at the end.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from scandock.catalog.server_tables import audit
from scandock.catalog.tables import operation, session, upload
from tests.builders import DataFolder, images, make_data_folder, uploader_layout, zip_entries
from tests.integration.web import serve_data_folder

pytestmark = pytest.mark.long

MR = {"xsiType": "xnat:mrSessionData", "req_format": "qs"}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, str]] = answer.json()["ResultSet"]["Result"]
    return found


def fields(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()["items"][0]["data_fields"]
    return found


def done(answer: httpx.Response, status: int = 200) -> str:
    """The body of an answer, which has this status."""
    assert (answer.status_code, answer.headers["content-type"][:10]) == (status, "text/plain"), answer.text
    return answer.text


def experiment(client: httpx.Client, label: str = "E1", subject: str = "S1", **said: str) -> str:
    """An experiment made by hand; its id."""
    return done(client.put(f"/data/projects/P/subjects/{subject}/experiments/{label}", params={**MR, **said}), 201)


def put(client: httpx.Client, where: str, data: bytes, **said: str) -> httpx.Response:
    return client.put(where, content=data, params=said)


# -- projects and subjects ---------------------------------------------------------------------------------------------


def test_a_project_is_made_once_and_then_renamed(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        said = {"xsiType": "xnat:projectData", "req_format": "qs", "xnat:projectData/name": "Hearts"}
        assert done(client.put("/data/archive/projects/HEART", params=said)) == "HEART"
        assert done(client.put("/REST/projects/heart", params={"name": "Hearts 2"})) == "HEART"
        assert fields(client.get("/data/projects/HEART?format=json"))["name"] == "Hearts 2"
        assert done(client.put("/data/projects/HEART")) == "HEART"
        assert "can't be a project id" in done(client.put("/data/projects/HE%20ART"), 400)


def test_a_subject_is_made_once_and_then_renamed(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        where = "/data/projects/P/subjects/S1"
        made = done(client.put(where, params={"xsiType": "xnat:subjectData", "xnat:subjectData/label": "S1"}), 201)
        assert made == "XNAT_S00001"
        assert done(client.put(where, params={"group": "", "event_reason": "x"})) == made
        assert done(client.put(f"/data/projects/P/subjects/{made}", params={"label": "S2"})) == made
        assert [(one["ID"], one["label"]) for one in rows(client.get("/data/projects/P/subjects"))] == [(made, "S2")]
        assert done(client.put("/data/projects/P/subjects/XNAT_S00077"), 404)
        assert done(client.put("/data/projects/P/subjects/a%20b"), 400)


def test_the_body_of_a_subject_is_never_read_nor_logged(site: DataFolder) -> None:
    """The Desktop Client sends the password of its user in it (5)."""
    with serve_data_folder(site) as (web, client):
        secret = json.dumps({"auth": {"username": "admin", "password": "hush hush"}})
        done(client.put("/data/projects/P/subjects/S1", content=secret), 201)
        assert "hush" not in json.dumps(web.logged, default=str)


@pytest.mark.postgresql
def test_the_id_of_a_deleted_subject_is_never_given_again(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        for number in range(1, 4):
            made = done(client.put(f"/data/projects/P/subjects/S{number % 2}"), 201)
            assert made == f"XNAT_S0000{number}"
            done(client.delete(f"/data/subjects/{made}"))
            assert done(client.delete(f"/data/subjects/{made}"), 404)
        experiment(client)
        assert [one["ID"] for one in rows(client.get("/data/projects/P/subjects"))] == ["XNAT_S00004"]


# -- experiments -------------------------------------------------------------------------------------------------------


def test_an_experiment_is_made_empty_with_its_subject(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, client):
        made = experiment(client, **{"xnat:mrSessionData/date": "2026-11-24", "xnat:mrSessionData/note": "by hand"})
        assert made == "XNAT_E00001"
        found = fields(client.get(f"/data/experiments/{made}?format=json"))
        assert {name: found[name] for name in ("label", "project", "subject_ID", "date", "note")} == {
            "label": "E1", "project": "P", "subject_ID": "XNAT_S00001", "date": "2026-11-24", "note": "by hand",
        }  # fmt: skip
        asked = "ID,label,xsiType,date,note,subject_label"
        (row,) = rows(client.get("/data/experiments", params={"columns": asked}))
        assert (row["xsiType"], row["date"], row["note"]) == ("xnat:mrSessionData", "2026-11-24", "by hand")
        assert rows(client.get(f"/data/experiments/{made}/scans")) == []
        with web.site.catalog.read() as connection:
            assert connection.execute(select(session.c.by_hand, session.c.state)).one() == (True, "ready")
    assert list((site.data / "archive/P/E1").iterdir()) == []


@pytest.mark.postgresql
def test_an_experiment_that_is_there_is_changed(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        made = experiment(client)
        where = "/data/projects/P/subjects/S1/experiments/E1"
        assert done(client.put(where, params={**MR, "xnat:mrSessionData/date": "11/25/2026"})) == made
        assert done(client.put(f"/data/experiments/{made}", params={"note": "x", "label": "E2"})) == made
        found = fields(client.get(f"/data/experiments/{made}?format=json"))
        assert (found["date"], found["note"], found["label"]) == ("2026-11-25", "x", "E2")
        done(client.put(f"/data/experiments/{made}", params={"note": "NULL", "subject_ID": "S9"}))
        found = fields(client.get(f"/data/experiments/{made}?format=json"))
        assert ("note" in found, found["subject_ID"]) == (False, "XNAT_S00002")
        assert "date is" in done(client.put(f"/data/experiments/{made}", params={"date": "soon"}), 400)
        assert done(client.put(f"/data/experiments/{made}", params={"project": "Q"}), 409)


def test_what_can_be_no_experiment_is_refused(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        experiment(client)
        where = "/data/projects/P/subjects/S1/experiments"
        assert "no type of an imaging session" in done(client.put(f"{where}/E2"), 400)
        assert done(client.put(f"{where}/E2", params={"xsiType": "xnat:qcManualAssessorData"}), 400)
        assert done(client.put(f"{where}/XNAT_E00099", params=MR), 404)
        assert done(client.put("/data/projects/P/subjects/S2/experiments/E1", params=MR), 409)
        assert done(client.put("/data/projects/P/experiments/E3", params=MR), 400)
        assert done(client.put("/data/projects/P/experiments/E3", params={**MR, "subject_ID": "S1"}), 201)
        assert done(client.put("/data/projects/NONE/subjects/S1/experiments/E1", params=MR), 404)


def test_a_session_made_by_hand_stays_one_when_it_is_renamed_or_comes_back(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, client):
        made = experiment(client)
        done(client.put(f"/data/experiments/{made}", params={"label": "E2"}))
        done(client.delete(f"/data/experiments/{made}"))
        (gone,) = client.get("/api/v1/trash").json()["items"]
        assert client.post(f"/api/v1/trash/{gone['id']}/restore").status_code == 200
        with web.site.catalog.read() as connection:
            assert connection.execute(select(session.c.by_hand, session.c.label)).one() == (True, "E2")


@pytest.mark.postgresql
def test_what_many_make_at_once_is_made_once(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        for where, said, new in (
            ("/data/projects/P/subjects/S1", {}, 201),
            ("/data/projects/P/subjects/S1/experiments/E1", MR, 201),
            ("/data/projects/P/subjects/S1/experiments/E1/scans/7", {"xsiType": "xnat:mrScanData"}, 200),
            ("/data/projects/P/subjects/S1/experiments/E1/scans/7/resources/DICOM", {}, 200),
        ):
            with ThreadPoolExecutor(6) as threads:
                told = list(threads.map(lambda _, at=where, how=said: client.put(at, params=how), range(6)))
            assert sorted(one.status_code for one in told) == [200] * 5 + [new], where
            assert len({one.text for one in told}) == 1, where
            listed = rows(client.get(where.rpartition("/")[0]))
            assert len(listed) == 1, where


# -- scans and resources -----------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_a_scan_has_its_id_from_the_query_and_its_type_from_the_address(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        made = experiment(client)
        said = {"xsiType": "xnat:mrScanData", "req_format": "qs", "xnat:mrScanData/ID": "7"}
        assert done(client.put(f"/data/experiments/{made}/scans/T1w", params=said)) == "7"
        more = {"xsiType": "xnat:mrScanData", "xnat:mrScanData/series_description": "deep", "quality": "unusable"}
        assert done(client.put(f"/data/experiments/{made}/scans/8", params=more)) == "8"
        found = {one["ID"]: one for one in rows(client.get(f"/data/experiments/{made}/scans"))}
        assert {n: (one["type"], one["quality"], one["xsiType"]) for n, one in found.items()} == {
            "7": ("T1w", "usable", "xnat:mrScanData"),
            "8": ("", "unusable", "xnat:mrScanData"),
        }
        assert found["8"]["series_description"] == "deep"
        assert done(client.put(f"/data/experiments/{made}/scans/7", params={"note": "good", "type": "T2w"})) == "7"
        again = fields(client.get(f"/data/experiments/{made}/scans/7?format=json"))
        assert (again["note"], again["type"]) == ("good", "T2w")
        assert done(client.put(f"/data/experiments/{made}/scans/..x", params=said | {"xnat:mrScanData/ID": "a b"}), 400)


def test_resources_are_made_empty_and_said_of(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        made = experiment(client)
        done(client.put(f"/data/experiments/{made}/scans/7", params={"xsiType": "xnat:mrScanData"}))
        where = f"/data/experiments/{made}/scans/7/resources"
        number = done(client.put(f"{where}/DICOM", params={"format": "DICOM", "content": "RAW"}))
        assert done(client.put(f"{where}/dicom")) == number
        (row,) = rows(client.get(where))
        assert (row["xnat_abstractresource_id"], row["label"], row["format"], row["file_count"]) == (
            number, "DICOM", "DICOM", "0",
        )  # fmt: skip
        done(client.put(f"/data/experiments/{made}/resources/NOTES"))
        assert [one["label"] for one in rows(client.get(f"/data/experiments/{made}/resources"))] == ["NOTES"]
        assert done(client.put(f"/data/experiments/{made}/scans/9/resources/DICOM"), 404)
        assert done(client.put(f"{where}/a%20b"), 400)


# -- together with imports ---------------------------------------------------------------------------------------------


def test_an_import_into_a_session_made_by_hand_knows_what_is_there_and_keeps_what_is_empty(site: DataFolder) -> None:
    objects = images(2, series=1)
    with serve_data_folder(site) as (_, client):
        made = experiment(client, "S1", "PAT1", note="mine")
        done(client.put(f"/data/experiments/{made}/scans/99", params={"xsiType": "xnat:mrScanData", "type": "x"}))
        done(client.put(f"/data/experiments/{made}/scans/1", params={"xsiType": "xnat:mrScanData"}))
        done(put(client, f"/data/experiments/{made}/scans/1/resources/DICOM/files/mine.dcm", objects[0]))
        done(client.put(f"/data/experiments/{made}", params={"pullDataFromHeaders": "true"}))
        told = site.bring(uploader_layout("S1", "1", objects), session="S1", project="P", subject="PAT1")
        assert (told.state, told.counts) == ("placed", {"stored": 1, "duplicate": 1})
        found = rows(client.get(f"/data/experiments/{made}/scans"))
        assert sorted(one["ID"] for one in found) == ["1", "99"]
        assert len(rows(client.get(f"/data/experiments/{made}/scans/1/files"))) == 2
        assert fields(client.get(f"/data/experiments/{made}?format=json"))["note"] == "mine"


def test_a_session_made_by_hand_redirects_no_import(site: DataFolder) -> None:
    (one,) = images(1)
    with serve_data_folder(site) as (_, client):
        made = experiment(client, "HAND")
        done(client.put(f"/data/experiments/{made}/scans/1", params={"xsiType": "xnat:mrScanData"}))
        done(put(client, f"/data/experiments/{made}/scans/1/resources/DICOM/files/1.dcm", one))
        done(client.put(f"/data/experiments/{made}", params={"pullDataFromHeaders": "true"}))
        assert fields(client.get(f"/data/experiments/{made}?format=json"))["UID"]
    told = site.bring(uploader_layout("OTHER", "1", [one]), project="P")
    assert (told.session["label"], told.counts) == ("OTHER", {"stored": 1})


# -- read anew ---------------------------------------------------------------------------------------------------------


def test_attributes_are_pulled_from_the_headers_of_what_was_put(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, client):
        made = experiment(client, note="kept")
        done(client.put(f"/data/experiments/{made}/scans/T1w?xsiType=xnat:mrScanData&xnat:mrScanData/id=5"))
        for number, data in enumerate(images(3, patient_id=b"PAT7")):
            done(put(client, f"/data/experiments/{made}/scans/5/resources/DICOM/files/{number}.dcm", data))
        before = fields(client.get(f"/data/experiments/{made}?format=json"))
        assert not {"date", "UID", "dcmPatientId"} & set(before)
        for wish in ("pullDataFromHeaders", "fixScanTypes", "triggerPipelines"):
            assert done(client.put(f"/data/experiments/{made}", params={wish: "true"})) == made
        after = fields(client.get(f"/data/experiments/{made}?format=json"))
        assert (after["date"], after["dcmPatientId"], after["note"]) == ("2020-01-31", "PAT7", "kept")
        assert after["UID"].startswith("2.25.")
        scan = fields(client.get(f"/data/experiments/{made}/scans/5?format=json"))
        assert (scan["type"], str(scan["frames"])) == ("T1w", "3")
        assert scan["UID"].startswith("2.25.")
        with web.site.catalog.read() as connection:
            assert connection.execute(select(session.c.by_hand, session.c.patient_id)).one() == (True, "PAT7")


def test_catalogs_are_always_fresh_for_who_may_change_the_session(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, client):
        made = experiment(client)
        where = f"/archive/projects/P/subjects/S1/experiments/{made}/scans/1"
        assert done(client.post("/data/services/refresh/catalog", params={"resource": where})) == ""
        assert done(client.post("/data/services/refresh/catalog", data={"resource": where})) == ""
        assert done(client.post("/data/services/refresh/catalog", params={"resource": "/nowhere"}), 400)
        web.account("cleo", P="collaborator")
        with web.client("cleo") as guest:
            assert done(guest.post("/data/services/refresh/catalog", params={"resource": where}), 403)


# -- deleting ----------------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_what_is_deleted_goes_to_the_trash_and_its_labels_are_free(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        made = experiment(client)
        done(client.put(f"/data/experiments/{made}/scans/1", params={"xsiType": "xnat:mrScanData", "type": "T1"}))
        done(put(client, f"/data/experiments/{made}/scans/1/resources/A/files/x.txt", b"x"))
        done(put(client, f"/data/experiments/{made}/scans/1/resources/A/files/y.txt", b"y"))
        done(put(client, f"/data/experiments/{made}/resources/B/files/z.txt", b"z"))
        assert done(client.delete(f"/data/experiments/{made}/scans/1/resources/A/files/x.txt?removeFiles=true")) == ""
        assert done(client.delete(f"/data/experiments/{made}/scans/1/resources/A/files/x.txt"), 404)
        assert [one["Name"] for one in rows(client.get(f"/data/experiments/{made}/files"))] == ["y.txt", "z.txt"]
        done(client.delete(f"/data/experiments/{made}/resources/B"))
        assert rows(client.get(f"/data/experiments/{made}/resources")) == []
        done(client.delete(f"/data/experiments/{made}/scans/1"))
        assert rows(client.get(f"/data/experiments/{made}/scans")) == []
        done(client.put(f"/data/experiments/{made}/scans/1", params={"xsiType": "xnat:mrScanData"}))
        assert rows(client.get(f"/data/experiments/{made}/scans"))[0]["type"] == ""
        done(client.delete("/data/projects/P/subjects/S1?removeFiles=true"))
        assert rows(client.get("/data/projects/P/subjects")) == rows(client.get("/data/projects/P/experiments")) == []
        assert [one["label"] for one in client.get("/api/v1/trash").json()["items"]] == ["E1"]
        experiment(client)


@pytest.mark.postgresql
def test_a_project_is_deleted_with_its_sessions_and_they_can_come_back(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, client):
        done(client.put("/data/projects/GONE"))
        done(client.delete("/data/projects/GONE"))
        assert done(client.put("/data/projects/GONE")) == "GONE"
        web.account("olga", P="owner")
        with web.client("olga") as olga:
            experiment(olga)
            done(olga.delete("/data/projects/P?removeFiles=true"))
            assert rows(olga.get("/data/projects")) == []
            assert done(olga.delete("/data/projects/P"), 404)
        done(client.put("/data/projects/P"))
        (gone,) = client.get("/api/v1/trash").json()["items"]
        assert (gone["label"], gone["project"].startswith("P~")) == ("E1", True)
        aside = gone["project"]
        assert [one["ID"] for one in rows(client.get("/data/projects"))] == ["GONE", "P"]
        assert aside not in {one["ID"] for one in client.get("/xapi/access/projects").json()}
        body = zip_entries(uploader_layout("S", "1", images(1)))
        assert client.post("/data/services/import", params={"project": aside}, content=body).status_code == 404
        assert client.delete(f"/data/projects/{aside}").status_code == 404
        assert client.post(f"/api/v1/trash/{gone['id']}/restore").status_code == 200
        assert [one["project"] for one in rows(client.get("/data/experiments"))] == [gone["project"]]


# -- rights and the trail ----------------------------------------------------------------------------------------------


def test_members_make_owners_delete_and_others_do_neither(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, client):
        made = experiment(client)
        done(client.put(f"/data/experiments/{made}/scans/1", params={"xsiType": "xnat:mrScanData"}))
        done(put(client, f"/data/experiments/{made}/resources/A/files/x.txt", b"x"))
        web.account("mia", P="member")
        web.account("cleo", P="collaborator")
        web.account("stranger")
        making = (
            "/data/projects/P/subjects/S7",
            "/data/projects/P/subjects/S1/experiments/E7?xsiType=xnat:mrSessionData",
            f"/data/experiments/{made}?note=n",
            f"/data/experiments/{made}/scans/7?xsiType=xnat:mrScanData",
            f"/data/experiments/{made}/scans/1/resources/R7",
            f"/data/experiments/{made}/scans/1/resources/R7/files/f.txt",
        )
        deleting = (
            f"/data/experiments/{made}/resources/A/files/x.txt",
            f"/data/experiments/{made}/resources/A",
            f"/data/experiments/{made}/scans/1",
            f"/data/experiments/{made}",
            "/data/projects/P/subjects/S1",
            "/data/projects/P",
        )
        for name, refused in (("cleo", 403), ("stranger", 404), (None, 401)):
            with web.client(name) as other:
                assert {other.put(where).status_code for where in making} == {refused}, name
                assert {other.delete(where).status_code for where in deleting} == {refused}, name
        with web.client("mia") as mia:
            assert {mia.delete(where).status_code for where in deleting} == {403}
            assert {mia.put(where).status_code for where in making} == {200, 201}
        assert [one["Name"] for one in rows(client.get(f"/data/experiments/{made}/files"))] == ["f.txt", "x.txt"]


def test_every_change_is_in_the_trail_and_nothing_is_left_of_an_operation(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, client):
        made = experiment(client)
        done(client.put(f"/data/experiments/{made}/scans/1", params={"xsiType": "xnat:mrScanData"}))
        done(put(client, f"/data/experiments/{made}/resources/A/files/x.txt", b"xyz"))
        done(client.delete(f"/data/experiments/{made}/resources/A/files/x.txt"))
        done(client.delete(f"/data/experiments/{made}"))
        with web.site.catalog.read() as connection:
            lines = connection.execute(
                select(audit.c.action, audit.c.details).where(audit.c.kind == "session").order_by(audit.c.id)
            ).all()
            counts = (select(func.count()).select_from(table) for table in (operation, upload))
            left = [connection.execute(count).scalar() for count in counts]
    assert [line.action for line in lines] == ["edit", "edit", "edit", "edit", "delete"]
    assert json.loads(lines[2].details) == {"bytes": 3, "fields": ["files"], "files": 1}
    assert all("x.txt" not in line.details for line in lines)
    assert left == [0, 0]
