"""Projects, subjects and sessions as XNAT's documents: what `?format=json|xml` of one of them shows (2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from scandock.access.principal import Principal
from scandock.model import request_limits
from scandock.model.xnat_ids import resource_id, subject_id
from scandock.rules.project_fields import PI_FIELDS
from scandock.rules.subject_fields import DEMOGRAPHICS, OWN, investigator_fields
from scandock.services import session_parts
from scandock.services.project_description import ProjectDescription
from scandock.services.project_resources import ResourceOwner
from scandock.services.records import Project
from scandock.services.session_parts import ResourcePart, ScanPart
from scandock.services.xnat_lookup import AnySession, SubjectRecord, list_experiments_of_subject, subject_condition
from scandock.web.xnat.assessor_items import find_assessor_items
from scandock.web.xnat.responses import Item, format_timestamp
from scandock.web.xnat.services import contents
from scandock.web.xnat.services.subjects import SUBJECT_TYPE

MAX_SCANS: Final = request_limits.SUBJECT_SCANS
"""Scans in the document of a subject: with more of them its experiments come without."""


def make_project_item(shown_project: Project, description: ProjectDescription, resources: list[Item]) -> Item:
    """A project with what is said of it and its own resources; `shown_project` as the JSON API shows it."""
    attributes = description.attributes
    fields = {
        "ID": shown_project.id,
        "secondary_ID": attributes.get("secondary_ID") or shown_project.id,
        "name": shown_project.name,
        **{name: attributes[name] for name in ("description", "keywords") if name in attributes},
    }
    investigator = {name: text for name in PI_FIELDS if (text := attributes.get(f"PI/{name}"))}
    aliases = [Item("xnat:projectData_alias", {"alias": alias}, text="alias") for alias in description.aliases]
    groups = (
        ("aliases/alias", aliases),
        ("resources/resource", resources),
        ("PI", [Item("xnat:investigatorData", investigator)] if investigator else []),
    )
    children = [(name, items) for name, items in groups if items]
    return Item("xnat:projectData", fields, children, format_timestamp(shown_project.created or 0))


def make_subject_item(subject_record: SubjectRecord, resources: list[Item], experiments: list[Item]) -> Item:
    """A subject with its investigator and demographics, where any are known, its experiments, and its own resources."""
    attributes = {name: subject_record.attributes.get(name, "") for name in OWN}
    demographic_values = {name: text for name in DEMOGRAPHICS if (text := subject_record.attributes.get(name))}
    demographics = (
        [Item("xnat:demographicData", demographic_values, started=format_timestamp(subject_record.created))]
        if demographic_values
        else []
    )
    investigator_values = investigator_fields(subject_record.attributes)
    investigator = (
        [Item("xnat:investigatorData", investigator_values, started=format_timestamp(subject_record.created))]
        if investigator_values
        else []
    )
    groups = (
        ("investigator", investigator),
        ("demographics", demographics),
        ("experiments/experiment", experiments),
        ("resources/resource", resources),
    )
    return Item(
        SUBJECT_TYPE,
        {"ID": subject_record.id, "project": subject_record.project, "label": subject_record.label, **attributes},
        [(name, items) for name, items in groups if items],
        format_timestamp(subject_record.created),
    )


def find_resource_items(connection: Connection, owner: ResourceOwner) -> list[Item]:
    """The resources that a project or a subject has of its own."""
    return [make_resource_item(row, owner) for row in session_parts.find_resources(connection, owner.record)]


def make_session_fields(session: AnySession) -> dict[str, str]:
    """What a session is called, and what is said of it."""
    record = session.record
    return {
        **record.attributes,
        "ID": session.id,
        "label": record.label,
        "project": record.project,
        "subject_ID": subject_id(record.subject_id) if record.subject_id is not None else "",
        "UID": record.study_uid or "",
    }


def make_listing_fields(session: AnySession) -> dict[str, str]:
    """The same with its type and its subject, by the names of listings: what a listing of its scans can show of it."""
    record = session.record
    return {
        **make_session_fields(session),
        "xsiType": record.xsi_type,
        "subject_label": record.subject,
        "subject_project": record.project,
    }


def find_experiment_item(connection: Connection, session: AnySession) -> Item:
    """A session with its scans, their resources, and its assessors."""
    rows = session_parts.find_scans(connection, session.record)
    resources = session_parts.find_resources(connection, session.record, scans=rows)
    assessors = find_assessor_items(connection, [session]).get(session.record.id, [])
    return _make_session_item(
        session, rows, resources + session_parts.find_resources(connection, session.record), assessors
    )


def find_experiment_items(connection: Connection, principal: Principal, subject: SubjectRecord) -> list[Item]:
    """The experiments of a subject that one may read, in a few statements.

    With their scans and resources, where these are not more than one document can hold.
    """
    experiments = list_experiments_of_subject(connection, principal, subject)
    assessors = find_assessor_items(connection, experiments)
    if sum(experiment.record.scans for experiment in experiments) > MAX_SCANS:
        return [
            _make_session_item(experiment, [], [], assessors.get(experiment.record.id, []))
            for experiment in experiments
        ]
    scans, resources = (
        session_parts.find_parts_of_sessions(connection, subject_condition(subject)) if experiments else ({}, {})
    )
    session_ids = [experiment.record.id for experiment in experiments]
    return [
        _make_session_item(
            experiment, scans.get(session_id, []), resources.get(session_id, []), assessors.get(session_id, [])
        )
        for experiment, session_id in zip(experiments, session_ids, strict=True)
    ]


def _make_session_item(
    session: AnySession, scans: Sequence[ScanPart], resources: Sequence[ResourcePart], assessors: list[Item]
) -> Item:
    """A session with scans, with resources, of which some are of these, and with its assessors."""
    by_scan: dict[str | None, list[ResourcePart]] = {}
    for row in resources:
        by_scan.setdefault(row.scan_id, []).append(row)
    scan_items = [make_scan_item(row, session, by_scan.get(row.scan_id, [])) for row in scans]
    resource_items = [make_resource_item(row, session) for row in by_scan.get(None, [])]
    groups = (("scans/scan", scan_items), ("resources/resource", resource_items), ("assessors/assessor", assessors))
    children = [(name, items) for name, items in groups if items]
    record = session.record
    return Item(record.xsi_type, make_session_fields(session), children, format_timestamp(record.created))


def make_scan_item(row: ScanPart, holder: AnySession | ResourceOwner, resources: list[ResourcePart]) -> Item:
    """A scan with its resources; one without images has no `frames`, as in the original."""
    fields = {name: value for name, value in contents.make_scan_fields(row).items() if name != "xsiType"}
    if not row.frames:
        del fields["frames"]
    fields["image_session_ID"] = holder.id
    files = [make_resource_item(resource, holder) for resource in resources]
    children = [("file", files)] if files else []
    added_fields = frozenset(row.added)
    return Item(row.xsi_type, fields, children, format_timestamp(holder.record.created), commented=added_fields)


def make_resource_item(row: ResourcePart, holder: AnySession | ResourceOwner) -> Item:
    fields = {
        "xnat_abstractresource_id": resource_id(holder.record.uuid, row.scan_id, row.label),
        "label": row.label,
        "format": row.format,
        "content": row.content,
        "tags": row.tags,
        "file_count": str(row.files),
        "file_size": str(row.bytes),
    }
    return Item(contents.RESOURCE_TYPE, fields, started=format_timestamp(holder.record.created))
