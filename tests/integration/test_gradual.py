"""Single objects, one a request: acknowledged once they are on disk, listed at once, built later (gradual-DICOM)."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, func, select, update

from scandock.catalog.server_tables import account, audit, gradual_upload, member, reception
from scandock.catalog.tables import upload
from scandock.model.machine_errors import DiskFull
from scandock.rules.series_filters import read_lines
from scandock.services import gradual_uploads
from scandock.services.gradual_uploads import GradualRows, ask_for_sessions, forget_ended
from scandock.services.import_filters import enable_local_filter, set_local_filter
from scandock.services.received_records import StudyProgress
from scandock.services.settings import Settings, load_settings
from scandock.store.local import LocalStore
from scandock.store.object_spools import LocalObjectSpool
from scandock.testing.worker import InProcessWorker
from scandock.web import session_building
from scandock.web.receiving import gradual
from scandock.workers import gradual_routing
from scandock.workers import gradual_uploads as gradual_uploads_worker
from scandock.workers.receiver_studies import OpenStudies
from tests.badinput.objects import Image
from tests.builders import images, make_data_folder, uploader_layout, zip_entries
from tests.crash.processes import until
from tests.integration.web import Web, serve_by_socket, serve_in_process

IMPORT = "/data/services/import"
DICOM = {"Content-Type": "application/dicom"}


def patient_settings(seconds: float = 600) -> Settings:
    """No session is built by itself, unless `seconds` are less than a test takes."""
    return load_settings().model_copy(update={"gradual_seconds": seconds})


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[Web]:
    """A server without a worker, on which nothing is built unless somebody asks for it."""
    site = make_data_folder(tmp_path, monkeypatch, database_url)
    with serve_in_process(site.data, patient_settings()) as running:
        running.account("mia", P="member")
        running.account("carl", P="collaborator")
        yield running


@pytest.fixture
def client(web: Web) -> Iterator[httpx.Client]:
    with web.client("mia") as running:
        yield running


def send(client: httpx.Client, body: bytes, project: str = "P", **asked: str) -> str:
    """Send an object; the URI that is answered."""
    answer = client.post(IMPORT, params={"project": project, **asked}, content=body, headers=DICOM)
    assert answer.status_code == 200, answer.text
    return answer.text.strip()


def listed(client: httpx.Client, project: str = "P", **filters: str) -> list[dict[str, str]]:
    answer = client.get(f"/data/prearchive/projects/{project}", params={"format": "json", **filters})
    rows: list[dict[str, str]] = answer.json()["ResultSet"]["Result"]
    return rows


def uploads(web: Web) -> list[Any]:
    with web.site.catalog.read() as connection:
        return list(connection.execute(select(upload).order_by(upload.c.id)).all())


def received(web: Web) -> int:
    """Bytes that the catalog has been told of."""
    with web.site.catalog.read() as connection:
        return int(connection.execute(select(func.sum(reception.c.received))).scalar() or 0)


def promises(web: Web) -> list[Any]:
    with web.site.catalog.read() as connection:
        return list(connection.execute(select(gradual_upload).order_by(gradual_upload.c.upload_id)).all())


def scans(client: httpx.Client, uri: str) -> list[str]:
    rows = client.get(f"{uri}/scans/ALL/files", params={"format": "json"}).json()["ResultSet"]["Result"]
    return sorted(row["Name"] for row in rows)


@pytest.mark.postgresql
def test_objects_are_answered_before_their_import_and_listed_at_once(web: Web, client: httpx.Client) -> None:
    sent = {send(client, one, subject="S", session="E") for one in images(3)}
    (uri,) = sent
    (row,) = uploads(web)
    assert (row.state, row.archive) == ("receiving", "DICOM objects")
    (promise,) = listed(client)
    _, _, _, _, project, timestamp, label = uri.split("/")
    assert (promise["project"], promise["timestamp"], promise["name"]) == (project, timestamp, label)
    assert (promise["status"], promise["subject"], f"/data{promise['url']}") == ("RECEIVING", "S", uri)
    assert listed(client, name="E") == [promise]
    assert listed(client, name="F") == []
    with InProcessWorker(web.site.data):
        assert len(scans(client, uri)) == 3
    (row,) = listed(client)
    assert (row["status"], f"/data{row['url']}") == ("READY", uri)
    assert [one.state for one in uploads(web)] == ["placed"]


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("options", [{"data": {"action": "commit"}}, {"params": {"action": "commit"}, "headers": FORM}])
def test_a_form_is_still_read_once_its_session_is_built(built: Web, options: dict[str, Any]) -> None:
    """Who looks meanwhile whether the client is still there must not take the body for that, an empty one neither."""
    with built.client("mia") as client:
        uri = send(client, images(1, case=f"form {options}")[0])
        answer = client.post(uri, timeout=30, **options)
        assert answer.status_code == 301, answer.text
    assert uploads(built)[-1].state == "placed"


@pytest.mark.parametrize(
    ("method", "path", "params", "status"),
    [
        ("GET", "{uri}", {"format": "json"}, 200),
        ("GET", "{uri}/scans", {}, 200),
        ("POST", "{uri}", {"action": "commit"}, 301),
        ("POST", "{uri}", {"action": "build"}, 200),
        ("POST", "/data/services/archive", {"src": "{uri}"}, 200),
        ("POST", "/data/services/prearchive/rebuild", {"src": "{uri}"}, 200),
        ("POST", "/data/services/validate-archive", {"src": "{uri}"}, 200),
        ("GET", "/data/services/dicomdump", {"src": "{uri}"}, 200),
    ],
)
def test_whoever_asks_for_the_session_has_it_built(
    built: Web, method: str, path: str, params: dict[str, str], status: int
) -> None:
    with built.client("mia") as client:
        uri = send(client, images(1, case=f"{method} {path} {params}")[0])
        filled = {name: value.format(uri=uri) for name, value in params.items()}
        answer = client.request(method, path.format(uri=uri), params=filled)
        assert answer.status_code == status, answer.text
    assert uploads(built)[-1].state == "placed"


def test_dicomweb_has_a_study_built_that_it_is_asked_for(built: Web) -> None:
    study = f"/dicomweb/studies/{Image(case='dicomweb').study_uid.decode()}"
    with built.client("mia") as client, built.client("carl") as carl:
        send(client, images(1, case="dicomweb")[0])
        assert carl.get(f"{study}/metadata").status_code == 404
        assert client.get(f"{study.replace('/dicomweb', '/dicomweb/projects/P')}/metadata").status_code == 404
        assert uploads(built)[-1].state == "receiving"
        answer = client.get(f"{study}/metadata")
        assert (answer.status_code, len(answer.json())) == (200, 1)
    assert uploads(built)[-1].state == "placed"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A server with a worker, on which nothing is built unless somebody asks for it."""
    data = tmp_path_factory.mktemp("gradual") / "data"
    with serve_in_process(data, patient_settings()) as running, InProcessWorker(data):
        running.account("mia", P="member")
        running.account("carl", P="collaborator")
        yield running


