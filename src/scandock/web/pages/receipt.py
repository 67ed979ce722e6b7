"""The receipt of an import: every entry with its verdict."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from scandock.services.imports import read_import
from scandock.services.receipts import ReceiptPage, check_verdicts, open_receipt, read_receipt_page
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import Seen
from scandock.web.pages.routing import router as pages

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
    me = work.context.principal
    wanted = check_verdicts([verdict] if verdict else [])
    one = await work.look(lambda: read_import(work.site.catalog, me, uuid))

    def seen() -> ReceiptPage:
        return read_receipt_page(open_receipt(work.site.store, uuid), verdicts=wanted, search=q.strip(), start=start)

    sight = await work.do(seen)
    return page(
        request, "receipt.html", me, here="Activity", one=one, sight=sight, verdict=verdict, q=q.strip(), start=start
    )
