"""The search that each type has of itself: all its fields, of all that there is or of one project.

As XNAT's pages begin, and scripts: they fetch the document, add criteria, and send it back.
"""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

from scandock.web.xnat.services.search_fields import FIELDS, Kind, kind_of, type_of

XDAT: Final = "http://nrg.wustl.edu/security"


def default_search(element: str, project: str | None = None) -> bytes | None:
    """The document of a type's default search, `xdat:bundle`; None for a type that can't be searched."""
    kind = kind_of(element)
    if kind is None:
        return None
    ET.register_namespace("xdat", XDAT)
    name = f"{project}_{element}" if project is not None else f"@{element}"
    said = {"ID": name, "allow-diff-columns": "0", "secure": "0", "brief-description": element}
    root = ET.Element(f"{{{XDAT}}}bundle", said if project is None else {**said, "tag": project})
    _add(root, "root_element_name", element)
    for number, (field, named) in enumerate(FIELDS[kind].items()):
        column = ET.SubElement(root, f"{{{XDAT}}}search_field")
        _add(column, "element_name", element)
        _add(column, "field_ID", field)
        _add(column, "sequence", str(number))
        _add(column, "type", type_of(kind, field).value)
        _add(column, "header", named.words)
    if project is not None:
        where = ET.SubElement(ET.SubElement(root, f"{{{XDAT}}}search_where", method="AND"), f"{{{XDAT}}}child_set")
        where.set("method", "OR")
        fields = ("ID",) if kind is Kind.PROJECT else ("sharing/share/project", "PROJECT")
        for field in fields:
            criterion = ET.SubElement(where, f"{{{XDAT}}}criteria", override_value_formatting="0")
            _add(criterion, "schema_field", f"{element}/{field}")
            _add(criterion, "comparison_type", "=")
            _add(criterion, "value", project)
    document: bytes = ET.tostring(root, encoding="utf-8")  # which writes no declaration of its own
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + document


def _add(element: ET.Element, name: str, text: str) -> None:
    ET.SubElement(element, f"{{{XDAT}}}{name}").text = text
