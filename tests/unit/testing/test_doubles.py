"""The doubles of `scandock.testing` are what they stand for, and nothing of the product leads to them."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from scandock.access import passwords
from scandock.catalog.engine import open_catalog
from scandock.queue.engines import EmbeddedEngine
from scandock.services.data_catalog import open_data
from scandock.services.settings import load_settings
from scandock.testing.data import make_data
from scandock.testing.passwords import quick_passwords
from scandock.testing.readers import thread_readers
from scandock.testing.server import InProcessServer
from scandock.testing.worker import InProcessWorker
from scandock.workers import readers
from tests.builders import images, uploader_layout, zip_entries
from tests.crash.processes import until
from tests.crash.served import FINAL_STATES
from tests.integration.web import Web, serve_by_socket, serve_in_process

ASKED = (
    ("GET", "/"), ("HEAD", "/"), ("GET", "/login"), ("GET", "/projects/P"), ("GET", "/nowhere"),
    ("GET", "/healthz"), ("HEAD", "/readyz"), ("OPTIONS", "/api/v1/projects"), ("GET", "/api/v1/projects"),
    ("HEAD", "/api/v1/projects/P"), ("GET", "/api/v1/projects/Q"), ("POST", "/api/v1/projects"),
    ("DELETE", "/api/v1/projects"), ("GET", "/data/projects"), ("HEAD", "/data/projects"), ("GET", "/data/version"),
    ("GET", "/data/projects/P%2FQ"), ("GET", "/data/projects/%FF"), ("PUT", "/data/projects/Q"),
    ("GET", "/data/projects?format=csv"), ("GET", "/static/none.css"),
)  # fmt: skip
OWN = {"date", "x-request-id", "etag", "last-modified"}


def _told(web: Web) -> list[tuple[str, str, int, dict[str, str], str]]:
    """What each request is answered, without what differs between any two servers."""
    with web.client() as client:
        answers = [(method, path, client.request(method, path)) for method, path in ASKED]
    return [
        (method, path, answer.status_code, _headers(answer), _neutral(web, answer.text))
        for method, path, answer in answers
    ]


def _headers(answer: httpx.Response) -> dict[str, str]:
    kept = {name: value for name, value in answer.headers.items() if name not in OWN}
    return {name: re.sub(r"=[^;,]+", "=", value) if name == "set-cookie" else value for name, value in kept.items()}


def _neutral(web: Web, body: str) -> str:
    """A body without the server's address, ids, tokens, numbers of logins and times."""
    body = re.sub(r'"[\w-]{32}"', '"#"', body.replace(web.base, ""))
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{16}\b|\d{10,}|\d{4}-\d\d-\d\d[T ][\d:.]+", "#", body)


@pytest.mark.long
def test_a_server_in_process_answers_as_one_with_sockets_does(tmp_path: Path) -> None:
    with serve_in_process(tmp_path / "one") as one, serve_by_socket(tmp_path / "other") as other:
        for mine, theirs in zip(_told(one), _told(other), strict=True):
            assert mine[:4] == theirs[:4]
            assert mine[4].splitlines() == theirs[4].splitlines()


def test_a_made_folder_is_what_a_first_start_makes(tmp_path: Path) -> None:
    """Schema, version and mode of the catalog, and what lies beside it."""

    def look(data: Path) -> tuple[list[tuple[str, int]], list[tuple[str, ...]]]:
        catalog = open_catalog(f"sqlite:///{data / 'scandock.db'}")
        with catalog.read() as connection:
            schema = connection.execute(text("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")).all()
            version = connection.execute(text("SELECT version_num FROM alembic_version")).all()
        catalog.dispose()
        return sorted((path.name, path.stat().st_mode) for path in data.iterdir()), [
            tuple(map(str, row)) for row in (*schema, *version)
        ]

    started = tmp_path / "started"
    with open_data(str(started), load_settings()):
        pass
    assert look(make_data(tmp_path / "made")) == look(started)


