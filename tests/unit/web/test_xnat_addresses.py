"""The dialect's addresses, schema and columns by themselves: one tree, all types defined, paths that are read."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from scandock.model import xnat_ids
from scandock.rules.field_types import FieldType
from scandock.rules.session_types import session_type
from scandock.rules.sop_classes import TYPE_OF_CLASS, scan_type
from scandock.web.urls import canonical, is_xnat
from scandock.web.xnat.schema import root_element, schemas_with, xdat_xsd, xnat_xsd
from scandock.web.xnat.services import prearchive_sessions, projects, subjects
from scandock.web.xnat.services.columns import format_moment, type_of_column
from scandock.web.xnat.services.experiments import LISTING

XS = "{http://www.w3.org/2001/XMLSchema}"


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        ("/REST/projects", "/data/projects"),
        ("/REST/archive/projects/P", "/data/projects/P"),
        ("/data/archive/experiments/XNAT_E00001/scans", "/data/experiments/XNAT_E00001/scans"),
        ("/data/archive/subjects", "/data/subjects"),
        ("/data/archive", "/data/archive"),
        ("/data/archive/search/elements", "/data/search/elements"),
        ("/REST/search", "/data/search"),
        ("/data/archive/other", "/data/archive/other"),
        ("/data/services/archive", "/data/services/archive"),
        ("/data/projects/REST/subjects", "/data/projects/REST/subjects"),
        ("/data/projects/P/experiments/data/archive/projects", "/data/projects/P/experiments/data/archive/projects"),
        ("/xapi/plugins/", "/xapi/plugins"),
        ("/projects/P/", "/projects/P/"),
        ("/database", "/database"),
    ],
)
def test_the_trees_are_one(asked, known):
    assert canonical(asked) == known


def test_only_the_dialects_own_addresses_are_its_own():
    assert all(is_xnat(path) for path in ("/data", "/data/projects", "/REST/projects", "/xapi/schemas"))
    assert not any(is_xnat(path) for path in ("/", "/database", "/api/v1/projects", "/RESTful"))


def test_every_type_that_is_ever_given_is_defined_and_has_a_root():
    document = ET.fromstring(xnat_xsd())
    types = {one.get("name"): one for one in document.findall(f"{XS}complexType")}
    roots = {one.get("type"): one.get("name") for one in document.findall(f"{XS}element")}
    for extension in document.iter(f"{XS}extension"):
        base = str(extension.get("base"))
        assert base.startswith("xs:") or base.removeprefix("xnat:") in types, base
    given = {scan_type([sop]) for sop in TYPE_OF_CLASS} | {scan_type(["1.2.3"])}
    given |= {session_type([scan_type([sop])], []) for sop in TYPE_OF_CLASS}
    given |= {session_type([], [modality]) for modality in ("MR", "PT", "CT", "US", "XC", "??")}
    given |= {session_type(["xnat:mrScanData", "xnat:petScanData"], []), "xnat:subjectData", "xnat:projectData"}
    for kind in given:
        assert kind.removeprefix("xnat:") in types, kind
        assert roots[kind] == root_element(kind)


def test_the_schemas_first_tag_is_what_clients_look_for():
    for made, prefix in ((xnat_xsd(), "xnat"), (xdat_xsd(), "xdat")):
        first = made.splitlines()[1]
        assert first.startswith("<xs:schema ")
        assert f"xmlns:{prefix}=" in first
        assert "xmlns:xs=" in first
        assert "targetNamespace=" in first
        assert "attributeGroup" not in made


def test_the_types_of_assessors_have_a_schema_for_each_namespace():
    made = schemas_with(["fs:fsData", "fs:aparcRegionAnalysis", "proc:genProcData", "xnat:qcOtherData", "xnat_a:aData"])
    assert list(made) == ["fs", "proc", "xdat", "xnat", "xnat_a"]
    for prefix, names in {
        "fs": ["fsData", "aparcRegionAnalysis"],
        "proc": ["genProcData"],
        "xnat_a": ["aData"],
    }.items():
        document = ET.fromstring(made[prefix])
        assert [one.get("name") for one in document.findall(f"{XS}complexType")] == names
        assert {one.get("base") for one in document.iter(f"{XS}extension")} == {"xnat:imageAssessorData"}
        assert document.get("targetNamespace") == {"xnat_a": "http://nrg.wustl.edu/xnat_assessments"}.get(
            prefix, f"http://nrg.wustl.edu/{prefix}"
        )
        first = made[prefix].splitlines()[1]
        assert all(f'xmlns:{one}="' in first for one in (prefix, "xnat", "xs"))
    assert {one.get("type"): one.get("name") for one in ET.fromstring(made["fs"]).findall(f"{XS}element")} == {
        "fs:fsData": "Freesurfer", "fs:aparcRegionAnalysis": "AparcRegionAnalysis",
    }  # fmt: skip
    more = {one.get("name") for one in ET.fromstring(made["xnat"]).findall(f"{XS}complexType")}
    assert more == {one.get("name") for one in ET.fromstring(xnat_xsd()).findall(f"{XS}complexType")} | {"qcOtherData"}
    assert schemas_with([]) == schemas_with(["xnat:mrAssessorData"]) == {"xdat": xdat_xsd(), "xnat": xnat_xsd()}


@pytest.mark.parametrize(
    "kind",
    # of prefixes that stand for another namespace, or that no client reads; and what its classes can't be called
    ["xs:aData", "xsi:aData", "xnatpy:aData", "security:aData", "xnat_assessments:aData", "a-b:cData", "a_:bData",
     "a__b:cData", "a:b_", "a:_b", "a:b.", 'a:b"/>', "a:b<c", "a:b\nData", "a:é", "a", "a:b:c",
     "xnat:project_data", "xnat:project_Data", "project:data", "xnat:none", "xnat:true", "file:data", "image:scanData",
     "xnat:fileData", "xnat:Path", "XNATBase:object", "XnatpyImage:scan"],
)  # fmt: skip
def test_no_name_of_a_type_breaks_what_clients_make_of_the_schemas(kind):
    assert schemas_with([kind, "fs:fsData"]) == schemas_with(["fs:fsData"])


def test_one_name_of_a_class_or_a_root_is_one_types():
    made = ET.fromstring(schemas_with(["fs:fsData", "fs:FsData", "fs:fs_data", "a:one", "a:oneData"])["fs"])
    assert [one.get("name") for one in made.findall(f"{XS}complexType")] == ["fsData"]
    made = ET.fromstring(schemas_with(["a:one", "a:oneData", "xnat:Subject"])["a"])
    assert [one.get("name") for one in made.findall(f"{XS}complexType")] == ["one", "oneData"]
    assert [one.get("name") for one in made.findall(f"{XS}element")] == ["One"]


@pytest.mark.parametrize(
    ("kind", "element"),
    [
        ("xnat:mrSessionData", "MRSession"),
        ("xnat:petmrSessionData", "PETMRSession"),
        ("xnat:otherDicomSessionData", "OtherDicomSession"),
        ("xnat:ctScanData", "CTScan"),
        ("xnat:subjectData", "Subject"),
    ],
)
def test_documents_have_xnats_elements(kind, element):
    assert root_element(kind) == element


def test_ids_are_read_as_they_are_written():
    assert xnat_ids.experiment_id(7) == "XNAT_E00007"
    assert xnat_ids.experiment_number("XNAT_E00007") == 7
    assert xnat_ids.experiment_number("XNAT_E1234567") == 1234567
    assert xnat_ids.subject_number(xnat_ids.subject_id(123456)) == 123456
    assert xnat_ids.experiment_number("XNAT_E7") is None
    assert xnat_ids.experiment_number("XNAT_S00007") is None


def test_a_resources_id_is_digits_and_its_own():
    made = {
        xnat_ids.resource_id("u", None, "DICOM"),
        xnat_ids.resource_id("u", "1", "DICOM"),
        xnat_ids.resource_id("v", "1", "DICOM"),
    }
    assert len(made) == 3
    assert all(one.isdigit() for one in made)
    assert xnat_ids.resource_id("u", "1", "dicom") == xnat_ids.resource_id("u", "1", "DICOM")


def test_moments_of_every_listing_are_compared_as_moments():
    """They are numbers in the catalog: as texts no day would ever be equal to one."""
    for one in (LISTING, projects.LISTING, subjects.LISTING, prearchive_sessions.LISTING):
        times = [column for column in one.columns.values() if column.text is format_moment]
        assert times
        assert {type_of_column(column) for column in times} == {FieldType.MOMENT}
    assert type_of_column(prearchive_sessions.LISTING.columns["scan_date"]) is FieldType.DATE


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (None, ["ID", "project", "date", "xsiType", "label", "insert_date", "URI"]),
        ("label", ["label", "ID", "URI"]),
        ("LABEL,id,uri", ["label", "ID", "URI", "LABEL", "id", "uri"]),
        (
            "ID,project,xnat:subjectAssessorData/subject_id",
            [
                "ID",
                "project",
                "subject_ID",
                "URI",
                "xnat:subjectassessordata/subject_id",
                "xnat:subjectAssessorData/subject_id",
            ],
        ),
        (
            "xnat:mrSessionData/date,nobody/knows,label",
            ["date", "nobody/knows", "label", "ID", "URI", "xnat:mrsessiondata/date", "xnat:mrSessionData/date"],
        ),
        ("DEFAULT", ["ID", "project", "date", "xsiType", "label", "insert_date", "URI"]),
        (
            "xnat:imagesessiondata/scans/scan/id",
            ["xnat:imagescandata/id", "ID", "URI", "xnat:imagesessiondata/scans/scan/id"],
        ),
        ("Nobody,nobody", ["Nobody", "nobody", "ID", "URI"]),
        (
            "xnat:mrScanData/ID,xnat:imageScanData/type",
            [
                "xnat:mrscandata/id",
                "xnat:imagescandata/type",
                "ID",
                "URI",
                "xnat:mrScanData/ID",
                "xnat:imageScanData/type",
            ],
        ),
    ],
)
def test_columns_are_found_by_any_of_their_names(asked, names):
    assert [one.name for one in LISTING.choose_columns(asked)] == names
