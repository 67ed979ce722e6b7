"""The part of a session, or of own resources, that an address names: scans and resources, by ids and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from scandock.model.dataclass import dataclass
from scandock.model.errors import Usage
from scandock.services import session_parts
from scandock.services.project_resources import ResourceOwner
from scandock.services.session_parts import ResourcePart, ScanPart
from scandock.services.xnat_lookup import AnySession
from scandock.web.request_context import RequestContext
from scandock.web.xnat.address_lookup import lookup_any, lookup_experiment, lookup_experiments


@dataclass(frozen=True, slots=True)
class AddressedPart:
    """The part of an experiment, of a session that waits, or of own resources, that an address names."""

    experiment: AnySession | ResourceOwner
    scans: Sequence[ScanPart] | None
    """None: the session's own resources are meant."""
    resources: list[ResourcePart]


def lookup_part(
    connection: Connection, context: RequestContext, *, whole: bool = False, name: str | None = None
) -> AddressedPart:
    """What `.../scans/1,2/resources/DICOM` names, to be read: of several names what there is. AccessDenied, Usage
    `scan_unknown`, `resource_unknown`.

    `whole`: where neither scans nor resources are named, those of all scans are meant besides the session's own.
    `name`: one of several experiments that the address names with commas.
    """
    holder = lookup_any(connection, context) if name is None else lookup_experiment(connection, context, name=name)
    return find_part(connection, holder, context.request.path_params, whole=whole)


def lookup_parts(connection: Connection, context: RequestContext, *, whole: bool = False) -> list[AddressedPart]:
    """`lookup_part` of each of several experiments (`E1,E2`) that has it. AccessDenied; Usage where none has it."""
    path_params = context.request.path_params
    names = session_parts.split_names(path_params.get("experiment", ""))
    if len(names) < 2 or "timestamp" in path_params:
        return [lookup_part(connection, context, whole=whole, name=names[0] if names else None)]
    parts: list[AddressedPart] = []
    first_error: Usage | None = None
    for experiment in lookup_experiments(connection, context, names):
        try:
            parts.append(find_part(connection, experiment, path_params, whole=whole))
        except Usage as error:  # of which another one may have it
            first_error = first_error or error
    if first_error is not None and not parts:
        raise first_error
    return parts


def find_part(
    connection: Connection, holder: AnySession | ResourceOwner, path_params: Mapping[str, str], *, whole: bool = False
) -> AddressedPart:
    """The part of what was found that the pieces of an address name, as `lookup_part`."""
    record = holder.record
    scans = (
        session_parts.find_scans(connection, record, path_params["scans"], allow_missing=True)
        if "scans" in path_params
        else None
    )
    resources = session_parts.find_resources(
        connection, record, path_params.get("resources", "ALL"), scans=scans, allow_missing=True
    )
    if whole and scans is None and "resources" not in path_params:
        all_scans = session_parts.find_scans(connection, holder.record)
        resources = session_parts.find_resources(connection, holder.record, scans=all_scans) + resources
    return AddressedPart(holder, scans, resources)
