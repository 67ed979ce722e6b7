"""Step 4, second half: every study's decision, and the names that it will touch reserved in the same transaction.

What an object clashes with is known only once the session that it joins is, so planning and comparing alternate until
nothing new is held: twice at most for a study.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from sqlalchemy import Connection, select

from scandock.catalog.projects import begun_deletions
from scandock.catalog.sessions import existing_session
from scandock.catalog.tables import project
from scandock.catalog.trees import damaged_files, files_of, resources_of, scans_of
from scandock.catalog.view import SqlView
from scandock.pipeline.elsewhere import warn_of_others
from scandock.pipeline.healing import note_broken, note_rotten, standing
from scandock.pipeline.job import Job, Tools
from scandock.pipeline.repeats import against_base
from scandock.placing.locks import LockName, label_lock, session_locks, timestamp_lock
from scandock.placing.recover import recover
from scandock.placing.reserve import held_by_others, lock_projects, release, reserve
from scandock.placing.tree_files import folders_of
from scandock.rules.again import hold, session_exists
from scandock.rules.labels import UNASSIGNED
from scandock.rules.mapping import unused_rows
from scandock.rules.naming import name_study
from scandock.rules.notices import Notice, notice
from scandock.rules.policy import ProjectPolicy
from scandock.rules.settle import settle
from scandock.store.paths import below

WAIT_SECONDS = 0.05
RECOVER_SECONDS = 2.0


def read_policies(connection: Connection) -> dict[str, tuple[int, ProjectPolicy]]:
    """Every project's id and policy, by name."""
    return {
        row.name: (
            row.id,
            ProjectPolicy(
                id=row.name,
                prearchive_code=row.prearchive_code,
                identified=row.identified,
                petmr=row.petmr,
                separate_secondary=row.separate_secondary,
                quarantine=row.quarantine,
            ),
        )
        for row in connection.execute(select(project))
    }


def plan(tools: Tools, jobs: list[Job], make_unassigned: Callable[[], None], used: Iterable[int] = ()) -> list[Notice]:
    """Decide every job, join it to what is there, reserve its names. Gives warnings about the upload as a whole.

    `used` are rows of the mapping that no job stands for any more: they left a study out.
    Raises Usage for a project or label in the request that can't be used.
    """
    with tools.catalog.read() as connection:
        policies = read_policies(connection)
        closed = set(connection.execute(begun_deletions()).scalars())
    usable = {
        name.casefold(): name
        for name, (number, _) in policies.items()
        if name != UNASSIGNED and number not in closed and tools.allowed(name)
    }
    for job in jobs:
        job.naming = name_study(job.study, tools.request, tools.site, lambda name: name.casefold() in usable)
        job.naming = replace(
            job.naming,
            project=replace(
                job.naming.project, label=usable.get(job.naming.project.label.casefold(), job.naming.project.label)
            ),
        )
    if any(job.naming is not None and job.naming.project.label == UNASSIGNED for job in jobs):
        make_unassigned()
        with tools.catalog.read() as connection:
            policies = read_policies(connection)
    forced = {job.study.key: len(job.clashes.sops) for job in jobs if job.clashes.sops}
    waiting = list(jobs)
    while waiting:
        _decide(tools, jobs, policies, forced)
        waiting = [job for job in jobs if _compare(tools, job, forced)]
    warn_of_others(tools, jobs)
    taken = [*used, *(job.naming.mapping_row for job in jobs if job.naming is not None)]
    return list(unused_rows(tools.request.mapping, taken))


def _decide(
    tools: Tools, jobs: list[Job], policies: dict[str, tuple[int, ProjectPolicy]], forced: dict[str, int]
) -> None:
    """Settle all jobs against the catalog as it is, and reserve; waits while another import holds one of the names."""
    recovered = time.monotonic()
    while True:
        tools.check()
        with tools.catalog.write() as connection:
            holders = _try(tools, connection, jobs, policies, forced)
        if not holders:
            return
        if time.monotonic() - recovered > RECOVER_SECONDS:
            stuck = recover(tools.catalog, tools.store).stuck
            for uuid in sorted(holders & stuck.keys()):
                raise stuck[uuid]
            recovered = time.monotonic()
        time.sleep(WAIT_SECONDS)


def _try(
    tools: Tools,
    connection: Connection,
    jobs: list[Job],
    policies: dict[str, tuple[int, ProjectPolicy]],
    forced: dict[str, int],
) -> set[str]:
    namings = [job.naming for job in jobs if job.naming is not None]
    lock_projects(connection, (naming.project.label for naming in namings))
    view = SqlView(connection, tools.lease.upload_id)
    decisions = settle(
        namings,
        [job.study for job in jobs],
        tools.request,
        {name: policy for name, (_, policy) in policies.items()},
        view,
        tools.started,
    )
    for at, decision in enumerate(decisions):
        count = forced.get(decision.study_key)
        if count is not None:
            why = notice("sop_clash", label=decision.label, count=count)
            decisions[at] = hold(decision, why, view, tools.started, decisions)
    names: set[LockName] = set()
    for job, decision in zip(jobs, decisions, strict=True):
        job.decision = decision
        job.project_id, job.policy = policies[decision.project]
        names |= _names(job)
    holders = held_by_others(connection, tools.lease, names)
    if holders:
        release(connection, tools.lease)
        return holders
    reserve(tools.catalog, connection, tools.lease, names)
    for job in jobs:
        join_base(tools, connection, job)
    return set()


