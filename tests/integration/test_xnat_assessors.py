"""Image assessors in XNAT's dialect: experiments of a session, made by documents and queries, on both databases."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest
from sqlalchemy import select

from scandock.catalog.server_tables import assessor, audit
from scandock.services.cleaning.trash import empty_trash
from tests.builders import DataFolder, images, make_data_folder, uploader_layout
from tests.integration.test_xnat_creation import done, experiment, fields, rows
from tests.integration.web import Web, serve_data_folder

pytestmark = pytest.mark.long

XNAT = "{http://nrg.wustl.edu/xnat}"
PROV = "{http://www.nbirn.net/prov}"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
XSI_TYPE = f"{{{XSI}}}type"
XML = {"Content-Type": "text/xml"}
QC = {"xsiType": "xnat:qcAssessmentData"}
MANUAL = """<?xml version="1.0" encoding="UTF-8"?>
<xnat:QCManualAssessment ID="" project="" label="OTHER" xmlns:xnat="http://nrg.wustl.edu/xnat"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://nrg.wustl.edu/xnat x.xsd">
  <xnat:date>2026-11-24</xnat:date>
  <xnat:imageSession_ID/>
  <xnat:rater>The &lt;Radiologist&gt;</xnat:rater>
  <xnat:scans>
    <xnat:scan xsi:type="xnat:mrQcScanData"><xnat:imageScan_ID>4</xnat:imageScan_ID><xnat:pass>1</xnat:pass></xnat:scan>
    <xnat:scan xsi:type="xnat:mrQcScanData"><xnat:imageScan_ID>5</xnat:imageScan_ID><xnat:pass>0</xnat:pass></xnat:scan>
  </xnat:scans>
  <xnat:comments>fine</xnat:comments>
</xnat:QCManualAssessment>"""
FREESURFER = """<fs:Freesurfer xmlns:fs="http://nrg.wustl.edu/fs" xmlns:xnat="http://nrg.wustl.edu/xnat"
  xmlns:prov="http://www.nbirn.net/prov" version="5.3">
  <xnat:provenance><prov:processStep>
    <prov:program version="5.3" arguments="-s -all">recon-all</prov:program>
    <prov:timestamp>2020-01-01 01:02:03</prov:timestamp>
  </prov:processStep></xnat:provenance>
  <fs:measures><fs:volumetric><fs:ICV>1.5</fs:ICV></fs:volumetric></fs:measures>
