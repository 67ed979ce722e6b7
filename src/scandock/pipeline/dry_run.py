"""The dry run of an import (inspect): its own steps up to the plans of its trees, none of which is built.

The catalog is a scratch one without sessions, so whatever is decided is decided as for an empty DATA.
"""

from __future__ import annotations

from dataclasses import replace

from scandock.model.import_report import ImportReport
from scandock.pipeline.flow import Reporter, make_refusal_report, session_state
from scandock.pipeline.import_decision import ReadingResult, decide_import
from scandock.pipeline.job import JobContext
from scandock.pipeline.receipts import close_verdicts, import_outcome, upload_warnings
from scandock.pipeline.session_description import make_session_report
from scandock.pipeline.session_trees import plan_trees
from scandock.rules.notices import make_notice
from scandock.store.null_stage import NullStage


def dry_run(context: JobContext, reading: ReadingResult, report: Reporter) -> ImportReport:
    """The report that an import into an empty DATA would give; nothing has a place, so URIs and paths are null.

    The ledger is one whose bytes were not kept. Raises Usage as `plan` does.
    """
    context = replace(context, stage=NullStage(context.stage.upload, context.stage.token))
    reading.stage("deciding")
    ledger = context.ledger
    decided = decide_import(context, reading)
    if decided.upload_verdict.refused is not None:
        return make_refusal_report(ledger, decided.upload_verdict, reading, report)
    for job in decided.jobs:
        if job.privacy is not None:
            decision = job.final_decision
            job.warnings.append(make_notice("deid_planned", project=decision.project, label=decision.label))
    plan_trees(context, decided.jobs)
    for job in decided.jobs:
        if job.privacy is not None:
            ledger.run(
                "UPDATE entry SET code = 'stored_deid' WHERE job = ? AND content IN ('dicom', 'ecat')"
                " AND verdict = 'stored'",
                (job.n,),
            )
    close_verdicts(ledger)
    totals = ledger.totals()
    reports = [make_session_report(job, session_state(job), totals.new_files[job.n]) for job in decided.jobs]
    sessions = [replace(one, uri=None, path=None) for one in reports]
    return report(
        *import_outcome(decided.jobs, decided.upload_verdict),
        warnings=upload_warnings(ledger, totals, decided.warnings),
        sessions=[*sessions, *decided.rejected_sessions],
        entries=totals.counts,
        unpacked=totals.bytes,
    )
