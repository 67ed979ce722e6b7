"""`format=zip` of whatever an address names (xnat-clients.md 1, rule 10; 5: manifests of the Desktop Client).

What is named is looked up in threads that listings do not share: it may be thousands of sessions.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.catalog.own_resources import Holder
from scandock.services import session_parts
from scandock.services.damaged_files import Damaged
from scandock.services.downloads import ZipDownload
from scandock.services.pagination import check_choices
from scandock.services.resource_zips import ResourceChoice, make_empty_zip, zip_sessions
from scandock.services.session_parts import Folder, ResourcePart
from scandock.web.file_responses import zip_response
from scandock.web.request_context import RequestContext
from scandock.web.xnat.address_lookup import lookup_experiments
from scandock.web.xnat.parts import lookup_part, lookup_parts


async def download_zip(context: RequestContext, folder: Folder | None = None) -> Response:
    """All files of the part that an address names, or those of a folder in it.

    Of several experiments (`E1,E2`), of each, and of each once.
    """
    names = session_parts.split_names(context.request.path_params.get("experiment", ""))
    damaged = read_damaged_option(context.request)

    def make() -> ZipDownload:
        with context.server.catalog.read() as connection:
            if len(names) > 1:
                choices = _choose_each_part(connection, context, names)
            else:
                part = lookup_part(connection, context, whole=True, name=names[0] if names else None)
                holder = part.experiment.record
                if not holder.uuid:  # nobody has put anything on that shelf yet
                    return make_empty_zip(holder.label)
                choices = [(holder.uuid, _choose_same(part.resources))]
        return zip_sessions(context.service_context, choices, damaged, folder=folder)

    return zip_response(await context.run_zip(make))


def read_damaged_option(request: Request) -> Damaged:
    """What `damaged=` says is wanted of damaged files; XNAT's clients name none, and are refused them."""
    option = request.query_params.get("damaged", Damaged.REFUSE).lower()
    check_choices("damaged", (option,), tuple(Damaged))
    return Damaged(option)


def _choose_each_part(
    connection: Connection, context: RequestContext, names: Sequence[str]
) -> list[tuple[str, ResourceChoice]]:
    """The part that an address names of each of several experiments that has it. AccessDenied.

    Usage where none has it.
    """
    path_params = context.request.path_params
    if "resources" not in path_params and session_parts.is_all(
        path_params.get("scans", "ALL")
    ):  # which any experiment has
        experiments = lookup_experiments(connection, context, names)
        return [
            (experiment.record.uuid, _choose_all(with_own="scans" not in path_params)) for experiment in experiments
        ]
    parts = lookup_parts(connection, context, whole=True)
    return [(part.experiment.record.uuid, _choose_same(part.resources)) for part in parts]


def _choose_all(*, with_own: bool) -> ResourceChoice:
    """The resources of all scans, and the session's own."""

    def choose(connection: Connection, holder: Holder) -> list[ResourcePart]:
        scans = session_parts.find_scans(connection, holder)
        scan_resources = session_parts.find_resources(connection, holder, scans=scans)
        return scan_resources + (session_parts.find_resources(connection, holder) if with_own else [])

    return choose


def _choose_same(resources: Sequence[ResourcePart]) -> ResourceChoice:
    """The same resources, in the tree that is there when it is read."""
    keys = {(resource.scan_id, resource.label) for resource in resources}
    choose_all = _choose_all(with_own=True)

    def choose(connection: Connection, holder: Holder) -> list[ResourcePart]:
        return [resource for resource in choose_all(connection, holder) if (resource.scan_id, resource.label) in keys]

    return choose
