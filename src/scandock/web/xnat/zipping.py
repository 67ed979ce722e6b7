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
from scandock.web.file_answers import zip_answer
from scandock.web.request_context import RequestContext
from scandock.web.xnat.parts import chosen, chosen_of_each
from scandock.web.xnat.places import experiments_of


async def as_zip(work: RequestContext, folder: Folder | None = None) -> Response:
    """All files of the part that an address names, or those of a folder in it.

    Of several experiments (`E1,E2`), of each, and of each once.
    """
    names = session_parts.split_names(work.request.path_params.get("experiment", ""))
    damaged = damaged_of(work.request)

    def make() -> ZipDownload:
        with work.site.catalog.read() as connection:
            if len(names) > 1:
                wanted = _of_each(connection, work, names)
            else:
                part = chosen(connection, work, whole=True, name=names[0] if names else None)
                standing = part.experiment.standing
                if not standing.uuid:  # nobody has put anything on that shelf yet
                    return make_empty_zip(standing.label)
                wanted = [(standing.uuid, _same(part.resources))]
        return zip_sessions(work.context, wanted, damaged, folder=folder)

    return zip_answer(await work.prepare(make))


def damaged_of(request: Request) -> Damaged:
    """What `damaged=` says is wanted of damaged files; XNAT's clients name none, and are refused them."""
    named = request.query_params.get("damaged", Damaged.REFUSE).lower()
    check_choices("damaged", (named,), tuple(Damaged))
    return Damaged(named)


def _of_each(connection: Connection, work: RequestContext, names: Sequence[str]) -> list[tuple[str, ResourceChoice]]:
    """The part that an address names of each of several experiments that has it. Denied; Usage where none has it."""
    places = work.request.path_params
    if "resources" not in places and session_parts.is_all(places.get("scans", "ALL")):  # which any experiment has
        found = experiments_of(connection, work, names)
        return [(one.standing.uuid, _every(own="scans" not in places)) for one in found]
    parts = chosen_of_each(connection, work, whole=True)
    return [(part.experiment.standing.uuid, _same(part.resources)) for part in parts]


def _every(*, own: bool) -> ResourceChoice:
    """The resources of all scans, and the session's own."""

    def choose(connection: Connection, standing: Holder) -> list[ResourcePart]:
        scans = session_parts.find_scans(connection, standing)
        found = session_parts.find_resources(connection, standing, scans=scans)
        return found + (session_parts.find_resources(connection, standing) if own else [])

    return choose


def _same(resources: Sequence[ResourcePart]) -> ResourceChoice:
    """The same resources, in the tree that is there when it is read."""
    wanted = {(one.scan_id, one.label) for one in resources}
    every = _every(own=True)

    def choose(connection: Connection, standing: Holder) -> list[ResourcePart]:
        return [one for one in every(connection, standing) if (one.scan_id, one.label) in wanted]

    return choose
