"""Step 4, second half: every study's decision, and the names that it will touch reserved in the same transaction.

What an object clashes with is known only once the session that it joins is, so planning and comparing alternate until
nothing new is held: twice at most for a study.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, partial

from sqlalchemy import Connection, select

from scandock.catalog.projects import unfinished_deletions
from scandock.catalog.sessions import existing_session, fill_study_key
from scandock.catalog.tables import project
from scandock.catalog.trees import damaged_files, files_of, resources_of, scans_of
from scandock.catalog.view import SqlView
from scandock.pipeline.duplicates import Clashes, compare_with_base
from scandock.pipeline.healing import mark_broken, mark_changed, open_stored_files
from scandock.pipeline.job import Job, JobContext
from scandock.pipeline.known_entries import (
    apply_privacy,
    find_known,
    is_to_scrub,
    match_series,
    newest_origins,
    origins_of_ecat,
    renew_origins,
)
from scandock.pipeline.moved_session import check_unchanged, moved_study_keys
from scandock.pipeline.separation import StudySeparator
from scandock.publishing.locks import LockName, label_lock, locks_of, session_locks, timestamp_lock
from scandock.publishing.recover import recover
from scandock.publishing.reserve import find_holders, lock_projects, release_names, reserve
from scandock.publishing.tree_files import folders_of
from scandock.rules.catalog_view import CatalogView
from scandock.rules.errors import ProjectUnknown
from scandock.rules.keyed_view import KeyedView
from scandock.rules.labels import UNASSIGNED
from scandock.rules.mapping import unused_rows_notices
from scandock.rules.naming import StudyNaming, name_study
from scandock.rules.notices import Notice, make_notice
from scandock.rules.petmr import PetMr, effective_pet_mr, shares_side
from scandock.rules.policy import ProjectPolicy
from scandock.rules.reimports import hold_decision, session_exists_notice
from scandock.rules.related_sessions import (
    ecat_elsewhere_notice,
    many_subjects_notice,
    patients_dropped_notice,
    waiting_elsewhere_notice,
)
from scandock.rules.routing import route_studies
from scandock.rules.study_sides import list_series
from scandock.store.paths import path_below

WAIT_SECONDS = 0.05
RECOVER_SECONDS = 2.0


def read_policies(
    connection: Connection, petmr: PetMr, name: str | None = None
) -> dict[str, tuple[int, ProjectPolicy]]:
    """Every project's id and policy, by name; `petmr` is the site's, for projects that leave it that.

    `name`: of that one alone, in any case.
    """
    query = select(project) if name is None else select(project).where(project.c.key == name.casefold())
    return {
        row.name: (
            row.id,
            ProjectPolicy(
                id=row.name,
                prearchive_code=row.prearchive_code,
                identified=row.identified,
                petmr=effective_pet_mr(row.petmr, petmr),
                separate_secondary=row.separate_secondary,
                quarantine=row.quarantine,
            ),
        )
        for row in connection.execute(query)
    }


def find_policy(policies: Mapping[str, tuple[int, ProjectPolicy]], name: str) -> tuple[int, ProjectPolicy]:
    """A project's id and policy. ProjectUnknown where it has gone since its name was read."""
    if name not in policies:
        raise ProjectUnknown(f"There is no project {name} any more.", "Name another one, or make it again.")
    return policies[name]


class UsableProjects:
    """The projects that a study may go to. The right to one is looked up once it is asked for: a site has hundreds."""

    def __init__(self, context: JobContext) -> None:
        with context.catalog.read() as connection:
            rows = connection.execute(select(project.c.name).where(project.c.id.not_in(unfinished_deletions())))
            self._names = {name.casefold(): name for name in rows.scalars() if name != UNASSIGNED}
        self._is_allowed = cache(context.allowed)

    def find(self, name: str) -> str | None:
        """How a project is spelled, in any case of its name; None where nothing of the upload may go there."""
        spelled = self._names.get(name.casefold())
        return spelled if spelled is not None and self._is_allowed(spelled) else None

    def has(self, name: str) -> bool:
        return self.find(name) is not None


def name_job(context: JobContext, job: Job, usable: UsableProjects) -> StudyNaming:
    """What a study would be called, its project as that is spelled. Raises Usage as `name_study` does."""
    naming = name_study(job.study, context.request, context.site, usable.has, context.ledger.names)
    label = naming.project.label
    return replace(naming, project=replace(naming.project, label=usable.find(label) or label))


