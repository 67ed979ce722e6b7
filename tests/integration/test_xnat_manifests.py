"""Manifests of downloads: what the Desktop Client makes of one, by pages and by REST, for who may read what it names.

`download` does as the client does (its `home.js` and `_download.js`): it takes a document's entries by their names, and
each entry's zip into the folder of that name.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from sqlalchemy import func, insert, select, update

from scandock.access.principal import SYSTEM, AccessDenied, Principal
from scandock.catalog.engine import open_catalog
from scandock.catalog.server_tables import download_manifest
from scandock.catalog.tables import resource, session
from scandock.model.errors import Usage
from scandock.services.cleaning.registry import MANIFESTS, MANIFESTS_KEPT_MS
from scandock.services.manifests import (
    MAX_BYTES,
    MAX_MANIFESTS,
    Listed,
    ManifestRequest,
    Selection,
    build_parts,
    find_manifest,
    read_project_rows,
    read_sessions_rows,
    store_manifest,
)
from scandock.testing.server import add_account
from tests.builders import DataFolder, images, uploader_layout
from tests.integration.many_rows import seed, seed_scans
from tests.integration.test_browsing import ask, counted
from tests.integration.web import Web, serve_in_process

DOWNLOAD = "/xapi/archive/download"
T1 = {0x0008103E: (b"LO", b"T1 (fast)")}
NOTES = {"E1/resources/NOTES/files/a/note.txt": b"note", "E1/resources/MORE/files/more.txt": b"more"}


@pytest.fixture(scope="module")
def web(shared_site: DataFolder) -> Iterator[Web]:
    """Two sessions of P, of which one has resources of its own, and one of the same label in Q."""
    with serve_in_process(shared_site.data) as running:
        first = {**uploader_layout("E1", "1", images(2, series_number=b"1", also=T1))}
        first |= uploader_layout("E1", "2", images(1, series=2, series_number=b"2"))
        shared_site.bring({**first, **NOTES}, subject="Ann", session="E1")
        shared_site.bring(
            uploader_layout("E2", "1", images(1, study=2, series_number=b"1", also=T1)), subject="Bob", session="E2"
        )
        shared_site.bring(
            uploader_layout("E1", "1", images(1, study=3, series_number=b"1", also=T1)),
            project="Q",
            subject="Cy",
            session="E1",
        )
        running.account("ann", P="collaborator")
        running.account("stranger")
        yield running


def lower(element: ET.Element) -> tuple[str, dict[str, str], list[Any]]:
    """An element as the client's parser gives it: without its prefix, in lower case."""
    return element.tag.rpartition("}")[2].lower(), element.attrib, [lower(one) for one in element]


def below(element: tuple[str, dict[str, str], list[Any]], *names: str) -> list[Any]:
    """The elements that stand below one by these names, the first of each but the last."""
    for name in names[:-1]:
        element = next(one for one in element[2] if one[0] == name)
    return [one for one in element[2] if one[0] == names[-1]]


def entries_of(document: bytes) -> dict[str, dict[str, str]]:
    """By session: the addresses of its entries, by their names. A name that comes twice is one the client forgets."""
    root = lower(ET.fromstring(document))
    assert root[0] == "catalog"
    every: set[str] = set()
    found = {}
    for part in below(root, "sets", "entryset"):
        entries = [
            one[1]
            for kind in (below(part, "sets", "entryset") if below(part, "sets") else ())
            for one in below(kind, "entries", "entry")
        ]
        found[part[1]["ID"]] = {one["name"]: one["URI"] for one in entries}
        names = {one["name"].casefold() for one in entries}
        assert len(names) == len(entries)
        assert not every & names
        every |= names
    return found


def download(client: httpx.Client, document: bytes, to: Path) -> dict[str, str]:
    """What the client writes: paths, each with its SHA-256."""
    for entries in entries_of(document).values():
        for name, uri in entries.items():
            assert re.fullmatch(r"/archive/[!-~]+", uri), uri
            answer = client.get(re.sub("^/archive/", "/data/", uri) + "?format=zip")
            assert answer.status_code == 200, (uri, answer.text)
            with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
                for member in packed.namelist():
                    path = PurePosixPath(member)
                    within = path.parent.as_posix().partition("/files/")[2]
                    where = to / name / within / path.name
                    where.parent.mkdir(parents=True, exist_ok=True)
                    assert not where.exists()
                    where.write_bytes(packed.read(member))
    return {
        one.relative_to(to).as_posix(): hashlib.sha256(one.read_bytes()).hexdigest()
        for one in to.rglob("*")
        if one.is_file()
    }


