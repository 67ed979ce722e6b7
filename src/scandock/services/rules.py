"""The site's routing rules (xnat-behaviour.md 2.5): set as a text, checked before they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from scandock.catalog.tables import routing_rules
from scandock.model.errors import Usage
from scandock.rules.routing import parse_rules
from scandock.services.opening import opened

if TYPE_CHECKING:
    from scandock.services.settings import Settings

KINDS = ("project", "subject", "session")


def set_rules(data: str, settings: Settings, kind: str, text: str) -> None:
    """Replace the rules of a kind; an empty text takes them away. Raises Usage naming the line that can't be read."""
    if kind not in KINDS:
        raise Usage("rules_kind", f"There are no rules of kind {kind!r}.", f"Kinds are {', '.join(KINDS)}.")
    parse_rules(text)
    with opened(data, settings) as (catalog, _), catalog.write() as connection:
        connection.execute(delete(routing_rules).where(routing_rules.c.kind == kind))
        connection.execute(insert(routing_rules).values(kind=kind, text=text, modified=catalog.now()))


def show_rules(data: str, settings: Settings) -> dict[str, str]:
    """The text of each kind, as it was set; "" where none was."""
    with opened(data, settings) as (catalog, _), catalog.read() as connection:
        found = {row.kind: row.text for row in connection.execute(select(routing_rules))}
    return {kind: found.get(kind, "") for kind in KINDS}
