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
from scandock.web.xnat.answers import Item, started
from scandock.web.xnat.assessor_items import assessor_items
from scandock.web.xnat.services import contents
from scandock.web.xnat.services.subjects import SUBJECT_TYPE

MAX_SCANS: Final = request_limits.SUBJECT_SCANS
"""Scans in the document of a subject: with more of them its experiments come without."""


def project_item(found: Project, described: ProjectDescription, resources: list[Item]) -> Item:
    """A project with what is said of it and its own resources; `found` as the JSON API shows it."""
    attributes = described.attributes
    fields = {
        "ID": found.id,
        "secondary_ID": attributes.get("secondary_ID") or found.id,
        "name": found.name,
        **{name: attributes[name] for name in ("description", "keywords") if name in attributes},
    }
    investigator = {name: text for name in PI_FIELDS if (text := attributes.get(f"PI/{name}"))}
    aliases = [Item("xnat:projectData_alias", {"alias": alias}, text="alias") for alias in described.aliases]
    every = (
        ("aliases/alias", aliases),
        ("resources/resource", resources),
        ("PI", [Item("xnat:investigatorData", investigator)] if investigator else []),
    )
    children = [(name, items) for name, items in every if items]
    return Item("xnat:projectData", fields, children, started(found.created or 0))


def subject_item(found: SubjectRecord, resources: list[Item], experiments: list[Item]) -> Item:
    """A subject with its investigator and demographics, where any are known, its experiments, and its own resources."""
    own = {name: found.attributes.get(name, "") for name in OWN}
    said = {name: text for name in DEMOGRAPHICS if (text := found.attributes.get(name))}
    demographics = [Item("xnat:demographicData", said, started=started(found.created))] if said else []
    person = investigator_fields(found.attributes)
    investigator = [Item("xnat:investigatorData", person, started=started(found.created))] if person else []
    every = (
        ("investigator", investigator),
        ("demographics", demographics),
        ("experiments/experiment", experiments),
        ("resources/resource", resources),
    )
    return Item(
        SUBJECT_TYPE,
        {"ID": found.id, "project": found.project, "label": found.label, **own},
        [(name, items) for name, items in every if items],
        started(found.created),
    )


def own_items(connection: Connection, found: ResourceOwner) -> list[Item]:
    """The resources that a project or a subject has of its own."""
    return [resource_item(row, found) for row in session_parts.find_resources(connection, found.standing)]


def session_fields(found: AnySession) -> dict[str, str]:
    """What a session is called, and what is said of it."""
    one = found.standing
    return {
        **one.attributes,
        "ID": found.id,
        "label": one.label,
        "project": one.project,
        "subject_ID": subject_id(one.subject_id) if one.subject_id is not None else "",
        "UID": one.study_uid or "",
    }


def told_of_session(found: AnySession) -> dict[str, str]:
    """The same with its type and its subject, by the names of listings: what a listing of its scans can show of it."""
    one = found.standing
    return {
        **session_fields(found),
        "xsiType": one.xsi_type,
        "subject_label": one.subject,
        "subject_project": one.project,
    }


def experiment_item(connection: Connection, found: AnySession) -> Item:
    """A session with its scans, their resources, and its assessors."""
    rows = session_parts.find_scans(connection, found.standing)
    resources = session_parts.find_resources(connection, found.standing, scans=rows)
    assessors = assessor_items(connection, [found]).get(found.standing.id, [])
    return _experiment(found, rows, resources + session_parts.find_resources(connection, found.standing), assessors)


def experiment_items(connection: Connection, principal: Principal, subject: SubjectRecord) -> list[Item]:
    """The experiments of a subject that one may read, in a few statements.

    With their scans and resources, where these are not more than one document can hold.
    """
    every = list_experiments_of_subject(connection, principal, subject)
    assessors = assessor_items(connection, every)
    if sum(one.standing.scans for one in every) > MAX_SCANS:
        return [_experiment(one, [], [], assessors.get(one.standing.id, [])) for one in every]
    scans, resources = (
        session_parts.find_parts_of_sessions(connection, subject_condition(subject)) if every else ({}, {})
    )
    ids = [one.standing.id for one in every]
    return [
        _experiment(one, scans.get(n, []), resources.get(n, []), assessors.get(n, []))
        for one, n in zip(every, ids, strict=True)
    ]


def _experiment(
    found: AnySession, scans: Sequence[ScanPart], resources: Sequence[ResourcePart], assessors: list[Item]
) -> Item:
    """A session with scans, with resources, of which some are of these, and with its assessors."""
    by_scan: dict[str | None, list[ResourcePart]] = {}
    for row in resources:
        by_scan.setdefault(row.scan_id, []).append(row)
    of_scans = [scan_item(row, found, by_scan.get(row.scan_id, [])) for row in scans]
    own = [resource_item(row, found) for row in by_scan.get(None, [])]
    every = (("scans/scan", of_scans), ("resources/resource", own), ("assessors/assessor", assessors))
    children = [(name, items) for name, items in every if items]
    one = found.standing
    return Item(one.xsi_type, session_fields(found), children, started(one.created))


def scan_item(row: ScanPart, found: AnySession | ResourceOwner, resources: list[ResourcePart]) -> Item:
    """A scan with its resources; one without images has no `frames`, as in the original."""
    fields = {name: value for name, value in contents.scan_fields(row).items() if name != "xsiType"}
    if not row.frames:
        del fields["frames"]
    fields["image_session_ID"] = found.id
    files = [resource_item(one, found) for one in resources]
    children = [("file", files)] if files else []
    by_hand = frozenset(row.added)
    return Item(row.xsi_type, fields, children, started(found.standing.created), commented=by_hand)


def resource_item(row: ResourcePart, found: AnySession | ResourceOwner) -> Item:
    fields = {
        "xnat_abstractresource_id": resource_id(found.standing.uuid, row.scan_id, row.label),
        "label": row.label,
        "format": row.format,
        "content": row.content,
        "tags": row.tags,
        "file_count": str(row.files),
        "file_size": str(row.bytes),
    }
    return Item(contents.RESOURCE_TYPE, fields, started=started(found.standing.created))
