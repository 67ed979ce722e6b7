"""Things made by documents in XNAT's dialect: by POST to a list, sessions with their scans; and what is no document."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from scandock.access.principal import SYSTEM
from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.server_tables import scan_edit
from scandock.catalog.tables import session as session_table
from scandock.model.request_limits import DOCUMENT_SCANS
from scandock.services.consistency_check import check_data
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.session_creation import NewSession, ScanRequest, create_session
from scandock.services.session_parts import find_scans
from scandock.services.xnat_lookup import find_experiment
from tests.builders import DataFolder, images, make_data_folder
from tests.integration.web import Web, serve_in_process

pytestmark = pytest.mark.long

XNAT = 'xmlns:xnat="http://nrg.wustl.edu/xnat" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
SCANS = """<xnat:scans>
  <xnat:scan ID="1" type="T1" xsi:type="xnat:mrScanData"><xnat:quality>questionable</xnat:quality>
    <xnat:series_description>sag T1</xnat:series_description>
    <xnat:file label="DICOM" URI="/etc/passwd" xsi:type="xnat:resourceCatalog"/></xnat:scan>
  <xnat:scan ID="2" type="PET"><xnat:note>late</xnat:note></xnat:scan>
</xnat:scans>"""
NUMBERS = count()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    with pytest.MonkeyPatch.context() as patch:
        yield make_data_folder(tmp_path_factory.mktemp("posting"), patch)


@pytest.fixture(scope="module")
def web(site: DataFolder) -> Iterator[Web]:
    """One server for all tests; each test has a subject of its own."""
    with serve_in_process(site.data, site.settings) as web:
        yield web
    assert check_data(str(site.data), site.settings) == []


@pytest.fixture
def client(web: Web) -> Iterator[httpx.Client]:
    with web.client() as client:
        yield client


@pytest.fixture
def where() -> str:
    """The address of a subject that is not there yet."""
    return f"/data/projects/P/subjects/S{next(NUMBERS)}"


def document(kind: str, inner: str = "", **attributes: str) -> bytes:
    said = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<xnat:{kind} {XNAT}{said}>{inner}</xnat:{kind}>".encode()


def sent(client: httpx.Client, method: str, where: str, body: bytes, status: int = 200) -> str:
    answer = client.request(method, where, content=body, headers={"content-type": "text/xml"})
    assert (answer.status_code, answer.headers["content-type"][:10]) == (status, "text/plain"), answer.text
    return answer.text


def fields(client: httpx.Client, where: str) -> dict[str, str]:
    found: dict[str, str] = client.get(where, params={"format": "json"}).json()["items"][0]["data_fields"]
    return found


def scans(client: httpx.Client, where: str) -> dict[str, tuple[str, ...]]:
    """Type, XNAT type, quality and note of a session's scans, by id."""
    rows = client.get(f"{where}/scans").json()["ResultSet"]["Result"]
    return {one["ID"]: (one["type"], one["xsiType"], one["quality"], one["note"]) for one in rows}


MADE = {"1": ("T1", "xnat:mrScanData", "questionable", ""), "2": ("PET", "xnat:mrScanData", "usable", "late")}


# -- scans of a session's document -------------------------------------------------------------------------------------


