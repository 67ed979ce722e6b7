"""Studies that the mapping leaves out: told among the sessions and in the receipt, and stored nowhere."""

from __future__ import annotations

from typing import Any, Final

from scandock.model.verdicts import Verdict
from scandock.pipeline.describe import refused_sessions
from scandock.pipeline.job import Job
from scandock.pipeline.ledger import Ledger
from scandock.rules.mapping import MappingRow, row_for
from scandock.rules.notices import Notice

LEFT_OUT: Final = "left_out"
_WHY: Final = Notice(
    code=LEFT_OUT,
    message="The mapping leaves this study out: nothing of it was stored.",
    remedy="Import again with a mapping that takes it.",
)


def leave_out(
    ledger: Ledger, jobs: list[Job], mapping: tuple[MappingRow, ...]
) -> tuple[list[Job], list[dict[str, Any]], list[int]]:
    """The jobs that stay, the left-out studies as the report shows them, and the mapping's rows that left them out.

    Entries of a left-out study are ignored; its loose files are too, when they are assigned (`assign_others`).
    """
    if not any(row.leave_out for row in mapping):
        return jobs, [], []
    stay, left, rows = [], [], []
    for job in jobs:
        row = row_for(mapping, job.study)
        if row is None or not row.leave_out:
            stay.append(job)
            continue
        rows.append(row.number)
        left.append(job)
        ledger.run(
            "UPDATE entry SET verdict = ?, code = ?, message = '' WHERE verdict <> ?"
            " AND (job = ? OR original IN (SELECT ordinal FROM entry WHERE job = ?))",
            (Verdict.IGNORED, LEFT_OUT, Verdict.REFUSED, job.n, job.n),
        )
    return stay, [told for job in left for told in refused_sessions([job.study.study_uid], _WHY)], rows


def nothing_left() -> Notice:
    """Why an upload is refused of which every study is left out."""
    return Notice(
        code="all_left_out",
        message="The mapping leaves out every study of the archive.",
        remedy="Import it with a mapping that takes some of them.",
    )