def test_a_catalog_that_is_there_is_left_alone(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    (data / "scandock.db").write_bytes(b"somebody's")
    make_data(data)
    assert (data / "scandock.db").read_bytes() == b"somebody's"


def test_the_example_of_the_docs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with quick_passwords(), InProcessServer(data) as server, InProcessWorker(data):
        server.add_account("admin", "correct horse", admin=True)
        with server.client(auth=("admin", "correct horse")) as client:
            client.post("/api/v1/projects", json={"id": "LUNG", "name": "Lung"})
            body = zip_entries(uploader_layout("S1", "1", images(2)))
            answer = client.post("/data/services/import?dest=/archive/projects/LUNG", content=body)
            assert answer.status_code == 200, answer.text
            assert answer.text.startswith("/data/archive/projects/LUNG/")


def test_an_import_that_the_worker_can_not_finish_is_told_of(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serve_in_process(data) as web, web.client() as client, InProcessWorker(data):
        sent = client.post("/api/v1/imports?project=P&filename=a.zip", content=b"PK\3\4 cut").json()
        until(lambda: client.get(f"/api/v1/imports/{sent['id']}").json()["state"] == "refused", "it never ended")


def test_a_server_that_can_not_begin_says_so(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    (data / "scandock.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(Exception, match="file is not a database"), InProcessServer(data):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name == "in-process server"]


def test_doubles_hold_within_their_context_alone() -> None:
    def cost() -> str:
        return passwords.hash_password("correct horse").split("$")[3]

    with passwords.use_hasher(passwords.HASHER), readers.use_reader_start(readers.start_process):
        before = cost()
        with quick_passwords(), thread_readers():
            assert cost() == "m=8,t=1,p=1"
        assert cost() == before == f"m={passwords.MEMORY_KIB},t={passwords.PASSES},p={passwords.LANES}"


def test_a_body_in_chunks_has_no_length(tmp_path: Path) -> None:
    with serve_in_process(tmp_path / "data") as web, web.client() as client:
        sent = client.post("/api/v1/imports?project=P&filename=a.zip", content=iter([b"PK", b"\3\4"]))
        assert sent.request.headers["transfer-encoding"] == "chunked"
        assert (sent.status_code, "content-length" in sent.request.headers) == (202, False)
        again = client.put("/data/projects/P/resources/R/files/a.txt?inbody=true", content=iter([b"chunks"]))
        assert again.status_code == 200, again.text


def test_two_workers_on_one_folder_end_each_by_itself(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serve_in_process(data) as web, web.client() as client, InProcessWorker(data):
        with InProcessWorker(data):
            pass
        sent = client.post(
            "/api/v1/imports?project=P&filename=a.zip", content=zip_entries({"1.dcm": images(1)[0]})
        ).json()
        until(lambda: client.get(f"/api/v1/imports/{sent['id']}").json()["state"] in FINAL_STATES, "nobody was left")


def test_a_worker_that_fails_says_so_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: EmbeddedEngine, *_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(EmbeddedEngine, "run", broken)
    with pytest.raises(RuntimeError, match="The worker failed"), InProcessWorker(make_data(tmp_path / "data")):
        pass


def test_a_server_that_does_not_run_says_how_it_is_used(tmp_path: Path) -> None:
    server = InProcessServer(tmp_path / "data")
    with pytest.raises(RuntimeError, match="with InProcessServer"):
        server.client()
    with server:
        pass
    with pytest.raises(RuntimeError, match="with InProcessServer"):
        server.add_account("ann", "correct horse")


def test_a_route_of_one_server_is_not_another_s(tmp_path: Path) -> None:
    with serve_in_process(tmp_path / "one") as one, serve_in_process(tmp_path / "other") as other:
        one.app.add_api_route("/own", lambda: "mine")
        with one.client() as mine, other.client() as theirs:
            assert (mine.get("/own").status_code, theirs.get("/own").status_code) == (200, 404)
