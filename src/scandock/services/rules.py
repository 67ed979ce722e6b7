"""The site's routing rules (xnat-behaviour.md 2.5): set as a text, checked before they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select

from scandock.access.principal import SYSTEM, Principal, ProjectRights, RequestInfo, require_access
from scandock.catalog.engine import Catalog
from scandock.catalog.tables import routing_rules
from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord, MaybeMoment
from scandock.rules.permissions import Action
from scandock.rules.routing_rules import parse_rules
from scandock.rules.routing_trial import KINDS
from scandock.services.audit import AuditAction, record
from scandock.services.data_catalog import open_data
from scandock.services.editing import check_if_match
from scandock.services.project_errors import RulesKindUnknown

if TYPE_CHECKING:
    from scandock.services.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Rules(JsonRecord):
    """The site's rules of one kind."""

    kind: str
    text: str
    modified: MaybeMoment
    """When the text was set; None where none was."""


def set_rules(data: str, settings: Settings, kind: str, text: str, request: RequestInfo | None = None) -> None:
    """Replace the rules of a kind, as the server's own machine. Raises Usage naming the line that can't be read."""
    _check_kind(kind)
    parse_rules(text)
    with open_data(data, settings) as (catalog, _):
        replace_rules(catalog, SYSTEM, kind, text, request=request)


def show_rules(data: str, settings: Settings) -> dict[str, str]:
    """The text of each kind, as it was set; "" where none was."""
    with open_data(data, settings) as (catalog, _), catalog.read() as connection:
        return {rule_text.kind: rule_text.text for rule_text in list_rules(connection, SYSTEM)}


def list_rules(connection: Connection, principal: Principal) -> list[Rules]:
    """Those of each kind."""
    require_access(principal, Action.SITE_ADMIN, None, ProjectRights(connection))
    rows = {row.kind: row for row in connection.execute(select(routing_rules))}
    return [
        Rules(kind=kind, text=rows[kind].text, modified=rows[kind].modified)
        if kind in rows
        else Rules(kind=kind, text="", modified=None)
        for kind in KINDS
    ]


def find_rules(connection: Connection, principal: Principal, kind: str) -> Rules:
    """The rules of a kind. Usage `rules_kind` where there is no such kind."""
    rules_by_kind = list_rules(connection, principal)
    _check_kind(kind)
    return rules_by_kind[KINDS.index(kind)]


def replace_rules(
    catalog: Catalog,
    principal: Principal,
    kind: str,
    text: str,
    *,
    request: RequestInfo | None = None,
    if_match: str | None = None,
) -> Rules:
    """Replace the rules of a kind; an empty text takes them away. AccessDenied.

    Usage naming the line that can't be read.
    """
    with catalog.write() as connection:
        before = find_rules(connection, principal, kind)
        number = len(parse_rules(text))
        check_if_match(before, if_match)
        connection.execute(delete(routing_rules).where(routing_rules.c.kind == kind))
        connection.execute(insert(routing_rules).values(kind=kind, text=text, modified=catalog.now()))
        record(connection, principal, AuditAction.RULES_SET, "rules", kind, request=request, details={"rules": number})
        return find_rules(connection, principal, kind)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise RulesKindUnknown(kind, ", ".join(KINDS))
