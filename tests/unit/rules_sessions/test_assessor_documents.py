"""Documents of image assessors: types, paths, and what a request makes of what was said before."""

from __future__ import annotations

import pytest

from scandock.model.errors import Usage
from scandock.rules.assessor_documents import (
    AssessorDocument,
    Element,
    apply_said,
    assessor_type,
    new_document,
    root_of,
    said_of_assessor,
    type_of_root,
)

QC = "xnat:qcAssessmentData"


def after(*pairs: tuple[str, str], before: AssessorDocument | None = None) -> AssessorDocument:
    """A document once a query has said these."""
    said = said_of_assessor([("xsiType", QC), *pairs])
    return apply_said(before or new_document(QC), said)


def shown(document: AssessorDocument) -> list[object]:
    return [one.as_list() for one in document.root.children]


@pytest.mark.parametrize(
    "named",
    ["", "x", "xnat:mrSessionData", "XNAT:CTSCANDATA", "xnat:subjectData", "xnat:projectData", "xnat:experimentData",
     "xnat:imageAssessorData", "xnat:derivedData", "xnat:resourceCatalog", "xnat:abstractResource", "xsi:type",
     " fs:fsData", "fs:fsData ", "fs:fsData\n", "\x1ffs:fsData", "fs:fs\x00Data", "fs: fsData", "fs:fsData\u00a0", " ",
     "xml:a", "XmlX:a", "xmlns:a", "a:b c", "a:b/c", f"a:{'b' * 63}", "xnat:reconstructedImageData"],
)  # fmt: skip
def test_what_is_no_type_of_an_assessor(named: str) -> None:
    with pytest.raises(Usage) as told:
        assessor_type(named)
    assert told.value.code == "type_unknown"


@pytest.mark.parametrize(
    ("named", "root"),
    [
        ("xnat:qcAssessmentData", "xnat:QCAssessment"),
        ("fs:fsData", "fs:Freesurfer"),
        ("fs:aparcRegionAnalysis", "fs:AparcRegionAnalysis"),
        ("proc:genProcData", "proc:GenProc"),
        ("xnat_imgqc:ImgQCData", "xnat_imgqc:ImgQC"),
    ],
)
def test_a_type_is_taken_as_it_is_said_and_has_a_root(named: str, root: str) -> None:
    assert (assessor_type(named), root_of(named)) == (named, root)


def test_types_that_are_known_are_known_in_any_case() -> None:
    assert assessor_type("XNAT:qcassessmentdata") == QC
    assert type_of_root(Element("xnat:QCASSESSMENT")) == QC
    assert said_of_assessor([("xsiType", QC), ("xsiType", "")]).xsi_type == QC
    assert type_of_root(Element("x:FooData")) == "x:FooData"
    assert type_of_root(Element("x:Foo", {"xsi:type": "x:bar"})) == "x:bar"
    assert type_of_root(Element("x:Foo")) == ""


