"""Quarantine: a mark on what is archived, until an owner has looked at it (xnat-behaviour.md 1.4, 5.5, 5.6)."""

from __future__ import annotations

import httpx
import pytest

from tests.builders import DataFolder, images, uploader_layout
from tests.integration.web import Web
from tests.integration.xnat_prearchive import import_to_prearchive, result_rows, serve_xnat

ARCHIVE = "/data/services/archive"


def brings(site: DataFolder, count: int = 2, **options: object) -> None:
    """Import objects of one study into the archive of P."""
    site.bring(uploader_layout("S1", "1", images(count)), project="P", session="S1", destination="archive", **options)


def status(client: httpx.Client, project: str = "Q", label: str = "S1") -> str:
    told = client.get(f"/data/projects/{project}/experiments/{label}/status")
    assert told.status_code == 200, told.text
    return told.text


@pytest.mark.parametrize(("asked", "now"), [({}, "active"), ({"quarantine": "true"}, "quarantine")])
def test_archiving_may_ask_for_it(site: DataFolder, asked: dict[str, str], now: str) -> None:
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        assert client.post(ARCHIVE, params={"src": uri, **asked}).status_code == 200
        assert status(client) == now


def test_a_project_may_ask_for_it_of_all_that_enters_its_archive(site: DataFolder) -> None:
    first, uri = import_to_prearchive(site, label="Before"), import_to_prearchive(site, study=2)
    with serve_xnat(site) as (_, client):
        client.post(ARCHIVE, params={"src": first})
        assert client.put("/data/projects/Q/quarantine_code/1").status_code == 200
        client.post(ARCHIVE, params={"src": uri})
        client.put("/data/projects/Q/subjects/X/experiments/Hand", params={"xsiType": "xnat:mrSessionData"})
        assert [status(client, label=label) for label in ("Before", "S1", "Hand")] == ["active", *["quarantine"] * 2]
        (row,) = result_rows(client.get("/data/projects?columns=ID,proj_quarantine&ID=Q"))
        assert row["proj_quarantine"] == "1"
        assert client.get("/api/v1/projects/Q").json()["quarantine"] is True


def test_an_import_of_such_a_project_is_in_quarantine(site: DataFolder) -> None:
    site.project("W", quarantine=True)
    site.bring(uploader_layout("S1", "1", images(2)), project="W", session="S1")
    with serve_xnat(site) as (_, client):
        assert status(client, "W") == "quarantine"


@pytest.mark.parametrize("by", ["service", "commit", "api"])
def test_what_an_import_asked_for_holds_however_it_is_archived(site: DataFolder, by: str) -> None:
    uri = import_to_prearchive(site, quarantine=True)
    with serve_xnat(site) as (_, client):
        if by == "service":
            client.post(ARCHIVE, params={"src": uri})
        elif by == "commit":
            assert client.post(uri, params={"action": "commit", "auto-archive": "true"}).status_code == 301
        else:
            (one,) = client.get("/api/v1/prearchive").json()["items"]
            assert one["quarantined"] is True
            assert client.post(f"/api/v1/prearchive/{one['id']}/archive").status_code == 200
        assert status(client) == "quarantine"


def test_a_commit_that_leaves_a_session_keeps_the_wish(site: DataFolder) -> None:
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        asked = {"action": "commit", "auto-archive": "false", "quarantine": "true"}
        assert client.post(uri, params=asked).status_code == 200
        assert client.post(ARCHIVE, params={"src": uri}).status_code == 200
        assert status(client) == "quarantine"


def test_what_joins_an_active_session_puts_it_into_quarantine(site: DataFolder, web: Web) -> None:
    with web.client() as client:
        brings(site, 1)
        brings(site, 1, quarantine=True)
        assert status(client, "P") == "active"  # nothing new has come
        brings(site, 2, quarantine=True)
        assert status(client, "P") == "quarantine"
        brings(site, 3)
        assert status(client, "P") == "quarantine"  # which none but an owner ends


def test_what_is_archived_into_an_active_session_puts_it_into_quarantine(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(1, patient_id=b"PAT1")), project="Q", session="S1", dialect=True)
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        assert status(client) == "active"
        told = client.post(ARCHIVE, params={"src": uri, "overwrite": "append", "quarantine": "true"})
        assert told.status_code == 200, told.text
        assert status(client) == "quarantine"