def test_a_session_s_document_makes_its_scans(client: httpx.Client, where: str) -> None:
    session = f"{where}/experiments/{where[-2:]}E"
    sent(client, "PUT", session, document("MRSession", f"<xnat:date>2024-02-29</xnat:date>{SCANS}"), 201)
    assert scans(client, session) == MADE
    assert (fields(client, session)["date"], client.get(f"{session}/files").json()["ResultSet"]["Result"]) == (
        "2024-02-29", [],
    )  # fmt: skip
    assert fields(client, f"{session}/scans/1")["series_description"] == "sag T1"
    sent(client, "PUT", session, client.get(session, params={"format": "xml"}).content)  # what it answers, again
    assert scans(client, session) == MADE
    more = '<xnat:scans><xnat:scan ID="2"><xnat:note>later</xnat:note></xnat:scan><xnat:scan ID="3"/></xnat:scans>'
    sent(client, "PUT", session, document("MRSession", more))
    assert scans(client, session) == {
        **MADE, "2": (*MADE["2"][:3], "later"), "3": ("", "xnat:mrScanData", "usable", ""),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("scan", "status"),
    [
        ('<xnat:scan ID="1" xsi:type="xnat:ctScanData"/>', 409),
        ('<xnat:scan ID="a/b"/>', 400),
        ("<xnat:scan/>", 400),
        ('<xnat:scan ID="8" xsi:type="xnat:qcScanData"/>', 400),
        ('<xnat:scan ID="9"/><xnat:scan ID="9"/>', 400),
        ('<xnat:scan ID="9"><xnat:quality>fine</xnat:quality></xnat:scan>', 400),
    ],
)
def test_a_session_with_a_scan_that_can_t_be_is_not_made_nor_changed(
    client: httpx.Client, where: str, scan: str, status: int
) -> None:
    session, other = f"{where}/experiments/{where[-2:]}A", f"{where}/experiments/{where[-2:]}B"
    sent(client, "PUT", session, document("MRSession", SCANS), 201)
    body = document("MRSession", f'<xnat:note>x</xnat:note><xnat:scans><xnat:scan ID="7"/>{scan}</xnat:scans>')
    sent(client, "PUT", session, body, status)
    assert (scans(client, session), "note" in fields(client, session)) == (MADE, False)
    if status == 400:
        sent(client, "PUT", other, body, status)
        assert client.get(other).status_code == 404


def test_what_a_document_says_of_a_session_that_is_there_is_done_whole_or_not_at_all(
    client: httpx.Client, where: str
) -> None:
    session, other = f"{where}/experiments/{where[-2:]}F", f"{where}/experiments/{where[-2:]}G"
    sent(client, "PUT", session, document("MRSession", SCANS), 201)
    sent(client, "PUT", other, document("MRSession"), 201)
    said = '<xnat:note>x</xnat:note><xnat:scans><xnat:scan ID="3"/></xnat:scans>'
    told = client.put(session, params={"label": f"{where[-2:]}G"}, content=document("MRSession", said))
    assert (told.status_code, "already" in told.text) == (409, True)
    assert (scans(client, session), "note" in fields(client, session)) == (MADE, False)
    told = client.put(session, params={"label": "N" + where[-2:]}, content=document("MRSession", said))
    assert told.status_code == 200, told.text
    renamed = f"{where}/experiments/N{where[-2:]}"
    assert (sorted(scans(client, renamed)), fields(client, renamed)["note"]) == (["1", "2", "3"], "x")
    assert client.get(session).status_code == 404


def test_what_is_said_of_a_subject_that_is_given_a_label_that_is_taken_is_not_kept(
    client: httpx.Client, where: str
) -> None:
    sent(client, "PUT", where, b"<Subject group='a'/>", 201)
    sent(client, "PUT", f"{where}T", b"<Subject/>", 201)
    assert client.put(where, params={"label": f"{where.rpartition('/')[2]}T", "group": "b"}).status_code == 409
    assert fields(client, where)["group"] == "a"