def plan_jobs(
    context: JobContext, studies: list[Job], make_unassigned: Callable[[], None], used: Iterable[int] = ()
) -> tuple[list[Job], list[Notice]]:
    """Decide every job, join it to what is there, reserve its names.

    Gives the jobs, of which a study may have two (`separation.py`), and warnings about the upload as a whole.

    `used` are rows of the mapping that no job stands for any more: they left a study out.
    Raises Usage for a project or label in the request that can't be used.
    """
    usable = UsableProjects(context)  # each of them has its policy, which are read behind it
    with context.catalog.read() as connection:
        policies = read_policies(connection, context.site.petmr)
    for job in studies:
        job.naming = name_job(context, job, usable)
        apply_privacy(context, job, job.naming)
    if any(job.final_naming.project.label == UNASSIGNED for job in studies):
        make_unassigned()
        with context.catalog.read() as connection:
            policies = read_policies(connection, context.site.petmr)
    separator = StudySeparator(context.ledger, studies, context.site.map_words)
    forced: dict[str, int] = {}
    while True:
        jobs = _decide(context, separator, policies, forced)
        if not [job for job in jobs if not is_to_scrub(context, job) and compare_job(context, job, forced)]:
            break
    warn_of_related_sessions(context, jobs)
    used_rows = [*used, *(job.final_naming.mapping_row for job in jobs)]
    notices = list(unused_rows_notices(context.request.mapping, used_rows))
    if any(_drops_patient(job) for job in jobs):
        notices.append(patients_dropped_notice())
    return jobs, notices


def _decide(
    context: JobContext,
    separator: StudySeparator,
    policies: dict[str, tuple[int, ProjectPolicy]],
    forced: dict[str, int],
) -> list[Job]:
    """Settle all jobs against the catalog as it is, and reserve; waits while another import holds one of the names."""
    recovered = time.monotonic()
    while True:
        context.check()
        with context.catalog.write(synced=False) as connection:
            jobs, holders = _try_plan(context, connection, separator, policies, forced)
        if not holders:
            return jobs
        if time.monotonic() - recovered > RECOVER_SECONDS:
            stuck = recover(context.catalog, context.store).stuck
            for uuid in sorted(holders & stuck.keys()):
                raise stuck[uuid]
            recovered = time.monotonic()
        time.sleep(WAIT_SECONDS)


def _try_plan(
    context: JobContext,
    connection: Connection,
    separator: StudySeparator,
    policies: dict[str, tuple[int, ProjectPolicy]],
    forced: dict[str, int],
) -> tuple[list[Job], set[str]]:
    moved = context.moved
    lock_projects(connection, separator.projects if moved is None else [*separator.projects, moved.project])
    if moved is not None:
        check_unchanged(connection, moved)
    for whole in separator.wholes:
        if whole.study_key and whole.study.study_uid is not None:
            fill_study_key(connection, whole.final_naming.project.label, whole.study.study_uid, whole.study_key)
    view = make_view(context, connection, separator.wholes)
    policy_of = {name: _policy_before_scrub(context, policy) for name, (_, policy) in policies.items()}
    jobs = separator.separate(policy_of, view)
    decisions = route_studies(
        [job.final_naming for job in jobs],
        [job.study for job in jobs],
        context.request,
        policy_of,
        view,
        context.started,
    )
    for at, decision in enumerate(decisions):
        count = forced.get(decision.study_key)
        if count is not None:
            why = make_notice("sop_clash", label=decision.label, count=count)
            decisions[at] = hold_decision(decision, why, view, context.started, decisions)
    names = locks_of(moved) if moved is not None else set[LockName]()
    for job, decision in zip(jobs, decisions, strict=True):
        job.decision = decision
        job.project_id, job.policy = find_policy(policies, decision.project)
        names |= names_of(job)
    holders = find_holders(connection, context.lease, names)
    if holders:
        release_names(connection, context.lease)
        return jobs, holders
    reserve(context.catalog, connection, context.lease, names)
    for job in jobs:
        load_base(context, connection, job)
    return jobs, set()


def make_view(context: JobContext, connection: Connection, jobs: Iterable[Job]) -> CatalogView:
    """The catalog as the rules ask it for these jobs."""
    view = SqlView(connection, context.lease.upload_id, without=context.moved.uuid if context.moved else None)
    return _hide_catalog(context, view, jobs) if any(job.privacy is not None for job in jobs) else view


def _hide_catalog(context: JobContext, view: SqlView, jobs: Iterable[Job]) -> KeyedView:
    """A view in which sessions of these jobs' studies and patients are known, be they de-identified."""
    jobs = [job for job in jobs if job.privacy is not None]
    study_uids = [job.study.study_uid for job in jobs if job.study.study_uid is not None]
    patient_ids = {one for job in jobs for one in job.study.patient_ids(context.site.placeholders)}
    series_uids = {uid for job in jobs for uid in list_series(job.tallies)}
    match = partial(match_series, context.ledger)
    return KeyedView(
        view,
        context.privacy_of,
        study_uids,
        match,
        patient_ids=patient_ids,
        series_uids=series_uids,
        study_keys=moved_study_keys(context.moved),
    )


