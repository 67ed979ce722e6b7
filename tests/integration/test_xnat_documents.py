"""Documents of XNAT's: what `format=xml` answers fits our own schema, and is a PUT again, as copyxnat copies things."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest

from scandock.services.consistency_check import check_data
from tests.builders import DataFolder, images, make_data_folder
from tests.integration.web import serve_in_process

NS = {"xnat": "http://nrg.wustl.edu/xnat", "xs": "http://www.w3.org/2001/XMLSchema"}
XSI = "{http://www.w3.org/2001/XMLSchema-instance}type"
SCANNER = {0x00080070: (b"LO", b"ACME"), 0x00081090: (b"LO", b"Ring 3"), 0x00081010: (b"SH", b"MR1")}
SESSION = "/data/projects/P/subjects/S1/experiments/E1"
COPY = "/data/projects/Q/subjects/S1"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


@contextmanager
def served(site: DataFolder) -> Iterator[httpx.Client]:
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        assert client.put("/data/projects/Q").status_code == 200
        site.bring({"a.dcm": images(1, also=SCANNER)[0]}, subject="S1", session="E1")
        yield client
    assert check_data(str(site.data), site.settings) == []


def document(client: httpx.Client, where: str) -> ET.Element:
    answer = client.get(where, params={"format": "xml"})
    assert answer.status_code == 200, answer.text
    return ET.fromstring(answer.text)


def fields(client: httpx.Client, where: str) -> dict[str, str]:
    found: dict[str, str] = client.get(where, params={"format": "json"}).json()["items"][0]["data_fields"]
    return found


def declared(schema: ET.Element, kind: str) -> tuple[set[str], set[str]]:
    """Elements and attributes of a type in our schema, its bases' too."""
    found = schema.find(f"xs:complexType[@name='{kind}']", NS)
    assert found is not None, kind
    inner = found.find("xs:complexContent/xs:extension", NS)
    own = found if inner is None else inner
    elements = {one.attrib["name"] for one in own.findall("xs:sequence/xs:element", NS)}
    attributes = {one.attrib["name"] for one in own.findall("xs:attribute", NS)}
    if inner is None:
        return elements, attributes
    above = declared(schema, inner.attrib["base"].removeprefix("xnat:"))
    return elements | above[0], attributes | above[1]


def test_a_session_s_document_has_attributes_and_elements_where_the_schema_has_them(site: DataFolder) -> None:
    with served(site) as client:
        schema = ET.fromstring(client.get("/xapi/schemas/xnat").text)
        session = document(client, SESSION)
        scan = session.find("xnat:scans/xnat:scan", NS)
        assert scan is not None
        resource = scan.find("xnat:file", NS)
        assert resource is not None
        things = [(session, "mrSessionData"), (scan, scan.attrib[XSI][5:]), (resource, resource.attrib[XSI][5:])]
        for element, kind in things:
            attributes = declared(schema, kind)[1]
            assert set(element.attrib) - {XSI} <= attributes, kind
            assert not {one.tag.partition("}")[2] for one in element} & attributes, kind
        for one in (session.find("xnat:scanner", NS), scan.find("xnat:scanner", NS)):
            assert one is not None
            assert (one.text, one.attrib) == ("MR1", {"manufacturer": "ACME", "model": "Ring 3"})
        said = {name: resource.attrib[name] for name in ("label", "file_count", "format", "content")}
        assert said == {"label": "DICOM", "file_count": "1", "format": "DICOM", "content": "RAW"}
        assert int(resource.attrib["file_size"]) > 100


@pytest.mark.long
def test_things_are_copied_by_their_documents(site: DataFolder) -> None:
    """As copyxnat does it: raw, without a media type, `inbody=true`; without ids, and without the parts."""
    with served(site) as client:
        where = {"inbody": "true", "allowDataDeletion": "false", "overwrite": "False"}
        said = {"gender": "female", "yob": "1980", "weight": "61.5", "weight/units": "kg", "group": "control"}
        client.put("/data/projects/P/subjects/S1", params={f"xnat:subjectData/{k}": v for k, v in said.items()})
        subject = client.get("/data/projects/P/subjects/S1?format=xml").content
        assert client.put(COPY, content=subject, params=where).status_code == 201
        told = client.get(COPY, params={"format": "json"}).json()["items"][0]
        assert (told["data_fields"]["group"], told["data_fields"]["project"]) == ("control", "Q")
        demographics = told["children"][0]["items"][0]["data_fields"]
        assert demographics == {"gender": "female", "yob": 1980, "weight": 61.5, "weight/units": "kg"}

        client.put(f"{SESSION}?xnat:mrSessionData/note=so+it+was")
        root = document(client, SESSION)
        for name in ("ID", "project"):
            root.attrib.pop(name)
        for child in root.findall("xnat:scans", NS):
            root.remove(child)
        told = client.put(f"{COPY}/experiments/E1", content=ET.tostring(root), params=where)
        assert (told.status_code, told.text[:6]) == (201, "XNAT_E")
        before, after = fields(client, SESSION), fields(client, f"{COPY}/experiments/E1")
        other = {"ID", "project", "subject_ID", "UID"}
        assert {k: v for k, v in after.items() if k not in other} == {k: v for k, v in before.items() if k not in other}

        (row,) = client.get(f"{SESSION}/scans").json()["ResultSet"]["Result"]
        scan = client.get(f"{SESSION}/scans/{row['ID']}?format=xml").content
        assert client.put(f"{COPY}/experiments/E1/scans/{row['ID']}", content=scan, params=where).status_code == 200
        copied = fields(client, f"{COPY}/experiments/E1/scans/{row['ID']}")
        assert (copied["type"], copied["ID"], copied["scanner/model"]) == (row["type"], row["ID"], "Ring 3")


