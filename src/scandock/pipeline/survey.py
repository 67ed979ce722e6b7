"""What an archive would become, told without storing anything and without a catalog (inspect)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from scandock.catalog.trees import ResourceRow, ScanRow
from scandock.model.verdicts import SessionState
from scandock.pipeline.describe import describe, refused_sessions, report_of
from scandock.pipeline.flow import Listener, Reporter
from scandock.pipeline.gather import gather, index_folders
from scandock.pipeline.job import Job
from scandock.pipeline.judge import Judgement, judge
from scandock.pipeline.keep import Keeper
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.others import assign_others
from scandock.pipeline.repeats import within_upload
from scandock.pipeline.scans import allot_scans
from scandock.pipeline.tell import close_verdicts, entry_bytes, outcome, upload_warnings
from scandock.rules.again import hold
from scandock.rules.mapping import unused_rows
from scandock.rules.naming import name_study
from scandock.rules.notices import notice
from scandock.rules.policy import ProjectPolicy, Request, SiteRules
from scandock.rules.settle import settle
from scandock.rules.sop_classes import is_primary
from scandock.rules.view import KnownSession, KnownSubject


class EmptyView:
    """A catalog that knows nothing."""

    def sessions_of_study(self, project: str, study_uid: str) -> list[KnownSession]:  # noqa: ARG002
        return []

    def sessions_labelled(self, project: str, label: str) -> list[KnownSession]:  # noqa: ARG002
        return []

    def subject(self, project: str, label: str) -> KnownSubject | None:  # noqa: ARG002
        return None

    def timestamp_taken(self, project: str, timestamp: str) -> bool:  # noqa: ARG002
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """By what an inspection decides."""

    request: Request
    site: SiteRules
    zone: tzinfo
    started: datetime
    resources: str
    ignore_unparsable: bool


def survey(ledger: Ledger, stage: Keeper, heard: Listener, wish: Wish, report: Reporter) -> dict[str, Any]:
    """The report that an import into an empty DATA would give; nothing has a place, so URIs and paths are null."""
    heard.stage("deciding")
    ledger.index()
    judgement = judge(ledger, heard.damages, ignore_unparsable=wish.ignore_unparsable)
    jobs: list[Job] = []
    every = heard.tallies.study_uids()
    warnings = [*heard.notes, *judgement.warnings]
    if judgement.refused is None:
        for container in judgement.containers:
            heard.tallies.drop_under(container)
        clashes = within_upload(ledger, stage)
        jobs = gather(ledger, heard.tallies, clashes, wish.zone, wish.site.placeholders)
        _decide(jobs, wish)
        for job in jobs:
            allot_scans(ledger, job)
            _count(ledger, job)
        assign_others(ledger, {job.n: _Loose(ledger, job) for job in jobs}, index_folders(ledger), wish.resources)
        for job in jobs:
            describe(job, wish.zone)
            job.files = sum(resource.files for resource in job.resources)
            job.bytes = sum(resource.bytes for resource in job.resources)
        used = [job.naming.mapping_row for job in jobs if job.naming is not None]
        warnings.extend(unused_rows(wish.request.mapping, used))
    close_verdicts(ledger)
    state, code, message = outcome(jobs, judgement)
    unpacked, _ = entry_bytes(ledger)
    return report(
        state,
        code,
        message,
        warnings=upload_warnings(ledger, warnings),
        sessions=[*(_shown(job, wish.request) for job in jobs), *_refused(every, jobs, judgement)],
        entries=ledger.counts(),
        unpacked=unpacked,
    )


def _decide(jobs: list[Job], wish: Wish) -> None:
    namings = []
    for job in jobs:
        job.naming = name_study(job.study, wish.request, wish.site, lambda name: name == wish.request.project)
        namings.append(job.naming)
    policies = {wish.request.project: ProjectPolicy(id=wish.request.project)} if wish.request.project else {}
    view = EmptyView()
    decisions = settle(namings, [job.study for job in jobs], wish.request, policies, view, wish.started)
    for job, decision in zip(jobs, decisions, strict=True):
        job.decision = decision
        if job.clashes.sops:
            why = notice("sop_clash", label=decision.label, count=len(job.clashes.sops))
            job.decision = hold(decision, why, view, wish.started, decisions)


def _count(ledger: Ledger, job: Job) -> None:
    """Resources of the images, from the entries alone."""
    resources: dict[tuple[int, str], ResourceRow] = {}
    for series, sop_class, sha256, content, files, size, frames in ledger.rows(
        "SELECT series, sop_class, MIN(sha256), content, COUNT(*), SUM(size), SUM(frames) FROM entry WHERE job = ?"
        " AND content IN ('dicom', 'ecat') AND verdict IN ('', 'conflict')"
        " GROUP BY series, sop_class, content, CASE WHEN content = 'ecat' THEN ordinal END ORDER BY series, sop_class",
        (job.n,),
    ):
        scan: ScanRow = job.scan_of[series] if content == "dicom" else job.scan_of[sha256.hex()]
        label = "ECAT" if content == "ecat" else "DICOM" if is_primary(sop_class) else "secondary"
        found = resources.get((scan.n, label))
        if found is None:
            found = resources[scan.n, label] = ResourceRow(len(job.resources), scan.n, label, "", "")
            job.resources.append(found)
        for counted in (found, scan):
            counted.files += files
            counted.bytes += size
        scan.frames += frames
    ledger.run(
        "UPDATE entry SET verdict = 'stored', code = CASE WHEN code = '' THEN 'stored' ELSE code END"
        " WHERE job = ? AND content IN ('dicom', 'ecat') AND verdict = ''",
        (job.n,),
    )


class _Loose:
    """Counts the files that are no images as if they were kept."""

    def __init__(self, ledger: Ledger, job: Job) -> None:
        self.ledger = ledger
        self.job = job

    def keep(self, number: bytes, path: str, staged: str, sha256: bytes, series: str | None) -> None:  # noqa: ARG002
        (size,) = self.ledger.rows("SELECT size FROM entry WHERE ordinal = ?", (number,))[0]
        found = next((r for r in self.job.resources if r.scan_n is None), None)
        if found is None:
            found = ResourceRow(len(self.job.resources), None, "resources", "", "")
            self.job.resources.append(found)
        found.files += 1
        found.bytes += size
        self.ledger.run(
            "UPDATE entry SET job = ?, verdict = 'resource', code = CASE WHEN code = '' THEN 'resource' ELSE code END"
            " WHERE ordinal = ?",
            (self.job.n, number),
        )


def _refused(every: set[str], jobs: list[Job], judgement: Judgement) -> list[dict[str, Any]]:
    lost = sorted(every - {job.study.study_uid for job in jobs})
    why = judgement.refused or (judgement.warnings[0] if judgement.warnings else None)
    return refused_sessions(lost, why) if why is not None else []


def _shown(job: Job, request: Request) -> dict[str, Any]:
    decision = job.settled
    state = SessionState.CONFLICT if decision.held is not None else SessionState(decision.place)
    shown = {**report_of(job, state), "uri": None, "path": None}
    if request.project is None:
        shown["project"] = None
        shown["state"] = SessionState.CONFLICT if decision.held is not None else SessionState.ARCHIVE
        shown["warnings"] = [w for w in shown["warnings"] if w["code"] != "project_unassigned"]
    return shown
