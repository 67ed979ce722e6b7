"""Write `code_terms.txt`: the defined terms and enumerated values of code strings (VR CS) in PS3.3.

From the tables of the package dicom-standard 0.1.0 (edition 2020). Terms of body parts and what scanners write beside
them stand in `more_code_terms.txt`, which is kept by hand. `python -m scripts.code_terms`
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parent.parent / "src" / "scandock" / "deidentification" / "profile" / "code_terms.txt"
_TABLES: Final = ("module_to_attributes.json", "macro_to_attributes.json", "references.json")
_TERM: Final = re.compile(r"<dt[^>]*>(.*?)</dt>", re.DOTALL)
_CODE_STRING: Final = re.compile(r"[A-Z0-9_ +-]{1,16}")


def file_text() -> str:
    """The file: a term a line, sorted."""
    package = distribution("dicom-standard")
    paths = [Path(str(package.locate_file(file))) for file in package.files or () if file.name in _TABLES]
    terms = {term for path in paths for text in _texts(json.loads(path.read_bytes())) for term in _terms(text)}
    return "".join(f"{term}\n" for term in sorted(terms))


def _texts(table: list[dict[str, str]] | dict[str, str]) -> Iterator[str]:
    if isinstance(table, dict):
        yield from table.values()
    else:
        yield from (row.get("description") or "" for row in table)


def _terms(text: str) -> Iterator[str]:
    for term in _TERM.findall(text):
        plain = re.sub(r"<[^>]+>", "", term).strip()
        if _CODE_STRING.fullmatch(plain):
            yield plain


if __name__ == "__main__":
    FILE.write_text(file_text(), encoding="ascii")
