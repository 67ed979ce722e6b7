"""Texts of privacy as services set them: of the site or of a project, each change a version, audited by fingerprint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from scandock.catalog.engine import Catalog
from scandock.catalog.privacy_texts import Kind, PrivacyText, add_text, find_text, fingerprint_of
from scandock.catalog.tables import project
from scandock.model.dataclass import dataclass
from scandock.rules.errors import ProjectIdReserved, ProjectUnknown
from scandock.rules.labels import UNASSIGNED, label_key
from scandock.rules.notices import printable
from scandock.services.audit import AuditAction, record

if TYPE_CHECKING:
    from scandock.access.principal import Principal, RequestInfo

SITE = "site"
"""What the audit calls what is the site's own."""


@dataclass(frozen=True, slots=True)
class TextOwner:
    """Whose text it is; None both for the site's."""

    project_id: int | None
    name: str | None


def find_owner(connection: Connection, project_name: str | None, *, to_change: bool = False) -> TextOwner:
    """Whose text it is; whoever asks was found to have a right in the project. Usage `project_id_reserved`."""
    if project_name is None:
        return TextOwner(None, None)
    row = connection.execute(select(project.c.id, project.c.name).where(project.c.key == label_key(project_name))).one()
    if to_change and row.name == UNASSIGNED:
        raise ProjectIdReserved(f"{UNASSIGNED} has no settings.", "Choose another project.")
    return TextOwner(row.id, row.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChange:
    """A text that is to be in force."""

    kind: Kind
    text: str
    enabled: bool = True
    stored: str = ""
    """How it is stored, where that is not as it is."""
    action: AuditAction


def add_version(
    catalog: Catalog,
    connection: Connection,
    owner: TextOwner,
    change: TextChange,
    principal: Principal,
    request: RequestInfo | None,
) -> None:
    """Add a version and its line in the audit, unless the newest one is the same."""
    newest = find_text(connection, change.kind, owner.project_id)
    fingerprint = fingerprint_of(change.text)
    if newest is not None and (newest.fingerprint, newest.enabled) == (fingerprint, change.enabled):
        return
    added = add_text(
        catalog,
        connection,
        change.kind,
        owner.project_id,
        change.stored or change.text,
        enabled=change.enabled,
        author=principal.name,
        fingerprint=fingerprint,
    )
    record(
        connection,
        principal,
        change.action,
        "filter" if change.kind == "filter" else "privacy",
        owner.name or SITE,
        project=owner.name or "",
        request=request,
        details={"version": added.version, "fingerprint": added.fingerprint, "enabled": added.enabled},
    )


def version_of(text: PrivacyText | None) -> tuple[int, str, int | None, str]:
    """Version, fingerprint, when and by whom; of none 0, "", None, ""."""
    return (0, "", None, "") if text is None else (text.version, text.fingerprint, text.created, text.author)


def check_project_known(catalog: Catalog | None, project_name: str | None) -> None:
    """Usage `project_unknown`, for who has DATA; None: that is not made yet, and knows no project."""
    if project_name is None:
        return
    if catalog is not None:
        with catalog.read() as connection:
            key = label_key(project_name)
            if connection.execute(select(project.c.id).where(project.c.key == key)).first() is not None:
                return
    raise ProjectUnknown(
        f"There is no project {printable(project_name)}.",
        f"Make it with `scandock admin project add {printable(project_name)}`.",
    )
