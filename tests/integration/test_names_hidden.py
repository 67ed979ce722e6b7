"""Names of archives, folders and files stand nowhere once an import has ended into a project that drops or hashes them.

A search of all bytes that DATA, output and logs have, in whatever spelling (`tests.byte_search`).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest
from sqlalchemy import select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import reception
from scandock.catalog.tables import scan, upload
from scandock.model.verdicts import FINAL
from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Level, Policy
from scandock.services.cleaning.uploads import FAILED_ORIGINALS, remove_failed_originals
from scandock.testing.privacy import given_privacy
from scandock.testing.worker import InProcessWorker
from scandock.web.xnat.services.cleaning import clean_inbox
from tests.builders import DataFolder, make_data_folder, zip_entries
from tests.byte_search import Marks, explain, search_bytes, search_folder
from tests.crash.processes import until
from tests.integration.deid_marks import dicom_object
from tests.integration.in_process import call_in_process
from tests.integration.web import PASSWORD, serve_by_socket, serve_in_process
from tests.marked_archives import (
    damaged_zips,
    marked_ecat,
    marked_image,
    tar_of_marked_names,
    write_marked,
    zip_of_marked_names,
)

KEY = bytes(range(32))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    return make_data_folder(tmp_path / "site", monkeypatch)


def by(level: Level, **policy: Any) -> Any:
    """Imports show names by this level, and nothing else is hidden."""
    return given_privacy(PrivacyRules(key=KEY, policy=Policy(names=level, **policy)))


def run(*words: str | Path, **environment: str) -> tuple[bytes, int]:
    """What a command prints on both of its streams, and its exit code."""
    done = call_in_process(*words, SCANDOCK_WORKERS="1", **environment)
    return (done.stdout + done.stderr).encode("utf-8", "surrogatepass"), done.returncode


@pytest.mark.parametrize("level", ["drop", "hash"])
def test_imports_of_the_command_line_leave_no_name(site: DataFolder, tmp_path: Path, level: Level) -> None:
    marks = Marks()
    folder = tmp_path / "brought"
    archives = [
        write_marked(folder, marks, "zip", zip_of_marked_names(marks)),
        write_marked(folder, marks, "tar", tar_of_marked_names(marks), ".tar.gz"),
        *(write_marked(folder, marks, why, data) for why, data in damaged_zips(marks).items()),
        write_marked(folder, marks, "one object", marked_image("alone"), ".dcm"),
        write_marked(folder, marks, "no archive", b"This is no archive.", ".dcm"),
        _folder_of_marked_names(folder, marks),
    ]
    receipt = tmp_path / "receipt.jsonl"
    with by(level):
        for command in ("inspect", "import", "import"):
            printed, _ = run(
                command, *archives, "--data", site.data, "--project", "P", "--create-project", "--receipt", receipt
            )
            found = search_bytes(marks, printed, f"printed by {command}")
            found += search_bytes(marks, receipt.read_bytes(), f"receipt of {command}")
            assert not found, explain(found)
            shown = {json.loads(line)["archive"] for line in receipt.read_text().splitlines()}
            assert all(re.fullmatch(r"#([1-9]|10)|f-[0-9a-f]{8}(\.zip|\.tar\.gz|\.dcm)?", name) for name in shown)
    found = search_folder(marks, site.data)
    assert not found, explain(found)


@pytest.mark.parametrize("command", ["import", "inspect"])
def test_a_catalog_that_cannot_be_read_shows_no_name(site: DataFolder, tmp_path: Path, command: str) -> None:
    marks = Marks()
    archive = write_marked(tmp_path / "brought", marks, "zip", zip_of_marked_names(marks))
    run("admin", "privacy", "set", "--names", "drop", "--data", site.data)
    for part in site.data.glob("scandock.db*"):
        part.write_bytes(b"This is no catalog. " * 1000)
    printed, code = run(command, archive, "--data", site.data)
    found = search_bytes(marks, printed, "printed")
    assert code == 1
    assert not found, explain(found)


def _folder_of_marked_names(folder: Path, marks: Marks) -> Path:
    """A folder with images, an archive, a link, and a file that nobody may read."""
    top = folder / marks.text("folder as an archive")
    below = top / marks.text("folder below")
    below.mkdir(parents=True)
    for number in (1, 2):
        image = marked_image("folder", number=number)
        (below / f"{marks.text(f'file in a folder {number}')}.dcm").write_bytes(image)
    (below / f"{marks.text('archive in a folder')}.zip").write_bytes(zip_of_marked_names(marks, case="in folder"))
    (below / marks.text("link in a folder")).symlink_to(marks.text("target of a link"))
    return top


def test_the_search_finds_names_where_they_are_kept(site: DataFolder, tmp_path: Path) -> None:
    marks = Marks()
    archive = write_marked(tmp_path / "brought", marks, "zip", zip_of_marked_names(marks))
    with by("keep"):
        printed, _ = run("import", archive, "--data", site.data, "--project", "P", "--create-project")
    assert {one.place for one in search_bytes(marks, printed, "")} >= {"archive of zip", "no image", "broken inner zip"}
    found = search_folder(marks, site.data)
    places = {re.sub(r"(?<=receipts/).*|(?<=^name )(\w+).*", r"\1", one.where) for one in found}
    assert places >= {"scandock.db", "upload.archive", "upload.report", "manifest.body", "receipts/", "name archive"}
    kept = {"comment", "extra field", "tar owner", "tar group", "pax", "link target"}
    assert {place for place in marks.places.values() if not any(word in place for word in kept)} - {
        *(one.place for one in found), "folder of zip", "lost image"
    } == set()  # fmt: skip


@pytest.mark.parametrize("level", ["drop", "hash"])
def test_imports_of_a_server_leave_no_name(site: DataFolder, tmp_path: Path, level: Level) -> None:
    marks = Marks()
    inbox = tmp_path / "inbox"
    settings = site.settings.model_copy(update={"inbox_folders": (str(inbox),)})
    with by(level), serve_in_process(site.data, settings) as web, web.client() as client:
        answers = [*_send_all(client, marks, inbox)]
        # before any import has begun: what came stands in the spools alone
        found = search_folder(marks, site.data, without={"incoming"})
        assert not found, explain(found)
        with InProcessWorker(site.data, settings):
            until(lambda: all(one["state"] in FINAL for one in _imports(client)), "imports do not end")
        assert {one["state"] for one in _imports(client)} == {"placed", "partly", "refused"}
        for one in _imports(client):
            api = f"/api/v1/imports/{one['id']}"
            answers += [client.get(address) for address in (api, f"{api}/receipt", f"/imports/{one['id']}")]
        answers += [client.get(address) for address in ("/api/v1/imports", "/activity", "/", "/projects/P")]
        answers += _look_and_delete(client)
        clean_inbox(web.site.catalog, web.site.store, settings.inbox_folders)
        assert not [path for path in inbox.rglob("*") if path.is_file()]
        found = search_bytes(marks, json.dumps(web.logged, default=str).encode(), "the log")
        for answer in answers:
            headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items()).encode()
            found += search_bytes(marks, headers + answer.content, f"answer to {answer.request.method}")
        assert not found, explain(found)
    found = search_folder(marks, site.data)
    assert not found, explain(found)


def _look_and_delete(client: httpx.Client) -> Iterator[httpx.Response]:
    """Look at pictures and pages of every session, then delete it."""
    sessions = client.get("/api/v1/sessions?project=P&limit=100").json()["items"]
    assert len(sessions) >= 4
    for session in sessions:
        one = f"/api/v1/sessions/{session['id']}"
        for address in (one, f"{one}/files", f"/projects/P/sessions/{session['label']}", f"{one}/scans"):
            yield client.get(address)
        for scan_of_session in client.get(f"{one}/scans").json()["items"]:
            yield client.get(f"{one}/scans/{scan_of_session['id']}/thumbnail")
        deleted = client.delete(one)
        assert deleted.status_code in (200, 202, 204), deleted.text
        yield deleted
    yield client.get("/api/v1/trash?project=P")


def _imports(client: httpx.Client) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get("/api/v1/imports?limit=100").json()["items"]
    return items


def _send_all(client: httpx.Client, marks: Marks, inbox: Path) -> Iterator[httpx.Response]:
    """Send archives by every door; their names, folders and mappings bear marks."""
    name = marks.text
    mapping = f"folder,project,session\n{name('mapping folder')},P,{'E7'}\n"
    body = zip_of_marked_names(marks, case="raw")
    yield client.post("/api/v1/imports", params={"project": "P", "filename": f"{name('raw')}.zip"}, content=body)
    disposition = {"Content-Disposition": f'attachment; filename="{name("disposition")}.tar.gz"'}
    yield client.post(
        "/api/v1/imports", params={"session": "E1"}, content=tar_of_marked_names(marks, "raw tar"), headers=disposition
    )
    files = {"file": (f"{name('multipart')}.zip", zip_of_marked_names(marks, case="multipart"))}
    yield client.post("/api/v1/imports", files=files, data={"project": "P", "mapping": mapping})
    for why, data in damaged_zips(marks).items():
        yield client.post("/api/v1/imports", params={"filename": f"{name(why)}.zip"}, content=data)
    yield from _send_by_tus(client, marks, mapping)
    body = zip_of_marked_names(marks, case="dialect")
    cached = f"/data/user/cache/resources/{name('cache resource')}/files/{name('cached file')}.zip"
    yield client.put(cached, content=body)
    assert client.get("/data/user/cache/resources").json()["ResultSet"]["Result"]
    assert client.get(cached).content == body
    source = cached.removeprefix("/data")
    submitted = client.post(
        "/data/services/import", params={"src": source, "dest": "/archive/projects/P", "http-session-listener": "key1"}
    )
    assert submitted.status_code == 200, submitted.text
    folder = inbox / "P" / name("inbox folder")
    (folder / name("inbox subfolder")).mkdir(parents=True)
    for path in (folder, folder / name("inbox subfolder"), folder):
        path.mkdir(exist_ok=True)
        (path / f"{name('inbox file')}.dcm").write_bytes(marked_image("inbox", number=len(marks.places)))
    begun = client.post(
        "/data/services/import",
        params={"import-handler": "inbox", "path": str(folder), "PROJECT_ID": "P", "EXPT_LABEL": "E9"},
    )
    assert begun.status_code == 200, begun.text
    until(lambda: client.get(begun.text.strip()).json()["status"] == "Queued", "the folder is not packed")


def _send_by_tus(client: httpx.Client, marks: Marks, mapping: str) -> Iterator[httpx.Response]:
    name = marks.text
    body = zip_of_marked_names(marks, case="tus")
    named = {"filename": f"{name('tus')}.zip", "project": "P", "fingerprint": name("fingerprint"), "mapping": mapping}
    metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in named.items())
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(body)), "Upload-Metadata": metadata}
    begun = client.post("/api/v1/uploads", headers=headers)
    yield begun
    (unfinished,) = client.get("/api/v1/uploads").json()["items"]
    assert (unfinished["filename"], unfinished["fingerprint"]) == (named["filename"], named["fingerprint"])
    address = begun.headers["location"]
    assert client.head(address, headers={"Tus-Resumable": "1.0.0"}).headers["upload-metadata"] == metadata
    yield client.put(f"{address}/mapping", content=mapping)
    yield client.patch(
        address,
        content=body,
        headers={
            "Tus-Resumable": "1.0.0",
            "Upload-Offset": "0",
            "Content-Type": "application/offset+octet-stream",
        },
    )


def test_files_have_numbers_where_names_are_dropped(site: DataFolder) -> None:
    marks = Marks()
    entries = {
        "S/scans/1/resources/DICOM/files/a.dcm": marked_image("files"),
        f"S/resources/{marks.text('resource folder')}/files/{marks.text('folder')}/{marks.text('note')}.txt": b"note",
        "S/scans/1/resources/NIFTI/files/brain.nii.gz": b"nifti",
        **marked_ecat(marks),
    }
    with by("drop"):
        first = site.bring(entries)
        again = site.bring(dict(reversed(entries.items())))
        exported = {
            path.relative_to(site.data / "archive").as_posix(): path.read_bytes()
            for path in sorted((site.data / "archive" / "P").rglob("*"))
            if path.is_file()
        }
        back = site.bring(exported)
    stored = {line["stored_as"].partition("/resources/")[2] for line in first.lines}
    assert stored >= {"MISC/files/2.txt", "NIFTI/files/3.nii.gz", "ECAT/files/4.v"}
    assert again.counts == back.counts == {"duplicate": 4}
    found = [one for one in search_folder(marks, site.data) if one.place != "original file name"]
    assert not found, explain(found)
    with site.catalog() as catalog, catalog.read() as connection:
        attributes = json.dumps([*connection.execute(select(scan.c.attributes)).scalars()])
    assert not marks.find(attributes.encode(), "what headers say of scans")


def test_the_same_names_are_hashed_alike(site: DataFolder) -> None:
    entries = {
        "S/scans/1/resources/DICOM/files/a.dcm": marked_image("files"),
        "S/resources/Notes of Anna/files/Anna/note.txt": b"note",
        "S/resources/Notes of Anna/files/note.txt": b"other",
    }
    with by("hash"):
        first = site.bring(entries)
        again = site.bring({**entries, "S/resources/Notes of Anna/files/note.txt": b"newer"}, overwrite="delete")
    paths = [line["path"].split("/") for line in first.lines]
    assert all(re.fullmatch(r"f-[0-9a-f]{8}(\.dcm|\.txt)?", piece) for path in paths for piece in path)
    assert paths[1][-1] == paths[2][-1] != paths[0][-1]
    (session,) = again.sessions
    assert [(one["name"], one["files"]) for one in session["resources"]] == [(paths[1][2], 2)]
    assert session["label"] == paths[0][0]
    assert again.counts == {"duplicate": 2, "resource": 1}


def test_a_mapping_finds_folders_whose_names_are_dropped(site: DataFolder, tmp_path: Path) -> None:
    marks = Marks()
    folder = marks.text("folder")
    table = tmp_path / f"{marks.text('mapping')}.csv"
    table.write_text(f"folder,session,subject\n{folder},E7,S7\n{marks.text('other folder')},E8,S8\n")
    with by("drop"):
        outcome = site.bring({f"{folder}/{marks.text('file')}.dcm": marked_image("mapped")}, mapping_path=str(table))
    assert (outcome.session["subject"], outcome.session["label"]) == ("S7", "E7")
    found = search_folder(marks, site.data) + search_bytes(marks, json.dumps(outcome.report).encode(), "report")
    assert not found, explain(found)


def test_rules_that_fail_name_entries_by_their_numbers(site: DataFolder) -> None:
    marks = Marks()
    script = 'version "6.1"\n(0008,0020) := shiftDateByIncrement[(0010,0010), 1]\n'
    rules = PrivacyRules(key=KEY, scripts=(script,), policy=Policy(names="drop"))
    entries = {f"{marks.text('folder')}/{marks.text('file')}.dcm": marked_image("fails")}
    with given_privacy(rules):
        outcome = site.bring(entries)
    assert (outcome.state, outcome.report["code"]) == ("refused", "deid_failed")
    assert outcome.codes() == {"#1.dcm": "refused deid_failed"}
    assert outcome.lines[0]["sha256"] is None
    found = search_folder(marks, site.data) + search_bytes(marks, json.dumps(outcome.report).encode(), "report")
    assert not found, explain(found)


def test_what_a_later_mapping_hides_leaves_no_trace(site: DataFolder) -> None:
    """The project of the upload keeps names; one that its mapping names, once it comes, does not."""
    marks = Marks()
    dropping = PrivacyRules(key=KEY, policy=Policy(names="drop"))
    metadata = base64.b64encode(f"{marks.text('tus')}.zip".encode()).decode()
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "9", "Upload-Metadata": f"filename {metadata},project UA=="}
    with given_privacy(projects={"Q": dropping}), serve_in_process(site.data) as web, web.client() as client:
        client.post("/api/v1/projects", json={"id": "Q"})
        upload = client.post("/api/v1/uploads", headers=headers).headers["location"]
        assert "tus" in {one.place for one in search_folder(marks, site.data)}
        mapping = f"folder,project\n{marks.text('folder')},Q\n"
        assert client.put(f"{upload}/mapping", content=mapping).status_code == 204
        found = search_folder(marks, site.data)
        assert not found, explain(found)
        assert [one["archive"] for one in _imports(client)] == ["#1"]


def test_the_archive_of_a_failed_import_goes_after_some_hours(
    site: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = Marks()
    mapping = f"folder,project,session\n{marks.text('mapping')},P,E1\n"
    with by("drop"), serve_in_process(site.data) as web, web.client() as client:
        sent = client.post(
            "/api/v1/imports",
            files={"file": (f"{marks.text('name')}.zip", zip_of_marked_names(marks))},
            data={"project": "P", "mapping": mapping},
        )
        one = f"/api/v1/imports/{sent.json()['id']}"
        with monkeypatch.context() as patch:
            patch.setattr("scandock.workers.attempt.UploadRun._read", _broken)
            with InProcessWorker(site.data):
                until(lambda: client.get(one).json()["state"] == "failed", "it does not fail")
        assert len(web.spools()) == 1
        # it can be tried again, by the mapping that came with it
        assert client.post(f"{one}/retry").status_code == 202
        with InProcessWorker(site.data):
            until(lambda: client.get(one).json()["state"] == "partly", "it does not end")
        again = client.post("/api/v1/imports", params={"project": "P"}, content=b"x" * 999).json()["id"]
        with monkeypatch.context() as patch:
            patch.setattr("scandock.workers.attempt.UploadRun._read", _broken)
            with InProcessWorker(site.data):
                until(lambda: client.get(f"/api/v1/imports/{again}").json()["state"] == "failed", "it does not fail")
        assert FAILED_ORIGINALS.run(web.site) == 0
        _set_door(web.site.catalog, again, "dimse")  # its sender was told that it is kept
        assert remove_failed_originals(web.site, -60_000) == 0
        assert len(web.spools()) == 1
        _set_door(web.site.catalog, again, "raw")
        until(lambda: remove_failed_originals(web.site, 0) == 1, "it is not old enough")
        assert web.spools() == []
        refused = client.post(f"/api/v1/imports/{again}/retry")
        assert (refused.status_code, refused.json()["code"]) == (409, "archive_removed")
        assert client.get(f"/imports/{again}").status_code == 200
    found = search_folder(marks, site.data)
    assert not found, explain(found)


def _set_door(catalog: Catalog, uuid: str, door: str) -> None:
    with catalog.write() as connection:
        connection.execute(
            update(reception)
            .where(reception.c.upload_id.in_(select(upload.c.id).where(upload.c.uuid == uuid)))
            .values(door=door)
        )


def _broken(*_: object) -> NoReturn:
    raise ZeroDivisionError


def test_an_upload_sealed_with_another_key_fails(site: DataFolder) -> None:
    with serve_in_process(site.data) as web, web.client() as client:
        with by("drop"):
            sent = client.post(
                "/api/v1/imports",
                files={"file": ("a.zip", b"never read")},
                data={"project": "P", "mapping": "folder,session\nx,E1\n"},
            )
        one = f"/api/v1/imports/{sent.json()['id']}"
        other = PrivacyRules(key=bytes(32), policy=Policy(names="drop"))
        with given_privacy(other), InProcessWorker(site.data):
            until(lambda: client.get(one).json()["state"] == "failed", "it does not fail")
        assert client.get(one).json()["code"] == "seal_unreadable"
        assert len(web.spools()) == 1


def test_a_key_finds_an_upload_whose_name_is_hidden(site: DataFolder) -> None:
    """What comes again for an idempotency key is compared with what is left of it, also once its import has ended."""
    body = zip_of_marked_names(Marks())
    asked: dict[str, Any] = {
        "files": {"file": ("a.zip", body)},
        "data": {"project": "P", "mapping": "folder,session\nx,E1\n"},
        "headers": {"Idempotency-Key": "k1"},
    }
    with by("drop"), serve_in_process(site.data) as web, web.client() as client:
        first = client.post("/api/v1/imports", **asked).json()["id"]
        assert client.post("/api/v1/imports", **asked).json()["id"] == first
        with InProcessWorker(site.data):
            until(lambda: client.get(f"/api/v1/imports/{first}").json()["state"] == "partly", "it does not end")
        assert client.post("/api/v1/imports", **asked).json()["id"] == first
        other = {**asked, "files": {"file": ("a.zip", body[:-1] + b"?")}}
        assert client.post("/api/v1/imports", **other).json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize("level", ["hash", "drop"])
def test_an_idempotency_key_is_kept_as_a_keyed_hash(site: DataFolder, level: Level) -> None:
    """Scripts take the archive's name for it, or the patient's."""
    marks = Marks()
    asked: dict[str, Any] = {
        "content": zip_entries({"a.dcm": marked_image("keyed")}),
        "params": {"project": "P", "filename": "a.zip"},
        "headers": {"Idempotency-Key": marks.text("key")},
    }
    with by(level), serve_in_process(site.data) as web, web.client() as client:
        first = client.post("/api/v1/imports", **asked).json()["id"]
        assert client.post("/api/v1/imports", **asked).json()["id"] == first
    found = search_folder(marks, site.data)
    assert not found, explain(found)


def test_the_dialect_gives_files_no_names_of_the_archive(site: DataFolder) -> None:
    marks = Marks()
    entries = {f"{marks.text('folder')}/{marks.text('file')}.dcm": marked_image("dialect")}
    with by("drop"), serve_in_process(site.data) as web, web.client() as client, InProcessWorker(site.data):
        answer = client.post(
            "/data/services/import?rename=false&dest=/archive/projects/P/subjects/S/experiments/E",
            content=zip_entries(entries),
        )
        assert answer.status_code == 200, answer.text
        (one,) = _imports(client)
        (session,) = client.get(f"/api/v1/imports/{one['id']}").json()["sessions"]
    assert "names_not_kept" in {warning["code"] for warning in session["warnings"]}
    (path,) = [path for path in (site.data / "archive").rglob("*") if path.is_file()]
    assert re.fullmatch(r"[0-9.]+\.dcm", path.name)
    found = search_folder(marks, site.data)
    assert not found, explain(found)


def test_an_error_that_nobody_foresaw_quotes_nothing(
    site: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = Marks()
    archive = write_marked(tmp_path / "brought", marks, "zip", zip_of_marked_names(marks))

    def fail(*_: object) -> NoReturn:
        try:
            raise KeyError(str(archive))
        except KeyError as error:
            raise ValueError(f"no such thing in {archive}") from error

    monkeypatch.setattr("scandock.pipeline.flow.decide_import", fail)
    with by("drop"):
        printed, code = run(
            "import", archive, "--data", site.data, "--project", "P", "--create-project", TMPDIR=str(tmp_path)
        )
    assert code == 1
    (told,) = tmp_path.glob("scandock-error-*")
    assert "ValueError" in told.read_text()
    assert "KeyError" in told.read_text()
    found = search_bytes(marks, printed + told.read_bytes(), "told")
    found += search_folder(marks, site.data)
    assert not found, explain(found)


def test_the_command_upload_prints_what_the_server_calls_an_archive(site: DataFolder, tmp_path: Path) -> None:
    marks = Marks()
    archive = write_marked(tmp_path / "brought", marks, "zip", zip_of_marked_names(marks))
    folder = tmp_path / "brought" / marks.text("uploaded folder")
    folder.mkdir()
    (folder / f"{marks.text('uploaded file')}.dcm").write_bytes(marked_image("uploaded"))
    receipt = tmp_path / "receipt.jsonl"
    with by("drop"), serve_by_socket(site.data) as web, InProcessWorker(site.data):
        words = ("--url", web.base, "--user", "admin", "--project", "P", "--receipt", receipt)
        printed = b""
        for brought in (archive, folder):
            text, code = run("upload", brought, *words, SCANDOCK_PASSWORD=PASSWORD)
            assert code in (0, 3), text
            printed += text + receipt.read_bytes()
    assert b"#1 partly placed" in printed
    found = search_bytes(marks, printed, "printed") + search_folder(marks, site.data)
    assert not found, explain(found)


def test_archives_that_readers_share_have_numbers(
    site: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inner archives too large for memory are staged, and their entries spread over the readers."""
    monkeypatch.setattr("scandock.pipeline.unpacker.SPLIT_BYTES", 100)
    monkeypatch.setattr("scandock.pipeline.unpacker.WHOLE", 100)
    marks = Marks()
    archive = write_marked(tmp_path / "brought", marks, "zip", zip_of_marked_names(marks))
    receipt = tmp_path / "receipt.jsonl"
    with by("drop"):
        printed, code = run(
            "import", archive, "--data", site.data, "--project", "P", "--create-project", "--receipt", receipt
        )
    assert code == 3, printed.decode()
    assert "#12!#1.dcm" in {json.loads(line)["path"] for line in receipt.read_text().splitlines()}
    found = search_bytes(marks, printed + receipt.read_bytes(), "printed") + search_folder(marks, site.data)
    assert not found, explain(found)


