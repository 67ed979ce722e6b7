"""From the bytes of one request to an accepted upload: what the doors of whole bodies share."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from typing import TYPE_CHECKING

from fastapi import Request

from scandock.model.errors import ScandockError
from scandock.services import upload_errors
from scandock.web.receiving.spooling import Spooling
from scandock.web.security import info_of, still

if TYPE_CHECKING:
    from collections.abc import Callable

    from scandock.access.principal import Principal
    from scandock.services.receiving import IncomingUpload, UploadOffer
    from scandock.web.deps import ServerState


class Keeping:
    """One upload that comes in one request: accepted as a whole, or gone without a trace.

    As a context manager: `feed`, then `accept`. Whatever ends it before leaves no row and no bytes.
    """

    def __init__(
        self,
        site: ServerState,
        request: Request,
        principal: Principal,
        incoming_upload: IncomingUpload,
        *,
        keyed: bool = False,
    ) -> None:
        """`keyed`: it has an idempotency key, so that its bytes have to be known again."""
        self._site = site
        self._request = request
        self._principal = principal
        self._arriving = incoming_upload
        self._accepted = False
        self.spooling = Spooling(
            site.spool_threads,
            site.store.spool(incoming_upload.uuid),
            most=site.receiving.limits.upload_bytes,
            mark=lambda received: site.receiving.mark(incoming_upload, received),
            digest=hashlib.sha256() if keyed else None,
        )

    async def __aenter__(self) -> Keeping:
        task = asyncio.current_task()
        assert task is not None
        self._site.receives(self._arriving.uuid, task)
        return self

    async def feed(self, data: bytes | memoryview) -> None:
        self._site.metrics.received.inc(len(data))
        await self.spooling.feed(data)

    async def accept(self, ask: Callable[[Principal], UploadOffer]) -> None:
        """Make it durable, then accepted.

        `ask` says what is wanted, all of it, and raises Denied where they may not: who asks is looked up anew, since
        the account or its right may have gone while the bytes came.
        """
        received = await self.spooling.finish()
        principal = await still(self._request, self._principal)
        offer = await self._site.read(ask, principal)
        who = (principal, info_of(self._request))
        digest = self.spooling.digest()
        if not await self._site.run(self._site.receiving.accept, self._arriving, received, *who, offer, digest):
            raise upload_errors.CancelledMeanwhile
        self._accepted = True

    async def keep(self, note: Callable[[int], bool]) -> None:
        """Make it durable, then have `note` keep its row, with its bytes, in place of an import that begins."""
        received = await self.spooling.finish()
        await still(self._request, self._principal)
        if not await self._site.run(note, received):
            raise upload_errors.CancelledMeanwhile
        self._accepted = True

    async def __aexit__(self, *_: object) -> None:
        if self._accepted:
            return
        with contextlib.suppress(ScandockError):
            await self.spooling.settle()
        try:
            await self._site.run(self._site.receiving.discard, self._arriving)
        except ScandockError:  # what broke it, the catalog or the disk, is away still; its key is not used up by that
            self._site.receiving.broken.add(self._arriving.uuid)
            raise
