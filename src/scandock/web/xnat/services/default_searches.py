"""The search that each type has of itself: all its fields, of all that there is or of one project.

As XNAT's pages begin, and scripts: they fetch the document, add criteria, and send it back.
"""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

from scandock.web.xnat.services.search_fields import FIELDS, Kind, find_field_type, find_kind

XDAT: Final = "http://nrg.wustl.edu/security"


def make_default_search(element: str, project: str | None = None) -> bytes | None:
    """The document of a type's default search, `xdat:bundle`; None for a type that can't be searched."""
    kind = find_kind(element)
    if kind is None:
        return None
    ET.register_namespace("xdat", XDAT)
    name = f"{project}_{element}" if project is not None else f"@{element}"
    attributes = {"ID": name, "allow-diff-columns": "0", "secure": "0", "brief-description": element}
    root = ET.Element(f"{{{XDAT}}}bundle", attributes if project is None else {**attributes, "tag": project})
    _add_child(root, "root_element_name", element)
    for number, (field, definition) in enumerate(FIELDS[kind].items()):
        column = ET.SubElement(root, f"{{{XDAT}}}search_field")
        _add_child(column, "element_name", element)
        _add_child(column, "field_ID", field)
        _add_child(column, "sequence", str(number))
        _add_child(column, "type", find_field_type(kind, field).value)
        _add_child(column, "header", definition.words)
    if project is not None:
        child_set = ET.SubElement(ET.SubElement(root, f"{{{XDAT}}}search_where", method="AND"), f"{{{XDAT}}}child_set")
        child_set.set("method", "OR")
        fields = ("ID",) if kind is Kind.PROJECT else ("sharing/share/project", "PROJECT")
        for field in fields:
            criterion = ET.SubElement(child_set, f"{{{XDAT}}}criteria", override_value_formatting="0")
            _add_child(criterion, "schema_field", f"{element}/{field}")
            _add_child(criterion, "comparison_type", "=")
            _add_child(criterion, "value", project)
    document: bytes = ET.tostring(root, encoding="utf-8")  # which writes no declaration of its own
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + document


def _add_child(element: ET.Element, name: str, text: str) -> None:
    ET.SubElement(element, f"{{{XDAT}}}{name}").text = text
