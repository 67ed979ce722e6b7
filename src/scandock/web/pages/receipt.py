"""The receipt of an import: every entry with its verdict."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from scandock.services.imports import read_import
from scandock.services.receipts import ReceiptPage, check_verdicts, open_receipt, read_receipt_page
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import PageContext
from scandock.web.pages.routing import router as pages

router = pages()


@router.get("/imports/{uuid}/receipt")
async def receipt(
    request: Request,
    context: PageContext,
    uuid: str,
    verdict: str = "",
    q: Annotated[str, Query(max_length=200)] = "",
    start: Annotated[int, Query(alias="from", ge=0)] = 0,
) -> Response:
    """Its entries by pages, of one verdict or with a word in their path where that is asked for."""
    principal = context.service_context.principal
    verdicts = check_verdicts([verdict] if verdict else [])
    import_item = await context.run_read(lambda: read_import(context.server.catalog, principal, uuid))

    def seen() -> ReceiptPage:
        return read_receipt_page(
            open_receipt(context.server.store, uuid), verdicts=verdicts, search=q.strip(), start=start
        )

    receipt_view = await context.run(seen)
    return page(
        request,
        "receipt.html",
        principal,
        here="Activity",
        one=import_item,
        sight=receipt_view,
        verdict=verdict,
        q=q.strip(),
        start=start,
    )