def test_owners_activate_and_members_do_not(site: DataFolder, web: Web) -> None:
    brings(site)
    web.account("olga", P="owner")
    web.account("mia", P="member")
    web.account("carl", P="collaborator")
    at = "/data/projects/P/experiments/S1"
    with web.client("olga") as olga, web.client("mia") as mia, web.client("carl") as carl:
        assert carl.put(at, params={"quarantine": "true"}).status_code == 403
        assert mia.put(at, params={"quarantine": "true"}).status_code == 200
        assert status(carl, "P") == "quarantine"
        assert mia.put(at, params={"activate": "true"}).status_code == 403
        (uuid,) = (one["id"] for one in mia.get("/api/v1/sessions").json()["items"])
        assert mia.patch(f"/api/v1/sessions/{uuid}", json={"quarantined": False}).status_code == 403
        assert status(carl, "P") == "quarantine"
        assert olga.put(at, params={"activate": "true"}).status_code == 200
        assert status(carl, "P") == "active"
        assert mia.put(at, params={"activate": "true"}).status_code == 200  # as it is already
        assert olga.patch(f"/api/v1/sessions/{uuid}", json={"quarantined": True}).status_code == 200
        assert olga.get(f"/api/v1/sessions/{uuid}").json()["quarantined"] is True


def test_listings_tell_it(site: DataFolder, web: Web) -> None:
    brings(site, quarantine=True)
    site.bring(uploader_layout("S2", "1", images(1, study=2)), project="P", session="S2", destination="archive")
    with web.client() as client:
        asked = "xnat:experimentData/meta/status,quarantine_status,label"
        told = result_rows(client.get("/data/experiments", params={"columns": asked}))
        assert {one["label"]: one["quarantine_status"] for one in told} == {"S1": "quarantine", "S2": "active"}
        assert all(one["xnat:experimentdata/meta/status"] == one["quarantine_status"] for one in told)
        assert [
            one["label"] for one in result_rows(client.get("/data/experiments?columns=label&status=quarantine"))
        ] == ["S1"]


def test_it_survives_a_new_label_and_the_trash(site: DataFolder, web: Web) -> None:
    brings(site, quarantine=True)
    with web.client() as client:
        (uuid,) = (one["id"] for one in client.get("/api/v1/sessions").json()["items"])
        assert client.patch(f"/api/v1/sessions/{uuid}", json={"label": "S9"}).status_code == 200
        assert client.delete(f"/api/v1/sessions/{uuid}").status_code == 200
        assert client.post(f"/api/v1/trash/{uuid}/restore").status_code == 200
        assert status(client, "P", "S9") == "quarantine"


def test_pages_say_it_and_owners_activate_there(site: DataFolder, web: Web) -> None:
    brings(site, quarantine=True)
    web.account("olga", P="owner")
    web.account("mia", P="member")
    with web.client("olga") as olga, web.client("mia") as mia:
        assert "in quarantine" in mia.get("/projects/P/sessions/S1").text
        assert ">Activate</button>" not in mia.get("/projects/P/sessions/S1").text
        assert ">quarantine</span>" in mia.get("/projects/P").text
        assert ">Activate</button>" in olga.get("/projects/P/sessions/S1").text
        (uuid,) = (one["id"] for one in olga.get("/api/v1/sessions").json()["items"])
        assert mia.post(f"/sessions/{uuid}/quarantine", data={"quarantine": "0"}).status_code == 403
        told = olga.post(f"/sessions/{uuid}/quarantine", data={"quarantine": "0"}, follow_redirects=True)
        assert "The session is out of quarantine." in told.text
        told = mia.post(f"/sessions/{uuid}/quarantine", data={"quarantine": "1"}, follow_redirects=True)
        assert "in quarantine until an owner of its project activates it" in told.text


def test_who_may_not_activate_changes_nothing_else_by_that_request(site: DataFolder, web: Web) -> None:
    brings(site, quarantine=True)
    web.account("mia", P="member")
    at = "/data/projects/P/experiments/S1"
    with web.client("mia") as mia:
        before = mia.get(at, params={"format": "json"}).json()
        assert mia.put(at, params={"note": "seen", "label": "S9", "activate": "true"}).status_code == 403
        assert mia.get(at, params={"format": "json"}).json() == before
        new = "/data/projects/P/subjects/New/experiments/Half"
        asked = {"xsiType": "xnat:mrSessionData", "activate": "true"}
        assert mia.put(new, params=asked).status_code == 403
        assert [one["label"] for one in result_rows(mia.get("/data/projects/P/subjects"))] == ["DOE_JANE"]


@pytest.mark.parametrize("asked", ["activate", "quarantine", "pullDataFromHeaders", "fixScanTypes", "triggerPipelines"])
def test_what_is_asked_of_a_session_that_is_not_there_is_404(client: httpx.Client, asked: str) -> None:
    told = client.put("/data/projects/P/subjects/S/experiments/Mistyped", params={asked: "true"})
    assert (told.status_code, told.text.split(".")[0]) == (
        404,
        "There is no experiment of that name, or you may not know of it",
    )
