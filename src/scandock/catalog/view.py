"""What the rules ask of the catalog, answered by queries (`scandock.rules.catalog_view.CatalogView`)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, func, or_, select

from scandock.catalog.assessors import archived_assessors_labelled
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import gradual_upload, reception
from scandock.catalog.session_lookups import (
    select_holders_of_ecat,
    select_holders_of_origins,
    select_subjects_of_patients,
    select_subjects_of_tokens,
    split_values,
)
from scandock.catalog.sessions import session_rows
from scandock.catalog.tables import project, scan, session, subject, subject_patient, tree, upload
from scandock.catalog.trees import files_of, scans_of
from scandock.model.series import SERIES_KEYS, SeriesTally
from scandock.model.verdicts import UNFINISHED
from scandock.rules.catalog_view import KnownSession, KnownSubject
from scandock.rules.labels import UNASSIGNED, label_key
from scandock.rules.patients import fold_name
from scandock.rules.petmr import Side
from scandock.rules.privacy import is_token


def trees_of_account(account_id: int) -> Select[tuple[int]]:
    """The trees that uploads of an account have made."""
    return (
        select(tree.c.id)
        .join(reception, reception.c.upload_id == tree.c.upload_id)
        .where(reception.c.account_id == account_id)
    )


_SUBJECT: Final = (
    select(subject.c.id, subject.c.label)
    .join(project, project.c.id == subject.c.project_id)
    .where(project.c.name == bindparam("project_name"), subject.c.key == bindparam("label"))
)


_PATIENT: Final = func.coalesce(func.nullif(session.c.patient_key, ""), session.c.patient_id)
"""Who a session is of: by the token of its patient, where its objects were de-identified."""


_WAITING_SUBJECTS: Final = (
    select(session.c.subject, _PATIENT.label("patient_id"), session.c.attributes)
    .join(project, project.c.id == session.c.project_id)
    .where(
        project.c.name == bindparam("project_name"),
        session.c.place == "prearchive",
        session.c.state == "ready",
        func.lower(session.c.subject).in_(bindparam("keys", expanding=True)),
    )
    .order_by(session.c.id)
)


@cache
def _sessions_by(column: str) -> Select[Any]:
    of_project = project.c.name == bindparam("project_name")
    return session_rows().where(of_project, session.c[column] == bindparam("value")).order_by(session.c.id)


@cache
def _series_by_study() -> Select[Any]:
    return (
        select(scan.c.series_uid, session.c.side)
        .join(session, session.c.tree_id == scan.c.tree_id)
        .join(project, project.c.id == session.c.project_id)
        .where(
            project.c.name == bindparam("project_name"),
            session.c.study_uid == bindparam("value"),
            session.c.side != "",
            scan.c.series_uid.is_not(None),
        )
        .order_by(session.c.id.desc())
    )


@cache
def _trees_of_keys() -> Select[Any]:
    return (
        select(session.c.tree_id, session.c.side)
        .join(project, project.c.id == session.c.project_id)
        .where(
            project.c.name == bindparam("project_name"),
            or_(
                session.c.study_key.in_(bindparam("study_keys", expanding=True)),
                session.c.study_uid.in_(bindparam("study_uids", expanding=True)),
            ),
            session.c.side != "",
        )
        .order_by(session.c.id)
    )


@cache
def _trees_by_key() -> Select[Any]:
    return (
        select(session.c.tree_id, session.c.side)
        .join(project, project.c.id == session.c.project_id)
        .where(
            project.c.name == bindparam("project_name"),
            session.c.study_key == bindparam("value"),
            session.c.side != "",
        )
        .order_by(session.c.id.desc())
    )


def _subject_rows(project_name: str, keys: Collection[str]) -> Select[Any]:
    """The subjects of some keys, a row for each of their patients, or one without."""
    return (
        select(subject.c.key, subject.c.label, subject_patient.c.patient_id)
        .join(project, project.c.id == subject.c.project_id)
        .outerjoin(subject_patient, subject_patient.c.subject_id == subject.c.id)
        .where(project.c.name == project_name, subject.c.key.in_(keys))
    )


def _archived_names(project_name: str, keys: Collection[str]) -> Select[Any]:
    """The attributes of the archived sessions of the subjects of some keys."""
    return (
        select(subject.c.key, session.c.attributes)
        .join(project, project.c.id == subject.c.project_id)
        .join(session, session.c.subject_id == subject.c.id)
        .where(project.c.name == project_name, subject.c.key.in_(keys), session.c.place == "archive")
    )


def _patient_name(attributes: str) -> str:
    """The PatientName that a session's attributes say, as names are compared; "" where they say none."""
    return fold_name(json.loads(attributes).get("dcmPatientName", ""))


