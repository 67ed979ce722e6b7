"""The dry run of an import (inspect): its own steps up to the plans of its trees, none of which is built.

The catalog is a scratch one without sessions, so whatever is decided is decided as for an empty DATA.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scandock.pipeline.decide import Listener, decide
from scandock.pipeline.describe import report_of
from scandock.pipeline.flow import Reporter, report_refused, state_of
from scandock.pipeline.job import Tools
from scandock.pipeline.place import plan_trees
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
    plan_trees(tools, decided.jobs)
    close_verdicts(ledger)
    unpacked, _ = entry_bytes(ledger)
    sessions = [replace(report_of(job, state_of(job)), uri=None, path=None) for job in decided.jobs]
    return report(
        *outcome(decided.jobs, decided.judgement),
        warnings=upload_warnings(ledger, decided.warnings),
        sessions=[*sessions, *decided.untaken],
        entries=ledger.counts(),
        unpacked=unpacked,
    )
