"""From entries that were read to planned sessions: judge, gather, leave out, plan; for an import and for inspect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Final, Protocol

from scandock.catalog.projects import make_unassigned
from scandock.model.dataclass import dataclass
from scandock.model.import_types import Stage
from scandock.model.imported import ImportedSession
from scandock.model.verdicts import Verdict
from scandock.pipeline.duplicates import mark_duplicates
from scandock.pipeline.filtered_studies import assign_filtered, filter_by_project
from scandock.pipeline.job import Job, JobContext
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.moved_session import carry_words, load_moved_files, unite_studies
from scandock.pipeline.plan import plan_jobs
from scandock.pipeline.session_description import refused_session_reports
from scandock.pipeline.studies import collect_jobs
from scandock.pipeline.tallies import Tallies
from scandock.pipeline.verdicts import UploadVerdict, all_filtered_notice, assign_verdicts, refuse_all
from scandock.rules.mapping import MappingRow, find_row
from scandock.rules.notices import Notice
from scandock.rules.upload_privacy import UploadPrivacy

LEFT_OUT: Final = "left_out"
_WHY: Final = Notice(
    code=LEFT_OUT,
    message="The mapping leaves this study out: nothing of it was stored.",
    remedy="Import again with a mapping that takes it.",
)


class ReadingResult(Protocol):
    """What the reading left, and who is told of stages."""

    tallies: Tallies
    damages: list[tuple[bytes, str, str]]
    notes: list[Notice]
    labels: dict[str, str]
    """What progress calls the sessions, by study: their patients, until it is decided what they are called."""

    privacy: UploadPrivacy
    """What may be told of studies that have no project."""

    def stage(self, stage: Stage) -> None: ...
    def seconds(self) -> dict[str, float]: ...


@dataclass
class ImportDecision:
    """What becomes of an upload: with `judgement.refused` nothing of it, else its jobs."""

    upload_verdict: UploadVerdict
    jobs: list[Job] = field(default_factory=list)
    rejected_sessions: list[ImportedSession] = field(default_factory=list)
    """The reports of the sessions that are left out or cannot be taken."""
    warnings: list[Notice] = field(default_factory=list)


def decide_import(context: JobContext, reading: ReadingResult) -> ImportDecision:
    """Decide all that can be decided before a byte is placed. Raises Usage as `plan` does."""
    ledger = context.ledger
    ledger.index()
    upload_verdict = assign_verdicts(ledger, reading.damages, ignore_unparsable=context.request.ignore_unparsable)
    if upload_verdict.refused is None and (damage := load_moved_files(context)) is not None:
        upload_verdict.refused = damage
        refuse_all(ledger, upload_verdict)
    if upload_verdict.refused is not None:
        return ImportDecision(upload_verdict)
    unite_studies(context, reading.tallies)
    study_uids = reading.tallies.study_uids()
    for container in upload_verdict.containers:
        reading.tallies.drop_under(container)
    lost = sorted(study_uids - reading.tallies.study_uids())
    if ledger.has_filters and not _apply_project_filters(context, reading, upload_verdict):
        return ImportDecision(upload_verdict)
    clashes = mark_duplicates(ledger, context.stage)
    every_job = collect_jobs(ledger, reading.tallies, clashes, context.zone, context.site.placeholders)
    carry_words(context, every_job)
    uid_of = reading.privacy.study_uid
    filtered_reports = assign_filtered(ledger, every_job, uid_of) if ledger.has_filters else []
    jobs, left_out_reports, rows = leave_out(ledger, every_job, context.request.mapping, uid_of)
    if left_out_reports and not jobs:
        upload_verdict.refused = all_left_out_notice()
        refuse_all(ledger, upload_verdict)
        return ImportDecision(upload_verdict)
    jobs, unused = plan_jobs(context, jobs, lambda: make_unassigned(context.catalog), rows)
    untaken = (
        left_out_reports
        + filtered_reports
        + (refused_session_reports([*map(uid_of, lost)], upload_verdict.warnings[0]) if lost else [])
    )
    return ImportDecision(upload_verdict, jobs, untaken, [*reading.notes, *upload_verdict.warnings, *unused])


def _apply_project_filters(context: JobContext, reading: ReadingResult, upload_verdict: UploadVerdict) -> bool:
    """Have each study's project filter it; False, with the upload refused, where nothing is left."""
    if filter_by_project(context, reading.tallies):
        return True
    upload_verdict.refused = all_filtered_notice()
    refuse_all(context.ledger, upload_verdict)
    return False


def leave_out(
    ledger: Ledger, jobs: list[Job], mapping: tuple[MappingRow, ...], uid_of: Callable[[str], str]
) -> tuple[list[Job], list[ImportedSession], list[int]]:
    """The jobs that stay, the left-out studies as the report shows them, and the mapping's rows that left them out.

    `uid_of` says by which UID a study is told of.

    Entries of a left-out study are ignored; its loose files are too, when they are assigned (`assign_others`).
    """
    if not any(row.leave_out for row in mapping):
        return jobs, [], []
    remaining, left_out_jobs, rows = [], [], []
    for job in jobs:
        row = find_row(mapping, job.study)
        if row is None or not row.leave_out:
            remaining.append(job)
            continue
        rows.append(row.number)
        left_out_jobs.append(job)
        ledger.run(
            "UPDATE entry SET verdict = ?, code = ?, message = '' WHERE verdict <> ?"
            " AND (job = ? OR original IN (SELECT ordinal FROM entry WHERE job = ?))",
            (Verdict.IGNORED, LEFT_OUT, Verdict.REFUSED, job.n, job.n),
        )
    return (
        remaining,
        [
            report
            for job in left_out_jobs
            for report in refused_session_reports([job.study.study_uid and uid_of(job.study.study_uid)], _WHY)
        ],
        rows,
    )


def all_left_out_notice() -> Notice:
    """Why an upload is refused of which every study is left out."""
    return Notice(
        code="all_left_out",
        message="The mapping leaves out every study of the archive.",
        remedy="Import it with a mapping that takes some of them.",
    )