@pytest.mark.parametrize("limit", ["MAX_ENTRIES=3", "MAX_ENTRY_BYTES=600", "MAX_UNPACKED_BYTES=1000", "MAX_DEPTH=1"])
def test_what_is_over_a_limit_is_named_by_its_number(site: DataFolder, tmp_path: Path, limit: str) -> None:
    marks = Marks()
    archive = write_marked(tmp_path / "brought", marks, "zip", zip_of_marked_names(marks))
    name, value = limit.split("=")
    with by("drop"):
        printed, code = run(
            "import", archive, "--data", site.data, "--project", "P", "--create-project", **{f"SCANDOCK_{name}": value}
        )
    assert code in (3, 4), printed.decode()
    assert ("'#" in printed.decode()) == (name in {"MAX_ENTRY_BYTES", "MAX_DEPTH"}), printed.decode()
    found = search_bytes(marks, printed, "printed") + search_folder(marks, site.data)
    assert not found, explain(found)


@pytest.mark.parametrize("fails", [False, True], ids=["profile", "failing script"])
def test_the_strictest_policy_leaves_no_mark_of_headers_and_names(
    site: DataFolder, tmp_path: Path, *, fails: bool
) -> None:
    """Everything dropped and the profile on, labels named by the request: marks in every element and every name."""
    marks = Marks(salt="QZKV7WXJ3")
    scripts = ('version "6.1"\n(0008,0020) := shiftDateByIncrement[(0010,0010), 1]\n',) if fails else ()
    rules = PrivacyRules(key=KEY, profile="basic", scripts=scripts, policy=Policy("drop", "drop", "drop"))
    name = marks.text
    entries = {
        f"{name('folder')}/{name('image')}.dcm": dicom_object(marks),
        f"{name('folder')}/{name('note')}.txt": name("content of a note").encode(),
        f"{name('folder')}/{name('no image')}.dcm": name("content of no image").encode(),
    }
    archive = write_marked(tmp_path / "brought", marks, "zip", zip_entries(entries))
    receipt = tmp_path / "receipt.jsonl"
    words = ("--project", "P", "--create-project", "--subject", "S", "--session", "E", "--receipt", receipt)
    found = []
    with given_privacy(rules):
        for code in (4, 4) if fails else (0, 0):
            printed, ended = run("import", archive, "--data", site.data, *words)
            assert ended == code, printed.decode()
            found += search_bytes(marks, printed + receipt.read_bytes(), "printed")
    lines = [json.loads(line) for line in receipt.read_text().splitlines()]
    assert all(line["sha256"] is None and len(line["origin"]) == 32 for line in lines)
    found += search_folder(marks, site.data)
    assert not found, explain(found)
