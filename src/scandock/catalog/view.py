"""What the rules ask of the catalog, answered by queries (`scandock.rules.view.CatalogView`)."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select

from scandock.catalog.tables import project, session, subject, subject_patient
from scandock.rules.view import KnownSession, KnownSubject

_KNOWN = (
    session.c.uuid, project.c.name.label("project"), session.c.subject, session.c.label, session.c.study_uid,
    session.c.place, session.c.timestamp, session.c.patient_id, session.c.by_hand, session.c.ecat, session.c.held_code,
)  # fmt: skip


def _known(row: RowMapping) -> KnownSession:
    return KnownSession(
        uuid=row["uuid"],
        project=row["project"],
        subject=row["subject"],
        label=row["label"],
        study_uid=row["study_uid"],
        place=row["place"],
        timestamp=row["timestamp"] or None,
        patient_id=row["patient_id"],
        by_hand=row["by_hand"],
        ecat=row["ecat"],
        held=row["held_code"],
    )


class SqlView:
    """The catalog within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def sessions_of_study(self, project_name: str, study_uid: str) -> list[KnownSession]:
        return self._sessions(project_name, session.c.study_uid == study_uid)

    def sessions_labelled(self, project_name: str, label: str) -> list[KnownSession]:
        return self._sessions(project_name, session.c.key == label.casefold())

    def _sessions(self, project_name: str, condition: ColumnElement[bool]) -> list[KnownSession]:
        rows = self.connection.execute(
            select(*_KNOWN)
            .join(project, project.c.id == session.c.project_id)
            .where(project.c.name == project_name, condition)
            .order_by(session.c.id)
        ).mappings()
        return [_known(row) for row in rows]

    def subject(self, project_name: str, label: str) -> KnownSubject | None:
        """The subject of a label; its patients are those of its sessions, of unheld ones in the prearchive too."""
        of_project = project.c.name == project_name
        row = self.connection.execute(
            select(subject.c.id, subject.c.label)
            .join(project, project.c.id == subject.c.project_id)
            .where(of_project, subject.c.key == label.casefold())
        ).first()
        waiting = self.connection.execute(
            select(session.c.subject, session.c.patient_id)
            .join(project, project.c.id == session.c.project_id)
            .where(
                of_project,
                session.c.place == "prearchive",
                session.c.state == "ready",
                func.lower(session.c.subject) == label.lower(),
            )
            .order_by(session.c.id)
        ).all()
        patients = {row.patient_id for row in waiting if row.patient_id}
        if row is not None:
            patients.update(
                self.connection.execute(
                    select(subject_patient.c.patient_id).where(subject_patient.c.subject_id == row.id)
                ).scalars()
            )
            return KnownSubject(label=row.label, patient_ids=frozenset(patients))
        return KnownSubject(label=waiting[0].subject, patient_ids=frozenset(patients)) if waiting else None

    def timestamp_taken(self, project_name: str, timestamp: str) -> bool:
        return (
            self.connection.execute(
                select(session.c.id)
                .join(project, project.c.id == session.c.project_id)
                .where(
                    project.c.name == project_name,
                    session.c.place == "prearchive",
                    session.c.timestamp == timestamp,
                )
                .limit(1)
            ).first()
            is not None
        )
