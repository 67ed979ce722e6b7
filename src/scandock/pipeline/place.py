"""Step 6: each session goes to the prearchive or the archive as a whole or not at all."""

from __future__ import annotations

from dataclasses import replace

from scandock.catalog.records import SessionRecord
from scandock.model.importing import Overwrite
from scandock.pipeline.arrange import Arranger
from scandock.pipeline.describe import describe, session_warnings
from scandock.pipeline.gather import index_folders
from scandock.pipeline.job import Job, Tools
from scandock.pipeline.others import ResourceKeeper, assign_others
from scandock.pipeline.plan import all_there
from scandock.pipeline.settling import settle_conflict
from scandock.placing.intents import Placement, SessionRow
from scandock.placing.tree_plan import Sums, build_trees, set_sums
from scandock.queue.tokens import new_uuid
from scandock.rules.labels import UNASSIGNED, label_key
from scandock.store.errors import TreeDamaged


def arrange_all(tools: Tools, jobs: list[Job]) -> None:
    """Plan every job's tree and build it, its rows where nobody sees them yet; gives each job its placement."""
    plan_trees(tools, jobs)
    build(tools, jobs)


def plan_trees(tools: Tools, jobs: list[Job]) -> None:
    """Give every entry its place in its job's tree, and every job the plan of that; all that a dry run does of this.

    Raises Fault as `plan_tree` does.
    """
    arrangers = {}
    for job in jobs:
        tools.check()
        arranger = arrangers[job.n] = Arranger(tools.ledger, tools.stage, job, keep_names=tools.request.keep_names)
        arranger.begin()
        arranger.place_images()
    takers = {n: ResourceKeeper(arranger) for n, arranger in arrangers.items()}
    assign_others(tools.ledger, takers, index_folders(tools.ledger), tools.request.resources)
    for job in jobs:
        tools.check()
        plan_tree(tools, job, arrangers[job.n])


def plan_tree(tools: Tools, job: Job, arranger: Arranger) -> None:
    """Give a job the plan of its tree, where it is to have a new one, and all that is to be said of its session.

    Fault `tree_damaged` or `tree_missing` where files of the session that it joins are gone.
    """
    decision = job.settled
    if job.base is not None and job.base.subject != decision.subject:  # what is there is moved by people alone
        job.decision = decision = replace(decision, subject=job.base.subject)
    why = all_there(tools, job)
    if why is not None:
        job.decision = decision = replace(decision, held=why)
    job.warnings += arranger.healer.finish(decision.label, job.name, arranger.dropped, changes=arranger.started)
    if arranger.started:
        sum_resources(job, arranger.sums())
    describe(job, tools.zone, tools.request.said)
    job.files = sum(resource.files for resource in job.resources)
    job.bytes = sum(resource.bytes for resource in job.resources)
    job.plan = arranger.plan() if arranger.started else None


def build(tools: Tools, jobs: list[Job]) -> None:
    """Build the trees that are planned; gives each job its placement."""
    plans = [job.plan for job in jobs if job.plan is not None]
    built = iter(build_trees(tools.catalog, tools.stage, tools.lease, plans, tools.check))
    for job in jobs:
        settle_conflict(tools, job)
        if job.plan is not None:
            base_inode = tools.store.current(job.name) if job.base is not None else None
            job.placement = next(built).placement(job.name, _row(tools, job), base_inode=base_inode, n=job.n)
        elif job.base is not None and _says_anew(tools, job):
            job.placement = _row_alone(tools, job, job.base)


def sum_resources(job: Job, sums: dict[int, Sums]) -> None:
    """Files, bytes and frames of resources and scans; what became empty goes.

    What people made by hand may be empty, and stays.
    """
    empty = {scan.n for scan in job.base_scans if not scan.files}
    made = {resource.n for resource in job.base_resources if not resource.files}
    job.resources = [resource for resource in job.resources if resource.n in sums or resource.n in made]
    set_sums(job.scans, job.resources, sums)
    job.scans = [scan for scan in job.scans if scan.files or scan.n in empty]


def _overwrite(tools: Tools) -> Overwrite:
    return tools.request.overwrite or "append"


def _says_anew(tools: Tools, job: Job) -> bool:
    """Whether an import that brings a waiting session nothing new wants something else of an archived one."""
    base = job.base
    return base is not None and base.place == "prearchive" and base.overwrite != _overwrite(tools)


def _row_alone(tools: Tools, job: Job, base: SessionRecord) -> Placement:
    """The placement of a session whose tree stays where and as it is: what is said of it alone changes."""
    inode = tools.store.current(job.name)
    if inode is None:
        raise TreeDamaged(f"{job.name} is not where it was stored.", "Run `scandock check`.")
    return Placement(
        n=job.n,
        name=job.name,
        staged=None,
        inode=inode,
        tree_id=base.tree_id,
        base_tree_id=None,
        base_inode=None,
        keep_base=False,
        session=_row(tools, job),
        moves=job.name,
    )


def _row(tools: Tools, job: Job) -> SessionRow:
    """What the catalog will say of a job's session."""
    decision, base = job.settled, job.base
    held = ("", "", "")
    if decision.held is not None:
        held = (decision.held.code, decision.held.message, decision.held.remedy)
    if base is not None and base.state == "conflict" and base.held[0]:
        held = base.held
    return SessionRow(
        uuid=base.uuid if base is not None else new_uuid(),
        new=base is None,
        project_id=job.project_id,
        subject=decision.subject,
        make_subject=decision.place == "archive" and decision.project != UNASSIGNED,
        label=decision.label,
        key=label_key(decision.label),
        place=decision.place,
        timestamp=decision.timestamp or "" if decision.place == "prearchive" else "",
        state="conflict" if held[0] else "ready",
        study_uid=decision.study_uid or (base.study_uid if base is not None else None),
        patient_id=decision.patient_id or (base.patient_id if base is not None else ""),
        ecat=bool(job.ecat) or (base is not None and base.ecat),
        quarantined=_in_quarantine(tools, job),
        xsi_type=job.xsi_type,
        attributes=job.attributes,
        type_by_hand=base is not None and base.type_is_set and base.place == "archive",
        fields_by_hand=job.fields_by_hand,
        folder=decision.folder or (base.folder if base is not None else ""),
        overwrite=_overwrite(tools),
        warnings=session_warnings(job),
        held=held,
        patient_ids=_patient_ids(tools, job),
        scans=len(job.scans),
        files=job.files,
        bytes=job.bytes,
    )


def _in_quarantine(tools: Tools, job: Job) -> bool:
    """Whether a session is in quarantine (1.4): as it was asked for now, or before, or as its project asks for.

    A project asks for it of what enters its archive: what waits before it enters then (`services/archiving.py`).
    """
    entering = job.settled.place == "archive" and job.policy is not None and job.policy.quarantine
    before = job.quarantined or (job.base is not None and job.base.quarantined)
    return tools.request.quarantine or entering or before


def _patient_ids(tools: Tools, job: Job) -> list[str]:
    return list(job.study.patient_ids(tools.site.placeholders))
