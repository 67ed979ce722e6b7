"""What is sent without a project waits in `Unassigned` apart: nobody's upload joins a stranger's session, or meets a
stranger's subject, and nobody hears what strangers have there.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scandock.catalog.tables import session
from scandock.services.settings import load_settings
from scandock.testing.worker import InProcessWorker
from tests.builders import images, uploader_layout, zip_entries
from tests.crash.processes import until
from tests.integration.upload_server import FINAL_STATES, UploadServer
from tests.integration.web import Web, serve_in_process
from tests.stored_files import session_files

FIRST, SECOND = (zip_entries(uploader_layout("S", "1", images(count))) for count in (1, 2))
"""The same study, once with an image more."""


@pytest.mark.postgresql
def test_ones_own_upload_is_joined_and_no_strangers(tmp_path: Path, database_url: str) -> None:
    server = UploadServer(tmp_path / "data", database_url)
    settings = load_settings().model_copy(update={"database_url": database_url})
    try:
        with InProcessWorker(server.data, settings):
            sessions = []
            for who, archive in (("ann", FIRST), ("bob", SECOND), ("ann", SECOND)):
                sent = server.send(archive, by=who, project=None)
                assert server.ended(sent) == "placed", server.row(sent)
                sessions.append(json.loads(server.row(sent)["report"])["sessions"][0])
    finally:
        server.close()
    uris = [one["uri"] for one in sessions]
    assert all(uri.startswith("/data/prearchive/projects/Unassigned/") for uri in uris)
    assert uris[0] != uris[1]
    assert uris[2] == uris[0]
    assert [one["files"] for one in sessions] == [1, 2, 2]


def _patient(study: int, patient: str, name: str = "Doe^Jane") -> bytes:
    """A study of somebody of this name; the subject's label comes from the header."""
    return zip_entries(
        uploader_layout(
            f"S{study}", "1", images(1, study=study, patient_name=name.encode(), patient_id=patient.encode())
        )
    )


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with serve_in_process(tmp_path / "data") as running, InProcessWorker(tmp_path / "data"):
        for name in ("ann", "bob"):
            running.account(name, P="member")
        yield running


def _brought(client: httpx.Client, archive: bytes, **asked: str) -> dict[str, Any]:
    """The one session that an upload makes, with the warnings of its import."""
    sent = client.post("/api/v1/imports", params={"filename": "a.zip", **asked}, content=archive)
    assert sent.status_code == 202, sent.text
    at = f"/api/v1/imports/{sent.json()['id']}"
    until(lambda: client.get(at).json()["state"] in FINAL_STATES, "it never ended")
    told = client.get(at).json()
    assert told["state"] == "placed", told
    [session] = told["sessions"]
    [here] = [one for one in client.get("/api/v1/prearchive").json()["items"] if one["uri"] == session["uri"]]
    codes = {one["code"] for one in [*told["warnings"], *here["warnings"]]} - {"project_unassigned"}
    return {**here, "codes": codes}


def _moved(client: httpx.Client, uuid: str, **to: str) -> tuple[dict[str, Any], set[str]]:
    """A session after a move, and the codes of what was said with it."""
    told = client.post(f"/api/v1/prearchive/{uuid}/move", json=to)
    assert told.status_code == 200, told.text
    return client.get(f"/api/v1/sessions/{uuid}").json(), {one["code"] for one in told.json()["warnings"]}


def _sum_of_uids(web: Web, uuid: str) -> int:
    """What is told of a session's images by who asks for it before an upload."""
    with web.site.catalog.read() as connection:
        uids = [one.row.sop_uid for one in session_files(connection, session.c.uuid == uuid)]
    return sum(zlib.crc32(uid.encode()) for uid in uids if uid is not None)


def test_a_strangers_subject_is_another_and_nothing_tells_of_it(web: Web) -> None:
    with web.client("ann") as ann, web.client("bob") as bob, web.client() as admin:
        first = _brought(ann, _patient(1, "A"))
        assert (first["project"], first["subject"], first["codes"]) == ("Unassigned", "Doe_Jane", set())
        asked = {"project": "Unassigned", "label": first["label"], "study_uid": first["study_uid"], "images": 1}
        asked |= {"derived_subjects": ["Doe_Jane"], "patient_id": "A", "images_sum": _sum_of_uids(web, first["id"])}
        known = {
            name: client.post("/api/v1/sessions/known", json={"sessions": [asked]}).json()["items"][0]
            for name, client in (("ann", ann), ("bob", bob), ("admin", admin))
        }
        there = known.pop("ann")
        assert (there["label"]["place"], there["study"]["label"], there["same_images"]) == (
            "prearchive",
            first["label"],
            True,
        )
        assert there["own"] == ["Doe_Jane"]
        for told in known.values():  # an administrator's upload would not join it either
            assert told == {"label": None, "study": None, "subjects": []}
        others = _brought(bob, _patient(2, "B", "DOE^JANE"))
        assert (others["subject"], others["codes"]) == ("DOE_JANE", set())
        own = _brought(ann, _patient(3, "C"))
        assert own["subject"].startswith("Doe_Jane_")
        assert own["codes"] == {"subjects_told_apart"}


def test_renaming_a_subject_tells_of_ones_own_alone(web: Web) -> None:
    with web.client("ann") as ann, web.client("bob") as bob, web.client() as admin:
        _brought(ann, _patient(1, "A"))
        own = _brought(ann, _patient(2, "B", "Roe^Max"))
        others = _brought(bob, _patient(3, "C", "Poe^Ida"))
        for asker in (bob, admin):  # what another does to it changes nothing of whose it is
            assert _moved(asker, others["id"], subject="Doe_Jane")[1] == set()
        here, said = _moved(ann, own["id"], subject="Doe_Jane")
        assert (here["subject"], said) == ("Doe_Jane", {"subject_other_patient"})


@pytest.mark.long
def test_in_a_project_it_meets_the_projects_subject(web: Web) -> None:
    with web.client("ann") as ann, web.client("bob") as bob:
        there = _brought(bob, _patient(1, "A"), project="P", destination="prearchive")
        same, other = _brought(ann, _patient(2, "A")), _brought(ann, _patient(3, "B"))
        here, said = _moved(ann, same["id"], project="P")
        assert (here["project"], here["subject"], said) == ("P", there["subject"], set())
        here, said = _moved(ann, other["id"], project="P", subject="Doe_Jane")
        assert (here["subject"], said) == ("Doe_Jane", {"subject_other_patient"})


def test_an_import_tells_of_no_strangers_session_of_its_study(web: Web) -> None:
    with web.client("ann") as ann, web.client("bob") as bob:
        mine = _brought(ann, FIRST)
        [imported] = ann.get("/api/v1/imports").json()["items"]
        others = _brought(bob, SECOND)
        assert _moved(bob, others["id"], label="Secret_name")[0]["label"] == "Secret_name"
        assert ann.delete(f"/api/v1/prearchive/{mine['id']}").status_code == 200
        for page in ("/activity", f"/activity/{imported['id']}"):
            told = ann.get(page)
            assert told.status_code == 200
            assert "Secret_name" not in told.text
            assert others["id"] not in told.text
        assert "Secret_name" in bob.get("/activity").text