def stored(shared_site: DataFolder, *sessions: str) -> list[str]:
    return sorted(digest for one in sessions for digest in shared_site.files(f"archive/{one}").values())


def ids(client: httpx.Client) -> dict[str, str]:
    """By project and label."""
    rows = client.get("/data/experiments?columns=ID,label,project").json()["ResultSet"]["Result"]
    return {f"{one['project']}/{one['label']}": one["ID"] for one in rows}


def asked(client: httpx.Client, *sessions: str, **more: Any) -> dict[str, Any]:
    """As the original's page and scripts ask."""
    known = ids(client)
    return {
        "sessions": [f"{one.partition('/')[0]}:S:{one.partition('/')[2]}:{known[one]}" for one in sessions],
        "projectIds": sorted({one.partition("/")[0] for one in sessions}),
        **more,
    }


# -- by pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "sessions"), [("/projects/P/sessions/E1/manifest", ["P/E1"]), ("/projects/P/manifest", ["P/E1", "P/E2"])]
)
def test_the_client_downloads_what_a_manifest_of_a_page_names(
    shared_site: DataFolder, client: httpx.Client, tmp_path: Path, where: str, sessions: list[str]
) -> None:
    answer = client.get(where)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert answer.headers["content-disposition"] == f'attachment; filename="{where.split("/")[-2]}.xml"'
    assert list(entries_of(answer.content)) == [ids(client)[one] for one in sessions]
    written = download(client, answer.content, tmp_path)
    assert sorted(written.values()) == stored(shared_site, *sessions)
    names = {path.rpartition("/")[0] for path in written}
    assert {"E1/scans/1-T1_fast/resources/DICOM", "E1/resources/NOTES/a", "E1/resources/MORE"} <= names


@pytest.mark.parametrize("page", ["/projects/P", "/projects/P/sessions/E1"])
def test_a_page_has_the_button(client: httpx.Client, page: str) -> None:
    (found,) = re.findall(r'<a class="button" href="([^"]+)"[^>]*>Download manifest</a>', client.get(page).text)
    assert found == f"{page}/manifest"


def test_there_is_no_manifest_of_nothing(web: Web, client: httpx.Client) -> None:
    assert client.post("/api/v1/projects", json={"id": "Empty"}).status_code in (201, 409)
    for where in ("/projects/Empty/manifest", "/projects/P/sessions/None/manifest", "/projects/None/manifest"):
        assert client.get(where).status_code == 404, where
    assert "manifest" not in client.get("/projects/Empty").text


# -- by REST -----------------------------------------------------------------------------------------------------------


def test_a_script_is_told_the_size_and_fetches_the_zip(shared_site: DataFolder, client: httpx.Client) -> None:
    said = asked(
        client, "P/E1", scan_formats=["DICOM"], scan_types=["T1 (fast)"], resources=["NOTES"], options=["simplified"]
    )
    answer = client.post(f"{DOWNLOAD}withsize", json=said)
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert re.fullmatch(r"admin-\d{8}_\d{9}", made["id"])
    zipped = client.get(f"{DOWNLOAD}/{made['id']}/zip")
    assert zipped.headers["content-disposition"] == f'attachment; filename="{made["id"]}.zip"'
    with zipfile.ZipFile(io.BytesIO(zipped.content)) as packed:
        sizes = {one.filename: one.file_size for one in packed.infolist()}
    assert (sum(sizes.values()), made["resourcesOfUnknownSize"]) == (int(made["size"]), "0")
    assert sorted(PurePosixPath(one).parent.as_posix() for one in sizes) == ["E1/1/DICOM", "E1/1/DICOM", "E1/NOTES/a"]


