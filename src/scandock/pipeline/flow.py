"""From entries that were read to the outcome: decide, arrange, seal, intend, complete."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, Unpack

from scandock.catalog.audit import audit_conflict_deletion
from scandock.catalog.sessions import note_joined
from scandock.model.crash_points import reach
from scandock.model.errors import BadInput
from scandock.model.import_report import ImportReport, ReportDetails
from scandock.model.imported import ImportedSession
from scandock.model.upload_log import log_step
from scandock.model.verdicts import ImportState, SessionState
from scandock.pipeline.filtered_studies import filtered_study_uids
from scandock.pipeline.import_decision import ImportDecision, ReadingResult, decide_import
from scandock.pipeline.job import ImportContext, Job, JobContext
from scandock.pipeline.ledger import EntryTotals, Ledger
from scandock.pipeline.moved_session import note_not_moved
from scandock.pipeline.receipts import (
    close_verdicts,
    import_outcome,
    record_exceptions,
    upload_warnings,
    write_receipt,
    write_receipt_beside,
)
from scandock.pipeline.scrubbing import scrub_jobs
from scandock.pipeline.session_description import make_session_report, refused_session_reports
from scandock.pipeline.session_trees import build_job_trees, plan_trees
from scandock.pipeline.verdicts import UploadVerdict, refuse_all
from scandock.publishing.areas import check_areas
from scandock.publishing.complete import complete, end_unpublished
from scandock.publishing.intents import record_import
from scandock.queue.cancel import check_not_cancelled
from scandock.rules.notices import Notice
from scandock.store.paths import BIG, ECAT, IMAGES, INNER, LOOSE, REPEATS, SCRUBBED


class Reporter(Protocol):
    """Makes the report of an import, or of an inspection, that now ends so."""

    def __call__(
        self, state: ImportState, code: str, message: str, **details: Unpack[ReportDetails]
    ) -> ImportReport: ...


def decide_and_place(context: ImportContext, reading: ReadingResult, report: Reporter) -> ImportReport:
    """Everything behind the reading. Gives the report of the fixed surface."""
    reading.stage("deciding")
    if context.scrubber is None:  # else most of what is staged goes again before the disk has it
        context.stage.write_back()
    decided = decide_import(context, reading)
    jobs, upload_verdict = decided.jobs, decided.upload_verdict
    if upload_verdict.refused is not None:
        return _end_refused(context, make_refusal_report(context.ledger, upload_verdict, reading, report))
    reading.labels = {job.study.key: job.final_decision.label for job in jobs}
    reach("reserved")
    scrub_jobs(context, decided)
    jobs = decided.jobs
    if upload_verdict.refused is not None:
        return _end_refused(
            context,
            make_refusal_report(context.ledger, upload_verdict, reading, report, sessions=decided.rejected_sessions),
        )
    reach("scrubbed")
    reading.stage("placing")
    plan_trees(context, jobs)
    close_verdicts(context.ledger)
    archive = report(ImportState.PLACED, "", "").archive
    with write_receipt_beside(context, archive, {job.n: job.name for job in jobs}):
        build_job_trees(context, jobs)
    totals = context.ledger.totals()
    record_exceptions(context, totals.counts)
    context.check()
    reading.stage("syncing")
    for scratch in (IMAGES, SCRUBBED, LOOSE, ECAT, BIG, INNER, REPEATS):
        context.stage.remove(scratch)
    context.stage.seal(context.check)
    reach("sealed")
    import_report = report(*import_outcome(jobs, upload_verdict), **_report_details(context, decided, totals))
    return _publish(context, jobs, import_report, reading)


def _report_details(context: JobContext, decided: ImportDecision, totals: EntryTotals) -> ReportDetails:
    """The report's figures, warnings and sessions, those that could not be taken last."""
    return {
        "warnings": upload_warnings(context.ledger, totals, decided.warnings),
        "sessions": [
            *(make_session_report(job, session_state(job), totals.new_files[job.n]) for job in decided.jobs),
            *decided.rejected_sessions,
        ],
        "entries": totals.counts,
        "unpacked": totals.bytes,
        "stored": totals.stored_bytes,
    }


def _publish(
    context: ImportContext, jobs: list[Job], import_report: ImportReport, reading: ReadingResult
) -> ImportReport:
    """Record what will be shown, then show it: from the intents on the import only rolls forward."""
    placements = [job.placement for job in jobs if job.placement is not None]
    removals = [removal for job in jobs for removal in (job.removal, job.moved_removal) if removal is not None]
    context.check()
    with context.catalog.write() as connection:
        check_not_cancelled(context.catalog, connection, context.lease)
        check_areas(connection, context.store)  # again: reading may have taken hours
        record_import(context.catalog, context.store, connection, context.lease, placements, import_report, removals)
        for job in jobs:
            if job.removal is not None and job.removal.row is not None:
                audit_conflict_deletion(context.catalog, connection, context.lease.upload_id, job.removal.row)
                if (uuid := job.session_uuid) is not None:
                    note_joined(context.catalog, connection, job.removal.uuid, uuid)
            if job.moved_removal is not None and not job.moved_removal.stays and job.session_uuid is not None:
                note_joined(context.catalog, connection, job.moved_removal.uuid, job.session_uuid)
    reach("intent")
    log_step("import being placed", context.lease.uuid, sessions=len(placements))
    complete(context.catalog, context.store, context.stage, context.lease)
    return replace(import_report, seconds=reading.seconds())


def session_state(job: Job) -> str:
    """Where the session of a job stands, as the report says it."""
    if job.final_decision.held is not None or (job.base is not None and job.base.state == "conflict"):
        return SessionState.CONFLICT
    return SessionState(job.final_decision.place)


def refuse_import(context: ImportContext, error: BadInput, reading: ReadingResult, report: Reporter) -> ImportReport:
    """Refuse the whole upload for what stopped its reading."""
    return _end_refused(context, refuse_reading(context.ledger, error, reading, report))


def refuse_reading(ledger: Ledger, error: BadInput, reading: ReadingResult, report: Reporter) -> ImportReport:
    """The report of an upload whose reading was stopped; every entry met so far is refused with it."""
    upload_verdict = UploadVerdict(refused=Notice(code=error.code, message=error.message, remedy=error.remedy))
    refuse_all(ledger, upload_verdict)
    return make_refusal_report(ledger, upload_verdict, reading, report)


def make_refusal_report(
    ledger: Ledger,
    upload_verdict: UploadVerdict,
    reading: ReadingResult,
    report: Reporter,
    sessions: list[ImportedSession] | None = None,
) -> ImportReport:
    """The report of an upload that was read and judged to be refused; `sessions` where they differ in why."""
    assert upload_verdict.refused is not None
    close_verdicts(ledger)
    totals = ledger.totals()
    return report(
        *import_outcome([], upload_verdict),
        warnings=upload_warnings(ledger, totals, [*reading.notes, *upload_verdict.warnings]),
        sessions=refused_session_reports(
            [*map(reading.privacy.study_uid, sorted(reading.tallies.study_uids() | filtered_study_uids(ledger)))],
            upload_verdict.refused,
        )
        if sessions is None
        else sessions,
        entries=totals.counts,
        unpacked=totals.bytes,
    )


def _end_refused(context: ImportContext, import_report: ImportReport) -> ImportReport:
    if context.moved is not None:
        note_not_moved(context.catalog, context.moved, import_report)
    write_receipt(context, import_report.archive, {})
    record_exceptions(context, import_report.entries)
    end_unpublished(context.catalog, context.store, context.stage, context.lease, import_report)
    return import_report
