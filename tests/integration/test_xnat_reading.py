"""Reading by XNAT's dialect: listings, items, files and zips, by ids and labels, in three formats, for who may."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from sqlalchemy import update

from scandock.access.principal import SYSTEM
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.tables import session, subject
from scandock.web.xnat.services.experiments import list_experiments
from scandock.web.xnat.services.projects import list_projects
from scandock.web.xnat.services.subjects import list_subjects
from tests.builders import DataFolder, images, uploader_layout
from tests.integration.many_rows import seed, seed_scans
from tests.integration.test_browsing import ask, counted
from tests.integration.web import Web, serve_in_process

pytestmark = pytest.mark.long

OBJECTS = images(3, series_number=b"4", study_date=b"20240131", also={0x0008103E: (b"LO", b"T1 <fast>, 3D")})
MORE = images(2, series=2, series_number=b"12", study_date=b"20240131")


@pytest.fixture
def web(site: DataFolder) -> Iterator[Web]:
    with serve_in_process(site.data) as running:
        site.bring(uploader_layout("S1", "4", OBJECTS), session="S1", subject="Ann")
        yield running


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    made = open_catalog(database_url)
    yield made
    made.dispose()


def rows(client: httpx.Client, path: str) -> list[dict[str, str]]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    found = answer.json()["ResultSet"]
    assert found["totalRecords"] == str(len(found["Result"]))
    return list(found["Result"])


def test_scans_come_as_people_count_them_in_whatever_order_they_were_imported(
    site: DataFolder, client: httpx.Client
) -> None:
    for number in (100, 3, 20):
        objects = images(1, series=number, series_number=str(number).encode(), study_date=b"20240131")
        site.bring(uploader_layout("S1", str(number), objects), session="S1", subject="Ann")
    expected = ["3", "4", "20", "100"]

    def scans_of(paths: list[str]) -> list[str]:
        ids = [path.split("/scans/")[1].split("/")[0].split("-")[0] for path in paths if "/scans/" in path]
        return list(dict.fromkeys(ids))

    for path in ("files", "scans/ALL/files", "scans/100,4,3,20/files"):
        assert scans_of([row["URI"] for row in rows(client, f"/data/experiments/XNAT_E00001/{path}")]) == expected
        zipped = client.get(f"/data/experiments/XNAT_E00001/{path}?format=zip").content
        assert scans_of(zipfile.ZipFile(io.BytesIO(zipped)).namelist()) == expected
    uuid = client.get("/api/v1/sessions?project=P").json()["items"][0]["id"]
    whole = client.get(f"/api/v1/sessions/{uuid}/download").content
    assert scans_of(zipfile.ZipFile(io.BytesIO(whole)).namelist()) == expected


# -- listings ----------------------------------------------------------------------------------------------------------


def test_the_tree_is_listed_from_the_project_down(client: httpx.Client) -> None:
    (project,) = [one for one in rows(client, "/data/projects") if one["ID"] == "P"]
    assert (project["name"], project["URI"]) == ("First", "/data/projects/P")
    (subject,) = rows(client, "/data/projects/P/subjects?columns=ID,URI,label&format=json")
    assert subject == {"ID": "XNAT_S00001", "URI": "/data/subjects/XNAT_S00001", "label": "Ann"}
    (experiment,) = rows(client, "/data/archive/projects/P/experiments?columns=ID,URI,label,xsiType")
    assert experiment == {
        "ID": "XNAT_E00001", "URI": "/data/experiments/XNAT_E00001", "label": "S1", "xsiType": "xnat:mrSessionData",
    }  # fmt: skip
    (scan,) = rows(client, "/data/experiments/XNAT_E00001/scans?columns=ID,URI,type,xsiType")
    assert scan == {
        "ID": "4", "URI": "/data/experiments/XNAT_E00001/scans/4", "type": "T1 <fast>, 3D",
        "xsiType": "xnat:mrScanData",
    }  # fmt: skip
    (resource,) = rows(client, "/data/experiments/XNAT_E00001/scans/4/resources")
    assert (resource["label"], resource["file_count"], resource["element_name"]) == (
        "DICOM",
        "3",
        "xnat:resourceCatalog",
    )
    assert not {"ID", "URI"} & resource.keys()


def test_each_address_of_a_session_is_the_same_one(client: httpx.Client, subtests: pytest.Subtests) -> None:
    prefixes = ("/data", "/data/archive", "/REST", "/REST/archive")
    addresses = (
        "/experiments/XNAT_E00001",
        "/projects/P/experiments/S1",
        "/projects/p/experiments/s1",
        "/subjects/XNAT_S00001/experiments/XNAT_E00001",
        "/projects/P/subjects/Ann/experiments/S1",
        "/projects/P/subjects/XNAT_S00001/experiments/XNAT_E00001",
    )
    for address in (f"{prefix}{where}" for prefix in prefixes for where in addresses):
        with subtests.test(address=address):
            fields = client.get(f"{address}?format=json").json()["items"][0]["data_fields"]
            assert (fields["ID"], fields["label"], fields["project"]) == ("XNAT_E00001", "S1", "P")
            assert fields["subject_ID"] == "XNAT_S00001"
            found = rows(client, f"{address}/scans/4/resources/DICOM/files")
            assert {one["URI"].rpartition("/files/")[0] for one in found} == {
                f"/data/experiments/XNAT_E00001/scans/4/resources/{found[0]['cat_ID']}"
            }


def test_a_session_of_another_subject_is_not_found_there(client: httpx.Client) -> None:
    for where in ("/data/projects/P/subjects/Bob/experiments/S1", "/data/projects/Q/experiments/S1"):
        answer = client.get(where)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/plain")


def test_listings_come_as_csv_and_xml_too(client: httpx.Client) -> None:
    text = client.get("/data/experiments/XNAT_E00001/scans?format=csv").text
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["series_description"] == "T1 <fast>, 3D"
    document = ET.fromstring(client.get("/data/experiments/XNAT_E00001/scans?format=xml").content)
    names = [one.text for one in document.findall("results/columns/column")]
    cells = [one.text for one in document.findall("results/rows/row/cell")]
    assert dict(zip(names, cells, strict=True))["type"] == "T1 <fast>, 3D"


def test_an_empty_listing_in_csv_has_its_header(client: httpx.Client) -> None:
    client.post("/api/v1/projects", json={"id": "Empty"})
    text = client.get("/data/projects/Empty/subjects?format=csv&columns=label,ID").text
    assert text == "label,ID,URI\n"


def test_columns_filters_sorting_and_pages(site: DataFolder, client: httpx.Client) -> None:
    site.bring(uploader_layout("S2", "1", images(1, study=2)), session="S2", subject="Bob")
    assert [one["label"] for one in rows(client, "/data/experiments?label=S*&sortBy=label&sortOrder=DESC")] == [
        "S2",
        "S1",
    ]
    assert [one["label"] for one in rows(client, "/data/experiments?ID=XNAT_E00002")] == ["S2"]
    assert rows(client, "/data/experiments?ID=XNAT_E09999") == []
    assert [one["label"] for one in rows(client, "/data/experiments?xsiType=xnat:mrSessionData")] == ["S1", "S2"]
    assert rows(client, "/data/experiments?xsiType=xnat:ctSessionData") == []
    assert len(rows(client, "/data/experiments?xsiType=xnat:subjectAssessorData")) == 2
    assert [one["label"] for one in rows(client, "/data/experiments?limit=1&offset=1")] == ["S2"]
    (found,) = rows(client, "/data/experiments?subject_label=Bob&columns=date,nobody,xnat:mrSessionData/project")
    assert found["nobody"] == ""
    assert found["project"] == "P"
    assert client.get("/data/experiments?limit=many").status_code == 400


def test_scans_are_joined_where_columns_of_them_are_asked_for(site: DataFolder, client: httpx.Client) -> None:
    site.bring(
        {**uploader_layout("S1", "4", OBJECTS), **uploader_layout("S1", "12", MORE)}, session="S1", subject="Ann"
    )
    asked = "columns=ID,label,xnat:imagesessiondata/scans/scan/id,xnat:imagesessiondata/scans/scan/type"
    found = rows(client, f"/REST/archive/experiments?project=P&xsiType=xnat:imageSessionData&{asked}")
    assert [(one["label"], one["xnat:imagescandata/id"]) for one in found] == [("S1", "4"), ("S1", "12")]
    asked = "columns=ID,xnat:imagesessiondata/scans/scan/id"  # dax reads the column by the path that it named
    found = rows(client, f"/REST/projects/P/subjects/Ann/experiments?{asked}")
    assert [one["xnat:imagesessiondata/scans/scan/id"] for one in found] == ["4", "12"]


def test_resources_of_scans_are_joined_where_they_are_asked_for(client: httpx.Client) -> None:
    """As dax lists the scans of a project: a row for each resource."""
    assert client.put("/data/experiments/XNAT_E00001/scans/4/resources/NIFTI").status_code == 200
    assert client.put("/data/experiments/XNAT_E00001/resources/NOTES").status_code == 200
    asked = "xsiType=xnat:imageSessionData&columns=ID,xnat:imagescandata/id,xnat:imagescandata/file/label"
    found = rows(client, f"/REST/archive/experiments?project=P&{asked}")
    assert [(one["xnat:imagescandata/id"], one["xnat:imagescandata/file/label"]) for one in found] == [
        ("4", "DICOM"),
        ("4", "NIFTI"),
    ]
    shared = rows(client, f"/REST/archive/experiments?xnat:imagesessiondata/sharing/share/project=P&{asked}")
    assert shared == []


def test_subjects_and_sessions_say_when_they_were_changed_last(client: httpx.Client, site: DataFolder) -> None:
    """pyxnat's caches and dax's go by it: a subject's is that of its sessions."""
    columns = "columns=insert_date,last_modified,xnat:mrSessionData/meta/last_modified"

    def changed() -> list[str]:
        (ann,) = rows(client, f"/data/projects/P/subjects?{columns}")
        (s1,) = rows(client, f"/data/experiments?{columns}")
        assert ann["insert_date"] == s1["insert_date"] == "2024-01-31 10:00:00.0"
        return [ann["last_modified"], s1["xnat:mrsessiondata/meta/last_modified"]]

    moment = 1_706_695_200_000
    catalog = open_catalog(f"sqlite:///{site.data}/scandock.db")
    with catalog.write() as connection:
        connection.execute(update(subject).values(created=moment))
        connection.execute(update(session).values(created=moment, modified=moment + 1500))
    catalog.dispose()
    assert changed() == ["2024-01-31 10:00:01.5"] * 2
    client.put("/data/experiments/XNAT_E00001?note=after")
    now, same = changed()
    assert now == same
    assert now > "2024-01-31 10:00:01.5"


