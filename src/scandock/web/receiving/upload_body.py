"""From the bytes of one request to an accepted upload: what the doors of whole bodies share."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from typing import TYPE_CHECKING

from fastapi import Request

from scandock.model.errors import ScandockError
from scandock.model.verdicts import ImportState
from scandock.services import upload_errors
from scandock.store.errors import SpoolTaken
from scandock.web.receiving.spooler import Spooler
from scandock.web.security import reauthenticate_request, request_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scandock.access.principal import Principal
    from scandock.model.incoming_upload import IncomingUpload
    from scandock.services.receiving import UploadOffer
    from scandock.web.deps import ServerState


@contextlib.contextmanager
def _as_given_up() -> Iterator[None]:
    """Who has become the writer of a body that comes in one request has given that up: nobody can go on with it."""
    try:
        yield
    except SpoolTaken as error:
        raise upload_errors.UploadGivenUp from error


class UploadBody:
    """One upload that comes in one request: accepted as a whole, or gone without a trace.

    As a context manager: `feed`, then `accept`. Whatever ends it before leaves no row and no bytes.
    """

    def __init__(
        self,
        server: ServerState,
        request: Request,
        principal: Principal,
        incoming_upload: IncomingUpload,
        *,
        keyed: bool = False,
    ) -> None:
        """`keyed`: it has an idempotency key, so that its bytes have to be known again."""
        self._server = server
        self._request = request
        self._principal = principal
        self._arriving = incoming_upload
        self._accepted = False
        self.spooling = Spooler(
            server.spool_threads,
            server.store.spool(incoming_upload.uuid),
            max_bytes=server.receiving.limits.upload_bytes,
            mark=lambda received: server.receiving.mark(incoming_upload, received),
            digest=hashlib.sha256() if keyed else None,
            ended=self._why_ended,
        )

    async def __aenter__(self) -> UploadBody:
        task = asyncio.current_task()
        assert task is not None
        self._server.track_reception(self._arriving, task)
        return self

    async def feed(self, data: bytes | memoryview) -> None:
        self._server.metrics.received.inc(len(data))
        with _as_given_up():
            await self.spooling.feed(data)

    async def accept(self, make_offer: Callable[[Principal], UploadOffer]) -> None:
        """Make it durable, then accepted.

        `make_offer` says what is wanted and raises AccessDenied where they may not: who asks is looked up anew, since
        the account or its right may have gone while the bytes came.
        """
        received = await self._finish()
        principal = await reauthenticate_request(self._request, self._principal)
        offer = await self._server.read(make_offer, principal)
        audit_args = (principal, request_info(self._request))
        digest = self.spooling.digest()
        if not await self._server.run(
            self._server.receiving.accept, self._arriving, received, *audit_args, offer, digest
        ):
            raise await self._server.read(self._why_ended)
        self._accepted = True

    async def keep(self, keep_row: Callable[[int], bool]) -> None:
        """Make it durable, then have `keep_row` keep its row, with its bytes, in place of an import that begins."""
        received = await self._finish()
        await reauthenticate_request(self._request, self._principal)
        if not await self._server.run(keep_row, received):
            raise await self._server.read(self._why_ended)
        self._accepted = True

    async def _finish(self) -> int:
        with _as_given_up():
            return await self.spooling.finish()

    def _why_ended(self) -> ScandockError:
        """Why it can't be accepted: somebody has cancelled it, or given it up, as nobody knew that its host lives."""
        current = self._server.receiving.find(self._arriving.uuid)
        if current is not None and current.state is ImportState.CANCELLED:
            return upload_errors.CancelledMeanwhile()
        return upload_errors.UploadGivenUp()

    async def __aexit__(self, *_: object) -> None:
        if self._accepted:
            return
        with contextlib.suppress(ScandockError):
            await self.spooling.settle()
        try:
            await self._server.run(self._server.receiving.discard, self._arriving)
        except ScandockError:  # what broke it, the catalog or the disk, is away still; its key is not used up by that
            self._server.receiving.broken.add(self._arriving.uuid)
            raise
