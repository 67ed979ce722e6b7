"""The part of a session, or of a shelf, that an address names: scans and resources, by ids and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from scandock.model.errors import Usage
from scandock.services import session_parts
from scandock.services.project_resources import ResourceOwner
from scandock.services.session_parts import ResourcePart, ScanPart
from scandock.services.xnat_lookup import AnySession
from scandock.web.request_context import RequestContext
from scandock.web.xnat.places import any_of, experiment_of, experiments_of


@dataclass(frozen=True, slots=True)
class Chosen:
    """The part of an experiment, of a session that waits, or of a shelf, that an address names."""

    experiment: AnySession | ResourceOwner
    scans: Sequence[ScanPart] | None
    """None: the session's own resources are meant."""
    resources: list[ResourcePart]


def chosen(connection: Connection, work: RequestContext, *, whole: bool = False, name: str | None = None) -> Chosen:
    """What `.../scans/1,2/resources/DICOM` names, to be read: of several names what there is. Denied, Usage
    `scan_unknown`, `resource_unknown`.

    `whole`: where neither scans nor resources are named, those of all scans are meant besides the session's own.
    `name`: one of several experiments that the address names with commas.
    """
    found = any_of(connection, work) if name is None else experiment_of(connection, work, name=name)
    return part_of(connection, found, work.request.path_params, whole=whole)


def chosen_of_each(connection: Connection, work: RequestContext, *, whole: bool = False) -> list[Chosen]:
    """What `chosen` gives, of each of several experiments (`E1,E2`) that has it. Denied; Usage where none has it."""
    places = work.request.path_params
    names = session_parts.split_names(places.get("experiment", ""))
    if len(names) < 2 or "timestamp" in places:
        return [chosen(connection, work, whole=whole, name=names[0] if names else None)]
    parts: list[Chosen] = []
    lacking: Usage | None = None
    for one in experiments_of(connection, work, names):
        try:
            parts.append(part_of(connection, one, places, whole=whole))
        except Usage as error:  # of which another one may have it
            lacking = lacking or error
    if lacking is not None and not parts:
        raise lacking
    return parts


def part_of(
    connection: Connection, found: AnySession | ResourceOwner, places: Mapping[str, str], *, whole: bool = False
) -> Chosen:
    """The part of what was found that the pieces of an address name, as `chosen`."""
    one = found.standing
    scans = (
        session_parts.find_scans(connection, one, places["scans"], allow_missing=True) if "scans" in places else None
    )
    resources = session_parts.find_resources(
        connection, one, places.get("resources", "ALL"), scans=scans, allow_missing=True
    )
    if whole and scans is None and "resources" not in places:
        every = session_parts.find_scans(connection, found.standing)
        resources = session_parts.find_resources(connection, found.standing, scans=every) + resources
    return Chosen(found, scans, resources)