def test_the_zip_has_the_folders_of_the_manifest(client: httpx.Client, tmp_path: Path) -> None:
    """Also of two sessions of one label; each option changes both alike."""
    for options, first in (
        ([], "E1/scans/1-T1_fast"), (["simplified"], "E1/1"), (["subjectIncludedInPath"], "Ann/E1/scans/1-T1_fast"),
        (["projectIncludedInPath", "simplified", "none of these"], "P/Ann/E1/1"),
    ):  # fmt: skip
        name = client.post(DOWNLOAD, json=asked(client, "P/E1", "Q/E1", options=options)).text
        document = client.get(f"{DOWNLOAD}/{name}/xml").content
        written = download(client, document, tmp_path / "_".join(options))
        with zipfile.ZipFile(io.BytesIO(client.get(f"{DOWNLOAD}/{name}/zip").content)) as packed:
            members = {
                one.replace("/files/", "/"): hashlib.sha256(packed.read(one)).hexdigest() for one in packed.namelist()
            }
        assert members == written, options
        assert any(one.startswith(f"{first}/") for one in written), options


def test_what_is_not_chosen_is_not_there(client: httpx.Client) -> None:
    def names(**lists: Any) -> list[str]:
        made = client.post(f"{DOWNLOAD}withsize", json=asked(client, "P/E1", **lists)).json()
        plain, saved = (client.get(f"{DOWNLOAD}/{made['id']}{end}") for end in ("", "/xml"))
        assert (plain.content, plain.headers.get("content-disposition")) == (saved.content, None)
        assert saved.headers["content-disposition"].endswith(f'"{made["id"]}.xml"')
        found = [name for entries in entries_of(saved.content).values() for name in entries]
        assert (made["size"] == "0") == (not found)
        return [name.removeprefix("E1/") for name in found]

    every = ["scans/1-T1_fast/resources/DICOM", "scans/2-unknown/resources/DICOM", "resources/NOTES", "resources/MORE"]
    scans = {"scan_formats": ["DICOM"], "scan_types": ["T1 (fast)"]}
    assert sorted(names()) == sorted(every)
    assert names(**scans) == every[:1]
    assert names(**scans, resources=["MORE"]) == [every[0], every[3]]
    assert names(resources=["NOTES"], scan_formats=["DICOM"]) == [every[2]], "of scans both are named, or none"
    assert names(scan_types=["T1 (fast)"]) == []
    assert names(scan_formats=["SNAPSHOTS"], scan_types=["T1 (fast)"]) == []
    assert names(scan_formats=["DICOM"], scan_types=[None]) == names(scan_formats=["DICOM"], scan_types=["NULL"])


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({}, "names no sessions"),
        ({"sessions": []}, "names no sessions"),
        ({"sessions": ["P:S:E1"]}, "names no session"),
        ({"sessions": ["E1"]}, "names no session"),
        ({"sessions": "E1"}, "sessions is not what it should be"),
        ([1], "The body is not what it should be"),
        ({"sessions": [7]}, "sessions.0 is not what it should be"),
        ({str(n): n for n in range(1_001)}, "more than 1,000 members"),
        ({"sessions": [f"XNAT_E{n:05}" for n in range(2_001)]}, "At most 2000"),
    ],
)
def test_what_names_no_session_is_refused(client: httpx.Client, body: Any, refused: str) -> None:
    answer = client.post(f"{DOWNLOAD}withsize", json=body)
    assert (answer.status_code, refused in answer.text) == (400, True), answer.text


def test_a_body_is_json_whatever_it_calls_itself(client: httpx.Client) -> None:
    for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain", ""):
        said = {"content-type": kind} if kind else {}
        assert client.post(DOWNLOAD, content=b'{"sessions": ["XNAT_E00001"]}', headers=said).status_code == 200, kind
        for body in (b"", b"{", b"\xff", b"[" * 100_000, b"sessions=XNAT_E00001"):
            answer = client.post(DOWNLOAD, content=body, headers=said)
            assert (answer.status_code, answer.text[:20]) == (400, "The body is no JSON:"), (kind, body[:9])


def test_a_session_of_another_project_than_the_one_that_is_named_is_none(client: httpx.Client) -> None:
    number = ids(client)["Q/E1"]
    assert client.post(DOWNLOAD, json={"sessions": [number]}).status_code == 200
    assert client.post(DOWNLOAD, json={"sessions": [f"P:S:E1:{number}"]}).status_code == 404
    assert client.post(DOWNLOAD, json={"sessions": ["XNAT_E99999"]}).status_code == 404
    assert client.post(DOWNLOAD, json={"sessions": [number], "projectId": "None"}).status_code == 404


