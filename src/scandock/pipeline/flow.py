"""From entries that were read to the outcome: decide, arrange, seal, intend, complete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scandock.catalog.trail import note_settled
from scandock.model.errors import BadInput
from scandock.model.points import reach
from scandock.model.upload_steps import log_step
from scandock.model.verdicts import ImportState, SessionState
from scandock.pipeline.decide import Decided, Listener, decide
from scandock.pipeline.describe import refused_sessions, report_of
from scandock.pipeline.job import ImportTools, Job, Tools
from scandock.pipeline.judge import Judgement, refuse_all
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.place import arrange_all
from scandock.pipeline.tell import (
    close_verdicts,
    entry_bytes,
    keep_exceptions,
    outcome,
    upload_warnings,
    write_receipt,
)
from scandock.placing.complete import complete, end_without
from scandock.placing.intents import record
from scandock.placing.stored_folders import check_stored
from scandock.queue.cancel import may_show
from scandock.rules.notices import Notice
from scandock.store.paths import ASIDE, BIG, ECAT, IMAGES, INNER, LOOSE

Reporter = Callable[..., dict[str, Any]]


def decide_and_place(tools: ImportTools, heard: Listener, report: Reporter) -> dict[str, Any]:
    """Everything behind the reading. Gives the report of the fixed surface."""
    heard.stage("deciding")
    tools.stage.write_back()
    decided = decide(tools, heard)
    jobs, judgement = decided.jobs, decided.judgement
    if judgement.refused is not None:
        return _end(tools, report_refused(tools.ledger, judgement, heard, report))
    heard.labels = {job.study.key: job.settled.label for job in jobs}
    reach("reserved")
    heard.stage("placing")
    arrange_all(tools, jobs)
    close_verdicts(tools.ledger)
    write_receipt(tools, str(report(ImportState.PLACED, "", "")["archive"]), {job.n: job.name for job in jobs})
    keep_exceptions(tools)
    tools.check()
    heard.stage("syncing")
    for scratch in (IMAGES, LOOSE, ECAT, BIG, INNER, ASIDE):
        tools.stage.remove(scratch)
    tools.stage.seal()
    reach("sealed")
    made = report(*outcome(jobs, judgement), **_account(tools, decided))
    return _show(tools, jobs, made, heard)


def _account(tools: Tools, decided: Decided) -> dict[str, Any]:
    """The report's figures, warnings and sessions, those that could not be taken last."""
    unpacked, stored = entry_bytes(tools.ledger)
    return {
        "warnings": upload_warnings(tools.ledger, decided.warnings),
        "sessions": [*(report_of(job, state_of(job)) for job in decided.jobs), *decided.untaken],
        "entries": tools.ledger.counts(),
        "unpacked": unpacked,
        "stored": stored,
    }


def _show(tools: ImportTools, jobs: list[Job], made: dict[str, Any], heard: Listener) -> dict[str, Any]:
    """Record what will be shown, then show it: from the intents on the import only rolls forward."""
    placements = [job.placement for job in jobs if job.placement is not None]
    removals = [job.removal for job in jobs if job.removal is not None]
    tools.check()
    with tools.catalog.write() as connection:
        may_show(tools.catalog, connection, tools.lease)
        check_stored(connection, tools.store)  # again: reading may have taken hours
        record(tools.catalog, tools.store, connection, tools.lease, placements, made, removals)
        for removal in removals:
            if removal.row is not None:
                note_settled(tools.catalog, connection, tools.lease.upload_id, removal.row)
    reach("intent")
    log_step("import being placed", tools.lease.uuid, sessions=len(placements))
    complete(tools.catalog, tools.store, tools.stage, tools.lease)
    return {**made, "seconds": heard.seconds()}


def state_of(job: Job) -> str:
    """Where the session of a job stands, as the report says it."""
    if job.settled.held is not None or (job.base is not None and job.base.state == "conflict"):
        return SessionState.CONFLICT
    return SessionState(job.settled.place)


def refuse(tools: ImportTools, error: BadInput, heard: Listener, report: Reporter) -> dict[str, Any]:
    """Refuse the whole upload for what stopped its reading."""
    return _end(tools, refused_report(tools.ledger, error, heard, report))


def refused_report(ledger: Ledger, error: BadInput, heard: Listener, report: Reporter) -> dict[str, Any]:
    """The report of an upload whose reading was stopped; every entry met so far is refused with it."""
    judgement = Judgement(refused=Notice(code=error.code, message=error.message, remedy=error.remedy))
    refuse_all(ledger, judgement)
    return report_refused(ledger, judgement, heard, report)


def report_refused(ledger: Ledger, judgement: Judgement, heard: Listener, report: Reporter) -> dict[str, Any]:
    """The report of an upload that was read and judged to be refused."""
    assert judgement.refused is not None
    close_verdicts(ledger)
    unpacked, _ = entry_bytes(ledger)
    return report(
        *outcome([], judgement),
        warnings=upload_warnings(ledger, [*heard.notes, *judgement.warnings]),
        sessions=refused_sessions(sorted(heard.tallies.study_uids()), judgement.refused),
        entries=ledger.counts(),
        unpacked=unpacked,
    )


def _end(tools: ImportTools, made: dict[str, Any]) -> dict[str, Any]:
    write_receipt(tools, str(made["archive"]), {})
    keep_exceptions(tools)
    end_without(tools.catalog, tools.store, tools.stage, tools.lease, made)
    return made