class SqlView:
    """The catalog within one transaction, which changes no session while it asks; what it found once it knows.

    `upload_id` is the upload that this is for, or that brought what is moved.
    `account_id`: the account that asks what an upload of it would see.
    In `Unassigned` the account's own sessions and subjects are all that is seen: nobody may join a stranger's session,
    or hear which subjects strangers have there.
    """

    def __init__(
        self,
        connection: Connection,
        upload_id: int | None = None,
        *,
        account_id: int | None = None,
        without: str | None = None,
    ) -> None:
        """`without`: the UUID of a session that this does not see, as it moves."""
        self.connection = connection
        self._upload_id = upload_id
        self._account_id = account_id
        self._without = without
        self._known: dict[tuple[str, str, str], list[KnownSession]] = {}
        self._subjects: dict[tuple[str, str], KnownSubject | None] = {}

    def sessions_of_study(self, project_name: str, study_uid: str) -> list[KnownSession]:
        return self._sessions(project_name, "study_uid", study_uid)

    def series_of_study(self, project_name: str, study_uid: str) -> dict[str, Side]:
        query = self._seen(project_name, _series_by_study())
        rows = self.connection.execute(query, {"project_name": project_name, "value": study_uid})
        return {row.series_uid: row.side for row in rows}

    def sessions_of_key(self, project_name: str, study_key: str) -> list[KnownSession]:
        """All sessions of a study in a project, by the keyed hash of what it was before it was de-identified."""
        return self._sessions(project_name, "study_key", study_key)

    def origins_of_sides(
        self, project_name: str, study_keys: Collection[str], study_uids: Collection[str]
    ) -> Iterator[tuple[bytes, Side]]:
        """The origins of the files that sessions of one side have of a study, with that side.

        By its keyed hashes, or by the UIDs that it may have now.
        """
        query = self._seen(project_name, _trees_of_keys())
        values = {"project_name": project_name, "study_keys": list(study_keys), "study_uids": list(study_uids)}
        for row in self.connection.execute(query, values).all():
            for file_row in files_of(self.connection, row.tree_id):
                if file_row.origin is not None:
                    yield file_row.origin, row.side

    def series_keys_of_sides(self, project_name: str, study_key: str) -> Iterator[tuple[str, Side]]:
        """The keyed hashes of the series that sessions of one side have of a study, with that side."""
        query = self._seen(project_name, _trees_by_key())
        rows = self.connection.execute(query, {"project_name": project_name, "value": study_key}).all()
        for row in rows:
            for scan_row in scans_of(self.connection, row.tree_id):
                if isinstance(scan_row.facts, SeriesTally):
                    for key in filter(None, scan_row.facts.nested.get(SERIES_KEYS, "").split("\\")):
                        yield key, row.side

    def sessions_labelled(self, project_name: str, label: str) -> list[KnownSession]:
        sessions = self._sessions(project_name, "key", label.casefold())
        return [*sessions, *self._assessors(project_name, label)]

    def _assessors(self, project_name: str, label: str) -> list[KnownSession]:
        key = (project_name, "assessor", label)
        if key not in self._known:
            self._known[key] = self._find_assessors(project_name, label)
        return self._known[key]

    def _find_assessors(self, project_name: str, label: str) -> list[KnownSession]:
        rows = archived_assessors_labelled(self.connection, project_name, label)
        return [
            KnownSession(
                uuid=row.uuid,
                project=project_name,
                subject=row.subject,
                label=row.label,
                study_uid=None,
                place="archive",
                is_assessor=True,
            )
            for row in rows
        ]

    def _sessions(self, project_name: str, column: str, value: str) -> list[KnownSession]:
        key = (project_name, column, value)
        if key not in self._known:
            query = self._seen(project_name, _sessions_by(column))
            rows = self.connection.execute(query, {"project_name": project_name, "value": value})
            self._known[key] = [SessionRecord.from_row(row).known for row in rows.mappings()]
        return list(self._known[key])

    def _seen(self, project_name: str, query: Select[Any]) -> Select[Any]:
        """A query of sessions as it is, or only of those that are seen here."""
        apart = self._apart(project_name)
        return query if apart is None else query.where(apart)

    def _apart(self, project_name: str) -> ColumnElement[bool] | None:
        """Whether sessions are seen here: in `Unassigned` those that came from the account that this is for.

        None where all are seen: an upload of the command line has no account.
        """
        of_account = self._of_account(project_name)
        if self._without is None:
            return of_account
        others = session.c.uuid != self._without
        return others if of_account is None else and_(of_account, others)

    def _of_account(self, project_name: str) -> ColumnElement[bool] | None:
        if project_name != UNASSIGNED:
            return None
        if self._account_id is not None:
            return session.c.tree_id.in_(trees_of_account(self._account_id))
        if self._upload_id is None:
            return None
        query = select(reception.c.account_id).where(reception.c.upload_id == self._upload_id)
        account_id: int | None = self.connection.execute(query).scalar_one_or_none()
        return None if account_id is None else session.c.tree_id.in_(trees_of_account(account_id))

    def _here(self, project_name: str) -> ColumnElement[bool]:
        """Whether a session is one of a project, and seen here."""
        of_project = project.c.name == project_name
        apart = self._apart(project_name)
        return of_project if apart is None else and_(of_project, apart)

    def subject(self, project_name: str, label: str) -> KnownSubject | None:
        """The subject of a label; its patients are those of its sessions, of unheld ones in the prearchive too.

        In `Unassigned` no subject has a row: one is what its uploader's sessions there say.
        """
        key = (project_name, label)
        if key not in self._subjects:
            self._subjects[key] = self._find_subject(project_name, label)
        return self._subjects[key]

    def _find_subject(self, project_name: str, label: str) -> KnownSubject | None:
        row = self.connection.execute(_SUBJECT, {"project_name": project_name, "label": label.casefold()}).first()
        waiting = self._waiting_subjects(project_name, [label.lower()])
        patients = {row.patient_id for row in waiting if row.patient_id}
        if row is not None:
            patients.update(
                self.connection.execute(
                    select(subject_patient.c.patient_id).where(subject_patient.c.subject_id == row.id)
                ).scalars()
            )
            return KnownSubject(label=row.label, patient_ids=frozenset(patients))
        return KnownSubject(label=waiting[0].subject, patient_ids=frozenset(patients)) if waiting else None

    def subjects_labelled(self, project_name: str, labels: Collection[str]) -> dict[str, KnownSubject]:
        """The subjects of some labels, by their keys: as `subject` has them, and with the names of their patients."""
        found: dict[str, KnownSubject] = {}
        for keys in split_values({label_key(label) for label in labels}):
            patients: dict[str, set[str]] = defaultdict(set)
            names: dict[str, set[str]] = defaultdict(set)
            spelled: dict[str, str] = {}
            for row in self._waiting_subjects(project_name, keys):
                spelled.setdefault(label_key(row.subject), row.subject)
                patients[label_key(row.subject)].add(row.patient_id)
                names[label_key(row.subject)].add(_patient_name(row.attributes))
            for row in self.connection.execute(_subject_rows(project_name, keys)):
                spelled[row.key] = row.label
                patients[row.key].add(row.patient_id or "")
            for row in self.connection.execute(_archived_names(project_name, keys)):
                names[row.key].add(_patient_name(row.attributes))
            for key, label in spelled.items():
                found[key] = KnownSubject(
                    label=label,
                    patient_ids=frozenset(patients[key] - {""}),
                    patient_names=frozenset(names[key] - {""}),
                )
        return found

    def _waiting_subjects(self, project_name: str, keys: Collection[str]) -> Sequence[Row[Any, Any, Any]]:
        """What unheld sessions in the prearchive say of the subjects of some keys."""
        query = self._seen(project_name, _WAITING_SUBJECTS)
        return self.connection.execute(query, {"project_name": project_name, "keys": list(keys)}).all()

    def subjects_of_patients(self, project_name: str, patient_ids: Collection[str]) -> dict[str, set[str]]:
        """The subjects of a project that each patient has, by PatientID, or by its token."""
        subjects: dict[str, set[str]] = {}
        where = self._here(project_name)
        tokens = {patient_id for patient_id in patient_ids if is_token(patient_id)}
        queries = [select_subjects_of_patients(some, where) for some in split_values(set(patient_ids) - tokens)]
        queries += [select_subjects_of_tokens(some, where) for some in split_values(tokens)]
        for query in queries:
            for row in self.connection.execute(query):
                subjects.setdefault(row.patient_id, set()).add(row.subject)
        return subjects

    def holders_of_ecat(self, project_name: str, digests: Collection[bytes]) -> dict[bytes, set[str]]:
        """The labels of the sessions of a project that hold each ECAT file, by the file's sha256."""
        labels: dict[bytes, set[str]] = {}
        where = self._here(project_name)
        for some in split_values(digests):
            for row in self.connection.execute(select_holders_of_ecat(some, where)):
                labels.setdefault(row.sha256, set()).add(row.label)
        return labels

    def holders_of_origins(self, project_name: str, origins: Collection[bytes]) -> dict[bytes, set[str]]:
        """The labels of the sessions that hold what each ECAT file became, by the file's origin."""
        labels: dict[bytes, set[str]] = {}
        where = self._here(project_name)
        for some in split_values(origins):
            for row in self.connection.execute(select_holders_of_origins(some, where)):
                labels.setdefault(row.sha256, set()).add(row.label)
        return labels

    def is_timestamp_taken(self, project_name: str, timestamp: str) -> bool:
        query = (
            select(session.c.id)
            .join(project, project.c.id == session.c.project_id)
            .where(project.c.name == project_name, session.c.place == "prearchive", session.c.timestamp == timestamp)
            .limit(1)
        )
        if self._without is not None:
            query = query.where(session.c.uuid != self._without)
        return self.connection.execute(query).first() is not None or self._is_promised(project_name, timestamp)

    def _is_promised(self, project_name: str, timestamp: str) -> bool:
        """Whether senders of single objects were told that their session, which is still to be built, stands there."""
        values = {"project_name": project_name, "value": timestamp}
        return self.connection.execute(_select_promises("timestamp"), values).first() is not None

    def promised_sessions(self, project_name: str, *, label: str = "", study_uid: str = "") -> list[KnownSession]:
        """Sessions of a label, or of a study, that are still to be built of single objects, the first one first."""
        query = _select_promises("key" if label else "study_uid")
        values = {"project_name": project_name, "value": label_key(label) if label else study_uid}
        rows = self.connection.execute(query, values).all()
        if rows and project_name == UNASSIGNED:
            account_id = self._find_account()
            rows = [row for row in rows if row.account_id == account_id]
        return [
            KnownSession(
                uuid="",
                project=project_name,
                subject=row.subject,
                label=row.label,
                study_uid=row.study_uid,
                place="prearchive",
                timestamp=row.timestamp,
            )
            for row in rows
            if not study_uid or row.study_uid == study_uid
        ]

    def _find_account(self) -> int | None:
        """The account who asks, or whose upload this is."""
        if self._account_id is not None:
            return self._account_id
        query = select(reception.c.account_id).where(reception.c.upload_id == self._upload_id)
        return self.connection.execute(query).scalar()


@cache
def _select_promises(column: str) -> Select[Any]:
    """Sessions in a project that are still to be built of single objects, by one of their columns."""
    return (
        select(
            gradual_upload.c.subject,
            gradual_upload.c.label,
            gradual_upload.c.study_uid,
            gradual_upload.c.timestamp,
            reception.c.account_id,
        )
        .join(project, project.c.id == gradual_upload.c.project_id)
        .join(upload, upload.c.id == gradual_upload.c.upload_id)
        .join(reception, reception.c.upload_id == gradual_upload.c.upload_id)
        .where(
            project.c.name == bindparam("project_name"),
            gradual_upload.c[column] == bindparam("value"),
            upload.c.state.in_(UNFINISHED),
        )
        .order_by(gradual_upload.c.upload_id)
    )