@pytest.mark.long
@pytest.mark.parametrize("how", ["typed", "form", "bare"])
def test_a_document_comes_by_its_type_as_a_form_or_bare(site: DataFolder, how: str) -> None:
    text = (
        b'<?xml version="1.0"?><xnat:CTSession xmlns:xnat="http://nrg.wustl.edu/xnat" ID="XNAT_E00077" project="Other">'
        b"<xnat:date>2024-02-29</xnat:date><xnat:subject_ID>XNAT_S00077</xnat:subject_ID></xnat:CTSession>"
    )
    with served(site) as client:
        where = f"{COPY}/experiments/E2"
        if how == "form":
            told = client.put(where, files={"file": ("e2.xml", text, "text/xml")})
        else:
            told = client.put(where, content=text, headers={"Content-Type": "text/xml"} if how == "typed" else {})
        assert told.status_code == 201, told.text
        seen = fields(client, where)
        assert (seen["date"], seen["project"], seen["label"]) == ("2024-02-29", "Q", "E2")
        assert client.put(where, content=text.replace(b"02-29", b"03-01"), params={"inbody": "true"}).status_code == 200
        assert fields(client, where)["date"] == "2024-03-01"


def test_a_project_s_title_comes_by_its_document(site: DataFolder) -> None:
    with served(site) as client:
        text = client.get("/data/projects/Q?format=xml").text.replace(">Q<", ">Second<")
        told = client.put("/data/projects/Q", content=text, headers={"Content-Type": "application/xml"})
        assert (told.status_code, fields(client, "/data/projects/Q")["name"]) == (200, "Second")


@pytest.mark.long
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<a", "no XML"),
        (b"<html><body/></html>", "is a <html>"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><MRSession/>', "document type"),
        (b"<MRSession>" + b"<a>" * 50, "nested"),
        (b"<MRSession><date>yesterday</date></MRSession>", "date is 'yesterday'"),
        (b" " * 1_100_000 + b"<MRSession/>", "more than"),
    ],
)
def test_what_is_no_document_is_refused_and_nothing_is_made(site: DataFolder, body: bytes, words: str) -> None:
    with served(site) as client:
        told = client.put(f"{COPY}/experiments/E3", content=body, params={"inbody": "true"})
        assert (told.status_code, words in told.text) == (413 if len(body) > 2**20 else 400, True), told.text
        assert client.get(f"{COPY}/experiments/E3").status_code == 404


UPLOAD = "/xapi/archive/upload/xml"


def test_a_document_leads_to_what_it_is_of(site: DataFolder) -> None:
    """Each as GET answers it, changed, and sent without an address; whatever the request calls its body."""
    with served(site) as client:
        for where, before, after, kind in (
            ("/data/projects/Q", "<xnat:name>Q</xnat:name>", "<xnat:name>Quite</xnat:name>", "text/xml"),
            ("/data/projects/P/subjects/S1", 'group="a"', 'group="b"', "application/xml"),
            (SESSION, "<xnat:note>a</xnat:note>", "<xnat:note>b</xnat:note>", "application/octet-stream"),
            (f"{SESSION}/scans/1", "<xnat:note>a</xnat:note>", "<xnat:note>b</xnat:note>", "text/plain"),
        ):
            client.put(where, params={"group": "a", "note": "a"} if "projects/Q" not in where else {})
            text = client.get(where, params={"format": "xml"}).text
            assert before in text
            body = text.replace(before, after).encode()
            method, headers = "PUT" if "Q" in where else "POST", {"Content-Type": kind}
            sent = client.request(method, UPLOAD, content=body, headers=headers)
            assert sent.status_code == 200, sent.text
            assert after in client.get(where, params={"format": "xml"}).text
        assert client.get("/data/experiments").json()["ResultSet"]["totalRecords"] == "1"


def test_a_document_that_leads_nowhere_or_has_a_type_is_refused(site: DataFolder) -> None:
    with served(site) as client:
        for body, word in (
            (b"<Subject project='P'/>", "ID"), (b"<MRScan ID='1'/>", "ID"), (b"<Thing ID='1'/>", "Thing"),
            (b"", "XML"), (b"<!DOCTYPE Subject [<!ENTITY e 'x'>]><Subject ID='1'/>", "DOCTYPE is disallowed"),
        ):  # fmt: skip
            told = client.put(UPLOAD, content=body)
            assert told.status_code == 400
            assert word in told.text
        told = client.put(UPLOAD, content=b"<Subject label='S1' project='P'>" + b" " * 1024 * 1024 + b"</Subject>")
        assert told.status_code == 413


def test_a_document_changes_nothing_for_who_may_not(site: DataFolder) -> None:
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        site.bring({"a.dcm": images(1)[0]}, subject="S1", session="E1")
        client.put("/data/projects/P/subjects/S1", params={"group": "a"})
        web.account("carl", P="collaborator")
        web.account("other")
        documents = [
            client.get(one, params={"format": "xml"}).text.replace('group="a"', 'group="b"')
            for one in ("/data/projects/P", "/data/projects/P/subjects/S1", SESSION, f"{SESSION}/scans/1")
        ]
        for name, statuses in (("carl", {403}), ("other", {404, 409}), (None, {401})):
            with web.client(name) as one:
                assert {one.put(UPLOAD, content=body).status_code for body in documents} <= statuses
        assert 'group="a"' in client.get("/data/projects/P/subjects/S1", params={"format": "xml"}).text
