"""What makes all tables in SQLite, beside what they are made of."""

from __future__ import annotations

from pathlib import Path

from scandock.catalog.engine import SCHEMA
from scripts.schema import schema_text


def test_the_statements_of_sqlite_are_those_of_the_tables() -> None:
    assert Path(SCHEMA).read_text(encoding="utf-8") == schema_text(), "run: python -m scripts.schema"
