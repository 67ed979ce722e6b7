"""Uploads that are read while they come to a site that de-identifies: what was read bears no mark, whatever comes."""

from __future__ import annotations

import gzip
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.sealed_texts import SEALED
from scandock.queue import follow
from scandock.queue.cancel import CancelResult
from scandock.services.privacy_scripts import set_local_script
from scandock.services.privacy_settings import set_local_privacy
from scandock.services.settings import load_settings
from scandock.testing.worker import InProcessWorker
from scandock.workers import followed_spool
from tests.badinput import tars
from tests.builders import zip_entries
from tests.byte_search import explain, search_folder
from tests.crash.archives import Study, zip_bytes
from tests.crash.case_share import choose_cases
from tests.crash.checker import examine_data
from tests.crash.processes import until
from tests.integration.coming_upload import Coming, follow_begun, send_raw, send_tus, told
from tests.integration.forked_workers import StartedAttempts, in_process_worker
from tests.integration.upload_server import UploadServer
from tests.integration.web import serve_by_socket
from tests.marked_objects import MARKS, marked_ecat, marked_series

pytestmark = [pytest.mark.crash, pytest.mark.processes]

COUNT = 100
PIXELS = {0x7FE00010: (b"OW", Random(1).randbytes(40_000))}
"""More than deflate looks back: a stream of such objects is as long as they are."""
ENTRIES = {"c/1.v": marked_ecat(), **marked_series(COUNT, also=PIXELS)}
"""ECAT, which is staged as it comes, stands first."""
BODY = zip_entries(ENTRIES)
ORIGINALS = ("work", "incoming")
"""Folders in which an import may have them until its end."""
LABELS = 'version "6.1"\n(0010,0010) := session\n'
"""A script that needs the session's label."""


