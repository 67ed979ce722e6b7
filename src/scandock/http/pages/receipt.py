"""The receipt of an import: every entry with its verdict."""

from __future__ import annotations

from typing import IO, Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from scandock.access.principal import Principal
from scandock.http.deps import Site
from scandock.http.pages.rendering import page
from scandock.http.pages.routing import Seen
from scandock.http.pages.routing import router as pages
from scandock.services.imports import read_import
from scandock.services.receipts import check_verdicts, look, open_receipt

router = pages()


@router.get("/imports/{uuid}/receipt")
async def receipt(
    request: Request,
    work: Seen,
    uuid: str,
    verdict: str = "",
    q: Annotated[str, Query(max_length=200)] = "",
    start: Annotated[int, Query(alias="from", ge=0)] = 0,
) -> Response:
    """Its entries by pages, of one verdict or with a word in their path where that is asked for."""
    me = work.desk.principal
    wanted = check_verdicts([verdict] if verdict else [])
    one, packed = await work.site.read(_open, work.site, me, uuid)
    sight = await work.do(lambda: look(packed, verdicts=wanted, search=q.strip(), start=start))
    return page(
        request, "receipt.html", me, here="Activity", one=one, sight=sight, verdict=verdict, q=q.strip(), start=start
    )


def _open(site: Site, me: Principal, uuid: str) -> tuple[dict[str, Any], IO[bytes]]:
    return read_import(site.catalog, me, uuid), open_receipt(site.store, uuid)