def _policy_before_scrub(context: JobContext, policy: ProjectPolicy) -> ProjectPolicy:
    """A project's policy as far as it can be applied before objects are de-identified."""
    if context.privacy_of(policy.id) is None:
        return policy
    return replace(policy, identified="accept")


def names_of(job: Job) -> set[LockName]:
    """What nobody else may plan with: the study and the label in the project, and every session of theirs."""
    decision = job.final_decision
    study_uid = decision.study_uid
    if study_uid is not None and job.privacy is not None and job.privacy.policy.study_uid != "keep":
        study_uid = job.privacy.new_uid(study_uid)  # rows of reservations are written to the disk, too
    names = session_locks(
        decision.project,
        label=decision.label,
        subject=decision.subject,
        study_uid=study_uid,
        timestamp=decision.timestamp or "",
    )
    if decision.settles is not None and decision.settles.timestamp is not None:
        names.add(timestamp_lock(decision.project, decision.settles.timestamp))
    if job.naming is not None:
        names.add(label_lock(decision.project, job.naming.session.label))
    return names


def load_base(context: JobContext, connection: Connection, job: Job) -> None:
    """Load the session that a job joins, its files into the ledger."""
    job.base, job.base_scans, job.base_resources, job.last_file = None, [], [], -1
    context.ledger.run("DELETE FROM base WHERE job = ?", (job.n,))
    decision = job.final_decision
    if decision.existing is None:
        return
    job.base = existing_session(connection, decision.existing)
    job.decision = replace(decision, label=job.base.label, timestamp=job.base.timestamp or None)
    job.base_scans = scans_of(connection, job.base.tree_id)
    job.base_resources = resources_of(connection, job.base.tree_id)
    folders = folders_of({scan.n: scan.scan_id for scan in job.base_scans}, job.base_resources)
    context.ledger.many(
        "INSERT INTO base (job, n, resource_n, path, bytes, sha256, sop, frames, dataset_at, origin, rules)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                job.n,
                f.n,
                f.resource_n,
                path_below(folders[f.resource_n], f.name),
                f.bytes,
                f.sha256,
                f.sop_uid or "",
                f.frames,
                f.dataset_at,
                f.origin,
                f.rules,
            )
            for f in files_of(connection, job.base.tree_id)
        ),
    )
    renew_origins(context.ledger, job)
    mark_changed(context.ledger, job.n, damaged_files(connection, job.base.tree_id))
    job.last_file = context.ledger.rows("SELECT COALESCE(MAX(n), -1) FROM base WHERE job = ?", (job.n,))[0][0]


def compare_job(context: JobContext, job: Job, forced: dict[str, int]) -> bool:
    """Compare a job's objects with the session it joins; True where it must now be held, and so planned again.

    `forced` has the studies that are held for what clashes, and in how many objects.
    """
    job.duplicates, job.replaced = [], []
    clashes = Clashes()
    if job.base is not None:
        with open_stored_files(context.store, job.name) as base:
            mark_broken(context.ledger, job.n, base)
            job.duplicates, clashes = compare_with_base(context.ledger, job.n, context.stage, base.open)
        job.duplicates += find_known(context.ledger, job)
        job.duplicates += find_ecat_duplicates(context, job)
    clashing = _find_new_variants(context, job)
    decision = job.final_decision
    if decision.overwrite == "delete" and decision.held is None:
        job.replaced = clashes.base
    else:
        context.ledger.many(
            "UPDATE entry SET verdict = 'conflict', code = 'sop_clash', message = '' WHERE ordinal = ?",
            [(number,) for number in {number for number, _ in clashes.base}],
        )
        clashing |= clashes.sops
    if job.study.key in forced:
        is_ready = job.base is not None and not job.base.held[0]  # a person has decided of what clashes in it
        if is_ready and not clashing and decision.held is not None and decision.held.code == "sop_clash":
            job.decision = replace(decision, held=None)
        return False
    if clashing:
        forced[job.study.key] = len(clashing)
    return bool(clashing)


def _find_new_variants(context: JobContext, job: Job) -> set[str]:
    """UIDs of objects that came in several versions, of which the session that it joins has not every one."""
    if not job.clashes.sops:
        return set()
    known = {number for number, _ in job.duplicates}
    variants = context.ledger.rows(
        "SELECT ordinal, sop FROM entry WHERE job = ? AND content = 'dicom' AND verdict = 'conflict'", (job.n,)
    )
    return {sop for number, sop in variants if number not in known and sop in job.clashes.sops}