def test_a_session_is_built_once_no_more_objects_come(tmp_path: Path) -> None:
    with serve_in_process(tmp_path / "data", patient_settings(0.2)) as web, InProcessWorker(tmp_path / "data"):
        with web.client() as client:
            uri = send(client, images(1)[0])
            until(lambda: [one.state for one in uploads(web)] == ["placed"], "nothing was built")
            assert send(client, images(2)[1]) == uri
            until(lambda: [one.state for one in uploads(web)] == ["placed", "placed"], "nothing joined it")
            assert len(scans(client, uri)) == 2
            assert forget_ended(web.site.catalog) == 2
        with web.site.catalog.read() as connection:
            (first, _) = connection.execute(select(audit).where(audit.c.action == "upload").order_by(audit.c.id)).all()
        assert (first.actor, first.address) == ("admin", "127.0.0.1")
        details = json.loads(first.details)
        assert (details["door"], details["objects"], details["closed"]) == ("gradual", 1, "idle")
        assert promises(web) == []


@pytest.mark.postgresql
def test_what_comes_for_a_study_meanwhile_stands_where_was_promised(web: Web, client: httpx.Client) -> None:
    first, second, third = images(3)
    uri = send(client, first)
    assert send(client, second, SOURCE="another request", overwrite="append") == uri
    zipped = zip_entries(uploader_layout("x", "1", [third]))
    with web.client() as other, InProcessWorker(web.site.data):
        answer = other.post(
            IMPORT, params={"project": "P"}, content=zipped, headers={"Content-Type": "application/zip"}
        )
        assert answer.text.strip() == uri
        assert [row["status"] for row in listed(client)] == ["RECEIVING"]
        assert len(scans(client, uri)) == 3
        assert send(client, images(1, case="again", study=2)[0]) != uri
    assert [one.source for one in uploads(web)] == ["server"] * 4