def test_columns_of_scans_of_one_type_are_empty_for_others(client: httpx.Client) -> None:
    """pyxnat's `array.mrscans` passes over what has no id by that name."""
    asked = "columns=ID,xnat:mrScanData/ID,xnat:mrScanData/type,xnat:ctScanData/ID,xnat:mrScanData/none"
    (found,) = rows(client, f"/data/experiments?xsiType=xnat:mrSessionData&{asked}")
    assert (found["xnat:mrscandata/id"], found["xnat:mrscandata/type"]) == ("4", "T1 <fast>, 3D")
    assert (found["xnat:ctscandata/id"], found["xnat:mrScanData/none"]) == ("", "")
    assert rows(client, "/data/experiments?xnat:mrScanData/ID=5") == []


def test_who_asks_for_types_and_paths_is_told_both_ways(client: httpx.Client) -> None:
    """pyxnat and others read types where they asked for some, and columns by names or by paths in lower case."""
    asked = "columns=ID,xnat:mrSessionData/date,xnat:subjectAssessorData/subject_id"
    (found,) = rows(client, f"/data/experiments?xsiType=xnat:subjectAssessorData&{asked}")
    assert list(found) == [
        "ID", "date", "subject_ID", "URI", "xnat:mrsessiondata/date", "xnat:mrSessionData/date",
        "xnat:subjectassessordata/subject_id", "xnat:subjectAssessorData/subject_id", "xsiType",
    ]  # fmt: skip
    assert found["xnat:mrsessiondata/date"] == found["date"] == "2024-01-31"


