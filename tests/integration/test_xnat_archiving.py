"""Archiving, and what else the services of XNAT's dialect do to prearchive sessions (xnat-behaviour.md 5.7, 5.8).

Imports run in this process; then a server of the same DATA is asked as its clients ask.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, update

from scandock.catalog.tables import reservation, session, subject_patient, upload
from tests.builders import DataFolder, Image, images, make_data_folder, sha256, uploader_layout
from tests.integration.xnat_prearchive import OTHER, import_to_prearchive, prearchive_status, result_rows, serve_xnat

pytestmark = pytest.mark.long


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


# -- services ----------------------------------------------------------------------------------------------------------


def test_archiving_answers_where_it_stands_now(site: DataFolder) -> None:
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        told = client.post("/data/services/archive", params={"src": uri, "auto-archive": "false"})
        assert (told.status_code, told.text) == (
            200,
            "/data/archive/projects/Q/subjects/DOE_JANE/experiments/S1\r\n",
        )
        assert client.post("/data/services/archive", params={"src": uri}).status_code == 404


@pytest.mark.postgresql
def test_archiving_takes_pieces_of_the_address_labels_and_dest(site: DataFolder) -> None:
    uri, other = import_to_prearchive(site), import_to_prearchive(site, label="S2", study=2)
    stamp = uri.split("/")[5]
    with serve_xnat(site) as (_, client):
        named = {"project": "Q", "PREARC_TIMESTAMP": stamp, "PREARC_SESSION_FOLDER": "S1"}
        told = client.post("/data/services/archive", data={**named, "subject": "New sub", "session": "New.label"})
        assert told.text == "/data/archive/projects/Q/subjects/New_sub/experiments/New_label\r\n"
        subject_id = result_rows(client.get("/data/projects/Q/subjects"))[0]["ID"]
        dest = {"dest": f"/archive/projects/Q/subjects/{subject_id}/experiments/E2", "src": other[5:]}
        told = client.post("/data/services/archive", data=dest)
        assert told.text == "/data/archive/projects/Q/subjects/New_sub/experiments/E2\r\n"


@pytest.mark.postgresql
def test_archiving_into_a_session_that_is_named_by_its_id(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(1)), project="Q", session="S1")
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        (one,) = result_rows(client.get("/data/projects/Q/experiments"))
        told = client.post(
            "/data/services/archive",
            data={"src": uri, "dest": f"/archive/experiments/{one['ID']}", "overwrite": "append"},
        )
        assert told.text == "/data/archive/projects/Q/subjects/DOE_JANE/experiments/S1\r\n"
    assert len(site.files("archive")) == 2


SCAN = "xnat:mrSessionData/scans/scan"


def test_archiving_says_of_scans_what_a_put_of_each_would(site: DataFolder) -> None:
    uri = import_to_prearchive(site)
    (one,) = rows_of_scans(site, uri)

    def ask(client: httpx.Client, **said: str) -> httpx.Response:
        return client.post("/data/services/archive", params={"src": uri, "session": "E1", **said})

    with serve_xnat(site) as (web, client):
        for said, code in (
            ({f"{SCAN}[1]/type": "T1"}, 404),
            ({f"{SCAN}[@ID=9]/type": "T1"}, 404),
            ({f"{SCAN}[0]/type": "T1", f"{SCAN}[0]/quality": "fine"}, 400),
            ({f"{SCAN}[0][@xsi:type=xnat:noScanData]/type": "T1"}, 400),
        ):
            assert ask(client, **said).status_code == code, said
            assert prearchive_status(client, uri) == "READY"
        web.account("carla", Q="collaborator")
        with web.client("carla") as carla:
            assert ask(carla, **{f"{SCAN}[0]/type": "T1"}).status_code in (403, 404)
        said = {
            f"{SCAN}[0][@xsi:type={one['xsiType']}]/type": "ARC_TEST", f"{SCAN}[@ID={one['ID']}]/note": "looked at",
            f"{SCAN}[0]/quality": "questionable", f"{SCAN}[0][@xsi:type=xnat:petScanData]/series_description": "no",
        }  # fmt: skip
        assert ask(client, **said).status_code == 200
        (scan,) = result_rows(client.get("/data/projects/Q/experiments/E1/scans"))
        assert (scan["type"], scan["note"], scan["quality"]) == ("ARC_TEST", "looked at", "questionable")
        assert scan["series_description"] == one["series_description"]
        assert client.get("/data/projects/Q/experiments/E1/scans/ARC_TEST/files").status_code == 200


def test_what_is_said_of_a_scan_follows_it_into_the_session_that_it_joins(site: DataFolder) -> None:
    """Of two series of one number the one that comes is called otherwise there."""
    site.bring({"1.dcm": Image(case="again", series=2).file()}, project="Q", session="S1", destination="archive")
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        (before,) = result_rows(client.get("/data/projects/Q/experiments/S1/scans"))
        params = {"src": uri, "overwrite": "append", "session": "S1", f"{SCAN}[0]/type": "T1"}
        answer = client.post("/data/services/archive", params=params)
        assert answer.status_code == 200, answer.text
        after = {one["ID"]: one["type"] for one in result_rows(client.get("/data/projects/Q/experiments/S1/scans"))}
    assert len(after) == 2
    assert [kind for scan, kind in after.items() if scan != before["ID"]] == ["T1"]
    assert after[before["ID"]] == before["type"]


def rows_of_scans(site: DataFolder, uri: str) -> list[dict[str, str]]:
    with serve_xnat(site) as (_, client):
        return result_rows(client.get(f"{uri}/scans", params={"format": "json"}))


def test_archiving_refuses_by_the_originals_statuses(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(1)), project="Q", session="S1")
    site.project("R")
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):

        def ask(**named: str) -> httpx.Response:
            return client.post("/data/services/archive", params={"src": uri, **named})

        exists = ask()
        assert exists.status_code == 409
        assert exists.text.startswith("Session already exists, retry with overwrite enabled")
        assert prearchive_status(client, uri) == "CONFLICT"
        assert ask(project="R").status_code == 400
        assert ask(src="/prearchive/projects/Q/x").status_code == 400
        assert ask(src=f"{uri}x").status_code == 404
        assert ask(subject="Somebody", overwrite="append").status_code == 409
        assert client.post("/data/services/archive").status_code == 400
        assert ask(overwrite="append").text.endswith("/subjects/DOE_JANE/experiments/S1\r\n")
    assert len(site.files("archive")) == 2


def test_a_named_label_makes_a_session_of_its_own_of_a_study_that_is_archived(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(1)), project="Q", session="S1")
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        told = client.post("/data/services/archive", params={"src": uri, "session": "Apart"})
        assert told.text == "/data/archive/projects/Q/subjects/DOE_JANE/experiments/Apart\r\n"
    assert sorted(path.split("/")[1] for path in site.files("archive")) == ["Apart", "Apart", "S1"]


@pytest.mark.parametrize("overwrite_files", [False, True])
def test_objects_that_differ_are_a_conflict_unless_files_may_be_replaced(
    site: DataFolder, overwrite_files: bool
) -> None:
    site.bring(uploader_layout("S1", "1", images(1)), project="Q", session="S1")
    other = [Image(case="again", number=1, also=OTHER).file()]
    told = site.bring(uploader_layout("S1", "1", other), project="Q", session="S1", destination="prearchive")
    uri = told.session["uri"]
    with serve_xnat(site) as (_, client):
        more = {"overwrite_files": "true"} if overwrite_files else {}
        answer = client.post("/data/services/archive", params={"src": uri, "overwrite": "append", **more})
        if overwrite_files:
            assert answer.status_code == 200
            assert list(site.files("archive").values()) == [sha256(other[0])]
            assert site.files("prearchive") == {}
        else:
            assert list(site.files("archive").values()) == [sha256(images(1)[0])]
            assert (answer.status_code, prearchive_status(client, uri)) == (409, "CONFLICT")
            assert answer.text.startswith("Session already exists with matching files.")


@pytest.mark.postgresql
def test_a_session_that_is_being_changed_is_locked(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scandock.publishing.operations.WAIT_SECONDS", 0.0)
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (web, client):
        with web.site.catalog.write() as connection:
            stamp = connection.execute(select(session.c.timestamp)).scalar_one()
            number = connection.execute(select(upload.c.id)).scalar_one()
            connection.execute(reservation.insert().values(name=f"Q/timestamp/{stamp}", upload_id=number))
        locked = client.post("/data/services/archive", params={"src": uri})
        assert (locked.status_code, locked.text.split(".")[0]) == (423, "Duplicate archive attempt")
        assert client.post(uri, params={"action": "build"}).status_code == 409


def test_several_sessions_are_each_judged_alone(site: DataFolder) -> None:
    site.bring(uploader_layout("S2", "1", images(1, study=2, patient_id=b"PAT2")), project="Q", session="S2")
    uris = [import_to_prearchive(site, label=f"S{number}", study=number) for number in (1, 2)]
    with serve_xnat(site) as (_, client):
        told = result_rows(client.post("/data/services/archive", params={"src": uris}))
        assert [one["status"] for one in told] == ["QUEUED_ARCHIVING", "READY"]
        assert told[0]["url"].startswith("/archive/projects/Q/subjects/DOE_JANE")
        assert "already exists" in told[1]["message"]
        unknown = [f"{uris[1]}x", f"{uris[1]}y"]
        told = result_rows(client.post("/data/services/archive", params={"src": [uris[1], unknown[0]]}))
        assert [(one["status"], one["message"][:20]) for one in told] == [
            ("CONFLICT", "Session already exis"),
            ("", "There is nothing of "),
        ]
        assert client.post("/data/services/archive", params={"src": unknown}).status_code == 404


def test_many_are_moved_and_built_at_once(site: DataFolder) -> None:
    site.project("R")
    uris = [import_to_prearchive(site, label=f"S{number}", study=number) for number in (1, 2)]
    with serve_xnat(site) as (_, client):
        built = result_rows(client.post("/data/services/prearchive/rebuild", data={"src": uris, "async": "false"}))
        assert [one["status"] for one in built] == ["READY", "READY"]
        moved = result_rows(client.post("/data/services/prearchive/move", data={"src": uris, "newProject": "R"}))
        assert [one["project"] for one in moved] == ["R", "R"]
        assert result_rows(client.get("/data/prearchive/projects/Q")) == []
        assert client.post("/data/services/prearchive/move", data={"src": uris[0]}).status_code == 400


@pytest.mark.postgresql
def test_of_several_at_once_one_archives_and_nothing_is_lost(site: DataFolder) -> None:
    uri = import_to_prearchive(site)
    objects = sorted(site.files("prearchive").values())
    with serve_xnat(site) as (_, client):

        def ask(service: bool) -> int:
            if service:
                return client.post("/data/services/archive", params={"src": uri}).status_code
            return client.post(uri, params={"action": "commit"}).status_code

        with ThreadPoolExecutor(4) as pool:
            told = sorted(pool.map(ask, (True, False, True, False)))
    assert len([one for one in told if one in (200, 301)]) == 1
    assert set(told) <= {200, 301, 404}
    assert sorted(site.files().values()) == objects
    site.check()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[1]"),
        ("application/x-www-form-urlencoded", b"src=" + b"x" * 1_100_000),
        ("application/x-www-form-urlencoded", b"&".join(b"a=1" for _ in range(3000))),
        ("multipart/form-data; boundary=x", b"no form"),
    ],
)
def test_a_body_that_is_no_parameters_is_refused(site: DataFolder, kind: str, body: bytes) -> None:
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        told = client.post(uri, params={"action": "build"}, content=body, headers={"Content-Type": kind})
        prearchive_status = 413 if len(body) > 2**20 else 400
        assert (told.status_code, told.headers["content-type"].split(";")[0]) == (prearchive_status, "text/plain")


# -- labels, subjects and types that are named -------------------------------------------------------------------------

MODALITY = "Invalid modification of session modality via archive process."
KINDS = ("xnat:mrSessionData", "xnat:petSessionData", "xnat:experimentData")


def archived(site: DataFolder, label: str = "E", subject: str = "S", **values: object) -> None:
    """Archive two objects as a session of its own study, or of the one that `waits` brings."""
    objects = images(2, **{"study": 1, "patient_id": b"PAT1", **values})
    told = site.bring(uploader_layout(label, "1", objects), project="Q", session=label, subject=subject)
    assert told.state == "placed", told.report


def by_hand(client: httpx.Client, label: str, kind: str = "xnat:petSessionData", **said: str) -> str:
    where = f"/data/projects/Q/subjects/S/experiments/{label}"
    assert client.put(where, params={"xsiType": kind, **said}).status_code in (200, 201)
    return where


def item(client: httpx.Client, where: str) -> dict[str, str]:
    (found,) = client.get(where, params={"format": "json"}).json()["items"]
    return {"xsi:type": found["meta"]["xsi:type"], **found["data_fields"]}


def test_paths_into_the_document_name_label_and_subject(site: DataFolder) -> None:
    with serve_xnat(site) as (_, client):
        for number, kind in enumerate(KINDS, start=1):
            said = {f"{kind}/label": f"MR.{number}", f"{kind}/subject_id": "SUB X", f"{kind}/project": "q"}
            uri = import_to_prearchive(site, label=f"W{number}", study=number)
            told = client.post("/data/services/archive", data={"src": uri, **said, "EXPT_LABEL": "no", "label": "no"})
            assert told.text == f"/data/archive/projects/Q/subjects/SUB_X/experiments/MR_{number}\r\n"
        uri = import_to_prearchive(site, label="W4", study=4)
        other = client.post("/data/services/archive", data={"src": uri, "xnat:mrSessionData/project": "R"})
        assert (other.status_code, prearchive_status(client, uri)) == (400, "READY")
        said = {"src": uri, "xnat:mrSessionData/label": "no", "xnat:mrSessionData/subject_ID": "no"}
        told = client.post("/data/services/archive", data={**said, "session": "E4", "subject": "S4"})
        assert told.text.endswith("/subjects/S4/experiments/E4\r\n")


def test_a_named_label_that_is_another_s_session_changes_nothing(site: DataFolder) -> None:
    """Another study's, another subject's of the same study, and another subject's that was made by hand."""
    archived(site, "THEIRS", study=9, patient_id=b"PAT9")
    archived(site, "MINE", "S")
    uri = import_to_prearchive(site, label="S1")
    with serve_xnat(site) as (web, client):
        by_hand(client, "HAND", "xnat:mrSessionData")
        with web.site.catalog.write() as connection:
            connection.execute(update(session).where(session.c.place == "prearchive").values(subject="SUBX"))
        before, rows_before = site.files(), result_rows(client.get("/data/projects/Q/experiments"))

        def ask(**named: str) -> httpx.Response:
            return client.post("/data/services/archive", params={"src": uri, **named})

        path = "xnat:mrSessionData/label"
        for named in (
            {path: "THEIRS"},
            {path: "THEIRS", "xnat:mrSessionData/subject_id": "S"},
            {path: "MINE"},
            {path: "MINE", "xnat:mrSessionData/subject_id": "SUBX"},
            {path: "HAND"},
            {path: "HAND", "subject": "Other"},
        ):
            for overwrite in ("", "append", "delete"):
                told = ask(overwrite=overwrite, **named)
                assert (told.status_code, prearchive_status(client, uri)) == (409, "READY"), (named, told.text)
        assert (site.files(), result_rows(client.get("/data/projects/Q/experiments"))) == (before, rows_before)
        apart = ask(overwrite="append", **{path: "MRX", "xnat:mrSessionData/subject_id": "SUBX"})
        assert apart.text == "/data/archive/projects/Q/subjects/SUBX/experiments/MRX\r\n"
        assert len(site.files("archive/Q/MINE")) == 2, "the study's other session is left alone"


