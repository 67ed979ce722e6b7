"""Columns, filters and values as scripts for XNAT ask for them and read them (docs/xnat-compatibility.md)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from functools import partial
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from sqlalchemy import Connection, select, update

from scandock.access.principal import SYSTEM
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.tables import scan, session, subject
from scandock.services.context import ServiceContext
from scandock.services.settings import load_settings
from scandock.services.subjects import edit_subject
from scandock.services.xnat_lookup import find_subject
from scandock.store.local import LocalStore
from scandock.web.xnat import item_documents
from scandock.web.xnat.responses import XSI, Item, item_to_xml
from scandock.web.xnat.services.experiments import list_experiments
from scandock.web.xnat.services.projects import list_projects
from scandock.web.xnat.services.subjects import list_subjects
from scandock.web.xnat.services.used_terms import list_scan_types
from tests.builders import DataFolder, Image
from tests.integration.many_rows import seed, seed_scans
from tests.integration.test_browsing import ask, counted
from tests.integration.web import Web, serve_in_process

pytestmark = pytest.mark.long

MR = {
    0x00080021: (b"DA", b"20180301"),
    0x0008103E: (b"LO", b"T1"), 0x00180080: (b"DS", b"2300"), 0x00180081: (b"DS", b"2.98"), 0x00181314: (b"DS", b"9"),
    0x00180087: (b"DS", b"3"), 0x00280030: (b"DS", b"0.5\\0.75"), 0x00180050: (b"DS", b"1.2"),
    0x00181310: (b"US", b"\x00\x01\x00\x00\x00\x00\xc0\x00"),
}  # fmt: skip
SESSION = "/data/experiments/XNAT_E00001"
NS = {"xnat": "http://nrg.wustl.edu/xnat"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """S1 of Ann with two scans of MR, one of two echoes, and a secondary one; S2 of Bob, of CT."""
    site = DataFolder(root=tmp_path_factory.mktemp("site"), checked=False)
    with serve_in_process(site.data) as running:
        own: dict[str, Any] = {"case": "columns", "study_date": b"20180301"}
        echoes = [
            Image(number=n, series=2, series_number=b"5", also={0x00180081: (b"DS", b"%d" % (5 * n))}, **own).file()
            for n in (1, 2)
        ]
        shot = Image(number=1, series=3, series_number=b"99", modality=b"OT", **own).file()
        s1 = [*(Image(number=n, also=MR, series_number=b"4", **own).file() for n in (1, 2)), *echoes, shot]
        site.bring({f"{n}.dcm": data for n, data in enumerate(s1)}, session="S1", subject="Ann")
        ct = Image(number=1, study=2, modality=b"CT", case="columns", study_date=b"20191231").file()
        site.bring({"ct.dcm": ct}, session="S2", subject="Bob")
        yield running


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    made = open_catalog(database_url)
    yield made
    made.dispose()


@pytest.fixture
def client(web: Web) -> Iterator[httpx.Client]:
    with web.client() as one:
        yield one


def rows(client: httpx.Client, path: str) -> list[dict[str, str]]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, str]] = answer.json()["ResultSet"]["Result"]
    return found


# -- values of one thing -----------------------------------------------------------------------------------------------


def test_values_of_a_thing_are_a_row_by_the_names_that_were_asked(client: httpx.Client) -> None:
    asked = "format=json&handler=values&columns=project,subject_ID,xnat:mrSessionData/label,label,none"
    (found,) = rows(client, f"{SESSION}?{asked}")
    assert found == {
        "project": "P", "subject_ID": "XNAT_S00001", "xnat:mrSessionData/label": "S1", "label": "S1", "none": "",
    }  # fmt: skip
    (found,) = rows(client, "/data/subjects/XNAT_S00001?format=json&handler=values&columns=label,xsiType")
    assert found == {"label": "Ann", "xsiType": "xnat:subjectData"}
    (found,) = rows(client, "/data/projects/P?format=json&handler=values&columns=name,xnat:projectData/ID")
    assert found == {"name": "First", "xnat:projectData/ID": "P"}
    asked = "format=json&handler=values&columns=xnat:mrScanData/parameters/tr,xnat:ctScanData/ID,frames"
    (found,) = rows(client, f"{SESSION}/scans/4?{asked}")
    assert found == {"xnat:mrScanData/parameters/tr": "2300", "xnat:ctScanData/ID": "", "frames": "2"}


def test_one_value_comes_as_a_text_and_what_is_no_question_is_refused(client: httpx.Client) -> None:
    answer = client.get(f"{SESSION}?handler=values&columns=label&asValue=true")
    assert (answer.status_code, answer.text) == (200, "S1")
    for asked in ("handler=values", "handler=values&columns=,", "handler=nobody&columns=ID"):
        assert client.get(f"{SESSION}?format=json&{asked}").status_code == 400, asked
    assert client.get(f"{SESSION}?handler=values&columns=label,ID&asValue=true").status_code == 400
    assert client.get("/data/experiments/XNAT_E09999?handler=values&columns=ID").status_code == 404
    assert client.get(f"{SESSION}?format=csv&handler=values&columns=ID,label").text == "ID,label\nXNAT_E00001,S1\n"


def test_demographics_are_values_of_a_subject(client: httpx.Client) -> None:
    assert client.put("/data/subjects/XNAT_S00002?gender=F&yob=1980").status_code == 200
    typed = "xnat:subjectData/demographics[@xsi:type=xnat:demographicData]/gender"
    (found,) = rows(client, f"/data/subjects/XNAT_S00002?format=json&handler=values&columns={typed},demographics/yob")
    assert list(found.values()) == ["F", "1980"]


# -- columns by the names that were asked ------------------------------------------------------------------------------


def test_each_name_that_was_asked_stands_in_the_answer(client: httpx.Client, subtests: pytest.Subtests) -> None:
    first = "4,XNAT_E00001,XNAT_S00001,P"
    for where, asked, wanted in (
        (f"{SESSION}/scans", "ID,xnat:mrScanData/id", ["4", "4"]),
        (f"{SESSION}/scans", "type,xnat:mrScanData/type,xnat:imageScanData/Type", ["T1", "T1", "T1"]),
        (f"{SESSION}/scans", "id,xnat:mrSessionData/ID,xnat:subjectData/label", ["4", "XNAT_E00001", "Ann"]),
        ("/data/experiments", "ID,xnat:ctScanData/id", ["XNAT_E00001", ""]),
        ("/data/experiments", "label,xnat:mrSessionData/label,LABEL", ["S1", "S1", "S1"]),
        ("/data/subjects", "label,xnat:subjectData/label", ["Ann", "Ann"]),
        ("/data/projects", "name,xnat:projectData/name,xnat:projectData/nobody", ["First", "First", ""]),
    ):
        with subtests.test(where=where, asked=asked):
            found = rows(client, f"{where}?columns={asked}&ID={first}")[0]
            assert [found[name] for name in asked.split(",")] == wanted
            low = [name for name in asked.split(",") if "/" in name]
            assert [found[name.lower()] for name in low] == [found[name] for name in low]


# -- parameters of scans -----------------------------------------------------------------------------------------------

YAXIL = (
    "xnat:mrscandata/id", "xnat:mrscandata/fieldstrength", "xnat:mrscandata/parameters/voxelres/x",
    "xnat:mrscandata/parameters/voxelres/y", "xnat:mrscandata/parameters/voxelres/z",
    "xnat:mrscandata/parameters/fov/x", "xnat:mrscandata/parameters/matrix/x", "xnat:mrscandata/parameters/tr",
    "xnat:mrscandata/parameters/te", "xnat:mrscandata/parameters/flip", "xnat:mrscandata/parameters/scantime",
    "xnat:mrscandata/parameters/addParam[name=MultiEcho_TE2]/addField",
)  # fmt: skip


def test_parameters_of_scans_are_columns_of_experiments(client: httpx.Client) -> None:
    """A row for each scan of the type, as yaxil reads them: a screenshot is none."""
    asked = f"xsiType=xnat:mrSessionData&columns=URI,{','.join(YAXIL)}&xnat:mrSessionData/ID=XNAT_E00001"
    found = [[row[name] for name in YAXIL] for row in rows(client, f"/data/experiments?{asked}")]
    assert sorted(found) == [
        ["4", "3.0", "0.75", "0.5", "1.2", "4", "256", "2300.0", "2.98", "9.0", "", ""],
        ["5", "", "", "", "", "4", "", "", "", "", "", "10"],
    ]
    mixed = "columns=xnat:imageScanData/ID,xnat:mrScanData/parameters/tr"
    every = rows(client, f"/data/experiments?ID=XNAT_E00001&{mixed}")
    assert sorted(row["xnat:mrScanData/parameters/tr"] for row in every) == ["", "", "2300.0"]
    (ct,) = rows(client, "/data/experiments?label=S2&columns=xnat:mrScanData/parameters/tr,xnat:mrScanData/ID")
    assert (ct["ID"], ct["xnat:mrScanData/ID"]) == ("XNAT_E00002", "")
    assert [row["ID"] for row in rows(client, "/data/experiments?xnat:mrScanData/parameters/tr=2300.0")] == [
        "XNAT_E00001"
    ]
    assert rows(client, "/data/experiments?xnat:mrScanData/parameters/tr=1-2299") == []
    assert len(rows(client, "/data/experiments?xnat:mrScanData/parameters/te=2-3")) == 1


def test_parameters_are_columns_of_a_session_s_scans_too(client: httpx.Client) -> None:
    asked = "xsiType=xnat:mrScanData&columns=xnat:imageScanData/ID,xnat:mrScanData/parameters/tr,xnat:mrScanData/note"
    found = rows(client, f"{SESSION}/scans?{asked}")
    assert {row["ID"]: row["xnat:mrScanData/parameters/tr"] for row in found} == {"4": "2300.0", "5": ""}
    assert [row["ID"] for row in rows(client, f"{SESSION}/scans?xnat:mrScanData/parameters/tr=2300")] == ["4"]
    found = rows(client, f"{SESSION}/scans?columns=ID,xnat:ctScanData/ID")
    assert [row["xnat:ctScanData/ID"] for row in found] == ["", "", ""]


def test_sessions_are_columns_of_their_subjects(client: httpx.Client, web: Web) -> None:
    """As yaxil finds the experiments of a subject."""
    asked = "columns=ID,label,project,xnat:mrsessiondata/id,xnat:mrsessiondata/label"
    (ann,) = rows(client, f"/data/subjects?label=Ann&{asked}&project=P")
    assert (ann["ID"], ann["xnat:mrsessiondata/id"], ann["xnat:mrsessiondata/label"]) == (
        "XNAT_S00001", "XNAT_E00001", "S1",
    )  # fmt: skip
    (bob,) = rows(client, f"/data/projects/P/subjects?label=Bob&{asked}")
    assert (bob["label"], bob["xnat:mrsessiondata/id"]) == ("Bob", "")
    every = "columns=label,xnat:imageSessionData/label,xnat:ctSessionData/date"
    found = rows(client, f"/data/projects/P/subjects?{every}")
    assert [(row["xnat:imageSessionData/label"], row["xnat:ctSessionData/date"]) for row in found] == [
        ("S1", ""), ("S2", "2019-12-31"),
    ]  # fmt: skip
    assert [row["label"] for row in rows(client, "/data/subjects?xnat:ctSessionData/date=2019-12-31")] == ["Bob"]
    assert [row["label"] for row in rows(client, "/data/subjects?xnat:mrSessionData/ID=XNAT_E00001")] == ["Ann"]
    web.account("edgar")
    with web.client("edgar") as edgar:
        assert rows(edgar, f"/data/subjects?{asked}") == []


# -- ranges of days ----------------------------------------------------------------------------------------------------


def test_days_and_ranges_of_days_filter_and_what_is_no_date_is_refused(
    client: httpx.Client, subtests: pytest.Subtests
) -> None:
    both, one, none = ["S1", "S2"], ["S1"], list[str]()
    for said, wanted in (
        ("01/01/2018-01/01/2019", one), ("2018-01-01-2019-12-31", both), ("03/01/2018", one), ("2018-03-01", one),
        ("03/01/2018-03/01/2018", one), ("03/02/2018-12/30/2019", none), ("2018-03-01,12/31/2019", both),
        ("2017-01-01,01/01/2018-01/01/2019", one), ("2018*", one), ("2019-12%", ["S2"]), ("*", both), ("20180301", one),
        ("2020-01-01", none),
    ):  # fmt: skip
        with subtests.test(said=said):
            found = rows(client, f"/data/experiments?columns=label&xnat:mrSessionData/date={said}")
            assert [row["label"] for row in found] == wanted
            found = rows(client, f"/data/experiments?columns=label&date={said}")
            assert [row["label"] for row in found] == wanted
    for name in (
        "date",
        "xnat:mrSessionData/date",
        "insert_date",
        "last_modified",
        "xnat:subjectData/demographics/dob",
    ):
        for said in ("yesterday", "2018", "13/01/2018", "2018-02-30", "01/01/2018-", "2018-01-01-soon", "x*"):
            with subtests.test(name=name, said=said):
                answer = client.get(f"/data/experiments?{name}={said}")
                assert answer.status_code == 400
                assert "2026-11-24" in answer.text
    assert client.get("/data/subjects?dob=never").status_code == 400
    assert rows(client, "/data/subjects?dob=01/01/1900-01/01/2000") == []


@pytest.mark.postgresql
def test_listings_narrow_alike_on_each_database(catalog: Catalog) -> None:
    """Days, moments, numbers, scans of a type, sessions of subjects, and what one is in a project."""
    seed(catalog, 8)
    seed_scans(catalog, 2)
    said = '{"date": "2021-05-06", "age": "42", "dcmPatientWeight": "no number"}'
    with catalog.write() as connection:
        connection.execute(update(session).where(session.c.label == "Sess_00003").values(attributes=said))
        connection.execute(update(scan).where(scan.c.n == 1).values(xsi_type="xnat:ctScanData"))
        connection.execute(update(scan).where(scan.c.n == 0).values(attributes='{"parameters/tr": "2300.5"}'))

    def found(*filters: tuple[str, str], columns: str = "label") -> list[str | None]:
        return [row[0] for row in ask(catalog, lambda c: list_experiments(c, SYSTEM, columns, filters)).rows]

    one = ["Sess_00003"]
    for name, value in (
        ("date", "01/01/2021-12/31/2021"), ("date", "2021-05-06"), ("date", "2021*"), ("age", "42.0"), ("age", "40-45"),
        ("xnat:mrSessionData/age", "41,42"), ("dcmPatientWeight", "No number"), ("date", "1999-01-01,2021-05-06"),
    ):  # fmt: skip
        assert found((name, value)) == one, (name, value)
    assert len(found(("date", "*"))) == len(found(("insert_date", "1970-01-01"))) == 8
    assert found(("age", "43-50")) == found(("insert_date", "1971*")) == []
    columns = "xnat:mrScanData/parameters/tr,xnat:mrScanData/frames,label"
    assert found(columns=columns) == found(("xnat:mrScanData/parameters/tr", "2000-2301"), columns=columns)
    assert found(columns=columns) == ["2300.5"] * 8
    assert found(columns="xnat:petScanData/frames,xnat:petScanData/note,label") == [""] * 8
    rows = ask(catalog, lambda c: list_subjects(c, SYSTEM, "xnat:mrSessionData/label", [("label", "Sub1")])).rows
    assert [row[0] for row in rows] == ["Sess_00001", "Sess_00003", "Sess_00005", "Sess_00007"]
    named = ask(catalog, lambda c: list_projects(c, SYSTEM, for_search=True, has_role=False))
    assert [dict(zip(named.names, row, strict=True))["user_role_0"] for row in named.rows] == [""]
    assert ask(catalog, lambda c: list_projects(c, SYSTEM, has_role=True)).rows == []
    assert [list(row) for row in ask(catalog, lambda c: list_scan_types(c, SYSTEM, "P")).rows] == [
        ["T0", ""], ["T1", "T1 MPRAGE"],
    ]  # fmt: skip


def test_moments_are_found_by_their_days(client: httpx.Client) -> None:
    (made,) = rows(client, "/data/experiments?label=S1&columns=insert_date,last_modified")
    day = made["insert_date"][:10]
    year, month, _ = day.split("-")
    for said in (
        day,
        made["insert_date"],
        f"{day}-{day}",
        f"{year}*",
        f"{year}-{month}*",
        f"01/01/{year}-12/31/{year}",
    ):
        assert rows(client, f"/data/experiments?label=S1&insert_date={said}"), said
        assert rows(client, f"/data/subjects?label=Ann&insert_date={said}"), said
    assert rows(client, "/data/experiments?insert_date=01/01/2001-12/31/2001") == []


# -- lists of names ----------------------------------------------------------------------------------------------------


def names_in(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as opened:
        return {"/".join(name.split("/")[:3]) for name in opened.namelist()}


def test_lists_of_names_answer_what_there_is(client: httpx.Client, subtests: pytest.Subtests) -> None:
    files = len(rows(client, f"{SESSION}/scans/4/files"))
    for where in ("scans/4,77/files", "scans/77,4/resources/DICOM,NONE/files", "scans/4,no such type/files"):
        with subtests.test(where=where):
            assert len(rows(client, f"{SESSION}/{where}")) == files == 2
    assert [row["label"] for row in rows(client, f"{SESSION}/scans/4,77/resources")] == ["DICOM"]
    zipped = names_in(client.get(f"{SESSION}/scans/4,77/files?format=zip"))
    assert zipped == {"S1/scans/4-T1"}
    both = "/data/experiments/XNAT_E00001,XNAT_E09999,XNAT_E00002"
    assert names_in(client.get(f"{both}/scans/4,77/files?format=zip")) == {"S1/scans/4-T1"}
    assert {name.partition("/")[0] for name in names_in(client.get(f"{both}?format=zip"))} == {"S1", "S2"}
    for where in ("scans/77/files", "scans/77,78/files", "scans/4/resources/NONE/files", "scans/4/resources/A,B/files"):
        with subtests.test(where=where):
            assert client.get(f"{SESSION}/{where}").status_code == 404
    assert client.get("/data/experiments/XNAT_E09998,XNAT_E09999?format=zip").status_code == 404
    assert client.get("/data/prearchive/projects/P,Nobody").status_code == 200
    assert client.get("/data/prearchive/projects/Nobody,None").status_code == 404
    assert client.delete(f"{SESSION}/scans/4,77").status_code == 404
    assert len(rows(client, f"{SESSION}/scans")) == 3


def test_files_and_resources_of_several_experiments_are_one_listing(
    client: httpx.Client, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(names: str, rest: str = "scans/ALL/files") -> list[tuple[str, ...]]:
        return [tuple(one.values()) for one in rows(client, f"/data/experiments/{names}/{rest}")]

    one, two = of("XNAT_E00001"), of("XNAT_E00002")
    assert of("XNAT_E00001,NOPE,XNAT_E00002,XNAT_E00001") == one + two
    assert of("S1,S2") == one + two
    assert of("S1,S2", "resources") == of("S1", "resources") + of("S2", "resources")
    last = client.get("/data/experiments/S1,S2/scans/ALL/files", params={"index": len(one)})
    assert (last.status_code, last.content) == (200, client.get("/data/experiments/S2/files?index=0").content)
    web.account("zoe")
    with web.client("zoe") as zoe:
        assert zoe.get("/data/experiments/XNAT_E00001,XNAT_E00002/scans/ALL/files").status_code == 404
    monkeypatch.setattr("scandock.web.xnat.files.MAX_FILES", len(one + two) - 1)
    assert client.get("/data/experiments/S1,S2/files").status_code == 400
    assert of("S1") == one


@pytest.mark.parametrize(
    ("name", "said", "found"),
    [
        ("start_date", "01/01/2018-01/01/2019", "4"), ("start_date", "2018-03*", "4"), ("start_date", "20180301", "4"),
        ("start_date", "03/02/2018-2019-01-01", ""), ("xnat:mrScanData/start_date", "*", "4"),
        ("xnat:ctScanData/start_date", "*", ""), ("xnat:imageScanData/start_date", "2017-01-01,3/1/2018", "4"),
        ("type", "t*", "4"), ("type", "T1,nothing", "4"), ("xnat:mrScanData/parameters/tr", "2000-2400", "4"),
        ("parameters/tr", "2300.0", "4"), ("frames", "2", "4,5"), ("frames", "2-9", "4,5"), ("protocolName", "x", ""),
        ("kept_for_another_kind", "x", "4,5,99"),
    ],
)  # fmt: skip
def test_a_session_s_scans_are_filtered_as_other_listings_are(
    client: httpx.Client, name: str, said: str, found: str
) -> None:
    assert ",".join(one["ID"] for one in rows(client, f"{SESSION}/scans?{name}={said}")) == found


@pytest.mark.parametrize("said", ["yesterday", "2018-13-01", "01/01/2018-", "2018"])
def test_what_is_no_date_is_refused_of_scans_too(client: httpx.Client, said: str) -> None:
    for name in ("start_date", "xnat:mrScanData/start_date"):
        for where in (f"{SESSION}/scans", "/data/experiments/XNAT_E00002/scans"):
            assert client.get(where, params={name: said}).status_code == 400, (where, name)


def test_lists_show_nothing_of_what_one_may_not_know(web: Web) -> None:
    web.account("eve")
    with web.client("eve") as eve:
        for where in ("XNAT_E00001,XNAT_E00002?format=zip", "XNAT_E00001,XNAT_E00002/scans/4,5/files?format=zip"):
            assert eve.get(f"/data/experiments/{where}").status_code == 404
        assert eve.get("/data/prearchive/projects/P,Nobody").status_code == 404
        assert rows(eve, "/data/experiments?date=01/01/2018-01/01/2019") == []


def test_types_with_signs_of_addresses_are_spelled(client: httpx.Client) -> None:
    scan = f"{SESSION}/scans"
    try:
        assert client.put(f"{scan}/5?type=ep2d/T2,fat").status_code == 200
        assert [row["ID"] for row in rows(client, f"{scan}?type=ep2d/T2,fat&columns=ID")] == []  # two values
        for spelled in ("ep2d[SLASH]T2[COMMA]fat", "T1,ep2d[SLASH]T2[COMMA]fat"):
            found = rows(client, f"{scan}/{spelled}/files?columns=URI")
            assert any("/scans/5/" in row["URI"] for row in found), spelled
        assert client.get(f"{scan}/NULL/files").status_code == 404
    finally:
        client.put(f"{scan}/5?type=unknown")


def test_scans_without_a_type_are_called_null(client: httpx.Client) -> None:
    made = "/data/projects/Hand/subjects/S/experiments/E"
    assert client.put("/data/projects/Hand").status_code in (200, 201)
    assert client.put(f"{made}?xsiType=xnat:mrSessionData").status_code in (200, 201)
    assert client.put(f"{made}/scans/1?xsiType=xnat:mrScanData").status_code in (200, 201)
    assert client.put(f"{made}/scans/2?xsiType=xnat:mrScanData&type=T2").status_code in (200, 201)
    for number in (1, 2):
        assert client.put(f"{made}/scans/{number}/resources/NOTES").status_code in (200, 201)
    kinds = {row["ID"]: row["type"] for row in rows(client, f"{made}/scans")}
    assert kinds == {"1": "", "2": "T2"}
    assert [row["cat_id"] for row in rows(client, f"{made}/scans/NULL/resources")] == ["1"]
    assert sorted(row["cat_id"] for row in rows(client, f"{made}/scans/T2,NULL/resources")) == ["1", "2"]


# -- items -------------------------------------------------------------------------------------------------------------


def test_numbers_of_items_are_numbers_and_those_of_listings_texts(client: httpx.Client) -> None:
    (item,) = client.get(f"{SESSION}/scans/4?format=json").json()["items"]
    found = item["data_fields"]
    wanted = {
        "frames": 2, "parameters/tr": 2300, "parameters/te": 2.98, "parameters/flip": 9, "parameters/voxelRes/x": 0.75,
        "parameters/fov/x": 4, "parameters/matrix/x": 256, "fieldStrength": "3.0", "ID": "4", "type": "T1",
    }  # fmt: skip
    assert {name: found[name] for name in wanted} == wanted
    assert {name: type(found[name]) for name in wanted} == {name: type(value) for name, value in wanted.items()}
    (resource,) = item["children"][0]["items"]
    assert resource["data_fields"]["file_count"] == 2
    assert isinstance(resource["data_fields"]["file_size"], int)
    asked = "ID,frames,xnat:mrScanData/parameters/tr,xnat:imageScanData/parameters/te"
    for where in (f"{SESSION}/scans?ID=4&columns={asked}", f"/data/experiments?columns={asked}"):
        assert {type(value) for row in rows(client, where) for value in row.values()} == {str}


def test_numbers_are_those_that_were_written(client: httpx.Client) -> None:
    for said, wanted in (("042", 42), ("1.50", 1.5), ("-3", -3)):
        assert client.put(f"/data/subjects/XNAT_S00002?weight={said}").status_code == 200
        found = client.get("/data/subjects/XNAT_S00002?format=json").json()["items"][0]["children"]
        (demographics,) = [one["items"][0]["data_fields"] for one in found if one["field"] == "demographics"]
        assert demographics["weight"] == wanted


def test_a_scan_s_parameters_are_attributes_in_xml_as_xnat_writes_them(client: httpx.Client) -> None:
    root = ET.fromstring(client.get(f"{SESSION}/scans/4").content)
    (parameters,) = root.findall("xnat:parameters", NS)
    assert {one.tag.rpartition("}")[2]: one.attrib for one in parameters if one.attrib} == {
        "voxelRes": {"x": "0.75", "y": "0.5", "z": "1.2"}, "fov": {"x": "4", "y": "4"},
        "matrix": {"x": "256", "y": "192"},
    }  # fmt: skip
    assert [one.tag.rpartition("}")[2] for one in parameters] == ["voxelRes", "fov", "matrix", "tr", "te", "flip"]
    assert parameters.findtext("xnat:tr", None, NS) == "2300"
    root = ET.fromstring(client.get(SESSION).content)
    added = root.findall("xnat:scans/xnat:scan[@ID='5']/xnat:parameters/xnat:addParam", NS)
    assert [(one.attrib, one.text) for one in added] == [
        ({"name": "MultiEcho_TE1"}, "5"),
        ({"name": "MultiEcho_TE2"}, "10"),
    ]


ADD = "xnat:mrScanData/parameters/addParam[name={}]/addField"


def added_to(client: httpx.Client, scan: str) -> list[tuple[str, str]]:
    """As ElementTree reads them, without the comments of the document."""
    root = ET.fromstring(client.get(f"{SESSION}/scans/{scan}?format=xml").content)
    found = root.iterfind("xnat:parameters/xnat:addParam", NS)
    return [(one.attrib["name"], (one.text or "").strip()) for one in found]


def test_parameters_that_people_add_are_kept_in_order_whatever_the_headers_say(client: httpx.Client, web: Web) -> None:
    at = f"{SESSION}/scans/5"
    echoes = [("MultiEcho_TE1", "5"), ("MultiEcho_TE2", "10")]
    said = {"xsiType": "xnat:mrScanData", ADD.format("foo"): "foo <&> string"}
    assert client.put(at, params=said).status_code == 200
    assert client.put(f"{at}?{ADD.format('bar')}=1").status_code == 200  # as people type it
    assert client.put(at, params={"parameters/addParam[@name='Baz.1']/addField": "x"}).status_code == 200
    hand = [("foo", "foo <&> string"), ("bar", "1"), ("Baz.1", "x")]
    assert added_to(client, "5") == [*echoes, *hand]
    text = client.get(f"{at}?format=xml").text
    assert text.count("<!--hidden_fields[]-->") == 3, "pyxnat's get_params takes the second text of each"
    assert client.put(at, content=text.encode(), params={"inbody": "true"}).status_code == 200
    assert client.get(f"{at}?format=xml").text == text
    assert client.put(at, params={ADD.format("bar"): "2", "note": "n", ADD.format("foo"): "NULL"}).status_code == 200
    assert client.put(f"{SESSION}?pullDataFromHeaders=true").status_code == 200
    hand = [("bar", "2"), ("Baz.1", "x")]
    assert added_to(client, "5") == [*echoes, *hand]
    fields = client.get(f"{at}?format=json").json()["items"][0]["data_fields"]
    assert (fields["parameters/addParam/bar"], fields["parameters/addParam/Baz.1"]) == ("2", "x")
    for where in ("/data/experiments?ID=XNAT_E00001", f"{SESSION}/scans?ID=5"):
        found = rows(client, f"{where}&columns=xnat:mrScanData/id,{ADD.format('bar')},{ADD.format('MultiEcho_TE1')}")
        wanted = {"xnat:mrscandata/id": "5", ADD.format("bar"): "2", ADD.format("MultiEcho_TE1"): "5"}
        assert wanted.items() <= next(one for one in found if one["xnat:mrscandata/id"] == "5").items(), where
    uuid = ask(
        web.site.catalog, lambda c: c.execute(select(session.c.uuid).where(session.c.label == "S1")).scalar_one()
    )
    assert client.get(f"/api/v1/sessions/{uuid}/scans/5").json()["attributes"]["parameters/addParam/bar"] == "2"
    client.put(at, params={ADD.format("MultiEcho_TE1"): "6"})
    assert added_to(client, "5") == [("MultiEcho_TE1", "6"), echoes[1], *hand]
    client.put(at, params={ADD.format(one): "" for one in ("bar", "Baz.1", "MultiEcho_TE1")})
    assert added_to(client, "5") == echoes


def test_parameters_of_a_new_scan_are_made_with_it_and_what_is_none_changes_nothing(client: httpx.Client) -> None:
    where = "/data/projects/P/subjects/Ann/experiments/Made"
    body = (
        '<xnat:MRSession xmlns:xnat="http://nrg.wustl.edu/xnat" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        '<xnat:scans><xnat:scan ID="1" xsi:type="xnat:mrScanData"><xnat:parameters><xnat:addParam name="b">2'
        '</xnat:addParam><xnat:addParam name="a">1</xnat:addParam></xnat:parameters></xnat:scan></xnat:scans>'
        "</xnat:MRSession>"
    )
    assert client.put(where, content=body, headers={"Content-Type": "text/xml"}).status_code == 201
    root = ET.fromstring(client.get(f"{where}/scans/1?format=xml").content)
    names = [one.attrib["name"] for one in root.iterfind("xnat:parameters/xnat:addParam", NS)]
    assert names == ["b", "a"]
    assert client.put(f"{where}/scans/2?xsiType=xnat:mrScanData", params={ADD.format("c"): "3"}).status_code == 200
    assert client.delete("/data/projects/P/subjects/Ann/experiments/Made/scans/2").status_code == 200
    assert client.put(f"{where}/scans/2?xsiType=xnat:mrScanData").status_code == 200
    assert "addParam" not in client.get(f"{where}/scans/2?format=xml").text
    before = client.get(f"{where}/scans/1?format=xml").content
    for name, value in (("a/b", "1"), ("x" * 65, "1"), ("", "1"), ("a", "x" * 4_001)):
        answer = client.put(f"{where}/scans/1", params={ADD.format(name): value, "note": "changed"})
        assert answer.status_code == 400, name
    many = {ADD.format(f"p{n}"): "1" for n in range(99)}
    assert client.put(f"{where}/scans/1", params=many).status_code == 400
    assert (
        client.put(f"{where}/scans/1", params={"xnat:ctScanData/parameters/addParam[name=z]": "1"}).status_code == 200
    )
    assert client.get(f"{where}/scans/1?format=xml").content == before
    assert client.delete(where, params={"removeFiles": "true"}).status_code == 200


def test_floats_of_the_schema_are_written_as_floats_in_listings_alone(client: httpx.Client) -> None:
    assert client.put(f"{SESSION}?xsiType=xnat:mrSessionData&xnat:mrSessionData/age=42").status_code == 200
    client.put("/data/subjects/XNAT_S00001?weight=70&yob=1980&age=26")
    asked = (
        "ID,xnat:mrSessionData/age,xnat:mrScanData/parameters/tr,xnat:mrScanData/parameters/voxelRes/z,fieldStrength"
    )
    found = [one for one in rows(client, f"/data/experiments?columns={asked}") if one["ID"] == "XNAT_E00001"]
    assert {one["xnat:mrSessionData/age"] for one in found} == {"42.0"}
    assert [(one["xnat:mrscandata/parameters/tr"], one["xnat:mrscandata/parameters/voxelres/z"]) for one in found] == [
        ("2300.0", "1.2"), ("", ""),
    ]  # fmt: skip
    by_scan = rows(client, f"{SESSION}/scans?columns=ID,parameters/tr,xnat:mrScanData/parameters/flip,frames")[0]
    assert (by_scan["parameters/tr"], by_scan["xnat:mrScanData/parameters/flip"]) == ("2300.0", "9.0")
    assert by_scan["frames"] == "2"
    asked = "weight,yob,age,xnat:subjectData/demographics/age,xnat:mrSessionData/age"
    (person,) = rows(client, f"/data/subjects?columns={asked}&label=Ann")
    assert [person[name] for name in asked.split(",")] == ["70.0", "1980", "26", "26", "42.0"]
    asked = "subject_weight,subject_age,xnat:subjectData/age,age,xnat:imageSessionData/age"
    (one,) = rows(client, f"/data/experiments?columns={asked}&ID=XNAT_E00001")
    assert [one[name] for name in asked.split(",")] == ["70.0", "26", "26", "42.0", "42.0"]
    asked = "xnat:subjectData/weight,xnat:subjectData/age,xnat:mrSessionData/age"
    (one,) = rows(client, f"{SESSION}/scans?columns={asked}&ID=4")
    assert [one[name] for name in asked.split(",")] == ["", "", "42.0"]
    assert "age=42" in f"age={fields_of(client, SESSION)['age']}"
    for said in ("age=42", "age=42.0", "age=40-45"):
        assert [one["ID"] for one in rows(client, f"/data/experiments?columns=ID&{said}")] == ["XNAT_E00001"], said
    assert len(rows(client, f"{SESSION}/scans?columns=ID&xnat:mrScanData/parameters/tr=2300")) == 1
    assert client.put(f"{SESSION}?xnat:mrSessionData/age=NULL").status_code == 200


def fields_of(client: httpx.Client, where: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{where}?format=json").json()["items"][0]["data_fields"]
    return found


def test_a_subject_s_document_has_its_experiments(client: httpx.Client, web: Web) -> None:
    root = ET.fromstring(client.get("/data/projects/P/subjects/Ann").content)
    (experiment,) = root.findall("xnat:experiments/xnat:experiment", NS)
    assert (experiment.get("ID"), experiment.get("label"), experiment.get("project")) == ("XNAT_E00001", "S1", "P")
    assert experiment.get(f"{{{XSI}}}type") == "xnat:mrSessionData"
    scans = experiment.findall("xnat:scans/xnat:scan", NS)
    assert sorted(str(scan.get("ID")) for scan in scans) == ["4", "5", "99"]
    assert all(scan.find("xnat:file", NS) is not None for scan in scans)
    whole = ET.fromstring(client.get(SESSION).content)
    assert [ET.tostring(one) for one in experiment] == [ET.tostring(one) for one in whole]
    (item,) = client.get("/data/subjects/XNAT_S00001?format=json").json()["items"]
    (of,) = [one for one in item["children"] if one["field"] == "experiments/experiment"]
    assert of["items"] == client.get(f"{SESSION}?format=json").json()["items"]


def test_a_subject_with_very_many_scans_has_its_experiments_without(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_documents, "MAX_SCANS", 2)
    root = ET.fromstring(client.get("/data/projects/P/subjects/Ann").content)
    (experiment,) = root.findall("xnat:experiments/xnat:experiment", NS)
    assert experiment.findall("xnat:scans", NS) == []
    assert experiment.findtext("xnat:date", None, NS) == "2018-03-01"


@pytest.mark.postgresql
def test_a_subject_s_document_is_a_few_statements_however_many_experiments_it_has(catalog: Catalog) -> None:
    seed(catalog, 4)
    seed(catalog, 7, name="Q")
    seed_scans(catalog, 3)

    def items(connection: Connection, project: str) -> list[Item]:
        return item_documents.find_experiment_items(
            connection, SYSTEM, find_subject(connection, SYSTEM, "Sub0", in_project=project)
        )

    numbers = []
    for project, sessions in (("P", 4), ("Q", 7)):
        with counted(catalog) as said:
            found = ask(catalog, partial(items, project=project))
        assert len(found) == sessions
        assert {len(children) for one in found for name, children in one.children} == {3}
        numbers.append(len(said))
    assert numbers[0] == numbers[1] <= 9


def test_a_subject_is_modified_by_its_own_edits(client: httpx.Client, web: Web) -> None:
    """As pyxnat's caches ask: what is said of it and a new label count, a request that changes nothing does not."""
    long_ago, where = 1_706_695_200_000, "/data/projects/P/subjects/Bob"

    def modified() -> str:
        (found,) = rows(client, "/data/projects/P/subjects?ID=XNAT_S00002&columns=last_modified")
        return found["last_modified"]

    def forget() -> None:
        with web.site.catalog.write() as connection:
            connection.execute(update(subject).values(created=long_ago, modified=None))
            connection.execute(update(session).values(created=long_ago, modified=long_ago + 1500))

    forget()
    assert modified() == "2024-01-31 10:00:01.5"
    for said in ("age=26", "label=Bobby", "label=Bob"):
        forget()
        assert client.put(f"/data/subjects/XNAT_S00002?{said}").status_code == 200
        assert modified() > "2024-01-31 10:00:01.5", said
    forget()
    assert client.put(f"{where}?age=26").status_code == 200
    assert modified() == "2024-01-31 10:00:01.5"