def test_paths_lead_to_elements_which_are_made() -> None:
    document = after(
        (f"{QC}/a/b", "1"),
        (f"{QC}/a/c", "2"),
        (f"{QC}/list/item[0]/x", "first"),
        (f"{QC}/list/item[1]/x", "second"),
        (f"{QC}/list/item[name=n]/x", "third"),
        (f"{QC}/list/item[@id='7']", "fourth"),
        (f"{QC}/other:z", "own"),
    )
    assert shown(document) == [
        ["xnat:a", {}, "", [["xnat:b", {}, "1", []], ["xnat:c", {}, "2", []]]],
        ["xnat:list", {}, "", [
            ["xnat:item", {}, "", [["xnat:x", {}, "first", []]]],
            ["xnat:item", {}, "", [["xnat:x", {}, "second", []]]],
            ["xnat:item", {}, "", [["xnat:name", {}, "n", []], ["xnat:x", {}, "third", []]]],
            ["xnat:item", {"id": "7"}, "fourth", []],
        ]],
        ["other:z", {}, "own", []],
    ]  # fmt: skip
    assert document.fields == {
        "a/b": "1", "a/c": "2", "list/item/x": "first", "list/item/name": "n", "list/item": "fourth",
        "list/item/id": "7", "z": "own",
    }  # fmt: skip
    again = AssessorDocument.from_json(document.as_json())
    assert again == document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("scans/scan/pass", "1"),
        ("scans/scan[0]/pass", ""),
        ("scans/scan[1]/pass", "1"),
        ("SCANS/Scan[2]/PASS", "0"),
        ("scans/scan[3]/pass", ""),
        ("scans/scan[imageScan_ID=6]/pass", "0"),
        ("scans/scan[imageScan_ID='5']/q:pass", ""),
        ("scans/scan[imageScan_ID=5]/xnat:pass", "1"),
        ("scans/scan[imageScan_ID=9]/pass", ""),
        ("scans/scan[@xsi:type=xnat:petQcScanData]/pass", "0"),
        ("scans/scan[@xsi:type=xnat:mrQcScanData][1]/imageScan_ID", "5"),
        ("parameters/addParam[name=b]/addField", "2"),
        ("parameters/addParam[@name='a']/addField", "1"),
        ("parameters/addParam[1]/name", "b"),
        ("fields/field[name=f]/field", "said"),
        ("a[0]", "x"),
        ("none[0]/such", ""),
    ],
)
def test_a_path_leads_to_the_one_that_it_names(path: str, value: str) -> None:
    document = after(
        (f"{QC}/scans/scan[@xsi:type=xnat:mrQcScanData]/imageScan_ID", "4"),
        (f"{QC}/scans/scan[1][@xsi:type=xnat:mrQcScanData]/imageScan_ID", "5"),
        (f"{QC}/scans/scan[imageScan_ID=5]/pass", "1"),
        (f"{QC}/scans/scan[0][@xsi:type=xnat:petQcScanData]/imageScan_ID", "6"),
        (f"{QC}/scans/scan[imageScan_ID=6]/pass", "0"),
        (f"{QC}/fields/field[@name=f]", "said"),
        (f"{QC}/a", "x"),
    )
    added = [Element("xnat:addParam", {"name": name}, text) for name, text in (("a", "1"), ("b", "2"))]
    document.root.children.append(Element("xnat:parameters", children=added))
    assert document.value(path) == value


def test_fields_that_differ_are_named_in_whichever_place_they_are() -> None:
    pairs = ((f"{QC}/s/scan[0]/pass", "1"), (f"{QC}/s/scan[1]/pass", "1"), (f"{QC}/a", "x"), ("visit_id", "v"))
    before = after(*pairs)
    assert before.differing_fields(after(*pairs)) == []
    changed = after((f"{QC}/s/scan[1]/pass", "0"), (f"{QC}/a", ""), (f"{QC}/New", "1"), before=before)
    assert changed.differing_fields(before) == before.differing_fields(changed) == ["New", "a", "s/scan/pass"]
    assert before.differing_fields(new_document(QC)) == ["a", "s/scan/pass", "visit_id"]


def test_what_is_taken_back_leaves_nothing_empty_around_it() -> None:
    before = after((f"{QC}/a/b/c", "1"), (f"{QC}/a/d", "2"), ("visit_id", "v1"))
    assert before.root.attributes == {"visit_id": "v1"}
    same = after((f"{QC}/a/b/c", "NULL"), (f"{QC}/no/such", ""), ("visit_id", ""), before=before)
    assert (shown(same), same.root.attributes) == ([["xnat:a", {}, "", [["xnat:d", {}, "2", []]]]], {})
    assert shown(after((f"{QC}/a/d", "NULL"), before=same)) == []