def mixed(site: DataFolder, label: str = "S1") -> str:
    """A study of two patients that waits."""
    objects = [*images(1), Image(case="again", number=2, patient_id=b"PAT2").file()]
    told = site.bring(uploader_layout(label, "1", objects), project="Q", session=label, dialect=True)
    assert told.session["code"] == "patient_mismatch"
    return str(told.session["uri"])


def test_several_patients_are_one_only_where_somebody_who_may_archive_says_so(site: DataFolder) -> None:
    uri = mixed(site)
    with serve_xnat(site) as (web, client):
        web.account("carl", Q="collaborator")
        web.account("mia", Q="member")
        same = {"src": uri, "allowPatientMismatch": "true"}
        for overwrite in ("", "append", "delete"):
            told = client.post("/data/services/archive", params={"src": uri, "overwrite": overwrite})
            assert (told.status_code, prearchive_status(client, uri)) == (409, "CONFLICT")
        assert client.post(uri, params={"action": "commit", "AA": "true", **same}).status_code == 200, "it stays"
        with web.client("carl") as carl, web.client(None) as nobody:
            assert carl.post("/data/services/archive", params=same).status_code == 403
            assert nobody.post("/data/services/archive", params=same).status_code == 401
        with web.client("mia") as mia:
            told = mia.post("/data/services/archive", params=same)
            assert told.text == "/data/archive/projects/Q/subjects/DOE_JANE/experiments/S1\r\n"
        with web.site.catalog.read() as connection:
            said = connection.execute(select(session.c.warnings, session.c.state)).one()
            known = set(connection.execute(select(subject_patient.c.patient_id)).scalars())
        assert ("patient_mismatch" in said.warnings, said.state, known) == (True, "ready", {"PAT1", "PAT2"})
        lines = client.get("/api/v1/audit", params={"project": "Q"}).json()["items"]
        (line,) = [one for one in lines if one["action"] == "archive"]
        assert (line["actor"], line["details"]["patients"]) == ("mia", "accepted as one")
        more = uploader_layout("S1", "2", images(1, series=2))
        told_of = site.bring(more, project="Q", session="S1", destination="archive")
        assert (told_of.state, "patient_mismatch" in told_of.warned()) == ("placed", True), "it stays true"
        with web.site.catalog.read() as connection:
            assert "patient_mismatch" in connection.execute(select(session.c.warnings)).scalar_one()
    site.check()