@pytest.mark.postgresql
def test_an_address_that_was_answered_stands_whatever_comes_meanwhile(web: Web, client: httpx.Client) -> None:
    """Another study of the same patient, and more objects of another patient in the first study."""
    odd, *others = (Image(case="odd", number=n, patient_id=b"PAT1" if n == 1 else b"PAT2").file() for n in range(1, 5))
    first, second = send(client, odd), send(client, images(1, study=2)[0])
    labels = [uri.rpartition("/")[2] for uri in (first, second)]
    assert (labels[0], labels[1].startswith("PAT1_")) == ("PAT1", True)
    assert {send(client, one) for one in others} == {first}
    zipped = zip_entries(uploader_layout("x", "1", images(1, study=3)))
    with InProcessWorker(web.site.data):
        headers = {"Content-Type": "application/zip"}
        answer = client.post(IMPORT, params={"project": "P"}, content=zipped, headers=headers)
        assert answer.text.strip().rpartition("/")[2] not in labels
        assert [len(scans(client, uri)) for uri in (second, first)] == [1, 4]


@pytest.mark.postgresql
@pytest.mark.parametrize("asked", [{}, {"session": "E"}], ids=["derived", "asked for"])
def test_two_studies_that_begin_at_once_stand_where_was_answered(
    web: Web, client: httpx.Client, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str]
) -> None:
    barrier, found = threading.Barrier(2), itertools.count()
    find_place = gradual_routing.find_place

    def find_together(*args: Any, **options: Any) -> Any:
        place = find_place(*args, **options)
        if next(found) < 2:
            barrier.wait(30)
        return place

    monkeypatch.setattr(gradual_routing, "find_place", find_together)
    objects = [images(1, study=study)[0] for study in (1, 2)]
    with ThreadPoolExecutor(2) as threads:
        uris = list(threads.map(lambda one: send(client, one, **asked), objects))
    labels = {uri.rpartition("/")[2] for uri in uris}
    assert (len(set(uris)), len(labels)) == (2, 1 if asked else 2)
    with InProcessWorker(web.site.data):
        assert [len(scans(client, uri)) for uri in uris] == [1, 1]