@pytest.mark.postgresql
def test_a_subject_is_modified_by_whatever_changed_last(catalog: Catalog) -> None:
    seed(catalog, 4)
    context = ServiceContext(catalog, LocalStore("/none"), load_settings(), SYSTEM)

    def modified() -> Any:
        ((found, *_),) = ask(catalog, lambda c: list_subjects(c, SYSTEM, "last_modified", in_project="P")).rows
        return found

    assert modified() == "1970-01-01 00:00:00.0"
    with catalog.write() as connection:
        uuid = connection.execute(select(subject.c.uuid)).scalar_one()
        connection.execute(update(subject).values(modified=1_500_000_000_000))
    assert modified() == "2017-07-14 02:40:00.0"
    edit_subject(context, uuid, {"group": "control"})
    edited = modified() or ""
    assert edited > "2025"
    with catalog.write() as connection:
        connection.execute(update(session).values(modified=4_000_000_000_000))
    assert (modified() or "") > edited


def test_the_frames_of_an_ecat_scan_are_elements_that_have_numbers() -> None:
    fields = {"ID": "1", "parameters/frames/1/starttime": "0", "parameters/frames/1/units": "sec", "frames": "2",
              "parameters/frames/2/length": "5", "parameters/dimensions/num": "2"}  # fmt: skip
    root = ET.fromstring(item_to_xml(Item("xnat:petScanData", fields)))
    frames = root.findall("xnat:parameters/xnat:frames/xnat:frame", NS)
    assert [one.attrib for one in frames] == [
        {"number": "1", "starttime": "0", "units": "sec"},
        {"number": "2", "length": "5"},
    ]
    assert root.findtext("xnat:frames", None, NS) == "2"