def test_that_several_patients_are_one_says_nothing_of_objects_that_differ(site: DataFolder) -> None:
    """Also once other imports came for it, which clash with nothing."""
    uri = mixed(site)
    wanted = {"project": "Q", "session": "S1", "dialect": True, "destination": "prearchive"}
    for objects in ([Image(case="again", number=2, also=OTHER).file()], images(1, series=2)):
        assert site.bring(uploader_layout("S1", "1", objects), **wanted).session["uri"] == uri  # type: ignore[arg-type]
    with serve_xnat(site) as (_, client):
        told = client.post("/data/services/archive", params={"src": uri, "allowPatientMismatch": "true"})
        assert (told.status_code, "under one SOP UID" in told.text, prearchive_status(client, uri)) == (
            409,
            True,
            "CONFLICT",
        )
        assert (site.files("archive"), len(site.files("prearchive"))) == ({}, 4)


def test_another_patient_s_session_is_not_joined_by_append_alone(site: DataFolder) -> None:
    uri = import_to_prearchive(site)  # of PAT1
    archived(site, "S1", patient_id=b"PAT9", case="again", series=2)
    with serve_xnat(site) as (_, client):
        asked = {"src": uri, "overwrite": "append"}
        told = client.post("/data/services/archive", params=asked)
        assert (told.status_code, "PAT1, PAT9" in told.text, prearchive_status(client, uri)) == (409, True, "CONFLICT")
        assert len(site.files("archive")) == 2
        told = client.post("/data/services/archive", params={**asked, "allowPatientMismatch": "true"})
        assert (told.status_code, len(site.files("archive"))) == (200, 4), told.text
        assert result_rows(client.get("/data/prearchive/projects/Q")) == []


