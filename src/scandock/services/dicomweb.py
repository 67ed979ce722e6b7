"""What the bases of DICOMweb answer for: the sessions of a project's archive, or all that somebody may look at."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, or_, select, union

from scandock.access.principal import Door, Principal
from scandock.access.visibility import own_where, sessions_where
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import damage
from scandock.catalog.sessions import session_rows
from scandock.catalog.tables import dicom_study, session
from scandock.model.dataclass import dataclass
from scandock.rules.permissions import AccessDecision, Action, Scope
from scandock.services import rights


@dataclass(frozen=True, slots=True)
class DicomwebScope:
    """The sessions that a base answers for."""

    principal: Principal
    project_id: int | None = None
    """The project whose archive these are, where it is one project's."""

    @property
    def unknown(self) -> AccessDecision:
        """What is said of what is not there, or may not be known: who is not signed in is asked to."""
        return AccessDecision.HIDDEN if self.principal.signed_in else AccessDecision.SIGN_IN


def find_scope(connection: Connection, principal: Principal, project_name: str | None) -> DicomwebScope:
    """The archive of a project; with None archive and prearchive of all that `principal` may look at there.

    AccessDenied: as if there were none for a project of which they may not know; 403 for a token that may not read.
    """
    if project_name is None:
        rights.check_scope(principal, Action.SESSION_READ)
        return DicomwebScope(principal)
    number = rights.check_project(connection, principal, Action.SESSION_READ, project_name)
    return DicomwebScope(principal, number)


def find_study_sessions(
    connection: Connection, scope: DicomwebScope, study_uid: str
) -> list[tuple[SessionRecord, bool]]:
    """The sessions of a scope that a study is in, and whether any of their files is known to be damaged.

    Those of the archive come first: of two copies the first one counts.
    """
    values: dict[str, object] = {"of_study": study_uid}
    if scope.project_id is not None:
        query = _sessions_of_study_in()
        values["of_project"] = scope.project_id
    else:
        who = scope.principal
        query = _sessions_of_study_for(who.account_id, who.door, who.scope, admin=who.admin)
    rows = connection.execute(query, values).mappings()
    if scope.project_id is None:
        return [(SessionRecord.from_row(row), row["has_damage"]) for row in rows]
    # Not in the query: SQLite would read all sessions of the project for it.
    return [
        (SessionRecord.from_row(row), row["has_damage"])
        for row in rows
        if row["project_id"] == scope.project_id and row["place"] == "archive"
    ]


_LISTED: Final = select(dicom_study.c.session_id).where(
    dicom_study.c.study_uid == bindparam("of_study"), dicom_study.c.session_id.is_not(None)
)
"""The sessions of a study. Those of older versions come to be listed in the background; of a project they are found
meanwhile by their own study."""


@lru_cache(maxsize=64)
def _sessions_of_study_for(account_id: int | None, door: Door, scope: Scope, *, admin: bool) -> Select[Any]:
    """The sessions that somebody may look at, which the database finds out each time: the statement names no role."""
    who = Principal(account_id, "", "", admin=admin, scope=scope, door=door)
    is_visible = or_(sessions_where(who), own_where(who))
    return _session_rows().where(session.c.id.in_(_LISTED), is_visible).order_by(session.c.place, session.c.id)


@cache
def _sessions_of_study_in() -> Select[Any]:
    other = session.alias()
    own = select(other.c.id).where(
        other.c.project_id == bindparam("of_project"), other.c.study_uid == bindparam("of_study")
    )
    return _session_rows().where(session.c.id.in_(union(_LISTED, own))).order_by(session.c.place, session.c.id)


def _session_rows() -> Select[Any]:
    has_damage = select(damage.c.id).where(damage.c.tree_id == session.c.tree_id).exists()
    return session_rows().add_columns(has_damage.label("has_damage"))
