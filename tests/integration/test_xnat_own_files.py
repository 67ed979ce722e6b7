"""Files that projects and subjects have of their own in XNAT's dialect: made, listed, read, replaced, taken out.

(xnat-clients.md 1, 2.2 to 2.4 and 3.) Catalog and store are compared at the end of each.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from scandock.services.checking import check
from tests.builders import Site, site_at, zipped
from tests.integration.web import Web, serving

SUBJECT = "/data/projects/P/subjects/S1"
WHERE = {"project": "/data/projects/P", "subject": SUBJECT}
URI = {"project": "/data/projects/P/resources/", "subject": "/data/subjects/XNAT_S00001/resources/"}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Site:
    return site_at(tmp_path, monkeypatch, database_url)


@pytest.fixture(params=WHERE)
def of(request: pytest.FixtureRequest) -> str:
    """Whose files they are."""
    return str(request.param)


@contextmanager
def served(site: Site) -> Iterator[tuple[Web, httpx.Client]]:
    """A server with a project P and a subject S1 in it."""
    with serving(site.data, site.settings) as web, web.client() as client:
        client.put(SUBJECT).raise_for_status()
        yield web, client
    assert check(str(site.data), site.settings) == []
    assert list((site.data / "work").iterdir()) == []


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, str]] = answer.json()["ResultSet"]["Result"]
    return listed


def done(answer: httpx.Response, status: int = 200) -> str:
    assert (answer.status_code, answer.headers["content-type"][:10]) == (status, "text/plain"), answer.text
    return answer.text


def names(client: httpx.Client, where: str) -> list[str]:
    return [one["URI"].partition("/files/")[2] for one in rows(client.get(f"{where}/files"))]


def stored(site: Site) -> dict[str, bytes]:
    """What lies under DATA/resources, by path within its tree."""
    found = (path for path in (site.data / "resources").rglob("*") if path.is_file())
    return {"/".join(path.relative_to(site.data).parts[3:]): path.read_bytes() for path in found}


def test_a_resource_is_made_filled_listed_and_read(site: Site, of: str) -> None:
    with served(site) as (_, client):
        where = WHERE[of]
        assert rows(client.get(f"{where}/resources")) == rows(client.get(f"{where}/files")) == []
        said = {"format": "TXT", "content": "notes", "tags": "a,b"}
        number = done(client.put(f"{where}/resources/NOTES", params=said), 201)
        assert done(client.put(f"{where}/resources/notes")) == number
        done(client.put(f"{where}/resources/NOTES/files/sub/a.txt", content=b"first"))
        (row,) = rows(client.get(f"{where}/resources"))
        assert row == {
            "xnat_abstractresource_id": number, "label": "NOTES", "element_name": "xnat:resourceCatalog",
            "category": "resources", "cat_id": "", "cat_desc": "", "file_count": "1", "file_size": "5",
            "tags": "a,b", "content": "notes", "format": "TXT",
        }  # fmt: skip
        (one,) = rows(client.get(f"{where}/files"))
        assert one == {
            "Name": "a.txt", "Size": "5", "URI": f"{URI[of]}{number}/files/sub/a.txt", "collection": "NOTES",
            "file_tags": "a,b", "file_format": "TXT", "file_content": "notes", "cat_ID": number,
            "digest": hashlib.md5(b"first").hexdigest(),
        }  # fmt: skip
        again = one["URI"].partition("/files/")[0] + "/files"
        assert rows(client.get(again)) == rows(client.get(f"{where}/resources/{number}/files")) == [one]
        (item,) = client.get(f"{where}/resources/NOTES?format=json").json()["items"]
        assert item["meta"]["xsi:type"] == "xnat:resourceCatalog"
        assert item["data_fields"]["xnat_abstractresource_id"] == number
        for prefix in ("/data", "/REST", "/data/archive"):
            address = one["URI"].replace("/data", prefix, 1)
            assert client.get(address).content == b"first"
        assert client.get(f"{where}/files/sub/a.txt", headers={"range": "bytes=1-2"}).content == b"ir"
        head = client.head(one["URI"])
        assert (head.status_code, head.headers["content-length"]) == (200, "5")
        assert "no file" in done(client.get(f"{where}/resources/NOTES/files/b.txt"), 404)
    assert stored(site) == {"resources/NOTES/files/sub/a.txt": b"first"}
    assert list((site.data / "archive").iterdir()) == []