def test_what_is_in_a_session_is_filtered_too(site: DataFolder, client: httpx.Client) -> None:
    site.bring(
        {**uploader_layout("S1", "4", OBJECTS), **uploader_layout("S1", "12", MORE)}, session="S1", subject="Ann"
    )
    scans = "/data/experiments/XNAT_E00001/scans"
    assert [one["ID"] for one in rows(client, f"{scans}?ID=12&columns=type")] == ["12"]
    assert rows(client, f"{scans}?xsiType=xnat:ctScanData") == []
    assert rows(client, f"{scans}/ALL/files?file_format=NOPE") == []
    assert len(rows(client, f"{scans}/ALL/files?file_format=DICOM")) == 5
    assert client.get(f"{scans}/ALL/files?format=tar.gz").status_code == 400


def test_columns_of_the_subject_are_the_subjects(client: httpx.Client) -> None:
    (found,) = rows(client, "/data/experiments?columns=xnat:subjectData/label,xnat:projectData/name")
    assert (found["subject_label"], found["project_name"]) == ("Ann", "First")


def test_what_there_is_never_is_an_empty_list(client: httpx.Client, subtests: pytest.Subtests) -> None:
    for path in (
        "projects/P/resources", "subjects/XNAT_S00001/resources", "experiments/XNAT_E00001/assessors",
        "projects/P/files", "subjects/XNAT_S00001/files",
    ):  # fmt: skip
        with subtests.test(path=path):
            assert rows(client, f"/data/{path}") == []
            assert client.get(f"/data/{path}".replace("0001", "9999").replace("/P/", "/Q/")).status_code == 404


