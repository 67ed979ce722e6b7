"""An upload whose idempotency key is known: its bytes come again, and are compared with those that were kept.

Nothing of it is stored. Its end may be answered with the import that the key has made only where all of it is the same.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from scandock.services.upload_errors import KeyReused
from scandock.web.receiving.spooler import Spooler

if TYPE_CHECKING:
    from scandock.model.incoming_upload import IncomingUpload
    from scandock.services.receiving import UploadOffer
    from scandock.web.deps import ServerState


class _NullSink:
    """Takes bytes as a spool does, and keeps none."""

    def __init__(self) -> None:
        self._size = 0

    def append(self, offset: int, data: bytes | memoryview) -> int:
        self._size = offset + len(data)
        return self._size

    def sync(self) -> int:
        return self._size


class RepeatedUpload:
    """As `UploadBody`, for bytes that were kept before: `feed`, then `end`."""

    def __init__(self, server: ServerState, incoming_upload: IncomingUpload) -> None:
        self._server = server
        self._arriving = incoming_upload
        self.spooling = Spooler(
            server.spool_threads,
            _NullSink(),
            max_bytes=server.receiving.limits.upload_bytes,
            digest=hashlib.sha256(),
        )

    async def feed(self, data: bytes | memoryview) -> None:
        """Raises KeyReused as soon as there is more than before."""
        if self.spooling.received + len(data) > self._arriving.received:
            raise KeyReused
        await self.spooling.feed(data)

    async def end(self, offer: UploadOffer) -> None:
        """Raises KeyReused where anything differs."""
        received = await self.spooling.finish()
        digest = self.spooling.digest()
        assert digest is not None
        await self._server.read(self._server.receiving.check_same, self._arriving, offer, received, digest)
