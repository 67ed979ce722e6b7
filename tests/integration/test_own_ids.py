"""Labels that headers bring in the form of the server's own ids: each address leads to its own session and subject."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.builders import images, make_data_folder, uploader_layout
from tests.integration.web import serve_in_process


def fields(client: httpx.Client, where: str) -> dict[str, str]:
    answer = client.get(where, params={"format": "json"})
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()["items"][0]["data_fields"]
    return found


def test_an_upload_shadows_nobody_and_its_addresses_are_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    site = make_data_folder(tmp_path, monkeypatch, sqlite_url)
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        first = site.bring(uploader_layout("S1", "1", images(1)), project="P", subject="ONE")
        mine = fields(client, first.session["uri"])
        assert mine["ID"] == "XNAT_E00001"
        other = images(1, study=2, patient_id=b"XNAT_E00001", patient_name=b"XNAT_S00001")
        told = site.bring({"a.dcm": other[0]}, project="P")
        assert (told.state, told.counts) == ("placed", {"stored": 1})
        assert "label_own_id" in told.warned()
        found = fields(client, told.session["uri"])
        assert (found["ID"], found["dcmPatientId"]) == ("XNAT_E00002", "XNAT_E00001")
        assert fields(client, "/data/projects/P/experiments/XNAT_E00001") == mine
        assert fields(client, "/data/projects/P/subjects/XNAT_S00001")["label"] == "ONE"
        again = site.bring({"a.dcm": other[0]}, project="P")
        assert (again.session["uri"], again.counts) == (told.session["uri"], {"duplicate": 1})