# -- projects, and words of theirs -------------------------------------------------------------------------------------


def ids(client: httpx.Client, asked: str) -> list[str]:
    found = rows(client, f"/data/projects?{asked}")
    assert all(row["id"] == row["ID"] and row["secondary_id"] == row["secondary_ID"] for row in found)
    return [row["id"] for row in found]


def test_projects_are_listed_by_what_one_may_do_there(
    client: httpx.Client, web: Web, subtests: pytest.Subtests
) -> None:
    for name, access in (("Open", "public"), ("Shown", "protected"), ("Hidden", "private"), ("Mine", "private")):
        assert client.put(f"/data/projects/{name}").status_code in (200, 201)
        assert client.put(f"/data/projects/{name}/accessibility/{access}").status_code == 200
    number = web.account("mia", Mine="member")
    with web.client("mia") as mia, web.client(None) as guest:
        for asked, wanted in (
            ("accessible=true", ["Mine", "Open", "Shown"]), ("accessible=false", ["Open", "Shown"]),
            ("users=true", ["Mine"]), ("data=writable", ["Mine"]), ("data=readable", ["Mine", "Open"]),
            ("permissions=edit&dataType=xnat:subjectData", ["Mine"]), ("permissions=delete", []),
            ("permissions=read", ["Mine", "Open"]), ("creatableTypes=true", ["Mine"]), ("member=true", ["Mine"]),
        ):  # fmt: skip
            with subtests.test(asked=asked):
                assert ids(mia, asked) == wanted
        (mine,) = rows(mia, "/data/projects?member=true")
        assert (mine[f"user_role_{number}"], mine["project_access"]) == ("Members", "private")
        (code,) = rows(mia, "/data/projects?users=true&prearc_code=true")
        assert code["project_prearchive_code"] == code["proj_prearchive_code"] == "4"
        assert code["proj_quarantine"] == "0"
        assert rows(mia, "/data/projects?accessible=true&columns=ID,name")[0].keys() == {"ID", "name", "URI"}
        assert ids(guest, "accessible=true") == ids(guest, "accessible=false") == ["Open"]
        assert mia.get("/data/projects?data=secret").status_code == 400
    assert {"Hidden", "Open", "P"} <= set(ids(client, "accessible=true"))
    assert ids(client, "accessible=false") == []  # who made them all


def test_the_types_of_a_project_s_scans_are_named_with_their_descriptions(client: httpx.Client, web: Web) -> None:
    found = {row["type"]: row["series_descriptions"] for row in rows(client, "/data/projects/P/scan_types")}
    assert found == {"T1": "T1", "unknown": ""}
    assert rows(client, "/data/archive/projects/P/scan_types") == rows(client, "/data/scan_types?project=p")
    assert rows(client, "/data/projects/P/scanners") == []
    assert client.get("/data/projects/Nobody/scan_types").status_code == 404
    web.account("eva")
    with web.client("eva") as eva:
        assert eva.get("/data/projects/P/scan_types").status_code == 404
        assert rows(eva, "/data/scan_types") == []
