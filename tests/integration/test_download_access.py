"""Requests that last: a right that ends meanwhile is not used to their end, and one that stands is."""

from __future__ import annotations

import io
import itertools
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from scandock.access import accounts
from scandock.access.authentication import make_principal
from scandock.access.principal import AccessDenied, Door, Principal
from scandock.access.reauthentication import SavedCredentials, reauthenticate
from scandock.catalog.own_resources import find_holder
from scandock.catalog.tables import session
from scandock.services import download_access, downloads, resource_zips, zip_stream
from scandock.services.context import ServiceContext
from scandock.services.downloads import zip_session
from scandock.services.trash import delete_session
from scandock.web.v1 import upload_mapping
from scandock.web.xnat import file_uploads
from tests.builders import images, make_data_folder, uploader_layout
from tests.crash.processes import until
from tests.integration.web import PASSWORD, Web, serve_by_socket, serve_in_process

pytestmark = pytest.mark.long


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """Two sessions of the project P, and mia who is a member of it."""
    site = make_data_folder(tmp_path, monkeypatch)
    with serve_in_process(site.data) as running:
        running.account("mia", P="member")
        for number in (1, 2):
            site.bring(uploader_layout(f"S{number}", "1", images(2, study=number)), session=f"S{number}")
        yield running


def lose_role(web: Web) -> None:
    with web.client() as admin:
        assert admin.delete("/api/v1/projects/P/members/mia").status_code == 204


def be_disabled(web: Web) -> None:
    with web.client() as admin:
        assert admin.patch("/api/v1/accounts/mia", json={"disabled": True}).status_code == 200


def nothing(web: Web) -> None:
    pass


def once(patch: pytest.MonkeyPatch, module: Any, name: str, then: Callable[[], None]) -> None:
    """Let something happen behind the first call of a function."""
    called, left = getattr(module, name), [then]

    def wrapped(*given: Any, **named: Any) -> Any:
        told = called(*given, **named)
        while left:
            left.pop()()
        return told

    patch.setattr(module, name, wrapped)


def folders(answer: httpx.Response) -> set[str]:
    with zipfile.ZipFile(io.BytesIO(answer.content)) as made:
        assert made.testzip() is None
        return {name.partition("/")[0] for name in made.namelist()}


ENDS = [lose_role, be_disabled]


@pytest.mark.parametrize("end", [*ENDS, nothing])
def test_the_zip_of_a_project_holds_what_may_be_read_when_its_turn_comes(web, monkeypatch, end) -> None:
    checked = download_access.DownloadAccess.check
    seen: list[str] = []

    def check(self: download_access.DownloadAccess, holder: Any) -> None:
        checked(self, holder)
        if not seen:
            end(web)
        seen.append(holder.uuid)

    monkeypatch.setattr(download_access.DownloadAccess, "check", check)
    with web.client("mia") as mia:
        answer = mia.get("/api/v1/projects/P/download")
    assert answer.status_code == 200
    assert folders(answer) == ({"S1", "S2"} if end is nothing else {"S1", "not-included.txt"})
    if end is not nothing:
        with zipfile.ZipFile(io.BytesIO(answer.content)) as made:
            assert made.read("not-included.txt") == b"S2\t\tyou may not read it any more\r\n"


@pytest.mark.parametrize("end", [*ENDS, nothing])
def test_several_sessions_of_the_dialect_end_with_the_right(web, monkeypatch, end) -> None:
    once(monkeypatch, resource_zips, "_list_files", lambda: end(web))
    with web.client("mia") as mia:
        ask = partial(mia.get, "/data/projects/P/experiments/S1,S2/scans/ALL/files?format=zip")
        if end is nothing:
            assert folders(ask()) == {"S1", "S2"}
            return
        with pytest.raises((httpx.RemoteProtocolError, zipfile.BadZipFile)):  # cut off, by whichever transport
            folders(ask())
        assert len(_lines(web, action="download")) == 1


def _lines(web: Web, **asked: str) -> list[dict[str, Any]]:
    with web.client() as admin:
        return list(admin.get("/api/v1/audit", params=asked).json()["items"])


def _context(web: Web, name: str) -> tuple[ServiceContext, Principal]:
    site = web.site
    with site.catalog.read() as connection:
        person = accounts.find(connection, name)
        assert person is not None
        principal = make_principal(connection, person, Door.BASIC)
    proof = SavedCredentials(Door.BASIC, principal.account_id, principal.epoch)
    return ServiceContext(
        site.catalog, site.store, site.settings, principal, ask_again=partial(reauthenticate, site.catalog, proof)
    ), principal


@pytest.mark.parametrize("end", [*ENDS, nothing])
def test_a_session_is_asked_for_again_after_a_while(web, monkeypatch, end) -> None:
    """Half a minute apart, by the clock of the test; what stands goes on, also what was deleted meanwhile."""
    now = [0.0]
    monkeypatch.setattr(zip_stream, "CHUNK", 16)  # the first one is not all of it
    monkeypatch.setattr(downloads, "DownloadAccess", partial(download_access.DownloadAccess, clock=lambda: now[0]))
    context, _ = _context(web, "mia")
    with web.client() as admin:
        [uuid] = [one["id"] for one in admin.get("/api/v1/sessions").json()["items"] if one["label"] == "S1"]
    made = zip_session(context, uuid)
    sent = bytearray(next(made.chunks))
    end(web)
    if end is nothing:
        delete_session(_context(web, "admin")[0], uuid)
    now[0] = download_access.CHECK_SECONDS
    if end is nothing:
        assert len(sent) + sum(map(len, made.chunks)) == made.length
        return
    with pytest.raises(AccessDenied):
        list(made.chunks)


