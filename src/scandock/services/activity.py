"""Imports as the pages show them: whose they are, where their sessions stand now, and since when a stage goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, exists, select

from scandock.access.principal import Principal
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import account, reception
from scandock.catalog.tables import session, tree, upload
from scandock.model.verdicts import UNFINISHED, ImportState
from scandock.services.import_records import Import
from scandock.services.imports import list_imports, read_import
from scandock.services.listing import Page, Sorting
from scandock.services.whereabouts import Stands, whereabouts

TO_DECIDE: Final = "to-decide"
GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "under-way": tuple(state.value for state in UNFINISHED),
    "done": (ImportState.PLACED.value,),
    TO_DECIDE: (ImportState.HELD.value,),
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


@dataclass(frozen=True, kw_only=True)
class Activity(Import):
    """An import, whose it is, and what has become of its sessions."""

    owner: str
    mine: bool
    stands: dict[str, Stands]
    """By address, where each session that was left waiting stands now."""
    decided: bool
    """Whether none of what was held waits for a decision any more."""


def list_activity(catalog: Catalog, principal: Principal, sought: Sought, sorting: Sorting) -> Page[Activity]:
    """A page of imports, the newest first."""
    found = list_imports(
        catalog,
        principal,
        sorting,
        project_name=sought.project or None,
        states=GROUPS.get(sought.group, ()),
        mine=sought.mine,
        search=sought.search,
        having=_waits() if sought.group == TO_DECIDE else None,
    )
    with catalog.read() as connection:
        return Page(_complete(connection, principal, found.items), found.next)


def read_activity(catalog: Catalog, principal: Principal, uuid: str) -> Activity:
    """One import. Denied where it may not be known of."""
    one = read_import(catalog, principal, uuid)
    with catalog.read() as connection:
        return _complete(connection, principal, [one])[0]


def _complete(connection: Connection, principal: Principal, items: list[Import]) -> list[Activity]:
    owners = _owners(connection, [one.id for one in items])
    every = whereabouts(connection, principal, items, SESSIONS)
    waiting = _waiting(connection, [one.id for one in items if one.state is ImportState.HELD])
    found = []
    for one in items:
        owner, account_id = owners.get(one.id, ("", None))
        stands = every.get(one.id, {})
        waits = one.id in waiting or any(told.held for told in stands.values())
        found.append(
            Activity(
                **vars(one),
                owner=owner,
                mine=account_id == principal.account_id,
                stands=stands,
                decided=one.state is ImportState.HELD and not waits,
            )
        )
    return found


def _waits() -> ColumnElement[bool]:
    """Of an upload: whether a session that its files came by waits for a decision, shown or not."""
    its = select(session.c.id).join(tree, tree.c.id == session.c.tree_id).where(tree.c.upload_id == upload.c.id)
    return exists(its.where(session.c.place == "prearchive", session.c.held_code != ""))


def _waiting(connection: Connection, uuids: list[str]) -> set[str]:
    """Those of them of which a session waits for a decision."""
    if not uuids:
        return set()
    return set(connection.execute(select(upload.c.uuid).where(upload.c.uuid.in_(uuids), _waits())).scalars())


def _owners(connection: Connection, uuids: list[str]) -> dict[str, tuple[str, int | None]]:
    rows = connection.execute(
        select(upload.c.uuid, account.c.name, account.c.id)
        .join(reception, reception.c.upload_id == upload.c.id)
        .join(account, account.c.id == reception.c.account_id)
        .where(upload.c.uuid.in_(uuids))
    )
    return {row.uuid: (row.name, row.id) for row in rows}
