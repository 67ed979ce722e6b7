"""What is sent without a project waits in `Unassigned` apart: nobody's upload joins a stranger's session."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scandock.services.settings import load_settings
from scandock.testing.worker import InProcessWorker
from tests.builders import documented, images, zipped
from tests.integration.server_side import Server

FIRST, SECOND = (zipped(documented("S", "1", images(count))) for count in (1, 2))
"""The same study, once with an image more."""


@pytest.mark.postgresql
def test_ones_own_upload_is_joined_and_no_strangers(tmp_path: Path, database_url: str) -> None:
    server = Server(tmp_path / "data", database_url)
    settings = load_settings().model_copy(update={"database_url": database_url})
    try:
        with InProcessWorker(server.data, settings):
            sessions = []
            for who, archive in (("ann", FIRST), ("bob", SECOND), ("ann", SECOND)):
                sent = server.send(archive, by=who, project=None)
                assert server.ended(sent) == "placed", server.row(sent)
                sessions.append(json.loads(server.row(sent)["report"])["sessions"][0])
    finally:
        server.close()
    uris = [one["uri"] for one in sessions]
    assert all(uri.startswith("/data/prearchive/projects/Unassigned/") for uri in uris)
    assert uris[0] != uris[1]
    assert uris[2] == uris[0]
    assert [one["files"] for one in sessions] == [1, 2, 2]
