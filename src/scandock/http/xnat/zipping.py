"""`format=zip` of whatever an address names (xnat-clients.md 1, rule 10; 5: manifests of the Desktop Client)."""

from __future__ import annotations

from fastapi import Request
from sqlalchemy import Connection, RowMapping
from starlette.responses import Response

from scandock.catalog.shelves import Holder
from scandock.http.v1.desks import Work
from scandock.http.v1.downloads import zip_answer
from scandock.http.xnat.parts import Chosen, chosen
from scandock.services.damaged_files import Damaged
from scandock.services.listing import one_of
from scandock.services.xnat import contents
from scandock.services.xnat.zips import Choice, zip_of_nothing, zip_of_sessions


async def as_zip(work: Work) -> Response:
    """All files of the part that an address names; of several experiments (`E1,E2`), of each."""
    names = work.request.path_params.get("experiment", "").split(",")
    asked: list[str | None] = [None] if len(names) == 1 else [name for name in names if name]

    def ask(connection: Connection) -> list[Chosen]:
        return [chosen(connection, work, whole=True, name=name) for name in asked]

    parts = await work.read(ask)
    wanted = [(part.experiment.standing.uuid, _same(part)) for part in parts if part.experiment.standing.uuid]
    if not wanted:  # nobody has put anything on that shelf yet
        return zip_answer(zip_of_nothing(parts[0].experiment.standing.label))
    return zip_answer(await work.do(lambda: zip_of_sessions(work.desk, wanted, damaged_of(work.request))))


def damaged_of(request: Request) -> Damaged:
    """What `damaged=` says is wanted of damaged files; XNAT's clients name none, and are refused them."""
    named = request.query_params.get("damaged", Damaged.REFUSE).lower()
    one_of("damaged", (named,), tuple(Damaged))
    return Damaged(named)


def _same(part: Chosen) -> Choice:
    """The resources of a part, in the tree that is there when it is read."""
    wanted = {(one["scan_id"], one["label"]) for one in part.resources}

    def choose(connection: Connection, standing: Holder) -> list[RowMapping]:
        scans = contents.scans_of(connection, standing)
        every = contents.resources_of(connection, standing, scans=scans) + contents.resources_of(connection, standing)
        return [one for one in every if (one["scan_id"], one["label"]) in wanted]

    return choose
