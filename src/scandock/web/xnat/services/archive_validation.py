"""What stands against archiving a session, by the original's codes (xnat-behaviour.md 5.8). Nothing is changed.

Archiving itself is tried as a dry run: what it refuses is a row here, and so is what a person would want to know.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, select

from scandock.catalog.records import SessionRecord
from scandock.catalog.sessions import find_session
from scandock.catalog.tables import subject
from scandock.model import uris
from scandock.model.errors import Usage
from scandock.rules.labels import UNASSIGNED, label_key
from scandock.services import session_parts
from scandock.services.committing import ArchiveParameters, archive_with_parameters
from scandock.services.context import ServiceContext
from scandock.services.outcomes import Outcome
from scandock.web.xnat.services.columns import Rows

FAIL: Final = "FAIL"
CONFLICT: Final = "CONFLICT"
WARN: Final = "WARN"
Finding = tuple[int, str, str]
"""Code, type, message."""
_EXISTS: Final = "Session already exists, retry with overwrite enabled"
_FINDINGS: Final[dict[str, tuple[int, str]]] = {
    "session_exists": (1, CONFLICT),
    "study_elsewhere": (2, FAIL),
    "subject_differs": (4, FAIL),
    "label_taken": (5, CONFLICT),
    "patient_mismatch": (5, CONFLICT),
    "type_differs": (19, CONFLICT),
    "label_many_studies": (5, CONFLICT),
    "subject_many_patients": (11, FAIL),
    "project_unassigned": (6, FAIL),
    "label_unusable": (8, FAIL),
    "session_busy": (10, CONFLICT),
    "sop_clash": (14, CONFLICT),
}
"""What archiving refuses, or a session is held for -> code and type. Anything else is a merge error (15)."""
_IMAGES: Final = frozenset({"DICOM", "ECAT"})


def validate_archiving(
    service_context: ServiceContext,
    record: SessionRecord,
    parameters: ArchiveParameters,
    *,
    project_name: str | None = None,
) -> Rows:
    """Every finding as a row `code, type, message`; none where a session can be archived just so."""
    findings: list[Finding] = []
    if project_name and project_name.casefold() != record.project.casefold():
        findings.append((3, FAIL, "Invalid modification of session project via archive process."))
    if record.project == UNASSIGNED:
        findings.append((6, FAIL, "Unable to identify destination project."))
    else:
        findings += _try_archiving(service_context, record, parameters)
    with service_context.catalog.read() as connection:
        findings += _find_other_files(connection, record)
    rows = [[str(code), kind, message] for code, kind, message in sorted(findings)]
    return Rows(["code", "type", "message"], rows)


def _try_archiving(
    service_context: ServiceContext, record: SessionRecord, parameters: ArchiveParameters
) -> list[Finding]:
    """What archiving would say, merging where the request does not overwrite: so clashes are found too."""
    merges = parameters.overwrite in ("append", "delete")
    trial_parameters = replace(parameters, overwrite=parameters.overwrite if merges else "append", fields={})
    try:
        outcome = archive_with_parameters(service_context, record, trial_parameters, dry_run=True)
    except Usage as error:
        held = error.code == "held_undecided"
        code, kind = _FINDINGS.get(record.held[0] if held else error.code, (15, FAIL))
        text = " ".join(record.held[1:]) if held else f"{error.message} {error.remedy}"
        return [(code, kind, text.strip())]
    with service_context.catalog.read() as connection:
        target = find_session(connection, outcome.into) if outcome.into is not None else None
        if target is None:
            return _check_new_session(connection, record, outcome)
        findings: list[Finding] = [] if merges else [(1, CONFLICT, _EXISTS)]
        return findings + _compare_with_target(connection, record, target)


def _check_new_session(connection: Connection, record: SessionRecord, outcome: Outcome) -> list[Finding]:
    """Of a session that the archive does not have: whether its subject would be made, and what else is warned of."""
    findings: list[Finding] = [(11, WARN, warning.message) for warning in outcome.warnings]
    label = uris.parse_archived(str(outcome.after)).subject
    subject_row = connection.execute(
        select(subject.c.id).where(subject.c.project_id == record.project_id, subject.c.key == label_key(label))
    ).first()
    if subject_row is None:
        findings.append((12, WARN, f"Subject {label} will be created."))
    return findings


def _compare_with_target(connection: Connection, record: SessionRecord, target: SessionRecord) -> list[Finding]:
    """Scans and type of a session beside those of the archived one that it would join."""
    findings: list[Finding] = []
    target_scans = session_parts.find_scans(connection, target)
    by_uid = {row.series_uid: row for row in target_scans if row.series_uid}
    by_id = {row.scan_id: row for row in target_scans}
    for row in session_parts.find_scans(connection, record):
        same_series, name = by_uid.get(row.series_uid or ""), row.scan_id
        if same_series is not None and same_series.scan_id == name:
            text = f"Session already contains a scan ({name}) with the same UID and number."
            findings.append((16, CONFLICT, text))
        elif same_series is not None:
            text = f"Session already contains a scan with the same UID, but a different number ({same_series.scan_id})."
            findings.append((18, CONFLICT, text))
        elif name in by_id:
            text = f"Session already contains a scan ({name}) with the same number, but a different UID."
            findings.append((17, CONFLICT, f"{text} - New scan will be renamed during archive."))
    if record.xsi_type != target.xsi_type:
        findings.append((19, CONFLICT, f"The session's type differs: {record.xsi_type}, archived {target.xsi_type}."))
    return findings


def _find_other_files(connection: Connection, record: SessionRecord) -> list[Finding]:
    scans = session_parts.find_scans(connection, record)
    return [
        (20, WARN, f"Scan {row.scan_id} has {row.files} non-DICOM (or non-parsable DICOM) files")
        for row in session_parts.find_resources(connection, record, scans=scans)
        if row.format not in _IMAGES
    ]
