"""What an archive would become, told without storing anything (inspect): import's own steps, and no byte moves.

The catalog is a scratch one without sessions, so whatever is decided is decided as for an empty DATA.
"""

from __future__ import annotations

from typing import Any, cast

from scandock.pipeline.arrange import Arranger
from scandock.pipeline.decide import Listener, decide
from scandock.pipeline.describe import describe, report_of
from scandock.pipeline.flow import Reporter, report_refused, state_of
from scandock.pipeline.gather import index_folders
from scandock.pipeline.job import Job, Tools
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.others import ResourceKeeper, assign_others
from scandock.pipeline.place import sum_resources
from scandock.pipeline.tell import close_verdicts, entry_bytes, outcome, upload_warnings
from scandock.rules.sop_classes import is_primary
from scandock.store.port import Stage


def survey(tools: Tools, heard: Listener, report: Reporter, ignore_unparsable: bool) -> dict[str, Any]:
    """The report that an import into an empty DATA would give; nothing has a place, so URIs and paths are null.

    Raises Usage as `plan` does.
    """
    heard.stage("deciding")
    ledger = tools.ledger
    decided = decide(tools, heard, ignore_unparsable)
    if decided.judgement.refused is not None:
        return report_refused(ledger, decided.judgement, heard, report)
    _arrange(tools, decided.jobs)
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


def _arrange(tools: Tools, jobs: list[Job]) -> None:
    """Give every entry the scan and resource that it would stand in, and count them."""
    ledger = tools.ledger
    takers = {}
    for job in jobs:
        tools.check()
        arranger = Arranger(ledger, cast("Stage", _Nowhere()), job)
        arranger.begin()
        _place_images(ledger, arranger)
        takers[job.n] = ResourceKeeper(arranger)
    assign_others(ledger, takers, index_folders(ledger), tools.resources)
    for job in jobs:
        sum_resources(job, _sums(ledger, job))
        describe(job, tools.zone, tools.request.said)
        job.files = sum(resource.files for resource in job.resources)
        job.bytes = sum(resource.bytes for resource in job.resources)


def _place_images(ledger: Ledger, arranger: Arranger) -> None:
    """As the arranger places images, from the entries alone: an inspection keeps none of their bytes."""
    job = arranger.job
    separate = job.policy is None or job.policy.separate_secondary
    for series, sop_class in ledger.rows(
        "SELECT DISTINCT series, sop_class FROM entry WHERE job = ? AND content = 'dicom'"
        " AND verdict IN ('', 'conflict') ORDER BY series, sop_class",
        (job.n,),
    ):
        label = "DICOM" if is_primary(sop_class) or not separate else "secondary"
        resource = arranger.resource(job.scan_of[series], label, "", "DICOM")
        ledger.run(
            _STANDS + " WHERE job = ? AND content = 'dicom' AND series = ? AND sop_class = ?"
            " AND verdict IN ('', 'conflict')",
            (resource.n, job.n, series, sop_class),
        )
    for entry in job.ecat:
        if entry.sha256.hex() in job.scan_of:
            resource = arranger.resource(job.scan_of[entry.sha256.hex()], "ECAT", "", "ECAT")
            ledger.run(_STANDS + " WHERE ordinal = ?", (resource.n, entry.ordinal))


_STANDS = (
    "UPDATE entry SET verdict = CASE WHEN verdict = '' THEN 'stored' ELSE verdict END,"
    " code = CASE WHEN code = '' THEN 'stored' ELSE code END, resource_n = ?"
)


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


class _Nowhere:
    """A stage in which nothing stands and nothing moves."""

    def move(self, old: str, new: str) -> None: ...
    def remove(self, rel: str) -> None: ...
    def exists(self, rel: str) -> bool:  # noqa: ARG002
        return False
