"""What a session shares with others of its project: its patient, its study, its ECAT files. Warnings, and no more."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from scandock.rules.labels import label_key
from scandock.rules.notices import Notice, named, notice
from scandock.rules.view import KnownSession


def many_subjects(project: str, patient_id: str, subject: str, subjects: Collection[str]) -> Notice | None:
    """The warning that a patient has more subjects than the one this session goes to; absent PatientIDs have none."""
    others = {label_key(label): label for label in sorted(subjects, reverse=True)}
    others.pop(label_key(subject), None)
    if not patient_id or not others:
        return None
    said = {"project": project, "patient": patient_id, "subject": subject, "others": named(others.values())}
    return notice("patient_many_subjects", **said)


def waits_elsewhere(label: str, known: Iterable[KnownSession], joined: str | None = None) -> Notice | None:
    """The warning that a session's study waits in the prearchive already, under another label.

    `known` are the sessions of the study, `joined` the one that this session is added to.
    """
    others = {
        session.label
        for session in known
        if session.place == "prearchive" and session.uuid != joined and label_key(session.label) != label_key(label)
    }
    return notice("waiting_elsewhere", label=label, others=named(others)) if others else None


def ecat_elsewhere(project: str, label: str, holders: Iterable[Collection[str]]) -> Notice | None:
    """The warning that ECAT files of a session are in others too; `holders` are the labels that have each file."""
    shared = [{name for name in labels if label_key(name) != label_key(label)} for labels in holders]
    count = sum(bool(labels) for labels in shared)
    if not count:
        return None
    files = "1 ECAT file" if count == 1 else f"{count} ECAT files"
    others = named(set().union(*shared))
    return notice("ecat_elsewhere", project=project, label=label, files=files, others=others)
