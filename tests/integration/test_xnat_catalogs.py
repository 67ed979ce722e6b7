"""A resource asked for as XML: a catalog of its files, which xnatpy knows by its first bytes (xnat-clients.md 2.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest

from scandock.web import buffered_documents
from tests.builders import DataFolder, images, make_data_folder, uploader_layout
from tests.integration.web import serve_in_process

CAT = "{http://nrg.wustl.edu/catalog}"
SESSION = "/data/projects/P/experiments/E1"
BEGINS = '<?xml version="1.0" encoding="UTF-8"?>\n<cat:Catalog xmlns:cat="http://nrg.wustl.edu/catalog" '


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


@contextmanager
def served(site: DataFolder) -> Iterator[httpx.Client]:
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        yield client


def catalog(client: httpx.Client, where: str, **headers: str) -> ET.Element:
    answer = client.get(where, params={} if headers else {"format": "xml"}, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8"), answer.text
    assert answer.text.startswith(BEGINS)
    assert int(answer.headers["content-length"]) == len(answer.content)
    return ET.fromstring(answer.content)


def entries(root: ET.Element) -> list[dict[str, str]]:
    return [one.attrib for one in root.findall(f"{CAT}entries/{CAT}entry")]


@pytest.mark.postgresql
def test_the_catalog_of_a_scan_s_resource_has_its_files_with_their_digests(site: DataFolder) -> None:
    objects = images(3)
    with served(site) as client:
        site.bring(uploader_layout("E1", "1", objects), project="P", subject="S1", session="E1")
        root = catalog(client, f"{SESSION}/scans/1/resources/DICOM")  # placed just now: no digest was asked for yet
        assert root.attrib["ID"] == "DICOM"
        listed = client.get(f"{SESSION}/scans/1/resources/DICOM/files").json()["ResultSet"]["Result"]
        assert [(one["URI"], one["digest"]) for one in entries(root)] == [(r["Name"], r["digest"]) for r in listed]
        assert {one["digest"] for one in entries(root)} == {hashlib.md5(data).hexdigest() for data in objects}
        assert {(one["format"], one["content"]) for one in entries(root)} == {("DICOM", "RAW")}
        item = client.get(f"{SESSION}/scans/1/resources/DICOM").json()["items"][0]  # JSON stays as it is
        assert (item["meta"]["xsi:type"], item["data_fields"]["file_count"]) == ("xnat:resourceCatalog", "3")
        accepted = catalog(client, f"{SESSION}/scans/1/resources/DICOM", Accept="text/xml")
        assert entries(accepted) == entries(root)


def test_paths_of_a_session_s_resource_stand_as_they_are(site: DataFolder) -> None:
    names = ["a/b&c <d>.txt", 'say "e".txt', "per%cent.txt"]
    with served(site) as client:
        site.bring(uploader_layout("E1", "1", images(1)), project="P", subject="S1", session="E1")
        for name in names:
            where = f"{SESSION}/resources/NOTES/files/{name.replace('%', '%25')}"
            assert client.put(where, content=name.encode()).status_code == 200
        assert client.put(f"{SESSION}/resources/EMPTY").status_code == 200
        found = entries(catalog(client, f"{SESSION}/resources/NOTES"))
        assert sorted((one["URI"], one["ID"], one["name"]) for one in found) == sorted(
            (name, name, name.rpartition("/")[2]) for name in names
        )
        assert entries(catalog(client, f"{SESSION}/resources/EMPTY")) == []
        assert client.get(f"{SESSION}/resources/NONE", params={"format": "xml"}).status_code == 404


def test_a_long_catalog_waits_on_disk(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffered_documents, "IN_MEMORY", 100)
    with served(site) as client:
        site.bring(
            uploader_layout("E1", "1", images(20)), project="P", subject="S1", session="E1", destination="prearchive"
        )
        (row,) = client.get("/data/prearchive/projects/P").json()["ResultSet"]["Result"]
        root = catalog(client, f"/data{row['url']}/scans/1/resources/DICOM")
        assert len(entries(root)) == 20