def _names(job: Job) -> set[LockName]:
    """What nobody else may plan with: the study and the label in the project, and every session of theirs."""
    decision = job.settled
    names = session_locks(
        decision.project,
        label=decision.label,
        subject=decision.subject,
        study_uid=decision.study_uid,
        timestamp=decision.timestamp or "",
    )
    if decision.settles is not None and decision.settles.timestamp is not None:
        names.add(timestamp_lock(decision.project, decision.settles.timestamp))
    if job.naming is not None:
        names.add(label_lock(decision.project, job.naming.session.label))
    return names


def join_base(tools: Tools, connection: Connection, job: Job) -> None:
    """Load the session that a job joins, its files into the ledger."""
    job.base, job.base_scans, job.base_resources, job.last_file = None, [], [], -1
    tools.ledger.run("DELETE FROM base WHERE job = ?", (job.n,))
    decision = job.settled
    if decision.existing is None:
        return
    job.base = existing_session(connection, decision.existing)
    job.decision = replace(decision, label=job.base.label, timestamp=job.base.timestamp or None)
    job.base_scans = scans_of(connection, job.base.tree_id)
    job.base_resources = resources_of(connection, job.base.tree_id)
    folders = folders_of({scan.n: scan.scan_id for scan in job.base_scans}, job.base_resources)
    tools.ledger.many(
        "INSERT INTO base (job, n, resource_n, path, bytes, sha256, sop, frames, dataset_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                job.n,
                f.n,
                f.resource_n,
                below(folders[f.resource_n], f.name),
                f.bytes,
                f.sha256,
                f.sop_uid or "",
                f.frames,
                f.dataset_at,
            )
            for f in files_of(connection, job.base.tree_id)
        ),
    )
    note_rotten(tools.ledger, job.n, damaged_files(connection, job.base.tree_id))
    job.last_file = tools.ledger.rows("SELECT COALESCE(MAX(n), -1) FROM base WHERE job = ?", (job.n,))[0][0]


def _compare(tools: Tools, job: Job, forced: dict[str, int]) -> bool:
    """Compare a job's objects with the session it joins; True where it must now be held, and so planned again."""
    job.duplicates, job.replaced = [], []
    if job.base is None:
        return False
    with standing(tools.store, job.name) as base:
        note_broken(tools.ledger, job.n, base)
        job.duplicates, clashes = against_base(tools.ledger, job.n, tools.stage, base.open)
    job.duplicates += ecat_repeats(tools, job)
    if not clashes.sops:
        return False
    if job.settled.overwrite == "delete" and job.settled.held is None:
        job.replaced = clashes.base
        return False
    tools.ledger.many(
        "UPDATE entry SET verdict = 'conflict', code = 'sop_clash', message = '' WHERE ordinal = ?",
        [(number,) for number in {number for number, _ in clashes.base}],
    )
    if job.study.key in forced:
        return False
    forced[job.study.key] = len(clashes.sops)
    return True


def ecat_repeats(tools: Tools, job: Job) -> list[tuple[bytes, int]]:
    """A job's ECAT files that the session it joins has: (entry's ordinal, number of the base file)."""
    return [
        (number, n)
        for number, n in tools.ledger.rows(
            "SELECT e.ordinal, MIN(b.n) FROM entry e CROSS JOIN base b INDEXED BY base_sha256"
            " ON b.job = e.job AND b.sha256 = e.sha256"
            " WHERE e.job = ? AND e.content = 'ecat' AND e.verdict = '' GROUP BY e.ordinal",
            (job.n,),
        )
    ]


def all_there(tools: Tools, job: Job) -> Notice | None:
    """For a session held as `session_exists`: the reason that says whether the archived one has every object."""
    decision = job.settled
    if decision.held is None or decision.held.code != "session_exists" or decision.archived is None:
        return None
    with tools.catalog.read() as connection:
        archived = existing_session(connection, decision.archived)
        known = {row.sha256 for row in files_of(connection, archived.tree_id)}
    mine = tools.ledger.stream(
        "SELECT DISTINCT sha256 FROM entry WHERE job = ? AND content IN ('dicom', 'ecat')", (job.n,)
    )
    if all(sha256 in known for (sha256,) in mine):
        return session_exists(archived.label, decision.project, all_there=True)
    return None
