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
from scandock.rules.ecat_facts import ecat_scan_attributes
from scandock.rules.frames import ecat_frames
from scandock.rules.notices import OF_WHOLE, Notice
from scandock.rules.said_fields import set_by_hand, with_said
from scandock.rules.scan_facts import agreed_attributes, scan_attributes
from scandock.rules.scan_ids import ECAT_MODALITY, sort_key
from scandock.rules.session_facts import session_attributes
from scandock.rules.session_types import session_type, type_once_joined
from scandock.rules.sop_classes import scan_type
from scandock.rules.tallied import agreed, counts, most_common


def describe(job: Job, zone: tzinfo, said: Mapping[str, str]) -> None:
    """Types and attributes of scans and session, from all that is in them now (xnat-behaviour.md 4).

    `said`: what the door was told of the session, which goes before what its objects say (1.4). What a person set
    stays, and so does the type of an archived session that is joined; one that waits has the type of all its images.
    """
    for scan in job.scans:
        describe_scan(scan, zone)
    tallies = [scan.facts for scan in job.scans if isinstance(scan.facts, SeriesTally)]
    found, warnings = session_attributes(tallies, ecat_of(job), zone)
    base = job.base
    if base is not None:
        found = with_said(base.attributes, found, base.fields_by_hand)
    job.attributes = {**found, **said}
    job.fields_by_hand = set_by_hand(base.fields_by_hand if base is not None else (), said)
    job.warnings.extend(warnings)
    petmr = job.policy.petmr if job.policy is not None else "petmr"
    types, modalities = [scan.xsi_type for scan in job.scans], [scan.modality for scan in job.scans]
    if base is not None and base.place == "archive":
        job.xsi_type = type_once_joined(base.xsi_type, types, modalities, petmr, is_set=base.type_is_set)
    else:
        job.xsi_type = session_type(types, modalities, petmr)


def describe_scan(scan: ScanRow, zone: tzinfo) -> None:
    """Type, modality and attributes of one scan, from its facts and its number of frames.

    One that a person made of several series keeps what was said of it where they do not agree.
    """
    if isinstance(scan.facts, SeriesTally):
        scan.facts.frames = scan.frames
    if isinstance(scan.facts, SeriesTally) and scan.series_uid is None:
        scan.attributes = {**scan.attributes, **agreed_attributes(scan.facts)}
        scan.modality = scan.modality or agreed(counts(scan.facts, "Modality"))
    elif isinstance(scan.facts, SeriesTally):
        scan.attributes = scan_attributes(scan.facts)
        scan.xsi_type = scan_type(counts(scan.facts, "SOPClassUID"))
        scan.modality = most_common(counts(scan.facts, "Modality"))
    elif scan.facts:
        # rows of files from before counted each of them as one image
        scan.frames = max(scan.frames, sum(map(ecat_frames, scan.facts)))
        scan.attributes = {**ecat_scan_attributes(scan.facts[0], zone), "frames": str(scan.frames)}
        scan.modality = ECAT_MODALITY
    scan.type = scan.attributes.get("type", "")


def ecat_of(job: Job) -> list[EcatFacts]:
    """The facts of all ECAT files of a job's session, joined ones included."""
    return [facts for scan in job.scans if isinstance(scan.facts, list) for facts in scan.facts]


def session_warnings(job: Job) -> list[dict[str, str]]:
    """A session's warnings as the catalog has them, each once: those that it had, and what this import adds.

    What is found anew in the whole session is as it is now.
    """
    base = job.base
    earlier = [Notice(**said) for said in base.warnings] if base is not None else []
    had = [one for one in (*earlier, *job.settled.warnings) if one.code not in OF_WHOLE]
    return [asdict(notice) for notice in dict.fromkeys([*had, *job.warnings])]


def _reported(job: Job) -> list[dict[str, str]]:
    """A session's warnings as the report of this import has them, each once.

    That an archived one has several patients, as somebody said that they are one, is true of it whatever joins it.
    """
    base = job.base
    stays = base.warnings if base is not None and base.place == "archive" else []
    kept = [Notice(**said) for said in stays if said["code"] == "patient_mismatch"]
    return [asdict(notice) for notice in dict.fromkeys([*kept, *job.settled.warnings, *job.warnings])]


def report_of(job: Job, state: str) -> ImportedSession:
    """A session as the report shows it (design: fixed surface)."""
    decision = job.settled
    held = decision.held
    of_scan: dict[int | None, list[FileSum]] = {}
    for resource in job.resources:
        one = FileSum(name=resource.label, files=resource.files, bytes=resource.bytes)
        of_scan.setdefault(resource.scan_n, []).append(one)
    return ImportedSession(
        uri=job.uri,
        path=job.name,
        project=decision.project,
        subject=decision.subject,
        label=decision.label,
        study_uid=decision.study_uid,
        state=state,
        code=held.code if held is not None else "",
        message=f"{held.message} {held.remedy}".strip() if held is not None else "",
        warnings=_reported(job),
        files=job.files,
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


def refused_sessions(study_uids: Sequence[str | None], why: Notice) -> list[ImportedSession]:
    """Studies of which nothing was taken, as the report shows them: they stand nowhere."""
    return [
        ImportedSession(
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
            bytes=0,
            session_type=None,
            scans=[],
            resources=[],
        )
        for study_uid in study_uids
    ]
