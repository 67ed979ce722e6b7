"""De-identification scripts and lookup tables of the site and of projects: read, set, switched on and off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field
from sqlalchemy import Connection

from scandock.access.principal import SYSTEM, RequestInfo
from scandock.catalog.privacy_texts import PrivacyText, find_text
from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord, MaybeMoment
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.audit import AuditAction
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import has_catalog, open_data
from scandock.services.editing import check_if_match
from scandock.services.privacy_key import load_keys, need_keys
from scandock.services.project_errors import ScriptMissing
from scandock.services.sealing import seal, unseal
from scandock.services.versioned_texts import (
    TextChange,
    TextOwner,
    add_version,
    check_project_known,
    find_owner,
    version_of,
)

if TYPE_CHECKING:
    from scandock.access.principal import Principal
    from scandock.services.settings import Settings

EXAMPLE_SCRIPT: Final = """version "6.1"
project != "Unassigned" ? (0008,1030) := project
(0010,0010) := subject
(0010,0020) := session
"""
"""What XNAT runs on every image of a site that sets no script of its own; here an example, that nobody runs."""


@dataclass(frozen=True, kw_only=True)
class PrivacyScript(JsonRecord):
    """The script of the site or of a project."""

    project: Annotated[str | None, Field(description="Null for the site's script")]
    enabled: Annotated[bool, Field(description="Whether imports run it")]
    text: Annotated[str, Field(description="DicomEdit 6; empty where none was set")]
    version: Annotated[int, Field(description="How often it was set, or switched on or off; 0 where none was set")]
    fingerprint: Annotated[str, Field(description="SHA-256 of the text, by which the audit names it")]
    modified: MaybeMoment
    by: Annotated[str, Field(description="Account that made this version")]


@dataclass(frozen=True, kw_only=True)
class LookupTableRecord(JsonRecord):
    """The lookup table of the site or of a project, without its lines, as these identify people."""

    project: Annotated[str | None, Field(description="Null for the site's table")]
    keys: Annotated[int, Field(description="How many keys have a value; 0 where there is no table")]
    kinds: Annotated[list[str], Field(description="What the keys are of: the words before the slash")]
    version: Annotated[int, Field(description="How often it was set; 0 where it never was")]
    fingerprint: Annotated[str, Field(description="SHA-256 of the text, by which the audit names it")]
    modified: MaybeMoment
    by: Annotated[str, Field(description="Account that made this version")]


def find_script(connection: Connection, principal: Principal, project_name: str | None) -> PrivacyScript:
    """The script of a project, for its owners; with None the site's, for administrators. AccessDenied."""
    rights.check(connection, principal, _action(project_name), project_name)
    return _read_script(connection, find_owner(connection, project_name))


def set_script(
    context: ServiceContext,
    project_name: str | None,
    text: str,
    *,
    enabled: bool | None = None,
    if_match: str | None = None,
) -> PrivacyScript:
    """Replace a script, for imports that begin from now on; an empty text takes it away. What is stored stays.

    `enabled`: None leaves it as it is, switched on where there was none. AccessDenied; Usage `script_refused`, naming
    line and column, and `privacy_key`.
    """
    from scandock.deidentification.script.parser import parse_script

    _check_first(context, project_name)
    text = text.replace("\r\n", "\n")
    if text.strip():
        parse_script(text)
    else:
        text = ""
    with context.catalog.write() as connection:
        rights.check(connection, context.principal, _action(project_name), project_name)
        owner = find_owner(connection, project_name, to_change=True)
        before = _read_script(connection, owner)
        check_if_match(before, if_match)
        is_on = enabled if enabled is not None else before.enabled or not before.text
        return _set_script(context, connection, owner, text, enabled=is_on)


def enable_script(
    context: ServiceContext, project_name: str | None, *, enabled: bool, if_match: str | None = None
) -> PrivacyScript:
    """Switch a script on or off; its text stays. AccessDenied; Usage `script_missing` where none was set."""
    with context.catalog.write() as connection:
        rights.check(connection, context.principal, _action(project_name), project_name)
        owner = find_owner(connection, project_name, to_change=True)
        before = _read_script(connection, owner)
        if not before.text:
            raise ScriptMissing
        check_if_match(before, if_match)
        return _set_script(context, connection, owner, before.text, enabled=enabled)


def check_may_edit(connection: Connection, principal: Principal, project_name: str | None) -> None:
    """AccessDenied to those who may not read and set scripts and tables of a project, with None of the site."""
    rights.check(connection, principal, _action(project_name), project_name)


def find_lookup(context: ServiceContext, project_name: str | None) -> LookupTableRecord:
    """What may be seen of a lookup table by a project's owners, of the site's by administrators. AccessDenied."""
    with context.catalog.read() as connection:
        rights.check(connection, context.principal, _action(project_name), project_name)
        return _read_lookup(context, connection, find_owner(connection, project_name))


