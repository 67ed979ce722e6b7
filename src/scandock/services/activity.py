"""Imports as the pages show them: whose they are, where their sessions stand now, and since when a stage goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, select

from scandock.access.principal import Principal
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import account, reception
from scandock.catalog.standing import uri_of
from scandock.catalog.tables import project, session, upload
from scandock.model.verdicts import ImportState
from scandock.services.imports import UNFINISHED, list_imports, read_import
from scandock.services.listing import Page, Sorting

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "under-way": tuple(state.value for state in UNFINISHED),
    "done": (ImportState.PLACED.value,),
    "to-decide": (ImportState.HELD.value,),
    "troubled": (ImportState.PARTLY.value, ImportState.REFUSED.value, ImportState.FAILED.value),
    "cancelled": (ImportState.CANCELLED.value,),
}
"""What imports are sought by: the states that people tell apart."""

SESSIONS: Final = 50
"""Sessions that an import shows; the receipt and the import's object have all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which imports: one's own or all that one may see, of a group of `GROUPS`, of a project, by the archive's name."""

    mine: bool = True
    group: str = ""
    project: str = ""
    search: str = ""


def list_activity(catalog: Catalog, principal: Principal, sought: Sought, sorting: Sorting) -> Page:
    """A page of imports, the newest first."""
    found = list_imports(
        catalog,
        principal,
        sorting,
        project_name=sought.project or None,
        states=GROUPS.get(sought.group, ()),
        mine=sought.mine,
        search=sought.search,
    )
    with catalog.read() as connection:
        return Page(_complete(connection, principal, found.items), found.next)


def read_activity(catalog: Catalog, principal: Principal, uuid: str) -> dict[str, Any]:
    """One import. Denied where it may not be known of."""
    one = read_import(catalog, principal, uuid)
    with catalog.read() as connection:
        return _complete(connection, principal, [one])[0]


def _complete(connection: Connection, principal: Principal, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Items with `owner`, `mine`, and each session's `waiting`: its id where it stands in the prearchive now."""
    owners = _owners(connection, [one["id"] for one in items])
    waiting = _waiting(connection, _shown_uris(items))
    return [
        {
            **one,
            "owner": owners.get(one["id"], ("", None))[0],
            "mine": owners.get(one["id"], ("", None))[1] == principal.account_id,
            "waiting": {uri: waiting[uri] for uri in _shown_uris([one]) if uri in waiting},
        }
        for one in items
    ]


def _owners(connection: Connection, uuids: list[str]) -> dict[str, tuple[str, int | None]]:
    rows = connection.execute(
        select(upload.c.uuid, account.c.name, account.c.id)
        .join(reception, reception.c.upload_id == upload.c.id)
        .join(account, account.c.id == reception.c.account_id)
        .where(upload.c.uuid.in_(uuids))
    )
    return {row.uuid: (row.name, row.id) for row in rows}


def _shown_uris(items: Iterable[dict[str, Any]]) -> Iterator[str]:
    for one in items:
        for told in one["sessions"][:SESSIONS]:
            if told["uri"] is not None and told["state"] != "archive":
                yield told["uri"]


def _waiting(connection: Connection, uris: Iterable[str]) -> dict[str, str]:
    """Ids of the sessions that stand at these addresses of the prearchive now, in one statement."""
    stamps = {uri.split("/")[-2] for uri in uris}
    if not stamps:
        return {}
    rows = connection.execute(
        select(session.c.uuid, session.c.timestamp, session.c.label, project.c.name)
        .join(project, project.c.id == session.c.project_id)
        .where(session.c.place == "prearchive", session.c.timestamp.in_(stamps))
    )
    return {uri_of("prearchive", row.name, row.timestamp, "", row.label): row.uuid for row in rows}