@pytest.mark.postgresql
def test_a_session_is_made_with_its_scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    site = make_data_folder(tmp_path, monkeypatch, database_url)
    scans = [
        ScanRequest(id="1", type="T1", attributes={}, edits={"type": "T1", "quality": "unusable"}),
        ScanRequest(id="2", attributes={}, edits={"note": "late"}),
        ScanRequest(id="3", attributes={}, edits={}),
    ]
    with open_data(str(site.data), site.settings) as (catalog, store):
        add_project(catalog, ProjectRow(name="P"))
        wanted = NewSession(
            project="P", subject="S", label="E", xsi_type="xnat:mrSessionData", attributes={}, scans=scans
        )
        create_session(ServiceContext(catalog, store, site.settings, SYSTEM), wanted)
        with catalog.read() as connection:
            found = find_experiment(connection, SYSTEM, "E", in_project="P").record
            rows = [(one.scan_id, one.type, one.quality, one.note) for one in find_scans(connection, found)]
            edits = connection.execute(select(scan_edit.c.scan_id, scan_edit.c.modified)).all()
    assert (found.scans, rows) == (
        3,
        [("1", "T1", "unusable", ""), ("2", "", "usable", "late"), ("3", "", "usable", "")],
    )
    assert [(scan_id, modified > 0) for scan_id, modified in edits] == [("1", True), ("2", True)]


def test_a_document_has_so_many_scans_and_each_in_one_case(client: httpx.Client, where: str) -> None:
    session = f"{where}/experiments/{where[-2:]}M"
    many = "".join(f'<xnat:scan ID="{n}"/>' for n in range(DOCUMENT_SCANS + 1))
    told = sent(client, "PUT", session, document("MRSession", f"<xnat:scans>{many}</xnat:scans>"), 400)
    assert "5,001 scans" in told
    assert client.get(session).status_code == 404
    some = "".join(f'<xnat:scan ID="s{n}"/>' for n in range(3))
    sent(client, "PUT", session, document("MRSession", f"<xnat:scans>{some}</xnat:scans>"), 201)
    more = '<xnat:scans><xnat:scan ID="new"/><xnat:scan ID="S1"/></xnat:scans>'
    sent(client, "PUT", session, document("MRSession", more), 409)
    assert list(scans(client, session)) == ["s0", "s1", "s2"]


def test_what_imports_read_of_scans_is_not_pinned_by_their_own_document(
    site: DataFolder, web: Web, client: httpx.Client
) -> None:
    site.bring({"a.dcm": images(1)[0]}, subject="CAME", session="CAME")
    session = "/data/projects/P/experiments/CAME"
    before = client.get(session, params={"format": "xml"}).content
    sent(client, "PUT", session, before)
    assert client.get(session, params={"format": "xml"}).content == before
    with web.site.catalog.read() as connection:  # else no import would ever say the type again
        of = select(scan_edit).join(session_table, session_table.c.id == scan_edit.c.session_id)
        assert connection.execute(of.where(session_table.c.label == "CAME")).all() == []


# -- a scan keeps its type ---------------------------------------------------------------------------------------------


def test_another_type_of_a_scan_is_a_conflict(client: httpx.Client, where: str) -> None:
    session = f"{where}/experiments/{where[-2:]}T"
    sent(client, "PUT", session, document("MRSession", SCANS), 201)
    scan = f"{session}/scans/1"
    answer = client.put(scan, params={"xsiType": "xnat:ctScanData", "note": "x"})
    assert (answer.status_code, "xnat:mrScanData" in answer.text) == (409, True), answer.text
    sent(client, "PUT", scan, document("CTScan", "<xnat:note>x</xnat:note>"), 409)
    assert client.put(scan, params={"xnat:ctScanData/note": "x"}).status_code == 200  # as the original: nothing is done
    assert scans(client, session) == MADE
    for same in ({"xsiType": "xnat:mrScanData"}, {"xsiType": "xnat:imageScanData"}, {"xnat:mrScanData/note": "y"}):
        assert client.put(scan, params=same).status_code == 200
    assert scans(client, session)["1"] == (*MADE["1"][:3], "y")


# -- POST to lists -----------------------------------------------------------------------------------------------------


