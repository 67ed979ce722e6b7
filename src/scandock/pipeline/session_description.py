"""Types and attributes of a job's scans and session, and how the report shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import tzinfo

from scandock.catalog.trees import ScanRow
from scandock.model.imported import FileSum, ImportedScan, ImportedSession
from scandock.model.series import EcatFacts, SeriesTally
from scandock.model.verdicts import SessionState
from scandock.pipeline.job import Job
from scandock.rules.ecat_attributes import ecat_scan_attributes
from scandock.rules.frame_counts import count_ecat_frames
from scandock.rules.notices import SESSION_WARNINGS, Notice
from scandock.rules.scan_attributes import agreed_attributes, scan_attributes
from scandock.rules.scan_ids import ECAT_MODALITY, sort_key
from scandock.rules.session_attributes import session_attributes
from scandock.rules.session_fields import list_fields_by_hand, merge_attributes
from scandock.rules.session_types import joined_session_type, session_type
from scandock.rules.sop_classes import scan_type
from scandock.rules.tally_values import agreed_value, count_values, most_common


def describe_session(job: Job, zone: tzinfo, fields: Mapping[str, str]) -> None:
    """Types and attributes of scans and session, from all that is in them now (xnat-behaviour.md 4).

    `fields`: what the door was told of the session, which goes before what its objects say (1.4). What a person set
    stays, and so does the type of an archived session that is joined; one that waits has the type of all its images.
    """
    for scan in job.scans:
        describe_scan(scan, zone)
    tallies = [scan.facts for scan in job.scans if isinstance(scan.facts, SeriesTally)]
    attributes, warnings = session_attributes(tallies, list_ecat_facts(job), zone)
    base = job.base
    if base is not None:
        attributes = merge_attributes(base.attributes, attributes, base.fields_by_hand)
    job.attributes = {**attributes, **fields}
    job.fields_by_hand = list_fields_by_hand(base.fields_by_hand if base is not None else (), fields)
    job.warnings.extend(warnings)
    types, modalities = [scan.xsi_type for scan in job.scans], [scan.modality for scan in job.scans]
    if base is not None and base.place == "archive":
        job.xsi_type = joined_session_type(base.xsi_type, types, modalities, job.pet_mr, is_set=base.type_is_set)
    else:
        job.xsi_type = session_type(types, modalities, job.pet_mr)


def describe_scan(scan: ScanRow, zone: tzinfo) -> None:
    """Type, modality and attributes of one scan, from its facts and its number of frames.

    One that a person made of several series keeps what was said of it where they do not agree.
    """
    if isinstance(scan.facts, SeriesTally):
        scan.facts.frames = scan.frames
    if isinstance(scan.facts, SeriesTally) and scan.series_uid is None:
        scan.attributes = {**scan.attributes, **agreed_attributes(scan.facts)}
        scan.modality = scan.modality or agreed_value(count_values(scan.facts, "Modality"))
    elif isinstance(scan.facts, SeriesTally):
        scan.attributes = scan_attributes(scan.facts)
        scan.xsi_type = scan_type(count_values(scan.facts, "SOPClassUID"))
        scan.modality = most_common(count_values(scan.facts, "Modality"))
    elif scan.facts:
        # rows of files from before counted each of them as one image
        scan.frames = max(scan.frames, sum(map(count_ecat_frames, scan.facts)))
        scan.attributes = {**ecat_scan_attributes(scan.facts[0], zone), "frames": str(scan.frames)}
        scan.modality = ECAT_MODALITY
    scan.type = scan.attributes.get("type", "")


def list_ecat_facts(job: Job) -> list[EcatFacts]:
    """The facts of all ECAT files of a job's session, joined ones included."""
    return [facts for scan in job.scans if isinstance(scan.facts, list) for facts in scan.facts]


def session_warnings(job: Job) -> list[dict[str, str]]:
    """A session's warnings as the catalog has them, each once: those that it had, and what this import adds.

    What is found anew in the whole session is as it is now.
    """
    base = job.base
    earlier = [Notice(**row) for row in base.warnings] if base is not None else []
    earlier_notices = [
        warning for warning in (*earlier, *job.final_decision.warnings) if warning.code not in SESSION_WARNINGS
    ]
    return [asdict(notice) for notice in dict.fromkeys([*earlier_notices, *job.warnings])]


def _report_warnings(job: Job) -> list[dict[str, str]]:
    """A session's warnings as the report of this import has them, each once.

    That an archived one has several patients, as somebody said that they are one, is true of it whatever joins it.
    """
    base = job.base
    stays = base.warnings if base is not None and base.place == "archive" else []
    kept_notices = [Notice(**warning) for warning in stays if warning["code"] == "patient_mismatch"]
    return [asdict(notice) for notice in dict.fromkeys([*kept_notices, *job.final_decision.warnings, *job.warnings])]


def make_session_report(job: Job, state: str, new: int) -> ImportedSession:
    """A session as the report shows it (design: fixed surface); `new`: files that the import has added to it."""
    decision = job.final_decision
    held = decision.held
    of_scan: dict[int | None, list[FileSum]] = {}
    for resource in job.resources:
        one = FileSum(name=resource.label, files=resource.files, bytes=resource.bytes)
        of_scan.setdefault(resource.scan_n, []).append(one)
    return ImportedSession(
        id=job.session_uuid,
        uri=job.uri,
        path=job.name,
        project=decision.project,
        subject=decision.subject,
        label=decision.label,
        study_uid=decision.study_uid,
        state=state,
        code=held.code if held is not None else "",
        message=f"{held.message} {held.remedy}".strip() if held is not None else "",
        warnings=_report_warnings(job),
        files=job.files,
        new=new,
        bytes=job.bytes,
        session_type=job.xsi_type,
        scans=[
            ImportedScan(
                id=scan.scan_id,
                series_uid=scan.series_uid,
                modality=scan.modality,
                type=scan.type,
                xsi_type=scan.xsi_type,
                frames=scan.frames,
                resources=of_scan.get(scan.n, []),
            )
            for scan in sorted(job.scans, key=lambda scan: (sort_key(scan.scan_id), scan.n))
        ],
        resources=of_scan.get(None, []),
    )


def refused_session_reports(study_uids: Sequence[str | None], why: Notice) -> list[ImportedSession]:
    """Studies of which nothing was taken, as the report shows them: they stand nowhere."""
    return [
        ImportedSession(
            id=None,
            uri=None,
            path=None,
            project=None,
            subject=None,
            label=None,
            study_uid=study_uid,
            state=SessionState.REFUSED.value,
            code=why.code,
            message=f"{why.message} {why.remedy}".strip(),
            warnings=[],
            files=0,
            new=0,
            bytes=0,
            session_type=None,
            scans=[],
            resources=[],
        )
        for study_uid in study_uids
    ]