def find_ecat_duplicates(context: JobContext, job: Job) -> list[tuple[bytes, int]]:
    """A job's ECAT files that the session it joins has: (entry's ordinal, number of the base file)."""
    return [
        (number, n)
        for number, n in context.ledger.rows(
            "SELECT e.ordinal, MIN(b.n) FROM entry e CROSS JOIN base b INDEXED BY base_sha256"
            " ON b.job = e.job AND b.sha256 = e.sha256"
            " WHERE e.job = ? AND e.content = 'ecat' AND e.verdict = '' AND e.known IS NULL GROUP BY e.ordinal",
            (job.n,),
        )
    ]


def all_archived_notice(context: JobContext, job: Job) -> Notice | None:
    """For a session held as `session_exists`: the reason that says whether the archived one has every object."""
    decision = job.final_decision
    if decision.held is None or decision.held.code != "session_exists" or decision.archived is None:
        return None
    with context.catalog.read() as connection:
        archived = existing_session(connection, decision.archived)
        archived_hashes: set[bytes] = set()
        archived_origins: set[bytes] = set()
        for row in files_of(connection, archived.tree_id):
            archived_hashes.add(row.sha256)
            archived_origins |= {row.origin} if row.origin is not None else set()
    archived_origins = newest_origins(context.ledger, archived_origins)
    mine = context.ledger.stream(
        "SELECT DISTINCT sha256, own_sha256, origin FROM entry WHERE job = ? AND content IN ('dicom', 'ecat')",
        (job.n,),
    )
    if all(not archived_hashes.isdisjoint(digests) or origin in archived_origins for *digests, origin in mine):
        return session_exists_notice(archived.label, decision.project, all_there=True)
    return None


def warn_of_related_sessions(context: JobContext, jobs: list[Job]) -> None:
    """Add the warnings to the jobs; an inspection asks the catalog of DATA, where it has one."""
    projects: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        projects[job.final_decision.project].append(job)
    inspected = context.known is not None
    with (context.known or context.catalog).read() as connection:
        view = SqlView(
            connection,
            None if inspected else context.lease.upload_id,
            without=context.moved.uuid if context.moved is not None else None,
        )
        keyed = _hide_catalog(context, view, jobs)
        for project, project_jobs in projects.items():
            _warn_of_patients(keyed, project, project_jobs)
            _warn_of_ecat_files(view, project, project_jobs)
            if inspected:
                _warn_of_studies(keyed, project, project_jobs)


def _warn_of_patients(view: KeyedView, project: str, jobs: list[Job]) -> None:
    ids = {job.final_decision.patient_id for job in jobs if not _drops_patient(job)} - {""}
    subjects = dict(view.subjects_of_patients(project, ids))
    for job in jobs:
        if job.final_decision.patient_id:
            subjects.setdefault(job.final_decision.patient_id, set()).add(job.final_decision.subject)
    for job in jobs:
        decision = job.final_decision
        _add_warning(
            job,
            many_subjects_notice(project, decision.patient_id, decision.subject, subjects.get(decision.patient_id, ())),
        )


def _drops_patient(job: Job) -> bool:
    return job.privacy is not None and job.privacy.policy.patient == "drop"


def _warn_of_ecat_files(view: SqlView, project: str, jobs: list[Job]) -> None:
    holders = view.holders_of_ecat(project, {entry.sha256 for job in jobs for entry in job.ecat})
    rules = next((job.privacy for job in jobs if job.privacy is not None), None)
    if rules is not None:  # a project has one and the same for all
        origins = {
            origin: entry.sha256
            for job in jobs
            for entry in job.ecat
            for origin in origins_of_ecat(rules, entry.sha256)
        }
        for origin, labels in view.holders_of_origins(project, set(origins)).items():
            holders.setdefault(origins[origin], set()).update(labels)
    for job in jobs:
        for entry in job.ecat:
            holders.setdefault(entry.sha256, set()).add(job.final_decision.label)
    for job in jobs:
        shared = (holders[sha256] for sha256 in sorted({entry.sha256 for entry in job.ecat}))
        _add_warning(job, ecat_elsewhere_notice(project, job.final_decision.label, shared))


def _warn_of_studies(view: CatalogView, project: str, jobs: Iterable[Job]) -> None:
    """What an import is told as it is decided (`rules.reimports`); an inspection is decided without any session."""
    for job in jobs:
        if job.study.study_uid is not None:
            sessions = view.sessions_of_study(project, job.study.study_uid)
            same_side = [session for session in sessions if shares_side(session.side, job.study.side)]
            _add_warning(job, waiting_elsewhere_notice(job.final_decision.label, same_side))


def _add_warning(job: Job, warning: Notice | None) -> None:
    if warning is not None:
        job.warnings.append(warning)
