"""Addresses that name the same thing again and again, or thousands of things: each is looked up and sent once."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from scandock.access.principal import SYSTEM
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.sessions import find_session
from scandock.catalog.tables import session
from scandock.services import session_parts
from scandock.services.settings import load_settings
from scandock.services.xnat_lookup import find_experiments
from scandock.testing.data import make_data
from scandock.web.deps import ZIP_THREADS
from tests.builders import DataFolder, images, uploader_layout
from tests.integration.many_rows import seed, seed_content
from tests.integration.test_browsing import ask, counted
from tests.integration.web import Web, serve_in_process

OBJECTS = images(3, series_number=b"4", also={0x0008103E: (b"LO", b"T1")})
OTHERS = images(1, study=2)
SCANS = 2_000
NAMES = ",".join(str(n) for n in range(SCANS))


@pytest.fixture
def web(site: DataFolder) -> Iterator[Web]:
    with serve_in_process(site.data) as running:
        site.bring(uploader_layout("S1", "4", OBJECTS), session="S1", subject="Ann")
        site.bring(uploader_layout("S2", "1", OTHERS), session="S2", subject="Bob")
        yield running


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    made = open_catalog(database_url)
    yield made
    made.dispose()


def members(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as made:
        return sorted(made.namelist())


def test_an_address_that_names_nothing_is_not_found_and_nothing_is_done(
    client: httpx.Client, subtests: pytest.Subtests
) -> None:
    session = "/data/experiments/XNAT_E00001"
    for where in (f"{session}/scans/,", f"{session}/scans/4/resources/,", f"{session}/scans/,/resources/DICOM"):
        for method in ("DELETE", "GET"):
            with subtests.test(method=method, where=where):
                answer = client.request(method, where)
                assert (answer.status_code, "','" in answer.text) == (404, True), answer.text
    assert len(client.get(f"{session}/scans/4/files").json()["ResultSet"]["Result"]) == len(OBJECTS)
    assert client.delete(f"{session}/scans/4,").status_code == 200


def test_a_nul_in_what_is_asked_for_is_refused_alike_on_both_databases(
    client: httpx.Client, subtests: pytest.Subtests
) -> None:
    """PostgreSQL takes none; SQLite would list nothing, as if such a name could be."""
    for where in (
        "/data/projects?name=a%00b", "/data/experiments?date=%00", "/data/projects/P/experiments?label=*%00*",
        "/data/subjects?columns=label%00", "/data/experiments/a%00b", "/api/v1/projects?search=%00",
        "/api/v1/sessions?study_uid=1%002", "/api/v1/files?session=%00", "/projects?search=%00",
        "/api/v1/projects?sort=id&cursor=WyJpZCIsIlx1MDAwMCIsMV0",
    ):  # fmt: skip
        with subtests.test(where=where):
            answer = client.get(where)
            assert answer.status_code == 400, answer.text


@pytest.mark.long
def test_each_object_is_in_a_zip_once_however_often_it_is_named(
    client: httpx.Client, subtests: pytest.Subtests
) -> None:
    often = ",".join(["4"] * 5_000)
    once = members(client.get("/data/experiments/XNAT_E00001/scans/ALL/files?format=zip"))
    assert len(once) == len(OBJECTS)
    for where in (
        f"experiments/XNAT_E00001/scans/{often}/files",
        "experiments/XNAT_E00001/scans/4,T1,4/resources/DICOM,dicom,DICOM/files",
        f"experiments/{','.join(['XNAT_E00001'] * 2_000)}",
        "projects/P/experiments/S1,XNAT_E00001,s1/scans/ALL/files",
        "projects/P/experiments/S1,XNAT_E00001/scans/4/files",
    ):
        with subtests.test(where=where[:60]):
            assert members(client.get(f"/data/{where}?format=zip")) == once
    both = members(client.get("/data/projects/P/experiments/S2,S1,S2,XNAT_E00001?format=zip"))
    assert [name for name in both if name.startswith("S1/")] == once
    assert len(both) == len(OBJECTS) + len(OTHERS)
    assert members(client.get("/data/projects/P/experiments/S1,S2/scans/4/files?format=zip")) == once
    assert client.get("/data/projects/P/experiments/S1,S2/scans/77/files?format=zip").status_code == 404
    assert client.get("/data/experiments/,?format=zip").status_code == 404


def test_more_different_names_than_are_allowed_are_refused(site: DataFolder) -> None:
    with (
        serve_in_process(site.data, load_settings().model_copy(update={"max_names": 3})) as web,
        web.client() as client,
    ):
        site.bring(uploader_layout("S1", "4", OBJECTS), session="S1", subject="Ann")
        for where in ("scans/4,5,6,7", "scans/4,5/resources/A,B"):
            answer = client.get(f"/data/experiments/XNAT_E00001/{where}/files?format=zip")
            assert answer.status_code == 400
            assert "has 4 different names" in answer.text
            assert "At most 3 are looked up at once: ask in parts, or for ALL" in answer.text
        for where in ("scans/4,4,4,4,T1", "scans/ALL"):
            assert len(members(client.get(f"/data/experiments/XNAT_E00001/{where}?format=zip"))) == len(OBJECTS)
        assert client.get("/data/prearchive/projects/A,B,C,D").status_code == 400
        assert "scandock_names_refused_total 3.0" in client.get("/metrics").text


def test_two_thousand_scans_are_asked_for_by_name(tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_data(data)
    with serve_in_process(data) as web, web.client() as client:
        catalog = web.site.catalog
        seed(catalog, 1, name="Many")
        with catalog.read() as connection:
            uuid = connection.execute(select(session.c.uuid)).scalar_one()
        seed_content(catalog, uuid, SCANS, 3)
        where = "/data/projects/Many/experiments/Sess_00000/scans"
        listed = client.get(f"{where}/{NAMES}/resources").json()["ResultSet"]["Result"]
        assert [one["cat_id"] for one in listed] == NAMES.split(",")
        standing = ask(catalog, lambda c: find_session(c, uuid))
        with counted(catalog) as said:
            rows = ask(catalog, lambda c: session_parts.find_scans(c, standing, NAMES))
            kept = ask(catalog, lambda c: session_parts.find_resources(c, standing, "DICOM,dicom", scans=rows))
        assert (len(rows), len(kept)) == (SCANS, SCANS)
        assert len([one for one in said if one.startswith("SELECT") and "tree_id" in one]) == 2, said


@pytest.mark.postgresql
def test_many_sessions_are_found_by_a_statement_for_many(catalog: Catalog) -> None:
    seed(catalog, 200, name="Many")
    labels = [f"Sess_{n:05}" for n in range(200)]
    with counted(catalog) as few:
        assert len(ask(catalog, lambda c: find_experiments(c, SYSTEM, labels[:1]))) == 1
    with counted(catalog) as many:
        found = ask(catalog, lambda c: find_experiments(c, SYSTEM, [*labels, *labels, "XNAT_E00001", "SESS_00002"]))
    assert [one.record.label for one in found] == labels
    assert len(many) - len(few) <= 4


def test_listings_do_not_wait_for_zips(web: Web) -> None:
    held = threading.Event()
    with ThreadPoolExecutor() as asking, web.client() as client:
        try:
            for _ in range(ZIP_THREADS):
                web.site.zip_threads.submit(held.wait)
            zips = [
                asking.submit(client.get, path)
                for path in ("/data/experiments/XNAT_E00001?format=zip", "/api/v1/projects/P/download")
            ]
            for path in ("/data/projects", "/data/experiments/XNAT_E00001/scans/4,4/files", "/api/v1/sessions"):
                assert client.get(path).status_code == 200
            assert not any(one.done() for one in zips)
        finally:
            held.set()
        assert [len(members(one.result())) for one in zips] == [len(OBJECTS), len(OBJECTS) + len(OTHERS)]
