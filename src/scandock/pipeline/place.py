"""Step 6: each session goes to the prearchive or the archive as a whole or not at all."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from scandock.catalog.trees import copy_files, sum_up, write_files, write_structure
from scandock.model.points import reach
from scandock.model.series import SeriesTally
from scandock.pipeline.arrange import Arranger, ecat_of, place_others
from scandock.pipeline.gather import index_folders
from scandock.pipeline.job import Job, Tools
from scandock.pipeline.plan import all_there
from scandock.placing.intents import Placement, SessionRow, new_tree
from scandock.queue.tokens import new_uuid
from scandock.rules.ecat_facts import ecat_scan_attributes
from scandock.rules.labels import UNASSIGNED, label_key
from scandock.rules.scan_facts import scan_attributes
from scandock.rules.session_facts import session_attributes
from scandock.rules.session_types import session_type
from scandock.rules.sop_classes import scan_type
from scandock.rules.tallied import counts, most_common


def arrange_all(tools: Tools, jobs: list[Job]) -> None:
    """Put every job's tree together, and write its rows where nobody sees them yet."""
    arrangers = {}
    for job in jobs:
        tools.check()
        arranger = arrangers[job.n] = Arranger(tools, job)
        arranger.begin()
        arranger.place_images()
    place_others(tools, arrangers, index_folders(tools.ledger))
    reach("arranged")
    for job in jobs:
        tools.check()
        _write(tools, job, arrangers[job.n])
    reach("rows")


def _write(tools: Tools, job: Job, arranger: Arranger) -> None:
    decision = job.settled
    why = all_there(tools, job)
    if why is not None:
        job.decision = decision = replace(decision, held=why)
    tree_id = 0
    if arranger.started:
        with tools.catalog.write() as connection:
            tree_id = new_tree(tools.catalog, connection, tools.lease)
        if job.base is not None:
            copy_files(tools.catalog, job.base.tree_id, tree_id, job.last_file, arranger.dropped)
        write_files(tools.catalog, tree_id, arranger.rows())
        with tools.catalog.write() as connection:
            _sum(job, sum_up(connection, tree_id))
            _describe(tools, job)
            write_structure(connection, tree_id, job.scans, job.resources)
    else:
        _describe(tools, job)
    job.files = sum(resource.files for resource in job.resources)
    job.bytes = sum(resource.bytes for resource in job.resources)
    if arranger.started:
        job.placement = _placement(tools, job, tree_id, keep_base=bool(arranger.dropped))


def _sum(job: Job, sums: dict[int, tuple[int, int, int]]) -> None:
    """Files, bytes and frames of resources and scans, from the tree's own rows; what became empty goes."""
    by_n = {scan.n: scan for scan in job.scans}
    for scan in job.scans:
        scan.files = scan.bytes = scan.frames = 0
    job.resources = [resource for resource in job.resources if resource.n in sums]
    for resource in job.resources:
        resource.files, resource.bytes, frames = sums[resource.n]
        if resource.scan_n is not None:
            scan = by_n[resource.scan_n]
            scan.files += resource.files
            scan.bytes += resource.bytes
            if resource.label in ("DICOM", "secondary", "ECAT"):
                scan.frames += frames
    job.scans = [scan for scan in job.scans if scan.files]


def _describe(tools: Tools, job: Job) -> None:
    """Types and attributes of scans and session, from all that is in them now (xnat-behaviour.md 4)."""
    for scan in job.scans:
        if isinstance(scan.facts, SeriesTally):
            scan.facts.frames = scan.frames
            scan.attributes = scan_attributes(scan.facts)
            scan.xsi_type = scan_type(counts(scan.facts, "SOPClassUID"))
            scan.modality = most_common(counts(scan.facts, "Modality"))
        elif scan.facts:
            scan.attributes = ecat_scan_attributes(scan.facts[0], tools.zone)
            scan.modality = "PT"
        scan.type = scan.attributes.get("type", "")
    tallies = [scan.facts for scan in job.scans if isinstance(scan.facts, SeriesTally)]
    job.attributes, warnings = session_attributes(tallies, ecat_of(job), tools.zone)
    said = {warning.code for warning in job.settled.warnings}
    job.warnings.extend(warning for warning in warnings if warning.code not in said)
    petmr = job.policy.petmr if job.policy is not None else "petmr"
    job.xsi_type = session_type([scan.xsi_type for scan in job.scans], [scan.modality for scan in job.scans], petmr)


def _placement(tools: Tools, job: Job, tree_id: int, *, keep_base: bool) -> Placement:
    decision, base = job.settled, job.base
    inode = tools.stage.inode(job.tree)
    assert inode is not None
    held = ("", "", "")
    if decision.held is not None:
        held = (decision.held.code, decision.held.message, decision.held.remedy)
    if base is not None and base.state == "conflict" and base.held[0]:
        held = base.held
    return Placement(
        n=job.n,
        name=job.name,
        staged=job.tree,
        inode=inode,
        tree_id=tree_id,
        base_tree_id=base.tree_id if base is not None else None,
        base_inode=tools.store.current(job.name) if base is not None else None,
        keep_base=keep_base,
        session=SessionRow(
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
            xsi_type=job.xsi_type,
            attributes=job.attributes,
            warnings=session_warnings(job),
            held=held,
            patient_ids=_patient_ids(tools, job),
            scans=len(job.scans),
            files=job.files,
            bytes=job.bytes,
        ),
    )


def session_warnings(job: Job) -> list[dict[str, str]]:
    """A session's warnings as the report and the catalog have them, each once."""
    every = [*job.settled.warnings, *job.warnings]
    return [asdict(notice) for notice in dict.fromkeys(every)]


def _patient_ids(tools: Tools, job: Job) -> list[str]:
    return list(job.study.patient_ids(tools.site.placeholders))


def report_of(job: Job, state: str) -> dict[str, Any]:
    """A session as the report shows it (design: fixed surface)."""
    decision = job.settled
    held = decision.held
    by_n: dict[int, list[dict[str, Any]]] = {scan.n: [] for scan in job.scans}
    for resource in job.resources:
        if resource.scan_n in by_n:
            by_n[resource.scan_n].append({"name": resource.label, "files": resource.files, "bytes": resource.bytes})
    return {
        "uri": job.uri,
        "path": job.name,
        "project": decision.project,
        "subject": decision.subject,
        "label": decision.label,
        "study_uid": decision.study_uid,
        "state": state,
        "code": held.code if held is not None else "",
        "message": f"{held.message} {held.remedy}".strip() if held is not None else "",
        "warnings": session_warnings(job),
        "files": job.files,
        "bytes": job.bytes,
        "session_type": job.xsi_type,
        "scans": [
            {
                "id": scan.scan_id,
                "series_uid": scan.series_uid,
                "modality": scan.modality,
                "type": scan.type,
                "xsi_type": scan.xsi_type,
                "frames": scan.frames,
                "resources": by_n[scan.n],
            }
            for scan in job.scans
        ],
        "resources": [{"name": r.label, "files": r.files, "bytes": r.bytes} for r in job.resources if r.scan_n is None],
    }
