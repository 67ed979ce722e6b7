"""An upload that comes bit by bit, for tests of what follows it."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Iterable
from contextlib import closing
from typing import Any

import httpx
from sqlalchemy import select, update

from scandock.catalog.server_tables import reception
from tests.crash.archives import Study, zip_bytes
from tests.crash.processes import until
from tests.integration.upload_server import UploadServer

STUDY = Study(61, 1, count=100, side=8)
BODY = zip_bytes(STUDY.entries("S"))


class Coming:
    """An upload whose bytes come bit by bit, by no web process."""

    def __init__(self, server: UploadServer, body: bytes = BODY, *, door: str = "raw", **options: Any) -> None:
        """`options`: its request. Of a form its row has the size of all of the form until it is accepted."""
        self.server, self.body, self.door = server, body, door
        self.uuid = server.receive(b"", size=len(body) + (1000 if door == "multipart" else 0), **options)
        self.here = 0
        if door != "raw":
            self.set(door=door)

    def send(self, share: float = 1.0, *, noted: bool = True) -> None:
        """So much of it has come, and stands in its row where that is `noted`."""
        end = int(len(self.body) * share)
        with closing(self.server.store.spool(self.uuid)) as spool:
            spool.append(self.here, self.body[self.here : end])
            spool.sync()
        self.here = end
        if noted:
            self.set(received=end)

    def set(self, **values: object) -> None:
        """Change its row."""
        with self.server.catalog.write() as connection:
            number = self.server.id(self.uuid)
            connection.execute(update(reception).where(reception.c.upload_id == number).values(**values))

    def accept(self) -> None:
        self.set(received=len(self.body), size=len(self.body))
        self.server.accept(self.uuid)

    @property
    def lease(self) -> int:
        with self.server.catalog.read() as connection:
            query = select(reception.c.follow_until).where(reception.c.upload_id == self.server.id(self.uuid))
            return int(connection.execute(query).scalar_one())

    def staged(self) -> int:
        """Files that its follower has staged."""
        folder = self.server.data / "work" / self.uuid
        return sum(name.endswith(".dcm") for _, _, names in os.walk(folder) for name in names)

    def until_staged(self, least: int = 64) -> None:
        until(lambda: self.staged() >= least, "nothing was read ahead")

    def until_left(self) -> None:
        """Wait until nobody follows it and nothing is staged of it."""
        until(lambda: not self.lease and not self.server.store.works(), "it is followed still")


def told(coming: Coming) -> str:
    """All that those are told who watch it come."""
    return json.dumps([coming.server.progress(coming.uuid), coming.server.events(coming.uuid)])


def follow_begun(coming: Coming) -> bool:
    """Whether somebody has begun to follow it, however that ended."""
    with coming.server.catalog.read() as connection:
        query = select(reception.c.follow_token).where(reception.c.upload_id == coming.server.id(coming.uuid))
        return bool(connection.execute(query).scalar_one())


def send_raw(client: httpx.Client, parts: Iterable[bytes], size: int, name: str) -> str:
    """Send an archive to project P as the body of one request, as its parts come; the import's id."""
    url, headers = f"/api/v1/imports?project=P&filename={name}", {"Content-Length": str(size)}
    answer = client.post(url, content=iter(parts), headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def send_tus(client: httpx.Client, parts: Iterable[bytes], size: int, name: str) -> str:
    """The same by tus, a request for each part."""
    fields = {"filename": name, "project": "P"}
    metadata = ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in fields.items())
    client.headers["Tus-Resumable"] = "1.0.0"
    made = {"Upload-Length": str(size), "Upload-Metadata": metadata}
    url, offset = client.post("/api/v1/uploads", headers=made).headers["location"], 0
    for part in parts:
        sent = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        assert client.patch(url, content=part, headers=sent).status_code == 204
        offset += len(part)
    return str(url.rpartition("/")[2])