def test_a_login_that_has_ended_is_401_and_no_empty_list(web: Web) -> None:
    with web.client(None) as one:
        assert one.get("/data/projects", headers={"Cookie": "JSESSIONID=gone"}).status_code == 401
        assert one.get("/data/projects").status_code == 200


# -- items -------------------------------------------------------------------------------------------------------------


def test_items_are_documents_of_the_schema(client: httpx.Client) -> None:
    root = ET.fromstring(client.get("/data/experiments/XNAT_E00001").content)
    assert root.tag == "{http://nrg.wustl.edu/xnat}MRSession"
    assert (root.get("ID"), root.get("label"), root.get("project")) == ("XNAT_E00001", "S1", "P")
    (scan,) = root.iter("{http://nrg.wustl.edu/xnat}scan")
    assert (scan.get("ID"), scan.get("type")) == ("4", "T1 <fast>, 3D")
    assert root.findtext("{http://nrg.wustl.edu/xnat}date") == "2024-01-31"


def test_items_as_json_have_what_xnatpy_reads(client: httpx.Client) -> None:
    for where, kind in (
        ("/data/projects/P", "xnat:projectData"),
        ("/data/projects/P/subjects/Ann", "xnat:subjectData"),
        ("/data/experiments/XNAT_E00001", "xnat:mrSessionData"),
        ("/data/experiments/XNAT_E00001/scans/4", "xnat:mrScanData"),
    ):
        (found,) = client.get(f"{where}?format=json").json()["items"]
        assert found["meta"]["xsi:type"] == kind
        assert found["meta"]["start_date"]
        assert isinstance(found["children"], list)
        assert found["data_fields"]["ID"]


# -- files -------------------------------------------------------------------------------------------------------------


def test_files_come_whole_by_their_listed_address(client: httpx.Client) -> None:
    found = rows(client, "/data/projects/P/subjects/Ann/experiments/S1/scans/4/resources/DICOM/files?format=json")
    read = {hashlib.md5(client.get(one["URI"]).content).hexdigest() for one in found}
    assert read == {one["digest"] for one in found} == {hashlib.md5(one).hexdigest() for one in OBJECTS}
    for one in found:
        assert "ID" not in one
        head = client.head(one["URI"])
        assert head.headers["content-length"] == one["Size"]
        part = client.get(one["URI"], headers={"Range": "bytes=128-131"})
        assert (part.status_code, part.content) == (206, b"DICM")
    again = rows(client, found[0]["URI"].partition("/files/")[0] + "/files")
    assert {one["URI"] for one in again} == {one["URI"] for one in found}


def test_zips_have_members_that_clients_can_split(client: httpx.Client, subtests: pytest.Subtests) -> None:
    scans = ("scans/ALL", "scans/*", "scans/4", "scans/4/resources/DICOM")
    for where in (f"{scan}{end}" for scan in scans for end in ("/files", "")):
        with subtests.test(where=where):
            answer = client.get(f"/data/experiments/XNAT_E00001/{where}?format=zip")
            with zipfile.ZipFile(io.BytesIO(answer.content)) as made:
                names = made.namelist()
                assert {made.read(name) for name in names} == set(OBJECTS)
            assert {name.rpartition("/files/")[0] for name in names} == {"S1/scans/4-T1_fast_3D/resources/DICOM"}
            assert answer.headers["content-length"] == str(len(answer.content))


