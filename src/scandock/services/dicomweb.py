"""What the bases of DICOMweb answer for: the sessions of a project's archive, or all that somebody may look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, bindparam, or_, select, union

from scandock.access.principal import Principal
from scandock.access.visibility import own_where, sessions_where
from scandock.catalog.records import SessionRecord
from scandock.catalog.sessions import session_rows
from scandock.catalog.tables import dicom_study, project, session
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import rights


@dataclass(frozen=True, slots=True)
class DicomwebScope:
    """The sessions that a base answers for."""

    condition: ColumnElement[bool]
    """On `session` joined with its `project`."""
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
        return DicomwebScope(or_(sessions_where(principal), own_where(principal)), principal)
    rights.check(connection, principal, Action.SESSION_READ, project_name)
    number: int = connection.execute(_NUMBER, {"of_key": project_name.casefold()}).scalar_one()
    condition = (session.c.project_id == number) & (session.c.place == "archive")
    return DicomwebScope(condition, principal, number)


def find_study_sessions(connection: Connection, scope: DicomwebScope, study_uid: str) -> list[SessionRecord]:
    """The sessions of a scope that a study is in, those of the archive first: of two copies the first one counts."""
    values: dict[str, object] = {"of_study": study_uid}
    if scope.project_id is not None:
        query = _sessions_of_study_in()
        values["of_project"] = scope.project_id
    else:
        query = _sessions_of_study().where(scope.condition)
    records = [SessionRecord.from_row(row) for row in connection.execute(query, values).mappings()]
    if scope.project_id is None:
        return records
    # Not in the query: SQLite would read all sessions of the project for it.
    return [record for record in records if record.project_id == scope.project_id and record.place == "archive"]


_NUMBER: Final = select(project.c.id).where(project.c.key == bindparam("of_key"))
"""Asked with each request, as are the next: made once, as they take longer to make than to be answered."""


_LISTED: Final = select(dicom_study.c.session_id).where(
    dicom_study.c.study_uid == bindparam("of_study"), dicom_study.c.session_id.is_not(None)
)
"""The sessions of a study. Those of older versions come to be listed in the background; of a project they are found
meanwhile by their own study."""


@cache
def _sessions_of_study() -> Select[Any]:
    return session_rows().where(session.c.id.in_(_LISTED)).order_by(session.c.place, session.c.id)


@cache
def _sessions_of_study_in() -> Select[Any]:
    other = session.alias()
    own = select(other.c.id).where(
        other.c.project_id == bindparam("of_project"), other.c.study_uid == bindparam("of_study")
    )
    return session_rows().where(session.c.id.in_(union(_LISTED, own))).order_by(session.c.place, session.c.id)