def test_a_type_that_is_said_later_is_the_elements_that_is_there() -> None:
    document = after((f"{QC}/s/scan/pass", "1"), (f"{QC}/s/scan[@xsi:type=xnat:mrQcScanData]/wrap", "x"))
    assert shown(document) == [
        ["xnat:s", {}, "", [["xnat:scan", {"xsi:type": "xnat:mrQcScanData"}, "", [
            ["xnat:pass", {}, "1", []], ["xnat:wrap", {}, "x", []],
        ]]]],
    ]  # fmt: skip


def test_words_of_another_kind_and_what_the_address_says_have_no_effect() -> None:
    assert shown(after(("event_reason", "x"), ("_", "1"), ("", "x"), (f"{QC}/ID", "y"))) == []
    assert shown(after(("xnat:experimentData/note", "1"))) == [["xnat:note", {}, "1", []]]
    assert said_of_assessor([("xnat:experimentData/note", "1"), (f"{QC}/pass", "1")]).xsi_type == QC
    assert said_of_assessor([("xsiType", QC), (f"{QC}/label", "A"), ("label", "B")]).label == "B"


@pytest.mark.parametrize(
    "key",
    ["xnat:mrSessionData/a", "fs:fsData/a", "xnat:subjectAssessorData/note", "scans/scan[0]/pass", "qcAssessmentData/a",
     "fs:fsData", f"{QC}/", QC, "a b/c", "/note", "<xnat:QCAssessment xmlns:xnat", "<?xml version", '{"xsiType"', "é"],
)  # fmt: skip
def test_fields_that_an_assessor_has_not_are_named(key: str) -> None:
    with pytest.raises(Usage) as told:
        after((f"{QC}/pass", "1"), (key, "1"))
    assert told.value.code == "value_invalid"
    assert repr(key) in told.value.message


@pytest.mark.parametrize(
    "path",
    ["a[@1x=1]/b", "a[@xmlns=1]/b", "a[@xmlns:q=urn:x]/b", "a[@q:z=1]/b", "a[@-x=1]/b", "a[1x=1]/b", "a[x:y:z=1]/b",
     "a[@xsi:type=a b]/b", "a[@xsi:type=]/b", "a[@xsi:type=a:b:c]/b", "a[xsi:type=<q>]/b", "a[@xsi:type=a\nb]/b",
     "xml:a", "xmlns:a/b", "a/1b", "a b", "a\n"],
)  # fmt: skip
def test_what_is_no_name_of_xml_is_no_path(path: str) -> None:
    with pytest.raises(Usage) as told:
        after((f"{QC}/{path}", "1"))
    assert told.value.code == "value_invalid"


def test_an_attribute_that_is_there_stays_one() -> None:
    before = AssessorDocument(Element("xnat:QCAssessment", children=[Element("prov:program", {"version": "1"}, "x")]))
    assert shown(after((f"{QC}/program/version", "2"), before=before)) == [["prov:program", {"version": "2"}, "x", []]]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("2020-01-01 01:02:03", "2020-01-01T01:02:03"),
        ("2020-01-01 01:02:03.5Z", "2020-01-01T01:02:03.5Z"),
        ("2020-01-01T01:02:03Z", "2020-01-01T01:02:03Z"),
        ("2009/04/13-18:03:16-GMT", "2009/04/13-18:03:16-GMT"),
    ],
)
def test_moments_are_written_as_xml_has_them(said: str, kept: str) -> None:
    document = after((f"{QC}/provenance/processStep/timestamp", said), (f"{QC}/comments", said))
    assert document.fields == {"provenance/processstep/timestamp": kept, "comments": said}


def test_no_long_path_is_made_of_short_names() -> None:
    deep = inner = Element("a:" + "n" * 60)
    for _ in range(9):
        inner.children = [Element("a:" + "n" * 60, {"x": "1"}, "text")]
        (inner,) = inner.children
    document = AssessorDocument(Element("a:Root", children=[deep]))
    assert max(map(len, document.fields)) <= 300
    many = AssessorDocument(Element("a:Root", children=[Element(f"a:n{n}", text="x") for n in range(5000)]))
    assert len(many.fields) == 2000
