"""Write `grammar.tables`: what lark makes of the grammar of scripts, so that readers load it and need not make it.

It is of one version of lark, which it names; with another one scripts are read by the grammar, which takes longer.
`python -m scripts.script_tables`
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from scandock.deidentification.script.parser import TABLES, build_parser, tables_header


def file_bytes() -> bytes:
    """The file: a line that says of what it is, then what lark saves."""
    saved = BytesIO()
    build_parser().save(saved)
    return tables_header() + saved.getvalue()


if __name__ == "__main__":
    Path(TABLES).write_bytes(file_bytes())