def test_a_session_of_one_patient_goes_under_a_label_of_its_own(site: DataFolder) -> None:
    """As the refusal to join another patient's says; it was never said that several patients are in it."""
    uri = import_to_prearchive(site)  # of PAT1
    archived(site, "S1", patient_id=b"PAT9", case="again", series=2)
    with serve_xnat(site) as (web, client):
        asked = {"src": uri, "overwrite": "append"}
        for _ in range(2):
            told = client.post("/data/services/archive", params=asked)
            assert (told.status_code, "PAT1, PAT9" in told.text, prearchive_status(client, uri)) == (
                409,
                True,
                "CONFLICT",
            )
        told = client.post("/data/services/archive", params={**asked, "session": "NEW"})
        assert (told.status_code, told.text.endswith("/experiments/NEW\r\n")) == (200, True), told.text
        with web.site.catalog.read() as connection:
            said = connection.execute(select(session.c.warnings).where(session.c.label == "NEW")).scalar_one()
        assert "patient_mismatch" not in said
    site.check()


def test_a_type_that_a_person_set_is_a_conflict_and_stays_with_delete(site: DataFolder) -> None:
    uri = import_to_prearchive(site, label="E")
    objects = sorted(site.files("prearchive").values())
    with serve_xnat(site) as (_, client):
        where = by_hand(client, "E", date="2000-01-01", note="mine")
        asked = {"src": uri, "session": "E", "subject": "S", "overwrite": "append"}
        told = client.post("/data/services/validate-archive", params=asked)
        assert ("19", "CONFLICT") in [(one["code"], one["type"]) for one in result_rows(told)]
        assert prearchive_status(client, uri) == "READY"
        told = client.post("/data/services/archive", params=asked)
        assert (told.status_code, told.text[: len(MODALITY)], prearchive_status(client, uri)) == (
            409,
            MODALITY,
            "CONFLICT",
        )
        assert client.post(uri, params={"action": "commit", "session": "E", "subject": "S"}).status_code == 200
        assert sorted(site.files("prearchive").values()) == objects
        told = client.post("/data/services/archive", params={**asked, "overwrite": "delete"})
        assert told.text == "/data/archive/projects/Q/subjects/S/experiments/E\r\n"
        for wish in ({}, {"fixScanTypes": "true"}):
            client.put(where, params=wish)
            found = item(client, where)
            assert (found["xsi:type"], found["date"], found["note"]) == ("xnat:petSessionData", "2000-01-01", "mine")
        (scan,) = result_rows(client.get(f"{where}/scans"))
        assert scan["xsiType"] == "xnat:mrScanData"
        more = uploader_layout("E", "2", images(1, series=2, modality=b"CT"))
        again = site.bring(more, project="Q", session="E", subject="S", destination="archive")
        assert again.session["code"] == "type_differs", "its type is set still"
        client.put(where, params={"pullDataFromHeaders": "true"})
        assert item(client, where)["date"] == "2020-01-31"
        assert sorted(site.files("archive").values()) == objects
        joined = import_to_prearchive(site, label="E", said={"visit": "v2"})  # the conflict, which it joins
        client.post("/data/services/archive", params={"src": joined, "overwrite": "delete"})
        assert (item(client, where)["visit"], item(client, where)["note"]) == ("v2", "mine")
    assert len(site.files("archive")) == 3
    site.check()


