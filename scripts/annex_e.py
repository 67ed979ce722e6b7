"""Write `annex_e.json`: what PS3.15 Annex E does with each attribute and each content item of a structured report.

From the standard's own text, DocBook as NEMA publishes it (part15.xml): tables E.1-1, E.3.4-1 and
E.3.10-1. The edition is what the text says. `python -m scripts.annex_e PART15.XML`; with `--check`, only compare.

The text of edition 2026c that was read has the SHA-256
77d60b856faf4223ab40a398c53130fc0ee9490d0d811ee3536e6d25c02ac717.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import parse

FILE: Final = Path(__file__).parent.parent / "src" / "scandock" / "deidentification" / "profile" / "annex_e.json"
OPTIONS: Final = {
    "Rtn. Safe Priv. Opt.": "safe-private",
    "Rtn. UIDs Opt.": "retain-uids",
    "Rtn. Dev. Id. Opt.": "retain-device",
    "Rtn. Inst. Id. Opt.": "retain-institution",
    "Rtn. Pat. Chars. Opt.": "retain-patient",
    "Rtn. Long. Full Dates Opt.": "retain-full-dates",
    "Rtn. Long. Modif. Dates Opt.": "modified-dates",
    "Clean Desc. Opt.": "clean-descriptors",
    "Clean Struct. Cont. Opt.": "clean-structured",
    "Clean Graph. Opt.": "clean-graphics",
}
"""Columns of the tables, and the option that each is of, as the command line names it."""
_ACTIONS: Final = {"D", "Z", "X", "U", "Z/D", "X/Z", "X/D", "X/Z/D", "X/Z/U*"}
_BOOK: Final = "{http://docbook.org/ns/docbook}"
_TAG: Final = re.compile(r"\(([0-9A-F]{2}(?:[0-9A-F]{2}|xx)),([0-9A-F]{4}|xxxx)\)")
_PRIVATE_TAG: Final = re.compile(r"\(([0-9A-F]{4}),XX([0-9A-F]{2})\)")
_PRIVATE: Final = "(gggg,eeee) where gggg is odd"


def file_text(part15: Path) -> str:
    """The file: a row a line, of tables E.1-1 (tag, name, basic profile, options), E.3.4-1 and E.3.10-1."""
    book = parse(part15).getroot()
    attributes = sorted(_attributes(_rows(book, "E.1-1")))
    items = sorted(_content_items(_rows(book, "E.3.4-1")))
    private = sorted(_safe_private(_rows(book, "E.3.10-1")))
    return (
        f'{{"edition": {json.dumps(_edition(book))},\n "attributes": [\n'
        + ",\n".join(json.dumps(row, ensure_ascii=False) for row in attributes)
        + '\n],\n "content_items": [\n'
        + ",\n".join(json.dumps(row, ensure_ascii=False) for row in items)
        + '\n],\n "safe_private": [\n'
        + ",\n".join(json.dumps(row, ensure_ascii=False) for row in private)
        + "\n]}\n"
    )


def _edition(book: Element) -> str:
    subtitle = _text(book.find(f"{_BOOK}subtitle"))
    edition = re.match(r"DICOM PS3\.15 (\d{4}[a-z]) ", subtitle)
    if edition is None:
        raise ValueError(f"this is no PS3.15 with an edition: {subtitle}")
    return edition[1]


def _attributes(rows: Iterator[dict[str, str]]) -> Iterator[tuple[str, str, str, dict[str, str]]]:
    for row in rows:
        tag = _TAG.fullmatch(row["Tag"])
        if tag is None and row["Tag"] != _PRIVATE:
            raise ValueError(f"no tag: {row['Tag']}")
        number = "odd" if tag is None else (tag[1] + tag[2])
        yield number, row["Attribute Name"], _basic(row), _options(row)


def _content_items(rows: Iterator[dict[str, str]]) -> Iterator[tuple[str, str, str, str, str, dict[str, str]]]:
    for row in rows:
        code, scheme = row["Code Value"], row["Coding Scheme Designator"]
        yield code, scheme, row["Value Type"], row["Code Meaning"], _basic(row), _options(row)


def _safe_private(rows: Iterator[dict[str, str]]) -> Iterator[tuple[str, str, str, str]]:
    """Creator, tag with `xx` for the block, VR ("" where none is given), and meaning."""
    for row in rows:
        tag = _PRIVATE_TAG.fullmatch(row["Data Element"].upper())
        if tag is None or not int(tag[1], 16) & 1 or not row["Private Creator"]:
            raise ValueError(f"no private tag: {row}")
        yield row["Private Creator"], f"{tag[1]}xx{tag[2]}", row["VR"][-2:], row["Meaning"]


def _basic(row: dict[str, str]) -> str:
    if row["Basic Prof."] not in _ACTIONS:
        raise ValueError(f"no action of the basic profile: {row}")
    return row["Basic Prof."]


def _options(row: dict[str, str]) -> dict[str, str]:
    letters = {option: row[column] for column, option in OPTIONS.items() if row.get(column)}
    if not set(letters.values()) <= {"K", "C"}:
        raise ValueError(f"no letter of an option: {row}")
    return letters


def _rows(book: Element, label: str) -> Iterator[dict[str, str]]:
    table = next(table for table in book.iter(f"{_BOOK}table") if table.get("label") == label)
    head, body = table.find(f"{_BOOK}thead"), table.find(f"{_BOOK}tbody")
    if head is None or body is None:
        raise ValueError(f"table {label} has no head or no body")
    columns = [_text(cell) for cell in head.iter(f"{_BOOK}th")]
    for row in body:
        cells = [_text(cell) for cell in row]
        yield dict(zip(columns, cells, strict=True))


def _text(element: Element | None) -> str:
    return "" if element is None else re.sub(r"[\s\u200b]+", " ", "".join(element.itertext())).strip()


def main(arguments: list[str]) -> int:
    paths = [Path(argument) for argument in arguments if argument != "--check"]
    text = file_text(paths[0])
    if "--check" in arguments:
        return int(text != FILE.read_text(encoding="utf-8"))
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