def test_a_label_that_an_import_has_is_waited_for(
    web: Web, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []

    def hold(_: object, __: object, names: set[str]) -> set[str]:
        if any("label" in name for name in names):
            waited.append(names)
        return {"another"} if len(waited) in {1, 2} and waited[-1] is names else set()

    monkeypatch.setattr(gradual_uploads, "find_holders", hold)
    monkeypatch.setattr(gradual, "RESERVED_SECONDS", 0)
    assert send(client, images(1)[0]).endswith("/PAT1")
    assert len(waited) == 3


@pytest.mark.postgresql
def test_only_who_may_see_the_prearchive_learns_of_it(web: Web, client: httpx.Client) -> None:
    uri = send(client, images(1)[0])
    own = send(client, images(1, study=2)[0], project="")
    assert own.startswith("/data/prearchive/projects/Unassigned/")
    for name in ("carl", "admin"):
        with web.client(name) as other:
            shown = 200 if name == "admin" else 403
            assert other.get("/data/prearchive/projects/P").status_code == shown
            assert len(listed(other, "Unassigned")) == (name == "admin")
    with web.client("carl") as carl:
        assert carl.get(f"{uri}/scans").status_code in (403, 404)
        assert carl.get(f"{own}/scans").status_code == 404
        assert send(carl, images(1, study=2)[0], project="") != own
    assert [one.state for one in uploads(web)] == ["receiving"] * 3
    assert len(listed(client, "Unassigned")) == 1


def test_large_objects_and_bodies_without_a_length(web: Web, client: httpx.Client) -> None:
    large = Image(case="large", also={0x7FE00010: (b"OB", b"\1" * (3 * 1024 * 1024))}).file()
    parts = [large[at : at + 100_000] for at in range(0, len(large), 100_000)]
    answer = client.post(IMPORT, params={"project": "P"}, content=iter(parts), headers=DICOM)
    assert answer.status_code == 200, answer.text
    with InProcessWorker(web.site.data):
        (name,) = scans(client, answer.text.strip())
        uri = f"{answer.text.strip()}/scans/ALL/files"
        assert client.get(f"{answer.text.strip()}/scans/1/files/{name}").content == large, uri


def test_an_object_that_no_import_would_take_is_not_acknowledged(tmp_path: Path) -> None:
    settings = patient_settings().model_copy(update={"max_entry_bytes": 2 * 1024 * 1024})
    large, taken = (
        Image(case="large", number=size, also={0x7FE00010: (b"OB", bytes(range(250)) * 4_000 * size)}).file()
        for size in (3, 2)
    )
    with serve_by_socket(tmp_path / "data", settings) as web, web.client() as client:
        answer = client.post(IMPORT, params={"project": "P"}, content=iter([large]), headers=DICOM)
        assert (answer.status_code, uploads(web)) == (413, [])
        with InProcessWorker(tmp_path / "data", settings):
            answer = client.post(IMPORT, params={"project": "P"}, content=large, headers=DICOM)
            assert (answer.status_code, [one.state for one in uploads(web)]) == (400, ["refused"])
            answer = client.post(IMPORT, params={"project": "P"}, content=iter([taken]), headers=DICOM)
            assert uploads(web)[-1].state == "receiving"
            uri = answer.text.strip()
            (name,) = scans(client, uri)
            assert client.get(f"{uri}/scans/1/files/{name}").content == taken


def test_objects_as_files_of_forms(web: Web, client: httpx.Client) -> None:
    first, second, third = images(3)
    params = {"import-handler": "gradual-DICOM"}

    def post(**options: Any) -> httpx.Response:
        return client.post(IMPORT, params=params, **options)

    uri = send(client, first)
    answer = post(files={"image": ("1.dcm", second)}, data={"project": "P"})
    assert (answer.status_code, answer.text.strip()) == (200, uri)
    assert post(files={"image": ("1.dcm", second)}, data={"project": "NONE"}).status_code == 404
    assert post(data={"project": "P"}, files={"image": ("", b"")}).status_code == 400
    assert post(data={"project": "P"}, files=[("a", ("1.dcm", second)), ("b", ("2.dcm", third))]).status_code == 400
    assert [one.state for one in uploads(web)] == ["receiving"]
    large = Image(case="large form", also={0x7FE00010: (b"OB", bytes(2 * 1024 * 1024))}).file()
    with InProcessWorker(web.site.data):
        assert post(files={"image": ("1.dcm", third)}, data={"project": "P", "action": "commit"}).text.strip() == uri
        assert len(scans(client, uri)) == 3
        answer = post(files={"image": ("1.dcm", large)}, data={"project": "P"})
        assert len(scans(client, answer.text.strip())) == 1


def test_a_header_that_is_longer_than_a_first_look(web: Web, client: httpx.Client) -> None:
    long = Image(case="long", also={0x00091010: (b"OB", b"\1" * 200_000)}).file()
    uri = send(client, long)
    assert [one.state for one in uploads(web)] == ["receiving"]
    with InProcessWorker(web.site.data):
        assert len(scans(client, uri)) == 1


def test_a_full_disk_refuses_objects_and_keeps_those_before(
    web: Web, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = images(2)
    uri = send(client, first)
    with monkeypatch.context() as patch:

        def refuse(*_: object, **__: object) -> int:
            raise DiskFull("There is no room.", "Make some.")

        patch.setattr(LocalStore, "reserve", refuse)
        answer = client.post(IMPORT, params={"project": "P"}, content=second, headers=DICOM)
        assert answer.status_code == 507, answer.text
    assert send(client, second) == uri
    with InProcessWorker(web.site.data):
        assert len(scans(client, uri)) == 2


def test_objects_count_against_the_share_of_their_account_as_they_come(
    web: Web, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two studies may take half of what is free together, and another account is free to send."""
    large = Image(case="share", also={0x7FE00010: (b"OB", bytes(20_000))})
    objects = [replace(large, number=number).file() for number in range(1, 9)]
    other = Image(case="share", study=2).file()
    send(client, other)
    until(lambda: received(web) > 0, "nothing was noted")
    monkeypatch.setattr(gradual_uploads_worker, "CHECK_BYTES", 40_000)
    monkeypatch.setattr(LocalStore, "reserve", lambda *_, min_free=0, **__: 100_000 + min_free)
    statuses = []
    for body in objects:
        answer = client.post(IMPORT, params={"project": "P"}, content=body, headers=DICOM)
        statuses.append(answer.status_code)
    assert statuses == [200, 200, 200, 507, 507, 507, 507, 507]
    assert "Your open uploads would take" in answer.text
    with web.client() as admin:
        send(admin, objects[-1])


def test_what_is_recovered_keeps_no_other_session_from_being_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    with serve_in_process(data, patient_settings()) as web, web.client() as client:
        send(client, images(1)[0])
        kill(web)
    is_reading, may_go_on, recover = threading.Event(), threading.Event(), LocalObjectSpool.recover

    def wait_and_recover(spool: LocalObjectSpool) -> int:
        is_reading.set()
        assert may_go_on.wait(60)
        return recover(spool)

    monkeypatch.setattr(LocalObjectSpool, "recover", wait_and_recover)
    with serve_in_process(data, patient_settings()) as web, web.client() as client, InProcessWorker(data):
        assert is_reading.wait(60)
        uri = send(client, images(1, study=2)[0])
        assert len(scans(client, uri)) == 1
        assert [one.state for one in uploads(web)] == ["receiving", "placed"]
        may_go_on.set()
        until(lambda: uploads(web)[0].state == "placed", "it was not recovered")


def test_a_failed_sync_is_told_and_what_was_acknowledged_stays(
    web: Web, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = images(3)
    uri = send(client, first)
    fails = True

    def fdatasync(fd: int) -> None:
        if fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    answer = client.post(IMPORT, params={"project": "P"}, content=second, headers=DICOM)
    assert (answer.status_code, answer.text[:18]) == (503, "The server's disk "), answer.text
    fails = False
    assert send(client, third) == uri
    with InProcessWorker(web.site.data):
        assert len(scans(client, uri)) == 2


def test_an_account_with_many_open_sessions_hands_over_the_oldest(tmp_path: Path) -> None:
    settings = patient_settings().model_copy(update={"max_uploads_per_user": 2})
    with serve_in_process(tmp_path / "data", settings) as web, web.client() as client:
        for study in (1, 2):
            send(client, images(1, study=study)[0])
        send(client, images(2, study=1)[1])
        send(client, images(1, study=3)[0])
        until(
            lambda: [one.state for one in uploads(web)] == ["receiving", "received", "receiving"],
            "none was handed over",
        )
        answer = client.post(f"/api/v1/imports/{uploads(web)[0].uuid}/cancel")
        assert (answer.status_code, answer.json()["code"]) == (409, "import_running")
        assert client.post(f"/api/v1/imports/{uploads(web)[1].uuid}/cancel").status_code == 202


def test_a_server_that_stops_hands_over_what_it_has(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serve_in_process(data, patient_settings()) as web, web.client() as client:
        uri = send(client, images(1)[0])
    with serve_in_process(data, patient_settings()) as web, web.client() as client:
        assert [one.state for one in uploads(web)] == ["received"]
        assert [f"/data{row['url']}" for row in listed(client)] == [uri]
        with InProcessWorker(data):
            assert len(scans(client, uri)) == 1


@pytest.mark.postgresql
def test_what_another_host_receives_is_asked_for_by_the_catalog(web: Web, client: httpx.Client) -> None:
    send(client, images(1)[0])
    ask_for_sessions(web.site.catalog, [promises(web)[0].upload_id])
    until(lambda: uploads(web)[0].state == "received", "nobody looked")


def test_two_hosts_that_receive_one_study_promise_one_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    site = make_data_folder(tmp_path, monkeypatch, postgres_url)
    first, second, third = images(3)
    with (
        serve_in_process(site.data, patient_settings()) as one,
        serve_in_process(site.data, patient_settings()) as two,
        one.client() as here,
        two.client() as there,
    ):
        uri = send(here, first)
        assert (send(there, second), send(here, third)) == (uri, uri)
        assert [row["status"] for row in listed(there)] == ["RECEIVING"]
        with InProcessWorker(site.data):
            assert len(scans(there, uri)) == 3
        assert [row.state for row in uploads(one)] == ["placed"] * 2


def test_what_was_acknowledged_is_kept_whatever_becomes_of_its_account(web: Web, client: httpx.Client) -> None:
    uri = send(client, images(1)[0])
    with web.site.catalog.write() as connection:
        connection.execute(update(account).where(account.c.name == "mia").values(disabled=True))
    with web.client() as admin, InProcessWorker(web.site.data):
        assert len(scans(admin, uri)) == 1


def test_what_a_killed_process_left_is_imported_even_without_its_project(tmp_path: Path) -> None:
    data = tmp_path / "data"
    routed = Image(case="routed", also={0x00081030: (b"LO", b"P")}).file()
    with serve_in_process(data, patient_settings()) as web, web.client() as client:
        web.account("mia", P="member")
        with web.client("mia") as mia:
            assert send(mia, routed, project="").startswith("/data/prearchive/projects/P/")
        assert client.delete("/data/projects/P").status_code == 409
        kill(web)
        with web.site.catalog.write() as connection:
            connection.execute(delete(gradual_upload))  # as the deletion of its project did, in versions before
    with serve_in_process(data, patient_settings()) as web:
        until(lambda: uploads(web)[0].state == "received", "it was left for ever")
        with InProcessWorker(data):
            until(lambda: uploads(web)[0].state == "placed", "it was not imported")


def test_a_host_that_was_replaced_notes_nothing_of_an_upload(web: Web, client: httpx.Client) -> None:
    send(client, images(1)[0])
    (row,) = uploads(web)
    rows = GradualRows(web.site.catalog, web.site.receiving, web.site.settings.zone)
    progress = StudyProgress(upload_id=row.id, writer="another", objects=9, bytes=987_654_321, rate=0)
    assert rows.write_progress([progress]) == []  # it goes on: elsewhere
    incoming = web.site.receiving.find(row.uuid)
    assert incoming is not None
    assert incoming.received != progress.bytes
    assert rows.write_progress([replace(progress, upload_id=row.id + 1)]) == [row.id + 1]


def test_who_waits_for_a_session_hears_that_its_import_has_failed(web: Web, client: httpx.Client) -> None:
    uri = send(client, images(1)[0])
    (row,) = uploads(web)
    web.site.gradual.close([row.id])
    until(lambda: uploads(web)[0].state == "received", "it was not handed over")
    os.unlink(Path(web.site.data) / "incoming" / row.uuid / "archive")
    with InProcessWorker(web.site.data):
        answer = client.get(f"{uri}/scans")
    assert (answer.status_code, answer.text.startswith("The session could not be built: ")) == (409, True), answer.text
    assert row.uuid in answer.text
    assert (client.get(f"{uri}/scans").status_code, listed(client)) == (404, [])


@pytest.mark.parametrize("door", ["xnat", "dicomweb", "v1"])
def test_rights_that_go_while_a_session_is_built_are_gone_behind_it(
    built: Web, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    number = built.account(f"gone{door}", P="member")
    study = Image(case=f"rights {door}").study_uid.decode()
    first, second = images(2, case=f"rights {door}", patient_id=door.encode())
    with built.client(f"gone{door}") as client:
        uri = send(client, first)
        path = {"xnat": f"{uri}/scans", "dicomweb": f"/dicomweb/studies/{study}/metadata", "v1": ""}[door]
        if door == "v1":
            client.get(uri)
            assert send(client, second) == uri
            (waiting,) = client.get("/api/v1/prearchive", params={"search": door}).json()["items"]
            path = f"/api/v1/prearchive/{waiting['id']}"

        def take_away(*asked: Any) -> None:
            with built.site.catalog.write() as connection:
                connection.execute(delete(member).where(member.c.account_id == number))
            ask_for_sessions(*asked)

        monkeypatch.setattr(session_building, "ask_for_sessions", take_away)
        assert client.get(path).status_code in (403, 404)
    assert uploads(built)[-1].state == "placed"


def kill(web: Web, **facts: object) -> None:
    """Have a server that is to end leave its open uploads, as a dead process's, with these facts of it else."""
    stop_handing_over = web.site.gradual.stop

    def stop() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(OpenStudies, "close", lambda *_: None)
            stop_handing_over()

    web.site.gradual.stop = stop  # type: ignore[method-assign]
    with web.site.catalog.write() as connection:
        for row in connection.execute(select(upload).where(upload.c.state == "receiving")).all():
            owner = json.dumps({**json.loads(row.owner), "pid": 4_000_000, **facts})
            connection.execute(update(upload).where(upload.c.id == row.id).values(owner=owner))


def test_what_a_host_has_that_is_away_blocks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    site = make_data_folder(tmp_path, monkeypatch, postgres_url)
    first, second = images(2)
    alone = images(1, study=2, patient_id=b"alone")[0]
    with serve_in_process(site.data, patient_settings()) as web, web.client() as client, InProcessWorker(site.data):
        uri = send(client, first)
        client.get(uri)
        assert send(client, second) == uri
        promised = send(client, alone)
        (session,) = client.get("/api/v1/prearchive").json()["items"]
        kill(web, host_id="a host that is away")
    with serve_in_process(site.data, patient_settings()) as web, web.client() as client, InProcessWorker(site.data):
        _, coming, other = uploads(web)
        assert len(scans(client, uri)) == 1
        answer = client.post(f"/api/v1/prearchive/{session['id']}/archive")
        assert (answer.status_code, answer.json()["code"]) == (503, "session_left"), answer.text
        assert coming.uuid in answer.text
        answer = client.get(f"{promised}/scans")
        assert (answer.status_code, other.uuid in answer.text) == (503, True)
        for one in (coming, other):
            assert client.post(f"/api/v1/imports/{one.uuid}/cancel").status_code == 202
        assert [one.state for one in uploads(web)] == ["placed", "cancelled", "cancelled"]
        assert client.post(f"/api/v1/prearchive/{session['id']}/archive").status_code == 200
        assert client.get(f"{promised}/scans").status_code in (404, 409)
        assert web.spools() == []


def test_a_wait_for_objects_that_nobody_hands_over_has_an_end(
    web: Web, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = send(client, images(1)[0])
    monkeypatch.setattr(session_building, "HAND_OVER_SECONDS", 0)
    monkeypatch.setattr(web.site.gradual, "close", lambda _: None)
    answer = client.get(f"{uri}/scans")
    assert (answer.status_code, uploads(web)[0].uuid in answer.text) == (503, True), answer.text


def test_what_still_comes_for_a_session_is_archived_with_it(built: Web) -> None:
    with built.client("mia") as client:
        for number, verb in enumerate(("archive", "many", "page")):
            first, second = images(2, case=verb, study=20 + number, patient_id=verb.encode())
            uri = send(client, first)
            client.get(uri)
            assert send(client, second) == uri
            (waiting,) = client.get("/api/v1/prearchive", params={"search": verb}).json()["items"]
            if verb == "page":
                page = client.get("/prearchive").text
                csrf = re.search(r'name="csrf" value="([^"]*)"', page)
                fields = {"do": f"archive:{waiting['id']}", "csrf": csrf[1] if csrf else ""}
                answer = client.post("/prearchive", data=fields)
            elif verb == "many":
                answer = client.post("/api/v1/prearchive/archive", json={"sessions": [waiting["id"]]})
            else:
                answer = client.post(f"/api/v1/prearchive/{waiting['id']}/archive")
            assert answer.status_code in (200, 303), answer.text
            (archived,) = client.get("/api/v1/sessions", params={"search": verb}).json()["items"]
            assert archived["files"] == 2


# -- what the import itself takes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "headers", "state"),
    [
        ({"dest": "/archive/projects/P"}, {}, "archive"),
        ({"action": "commit"}, {}, "prearchive"),
        ({"http-session-listener": "key1"}, {}, "prearchive"),
        ({}, {"Idempotency-Key": "once"}, "prearchive"),
    ],
)
def test_what_is_an_import_of_its_own_is_answered_behind_it(
    built: Web, asked: dict[str, str], headers: dict[str, str], state: str
) -> None:
    with built.client("mia") as client:
        body = images(1, case=f"own {asked} {headers}", study=len(uploads(built)) + 10)[0]
        answer = client.post(IMPORT, params={"project": "P", **asked}, content=body, headers={**DICOM, **headers})
        assert answer.status_code == 200, answer.text
        assert answer.text.startswith(f"/data/{state}/")
    assert uploads(built)[-1].state == "placed"


def test_what_is_no_object_is_refused_as_ever(built: Web) -> None:
    with built.client("mia") as client:
        answer = client.post(IMPORT, params={"project": "P"}, content=b"no object" * 100, headers=DICOM)
        assert (answer.status_code, uploads(built)[-1].state) == (400, "refused")
        cut = images(1, case="cut")[0]
        answer = client.post(IMPORT, params={"project": "P"}, content=cut[:200], headers=DICOM)
        assert answer.status_code == 400


def test_what_a_filter_leaves_out_is_told_at_once(built: Web) -> None:
    set_local_filter(built.site.data, built.site.settings, None, read_lines("localizer", "blacklist"))
    try:
        with built.client("mia") as client:
            left_out = Image(case="filtered", also={0x0008103E: (b"LO", b"localizer")}).file()
            answer = client.post(IMPORT, params={"project": "P"}, content=left_out, headers=DICOM)
            assert (answer.status_code, answer.text) == (200, "")
            assert uploads(built)[-1].code == "all_filtered"
            uri = send(client, Image(case="kept", also={0x0008103E: (b"LO", b"T1")}).file())
            assert promises(built)[-1].label == uri.rpartition("/")[2]
    finally:
        enable_local_filter(built.site.data, built.site.settings, None, enabled=False)
