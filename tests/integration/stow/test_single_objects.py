"""STOW-RS of one object that goes to the prearchive: answered once it is on disk, listed at once, built later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from scandock.catalog.server_tables import reception
from scandock.catalog.tables import upload
from scandock.rules.privacy import PrivacyRules
from scandock.services.settings import load_settings
from scandock.testing.privacy import given_privacy
from scandock.testing.worker import InProcessWorker
from scandock.web.dicomweb import search as search_routes
from scandock.web.receiving import gradual
from tests.builders import Image, images
from tests.crash.processes import until
from tests.integration.stow.test_dicomweb_store import (
    ACCEPT,
    FAILED,
    FAILURE,
    HASHED,
    INSTANCE,
    RETRIEVE,
    STORED,
    WARNING,
    items,
    store,
)
from tests.integration.web import Web, serve_in_process

SITE = "/dicomweb/studies"
WAITING = "/dicomweb/projects/WAITING/studies"
"""Of a project whose uploads go to the prearchive."""
DICOM = {"Content-Type": "application/dicom"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A server with a worker, on which no session of single objects is built unless somebody asks for it."""
    data = tmp_path_factory.mktemp("single") / "data"
    settings = load_settings().model_copy(update={"gradual_seconds": 600})
    with serve_in_process(data, settings) as running, InProcessWorker(data, upkeep=False):
        with running.client() as client:
            made = client.post("/api/v1/projects", json={"id": "WAITING", "prearchive_code": 0})
            assert made.status_code == 201
        running.account("mia", WAITING="member")
        yield running


def image(case: str, number: int = 1, **values: Any) -> Image:
    """An object of a patient of its own, so that its session has the label of no other."""
    return Image(case=case, number=number, **{"patient_id": case.encode(), **values})


def last_upload(web: Web) -> tuple[str, str]:
    """Door and state of the upload that came last."""
    query = select(reception.c.door, upload.c.state).join(upload, upload.c.id == reception.c.upload_id)
    with web.site.catalog.read() as connection:
        door, state = connection.execute(query.order_by(upload.c.id.desc()).limit(1)).one()
    return str(door), str(state)


def session_label(client: httpx.Client, case: str) -> str:
    """How XNAT's listing of the prearchive has the session of a case, without more."""
    rows = client.get("/data/prearchive/projects/WAITING", params={"format": "json"}).json()["ResultSet"]["Result"]
    (status,) = [row["status"] for row in rows if row["name"] == case]
    return str(status)


def test_an_object_is_answered_before_its_import_and_read_behind_it(
    web: Web, client: httpx.Client, subtests: Any
) -> None:
    for number, way in enumerate(("one object", "one part", "one study"), start=1):
        with subtests.test(way):
            sent = image("answered", number, study=number)
            study = sent.study_uid.decode()
            if way == "one object":
                answer = client.post(SITE, content=sent.file(), headers=DICOM)
            else:
                answer = store(client, sent.file(), path=f"{SITE}/{study}" if way == "one study" else SITE)
            assert answer.status_code == 200, answer.text
            assert last_upload(web) == ("gradual", "receiving")
            url = f"http://127.0.0.1{SITE}/{study}/series/{sent.series_uid.decode()}/instances/{sent.sop_uid.decode()}"
            (item,) = items(answer, STORED)
            assert (item[INSTANCE], item[RETRIEVE]) == (sent.sop_uid.decode(), url)
            assert answer.json()[RETRIEVE]["Value"] == [f"http://127.0.0.1{SITE}/{study}"]
            assert sent.file() in client.get(url, headers=ACCEPT).content
            assert last_upload(web) == ("gradual", "placed")


