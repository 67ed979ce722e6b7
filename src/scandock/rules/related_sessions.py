"""What a session shares with others of its project: its patient, its study, its ECAT files. Warnings, and no more."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from scandock.rules.catalog_view import KnownSession
from scandock.rules.labels import label_key
from scandock.rules.notices import Notice, list_names, make_notice


def many_subjects_notice(project: str, patient_id: str, subject: str, subjects: Collection[str]) -> Notice | None:
    """The warning that a patient has more subjects than the one this session goes to; absent PatientIDs have none."""
    others = {label_key(label): label for label in sorted(subjects, reverse=True)}
    others.pop(label_key(subject), None)
    if not patient_id or not others:
        return None
    names = {"project": project, "patient": patient_id, "subject": subject, "others": list_names(others.values())}
    return make_notice("patient_many_subjects", **names)


def patients_dropped_notice() -> Notice:
    """The warning that patients were compared with each other, and with nobody who was there before."""
    return Notice(
        code="patients_dropped",
        message="PatientIDs are not kept, so patients were compared within this upload only.",
        remedy="Check that sessions of one patient have one subject.",
    )


def waiting_elsewhere_notice(label: str, sessions: Iterable[KnownSession], joined: str | None = None) -> Notice | None:
    """The warning that a session's study waits in the prearchive already, under another label.

    `sessions` are the sessions of the study, `joined` the one that this session is added to.
    """
    others = {
        session.label
        for session in sessions
        if session.place == "prearchive" and session.uuid != joined and label_key(session.label) != label_key(label)
    }
    return make_notice("waiting_elsewhere", label=label, others=list_names(others)) if others else None


def ecat_elsewhere_notice(project: str, label: str, holders: Iterable[Collection[str]]) -> Notice | None:
    """The warning that ECAT files of a session are in others too; `holders` are the labels that have each file."""
    shared = [{name for name in labels if label_key(name) != label_key(label)} for labels in holders]
    count = sum(bool(labels) for labels in shared)
    if not count:
        return None
    files = "1 ECAT file" if count == 1 else f"{count} ECAT files"
    others = list_names(set().union(*shared))
    return make_notice("ecat_elsewhere", project=project, label=label, files=files, others=others)
