"""Versioned texts that decide about images: import filters, scripts, lookup tables. The newest version is in force."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from typing import Literal, NamedTuple, Self

from sqlalchemy import Connection, Row, insert, select, text

from scandock.catalog.engine import AdvisoryLock, Catalog
from scandock.catalog.tables import privacy_text
from scandock.catalog.texts_in_force import FILTERS_IN_FORCE, PRIVACY_IN_FORCE, ROUTING_IN_FORCE
from scandock.model.dataclass import dataclass

Kind = Literal["filter", "script", "lookup", "settings", "routing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyText:
    """A version of a text."""

    version: int
    enabled: bool
    text: str
    fingerprint: str
    created: int
    author: str

    @classmethod
    def from_row(cls, row: Row[tuple[object, ...]]) -> Self:
        return cls(
            version=row.version,
            enabled=row.enabled,
            text=row.text,
            fingerprint=row.fingerprint,
            created=row.created,
            author=row.author,
        )


def filters_in_force(connection: Connection) -> dict[str, str]:
    """The text of each import filter that is switched on, by its project; that of the site by ""."""
    return {row.project: row.text for row in connection.execute(text(FILTERS_IN_FORCE))}


def routing_in_force(connection: Connection) -> dict[str, str]:
    """The routing rules of each project that has some, by its name."""
    return {row.project: row.text for row in connection.execute(text(ROUTING_IN_FORCE))}


class TextInForce(NamedTuple):
    """A text of privacy that is switched on."""

    project: str
    """Its name; "" for the site."""
    kind: Kind
    text: str


def privacy_in_force(connection: Connection) -> list[TextInForce]:
    """Every privacy setting, script and lookup table that is switched on."""
    return [TextInForce(row.project, row.kind, row.text) for row in connection.execute(text(PRIVACY_IN_FORCE))]


def texts_by_project(connection: Connection) -> dict[str, dict[Kind, str]]:
    """The same by project, "" for the site, and kind."""
    said: defaultdict[str, dict[Kind, str]] = defaultdict(dict)
    for row in privacy_in_force(connection):
        said[row.project][row.kind] = row.text
    return said


def says_something(texts: Mapping[Kind, str]) -> bool:
    """Whether texts of one project do anything: a lookup table alone does not."""
    return any(kind != "lookup" for kind in texts)


def is_privacy_in_force(connection: Connection) -> bool:
    """Whether anybody's settings or scripts are."""
    return any(map(says_something, texts_by_project(connection).values()))


def find_text(connection: Connection, kind: Kind, project_id: int | None, name: str = "") -> PrivacyText | None:
    """The newest version of a text, whether it is switched on or not."""
    query = (
        select(privacy_text)
        .where(
            privacy_text.c.kind == kind,
            privacy_text.c.project_id.is_(None) if project_id is None else privacy_text.c.project_id == project_id,
            privacy_text.c.name == name,
        )
        .order_by(privacy_text.c.version.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else PrivacyText.from_row(row)


def fingerprint_of(content: str) -> str:
    """By what the audit names a text."""
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def add_text(
    catalog: Catalog,
    connection: Connection,
    kind: Kind,
    project_id: int | None,
    content: str,
    *,
    enabled: bool,
    author: str,
    name: str = "",
    fingerprint: str = "",
) -> PrivacyText:
    """Add a version, which is in force from now on. `fingerprint` is that of `content` where none is given."""
    catalog.alone(connection, AdvisoryLock.ADD_PRIVACY_TEXT)
    newest = find_text(connection, kind, project_id, name)
    connection.execute(
        insert(privacy_text).values(
            kind=kind,
            project_id=project_id,
            name=name,
            version=1 if newest is None else newest.version + 1,
            enabled=enabled,
            text=content,
            fingerprint=fingerprint or fingerprint_of(content),
            created=catalog.now(),
            author=author,
        )
    )
    added = find_text(connection, kind, project_id, name)
    assert added is not None  # as it was just added
    return added
