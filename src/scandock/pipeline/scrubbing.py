"""Between deciding and placing: objects are de-identified where their project asks for it, and compared once more.

What is stored and shown of a session is what its new objects say. Where no project asks for it, nothing happens here.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import field, replace
from datetime import datetime
from typing import Any, Final

from scandock.model.dataclass import dataclass
from scandock.model.imported import ImportedSession
from scandock.model.series import SERIES_KEYS
from scandock.model.verdicts import Verdict
from scandock.pipeline.duplicates import Clashes, mark_duplicates
from scandock.pipeline.early_objects import EarlyObjects
from scandock.pipeline.filtered_studies import REJECTED
from scandock.pipeline.healing import mark_broken, open_stored_files
from scandock.pipeline.import_decision import ImportDecision
from scandock.pipeline.job import Job, JobContext, Scrubber, ScrubOrder, ScrubOutcome, ScrubRules
from scandock.pipeline.known_entries import (
    has_other_rules,
    is_to_scrub,
    mark_known,
    match_data_sets,
    match_stored_objects,
)
from scandock.pipeline.plan import WAIT_SECONDS, compare_job, load_base, make_view, names_of
from scandock.pipeline.session_description import refused_session_reports
from scandock.pipeline.stored_uids import join_stored_study
from scandock.pipeline.studies import read_ecat_facts
from scandock.pipeline.tallies import Tallies
from scandock.pipeline.unreported import drop_unreported
from scandock.pipeline.verdicts import refuse_all
from scandock.publishing.reserve import find_holders, lock_projects, reserve
from scandock.rules.notices import Notice, make_notice
from scandock.rules.privacy import PrivacyRules
from scandock.rules.reimports import hold_decision
from scandock.store.paths import scrubbed_folder

DEID_FAILED: Final = "deid_failed"
ALL_FILTERED: Final = "all_filtered"
ORDER_ENTRIES: Final = 128
ORDER_BYTES: Final = 32 * 1024 * 1024
_REMEDY: Final = "Correct the rules, or leave these objects out, then import the archive again."


def scrub_jobs(context: JobContext, decision: ImportDecision) -> None:
    """De-identify what is to be stored of the jobs whose projects ask for it, and bring `decision` up to date.

    A session of which one object fails leaves it, as does one of which all objects are rejected.
    """
    jobs = [job for job in decision.jobs if is_to_scrub(context, job)]
    if context.scrubber is None or not jobs:
        return
    _Scrubbing(context, context.scrubber, decision, jobs).run()


@dataclass(slots=True)
class _JobResult:
    """What has come of one job so far."""

    tallies: Tallies = field(default_factory=Tallies)
    failures: int = 0
    failure: tuple[bytes, str] = (b"", "")
    """The first one in archive order: its ordinal and message."""
    warnings: dict[str, tuple[bytes, Notice]] = field(default_factory=dict)
    """By code, the first one in archive order."""
    clashes: set[str] = field(default_factory=set)
    """SOP UIDs that several new objects have."""
    is_identified_checked: bool = False

    def fail(self, ordinal: bytes, message: str) -> None:
        if not self.failures or ordinal < self.failure[0]:
            self.failure = (ordinal, message)
        self.failures += 1


class _Scrubbing:
    """The step over all jobs of an import; listener of the readers that do it."""

    def __init__(self, context: JobContext, scrubber: Scrubber, decision: ImportDecision, jobs: list[Job]) -> None:
        self._context = context
        self._ledger = context.ledger
        self._scrubber = scrubber
        self._decision = decision
        self._jobs = {job.n: job for job in jobs}
        self._results = {job.n: _JobResult() for job in jobs}
        self._stored_uids = {job.n: join_stored_study(context, job) for job in jobs}
        """UIDs that stay as they are, where a job's objects name what is stored of their study."""
        self._rules = list(dict.fromkeys(rules for job in jobs for rules in self._rules_of(job)))
        self._sides = _jobs_of_same_study(jobs)
        self._early = EarlyObjects(context)
        self._forced: dict[str, int] = {}
        """Studies, or sides of them, that are held for objects that clash, and how many these are."""

    def run(self) -> None:
        """Scrub and compare until nothing new is held; a session that is held may join another one."""
        waiting = list(self._jobs.values())
        for job in waiting:
            job.images = scrubbed_folder(job.n)
        while waiting:
            for job in waiting:
                self._mark_known(job)
            if self._early.is_any:
                self._write_back("content = 'dicom' AND known IS NULL AND verdict = ''")
                for job in waiting:
                    self._take_early(job)
            if self._scrubber.scrub(self._rules, self._orders(waiting), self, self._context.check):
                for job in waiting:
                    drop_unreported(self._context.stage, self._ledger, job.images)
            if not self._early.is_any:
                self._write_back("own_sha256 IS NOT NULL")
            waiting = [job for job in waiting if self._settle(job)]
        self._leave()

    def _write_back(self, new: str) -> None:
        """Begin to write new objects to the disk, unless most of what is staged goes again: what is there already."""
        ((count, known),) = self._ledger.rows(f"SELECT COUNT(*) FILTER (WHERE {new}), COUNT(known) FROM entry")
        if count > known:
            self._context.stage.write_back()

    def _mark_known(self, job: Job) -> None:
        if job.base is not None:
            with open_stored_files(self._context.store, job.name) as stored_files:
                mark_broken(self._ledger, job.n, stored_files)
                if job.privacy is not None:
                    match_data_sets(self._ledger, job, job.privacy, stored_files.open)
                    if self._stored_uids[job.n]:
                        match_stored_objects(self._ledger, job, job.privacy, stored_files.open)
        mark_known(self._ledger, job)

    def _take_early(self, job: Job) -> None:
        """Let a job have what was de-identified as it was read."""
        for outcome in self._early.remarks(job):
            self._context.check()
            self._note(self._results[job.n], outcome)
        for tally in self._early.take(job):
            values = tally.study_uid, tally.series_uid, tally.objects, tally.frames, tally.values, tally.nested
            self._results[job.n].tallies.add(b"", (*values, tally.overfull, ""))

    def _orders(self, jobs: list[Job]) -> Iterator[ScrubOrder]:
        """What is still to be scrubbed, in ranges; of a job that has failed nothing more."""
        for job in jobs:
            assert job.privacy is not None
            for rules in self._rules_of(job):
                entries: list[Any] = []
                size = 0
                for row in self._unscrubbed(job, by_them=rules.rules is not job.privacy):
                    entries.append(row)
                    size += row[3]
                    if len(entries) >= ORDER_ENTRIES or size >= ORDER_BYTES:
                        yield self._order(job, rules, entries)
                        entries, size = [], 0
                if entries:
                    yield self._order(job, rules, entries)

    def _rules_of(self, job: Job) -> tuple[ScrubRules, ...]:
        """By what a job's objects are de-identified; where a session moves, last what leaves those as they are that
        were de-identified by these rules before.
        """
        assert job.privacy is not None
        if self._context.moved is None:
            return (ScrubRules(job.privacy, self._stored_uids[job.n]),)
        return ScrubRules(job.privacy), ScrubRules(PrivacyRules(key=job.privacy.key))

    def _order(self, job: Job, rules: ScrubRules, entries: list[Any]) -> ScrubOrder:
        decision = job.final_decision
        subject = job.base.subject if job.base is not None else decision.subject
        variables = {"project": decision.project, "subject": subject, "session": decision.label}
        return ScrubOrder(
            job=job.n, rules=self._rules.index(rules), variables=variables, folder=job.images, entries=entries
        )

    def _unscrubbed(self, job: Job, *, by_them: bool) -> Iterator[tuple[Any, ...]]:
        """What is to be scrubbed; `by_them`: of a session that moves, what the rules have made before."""
        last = b""
        while not self._results[job.n].failures and (
            page := self._ledger.rows(
                "SELECT ordinal, path, staged, size, content FROM entry WHERE job = ? AND verdict = ''"
                " AND content IN ('dicom', 'ecat') AND known IS NULL AND own_sha256 IS NULL AND ordinal > ?"
                " AND (rules IS NOT NULL) = ? ORDER BY ordinal LIMIT 2000",
                (job.n, last, by_them),
            )
        ):
            yield from page
            last = page[-1][0]

    # -- what comes of entries -----------------------------------------------------------------------------------

    def outcomes(self, job: int, outcomes: list[ScrubOutcome]) -> None:
        """Note what became of a batch: new objects take the place of their originals, which go."""
        ledger, stage, result = self._ledger, self._context.stage, self._results[job]
        rules = self._jobs[job].privacy
        assert rules is not None
        originals = ledger.rows(
            f"SELECT staged FROM entry WHERE ordinal IN ({', '.join('?' * len(outcomes))})",
            [outcome.ordinal for outcome in outcomes],
        )
        ledger.many(
            "UPDATE entry SET own_size = size, own_sha256 = sha256, own_series = series, own_sop = sop, size = ?,"
            " sha256 = ?, staged = ?, study = ?, series = ?, sop = ?, sop_class = ?, frames = ?, dataset_at = ?,"
            " syntax = ?, facts = ?, code = 'stored_deid', message = '', rules = ? WHERE ordinal = ?",
            ((*one[3:14], rules.fingerprint, one.ordinal) for one in outcomes if one.state == "ok"),
        )
        for outcome in outcomes:
            self._note(result, outcome)
        for (staged,) in originals:
            stage.remove(staged)

    def _note(self, result: _JobResult, outcome: ScrubOutcome) -> None:
        """Note warnings of an object, or that there is no new one."""
        ledger = self._ledger
        if outcome.state == "ok":
            for code, message, remedy in outcome.warnings:
                notice = (outcome.ordinal, Notice(code=code, message=message, remedy=remedy))
                result.warnings[code] = min(notice, result.warnings.get(code, notice), key=lambda one: one[0])
        elif outcome.state == "reject":
            ledger.run(
                "UPDATE entry SET verdict = ?, code = ?, message = '', staged = '' WHERE ordinal = ?",
                (Verdict.FILTERED, REJECTED, outcome.ordinal),
            )
        else:
            result.fail(outcome.ordinal, outcome.message)
            ledger.run(
                "UPDATE entry SET verdict = ?, code = ?, message = ?, staged = '' WHERE ordinal = ?",
                (Verdict.REFUSED, DEID_FAILED, outcome.message, outcome.ordinal),
            )

    def tally(self, job: int, values: tuple[Any, ...]) -> None:
        """Note what was counted over one series of a batch."""
        self._results[job].tallies.add(b"", values)

    # -- one job ---------------------------------------------------------------------------------------------------

    def _settle(self, job: Job) -> bool:
        """Compare a job's new objects; True where it is held now, and may have others to scrub."""
        context, ledger, result = self._context, self._ledger, self._results[job.n]
        self._check_uids(job, result)
        if result.failures:
            return False
        ledger.run(
            "UPDATE entry SET verdict = ?, code = ?, message = '' WHERE job = ? AND verdict = 'duplicate'"
            " AND original IN (SELECT ordinal FROM entry WHERE job = ? AND code = ?)",
            (Verdict.FILTERED, REJECTED, job.n, job.n, REJECTED),
        )
        mark_known(ledger, job, scrubbed=True)
        for clashes in mark_duplicates(ledger, context.stage, job.n).values():
            result.clashes |= clashes.sops
        job.clashes = Clashes(sops=result.clashes)
        if self._has_merged_objects(job, result):
            return False
        held = False
        key = job.study.key
        if result.clashes and key not in self._forced:
            self._forced[key] = len(result.clashes)
            count = len(result.clashes)
            self._hold(job, make_notice("sop_clash", label=job.final_decision.label, count=count))
            held = True
        if not result.is_identified_checked:
            result.is_identified_checked = True
            held |= self._check_identified(job, result)
        if held:
            return True
        if compare_job(context, job, self._forced):
            self._hold(job, make_notice("sop_clash", label=job.final_decision.label, count=self._forced[key]))
            return True
        return False

    def _check_uids(self, job: Job, result: _JobResult) -> None:
        """Fail a job whose rules make several studies of one, be it that PET and MR of it are sessions of their own."""
        if len({uid for side in self._sides[job.n] for uid in self._study_uids(side)}) > 1:
            result.fail(b"", "The rules give the objects of one study several StudyInstanceUIDs.")

    def _study_uids(self, job: Job) -> list[str]:
        rows = self._ledger.rows(
            "SELECT DISTINCT study FROM entry WHERE job = ? AND content = 'dicom' AND own_sha256 IS NOT NULL"
            " AND verdict IN ('', 'conflict', 'duplicate')",
            (job.n,),
        )
        return [uid for (uid,) in rows]

    def _new_study_uid(self, job: Job) -> str | None:
        """The StudyInstanceUID that a job's objects have now; ECAT files have that of the other side of their study."""
        for side in (job, *self._sides[job.n]):
            uids = self._study_uids(side)
            if uids:
                return uids[0]
            if side.base is not None and side.base.study_uid is not None:
                return side.base.study_uid
        return None

    def _has_merged_objects(self, job: Job, result: _JobResult) -> bool:
        """Fail a job whose rules give different objects the same SOPInstanceUID."""
        merged = self._ledger.rows(
            "SELECT MIN(ordinal) FROM entry WHERE job = ? AND verdict = 'conflict' AND own_sop IS NOT NULL"
            " GROUP BY sop HAVING COUNT(DISTINCT own_sop) > 1",
            (job.n,),
        )
        for (ordinal,) in merged:
            result.fail(ordinal, "The rules give several objects the same SOPInstanceUID.")
        return bool(merged)

    def _check_identified(self, job: Job, result: _JobResult) -> bool:
        """Apply the project's setting for objects that do not say that they are de-identified; True where held."""
        study = replace(job.study, series=_series(result), ecat=self._ecat_facts(job))
        count = study.objects - study.counts("PatientIdentityRemoved")["YES"]
        setting = job.policy.identified if job.policy is not None else "accept"
        if not count or setting == "accept":
            return False
        decision = job.final_decision
        values = {"label": decision.label, "count": count, "objects": study.objects}
        if setting == "warn":
            job.warnings.append(make_notice("identified_warning", **values))
            return False
        self._hold(job, make_notice("identified", project=decision.project, **values))
        return True

    def _hold(self, job: Job, why: Notice) -> None:
        """Hold a session: its place and timestamp change, no more. No name is given back, and none is waited for.

        Of a timestamp that somebody else holds a later one is tried.
        """
        context, decision = self._context, job.final_decision
        now = context.started
        while True:
            context.check()
            with context.catalog.write() as connection:
                lock_projects(connection, [decision.project])
                view = make_view(context, connection, self._decision.jobs)
                others = [other.final_decision for other in self._decision.jobs if other is not job]
                job.decision = hold_decision(decision, why, view, now, others)
                names = names_of(job)
                if not find_holders(connection, context.lease, names):
                    reserve(context.catalog, connection, context.lease, names)
                    load_base(context, connection, job)
                    return
            job.decision = decision
            time.sleep(WAIT_SECONDS)
            now = datetime.now(context.zone)

    # -- the end -------------------------------------------------------------------------------------------------

    def _leave(self) -> None:
        """Give the jobs that stay what their new objects say; the others leave the import, with a report each."""
        decision = self._decision
        if self._early.is_any:
            for job in self._jobs.values():
                self._early.discard(job)
        remaining: list[Job] = []
        failed = 0
        study_uids = {n: self._new_study_uid(job) for n, job in self._jobs.items()}
        for job in decision.jobs:
            result = self._results.get(job.n)
            if result is None:
                remaining.append(job)
            elif failing := next((side for side in self._sides[job.n] if self._results[side.n].failures), None):
                failed += 1
                decision.rejected_sessions += self._refuse(job, job if result.failures else failing)
            elif not self._has_images(job):
                decision.rejected_sessions += refused_session_reports([None], all_rejected_notice())
            else:
                self._describe(job, result, study_uids[job.n])
                remaining.append(job)
        if failed and self._context.moved is not None:  # it moves whole, or stays
            remaining = []
        decision.jobs = remaining
        decision.upload_verdict.failed_sessions = failed
        if remaining:
            return
        reasons = [report for report in decision.rejected_sessions if report.code == DEID_FAILED]
        why = Notice(code=DEID_FAILED, message=reasons[0].message) if reasons else all_rejected_notice()
        if len(reasons) > 1:
            message = f"{len(reasons)} sessions could not be de-identified. {why.message}"
            why = replace(why, message=message)
        decision.upload_verdict.refused = why
        refuse_all(self._ledger, decision.upload_verdict)

    def _has_images(self, job: Job) -> bool:
        return bool(
            self._ledger.rows(
                "SELECT 1 FROM entry WHERE job = ? AND content IN ('dicom', 'ecat') AND verdict IN ('', 'conflict')"
                " LIMIT 1",
                (job.n,),
            )
        )

    def _refuse(self, job: Job, failing: Job) -> list[ImportedSession]:
        """Refuse all that a job has, since one of its study fails: both sides of a study are made, or neither."""
        result = self._results[failing.n]
        objects = "1 object" if result.failures == 1 else f"{result.failures} objects"
        of_side = "" if failing is job else f" of session {failing.final_decision.label}, which is of the same study,"
        done, remedy = ("stored", _REMEDY) if self._context.moved is None else ("moved", "")
        message = (
            f"Session {job.final_decision.label} was not {done}: {objects}{of_side} could not be de-identified."
            f" {result.failure[1]}"
        )
        why = Notice(code=DEID_FAILED, message=message, remedy=remedy)
        self._ledger.run(
            "UPDATE entry SET verdict = ?, code = 'session_refused', message = '' WHERE job = ?"
            " AND verdict NOT IN ('refused', 'filtered')",
            (Verdict.REFUSED, job.n),
        )
        return refused_session_reports([None], why)

    def _describe(self, job: Job, result: _JobResult, study_uid: str | None) -> None:
        """Let a job be of its new objects from here on."""
        base, decision = job.base, job.final_decision
        job.study = replace(job.study, study_uid=study_uid, series=_series(result), ecat=self._ecat_facts(job))
        self._note_series(job)
        rows = self._ledger.rows(
            "SELECT ordinal, sha256, facts, own_sha256 FROM entry WHERE job = ? AND content = 'ecat'", (job.n,)
        )
        new = {number: (sha256, facts) for number, sha256, facts, own in rows if own is not None}
        job.ecat = [
            replace(entry, sha256=new[entry.ordinal][0], facts=read_ecat_facts(self._ledger, new[entry.ordinal][1]))
            if entry.ordinal in new
            else entry
            for entry in job.ecat
        ]
        kept_uid = base.study_uid if base is not None and base.study_uid is not None else study_uid
        assert job.privacy is not None
        ids = job.study.patient_ids(self._context.site.placeholders) if job.privacy.policy.patient != "drop" else ()
        kept_patient = base.patient_id if base is not None else ""
        job.decision = replace(decision, study_uid=kept_uid, patient_id=kept_patient or _common_patient(job, ids))
        job.warnings += [notice for _, (_, notice) in sorted(result.warnings.items())]
        if has_other_rules(self._ledger, job, job.privacy):
            job.warnings.append(make_notice("rules_changed", label=decision.label))

    def _note_series(self, job: Job) -> None:
        """Note of what series the new ones were, by keyed hashes: what refers to them comes maybe later.

        Of a session that moves it is known of what series they were at first.
        """
        assert job.privacy is not None
        at_first = self._context.moved_series if job.privacy.policy.study_uid != "drop" else {}
        rows = self._ledger.rows(
            "SELECT DISTINCT series, own_series FROM entry WHERE job = ? AND content = 'dicom'"
            " AND own_series IS NOT NULL",
            (job.n,),
        )
        keys: defaultdict[str, set[str]] = defaultdict(set)
        for series_uid, own in rows:
            keys[series_uid].update((at_first.get(own) or job.privacy.stored_series_key(own)).split("\\"))
        for tally in job.tallies:
            if not keys[tally.series_uid]:  # the objects were made by these very rules before
                keys[tally.series_uid].update(at_first.get(tally.series_uid, "").split("\\"))
            if stored := keys[tally.series_uid] - {""}:
                tally.nested[SERIES_KEYS] = "\\".join(sorted(stored))

    def _ecat_facts(self, job: Job) -> tuple[Any, ...]:
        rows = self._ledger.rows(
            "SELECT facts FROM entry WHERE job = ? AND content = 'ecat' AND verdict = '' AND own_sha256 IS NOT NULL"
            " ORDER BY ordinal",
            (job.n,),
        )
        return tuple(read_ecat_facts(self._ledger, facts) for (facts,) in rows)


def _jobs_of_same_study(jobs: list[Job]) -> dict[int, list[Job]]:
    """For each job those of its study: itself, and the other side where PET and MR are sessions of their own."""
    by_study: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        by_study[job.study.study_uid or job.study.key].append(job)
    return {job.n: same for same in by_study.values() for job in same}


def _series(result: _JobResult) -> tuple[Any, ...]:
    by_study = result.tallies.studies()
    return tuple(tally for tallies in by_study.values() for tally in tallies)


def _common_patient(job: Job, ids: tuple[str, ...]) -> str:
    """The PatientID of most new objects; `ids` are those that are no placeholders."""
    if not ids:
        return ""
    common = job.study.common("PatientID")
    return common if common in ids else ids[0]


def all_rejected_notice() -> Notice:
    """Why an upload, or one session of it, is not taken of which scripts reject every object."""
    return Notice(
        code=ALL_FILTERED,
        message="Scripts of the site or the project reject every image.",
        remedy="Look at the receipt, and ask whoever keeps the scripts to change them, or import into a project that"
        " takes these images.",
    )