@pytest.mark.parametrize("end", [lose_role, nothing])
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/sessions/{}/download",
        "/api/v1/projects/P/download",
        "/data/projects/P/experiments/S1/scans/ALL/files?format=zip",
        "/data/projects/P/experiments/S1,S2/scans/ALL/files?format=zip",
    ],
)
def test_it_is_asked_within_one_file_too(web, monkeypatch, end, path) -> None:
    """A file is many pieces, and by the clock of the test half a minute goes by between any two."""
    checked, asked, clock = download_access.DownloadAccess.check, [0], itertools.count(0, download_access.CHECK_SECONDS)

    def check(self: download_access.DownloadAccess, holder: Any) -> None:
        checked(self, holder)
        asked[0] += 1
        if asked[0] == 5:
            end(web)

    monkeypatch.setattr(zip_stream, "CHUNK", 16)
    monkeypatch.setattr(download_access.DownloadAccess, "check", check)
    for module in (downloads, resource_zips):
        monkeypatch.setattr(
            module, "DownloadAccess", partial(download_access.DownloadAccess, clock=lambda: float(next(clock)))
        )
    with web.client("mia") as mia:
        uuid = next(one["id"] for one in mia.get("/api/v1/sessions").json()["items"] if one["label"] == "S1")
        ask = partial(mia.get, path.format(uuid))
        if end is nothing:
            assert "S1" in folders(ask())
            assert asked[0] > 20
            return
        with pytest.raises((httpx.RemoteProtocolError, zipfile.BadZipFile)):  # cut off, by whichever transport
            folders(ask())
        assert asked[0] == 5


@pytest.mark.parametrize("end", [*ENDS, nothing])
def test_a_file_that_is_put_is_not_shown_once_the_right_has_gone(web, monkeypatch, end) -> None:
    once(monkeypatch, file_uploads, "open_staged_upload", lambda: end(web))
    at = "/data/projects/P/experiments/S1/resources/NOTES/files/a.txt"
    with web.client("mia") as mia, web.client() as admin:
        answer = mia.put(at, content=b"words")
        assert answer.status_code == {lose_role: 404, be_disabled: 401, nothing: 200}[end], answer.text
        assert admin.get(at).status_code == (200 if end is nothing else 404)


@pytest.mark.parametrize("end", [*ENDS, nothing])
def test_a_mapping_is_kept_for_who_still_may(web, monkeypatch, end) -> None:
    with web.client("mia") as mia, web.client() as admin:
        said = {"Tus-Resumable": "1.0.0", "Upload-Length": "10", "Upload-Metadata": "filename YS56aXA="}
        made = mia.post("/api/v1/uploads", headers=said)
        assert made.status_code == 201
        once(monkeypatch, upload_mapping, "_check", lambda: end(web))
        answer = mia.put(f"{made.headers['location']}/mapping", content=b"study_uid,project\n1.2,P\n")
        assert answer.status_code == {lose_role: 404, be_disabled: 401, nothing: 204}[end], answer.text
        assert admin.get("/api/v1/projects").status_code == 200


@pytest.mark.parametrize("end", [be_disabled, nothing])
def test_who_waits_for_an_import_of_the_dialect_hears_no_more_than_they_may(tmp_path: Path, end) -> None:
    """No worker takes it: it waits until it is cancelled, or until who asked may ask no more."""
    with serve_by_socket(tmp_path / "data") as web:
        web.account("mia", P="member")
        found: list[httpx.Response] = []

        def send() -> None:
            with web.asking(auth=("mia", PASSWORD)) as mia:
                kind = {"Content-Type": "application/zip"}
                found.append(mia.post("/data/services/import?project=P", content=b"some bytes", headers=kind))

        thread = threading.Thread(target=send)
        thread.start()
        with web.client() as admin:

            def imports() -> list[dict[str, Any]]:
                return [one for one in admin.get("/api/v1/imports").json()["items"] if one["state"] == "received"]

            until(lambda: len(imports()) == 1, "it was never kept")
            end(web)
            if end is nothing:
                admin.post(f"/api/v1/imports/{imports()[0]['id']}/cancel")
            thread.join(20)
        assert [one.status_code for one in found] == [410 if end is nothing else 401]


@pytest.mark.parametrize("end", [*ENDS, nothing])
def test_a_session_that_is_deleted_meanwhile_goes_on_only_to_who_might_still_read_it(web, end) -> None:
    context, _ = _context(web, "mia")
    with web.site.catalog.read() as connection:
        holder = find_holder(connection, connection.execute(select(session.c.uuid).limit(1)).scalar_one())
    assert holder is not None
    delete_session(_context(web, "admin")[0], holder.uuid)
    end(web)
    pieces = download_access.DownloadAccess(context).each(holder, ["a piece"])
    if end is nothing:
        assert list(pieces) == ["a piece"]
        return
    with pytest.raises(AccessDenied):
        list(pieces)
