"""Step 6: each session goes to the prearchive or the archive as a whole or not at all."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from typing import Final

from scandock.catalog.file_rows import NO_ANNOTATIONS, FileRow
from scandock.catalog.records import SessionRecord
from scandock.catalog.sessions import find_session, read_for_trash
from scandock.catalog.trees import files_of
from scandock.model.import_types import Overwrite
from scandock.pipeline.healing import open_stored_files
from scandock.pipeline.job import Job, JobContext
from scandock.pipeline.known_entries import older_origins, read_origin
from scandock.pipeline.moved_session import find_heir, inherit, remove_joined, replace_tree
from scandock.pipeline.plan import all_archived_notice
from scandock.pipeline.resource_files import ResourceWriter, assign_resources
from scandock.pipeline.session_description import describe_session, session_warnings
from scandock.pipeline.studies import index_folders
from scandock.pipeline.tree_arranger import TreeArranger
from scandock.publishing.deletes import Removal, new_trash_id
from scandock.publishing.intents import Placement, SessionRow
from scandock.publishing.tree_files import file_paths
from scandock.publishing.tree_plan import ResourceSums, build_trees, set_sums
from scandock.queue.tokens import new_uuid
from scandock.rules.labels import UNASSIGNED, label_key
from scandock.rules.notices import make_notice
from scandock.store.errors import TreeDamaged
from scandock.store.paths import tree_path


def plan_trees(context: JobContext, jobs: list[Job]) -> None:
    """Give every entry its place in its job's tree, and every job the plan of that; all that a dry run does of this.

    Raises Fault as `plan_tree` does.
    """
    arrangers = {}
    keep_names = context.request.keep_names and context.ledger.names.keeps
    for job in jobs:
        context.check()
        arranger = arrangers[job.n] = TreeArranger(context.ledger, context.stage, job, keep_names=keep_names)
        if context.request.keep_names and not keep_names:
            job.warnings.append(make_notice("names_not_kept", label=job.final_decision.label))
        arranger.begin()
        arranger.place_images()
    writers = {n: ResourceWriter(arranger) for n, arranger in arrangers.items()}
    make_indexes = partial(index_folders, context.ledger, jobs)
    assign_resources(context.ledger, writers, make_indexes, context.request.resources)
    for job in jobs:
        context.check()
        plan_tree(context, job, arrangers[job.n])


def plan_tree(context: JobContext, job: Job, arranger: TreeArranger) -> None:
    """Give a job the plan of its tree, where it is to have a new one, and all that is to be said of its session.

    Fault `tree_damaged` or `tree_missing` where files of the session that it joins are gone.
    """
    decision = job.final_decision
    if job.base is not None and job.base.subject != decision.subject:  # what is there is moved by people alone
        job.decision = decision = replace(decision, subject=job.base.subject)
    why = all_archived_notice(context, job)
    if why is not None:
        job.decision = decision = replace(decision, held=why)
    job.warnings += arranger.healer.finish(decision.label, job.name, arranger.dropped, changes=arranger.started)
    if arranger.started:
        sum_resources(job, arranger.sums())
    describe_session(job, context.zone, context.request.said)
    job.files = sum(resource.files for resource in job.resources)
    job.bytes = sum(resource.bytes for resource in job.resources)
    job.plan = arranger.plan() if arranger.started else None


def build_job_trees(context: JobContext, jobs: list[Job]) -> None:
    """Build the trees that are planned; gives each job its placement."""
    plans = [job.plan for job in jobs if job.plan is not None]
    built = iter(build_trees(context.catalog, context.stage, context.lease, plans, context.check))
    moved, heir = context.moved, find_heir(context, jobs)
    for job in jobs:
        resolve_conflict(context, job)
        if job.plan is not None:
            base_mark = context.store.current(job.name) if job.base is not None else None
            row = _make_row(context, job)
            if moved is not None and job is heir:
                row = inherit(moved, row, job)
            job.placement = next(built).placement(job.name, row, base_mark=base_mark, n=job.n)
            if job is heir:
                job.placement = replace_tree(context, job, job.placement)
        elif job.base is not None and _changes_overwrite(context, job):
            job.placement = _place_row_only(context, job, job.base)
    if heir is None:
        remove_joined(context, jobs)


def sum_resources(job: Job, sums: dict[int, ResourceSums]) -> None:
    """Files, bytes and frames of resources and scans; what became empty goes.

    What people made by hand may be empty, and stays.
    """
    empty_scans = {scan.n for scan in job.base_scans if not scan.files}
    empty_resources = {resource.n for resource in job.base_resources if not resource.files}
    job.resources = [resource for resource in job.resources if resource.n in sums or resource.n in empty_resources]
    set_sums(job.scans, job.resources, sums)
    job.scans = [scan for scan in job.scans if scan.files or scan.n in empty_scans]


def _overwrite(context: JobContext) -> Overwrite:
    return context.request.overwrite or "append"


def _changes_overwrite(context: JobContext, job: Job) -> bool:
    """Whether an import that brings a waiting session nothing new wants something else of an archived one."""
    base = job.base
    return base is not None and base.place == "prearchive" and base.overwrite != _overwrite(context)


def _place_row_only(context: JobContext, job: Job, base: SessionRecord) -> Placement:
    """The placement of a session whose tree stays where and as it is: what is said of it alone changes."""
    mark = context.store.current(job.name)
    if mark is None:
        raise TreeDamaged(f"{job.name} is not where it was stored.", "Run `scandock check`.")
    return Placement(
        n=job.n,
        name=job.name,
        staged=None,
        mark=mark,
        tree_id=base.tree_id,
        base_tree_id=None,
        base_mark=None,
        keep_base=False,
        session=_make_row(context, job),
        moves=job.name,
    )


def _make_row(context: JobContext, job: Job) -> SessionRow:
    """What the catalog will say of a job's session."""
    decision, base = job.final_decision, job.base
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
        quarantined=_in_quarantine(context, job),
        xsi_type=job.xsi_type,
        attributes=job.attributes,
        type_by_hand=base is not None and base.type_is_set and base.place == "archive",
        fields_by_hand=job.fields_by_hand,
        folder=decision.folder or (base.folder if base is not None else ""),
        overwrite=_overwrite(context),
        warnings=session_warnings(job),
        held=held,
        patient_ids=_patient_ids(context, job),
        study_key=job.study_key or (base.study_key if base is not None else ""),
        patient_key=job.patient_key or (base.patient_key if base is not None else ""),
        scans=len(job.scans),
        files=job.files,
        bytes=job.bytes,
        side=decision.side,
    )