# -- validating --------------------------------------------------------------------------------------------------------


def found(client: httpx.Client, uri: str, **named: str) -> list[tuple[str, str]]:
    answer = client.post("/data/services/validate-archive", params={"src": uri, **named})
    return [(one["code"], one["type"]) for one in result_rows(answer)]


def test_validating_tells_what_speaks_against_it_and_changes_nothing(site: DataFolder) -> None:
    uri = import_to_prearchive(site)
    fresh = import_to_prearchive(site, label="S2", study=2)
    site.bring(uploader_layout("S1", "1", images(1, patient_id=b"PAT1")), project="Q", session="S1", subject="DOE_JANE")
    before = site.files()
    with serve_xnat(site) as (_, client):
        assert found(client, uri) == [("1", "CONFLICT"), ("16", "CONFLICT")]
        assert found(client, uri, overwrite="append") == [("16", "CONFLICT")]
        assert found(client, uri, subject="Other") == [("4", "FAIL")]
        assert found(client, uri, project="R") == [("1", "CONFLICT"), ("3", "FAIL"), ("16", "CONFLICT")]
        assert ("12", "WARN") in found(client, fresh, subject="Nobody")
        several = client.post("/data/services/validate-archive", params={"src": [uri, uri]})
        assert several.status_code == 400
        assert several.text == "Cannot validate multiple sessions in one request."
        assert prearchive_status(client, uri) == "READY"
    assert site.files() == before


def test_validating_finds_objects_that_clash_and_other_files(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(1)), project="Q", session="S1")
    other = uploader_layout("S1", "1", [Image(case="again", number=1, also=OTHER).file()])
    other["S1/scans/1/resources/NIFTI/files/a.nii"] = b"nifti"
    uri = site.bring(other, project="Q", session="S1", destination="prearchive").session["uri"]
    with serve_xnat(site) as (_, client):
        assert found(client, uri) == [("14", "CONFLICT"), ("20", "WARN")]
        assert prearchive_status(client, uri) == "READY"
