"""Step 4, its end: warnings of what the project has of each session's patient, study and ECAT files elsewhere.

They change no decision, so they are asked for once all are made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from scandock.catalog.view import SqlView
from scandock.pipeline.job import Job, Tools
from scandock.rules.elsewhere import ecat_elsewhere, many_subjects, waits_elsewhere
from scandock.rules.notices import Notice


def warn_of_others(tools: Tools, jobs: list[Job]) -> None:
    """Add the warnings to the jobs; an inspection asks the catalog of DATA, where it has one."""
    projects: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        projects[job.settled.project].append(job)
    inspected = tools.known is not None
    with (tools.known or tools.catalog).read() as connection:
        view = SqlView(connection, None if inspected else tools.lease.upload_id)
        for project, some in projects.items():
            _patients(view, project, some)
            _ecat_files(view, project, some)
            if inspected:
                _studies(view, project, some)


def _patients(view: SqlView, project: str, jobs: list[Job]) -> None:
    ids = {job.settled.patient_id for job in jobs} - {""}
    subjects = view.subjects_of_patients(project, ids)
    for job in jobs:
        if job.settled.patient_id:
            subjects.setdefault(job.settled.patient_id, set()).add(job.settled.subject)
    for job in jobs:
        decision = job.settled
        _add(job, many_subjects(project, decision.patient_id, decision.subject, subjects.get(decision.patient_id, ())))


def _ecat_files(view: SqlView, project: str, jobs: list[Job]) -> None:
    holders = view.holders_of_ecat(project, {entry.sha256 for job in jobs for entry in job.ecat})
    for job in jobs:
        for entry in job.ecat:
            holders.setdefault(entry.sha256, set()).add(job.settled.label)
    for job in jobs:
        shared = (holders[sha256] for sha256 in sorted({entry.sha256 for entry in job.ecat}))
        _add(job, ecat_elsewhere(project, job.settled.label, shared))


def _studies(view: SqlView, project: str, jobs: Iterable[Job]) -> None:
    """What an import is told as it is decided (`rules.again`); an inspection is decided without any session."""
    for job in jobs:
        if job.study.study_uid is not None:
            known = view.sessions_of_study(project, job.study.study_uid)
            _add(job, waits_elsewhere(job.settled.label, known))


def _add(job: Job, warning: Notice | None) -> None:
    if warning is not None:
        job.warnings.append(warning)
