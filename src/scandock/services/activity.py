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
from scandock.services.pagination import Page, Sorting
from scandock.services.session_locations import SessionLocation, locate_sessions

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
class ActivityFilter:
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
    stands: dict[str, SessionLocation]
    """By address, where each session that was left waiting stands now."""
    decided: bool
    """Whether none of what was held waits for a decision any more."""


def list_activity(catalog: Catalog, principal: Principal, filters: ActivityFilter, sorting: Sorting) -> Page[Activity]:
    """A page of imports, the newest first."""
    page = list_imports(
        catalog,
        principal,
        sorting,
        project_name=filters.project or None,
        states=GROUPS.get(filters.group, ()),
        mine=filters.mine,
        search=filters.search,
        has_waiting=_has_waiting_session() if filters.group == TO_DECIDE else None,
    )
    with catalog.read() as connection:
        return Page(_add_details(connection, principal, page.items), page.next)


def read_activity(catalog: Catalog, principal: Principal, uuid: str) -> Activity:
    """One import. AccessDenied where it may not be known of."""
    item = read_import(catalog, principal, uuid)
    with catalog.read() as connection:
        return _add_details(connection, principal, [item])[0]


def _add_details(connection: Connection, principal: Principal, items: list[Import]) -> list[Activity]:
    owners = _read_owners(connection, [item.id for item in items])
    locations_by_import = locate_sessions(connection, principal, items, SESSIONS)
    waiting_uuids = _find_waiting(connection, [item.id for item in items if item.state is ImportState.HELD])
    detailed = []
    for item in items:
        owner, account_id = owners.get(item.id, ("", None))
        locations = locations_by_import.get(item.id, {})
        waits = item.id in waiting_uuids or any(location.held for location in locations.values())
        detailed.append(
            Activity(
                **vars(item),
                owner=owner,
                mine=account_id == principal.account_id,
                stands=locations,
                decided=item.state is ImportState.HELD and not waits,
            )
        )
    return detailed


def _has_waiting_session() -> ColumnElement[bool]:
    """Of an upload: whether a session that its files came by waits for a decision, shown or not."""
    its = select(session.c.id).join(tree, tree.c.id == session.c.tree_id).where(tree.c.upload_id == upload.c.id)
    return exists(its.where(session.c.place == "prearchive", session.c.held_code != ""))


def _find_waiting(connection: Connection, uuids: list[str]) -> set[str]:
    """Those of them of which a session waits for a decision."""
    if not uuids:
        return set()
    return set(
        connection.execute(select(upload.c.uuid).where(upload.c.uuid.in_(uuids), _has_waiting_session())).scalars()
    )


def _read_owners(connection: Connection, uuids: list[str]) -> dict[str, tuple[str, int | None]]:
    rows = connection.execute(
        select(upload.c.uuid, account.c.name, account.c.id)
        .join(reception, reception.c.upload_id == upload.c.id)
        .join(account, account.c.id == reception.c.account_id)
        .where(upload.c.uuid.in_(uuids))
    )
    return {row.uuid: (row.name, row.id) for row in rows}
