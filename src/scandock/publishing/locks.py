"""Names of locks: what an import or a change holds in `reservation` until it ends. Spelled here, and nowhere else.

Whoever spells one otherwise meets nobody else who holds it: a silent race. So a `LockName` is a string that only the
functions of this module make; for mypy the class is abstract, and a plain string is none (tests/unit/publishing has
both). Labels are compared without case, and so are the locks of labels.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Final, cast

from sqlalchemy import ColumnElement, literal

from scandock.catalog.own_resources import Holder, OwnResources
from scandock.catalog.tables import reservation
from scandock.rules.labels import label_key

if TYPE_CHECKING:

    class LockName(str):
        """The name of a lock; at run time a plain string, as the catalog keeps it."""

        @abstractmethod
        def made_in_publishing_locks(self) -> None: ...

else:
    LockName = str

_TIMESTAMP: Final = "timestamp"


def label_lock(project: str, label: str) -> LockName:
    """Of a session's label in a project, held before a session has it too."""
    return _lock(project, "label", label_key(label))


def subject_lock(project: str, label: str) -> LockName:
    """Of a subject's label in a project."""
    return _lock(project, "subject", label_key(label))


def study_lock(project: str, study_uid: str) -> LockName:
    """Of a study in a project: whoever holds it decides which session it joins."""
    return _lock(project, "study", study_uid)


def timestamp_lock(project: str, timestamp: str) -> LockName:
    """Of a timestamp in a project's prearchive, which no two of its sessions share."""
    return _lock(project, _TIMESTAMP, timestamp)


def timestamp_lock_column(project: ColumnElement[str], timestamp: ColumnElement[str]) -> ColumnElement[str]:
    """`timestamp_lock` as SQL, of columns: to join what waits with who holds it."""
    return project + literal(f"/{_TIMESTAMP}/") + timestamp


def resources_lock(project: str, key: str) -> LockName:
    """Of the resources that a project, or a subject, has of its own; `key` is `OwnResources.key`."""
    return _lock(project, "shelf", key)


def deletion_lock(project: str) -> LockName:
    """Of a project's deletion, held by whoever carries it out."""
    return _lock(project, "deletion")


def session_locks(
    project: str, *, label: str, subject: str, study_uid: str | None, timestamp: str = ""
) -> set[LockName]:
    """The locks of a session of these, whether it is there or to be."""
    locks = {label_lock(project, label), subject_lock(project, subject)}
    if study_uid is not None:
        locks.add(study_lock(project, study_uid))
    if timestamp:
        locks.add(timestamp_lock(project, timestamp))
    return locks


def locks_of(holder: Holder) -> set[LockName]:
    """What nobody else may plan with while a session, or the resources of a project or subject, change."""
    if isinstance(holder, OwnResources):
        return {resources_lock(holder.project, holder.key)}
    return session_locks(
        holder.project,
        label=holder.label,
        subject=holder.subject,
        study_uid=holder.study_uid,
        timestamp=holder.timestamp,
    )


def is_lock_of(project: str) -> ColumnElement[bool]:
    """Whether a row of `reservation` is a lock of a project."""
    return reservation.c.name.startswith(_start(project), autoescape=True)


def _lock(project: str, *rest: str) -> LockName:
    return cast("LockName", _start(project) + "/".join(rest))


def _start(project: str) -> str:
    """How the locks of a project begin. ValueError for a project that would take another one's."""
    if not project or "/" in project:
        raise ValueError(f"not a project: {project[:200]!r}")
    return f"{project}/"
