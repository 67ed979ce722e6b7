"""The dry run of an import (inspect): its own steps against a stage that keeps nothing, and nothing is written down.

The catalog is a scratch one without sessions, so whatever is decided is decided as for an empty DATA.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scandock.pipeline.decide import Listener, decide
from scandock.pipeline.describe import describe, report_of
from scandock.pipeline.flow import Reporter, report_refused, state_of
from scandock.pipeline.job import Job, Tools
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.place import arrange_files, sum_resources
from scandock.pipeline.tell import close_verdicts, entry_bytes, outcome, upload_warnings
from scandock.store.null_stage import NullStage


def dry_run(tools: Tools, heard: Listener, report: Reporter) -> dict[str, Any]:
    """The report that an import into an empty DATA would give; nothing has a place, so URIs and paths are null.

    The ledger is one whose bytes were not kept. Raises Usage as `plan` does.
    """
    tools = replace(tools, stage=NullStage(tools.stage.upload, tools.stage.token))
    heard.stage("deciding")
    ledger = tools.ledger
    decided = decide(tools, heard)
    if decided.judgement.refused is not None:
        return report_refused(ledger, decided.judgement, heard, report)
    arrange_files(tools, decided.jobs)
    for job in decided.jobs:
        _describe(tools, job)
    close_verdicts(ledger)
    unpacked, _ = entry_bytes(ledger)
    sessions = [{**report_of(job, state_of(job)), "uri": None, "path": None} for job in decided.jobs]
    return report(
        *outcome(decided.jobs, decided.judgement),
        warnings=upload_warnings(ledger, decided.warnings),
        sessions=[*sessions, *decided.untaken],
        entries=ledger.counts(),
        unpacked=unpacked,
    )


def _describe(tools: Tools, job: Job) -> None:
    """Sums, types and attributes of a job's session, from its entries: an import has them from the rows of its tree."""
    sum_resources(job, _sums(tools.ledger, job))
    describe(job, tools.zone, tools.request.said)
    job.files = sum(resource.files for resource in job.resources)
    job.bytes = sum(resource.bytes for resource in job.resources)


def _sums(ledger: Ledger, job: Job) -> dict[int, tuple[int, int, int]]:
    """(files, bytes, frames) of each resource."""
    return {
        n: (files, size, frames)
        for n, files, size, frames in ledger.rows(
            "SELECT resource_n, COUNT(*), SUM(size), SUM(frames) FROM entry WHERE job = ? AND resource_n IS NOT NULL"
            " AND verdict IN ('stored', 'conflict', 'resource') GROUP BY resource_n",
            (job.n,),
        )
    }
