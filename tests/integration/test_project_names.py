"""Every door gives a project only names that are no other project's, and tells a stranger no more than that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scandock.model.errors import Usage
from scandock.services.projects import add_project
from tests.integration.web import Web, serve_in_process


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A server with a private project that `owner` alone sees, and whose names are taken."""
    with serve_in_process(tmp_path_factory.mktemp("names") / "data") as web:
        web.account("owner")
        web.account("stranger")
        with web.client("owner") as owner:
            said = {"name": "Hidden title", "secondary_ID": "Hidden second", "alias": "Hidden alias"}
            assert owner.put("/data/projects/HIDDEN", params=said).status_code == 200
        yield web


@pytest.fixture
def stranger(web: Web) -> Iterator[httpx.Client]:
    with web.client("stranger") as client:
        yield client


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_the_api_gives_no_taken_name(stranger: httpx.Client) -> None:
    def new(**body: str) -> httpx.Response:
        return stranger.post("/api/v1/projects", json=body)

    assert new(id="OWN").status_code == 201
    for name in ("hidden title", "HIDDEN SECOND", "Hidden alias", "hidden"):
        refused = new(id="NEW", name=name)
        assert told(refused) == (409, "title_taken")
        again = stranger.patch("/api/v1/projects/OWN", json={"name": name})
        assert told(again) == (409, "title_taken")
        assert again.json()["detail"] == refused.json()["detail"]
    assert told(new(id="hidden")) == (409, "project_exists")
    assert stranger.patch("/api/v1/projects/OWN", json={"name": "OWN", "petmr": "pet"}).status_code == 200
    assert stranger.get("/api/v1/projects/NEW").status_code == 404


def test_the_dialect_gives_no_taken_name(stranger: httpx.Client, web: Web) -> None:
    for said in ({"name": "HIDDEN TITLE"}, {"secondary_ID": "hidden"}, {"alias": "hidden second"}):
        for answer in (
            stranger.put("/data/projects/D1", params=said),
            stranger.post("/data/projects", params={"ID": "D1", **said}),
        ):
            assert (answer.status_code, "HIDDEN" in answer.text.replace("'HIDDEN TITLE'", "")) == (409, False), (
                answer.text
            )
    assert stranger.get("/data/projects/D1").status_code == 404
    with web.client("owner") as owner:
        for said in ({}, {"description": "x"}):
            answer = owner.put("/data/projects/hidden alias", params=said)
            assert (answer.status_code, "PUT to /data/projects/HIDDEN" in answer.text) == (409, True), answer.text
        assert owner.put("/data/projects/hidden", params={"description": "y"}).status_code == 200
        assert owner.put("/data/projects/hidden alias/subjects/S").status_code == 201


def test_the_pages_say_that_a_name_is_taken(web: Web) -> None:
    with web.client("owner") as owner:
        sent = {"id": "PAGE", "name": "hidden second"}
        answer = owner.post("/projects", data=sent)
        assert answer.status_code == 409
        assert "is taken" in answer.text
        assert 'value="hidden second"' in answer.text
        sent["name"] = "Page"
        assert owner.post("/projects", data=sent).status_code == 303
        settings = {
            "name": "Hidden alias", "accessibility": "private", "prearchive_code": "0",
            "identified": "accept", "petmr": "separate",
        }  # fmt: skip
        answer = owner.post("/projects/PAGE/settings", data=settings)
        assert answer.status_code == 409
        assert "is taken" in answer.text
        assert owner.get("/api/v1/projects/PAGE").json()["prearchive_code"] == 4
        assert 'value="default" checked' in owner.get("/projects/PAGE/settings").text
        assert owner.post("/projects/PAGE/settings", data={**settings, "name": "Page"}).status_code == 303
        assert owner.get("/api/v1/projects/PAGE").json()["petmr"] == "separate"
        assert 'value="separate" checked' in owner.get("/projects/PAGE/settings").text


def test_the_command_line_makes_no_project_of_a_taken_name(web: Web) -> None:
    data = str(Path(web.site.data))
    for project_id, name in (("CLI", "hidden TITLE"), ("CLI", "Hidden"), ("HiddenX", "hidden second")):
        with pytest.raises(Usage) as refused:
            add_project(data, web.site.settings, project_id, name=name)
        assert refused.value.code == "title_taken"


def test_the_api_has_what_is_said_of_a_project_as_far_as_one_may_see_it(web: Web, stranger: httpx.Client) -> None:
    said = {
        "name": "Hearts", "secondary_ID": "HS", "description": "All may know", "keywords": "heart mri", "alias": "h 2",
        "pi_lastname": "Byron", "xnat:projectData/PI/email": "a@b.example", "accessibility": "protected",
    }  # fmt: skip
    shown = {
        "name": "Hearts", "secondary_id": "HS", "description": "All may know", "keywords": "heart mri",
        "aliases": ["h 1", "h 2"], "investigator": {"lastname": "Byron"},
    }  # fmt: skip
    with web.client("owner") as owner:
        assert owner.put("/data/projects/TOLD", params=said).status_code == 200
        assert owner.put("/data/projects/TOLD", params={"alias": "h 1"}).status_code == 200
        whole = shown | {"investigator": {"lastname": "Byron", "email": "a@b.example"}}
        for client, told in ((owner, whole), (stranger, shown)):
            (listed,) = client.get("/api/v1/projects?prefix=TOLD").json()["items"]
            for one in (listed, client.get("/api/v1/projects/TOLD").json()):
                assert {name: one[name] for name in told} == told
        assert owner.put("/data/projects/PLAIN").status_code == 200
        plain = owner.get("/api/v1/projects/PLAIN").json()
        assert [plain[name] for name in ("secondary_id", "description", "aliases", "investigator")] == ["", "", [], {}]
