"""From entries that were read to planned sessions: judge, gather, leave out, plan; for an import and for inspect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from scandock.catalog.projects import make_unassigned
from scandock.model.imported import ImportedSession
from scandock.model.importing import Stage
from scandock.model.verdicts import Verdict
from scandock.pipeline.describe import refused_sessions
from scandock.pipeline.gather import gather
from scandock.pipeline.job import Job, Tools
from scandock.pipeline.judge import Judgement, judge, refuse_all
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.plan import plan
from scandock.pipeline.repeats import within_upload
from scandock.pipeline.tallies import Tallies
from scandock.rules.mapping import MappingRow, row_for
from scandock.rules.notices import Notice

LEFT_OUT: Final = "left_out"
_WHY: Final = Notice(
    code=LEFT_OUT,
    message="The mapping leaves this study out: nothing of it was stored.",
    remedy="Import again with a mapping that takes it.",
)


class Listener(Protocol):
    """What the reading left, and who is told of stages."""

    tallies: Tallies
    damages: list[tuple[bytes, str, str]]
    notes: list[Notice]
    labels: dict[str, str]
    """What progress calls the sessions, by study: their patients, until it is decided what they are called."""

    def stage(self, stage: Stage) -> None: ...
    def seconds(self) -> dict[str, float]: ...


@dataclass
class Decided:
    """What becomes of an upload: with `judgement.refused` nothing of it, else its jobs."""

    judgement: Judgement
    jobs: list[Job] = field(default_factory=list)
    untaken: list[ImportedSession] = field(default_factory=list)
    """The reports of the sessions that are left out or cannot be taken."""
    warnings: list[Notice] = field(default_factory=list)


def decide(tools: Tools, heard: Listener) -> Decided:
    """Decide all that can be decided before a byte is placed. Raises Usage as `plan` does."""
    ledger = tools.ledger
    ledger.index()
    judgement = judge(ledger, heard.damages, ignore_unparsable=tools.request.ignore_unparsable)
    if judgement.refused is not None:
        return Decided(judgement)
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
        return Decided(judgement)
    unused = plan(tools, jobs, lambda: make_unassigned(tools.catalog), rows)
    untaken = left + (refused_sessions(lost, judgement.warnings[0]) if lost else [])
    return Decided(judgement, jobs, untaken, [*heard.notes, *judgement.warnings, *unused])


def leave_out(
    ledger: Ledger, jobs: list[Job], mapping: tuple[MappingRow, ...]
) -> tuple[list[Job], list[ImportedSession], list[int]]:
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
