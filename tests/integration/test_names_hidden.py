"""Names of archives, folders and files stand nowhere once an import has ended into a project that drops or hashes them.

A search of all bytes that DATA, output and logs have, in whatever spelling (`tests.byte_search`).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scandock.model.verdicts import FINAL
from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Level, Policy
from scandock.testing.privacy import given_privacy
from scandock.testing.worker import InProcessWorker
from scandock.web.xnat.services.cleaning import clean_inbox
from tests.builders import DataFolder, make_data_folder
from tests.byte_search import Marks, explain, search_bytes, search_folder
from tests.crash.processes import until
from tests.integration.in_process import call_in_process
from tests.integration.web import serve_in_process
from tests.marked_archives import (
    damaged_zips,
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
            assert all(re.fullmatch(r"#[1-7]|f-[0-9a-f]{8}(\.zip|\.tar\.gz)", name) for name in shown)
    found = search_folder(marks, site.data)
    assert not found, explain(found)


def test_the_search_finds_names_where_they_are_kept(site: DataFolder, tmp_path: Path) -> None:
    marks = Marks()
    archive = write_marked(tmp_path / "brought", marks, "zip", zip_of_marked_names(marks))
    with by("keep"):
        printed, _ = run("import", archive, "--data", site.data, "--project", "P", "--create-project")
    assert {one.place for one in search_bytes(marks, printed, "")} >= {"archive of zip", "no image", "broken inner zip"}
    found = search_folder(marks, site.data)
    places = {re.sub(r"(?<=receipts/).*|(?<=^name )(\w+).*", r"\1", one.where) for one in found}
    assert places >= {"scandock.db", "upload.archive", "upload.report", "file.name", "receipts/", "name archive"}
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
        clean_inbox(web.site.catalog, web.site.store, settings.inbox_folders)
        assert not [path for path in inbox.rglob("*") if path.is_file()]
        found = search_bytes(marks, json.dumps(web.logged, default=str).encode(), "the log")
        for answer in answers:
            headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items()).encode()
            found += search_bytes(marks, headers + answer.content, f"answer to {answer.request.method}")
        assert not found, explain(found)
    found = search_folder(marks, site.data)
    assert not found, explain(found)


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
