"""`pullDataFromHeaders` where scans made by hand hold objects of more than one series (xnat-behaviour.md 4.4, 4.5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from scandock.catalog.tables import session
from tests.builders import DataFolder, images, make_data_folder, uploader_layout
from tests.integration.web import serve_data_folder

pytestmark = pytest.mark.long

MR = {"xsiType": "xnat:mrSessionData"}
AGREED = {0x00080070: (b"LO", b"ACME"), 0x00081010: (b"SH", b"SCANNER1")}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


def fields(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["items"][0]["data_fields"]
    return found


def experiment(client: httpx.Client, label: str = "E1", **said: str) -> str:
    """A session made by hand; its address."""
    client.put("/data/projects/P")
    made = client.put(f"/data/projects/P/subjects/S1/experiments/{label}", params={**MR, **said})
    assert made.status_code == 201, made.text
    return f"/data/experiments/{made.text}"


def scan(client: httpx.Client, where: str, number: int, objects: list[bytes], **said: str) -> None:
    """A scan made by hand that holds these objects."""
    made = client.put(f"{where}/scans/{number}", params={"xsiType": "xnat:mrScanData", **said})
    assert made.status_code == 200, made.text
    for n, data in enumerate(objects):
        put = client.put(f"{where}/scans/{number}/resources/DICOM/files/{n}.dcm", content=data)
        assert put.status_code == 200, put.text


def pull(client: httpx.Client, where: str) -> dict[str, Any]:
    """Read the headers; the session's fields afterwards."""
    done = client.put(where, params={"pullDataFromHeaders": "true"})
    assert done.status_code == 200, done.text
    return fields(client.get(where, params={"format": "json"}))


def series(nth: int, count: int = 2, also: dict[int, Any] | None = None, **values: Any) -> list[bytes]:
    """Objects of one series of the study, with its own description."""
    said = {**AGREED, 0x0008103E: (b"LO", b"series %d" % nth), **(also or {})}
    return images(count, series=nth, series_number=b"%d" % nth, also=said, **values)


def test_a_scan_of_two_series_tells_the_session_all_that_its_objects_agree_on(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, client):
        where = experiment(client, note="mine")
        scan(client, where, 1, [*series(1), *series(2)], **{"xnat:mrScanData/type": "T1w"})
        client.put(f"{where}/scans/1", params={"quality": "questionable"})
        found = pull(client, where)
        told = {name: found.get(name) for name in ("date", "time", "scanner", "modality", "dcmPatientId", "note")}
        assert told == {
            "date": "2020-01-31", "time": "10:15:00", "scanner": "SCANNER1", "modality": "MR",
            "dcmPatientId": "PAT1", "note": "mine",
        }  # fmt: skip
        assert found["UID"].startswith("2.25.")
        one = fields(client.get(f"{where}/scans/1", params={"format": "json"}))
        assert (one["type"], one["frames"], one["quality"], one["modality"]) == ("T1w", 4, "questionable", "MR")
        assert (one["scanner"], one["scanner/manufacturer"]) == ("SCANNER1", "ACME")
        assert not one.get("UID")  # it is of no one series
        assert "series_description" not in one  # on which they differ
        with web.site.catalog.read() as connection:
            known = connection.execute(select(session.c.xsi_type, session.c.study_uid, session.c.patient_id)).one()
        assert known == ("xnat:mrSessionData", found["UID"], "PAT1")


def test_a_scan_of_two_series_beside_scans_of_one(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        where = experiment(client)
        scan(client, where, 1, series(1))
        later = {0x00081010: (b"SH", b"SCANNER2")}
        scan(client, where, 2, [*series(2, also=later, study_date=b"20200130"), *series(1, 1)])
        found = pull(client, where)
        assert (found["date"], found["scanner"]) == ("2020-01-30", "SCANNER1,SCANNER2")
        first, second = (fields(client.get(f"{where}/scans/{n}", params={"format": "json"})) for n in (1, 2))
        assert (first["series_description"], first["UID"][:5]) == ("series 1", "2.25.")
        assert (second["frames"], second.get("UID", ""), "series_description" in second) == (3, "", False)


def test_what_a_person_says_of_a_scan_stays_where_its_series_differ(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        where = experiment(client)
        scan(client, where, 1, [*series(1), *series(2)], series_description="both", condition="rest")
        for _ in range(2):
            pull(client, where)
            one = fields(client.get(f"{where}/scans/1", params={"format": "json"}))
            assert (one["series_description"], one["condition"], one["frames"]) == ("both", "rest", 4)


def test_two_studies_in_a_session_leave_it_without_a_study(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, client):
        where = experiment(client)
        scan(client, where, 1, [*series(1), *series(1, study=2, study_date=b"20200202")])
        found = pull(client, where)
        assert (found["date"], found.get("UID", "")) == ("2020-01-31", "")
        with web.site.catalog.read() as connection:
            assert connection.execute(select(session.c.study_uid)).scalar() is None


def test_an_import_joins_a_session_with_a_scan_of_two_series(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        where = experiment(client, "S1")
        scan(client, where, 1, [*series(1), *series(2)])
        pull(client, where)
        unsaid = frozenset({0x00081010})
        brought = uploader_layout("S1", "2", [*series(2), *series(3, 1, without=unsaid)])
        told = site.bring(brought, session="S1", project="P", subject="S1")
        assert (told.state, told.counts) == ("placed", {"stored": 1, "duplicate": 2})
        found = fields(client.get(where, params={"format": "json"}))
        assert (found["date"], found["scanner"]) == ("2020-01-31", "SCANNER1")
        assert fields(client.get(f"{where}/scans/1", params={"format": "json"}))["frames"] == 4


@pytest.mark.postgresql
def test_a_scan_without_a_resource_of_images_is_read_by_the_format_of_its_others(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        where = experiment(client)
        client.put(f"{where}/scans/1", params={"xsiType": "xnat:mrScanData"})
        client.put(f"{where}/scans/1/resources/RAW", params={"format": "DICOM", "content": "RAW"})
        for n, data in enumerate(series(1)):
            client.put(f"{where}/scans/1/resources/RAW/files/{n}", content=data)
        assert pull(client, where)["date"] == "2020-01-31"
        told = fields(client.get(f"{where}/scans/1", params={"format": "json"}))
        assert (told["series_description"], told["frames"]) == ("series 1", 2)


def test_files_that_are_no_images_are_not_counted_as_such(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        where = experiment(client)
        scan(client, where, 1, series(1))
        client.put(f"{where}/scans/1/resources/DICOM/files/readme.txt", content=b"hello")
        client.put(f"{where}/scans/2", params={"xsiType": "xnat:mrScanData"})
        client.put(f"{where}/scans/2/resources/secondary/files/a.txt", content=b"hello")

        def frames() -> list[int]:
            asked = {"columns": "ID,frames", "format": "json"}
            return [
                int(one["frames"] or 0)
                for one in client.get(f"{where}/scans", params=asked).json()["ResultSet"]["Result"]
            ]

        assert frames() == [2, 0]
        pull(client, where)
        assert frames() == [2, 0]
