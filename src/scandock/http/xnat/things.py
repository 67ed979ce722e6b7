"""Projects, subjects and sessions as XNAT's documents: what `?format=json|xml` of one of them shows (2.3)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from scandock.http.xnat.answers import Item
from scandock.rules.subject_fields import DEMOGRAPHICS, OWN, investigator_of
from scandock.services.xnat import contents
from scandock.services.xnat.finding import Subject
from scandock.services.xnat.ids import resource_id, subject_id
from scandock.services.xnat.shelves import Shelved
from scandock.services.xnat.subjects import SUBJECT_TYPE
from scandock.services.xnat.waiting import AnySession


def started(ms: int) -> str:
    """When a thing was made, as XNAT's JSON says it: `Tue Nov 24 05:00:00 UTC 2026`."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%a %b %d %H:%M:%S UTC %Y}"


def project_item(found: dict[str, Any], resources: list[Item]) -> Item:
    """A project with its own resources; `found` as the JSON API shows it."""
    fields = {"ID": found["id"], "secondary_ID": found["id"], "name": found["name"]}
    children = [("resources/resource", resources)] if resources else []
    return Item("xnat:projectData", fields, children, started(found.get("created", 0)))


def subject_item(found: Subject, resources: list[Item]) -> Item:
    """A subject with its investigator and its demographics, where any are known, and its own resources."""
    own = {name: found.attributes.get(name, "") for name in OWN}
    said = {name: text for name in DEMOGRAPHICS if (text := found.attributes.get(name))}
    demographics = [Item("xnat:demographicData", said, started=started(found.created))] if said else []
    person = investigator_of(found.attributes)
    investigator = [Item("xnat:investigatorData", person, started=started(found.created))] if person else []
    every = (("investigator", investigator), ("demographics", demographics), ("resources/resource", resources))
    return Item(
        SUBJECT_TYPE,
        {"ID": found.id, "project": found.project, "label": found.label, **own},
        [(name, items) for name, items in every if items],
        started(found.created),
    )


def own_items(connection: Connection, found: Shelved) -> list[Item]:
    """The resources that a project or a subject has of its own."""
    return [resource_item(row, found) for row in contents.resources_of(connection, found.standing)]


def experiment_item(connection: Connection, found: AnySession) -> Item:
    """A session with its scans and their resources."""
    one = found.standing
    fields = {
        **one.attributes,
        "ID": found.id,
        "label": one.label,
        "project": one.project,
        "subject_ID": subject_id(one.subject_id) if one.subject_id is not None else "",
        "UID": one.study_uid or "",
    }
    rows = contents.scans_of(connection, one)
    resources = contents.resources_of(connection, one, scans=rows)
    by_scan: dict[str, list[RowMapping]] = {}
    for row in resources:
        by_scan.setdefault(row["scan_id"], []).append(row)
    scans = [scan_item(row, found, by_scan.get(row["scan_id"], [])) for row in rows]
    own = [resource_item(row, found) for row in contents.resources_of(connection, one)]
    children = [(name, items) for name, items in (("scans/scan", scans), ("resources/resource", own)) if items]
    return Item(one.xsi_type, fields, children, started(one.created))


def scan_item(row: RowMapping, found: AnySession | Shelved, resources: list[RowMapping]) -> Item:
    """A scan with its resources; one without images has no `frames`, as in the original."""
    fields = {name: value for name, value in contents.scan_fields(row).items() if name != "xsiType"}
    if not row["frames"]:
        del fields["frames"]
    fields["image_session_ID"] = found.id
    files = [resource_item(one, found) for one in resources]
    children = [("file", files)] if files else []
    return Item(row["xsi_type"], fields, children, started(found.standing.created))


def resource_item(row: RowMapping, found: AnySession | Shelved) -> Item:
    fields = {
        "xnat_abstractresource_id": resource_id(found.standing.uuid, row["scan_id"], row["label"]),
        "label": row["label"],
        "format": row["format"],
        "content": row["content"],
        "tags": row["tags"],
        "file_count": str(row["files"]),
        "file_size": str(row["bytes"]),
    }
    return Item(contents.RESOURCE_TYPE, fields, started=started(found.standing.created))