# -- for whom ----------------------------------------------------------------------------------------------------------


def test_who_may_not_read_a_session_gets_no_manifest_of_it(web: Web, client: httpx.Client) -> None:
    both, first = (asked(client, *names) for names in (["P/E1", "Q/E1"], ["P/E1"]))
    with web.client("ann") as ann, web.client("stranger") as stranger, web.client(None) as nobody:
        assert ann.post(DOWNLOAD, json=both).status_code == 404
        assert stranger.post(DOWNLOAD, json=first).status_code == 404
        assert nobody.post(DOWNLOAD, json=first).status_code == 401
        name = ann.post(DOWNLOAD, json=first).text
        for end in ("", "/xml", "/zip"):
            where = f"{DOWNLOAD}/{name}{end}"
            assert ann.get(where).status_code == 200, end
            unknown = client.get(f"{DOWNLOAD}/admin-20260101_000000000{end}")
            hidden = client.get(where)
            assert (hidden.status_code, hidden.text) == (unknown.status_code, unknown.text) == (404, unknown.text)
            assert nobody.get(where).status_code == 401
        assert client.delete("/data/projects/P/users/Collaborators/ann").status_code == 200
        try:
            for end in ("", "/xml", "/zip"):
                assert ann.get(f"{DOWNLOAD}/{name}{end}").status_code == 404, "the right is asked for anew"
        finally:
            assert client.put("/data/projects/P/users/Collaborators/ann").status_code == 200


# -- in the catalog ----------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_many_sessions_are_one_statement_and_in_their_order(database_url: str) -> None:
    catalog = open_catalog(database_url)
    try:
        seed(catalog, 40)
        seed_scans(catalog, 2)
        with catalog.write() as connection:
            trees = connection.execute(select(session.c.tree_id)).scalars().all()
            row = {"label": "DICOM", "content": "RAW", "format": "DICOM", "bytes": 5}
            connection.execute(
                insert(resource),
                [{**row, "tree_id": one, "n": n, "scan_n": n, "files": 1 - n} for one in trees for n in (0, 1)],
            )
        with counted(catalog) as said:
            parts = ask(
                catalog, lambda c: list(build_parts(read_project_rows(c, SYSTEM, "p"), Selection(everything=True)))
            )  # fmt: skip
        assert len([one for one in said if "resource" in one]) == 1
        assert [one.label for one in parts] == [f"Sess_{n:05}" for n in range(40)]
        assert {tuple(entry.folder for entry in one.scans) for one in parts[:1]} == {
            ("Sess_00000/scans/1-T0/resources/DICOM",)
        }, "a resource without files is left out"
        assert all(len(one.scans) == 1 and not one.own for one in parts)
        some = ask(
            catalog, lambda c: list(build_parts(read_sessions_rows(c, [parts[3].uuid]), Selection(everything=True)))
        )
        assert [one.id for one in some] == [parts[3].id]
    finally:
        catalog.dispose()


def test_names_that_differ_by_case_alone_get_folders_of_their_own() -> None:
    """Else the client would write the files of one among those of the other."""
    first = Listed("u", "E", "S", "P", 1, "a", "", "DICOM", 1)
    rows = [
        first,
        first._replace(scan_id="A"),
        first._replace(project="Q", uuid="v", number=2, resource="ALL"),
    ]
    folders = [entry for part in build_parts(rows, Selection(everything=True)) for entry in part.scans]
    assert [one.folder for one in folders] == [
        "E/scans/a/resources/DICOM", "E/scans/A/resources/DICOM_2", "E_Q/scans/a/resources/ALL"
    ]  # fmt: skip
    assert re.fullmatch(r"/archive/experiments/XNAT_E00002/scans/a/resources/\d+/files", folders[2].uri)


