"""Uploads that have ended at the server before they were whole: the command line begins them anew."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from scandock.cli.upload_client.server import ServerRefusal, ServerUpload
from scandock.cli.upload_client.server_retry import ServerRetry
from scandock.cli.upload_client.sources import fingerprint
from scandock.cli.upload_client.transfer import Transfer, UploadClaims

WHOLE = b"0123456789"


class _Source:
    name = "a.zip"
    size = len(WHOLE)

    def identity(self):
        return b"a"

    def read(self, offset, length):
        yield WHOLE[offset : offset + length]

    def close(self):
        pass


class _Server:
    """Has an upload that was begun before, and says of it what the test wants."""

    url = "http://server"

    def __init__(self, code: str, told: str) -> None:
        self.code, self.told = code, told
        self.uploads: dict[str, bytes] = {"before": WHOLE[:4]}
        self.ended = False

    def unfinished(self) -> list[dict[str, Any]]:
        mark = fingerprint(_Source(), {})
        return [] if self.ended else [{"id": "before", "fingerprint": mark, "size": len(WHOLE), "offset": 4}]

    def create(self, _size: int, _fields: object, _key: str) -> ServerUpload:
        self.uploads["anew"] = b""
        return ServerUpload("anew", 0)

    def send(self, upload: str, at: int, length: int, pieces: Any) -> int:
        if upload == "before":
            self.ended = True
            if self.told == "by the answer":
                raise ServerRefusal(410, self.code, "Gone.", "Begin it anew.")
            return len(WHOLE)
        self.uploads[upload] += b"".join(pieces)
        return at + length

    def read(self, upload: str) -> dict[str, Any]:
        if upload == "before":
            return {"state": "cancelled", "code": self.code}
        return {"state": "placed", "code": ""}


@pytest.mark.parametrize("code", ["upload_expired", "upload_lost"])
@pytest.mark.parametrize("told", ["by the answer", "by the import"])
def test_an_upload_that_is_gone_is_begun_anew(code, told):
    said: list[str] = []
    server = _Server(code, told)
    patience = ServerRetry(threading.Event(), said.append)
    found = Transfer(cast("Any", server), _Source(), {}, UploadClaims(), patience, said.append, lambda _: None).run()
    assert (found["state"], server.uploads["anew"]) == ("placed", WHOLE)
    assert "beginning anew" in said[-1]