def set_lookup(
    context: ServiceContext, project_name: str | None, text: str, *, if_match: str | None = None
) -> LookupTableRecord:
    """Replace a lookup table; an empty text takes it away. It is sealed with the site's key.

    AccessDenied; Usage `lookup_refused`, naming the line, and `privacy_key`.
    """
    from scandock.deidentification.script.lookup_table import parse_lookup_table

    _check_first(context, project_name)
    text = text.replace("\r\n", "\n")
    parse_lookup_table(text)
    with context.catalog.write() as connection:
        rights.check(connection, context.principal, _action(project_name), project_name)
        owner = find_owner(connection, project_name, to_change=True)
        check_if_match(_read_lookup(context, connection, owner), if_match)
        keys = need_keys(context.catalog, connection, context.store.path, context.settings)
        change = TextChange(
            kind="lookup",
            text=text,
            stored=seal(keys.newest, text),
            action=AuditAction.LOOKUP_SET,
        )
        add_version(context.catalog, connection, owner, change, context.principal, context.request)
        return _read_lookup(context, connection, owner)


def _check_first(context: ServiceContext, project_name: str | None) -> None:
    """Nobody without the right learns whether a text can be read."""
    with context.catalog.read() as connection:
        check_may_edit(connection, context.principal, project_name)


def _action(project_name: str | None) -> Action:
    """Scripts and tables are read by those who may change them alone."""
    return Action.SITE_ADMIN if project_name is None else Action.SETTINGS_EDIT


def _set_script(
    context: ServiceContext, connection: Connection, owner: TextOwner, text: str, *, enabled: bool
) -> PrivacyScript:
    if text:
        need_keys(context.catalog, connection, context.store.path, context.settings)
    change = TextChange(kind="script", text=text, enabled=enabled, action=AuditAction.SCRIPT_SET)
    if text or find_text(connection, "script", owner.project_id) is not None:
        add_version(context.catalog, connection, owner, change, context.principal, context.request)
    return _read_script(connection, owner)


def _read_script(connection: Connection, owner: TextOwner) -> PrivacyScript:
    return _to_record(owner, find_text(connection, "script", owner.project_id))


def _to_record(owner: TextOwner, newest: PrivacyText | None) -> PrivacyScript:
    version, fingerprint, modified, by = version_of(newest)
    return PrivacyScript(
        project=owner.name,
        enabled=newest is not None and newest.enabled and bool(newest.text),
        text="" if newest is None else newest.text,
        version=version,
        fingerprint=fingerprint,
        modified=modified,
        by=by,
    )


def _read_lookup(context: ServiceContext, connection: Connection, owner: TextOwner) -> LookupTableRecord:
    from scandock.deidentification.script.lookup_table import parse_lookup_table

    newest = find_text(connection, "lookup", owner.project_id)
    version, fingerprint, modified, by = version_of(newest)
    values = parse_lookup_table(_unseal(context, connection, owner)).values
    return LookupTableRecord(
        project=owner.name,
        keys=len(values),
        kinds=sorted({kind for kind, _ in values}),
        version=version,
        fingerprint=fingerprint,
        modified=modified,
        by=by,
    )


def _unseal(context: ServiceContext, connection: Connection, owner: TextOwner) -> str:
    newest = find_text(connection, "lookup", owner.project_id)
    if newest is None or not newest.text:
        return ""
    keys = load_keys(connection, context.store.path, context.settings)
    return unseal(keys.every, newest.text)


# -- on the server's own machine ---------------------------------------------------------------------------------------


def show_local_script(data: str, settings: Settings, project_name: str | None) -> PrivacyScript:
    """A script, as the server's own machine, also where DATA is not made. Usage `project_unknown`."""
    if not has_catalog(data, settings):
        check_project_known(None, project_name)
        return _to_record(TextOwner(None, None), None)
    with open_data(data, settings) as (catalog, _):
        check_project_known(catalog, project_name)
        with catalog.read() as connection:
            return find_script(connection, SYSTEM, project_name)


def set_local_script(
    data: str, settings: Settings, project_name: str | None, text: str, request: RequestInfo | None = None
) -> PrivacyScript:
    """Set a script, as the server's own machine; it is switched on."""
    with open_data(data, settings) as (catalog, store):
        check_project_known(catalog, project_name)
        context = ServiceContext(catalog, store, settings, SYSTEM, request)
        return set_script(context, project_name, text, enabled=True)


def enable_local_script(
    data: str, settings: Settings, project_name: str | None, *, enabled: bool, request: RequestInfo | None = None
) -> PrivacyScript:
    """Switch a script on or off, as the server's own machine."""
    with open_data(data, settings) as (catalog, store):
        check_project_known(catalog, project_name)
        context = ServiceContext(catalog, store, settings, SYSTEM, request)
        return enable_script(context, project_name, enabled=enabled)


def set_local_lookup(
    data: str, settings: Settings, project_name: str | None, text: str, request: RequestInfo | None = None
) -> LookupTableRecord:
    """Set a lookup table, as the server's own machine."""
    with open_data(data, settings) as (catalog, store):
        check_project_known(catalog, project_name)
        return set_lookup(ServiceContext(catalog, store, settings, SYSTEM, request), project_name, text)
