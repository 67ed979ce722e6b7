"""The site's routing rules, read with nothing but the standard library: readers need their elements at once."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing


def rule_texts(data: str, database_url: str | None) -> dict[str, str] | None:
    """The rules by kind from DATA's own catalog, {} where it is not made yet.

    None where the catalog is another database, or can't be read this moment: then it has to be opened first.
    """
    if database_url is not None:
        return None
    path = os.path.join(data, "scandock.db")
    if not os.path.exists(path):
        return {}
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)) as connection:
            return dict(connection.execute("SELECT kind, text FROM routing_rules"))
    except sqlite3.Error:
        return None