@pytest.fixture(autouse=True)
def follow_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small uploads are followed too."""
    monkeypatch.setattr(follow, "MIN_BYTES", 1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[UploadServer]:
    """A site that drops UIDs and patients."""
    made = UploadServer(tmp_path / "data")
    set_privacy(made, study_uid="drop", patient="drop")
    yield made
    made.close()


def set_privacy(server: UploadServer, project: str | None = None, **levels: str) -> None:
    set_local_privacy(str(server.data), load_settings(), project, levels)


def set_script(server: UploadServer, text: str, project: str | None = None) -> None:
    set_local_script(str(server.data), load_settings(), project, text)


def assert_unmarked(server: UploadServer, without: tuple[str, ...] = ()) -> None:
    found = search_folder(MARKS, server.data, without)
    assert not found, explain(found)


def read_ahead(server: UploadServer, door: str = "raw") -> Coming:
    """An upload of which most has come, and some is staged."""
    coming = Coming(server, BODY, door=door)
    coming.send(0.9)
    coming.until_staged()
    return coming


def end(coming: Coming) -> None:
    """Have the rest come and be accepted: it is placed, and nothing is left of what it was."""
    coming.send()
    coming.accept()
    assert_placed(coming)


def assert_placed(coming: Coming) -> None:
    server = coming.server
    assert server.ended(coming.uuid) == "placed", server.row(coming.uuid)
    until(lambda: not server.spooled() and not server.store.works(), "bytes or staging were left")
    assert json.loads(server.row(coming.uuid)["report"])["entries"]["stored"] == len(ENTRIES)
    assert_unmarked(server)


def was_read_again(coming: Coming) -> bool:
    return "reading" in json.loads(coming.server.row(coming.uuid)["report"])["seconds"]


def until_given_up(coming: Coming) -> None:
    until(lambda: follow_begun(coming) and not coming.lease, "it is followed still")
    until(lambda: not coming.server.store.works(), "staging was left")
    assert told(coming) == "[null, []]", "somebody was met"


def tar_gz(entries: dict[str, bytes]) -> bytes:
    return gzip.compress(tars.plain(*((name.encode(), data) for name, data in entries.items())), 1)


@pytest.mark.parametrize(("door", "pack"), [("raw", zip_entries), ("tus", zip_entries), ("tus", tar_gz)])
def test_objects_are_deidentified_before_the_rest_has_come(
    server: UploadServer, door: str, pack: Callable[[dict[str, bytes]], bytes]
) -> None:
    with in_process_worker(server) as attempts:
        coming = Coming(server, pack(ENTRIES), door=door)
        coming.send(0.95)
        coming.until_staged()
        until(lambda: told(coming).count("study 1") == 2, "nobody is told that it met anybody")
        assert_unmarked(server, ORIGINALS)
        assert_no_original_staged(server)
        coming.send()
        coming.until_staged(COUNT)
        coming.accept()
        assert_placed(coming)
        until(lambda: has_ended(attempts), "its process did not end")
        assert not was_read_again(coming)
        again = server.send(pack(ENTRIES))
        assert server.ended(again) == "placed"
    assert json.loads(server.row(again)["report"])["entries"]["duplicate"] == len(ENTRIES)


def assert_no_original_staged(server: UploadServer) -> None:
    for path in (server.data / "work").rglob("*.dcm"):
        found = MARKS.find(path.read_bytes(), path.name)
        assert not found, explain(found)


def has_ended(attempts: StartedAttempts) -> bool:
    return any(line["event"] == "reading ahead ended" for line in attempts.logged)


def other_rules_in_another_project(server: UploadServer) -> None:
    add_project(server.catalog, ProjectRow(name="Q"))
    set_script(server, 'version "6.1"\n- (0008,1030)\n', "Q")


@pytest.mark.parametrize(
    ("prepare", "options"),
    [
        (lambda _: None, {"door": "multipart"}),
        (lambda server: set_script(server, LABELS), {}),
        (other_rules_in_another_project, {"project": None}),
    ],
    ids=["fields may follow", "a script needs a label", "nobody knows by which rules"],
)
def test_nothing_is_staged_ahead_where_the_rules_are_not_known_or_need_a_label(
    server: UploadServer, prepare: Callable[[UploadServer], None], options: dict[str, str]
) -> None:
    prepare(server)
    with in_process_worker(server):
        coming = Coming(server, BODY, **options)
        coming.send(0.9)
        until_given_up(coming)
        end(coming)
    assert was_read_again(coming)


def test_a_project_that_keeps_all_is_followed_beside_one_that_deidentifies(server: UploadServer) -> None:
    add_project(server.catalog, ProjectRow(name="Q"))
    set_privacy(server, study_uid="", patient="")
    set_privacy(server, "Q", patient="drop")
    study = Study(67, 1, count=70, side=8)
    with in_process_worker(server):
        coming = Coming(server, zip_bytes(study.entries("S")))
        coming.send()
        coming.until_staged(140)
        coming.accept()
        assert server.ended(coming.uuid) == "placed"
    assert not was_read_again(coming)
    held, _ = examine_data(server.data)
    assert held[study.uid] == study.held()


def test_what_was_deidentified_by_other_rules_is_read_again(server: UploadServer) -> None:
    with in_process_worker(server):
        coming = Coming(server, BODY)
        coming.send()
        coming.until_staged(COUNT)
        set_script(server, 'version "6.1"\n(0008,103E) := "BY SCRIPT"\n')
        coming.accept()
        assert_placed(coming)
    assert was_read_again(coming)
    stored = [path.read_bytes() for path in (server.data / "archive").rglob("*.dcm")]
    assert len(stored) == COUNT
    assert all(b"BY SCRIPT" in data for data in stored)


def test_a_mapping_that_comes_meanwhile_ends_it(server: UploadServer) -> None:
    with in_process_worker(server):
        coming = read_ahead(server, "tus")
        until(lambda: "study 1" in told(coming), "nobody is told that it met anybody")
        coming.set(mapping="patient_id,session\n*,S1\n")
        until_given_up(coming)
        end(coming)
    assert was_read_again(coming)


def test_nothing_is_staged_ahead_where_a_mapping_can_t_be_read(server: UploadServer) -> None:
    coming = Coming(server, BODY, door="tus")
    coming.set(mapping=f"{SEALED}of another key")
    coming.send(0.9)
    with in_process_worker(server):
        until_given_up(coming)
        coming.send()
        coming.accept()
        assert server.ended(coming.uuid) == "failed"


@pytest.mark.parametrize("door", ["raw", "tus"])
def test_an_upload_by_the_server_is_deidentified_while_it_is_received(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    monkeypatch.setattr(followed_spool, "BATCH_ENTRIES", 1)
    half = len(BODY) // 2
    with serve_by_socket(tmp_path / "data") as web, web.client() as client:
        levels = {"study_uid": "drop", "patient": "drop", "names": "drop"}
        set_local_privacy(str(web.site.data), load_settings(), None, levels)
        with InProcessWorker(web.site.data, upkeep=False):

            def parts() -> Iterator[bytes]:
                yield BODY[:half]
                until(lambda: any((Path(web.site.data) / "work").rglob("*.dcm")), "nothing was read ahead")
                yield BODY[half:]

            uuid = (send_raw if door == "raw" else send_tus)(client, parts(), len(BODY), f"{MARKS.salt}.zip")
            until(lambda: client.get(f"/api/v1/imports/{uuid}").json()["finished"], "it never ended")
            ended = client.get(f"/api/v1/imports/{uuid}").json()
            assert (ended["state"], ended["entries"]["stored"]) == ("placed", len(ENTRIES))
            assert "reading" not in ended["seconds"], "it was read a second time"
    found = search_folder(MARKS, tmp_path / "data")
    assert not found, explain(found)


def test_a_cancelled_upload_leaves_no_mark(server: UploadServer) -> None:
    with in_process_worker(server):
        coming = read_ahead(server)
        assert search_folder(MARKS, server.data / "work"), "no original was staged that could be left"
        assert server.cancel(coming.uuid) is CancelResult.DONE
        until(lambda: not server.store.works(), "staging was left")
        assert_unmarked(server, ("incoming",))


def test_a_follower_that_is_killed_while_bytes_come_leaves_no_mark(server: UploadServer) -> None:
    with in_process_worker(server) as attempts:
        coming = read_ahead(server)
        assert search_folder(MARKS, server.data / "work"), "no original was staged that could be left"
        os.kill(attempts.begun[coming.uuid].pid, signal.SIGKILL)
        coming.until_left()
        assert_unmarked(server, ("incoming",))
        end(coming)


@pytest.mark.parametrize(
    "point",
    choose_cases(
        ["followed", "read", "scrubbed"], ["followed", "began", "read", "reserved", "scrubbed", "sealed", "intent"]
    ),
)
def test_an_import_that_is_killed_after_its_acceptance_leaves_no_mark(
    server: UploadServer, tmp_path: Path, point: str
) -> None:
    once = tmp_path / "once"
    with in_process_worker(server, SCANDOCK_CRASH_AT=point, SCANDOCK_CRASH_ONCE=str(once)):
        coming = read_ahead(server)
        end(coming)
    assert once.exists()
    assert server.row(coming.uuid)["attempt"] == 1
