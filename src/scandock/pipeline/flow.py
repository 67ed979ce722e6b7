"""From entries that were read to the outcome: judge, gather, plan, arrange, seal, intend, complete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from scandock.catalog.projects import make_unassigned
from scandock.model.errors import BadInput
from scandock.model.importing import Stage
from scandock.model.points import reach
from scandock.model.verdicts import ImportState, SessionState
from scandock.pipeline.describe import refused_sessions, report_of
from scandock.pipeline.gather import gather
from scandock.pipeline.job import Job, Tools
from scandock.pipeline.judge import Judgement, judge, refuse_all
from scandock.pipeline.leaving import leave_out, nothing_left
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.place import arrange_all
from scandock.pipeline.plan import plan
from scandock.pipeline.repeats import ASIDE, within_upload
from scandock.pipeline.tallies import Tallies
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
from scandock.queue.cancel import may_show
from scandock.rules.notices import Notice

Reporter = Callable[..., dict[str, Any]]


class Listener(Protocol):
    """What the reading left, and who is told of stages."""

    tallies: Tallies
    damages: list[tuple[bytes, str, str]]
    notes: list[Notice]
    labels: dict[str, str]
    """What progress calls the sessions, by study: their patients, until it is decided what they are called."""

    def stage(self, stage: Stage) -> None: ...
    def seconds(self) -> dict[str, float]: ...


def decide_and_place(tools: Tools, heard: Listener, report: Reporter, ignore_unparsable: bool) -> dict[str, Any]:
    """Everything behind the reading. Gives the report of the fixed surface."""
    heard.stage("deciding")
    tools.stage.write_back()
    ledger = tools.ledger
    ledger.index()
    judgement = judge(ledger, heard.damages, ignore_unparsable=ignore_unparsable)
    if judgement.refused is not None:
        return _end(tools, report_refused(ledger, judgement, heard, report))
    every = heard.tallies.study_uids()
    for container in judgement.containers:
        heard.tallies.drop_under(container)
    lost = sorted(every - heard.tallies.study_uids())
    clashes = within_upload(ledger, tools.stage)
    every_job = gather(ledger, heard.tallies, clashes, tools.zone, tools.site.placeholders)
    jobs, left, rows = leave_out(ledger, every_job, tools.request.mapping)
    if left and not jobs:
        judgement.refused = nothing_left()
        refuse_all(ledger, judgement)
        return _end(tools, report_refused(ledger, judgement, heard, report))
    unused = plan(tools, jobs, lambda: make_unassigned(tools.catalog), rows)
    warnings = [*heard.notes, *judgement.warnings, *unused]
    heard.labels = {job.study.key: job.settled.label for job in jobs}
    reach("reserved")
    heard.stage("placing")
    arrange_all(tools, jobs)
    close_verdicts(ledger)
    write_receipt(tools, str(report(ImportState.PLACED, "", "")["archive"]), {job.n: job.name for job in jobs})
    keep_exceptions(tools)
    tools.check()
    heard.stage("syncing")
    for scratch in ("in", "loose", "ecat", "big", "inner", ASIDE):
        tools.stage.remove(scratch)
    tools.stage.seal()
    reach("sealed")
    refused = left + (refused_sessions(lost, judgement.warnings[0]) if lost else [])
    made = report(*outcome(jobs, judgement), **_account(tools, jobs, warnings, refused))
    return _show(tools, jobs, made, heard)


def _account(tools: Tools, jobs: list[Job], warnings: list[Notice], refused: list[dict[str, Any]]) -> dict[str, Any]:
    """The report's figures, warnings and sessions, those that could not be taken last."""
    unpacked, stored = entry_bytes(tools.ledger)
    return {
        "warnings": upload_warnings(tools.ledger, warnings),
        "sessions": [*(report_of(job, state_of(job)) for job in jobs), *refused],
        "entries": tools.ledger.counts(),
        "unpacked": unpacked,
        "stored": stored,
    }


def _show(tools: Tools, jobs: list[Job], made: dict[str, Any], heard: Listener) -> dict[str, Any]:
    """Record what will be shown, then show it: from the intents on the import only rolls forward."""
    placements = [job.placement for job in jobs if job.placement is not None]
    tools.check()
    with tools.catalog.write() as connection:
        may_show(tools.catalog, connection, tools.lease)
        record(tools.catalog, tools.store, connection, tools.lease, placements, made)
    reach("intent")
    complete(tools.catalog, tools.store, tools.stage, tools.lease)
    return {**made, "seconds": heard.seconds()}


def state_of(job: Job) -> str:
    """Where the session of a job stands, as the report says it."""
    if job.settled.held is not None or (job.base is not None and job.base.state == "conflict"):
        return SessionState.CONFLICT
    return SessionState(job.settled.place)


def refuse(tools: Tools, error: BadInput, heard: Listener, report: Reporter) -> dict[str, Any]:
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


def _end(tools: Tools, made: dict[str, Any]) -> dict[str, Any]:
    write_receipt(tools, str(made["archive"]), {})
    keep_exceptions(tools)
    end_without(tools.catalog, tools.store, tools.stage, tools.lease, made)
    return made
