"""What the archives of a site are read by, asked of its database before SQLAlchemy is loaded.

A command's readers begin with that; its catalog is opened beside them (`local_import.py`).
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

from scandock.catalog.texts_in_force import FILTERS_IN_FORCE, PRIVACY_IN_FORCE, ROUTING_IN_FORCE
from scandock.model.tags import TAGS
from scandock.services.privacy_source import given_to_process
from scandock.workers.archive_reader import SiteTexts
from scandock.workers.errors import RulesChanged

_SITE_RULES = "SELECT text FROM routing_rules"
_SECONDS = 2
"""For which a database is waited for; behind that the catalog is opened first, which waits in its own way."""

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/")
"""Bytes of a path that stand for themselves in a URI (RFC 3986, 3.3); pathlib takes 3 ms, which readers wait for."""

_Select = Callable[[str], list[tuple[Any, ...]]]


def read_site_texts(data: str, database_url: str | None) -> SiteTexts | None:
    """Rules and import filters of a site and of its projects; there are none where its catalog is not made yet.

    None where it can't be read this moment, or not in this way: then it has to be opened first. Where privacy is in
    force, `hash_datasets` alone is as it has to be: the rest takes keys.
    """
    if database_url is not None:
        return _ask_server(database_url)
    path = os.path.abspath(os.path.join(data, "scandock.db"))
    if not os.path.exists(path):
        return _read(lambda _: [])
    quoted = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in os.fsencode(path))
    try:
        with closing(sqlite3.connect(f"file://{quoted}?mode=ro", uri=True, timeout=1)) as connection:
            return _read(lambda statement: connection.execute(statement).fetchall())
    except sqlite3.Error:
        return None


def _ask_server(url: str) -> SiteTexts | None:
    """By libpq, where it reads the URL as SQLAlchemy does: hosts in a list may be others, or have other ports."""
    scheme, _, address = url.partition("://")
    if scheme != "postgresql+psycopg" or "," in address or address.count("host=") > 1:
        return None
    import psycopg

    from scandock.catalog.server_connections import WORDS, WatchedConnection

    words: dict[str, Any] = {**WORDS, "connect_timeout": _SECONDS}
    try:
        with WatchedConnection.connect(f"postgresql://{address}", **words) as connection:
            connection.execute(f"SET LOCAL statement_timeout = {_SECONDS * 1000}")
            return _read(lambda statement: connection.execute(statement).fetchall())
    except psycopg.Error:
        return None


def _read(select: _Select) -> SiteTexts:
    rules = [text for (text,) in select(_SITE_RULES)]
    for _, of_project in select(ROUTING_IN_FORCE):
        rules += json.loads(of_project).values()
    filters: dict[str, str] = dict(select(FILTERS_IN_FORCE))
    hashes = given_to_process() is not None or any(kind != "lookup" for _, kind, _ in select(PRIVACY_IN_FORCE))
    tags: frozenset[int] = frozenset()
    if rules:
        from scandock.rules.routing_rules import parse_rules, rule_tags

        tags = rule_tags([rule for text in rules for rule in parse_rules(text)])
    return SiteTexts(tags=tags, filters=filters, has_mapping=False, hash_datasets=hashes)


def check_unchanged(early: SiteTexts, texts: SiteTexts) -> None:
    """Compare what readers began with and what the open catalog says. Fault `site_rules_changed`."""
    are_read = texts.tags <= early.tags | TAGS.keys()
    if not (are_read and texts.filters == early.filters and texts.hash_datasets == early.hash_datasets):
        raise RulesChanged