def test_things_are_made_by_documents_that_are_posted(client: httpx.Client, where: str) -> None:
    name = f"POSTED{where[-1]}"
    body = document("Project", "<xnat:name>Posted</xnat:name><xnat:description>By POST</xnat:description>", ID=name)
    assert sent(client, "POST", "/data/projects", body) == f"/data/projects/{name}"
    assert fields(client, f"/data/projects/{name}")["description"] == "By POST"
    assert "already" in sent(client, "POST", "/data/projects", body, 409)

    body = document("Subject", "", label="S1", ID="XNAT_S09999", group="control")
    made = sent(client, "POST", f"/data/projects/{name}/subjects", body)
    assert fields(client, made)["group"] == "control"
    assert "already" in sent(client, "POST", f"/data/archive/projects/{name}/subjects", body, 409)

    body = document("MRSession", SCANS, label="E1")
    made = sent(client, "POST", f"/data/projects/{name}/subjects/S1/experiments", body)
    assert (fields(client, made)["label"], scans(client, made)) == ("E1", MADE)
    assert "already" in sent(client, "POST", f"/data/projects/{name}/subjects/S1/experiments", body, 409)
    said = {"xsiType": "xnat:ctSessionData", "label": "E2", "subject_ID": "S2"}
    answer = client.post(f"/data/projects/{name}/experiments", params=said)
    assert (answer.status_code, answer.headers["location"]) == (200, answer.text)
    assert fields(client, answer.text)["label"] == "E2"

    made = sent(client, "POST", f"{made}/scans", document("MRScan", "", ID="3", type="T2"))
    assert fields(client, made)["type"] == "T2"
    session = f"/data/projects/{name}/subjects/S1/experiments/E1"
    assert "already" in sent(client, "POST", f"{session}/scans", document("MRScan", "", ID="3"), 409)


@pytest.mark.parametrize(
    "path", ["/data/projects", "/data/projects/P/subjects", "{S}/experiments", "{S}/experiments/E/scans"]
)
def test_what_names_no_thing_makes_none(client: httpx.Client, where: str, path: str) -> None:
    client.put(f"{where}/experiments/{where[-2:]}N", params={"xsiType": "xnat:mrSessionData"})
    address = path.replace("{S}", where).replace("/E/", f"/{where[-2:]}N/")
    kind = {"projects": "Project", "subjects": "Subject", "experiments": "MRSession", "scans": "MRScan"}
    assert "gives the new" in sent(client, "POST", address, document(kind[path.rpartition("/")[2]]), 400)


# -- what is no document -----------------------------------------------------------------------------------------------

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
HOSTILE = {
    "laughs": f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><Project ID="X"><name>&l9;</name></Project>'.encode(),
    "quadratic": f'<!DOCTYPE a [<!ENTITY e "{"x" * 1000}">]><Project ID="X">{"&e;" * 1000}</Project>'.encode(),
    "file": b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><Project ID="X"><name>&e;</name></Project>',
    "dtd": b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><Project ID="X"/>',
    "parameter": b'<!DOCTYPE a [<!ENTITY % e SYSTEM "http://127.0.0.1:1/">%e;]><Project ID="X"/>',
    "deep": b"<Project>" + b"<a>" * 100_000,
    "unknown entity": b'<Project ID="X"><name>&e;</name></Project>',
    "encoding": b'<?xml version="1.0" encoding="utf-7"?><Project ID="X"/>',
    "cut": b'<Project ID="X">',
    "other": b'<html ID="X"/>',
    "empty": b" ",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_documents_are_refused_with_a_clear_word(client: httpx.Client, body: bytes) -> None:
    told = sent(client, "POST", "/data/projects", body, 400)
    assert told.startswith("The document ")
    assert len(told) < 300
    assert client.get("/data/projects/X").status_code == 404


def test_a_document_has_a_megabyte_at_most(client: httpx.Client) -> None:
    body = document("Project", f"<!--{'x' * 1_048_576}-->", ID="X")
    told = sent(client, "POST", "/data/projects", body, 413)
    assert "more than 1,048,576 bytes" in told
    assert client.get("/data/projects/X").status_code == 404
