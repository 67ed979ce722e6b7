"""Imports, running and ended, and their receipts."""

from __future__ import annotations

import json
from itertools import islice
from typing import IO, Any, Final

from fastapi import Request
from starlette.responses import Response

from scandock.access.principal import Principal
from scandock.http.deps import Site
from scandock.http.pages.rendering import page
from scandock.http.pages.routing import Seen, Sent, back
from scandock.http.pages.routing import router as pages
from scandock.http.security import info_of
from scandock.services.imports import cancel_import, list_imports, read_import, retry_import
from scandock.services.listing import Sorting
from scandock.services.receipts import check_verdicts, lines, open_receipt

router = pages()
SHOWN: Final = 20
LINES: Final = 200


@router.get("/activity")
async def activity(request: Request, work: Seen, cursor: str | None = None) -> Response:
    """The imports that one may see, the newest first."""
    me = work.desk.principal
    sorting = Sorting(sort="-id", limit=SHOWN, cursor=cursor)
    found = await work.site.run(list_imports, work.site.catalog, me, sorting)
    return page(request, "activity.html", me, here="Activity", page=found)


@router.post("/imports/{uuid}/cancel")
async def cancel(request: Request, form: Sent, uuid: str) -> Response:
    """Cancel an import."""
    site, me = form.site, form.desk.principal
    await site.run(cancel_import, site.catalog, site.store, me, uuid, info_of(request))
    return back(request, "/activity", "import-cancelled")


@router.post("/imports/{uuid}/retry")
async def retry(request: Request, form: Sent, uuid: str) -> Response:
    """Try an import again."""
    site, me = form.site, form.desk.principal
    await site.run(retry_import, site.catalog, site.store, me, uuid, info_of(request))
    return back(request, "/activity", "import-retried")


@router.get("/imports/{uuid}/receipt")
async def receipt(request: Request, work: Seen, uuid: str, verdict: str = "", start: int = 0) -> Response:
    """Every entry with its verdict."""
    me = work.desk.principal
    start = max(0, int(request.query_params.get("from", start)))
    wanted = check_verdicts([verdict] if verdict else [])
    one, packed = await work.site.run(_open, work.site, me, uuid)
    found = await work.do(lambda: _page(packed, wanted, start))
    following = start + LINES if len(found) > LINES else None
    return page(
        request, "receipt.html", me, here="Activity", one=one, lines=found[:LINES], verdict=verdict,
        following=following,
    )  # fmt: skip


def _open(site: Site, me: Principal, uuid: str) -> tuple[dict[str, Any], IO[bytes]]:
    return read_import(site.catalog, me, uuid), open_receipt(site.store, uuid)


def _page(packed: IO[bytes], wanted: frozenset[str], start: int) -> list[dict[str, Any]]:
    """LINES lines from `start` on, and one more where there are more."""
    every = (line for block in lines(packed, "jsonl", wanted) for line in block.splitlines())
    return [json.loads(line) for line in islice(every, start, start + LINES + 1)]