def test_a_project_whose_uploads_go_to_the_prearchive_has_it_there(web: Web, client: httpx.Client) -> None:
    """Without an address: a project's base shows its archive."""
    with web.client("mia") as mia:
        for number in (1, 2):
            answer = store(mia, image("waiting", number).file(), path=WAITING)
            assert (answer.status_code, answer.json().keys()) == (200, {STORED}), answer.text
            (item,) = items(answer, STORED)
            assert RETRIEVE not in item
        assert session_label(mia, "waiting") == "RECEIVING"
        assert mia.get(f"{WAITING}/{image('waiting').study_uid.decode()}/metadata").status_code == 404
        assert session_label(mia, "waiting") == "RECEIVING"
        found = mia.get(f"{SITE}/{image('waiting').study_uid.decode()}/metadata")
        assert (found.status_code, len(found.json())) == (200, 2)
        assert session_label(mia, "waiting") == "READY"


@pytest.mark.parametrize("search", ["studies", "studies/{study}/series", "studies/{study}/instances"])
def test_a_search_finds_what_was_stored_just_before(
    client: httpx.Client, search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its own account stored is waited for, however long what others sent is."""
    monkeypatch.setattr(search_routes, "BUILD_SECONDS", 0)
    sent = image(f"search {search[-6:]}")
    study = sent.study_uid.decode()
    assert store(client, sent.file(), path=WAITING).status_code == 200
    found = client.get(f"/dicomweb/{search.format(study=study)}", params={"limit": 10_000}).json()
    assert [row for row in found if row["0020000D"]["Value"] == [study]]


def test_a_search_waits_longer_for_what_others_stored_where_it_names_the_study(
    web: Web, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_routes, "BUILD_SECONDS", 0)
    sent = image("others")
    study = sent.study_uid.decode()
    with web.client("mia") as mia:
        assert store(mia, sent.file(), path=WAITING).status_code == 200
    assert len(client.get(f"{SITE}/{study}/instances").json()) == 1


def test_a_study_is_read_with_all_that_was_stored_before(web: Web, client: httpx.Client) -> None:
    """Also where a session of it stands already; an object that is there is read without more."""
    first, second, third = (image("more", number) for number in (1, 2, 3))
    study = first.study_uid.decode()
    assert store(client, first.file(), path=WAITING).status_code == 200
    assert len(client.get(f"{SITE}/{study}/metadata").json()) == 1
    assert store(client, second.file(), path=WAITING).status_code == 200
    assert len(client.get(f"{SITE}/{study}/series/{first.series_uid.decode()}/metadata").json()) == 2
    assert store(client, third.file(), path=WAITING).status_code == 200
    instance = f"{SITE}/{study}/series/{first.series_uid.decode()}/instances/{first.sop_uid.decode()}"
    assert client.get(f"{instance}/metadata").status_code == 200
    assert last_upload(web) == ("gradual", "receiving")
    assert len(client.get(f"{SITE}/{study}/instances").json()) == 3


def test_an_object_that_comes_again_is_answered_by_its_import(web: Web, client: httpx.Client) -> None:
    """While the first one is still to be built as well as later; what differs waits for a decision."""
    sent, other = image("again"), image("again", also={0x00204000: (b"LT", b"other content")})
    assert store(client, sent.file(), path=SITE).status_code == 200
    assert last_upload(web) == ("gradual", "receiving")
    same = store(client, sent.file(), path=SITE)
    assert (same.status_code, last_upload(web)) == (200, ("dicomweb", "placed")), same.text
    differs = store(client, other.file(), path=SITE)
    assert (differs.status_code, last_upload(web)) == (202, ("dicomweb", "held")), differs.text
    assert [item[WARNING] for item in items(differs, STORED)] == [0xB000]
    (item,) = items(same, STORED)
    assert sent.file() in client.get(item[RETRIEVE], headers=ACCEPT).content


def test_an_object_that_another_process_may_have_is_answered_by_its_import(web: Web, client: httpx.Client) -> None:
    """What is taken of its study and not built may have its UID: who received that alone knows."""
    first, second = images(2, case="elsewhere", patient_id=b"elsewhere")
    assert store(client, first, path=WAITING).status_code == 200
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(web.site.gradual), "open_uploads", property(lambda _: []))
        assert store(client, second, path=WAITING).status_code == 200
    assert last_upload(web) == ("dicomweb", "placed")


def test_what_only_an_import_can_tell_is_answered_behind_it(web: Web, client: httpx.Client, subtests: Any) -> None:
    routed = {0x00081030: (b"LO", b"P")}
    cases: dict[str, tuple[str, list[Image], int]] = {
        "to the archive": (SITE, [image("archived", also=routed)], 200),
        "two objects": (WAITING, [image("two", 1), image("two", 2)], 200),
    }
    for name, (path, sent, status) in cases.items():
        with subtests.test(name):
            answer = store(client, *(one.file() for one in sent), path=path)
            assert (answer.status_code, last_upload(web)) == (status, ("dicomweb", "placed")), answer.text


def test_de_identified_objects_are_named_as_they_are_stored(web: Web, client: httpx.Client) -> None:
    sent = image("hidden")
    rules = PrivacyRules(key=b"k" * 32, scripts=(HASHED,))
    with given_privacy(projects={"WAITING": rules, "Unassigned": rules}):
        answer = store(client, sent.file(), path=SITE)
    assert (answer.status_code, last_upload(web)) == (202, ("dicomweb", "placed"))
    (item,) = items(answer, STORED)
    assert item[WARNING] == 0xB000
    assert sent.sop_uid.decode() not in item[RETRIEVE]


def test_an_object_for_a_held_session_is_answered_with_that(web: Web, client: httpx.Client) -> None:
    first, other = image("held"), image("held", also={0x00204000: (b"LT", b"other content")})
    assert store(client, first.file(), other.file(), path=WAITING).status_code == 202
    answer = store(client, image("held", 2).file(), path=WAITING)
    assert (answer.status_code, last_upload(web)) == (202, ("dicomweb", "held")), answer.text
    assert [item[WARNING] for item in items(answer, STORED)] == [0xB000]


def test_an_object_of_another_patient_in_the_study_is_answered_by_its_import(web: Web, client: httpx.Client) -> None:
    first, other = image("patients", 1), image("patients", 2, patient_id=b"another")
    assert store(client, first.file(), path=WAITING).status_code == 200
    assert last_upload(web) == ("gradual", "receiving")
    answer = store(client, other.file(), path=WAITING)
    assert (answer.status_code, last_upload(web)) == (202, ("dicomweb", "held")), answer.text
    assert [item[WARNING] for item in items(answer, STORED)] == [0xB000]


def test_an_object_of_another_study_is_refused_as_ever(client: httpx.Client) -> None:
    answer = store(client, image("refused").file(), path=f"{WAITING}/1.2.3")
    assert answer.status_code == 409
    assert [item[FAILURE] for item in items(answer, FAILED)] == [0xA900]


def test_large_objects(web: Web, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is a body goes to a file first; of a part it is not known in time whether another follows."""
    monkeypatch.setattr(gradual, "IN_MEMORY", 70_000)
    padding = {0x7FE00010: (b"OB", b"\1" * 300_000)}
    alone, part = image("large", 1, also=padding), image("large", 2, study=2, also=padding)
    answer = client.post(WAITING, content=alone.file(), headers=DICOM)
    assert (answer.status_code, last_upload(web)) == (200, ("gradual", "receiving")), answer.text
    answer = store(client, part.file(), path=WAITING)
    assert (answer.status_code, last_upload(web)) == (200, ("dicomweb", "placed")), answer.text
    for sent in (alone, part):
        study, series, sop = (uid.decode() for uid in (sent.study_uid, sent.series_uid, sent.sop_uid))
        got = client.get(f"{SITE}/{study}/series/{series}/instances/{sop}", headers=ACCEPT)
        assert sent.file() in got.content


def test_a_session_is_built_once_no_more_objects_come(tmp_path: Path) -> None:
    settings = load_settings().model_copy(update={"gradual_seconds": 0.2})
    with (
        serve_in_process(tmp_path / "data", settings) as running,
        InProcessWorker(tmp_path / "data"),
        running.client() as client,
    ):
        assert store(client, images(1)[0], path=SITE).status_code == 200
        until(lambda: last_upload(running) == ("gradual", "placed"), "nothing was built")
