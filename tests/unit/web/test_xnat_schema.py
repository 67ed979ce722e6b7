"""Our schema describes what our documents of scans say of how they were made."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from scandock.web.xnat.responses import Item, item_to_xml
from scandock.web.xnat.schema import xnat_xsd
from scandock.web.xnat.services.experiments import SCAN_ATTRIBUTES

NS = {"xnat": "http://nrg.wustl.edu/xnat", "xs": "http://www.w3.org/2001/XMLSchema"}
VALUES = {"xs:float": "1.5", "xs:integer": "2", "xs:string": "text"}


def local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def check(element: ET.Element, described: ET.Element) -> None:
    """An element has what its description has, and its parts are in that order."""
    assert local(element) == described.attrib["name"]
    inner = described.find("xs:complexType", NS)
    if inner is None:
        assert not list(element)
        assert not element.attrib
        assert (element.text or "") == VALUES[described.attrib["type"]], local(element)
        return
    attributes = {one.attrib["name"] for one in inner.iter(f"{{{NS['xs']}}}attribute")}
    parts = inner.findall("xs:sequence/xs:element", NS)
    names = [one.attrib["name"] for one in parts]
    if not parts:
        assert set(element.attrib) <= attributes, local(element)
    places = [names.index(local(one)) for one in element]
    assert places == sorted(places)
    for one in element:
        check(one, parts[names.index(local(one))])


def test_a_type_is_described_once_and_every_type_that_is_named_is_described() -> None:
    schema = ET.fromstring(xnat_xsd())
    names = [one.attrib["name"] for one in schema.findall("xs:complexType", NS)]
    assert len(names) == len(set(names))
    every = {one.get("type", one.get("base", "")) for one in schema.iter()}
    assert {one.removeprefix("xnat:") for one in every if one.startswith("xnat:")} <= set(names)


def test_a_project_has_the_elements_of_the_original_in_their_order() -> None:
    """pyxnat lists them (`project.attrs()`); those that have no place here are never there."""
    schema = ET.fromstring(xnat_xsd())
    found = schema.iterfind("xs:complexType[@name='projectData']/xs:sequence/xs:element", NS)
    assert [one.attrib["name"] for one in found] == [
        "name", "type", "description", "keywords", "aliases", "publications", "resources", "studyProtocol", "PI",
        "investigators", "fields",
    ]  # fmt: skip


def test_every_parameter_of_a_scan_is_in_the_schema_and_in_its_order() -> None:
    schema = ET.fromstring(xnat_xsd())
    base = schema.find("xs:complexType[@name='imageScanData']", NS)
    assert base is not None
    (described,) = base.iterfind(".//xs:element[@name='parameters']", NS)
    typed = {
        **{
            one.attrib["name"]: one.attrib["type"]
            for one in described.iter(f"{{{NS['xs']}}}element")
            if "type" in one.attrib
        },
    }
    assert (typed["tr"], typed["acquisitionNumber"], typed["sequence"]) == ("xs:float", "xs:integer", "xs:string")
    paths = [name for name in SCAN_ATTRIBUTES if name.startswith("parameters/")]
    paths += ["parameters/format", "parameters/frames/1/starttime", "parameters/frames/1/length"]
    paths += ["parameters/frames/2/units", "parameters/addParam/b", "parameters/addParam/a"]
    fields = {path: VALUES[typed.get(path.rpartition("/")[2], "xs:string")] for path in reversed(paths)}
    root = ET.fromstring(item_to_xml(Item("xnat:mrScanData", fields)))
    (parameters,) = root.findall("xnat:parameters", NS)
    assert len(list(parameters)) == len({path.split("/")[1] for path in paths}) + 1
    check(parameters, described)
    added = parameters.findall("xnat:addParam", NS)
    assert [(one.attrib, one.text) for one in added] == [({"name": "a"}, "text"), ({"name": "b"}, "text")]
    names = [one.attrib["name"] for one in described.iterfind("xs:complexType/xs:sequence/xs:element", NS)]
    assert len(names) == len(set(names))
