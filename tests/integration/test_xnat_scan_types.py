"""Scans' types: given by a project's other sessions (`fixScanTypes`), and by headers of one scan alone."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.builders import DataFolder, images, make_data_folder
from tests.integration.test_xnat_creation import done, rows
from tests.integration.web import serve_data_folder

MR = {"xsiType": "xnat:mrSessionData"}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


def session(client: httpx.Client, label: str, scans: dict[str, tuple[str, str]], project: str = "P") -> str:
    """A session made by hand whose scans have a description and, where it is not empty, a type."""
    address = f"/data/projects/{project}/subjects/S/experiments/{label}"
    assert client.put(address, params=MR).status_code in (200, 201)
    for scan, (description, kind) in scans.items():
        said = {"type": kind} if kind else {}
        made = client.put(f"{address}/scans/{scan}", params={"series_description": description, **said})
        assert made.status_code in (200, 201)
    return address


def types(client: httpx.Client, address: str) -> dict[str, str]:
    return {row["ID"]: row["type"] for row in rows(client.get(f"{address}/scans"))}


@pytest.mark.postgresql
def test_types_are_those_that_people_gave_scans_of_the_same_description(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        session(client, "A", {"1": ("t1-MPRAGE", "T1w"), "2": ("t1_mprage", "T1w"), "3": ("T1 mprage", "Other")})
        session(client, "B", {"1": ("bold", "Unknown"), "2": ("dwi", "DWI"), "3": ("", "Empty")})
        client.post("/api/v1/projects", json={"id": "Q", "name": "Q"})
        session(client, "A", {"1": ("flair", "FLAIR")}, project="Q")
        told = {"1": ("T1 MPRAGE", ""), "2": ("DWI!", "mine"), "3": ("flair", ""), "4": ("bold", ""), "5": ("", "")}
        address = session(client, "C", {**told, "6": ("dwi", "unknown")})
        before = types(client, address)
        done(client.put(address, params={"fixScanTypes": "true"}))
        assert types(client, address) == {**before, "1": "T1w", "6": "DWI"}
        assert before["2"] == "mine"
        done(client.put(address, params={"fixScanTypes": "true"}))
        assert types(client, address)["1"] == "T1w"


def test_who_may_not_change_a_session_fixes_no_types(site: DataFolder) -> None:
    with serve_data_folder(site) as (web, client):
        session(client, "A", {"1": ("t1", "T1w")})
        address = session(client, "B", {"1": ("t1", "")})
        before = types(client, address)
        web.account("carl", P="collaborator")
        with web.client("carl") as carl:
            assert carl.put(address, params={"fixScanTypes": "true"}).status_code == 403
        assert types(client, address) == before


@pytest.mark.long
def test_headers_tell_one_scan_and_what_was_made_as_unknown(site: DataFolder) -> None:
    with serve_data_folder(site) as (_, client):
        address = session(client, "A", {"1": ("", "Unknown"), "2": ("", "Unknown"), "3": ("", "mine")})
        for scan in ("1", "2", "3"):
            description = {0x0008103E: (b"LO", b"series " + scan.encode())}
            for n, data in enumerate(images(2, series=int(scan), also=description)):
                put = client.put(f"{address}/scans/{scan}/resources/DICOM/files/{n}.dcm", content=data)
                assert put.status_code == 200
        done(client.put(f"{address}/scans/1", params={"pullDataFromHeaders": "true"}))
        assert types(client, address) == {"1": "series 1", "2": "Unknown", "3": "mine"}
        done(client.put(address, params={"pullDataFromHeaders": "true"}))
        assert types(client, address) == {"1": "series 1", "2": "series 2", "3": "mine"}
