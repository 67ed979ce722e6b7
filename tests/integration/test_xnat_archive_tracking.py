"""Following what is archived at once by a listener's key: there always is an end (xnat-behaviour.md 5.6, 6.1)."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from scandock.access.principal import Door, Principal
from scandock.catalog.server_tables import account, tracked
from scandock.services.committing import archive_with_parameters
from scandock.web.xnat.services.archive_tracking import ALIVE_SECONDS, STOPPED, begin_tracking
from scandock.web.xnat.services.cleaning import KEY_CLEANER, KEYS_KEPT_MS
from scandock.web.xnat.services.tracking import read_tracked
from tests.builders import DataFolder, images, uploader_layout
from tests.integration.web import Web
from tests.integration.xnat_prearchive import import_to_prearchive, result_rows, serve_xnat

KEY = "20260101_101010"
LISTENER = {"http-session-listener": KEY}
ARCHIVE = "/data/services/archive"


def told(client: httpx.Client) -> dict[str, Any]:
    answer = client.get(f"/xapi/event_tracking/{KEY}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def messages(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["status"], one["message"]) for one in json.loads(found["payload"])["entryList"]]


def test_archiving_one_is_told_by_its_key(site: DataFolder) -> None:
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        answer = client.post(ARCHIVE, params={"src": uri, **LISTENER})
        assert answer.text == "/data/archive/projects/Q/subjects/DOE_JANE/experiments/S1\r\n"
        found = told(client)
        assert found["succeeded"] is True
        assert found["finalMessage"] == "Archive:/archive/projects/Q/subjects/DOE_JANE/experiments/S1"
        assert messages(found) == [("InProgress", f"Archiving {uri.removeprefix('/data')}")]


def test_archiving_several_is_told_with_what_stays(site: DataFolder) -> None:
    site.bring(
        uploader_layout("S2", "1", images(2, study=2, patient_id=b"PAT2")), project="Q", session="S2", dialect=True
    )
    good, bad = import_to_prearchive(site), import_to_prearchive(site, label="S2", study=2)
    with serve_xnat(site) as (_, client):
        answer = client.post(ARCHIVE, params={"src": [good, bad], **LISTENER})
        assert answer.status_code == 200, answer.text
        found = told(client)
        assert found["succeeded"] is False
        assert found["finalMessage"].startswith(f"{bad.removeprefix('/data')}: Session already exists")
        assert [status for status, _ in messages(found)] == ["InProgress", "InProgress", "Completed", "Failed"]


def test_what_is_refused_is_the_end_of_its_key(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(1)), project="Q", session="S1")
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        answer = client.post(ARCHIVE, params={"src": uri, **LISTENER})
        assert answer.status_code == 409
        found = told(client)
        assert found["succeeded"] is False
        assert found["finalMessage"] == answer.text


@pytest.mark.parametrize(
    ("auto", "text", "final"),
    [
        ("true", "Archival initiated", "Archive:/archive/projects/Q/subjects/DOE_JANE/experiments/S1"),
        ("false", "{uri}", "Prearchive:{uri}"),
    ],
)
def test_a_commit_with_a_key_is_answered_200(site: DataFolder, auto: str, text: str, final: str) -> None:
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        answer = client.post(uri, params={"action": "commit", "auto-archive": auto, **LISTENER})
        assert (answer.status_code, answer.text) == (200, text.format(uri=uri))
        found = told(client)
        assert found["succeeded"] is True
        assert found["finalMessage"] == final.format(uri=uri.removeprefix("/data"))


def test_a_key_without_a_name_is_refused_before_anything_is_done(site: DataFolder) -> None:
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        for answer in (
            client.post(ARCHIVE, params={"src": uri, "http-session-listener": " "}),
            client.post(uri, params={"action": "commit", "http-session-listener": ""}),
        ):
            assert answer.status_code == 400
            assert answer.text.startswith("'transaction' is required when requesting 'http-session-listener'.")
        assert client.get(uri, params={"format": "json"}).status_code == 200


def test_while_it_goes_on_the_key_says_so(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        real, seen = archive_with_parameters, []

        def meanwhile(*args: Any, **kwargs: Any) -> Any:
            seen.append(told(client))
            return real(*args, **kwargs)

        monkeypatch.setattr("scandock.web.xnat.prearchive_services.archive_with_parameters", meanwhile)
        assert client.post(ARCHIVE, params={"src": uri, **LISTENER}).status_code == 200
        assert [(one["succeeded"], one["finalMessage"]) for one in seen] == [(None, None)]
        assert told(client)["succeeded"] is True


def test_a_fault_of_the_server_is_an_end(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):

        def fails(*_: Any, **__: Any) -> None:
            raise RuntimeError("broken")

        monkeypatch.setattr("scandock.web.xnat.prearchive_services.archive_with_parameters", fails)
        assert client.post(ARCHIVE, params={"src": uri, **LISTENER}).status_code == 500
        assert told(client)["succeeded"] is False


def test_a_server_that_was_killed_meanwhile_is_an_end(web: Web, client: httpx.Client) -> None:
    catalog = web.site.catalog
    with catalog.read() as connection:
        number = connection.execute(select(account.c.id).where(account.c.name == "admin")).scalar_one()
    principal = Principal(number, "", "admin", door=Door.BASIC)
    number = begin_tracking(catalog, principal, KEY, ["Archiving /prearchive/projects/P/x/S"])
    assert told(client)["succeeded"] is None
    with catalog.write() as connection:
        late = tracked.c.alive_until - ALIVE_SECONDS * 1000 - 1
        connection.execute(update(tracked).where(tracked.c.number == number).values(alive_until=late))
    found = told(client)
    assert (found["succeeded"], found["finalMessage"]) == (False, STOPPED)
    with catalog.write() as connection:
        connection.execute(update(tracked).values(created=tracked.c.created - KEYS_KEPT_MS - 1))
    KEY_CLEANER.run(web.site)  # how much it was is not asked: the server's own turn may have come first
    assert read_tracked(catalog, principal, KEY) is None


def test_one_that_is_not_to_be_had_costs_the_others_nothing(site: DataFolder) -> None:
    site.project("R")
    first, last = import_to_prearchive(site), import_to_prearchive(site, label="S2", study=2)
    gone, other = (
        "/data/prearchive/projects/Q/20260101_000000000/Nope",
        import_to_prearchive(site, project="R", label="S3", study=3),
    )
    loose = "/data/prearchive/projects/Unassigned/20260101_000000000/Nope"
    with serve_xnat(site) as (web, client):
        web.account("mia", Q="member")
        with web.client("mia") as mia:
            answer = mia.post(ARCHIVE, params={"src": [first, gone, other, loose, last], **LISTENER})
            assert answer.status_code == 200, answer.text
            found = answer.json()["ResultSet"]["Result"]
            hidden = "There is nothing of that name, or you may not know of it. Check the address."
            assert [(one["url"].rpartition("/")[2], one["message"]) for one in found] == [
                ("S1", ""),
                ("Nope", hidden),
                ("S3", hidden),
                ("Nope", hidden),
                ("S2", ""),
            ]
            assert told(mia)["succeeded"] is False
            assert f"{gone.removeprefix('/data')}: {hidden}" in told(mia)["finalMessage"]
        assert [one["label"] for one in result_rows(client.get("/data/projects/Q/experiments"))] == ["S1", "S2"]


def test_a_commit_that_could_not_archive_tells_why_by_its_key(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(2, patient_id=b"PAT9")), project="Q", session="S1", dialect=True)
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        answer = client.post(uri, params={"action": "commit", "auto-archive": "true", **LISTENER})
        assert (answer.status_code, answer.text) == (200, uri)
        found = told(client)
        assert found["succeeded"] is False
        assert found["finalMessage"].endswith(f"It stays at {uri.removeprefix('/data')}.")
        assert messages(found) == [("InProgress", f"Committing {uri.removeprefix('/data')}")]