</fs:Freesurfer>"""
SESSION = "/data/projects/P/subjects/S1/experiments/E1"
ASSESSORS = f"{SESSION}/assessors"


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[tuple[Web, httpx.Client]]:
    """A server with an empty session XNAT_E00001."""
    with serve_data_folder(make_data_folder(tmp_path, monkeypatch, database_url)) as (one, client):
        assert experiment(client) == "XNAT_E00001"
        yield one, client


@pytest.fixture
def client(web: tuple[Web, httpx.Client]) -> httpx.Client:
    return web[1]


def put_xml(client: httpx.Client, where: str, document: str, status: int = 200, **asked: str) -> str:
    return done(client.put(where, content=document, headers=XML, params=asked), status)


def as_xml(client: httpx.Client, where: str) -> ET.Element:
    answer = client.get(where, params={"format": "xml"})
    assert answer.status_code == 200, answer.text
    return ET.fromstring(answer.content)


def told(element: ET.Element) -> list[tuple[str, str | None, dict[str, str]]]:
    """What a document says below its root, but for the id of the session."""
    return [
        (one.tag, (one.text or "").strip() or None, dict(one.attrib))
        for one in element.iter()
        if one is not element and not one.tag.endswith("imageSession_ID")
    ]


@pytest.mark.postgresql
def test_an_assessor_is_an_experiment_of_its_session(client: httpx.Client) -> None:
    made = done(client.put(f"{ASSESSORS}/QC1", params={**QC, "date": "11/24/2026"}), 201)
    assert made == "XNAT_E00002"
    for where in (f"{ASSESSORS}/qc1", f"/data/experiments/XNAT_E00001/assessors/{made}", f"/data/experiments/{made}",
                  "/data/projects/P/experiments/QC1"):  # fmt: skip
        found = fields(client.get(f"{where}?format=json"))
        assert found == {
            "ID": made,
            "project": "P",
            "label": "QC1",
            "imageSession_ID": "XNAT_E00001",
            "date": "2026-11-24",
        }
    (row,) = rows(client.get(ASSESSORS))
    assert (row["ID"], row["label"], row["xsiType"], row["URI"]) == (
        made, "QC1", "xnat:qcAssessmentData", f"/data/experiments/{made}",
    )  # fmt: skip
    assert experiment(client, "E2") == "XNAT_E00003"  # one counter with sessions
    assert [one["ID"] for one in rows(client.get("/data/experiments"))] == ["XNAT_E00001", "XNAT_E00003"]
    for asked in ("xnat:qcAssessmentData", "xnat:imageAssessorData"):
        assert [one["ID"] for one in rows(client.get("/data/experiments", params={"xsiType": asked}))] == [made]
    assert rows(client.get("/data/experiments?xsiType=fs:fsData")) == []
    done(client.delete(f"/data/experiments/{made}"))
    assert rows(client.get(ASSESSORS)) == []
    assert done(client.delete(f"{ASSESSORS}/QC1"), 404)
    assert done(client.put(f"{ASSESSORS}/QC1", params=QC), 201) == "XNAT_E00004"


@pytest.mark.postgresql
def test_a_document_comes_back_as_it_was_said(client: httpx.Client) -> None:
    put_xml(client, f"{ASSESSORS}/QC1", MANUAL, 201)
    root = as_xml(client, f"{ASSESSORS}/QC1")
    assert root.tag == f"{XNAT}QCManualAssessment"
    assert (root.get("ID"), root.get("label"), root.get("project")) == ("XNAT_E00002", "QC1", "P")
    assert root.findtext(f"{XNAT}imageSession_ID") == "XNAT_E00001"
    assert told(root) == told(ET.fromstring(MANUAL))
    (found,) = client.get(f"{ASSESSORS}/QC1?format=json").json()["items"]
    assert found["meta"]["xsi:type"] == "xnat:qcManualAssessorData"
    assert found["data_fields"]["rater"] == "The <Radiologist>"
    (scans,) = found["children"]
    assert scans["field"] == "scans/scan"
    assert [one["data_fields"] for one in scans["items"]] == [
        {"imageScan_ID": "4", "pass": "1"}, {"imageScan_ID": "5", "pass": "0"},
    ]  # fmt: skip
    put_xml(client, f"{ASSESSORS}/FS1", FREESURFER, 201)
    root = as_xml(client, "/data/experiments/XNAT_E00003")
    assert (root.tag, root.get("version")) == ("{http://nrg.wustl.edu/fs}Freesurfer", "5.3")
    assert told(root) == told(ET.fromstring(FREESURFER.replace(" 01:02:03", "T01:02:03")))
    asked = {"columns": "ID,fs:fsData/measures/volumetric/ICV,fs:fsData/provenance/processStep/program"}
    (row,) = rows(client.get(ASSESSORS, params={**asked, "xsiType": "fs:fsData"}))
    assert (row["fs:fsData/measures/volumetric/ICV"], row["fs:fsdata/provenance/processstep/program"]) == (
        "1.5", "recon-all",
    )  # fmt: skip


def test_a_document_can_be_sent_back_as_it_came(client: httpx.Client, subtests: pytest.Subtests) -> None:
    """Also of a type of which nothing is known, and into another project."""
    done(client.put("/data/projects/Q"))
    done(client.put("/data/projects/Q/subjects/S1/experiments/Q1", params={"xsiType": "xnat:mrSessionData"}), 201)
    odd = (
        '<q:Odd xmlns:q="urn:x:odd" xmlns:p="http://nrg.wustl.edu/odd" xmlns:odd="http://other/odd"><q:a b="1">x</q:a>'
    )
    odd += "<p:a>y</p:a><odd:a>z</odd:a><a>none</a></q:Odd>"
    for label, document, asked in (
        ("QC1", MANUAL, {}), ("FS1", FREESURFER, {}), ("ODD", odd, {"xsiType": "q:oddThing"}),
    ):  # fmt: skip
        with subtests.test(label=label):
            put_xml(client, f"{ASSESSORS}/{label}", document, 201, **asked)
            before = client.get(f"{ASSESSORS}/{label}", params={"format": "xml"}).text
            put_xml(client, f"{ASSESSORS}/{label}", before)
            assert client.get(f"{ASSESSORS}/{label}", params={"format": "xml"}).text == before
            put_xml(client, f"/data/experiments/{ids(client)['Q1']}/assessors/{label}", before, 201)
            copied = as_xml(client, f"/data/projects/Q/experiments/{label}")
            assert told(copied) == told(ET.fromstring(before))
            assert copied.tag == ET.fromstring(before).tag
    root = ET.fromstring(client.get(f"{ASSESSORS}/ODD", params={"format": "xml"}).content)
    assert (root.tag, root.get(XSI_TYPE)) == ("{urn:x:odd}Odd", "q:oddThing")
    assert [one.tag for one in root][1:] == [
        "{urn:x:odd}a", "{http://nrg.wustl.edu/odd}a", "{http://other/odd}a", f"{XNAT}a",
    ]  # fmt: skip


def ids(client: httpx.Client) -> dict[str, str]:
    """Ids of sessions by label."""
    return {one["label"]: one["ID"] for one in rows(client.get("/data/experiments", params={"columns": "ID,label"}))}


@pytest.mark.postgresql
def test_the_schemas_have_the_types_that_one_may_see(web: tuple[Web, httpx.Client]) -> None:
    one, client = web
    done(client.put(f"{ASSESSORS}/FS1", params={"xsiType": "fs:fsData"}), 201)
    done(client.put(f"{ASSESSORS}/QC1", params={"xsiType": "xnat:qcOtherData"}), 201)
    one.account("stranger", admin=False)
    one.account("member", admin=False, P="member")
    for person, seen in (("admin", True), ("member", True), ("stranger", False), (None, False)):
        with one.client(person) as asking:
            assert asking.get("/xapi/schemas").json() == (["fs", "xdat", "xnat"] if seen else ["xdat", "xnat"])
            for where in ("/xapi/schemas/fs", "/xapi/schemas/fs/fs", "/xapi/schemas/fs/fs.xsd", "/schemas/fs/fs.xsd"):
                answer = asking.get(where)
                assert (answer.status_code, 'name="fsData"' in answer.text) == ((200, True) if seen else (404, False))
            assert ('name="qcOtherData"' in asking.get("/xapi/schemas/xnat").text) is seen
    client.put("/data/projects/P/accessibility/public")
    with one.client(None) as guest:
        assert guest.get("/xapi/schemas").json() == ["fs", "xdat", "xnat"]
    trash(client, "XNAT_E00001")
    assert client.get("/xapi/schemas").json() == ["xdat", "xnat"]


def test_more_is_said_of_one_that_is_there(client: httpx.Client) -> None:
    where = f"{ASSESSORS}/QC1"
    put_xml(client, where, MANUAL, 201)
    said = {
        "xnat:qcManualAssessorData/scans/scan[imageScan_ID=5]/pass": "1",
        "xnat:qcManualAssessorData/scans/scan[0]/wrap": "lots",
        "xnat:qcManualAssessorData/scans/scan[2][@xsi:type=xnat:mrQcScanData]/imageScan_ID": "6",
        "xnat:experimentData/note": "by a query",
        "xnat:qcManualAssessorData/comments": "NULL",
        "event_reason": "x",
    }
    done(client.put(where, params=said))
    (found,) = client.get(f"{where}?format=json").json()["items"]
    assert found["data_fields"]["note"] == "by a query"
    assert "comments" not in found["data_fields"]
    ((scans,),) = ([one["items"] for one in found["children"]],)
    assert [one["data_fields"] for one in scans] == [
        {"imageScan_ID": "4", "pass": "1", "wrap": "lots"}, {"imageScan_ID": "5", "pass": "1"}, {"imageScan_ID": "6"},
    ]  # fmt: skip
    assert [one["meta"]["xsi:type"] for one in scans] == ["xnat:mrQcScanData"] * 3
    # a document takes the place of what it names alone, unless it is said to be all
    more = '<QCManualAssessment xmlns="http://nrg.wustl.edu/xnat"><rater>Other</rater><date/></QCManualAssessment>'
    put_xml(client, where, more)
    found = fields(client.get(f"{where}?format=json"))
    assert (found["rater"], found["date"], found["note"]) == ("Other", "2026-11-24", "by a query")
    put_xml(client, where, more, allowDataDeletion="true")
    assert fields(client.get(f"{where}?format=json")) == {
        "ID": "XNAT_E00002", "project": "P", "label": "QC1", "imageSession_ID": "XNAT_E00001", "rater": "Other",
    }  # fmt: skip
    done(client.put(where, params={"xsiType": "fs:fsData"}), 409)
    for document, status in ((FREESURFER, 409), ("<MRSession/>", 400), ("<x:Y xmlns:x='urn:x'/>", 400)):
        put_xml(client, where, document, status)
    # by a form of the whole as pyxnat sends it, and at the address of its id
    sent = client.put(
        "/data/experiments/XNAT_E00002", files={"x.xml": ("x.xml", more.replace("Other", "A form's"), "text/xml")}
    )
    assert done(sent) == "XNAT_E00002"
    assert fields(client.get(f"{where}?format=json"))["rater"] == "A form's"
    done(client.put("/data/projects/P/experiments/QC1", data={"xnat:qcManualAssessorData/rater": "fields"}))
    assert fields(client.get(f"{where}?format=json"))["rater"] == "fields"


@pytest.mark.postgresql
def test_a_column_is_of_the_one_that_its_path_names(
    client: httpx.Client, subtests: pytest.Subtests, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_xml(client, f"{ASSESSORS}/QC1", MANUAL, 201)
    put_xml(client, f"{ASSESSORS}/FS1", FREESURFER, 201)
    first, second, third = (
        f"xnat:qcManualAssessorData/scans/scan[{which}]/pass" for which in ("0", "1", "@xsi:type=xnat:mrQcScanData")
    )
    chosen = "xnat:qcManualAssessorData/scans/scan[imageScan_ID=5]/pass"
    asked = {"columns": ",".join(["label", second, first, third, chosen])}
    for where, kind in ((ASSESSORS, {}), ("/data/experiments", {"xsiType": "xnat:imageAssessorData"})):
        with subtests.test(where):
            qc, fs = rows(client.get(where, params={**asked, **kind}))
            assert [qc[one] for one in (first, second, third, chosen)] == ["1", "0", "1", "0"]
            assert [qc[one.lower()] for one in (first, second)] == ["1", "0"]
            assert [fs[one] for one in (first, second, chosen)] == ["", "", ""]
    with subtests.test("one by itself"):
        for one, value in ((first, "1"), (second, "0"), (chosen, "0"), (second.replace("xnat:qcM", "fs:fsM"), "")):
            values = {"handler": "values", "columns": one, "asValue": "true"}
            assert client.get(f"{ASSESSORS}/QC1", params=values).text == value
    with subtests.test("none can be a filter, or is no path"):
        for params in ({second: "0"}, {"columns": "xnat:qcManualAssessorData/scans/scan[x]/pass"}):
            refused = done(client.get(ASSESSORS, params=params), 400)
            assert "[x]" in refused or second in refused
    with subtests.test("of so many as are read at once"):
        monkeypatch.setattr("scandock.web.xnat.services.assessors.SHOWN_ASSESSORS_BYTES", 300)
        assert second in done(client.get(ASSESSORS, params=asked), 400)
        assert len(rows(client.get(ASSESSORS, params={"columns": "label"}))) == 2


def test_columns_of_any_namespace_are_those_that_all_have(client: httpx.Client) -> None:
    put_xml(client, f"{ASSESSORS}/FS1", FREESURFER, 201)
    done(client.put(f"{ASSESSORS}/FS1", params={"fs:fsData/status": "own", "date": "2026-11-24"}))
    names = ("ID", "label", "project", "subject_id", "subject_ID", "imageSession_ID", "date", "status")
    for kind in ("fs:fsData", "FS:fsdata"):
        asked = {"columns": ",".join(f"{kind}/{name}" for name in names), f"{kind}/label": "fs*"}
        (row,) = rows(client.get(ASSESSORS, params=asked))
        assert [row[f"{kind}/{name}"] for name in names] == [
            "XNAT_E00002", "FS1", "P", "XNAT_S00001", "XNAT_S00001", "XNAT_E00001", "2026-11-24", "own",
        ]  # fmt: skip
        assert row["fs:fsdata/label"] == row["label"] == "FS1"
    assert rows(client.get(ASSESSORS, params={"fs:fsData/label": "other"})) == []
    (row,) = rows(client.get(ASSESSORS, params={"columns": "xnat:imageSessionData/label,xnat:subjectData/label"}))
    assert [row["xnat:imageSessionData/label"], row["xnat:subjectData/label"]] == ["E1", "S1"]


@pytest.mark.postgresql
def test_types_of_sessions_and_of_assessors_are_listed_together(client: httpx.Client) -> None:
    experiment(client, "E2")
    put_xml(client, f"{ASSESSORS}/FS1", FREESURFER, 201)
    done(client.put(f"{ASSESSORS}/QC1", params=QC), 201)
    columns = "ID,label,xnat:mrSessionData/session_id,fs:fsData/measures/volumetric/ICV,date"
    asked = {"xsiType": "xnat:mrSessionData,fs:fsData", "columns": columns}
    for where in ("/data/experiments", "/data/projects/P/experiments", "/data/projects/P/subjects/S1/experiments"):
        seen = rows(client.get(where, params=asked))
        shown = [(row["label"], row["xsiType"], row["fs:fsData/measures/volumetric/ICV"]) for row in seen]
        assert shown == [
            ("E1", "xnat:mrSessionData", ""), ("E2", "xnat:mrSessionData", ""), ("FS1", "fs:fsData", "1.5"),
        ]  # fmt: skip
    (row,) = rows(client.get("/data/experiments", params={**asked, "label": "FS*"}))
    assert row["ID"] == "XNAT_E00003"
    seen = rows(client.get("/data/experiments", params={**asked, "sortBy": "label", "sortOrder": "DESC", "limit": "2"}))
    assert [row["label"] for row in seen] == ["FS1", "E2"]
    seen = rows(client.get("/data/experiments", params={**asked, "offset": "1", "limit": "1"}))
    assert [row["label"] for row in seen] == ["E2"]
    both = rows(client.get("/data/experiments", params={"xsiType": "xnat:imageAssessorData,xnat:imageSessionData"}))
    assert [row["ID"] for row in both] == ["XNAT_E00001", "XNAT_E00002", "XNAT_E00003", "XNAT_E00004"]
    answer = client.get("/data/experiments", params={**asked, "format": "csv"})
    assert answer.text.count("\n") == 4


@pytest.mark.postgresql
def test_nothing_is_said_of_one_below_another_subject(client: httpx.Client) -> None:
    done(client.put("/data/projects/P/subjects/S2"), 201)
    made = done(client.put(f"{ASSESSORS}/QC1", params=QC), 201)
    for subject in ("S2", "NONE", "XNAT_S00002", "XNAT_S00009"):
        for name in ("QC1", made):
            for below in (f"experiments/{name}", f"experiments/E1/assessors/{name}"):
                where = f"/data/projects/P/subjects/{subject}/{below}"
                done(client.put(where, params={**QC, "note": subject}), 404)
                put_xml(client, where, MANUAL, 404)
        done(client.put(f"/data/subjects/{subject}/experiments/{made}", params={"note": subject}), 404)
    assert [row["label"] for row in rows(client.get("/data/projects/P/subjects"))] == ["S1", "S2"]
    assert "note" not in fields(client.get(f"{ASSESSORS}/QC1?format=json"))
    for subject in ("s1", "XNAT_S00001"):
        done(client.put(f"/data/projects/P/subjects/{subject}/experiments/QC1", params={"note": subject}))
        assert fields(client.get(f"{ASSESSORS}/QC1?format=json"))["note"] == subject


def test_what_would_have_no_effect_is_refused(client: httpx.Client, subtests: pytest.Subtests) -> None:
    done(client.put(f"{ASSESSORS}/QC1", params=QC), 201)
    where = "/data/projects/P/experiments/QC1"
    for name in ("scans/scan[0]/pass", "fs:fsData/note", "xnat:mrSessionData/note", "fs:fsData"):
        with subtests.test(name):
            for address in (f"{ASSESSORS}/QC1", where):
                assert name in done(client.put(address, params={**QC, name: "1"}), 400)
                assert name in done(client.put(address, params=QC, data={name: "1"}), 400)
            assert name in done(client.post(ASSESSORS, params={**QC, "label": "QC2", name: "1"}), 400)
    for media, content in (
        ("application/json", '{"xnat:qcAssessmentData/note": "x"}'),
        ("application/json; charset=utf-8", MANUAL),
        ("text/plain", "note=x"),
        ("application/octet-stream", "x"),
        ("", "note=x"),
        ("application/x-www-form-urlencoded", MANUAL),
    ):
        with subtests.test(f"{media} {content[:5]}"):
            for address in (f"{ASSESSORS}/QC1", where):
                refused = done(client.put(address, params=QC, content=content, headers={"Content-Type": media}), 400)
                assert ("<?xml" if content == MANUAL and "form" in media else media[:16] or "no XML") in refused
    assert client.put(f"{ASSESSORS}/QC1", params=QC, headers={"Content-Type": "application/json"}).status_code == 200
    assert [row["label"] for row in rows(client.get(ASSESSORS))] == ["QC1"]
    assert "note" not in fields(client.get(f"{ASSESSORS}/QC1?format=json"))


NO_ASSESSORS: tuple[dict[str, str], ...] = (
    {},
    {"xsiType": "xnat:mrSessionData"},
    {"xsiType": "xnat:mrScanData"},
    {"xsiType": "xnat:subjectAssessorData"},
    {"xsiType": "xnat:imageAssessorData"},
    {"xsiType": "qcAssessmentData"},
    {"xsiType": "xml:fooData"},
    {"xsiType": f"x:{'y' * 70}"},
    {"xsiType": "fs:fsData "},
    {"xsiType": "fs:fs\tData"},
    {"xsiType": "fs:fsData\x1f"},
    {**QC, "date": "2026-02-30"},
    {**QC, "xnat:qcAssessmentData/date": "soon"},
    {**QC, "xnat:qcAssessmentData/a b": "1"},
    {**QC, "xnat:qcAssessmentData/scans/scan[7]/pass": "1"},
    {**QC, "xnat:qcAssessmentData/scans/scan[x]/pass": "1"},
    {**QC, "xnat:qcAssessmentData/" + "/".join("a" * 40): "1"},
    {**QC, **{f"xnat:qcAssessmentData/f{n}": "1" for n in range(201)}},
    {**QC, "label": "a b"},
    {**QC, "label": "XNAT_E00077"},
)


def test_what_is_no_assessor_makes_none(client: httpx.Client, subtests: pytest.Subtests) -> None:
    for asked in NO_ASSESSORS:
        with subtests.test(str(asked)[:80]):
            done(client.put(f"{ASSESSORS}/QC1", params=asked), 400)
    assert rows(client.get(ASSESSORS)) == []


def test_what_is_no_document_makes_none(client: httpx.Client, subtests: pytest.Subtests) -> None:
    deep = "<a>" * 60 + "</a>" * 60
    for name, document in {
        "no XML": "<xnat:QCAssessment",
        "entity": '<!DOCTYPE a [<!ENTITY e "x">]><QCAssessment><note>&e;</note></QCAssessment>',
        "deep": f"<QCAssessment>{deep}</QCAssessment>",
        "large": f"<QCAssessment>{'<a>1</a>' * 80_000}</QCAssessment>",
        "unknown root": "<fs:Other xmlns:fs='http://nrg.wustl.edu/fs'/>",
        "session": "<MRSession/>",
        "date": "<QCAssessment><date>1.1.2020</date></QCAssessment>",
        "namespace with a blank": "<q:FooData xmlns:q='urn:a b'/>",
        "namespace of a blank": "<q:FooData xmlns:q=' '/>",
        "namespace with a line break": "<q:FooData xmlns:q='urn:a&#10;b'/>",
        "namespace with a control character": "<q:FooData xmlns:q='urn:a&#133;b'/>",
        "namespace with braces": "<q:FooData xmlns:q='urn:{a}b'/>",
        "namespace of an element": "<QCAssessment><q:a xmlns:q='urn:}b'>x</q:a></QCAssessment>",
        "namespace of an attribute": "<QCAssessment><a xmlns:q='urn:&lt;b' q:c='1'>x</a></QCAssessment>",
        "type": f"<QCAssessment xmlns:xsi='{XSI}' xsi:type='fs:fs Data'/>",
        "type of an element": f"<QCAssessment xmlns:xsi='{XSI}'><a xsi:type='fs:&#10;fs'>x</a></QCAssessment>",
    }.items():
        with subtests.test(name):
            assert put_xml(client, f"{ASSESSORS}/QC1", document, 400)
    assert rows(client.get(ASSESSORS)) == []


@pytest.mark.postgresql
def test_a_label_is_one_experiments_alone(client: httpx.Client, subtests: pytest.Subtests) -> None:
    experiment(client, "E2")
    done(client.put(f"{ASSESSORS}/QC1", params=QC), 201)
    second = "/data/projects/P/experiments/E2"
    with subtests.test("another session's assessor"):
        assert "qc1" in done(client.put(f"{second}/assessors/qc1", params=QC), 409)
    with subtests.test("a session"):
        done(client.put(f"{ASSESSORS}/E2", params=QC), 409)
        done(client.put(f"{ASSESSORS}/QC1", params={"label": "e2"}), 409)
        done(client.put(second, params={"label": "QC1"}), 409)
        # at this address the label is the assessor's, which has a type of its own
        done(client.put("/data/projects/P/subjects/S1/experiments/QC1", params={"xsiType": "xnat:mrSessionData"}), 400)
        done(client.post("/data/projects/P/experiments", params={"label": "QC1", "subject_ID": "S1",
                         "xsiType": "xnat:mrSessionData"}), 409)  # fmt: skip
    with subtests.test("the same one"):
        assert done(client.put(f"{ASSESSORS}/QC1", params=QC)) == "XNAT_E00003"
        done(client.post(ASSESSORS, params={**QC, "label": "QC1"}), 409)
    with subtests.test("renamed"):
        done(client.put(f"{ASSESSORS}/QC1", params={"label": "qc1"}))
        done(client.put(f"{ASSESSORS}/QC1", params={"label": "QC2"}))
        assert [one["label"] for one in rows(client.get(ASSESSORS))] == ["QC2"]
        done(client.put(f"{second}/assessors/QC1", params=QC), 201)
    with subtests.test("posted"):
        answer = client.post(ASSESSORS, params={**QC, "label": "QC3"})
        assert answer.headers["location"] == answer.text == f"{ASSESSORS}/XNAT_E00005"
        assert client.get(answer.text).status_code == 200
        done(client.post(ASSESSORS, params=QC), 400)


@pytest.mark.postgresql
def test_a_label_is_known_as_taken_before_an_upload(web: tuple[Web, httpx.Client]) -> None:
    one, client = web
    done(client.put(f"{ASSESSORS}/QC1", params=QC), 201)
    one.account("stranger", admin=False)
    sessions = [{"project": "p", "label": label, "study_uid": "1.2.3"} for label in ("qc1", "QC2", "e1")]
    taken = {"label": "QC1", "subject": "S1", "place": "archive", "state": "ready", "study_uid": None, "project": "P"}
    for person, label in (("admin", {**taken, "assessor": True}), ("stranger", None)):
        with one.client(person) as asking:
            known = asking.post("/api/v1/sessions/known", json={"sessions": sessions}).json()["items"]
            assert known[:2] == [{"label": label, "study": None}, {"label": None, "study": None}]
            assert known[2]["label"] == (None if label is None else {**taken, "label": "E1"})
    trash(client, "XNAT_E00001")
    known = client.post("/api/v1/sessions/known", json={"sessions": sessions}).json()["items"]
    assert [item["label"] for item in known] == [None] * 3


@pytest.mark.postgresql
def test_many_at_once_get_one_label(web: tuple[Web, httpx.Client]) -> None:
    one, client = web
    experiment(client, "E2")

    def make(n: int) -> int:
        with one.client() as own:
            return own.put(f"/data/projects/P/experiments/E{1 + n % 2}/assessors/QC1", params=QC).status_code

    with ThreadPoolExecutor(6) as pool:
        answers = sorted(pool.map(make, range(6)))
    assert (answers.count(201), set(answers) - {200, 201, 409}) == (1, set())
    assert len(rows(client.get("/data/experiments", params=QC))) == 1


@pytest.mark.postgresql
def test_it_goes_where_its_session_goes(web: tuple[Web, httpx.Client], subtests: pytest.Subtests) -> None:
    one, client = web
    put_xml(client, f"{ASSESSORS}/QC1", MANUAL, 201)
    with subtests.test("documents of session and subject"):
        for where in (SESSION, "/data/projects/P/subjects/S1"):
            root = as_xml(client, where)
            (shown,) = root.iter(f"{XNAT}assessor")
            assert (shown.get(XSI_TYPE), shown.get("ID")) == ("xnat:qcManualAssessorData", "XNAT_E00002")
            assert told(shown) == told(ET.fromstring(MANUAL))
        (item,) = client.get(f"{SESSION}?format=json").json()["items"]
        assert [one["items"][0]["data_fields"]["label"] for one in item["children"]] == ["QC1"]
    with subtests.test("another label and subject"):
        done(client.put(SESSION, params={"label": "E9"}))
        done(client.put("/data/projects/P/experiments/E9", params={"subject_ID": "S2"}))
        (row,) = rows(client.get("/data/experiments/XNAT_E00001/assessors?columns=session_label,subject_label,label"))
        assert (row["session_label"], row["subject_label"], row["label"]) == ("E9", "S2", "QC1")
        assert (
            rows(
                client.get("/data/projects/P/subjects/S1/experiments", params={"xsiType": "xnat:qcManualAssessorData"})
            )
            == []
        )
        assert len(rows(client.get("/data/projects/P/subjects/S2/experiments?xsiType=xnat:imageAssessorData"))) == 1
    with subtests.test("the trash"):
        uuid = trash(client, "XNAT_E00001")
        assert client.get("/data/experiments/XNAT_E00002").status_code == 404
        assert rows(client.get("/data/experiments?xsiType=xnat:imageAssessorData")) == []
        experiment(client, "OTHER")
        done(client.put("/data/projects/P/experiments/OTHER/assessors/QC1", params=QC), 201)
        refused = client.post(f"/api/v1/trash/{uuid}/restore")
        assert (refused.status_code, refused.json()["code"]) == (409, "label_taken")
        assert "QC1" in refused.text
        done(client.delete("/data/projects/P/experiments/OTHER/assessors/QC1"))
        assert client.post(f"/api/v1/trash/{uuid}/restore").status_code == 200
        assert fields(client.get("/data/experiments/XNAT_E00002?format=json"))["rater"] == "The <Radiologist>"
    with subtests.test("a project that is deleted"):
        done(client.delete("/data/projects/P"))
        done(client.put("/data/projects/P"))
        assert rows(client.get("/data/experiments?xsiType=xnat:imageAssessorData")) == []
        assert client.post(f"/api/v1/trash/{uuid}/restore").status_code == 200
        (row,) = rows(client.get("/data/experiments?xsiType=xnat:imageAssessorData&columns=label,session_label"))
        assert (row["label"], row["session_label"]) == ("QC1", "E9")
    with subtests.test("for good"):
        assert client.delete(f"/api/v1/sessions/{uuid}").status_code == 200
        empty_trash(one.site.catalog, one.site.store, 0)
        with one.site.catalog.read() as connection:
            assert connection.execute(select(assessor.c.id)).all() == []


def trash(client: httpx.Client, number: str) -> str:
    """Delete a session; its UUID."""
    done(client.delete(f"/data/experiments/{number}"))
    found: str = client.get("/api/v1/trash").json()["items"][0]["id"]
    return found


def test_changes_are_in_the_audit(web: tuple[Web, httpx.Client]) -> None:
    one, client = web
    with one.site.catalog.read() as connection:
        before = len(connection.execute(select(audit.c.id)).all())
    put_xml(client, f"{ASSESSORS}/QC1", MANUAL, 201)
    put_xml(client, f"{ASSESSORS}/QC1", MANUAL)
    kind = "xnat:qcManualAssessorData"
    second = {f"{kind}/scans/scan[imageScan_ID=5]/pass": "1", f"{kind}/comments": "NULL", f"{kind}/rater": "Other"}
    done(client.put(f"{ASSESSORS}/QC1", params=second))
    done(client.put(f"{ASSESSORS}/QC1", params={"label": "QC2", "note": "x"}))
    put_xml(client, f"{ASSESSORS}/QC2", "<QCManualAssessment><rater>Other</rater></QCManualAssessment>")
    many = {f"{kind}/f{n:02}": "1" for n in range(60)}
    done(client.put(f"{ASSESSORS}/QC2", params=many))
    done(client.delete(f"{ASSESSORS}/QC2"))
    with one.site.catalog.read() as connection:
        lines = connection.execute(select(audit).order_by(audit.c.id).offset(before)).mappings().all()
    assert {(line["action"], line["kind"]) for line in lines} == {("edit", "session")}
    details = [json.loads(line["details"]) for line in lines]
    assert all(line.pop("type") == kind for line in details)
    scans = ["scans/scan/imageScan_ID", "scans/scan/pass"]
    assert details[:3] == [
        {"assessor": "QC1", "made": True, "fields": ["comments", "date", "rater", *scans]},
        {"assessor": "QC1", "fields": ["comments", "rater", "scans/scan/pass"]},
        {"assessor": "QC2", "fields": ["label", "note"]},
    ]
    assert details[3:] == [
        {"assessor": "QC2", "fields": ["document"]},  # which says the same in another order
        {"assessor": "QC2", "fields": [f"f{n:02}" for n in range(50)], "more_fields": 10},
        {"assessor": "QC2", "deleted": True},
    ]


@pytest.mark.postgresql
def test_who_may_what_by_the_id_of_an_assessor(web: tuple[Web, httpx.Client], subtests: pytest.Subtests) -> None:
    one, client = web
    made = done(client.put(f"{ASSESSORS}/QC1", params=QC), 201)
    for name in ("stranger", "collaborator", "member", "owner"):
        roles: dict[str, str] = {} if name == "stranger" else {"P": name}
        one.account(name, admin=False, **roles)
    addresses = (f"/data/experiments/{made}", "/data/projects/P/experiments/QC1", f"{ASSESSORS}/QC1")
    expected = {None: (401, 401, 401), "stranger": (404, 404, 404), "collaborator": (200, 403, 403),
                "member": (200, 200, 403), "owner": (200, 200, 200)}  # fmt: skip
    for person, (read, write, remove) in expected.items():
        with one.client(person) as asking:
            for where in addresses:
                with subtests.test(f"{person} {where}"):
                    assert asking.get(where).status_code == read
                    # By a label it might be a session to be made, too: whether it is there is not told by this answer.
                    makes = 400 if (person, where) == ("stranger", addresses[1]) else write
                    assert asking.put(where, params={"note": str(person)}).status_code == makes
                    assert asking.put(f"{where}/resources/R/files/x", content=b"x").status_code in (400, 401, 403, 404)
                    seen = rows(asking.get("/data/experiments?xsiType=xnat:imageAssessorData"))
                    assert [row["ID"] for row in seen] == ([made] if read == 200 else [])
                    if remove != 200:
                        assert asking.delete(where).status_code == remove
    client.put("/data/projects/P/accessibility/public")
    with one.client(None) as guest:
        assert [guest.get(where).status_code for where in addresses] == [200, 200, 200]
        assert guest.put(addresses[0], params={"note": "guest"}).status_code == 401
        assert fields(guest.get(f"{addresses[0]}?format=json"))["note"] == "owner"
    with one.client("owner") as owner:
        assert owner.delete(addresses[0]).status_code == 200


def test_an_assessor_keeps_no_files(client: httpx.Client) -> None:
    done(client.put(f"{ASSESSORS}/QC1", params=QC), 201)
    for below in ("resources", "files", "out/resources", "out/files", "in/files", "resources/R/files"):
        assert rows(client.get(f"{ASSESSORS}/QC1/{below}")) == []
    for below in ("resources/R", "out/resources/R/files/1.dcm", "files/1.dcm"):
        for send in (client.put, client.post):
            told_so = done(send(f"{ASSESSORS}/QC1/{below}", content=b"x"), 400)
            assert "/data/experiments/XNAT_E00001/resources/{name}/files" in told_so
        done(client.delete(f"{ASSESSORS}/QC1/{below}"), 404)
        done(client.get(f"{ASSESSORS}/QC1/{below}"), 404)
    done(client.get(f"{ASSESSORS}/QC9/files"), 404)


def test_many_large_ones_come_without_their_documents(client: httpx.Client) -> None:
    comment = "<xnat:comments>fine</xnat:comments>"
    large = MANUAL.replace(comment, comment.replace("fine", "x" * 60_000) * 15)
    for n in range(5):
        put_xml(client, f"{ASSESSORS}/QC{n}", large, 201)
    shown = list(as_xml(client, SESSION).iter(f"{XNAT}assessor"))
    assert [one.get("label") for one in shown] == [f"QC{n}" for n in range(5)]
    assert all(told(one) == [] for one in shown)
    assert len(as_xml(client, f"{ASSESSORS}/QC0").findall(f"{XNAT}comments")) == 15


def test_no_text_is_longer_than_clients_read(client: httpx.Client) -> None:
    put_xml(client, f"{ASSESSORS}/QC1", MANUAL.replace("fine", "x" * 65_536), 201)
    answer = client.get(ASSESSORS, params={"columns": "xnat:qcManualAssessorData/comments", "format": "csv"})
    assert [len(row["xnat:qcManualAssessorData/comments"]) for row in csv.DictReader(io.StringIO(answer.text))] == [
        65_536
    ]
    for long in (
        MANUAL.replace("fine", "x" * 65_537),
        MANUAL.replace("fine", "é" * 32_769),
        MANUAL.replace("<xnat:comments>", f'<xnat:comments by="{"x" * 65_537}">'),
    ):
        refused = put_xml(client, f"{ASSESSORS}/QC1", long, 400)
        assert "65,536" in refused
        assert "comments has" in refused or "by has" in refused


def test_no_session_gets_the_label_of_an_assessor(site: DataFolder) -> None:
    site.bring(uploader_layout("E1", "1", images(1)), project="W", session="E1")
    where = "/data/projects/W/experiments"
    with serve_data_folder(site) as (_, client):
        done(client.put(f"{where}/E1/assessors/QC1", params=QC), 201)
        derived = site.bring({"1.dcm": images(1, study=2, patient_id=b"QC1")[0]}, project="W").session
        assert derived["label"].startswith("QC1_")
        assert derived["uri"].startswith("/data/archive/")
        held = site.bring(uploader_layout("x", "1", images(1, study=3)), project="W", session="qc1").session
        assert held["uri"].startswith("/data/prearchive/")
        waiting = site.bring(
            uploader_layout("x", "1", images(1, study=4)), project="W", session="Other", destination="prearchive"
        ).session["uri"]
        for src in (held["uri"].removeprefix("/data"), waiting.removeprefix("/data")):
            asked = {"src": src, "dest": "/archive/projects/W/subjects/X/experiments/QC1"}
            assert client.post("/data/services/archive", params=asked).status_code == 409
        (number,) = (one["id"] for one in client.get("/api/v1/prearchive").json()["items"] if one["label"] == "Other")
        for label, told_so in (("qc1", ["label_taken"]), ("Free", [])):
            address = f"/api/v1/prearchive/{number}/move"
            moved = client.post(address, params={"dry_run": "true"}, json={"label": label})
            assert [one["code"] for one in moved.json()["warnings"]] == told_so, moved.text
        assert client.get(f"{where}/QC1?format=json").json()["items"][0]["meta"]["xsi:type"] == "xnat:qcAssessmentData"
        assert client.delete(f"{where}/E1").status_code == 200
        (trashed,) = client.get("/api/v1/trash").json()["items"]
        refused = client.post(f"/api/v1/trash/{trashed['id']}/restore", json={"label": "qc1"})
        assert (refused.status_code, refused.json()["code"]) == (409, "label_taken")
        assert client.post(f"/api/v1/trash/{trashed['id']}/restore").status_code == 200
        assert client.get(f"{where}/QC1").status_code == 200