@pytest.mark.postgresql
def test_the_newest_of_an_account_are_kept_so_many_and_so_large(database_url: str) -> None:
    catalog = open_catalog(database_url)
    try:
        me, other = (replace(SYSTEM, account_id=add_account(catalog, name, ""), name=name) for name in ("me", "other"))

        def missing(who: Principal, name: str) -> bool:
            with pytest.raises(AccessDenied):
                ask(catalog, lambda c: find_manifest(c, who, name))
            return True

        some = Selection(scan_types=frozenset({"", "T1"}), scan_formats=frozenset({"DICOM"}), resources=frozenset("N"))
        choice = ManifestRequest(sessions=("XNAT_E00001", "XNAT_E00002"), selection=some, options=("simplified",))
        theirs = store_manifest(catalog, other, choice)
        names = [store_manifest(catalog, me, choice) for _ in range(MAX_MANIFESTS + 1)]
        assert len(set(names)) == MAX_MANIFESTS + 1
        assert re.fullmatch(r"me-\d{8}_\d{9}", names[0])
        assert missing(me, names[0])
        assert missing(other, names[1])
        assert ask(catalog, lambda c: find_manifest(c, me, names[1])) == choice
        large = replace(choice, sessions=("XNAT_E00001",) * (MAX_BYTES // 32))
        kept = [store_manifest(catalog, me, large) for _ in range(2)]
        assert ask(catalog, lambda c: find_manifest(c, me, kept[0])) == large
        kept.append(store_manifest(catalog, me, large))
        assert missing(me, kept[0])
        assert missing(me, names[-1])
        with pytest.raises(Usage, match="At most"):
            store_manifest(catalog, me, replace(choice, sessions=("XNAT_E00001",) * (MAX_BYTES // 10)))
        assert ask(catalog, lambda c: find_manifest(c, me, kept[2])) == large
        assert ask(catalog, lambda c: find_manifest(c, other, theirs)) == choice
        old = update(download_manifest).where(download_manifest.c.name == theirs)
        only_rows: Any = SimpleNamespace(catalog=catalog)
        with catalog.write() as connection:
            connection.execute(old.values(created=download_manifest.c.created - MANIFESTS_KEPT_MS - 1_000))
        assert MANIFESTS.run(only_rows) == 1
        assert missing(other, theirs)
        assert ask(catalog, lambda c: c.execute(select(func.count()).select_from(download_manifest)).scalar_one()) == 2
    finally:
        catalog.dispose()


def test_a_manifest_is_known_to_every_web_process_and_after_a_restart(
    shared_site: DataFolder, web: Web, client: httpx.Client
) -> None:
    name = client.post(DOWNLOAD, json=asked(client, "P/E1")).text
    before = [client.get(f"{DOWNLOAD}/{name}{end}").content for end in ("", "/xml")]
    with serve_in_process(shared_site.data) as another, another.client() as elsewhere:
        assert [elsewhere.get(f"{DOWNLOAD}/{name}{end}").content for end in ("", "/xml")] == before
        with zipfile.ZipFile(io.BytesIO(elsewhere.get(f"{DOWNLOAD}/{name}/zip").content)) as packed:
            assert packed.namelist()
        again = elsewhere.post(DOWNLOAD, json=asked(elsewhere, "P/E2")).text
        assert client.get(f"{DOWNLOAD}/{again}").status_code == 200
        with another.client("ann") as ann:
            assert ann.get(f"{DOWNLOAD}/{name}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        '{"sessions": ["P\\ud800:S:L:XNAT_E00001"]}',
        '{"sessions": ["XNAT_E00001"], "projectIds": ["\\ud800"]}',
        '{"sessions": ["XNAT_E00001"], "scan_types": ["\\udfff"]}',
        '{"\\ud800": 1, "sessions": ["XNAT_E00001"]}',
    ],
)
def test_half_a_character_is_refused_as_such(client: httpx.Client, body: str) -> None:
    answer = client.post(DOWNLOAD, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, "half a character" in answer.text) == (400, True), answer.text


def test_a_simplified_folder_lies_in_no_other_one() -> None:
    """A session's own resource that is called as a scan is: in a zip two files would have one name."""
    named = ((None, "1"), ("1", "DICOM"), (None, "1_2"), (None, "x"), ("1_3", "DICOM"))
    rows = [Listed("u", "E", "S", "P", 1, scan, None, label, 1) for scan, label in named]
    (part,) = build_parts(rows, Selection(everything=True), ["simplified"])
    assert list(part.names.values()) == ["E/1_2", "E/1/DICOM", "E/1_2_2", "E/x", "E/1_3/DICOM"]