def _in_quarantine(context: JobContext, job: Job) -> bool:
    """Whether a session is in quarantine (1.4): as it was asked for now, or before, or as its project asks for.

    A project asks for it of what enters its archive: what waits before it enters then (`services/archiving.py`).
    """
    entering = job.final_decision.place == "archive" and job.policy is not None and job.policy.quarantine
    before = job.quarantined or (job.base is not None and job.base.quarantined)
    return context.request.quarantine or entering or before


def _patient_ids(context: JobContext, job: Job) -> list[str]:
    if job.privacy is not None or job.patient_key or _was_scrubbed(context, job):
        return list(job.patient_tokens)
    return list(job.study.patient_ids(context.site.placeholders))


def _was_scrubbed(context: JobContext, job: Job) -> bool:
    """Whether what comes was de-identified before, so that its headers tell no patient."""
    query = "SELECT 1 FROM entry INDEXED BY entry_rules WHERE job = ? AND rules IS NOT NULL LIMIT 1"
    return bool(context.ledger.rows(query, (job.n,)))


_N: Final = 1_000_000
"""Removals are numbered beside the placements of an import, from here on."""


def resolve_conflict(context: JobContext, job: Job) -> None:
    """Let a session go to the trash that waits for an answer which this import gives, where it brings all of it.

    By the right of whoever sent it to archive what waits. What it does not bring stays where it is, whole; what people
    said of it is such a thing.
    """
    conflict, decision = job.final_decision.settles, job.final_decision
    if conflict is None or not context.may_archive(decision.project):
        return
    with context.catalog.read() as connection:
        waiting = find_session(connection, conflict.uuid)
        if waiting is None or waiting.held[0] != conflict.held or waiting.timestamp != conflict.timestamp:
            return
        rows = list(files_of(connection, waiting.tree_id))
        row = read_for_trash(connection, waiting)
    mark = context.store.current(tree_path(waiting.parts))
    if mark is None or not _is_brought(context, job, waiting, rows):
        return
    if (
        _has_other_fields(context, job, waiting)
        or row.edits
        or any(file_row.words != NO_ANNOTATIONS for file_row in rows)
    ):
        return
    job.quarantined = waiting.quarantined
    job.removal = Removal(
        n=_N + job.n,
        uuid=waiting.uuid,
        name=tree_path(waiting.parts),
        mark=mark,
        tree_id=waiting.tree_id,
        project_id=waiting.project_id,
        trash=new_trash_id(context.catalog, context.store),
        keep=True,
        row=row,
    )
    _replace_warning(job, waiting)


def _is_brought(context: JobContext, job: Job, waiting: SessionRecord, rows: list[FileRow]) -> bool:
    """Whether an import brings every file of a session that waits: by the bytes, or by what objects were.

    Files from before the rules are read where their bytes don't tell.
    """
    brought = _list_brought_hashes(context, job)
    brought |= older_origins(context.ledger, brought)
    unknown = [row for row in rows if row.sha256 not in brought and row.origin not in brought]
    if job.privacy is None or any(row.origin is not None or row.sop_uid is None for row in unknown):
        return not unknown
    with context.catalog.read() as connection:
        paths = file_paths(connection, waiting.tree_id, unknown)
    with open_stored_files(context.store, tree_path(waiting.parts)) as stored_files:
        return all(
            read_origin(job.privacy, partial(stored_files.open, paths[row.n]), row.dataset_at) in brought
            for row in unknown
        )


def _list_brought_hashes(context: JobContext, job: Job) -> set[bytes]:
    """The contents of which the archived session has each one, or one that is no other object; and their origins."""
    rows = context.ledger.stream(
        "SELECT DISTINCT sha256, own_sha256, origin FROM entry"
        " WHERE job = ? AND verdict IN ('stored', 'duplicate', 'resource')",
        (job.n,),
    )
    return {digest for row in rows for digest in row if digest is not None}


def _has_other_fields(context: JobContext, job: Job, waiting: SessionRecord) -> bool:
    """Whether people said something of what waits that the import neither says nor finds in the archive."""
    names = set(waiting.fields_by_hand) - set(context.request.said)
    return any(job.attributes.get(name) != waiting.attributes.get(name) for name in names)


def _replace_warning(job: Job, waiting: SessionRecord) -> None:
    """The warning that it was left alone is no more true."""
    other = f"{waiting.timestamp}/{waiting.label}"
    left_notice = make_notice("session_in_prearchive_left", other=other)
    warnings = tuple(warning for warning in job.final_decision.warnings if warning != left_notice)
    if job.base is not None:
        job.base = replace(
            job.base, warnings=[warning for warning in job.base.warnings if warning != asdict(left_notice)]
        )
    job.decision = replace(job.final_decision, warnings=(*warnings, make_notice("conflict_settled", other=other)))
