"""Image assessors in XNAT's dialect: experiments of a session, made by documents and queries, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest

from tests.builders import site_at
from tests.integration.test_xnat_making import done, experiment, fields, rows
from tests.integration.web import Web, served

pytestmark = pytest.mark.long

XNAT = "{http://nrg.wustl.edu/xnat}"
PROV = "{http://www.nbirn.net/prov}"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
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
    with served(site_at(tmp_path, monkeypatch, database_url)) as (one, client):
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
