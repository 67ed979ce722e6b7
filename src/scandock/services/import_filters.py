"""Series import filters of the site and of projects: read, set, switched on and off; each change is a version."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field
from sqlalchemy import Connection

from scandock.access.principal import SYSTEM, Principal, RequestInfo
from scandock.catalog.engine import Catalog
from scandock.catalog.privacy_texts import PrivacyText, find_text
from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord, MaybeMoment
from scandock.rules.permissions import Action
from scandock.rules.series_filters import FilterText, parse_filter, read_document
from scandock.services import rights
from scandock.services.audit import AuditAction
from scandock.services.data_catalog import open_data
from scandock.services.editing import check_if_match
from scandock.services.project_errors import FilterMissing
from scandock.services.versioned_texts import (
    TextChange,
    TextOwner,
    add_version,
    check_project_known,
    find_owner,
    version_of,
)

if TYPE_CHECKING:
    from scandock.services.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ImportFilter(JsonRecord):
    """The import filter of the site or of a project, as it is now."""

    project: Annotated[str | None, Field(description="Null for the site's filter")]
    enabled: Annotated[bool, Field(description="Whether imports are filtered by it")]
    mode: Annotated[str, Field(description="whitelist, blacklist or modalityMap; empty where none was set")]
    lines: Annotated[str, Field(description="Of a whitelist or blacklist: its lines")]
    conditions: Annotated[dict[str, str], Field(description="Of a modalityMap: a condition for each name")]
    default: Annotated[str, Field(description="Of a modalityMap: the name for which no condition is needed")]
    strict: Annotated[bool, Field(description="Of a modalityMap: no condition holds where an element is missing")]
    version: Annotated[int, Field(description="How often it was set, or switched on or off; 0 where none was set")]
    fingerprint: Annotated[str, Field(description="SHA-256 of the text, by which the audit names it")]
    modified: MaybeMoment
    by: Annotated[str, Field(description="Account that made this version")]

    @property
    def text(self) -> FilterText:
        """The filter as it is written."""
        return FilterText(
            mode=self.mode, lines=self.lines, conditions=self.conditions, default=self.default, strict=self.strict
        )


def find_filter(connection: Connection, principal: Principal, project_name: str | None) -> ImportFilter:
    """The filter of a project, for those with a role in it; with None the site's, for all accounts. AccessDenied."""
    action = Action.ACCOUNT_READ if project_name is None else Action.FILTER_READ
    rights.check(connection, principal, action, project_name)
    return _read_filter(connection, find_owner(connection, project_name))


def set_filter(
    catalog: Catalog,
    principal: Principal,
    project_name: str | None,
    text: FilterText,
    *,
    request: RequestInfo | None = None,
    if_match: str | None = None,
) -> ImportFilter:
    """Replace a filter, for imports that begin from now on; it is switched on unless its text says otherwise.

    AccessDenied; Usage `filter_unreadable`, naming the lines.
    """

    def replace_text(_: PrivacyText | None) -> tuple[str, bool]:
        parse_filter(text)
        return text.to_document(), text.enabled is not False

    return _add_version(catalog, principal, project_name, replace_text, request, if_match)


def enable_filter(
    catalog: Catalog,
    principal: Principal,
    project_name: str | None,
    *,
    enabled: bool,
    request: RequestInfo | None = None,
    if_match: str | None = None,
) -> ImportFilter:
    """Switch a filter on or off; its text stays. AccessDenied; Usage `filter_missing` where none was set."""

    def switch(newest: PrivacyText | None) -> tuple[str, bool]:
        if newest is None:
            raise FilterMissing
        return newest.text, enabled

    return _add_version(catalog, principal, project_name, switch, request, if_match)


def _add_version(
    catalog: Catalog,
    principal: Principal,
    project_name: str | None,
    change: Callable[[PrivacyText | None], tuple[str, bool]],
    request: RequestInfo | None,
    if_match: str | None,
) -> ImportFilter:
    """Add what `change` makes of the newest version, text and whether it is switched on, unless that is the same."""
    with catalog.write() as connection:
        action = Action.SITE_ADMIN if project_name is None else Action.SETTINGS_EDIT
        rights.check(connection, principal, action, project_name)
        owner = find_owner(connection, project_name, to_change=True)
        check_if_match(_read_filter(connection, owner), if_match)
        document, enabled = change(find_text(connection, "filter", owner.project_id))
        text = TextChange(kind="filter", text=document, enabled=enabled, action=AuditAction.FILTER_SET)
        add_version(catalog, connection, owner, text, principal, request)
        return _read_filter(connection, owner)


def _read_filter(connection: Connection, owner: TextOwner) -> ImportFilter:
    newest = find_text(connection, "filter", owner.project_id)
    text = FilterText(mode="") if newest is None else read_document(newest.text)
    version, fingerprint, modified, by = version_of(newest)
    return ImportFilter(
        project=owner.name,
        enabled=newest is not None and newest.enabled,
        mode=text.mode,
        lines=text.lines,
        conditions=dict(text.conditions),
        default=text.default,
        strict=text.strict,
        version=version,
        fingerprint=fingerprint,
        modified=modified,
        by=by,
    )


# -- on the server's own machine ---------------------------------------------------------------------------------------


def set_local_filter(
    data: str, settings: Settings, project_name: str | None, text: FilterText, request: RequestInfo | None = None
) -> ImportFilter:
    """Set a filter, as the server's own machine. Usage naming the lines that can't be read, or `project_unknown`."""
    parse_filter(text)
    with open_data(data, settings) as (catalog, _):
        check_project_known(catalog, project_name)
        return set_filter(catalog, SYSTEM, project_name, text, request=request)


def enable_local_filter(
    data: str, settings: Settings, project_name: str | None, *, enabled: bool, request: RequestInfo | None = None
) -> ImportFilter:
    """Switch a filter on or off, as the server's own machine."""
    with open_data(data, settings) as (catalog, _):
        check_project_known(catalog, project_name)
        return enable_filter(catalog, SYSTEM, project_name, enabled=enabled, request=request)


def show_local_filter(data: str, settings: Settings, project_name: str | None) -> ImportFilter:
    """A filter, as the server's own machine."""
    with open_data(data, settings) as (catalog, _):
        check_project_known(catalog, project_name)
        with catalog.read() as connection:
            return find_filter(connection, SYSTEM, project_name)
