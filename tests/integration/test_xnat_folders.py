"""Folders in resources, in XNAT's dialect: listed, with and without what is below, had as a zip, taken out."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import httpx
import pytest

from scandock.services.consistency_check import check_data
from tests.builders import DataFolder, make_data_folder
from tests.integration.web import Web, serve_in_process

pytestmark = pytest.mark.long

SESSION = "/data/projects/P/subjects/S1/experiments/E1"
HOLDERS = ("/data/projects/P", f"{SESSION}/scans/1")
BELOW = ("sub/2.txt", "sub/folder/3.txt", "sub/folder/4.txt")
FILES = ("1.txt", *BELOW, "SUB/5.txt", "subs/6.txt", "su_/7.txt", "s%/8.txt")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Web, httpx.Client]]:
    with pytest.MonkeyPatch.context() as patch:
        site: DataFolder = make_data_folder(tmp_path_factory.mktemp("folders"), patch)
        with serve_in_process(site.data, site.settings) as web, web.client() as client:
            client.put(SESSION, params={"xsiType": "xnat:mrSessionData"}).raise_for_status()
            client.put(f"{SESSION}/scans/1", params={"xsiType": "xnat:mrScanData"}).raise_for_status()
            yield web, client
        assert check_data(str(site.data), site.settings) == []


@pytest.fixture(params=HOLDERS, ids=("project", "scan"))
def resource(request: pytest.FixtureRequest, served: tuple[Web, httpx.Client]) -> str:
    """A resource with files in folders; whose it is goes by the holder, its label by the test."""
    where = f"{request.param}/resources/{request.node.originalname}"
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as packed:
        for name in FILES:
            packed.writestr(name, name)
    answer = served[1].put(f"{where}/files/all.zip", content=raw.getvalue(), params={"extract": "true"})
    assert answer.status_code == 200, answer.text
    return where


def names(client: httpx.Client, where: str, **asked: str) -> list[str]:
    """Where the files of a listing stand in their resource."""
    answer = client.get(where, params=asked)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), answer.text
    return [one["URI"].partition("/files/")[2] for one in answer.json()["ResultSet"]["Result"]]


def members(client: httpx.Client, where: str, **asked: str) -> list[str]:
    answer = client.get(where, params={"format": "zip", **asked})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip"), answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert all(packed.read(name).decode() == name.partition("/files/")[2] for name in packed.namelist())
        return [name.partition("/files/")[2] for name in packed.namelist()]


def test_a_folder_is_listed_with_all_below_or_without(served: tuple[Web, httpx.Client], resource: str) -> None:
    client, below = served[1], list(BELOW)
    files = f"{resource}/files"
    assert names(client, f"{files}/sub/") == names(client, f"{files}/sub") == below
    assert names(client, f"{files}/sub/", recursive="false") == below[:1]
    assert names(client, f"{files}/sub/", recursive="true") == below
    assert names(client, f"{files}/sub/folder/") == below[1:]
    assert names(client, f"{files}/s%25/") == ["s%25/8.txt"]
    assert names(client, f"{files}/su_/") == ["su_/7.txt"]
    assert names(client, f"{files}/none/") == []  # as the original has it
    assert client.get(f"{files}/none").status_code == client.get(f"{files}/ub").status_code == 404
    assert client.get(f"{files}/sub/2.txt/").text == client.get(f"{files}/sub/2.txt").text == "sub/2.txt"
    assert client.head(f"{files}/sub/").headers["content-type"] == "application/json"
    assert client.get(f"{files}/sub/", params={"format": "csv"}).text.count("\n") == 4
    whole = resource.rpartition("/resources/")[0]
    assert set(below) <= set(names(client, f"{whole}/files/sub/"))


def test_a_folder_comes_as_a_zip(served: tuple[Web, httpx.Client], resource: str) -> None:
    client, files = served[1], f"{resource}/files"
    assert members(client, f"{files}/sub/") == list(BELOW)
    assert members(client, f"{files}/sub/", recursive="false") == ["sub/2.txt"]
    assert members(client, f"{files}/none/") == []


def test_a_folder_is_taken_out_with_all_below(served: tuple[Web, httpx.Client], resource: str) -> None:
    client, files = served[1], f"{resource}/files"
    for gone, left in (
        ("sub/folder", ["1.txt", "SUB/5.txt", "s%25/8.txt", "su_/7.txt", "sub/2.txt", "subs/6.txt"]),
        ("sub/", ["1.txt", "SUB/5.txt", "s%25/8.txt", "su_/7.txt", "subs/6.txt"]),
        ("s%25/", ["1.txt", "SUB/5.txt", "su_/7.txt", "subs/6.txt"]),
    ):
        assert client.delete(f"{files}/{gone}").status_code == 200
        assert sorted(names(client, files)) == left
    for nothing, status in (("sub/", 404), ("none", 404), ("u", 404), ("%2F/", 405), ("//", 405)):
        assert client.delete(f"{files}/{nothing}").status_code == status, nothing
    assert len(names(client, files)) == 4


def test_members_take_no_folder_out(served: tuple[Web, httpx.Client], resource: str) -> None:
    web, client = served
    if "one" not in client.get("/data/users").text:
        web.account("one", P="member")
    with web.client("one") as one:
        assert one.delete(f"{resource}/files/sub/").status_code == 403
        assert one.get(f"{resource}/files/sub/").status_code == 200
    with web.client(None) as nobody:
        assert nobody.get(f"{resource}/files/sub/").status_code == 401
        assert nobody.get(f"{resource}/files/sub/", params={"format": "zip"}).status_code == 401
    assert "sub/2.txt" in names(client, f"{resource}/files")


@pytest.mark.parametrize("name", ["content", "format", "tags"])
def test_words_with_a_nul_are_refused_whatever_the_database(served: tuple[Web, httpx.Client], name: str) -> None:
    _, client = served
    for method, where in (("PUT", f"{SESSION}/resources/NUL"), ("PUT", f"{SESSION}/resources/NUL/files/a.txt")):
        answer = client.request(method, where, params={name: "a\0b"}, content=b"x")
        assert (answer.status_code, answer.text.startswith(f"{name} can't")) == (400, True), answer.text
    assert client.get(f"{SESSION}/resources/NUL/files").status_code == 404