def test_several_sessions_come_as_one_zip(site: DataFolder, client: httpx.Client) -> None:
    more = images(1, study=2)
    site.bring(uploader_layout("S2", "1", more), session="S2", subject="Bob")
    for where in ("/data/experiments/XNAT_E00001,XNAT_E00002", "/data/projects/P/experiments/S1,S2"):
        answer = client.get(f"{where}/scans/ALL/files?format=zip")
        with zipfile.ZipFile(io.BytesIO(answer.content)) as made:
            assert {made.read(name) for name in made.namelist()} == {*OBJECTS, *more}
            assert {name.partition("/")[0] for name in made.namelist()} == {"S1", "S2"}
    answer = client.get("/data/experiments/XNAT_E00001,none/scans/ALL/files?format=zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as made:
        assert {name.partition("/")[0] for name in made.namelist()} == {"S1"}


def test_scans_are_chosen_by_id_and_by_type(site: DataFolder, client: httpx.Client) -> None:
    site.bring(
        {**uploader_layout("S1", "4", OBJECTS), **uploader_layout("S1", "12", MORE)}, session="S1", subject="Ann"
    )
    assert len(rows(client, "/data/experiments/XNAT_E00001/scans/4,12/files")) == 5
    assert len(rows(client, "/data/experiments/XNAT_E00001/scans/12/files")) == 2
    assert len(rows(client, "/data/experiments/XNAT_E00001/scans/4,99/files")) == 3
    assert client.get("/data/experiments/XNAT_E00001/scans/4/resources/NIFTI/files").status_code == 404


def test_a_header_is_dumped_whole_or_by_field(client: httpx.Client) -> None:
    for src in ("/archive/projects/P/experiments/S1", "/data/experiments/XNAT_E00001/scans/4"):
        found = {one["desc"]: one for one in rows(client, f"/data/services/dicomdump?src={src}")}
        assert found["Series Description"] == {
            "tag1": "(0008,103E)", "tag2": "", "vr": "LO", "value": "T1 <fast>, 3D", "desc": "Series Description",
        }  # fmt: skip
    for field in ("0008103E", "SeriesDescription", "seriesdescription"):
        (one,) = rows(client, f"/data/services/dicomdump?src=/experiments/S1&field={field}")
        assert one["value"] == "T1 <fast>, 3D"
    assert client.get("/data/services/dicomdump?src=/nowhere").status_code == 400
    assert client.get("/data/services/dicomdump?src=/prearchive/projects/P/20240101_000000000/S1").status_code == 404
    assert client.get("/data/services/dicomdump?src=/experiments/none").status_code == 404


# -- who may -----------------------------------------------------------------------------------------------------------


def test_who_may_not_sees_nothing_in_any_listing(web: Web) -> None:
    web.account("stranger")
    with web.client("stranger") as one:
        for path in ("/data/projects", "/data/subjects", "/data/experiments"):
            assert rows(one, path) == []
        for path in ("/data/projects/P/subjects", "/data/experiments/XNAT_E00001", "/data/projects/P/experiments/S1"):
            assert one.get(path).status_code == 404
    with web.client(None) as nobody:
        answer = nobody.get("/data/projects/P")
        assert answer.status_code == 401
        assert "text/plain" in answer.headers["content-type"]
        assert answer.headers["www-authenticate"].startswith("Basic")
        assert rows(nobody, "/data/projects") == []


def test_no_address_of_the_dialect_answers_with_a_page(client: httpx.Client) -> None:
    for path in ("/data/nothing", "/xapi/nothing", "/REST/nothing", "/data/experiments/none"):
        answer = client.get(path, headers={"Accept": "text/html"}, follow_redirects=False)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/plain")
    assert client.post("/data/experiments").status_code == 405


# -- the cost ----------------------------------------------------------------------------------------------------------


LISTINGS: list[Callable[..., Any]] = [
    lambda c: list_projects(c, SYSTEM),
    lambda c: list_subjects(c, SYSTEM, in_project="Many"),
    lambda c: list_experiments(c, SYSTEM, "ID,label,date,scanner/model", in_project="Many"),
    lambda c: list_experiments(c, SYSTEM, "ID,xnat:imagesessiondata/scans/scan/id", in_project="Many"),
]


@pytest.mark.postgresql
def test_no_listing_asks_more_the_more_rows_it_has(catalog: Catalog, subtests: pytest.Subtests) -> None:
    seed(catalog, 40, name="Many")
    seed_scans(catalog, 3)
    before = []
    for call in LISTINGS:
        with counted(catalog) as few:
            before.append((len(ask(catalog, call).rows), few))
    seed(catalog, 80, name="Others")
    for number, (call, (rows_before, few)) in enumerate(zip(LISTINGS, before, strict=True)):
        with subtests.test(listing=number):
            with counted(catalog) as many:
                after = ask(catalog, call)
            assert len(few) == len(many) <= 3
            assert rows_before <= len(after.rows)
