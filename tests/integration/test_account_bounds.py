"""How many projects an account makes, at every door that makes one; administrators have no bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from scandock.services import project_creation
from tests.builders import DataFolder
from tests.integration.web import Web, serve_in_process


@pytest.fixture
def web(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(project_creation, "MAX_PROJECTS", 2)
    with serve_in_process(site.data) as running:
        running.account("ann")
        yield running


def by_page(client: httpx.Client, name: str) -> httpx.Response:
    with_csrf = {"id": name, "name": f"Title of {name}"}
    return client.post("/projects", data=with_csrf)


DOORS: dict[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "api": lambda client, name: client.post("/api/v1/projects", json={"id": name, "name": f"Title of {name}"}),
    "dialect": lambda client, name: client.put(f"/data/projects/{name}"),
    "page": by_page,
}


ANSWERS = {"api": (201, 409), "dialect": (200, 200), "page": (303, 409)}
"""To a project that is made, and to one that is there."""


@pytest.mark.parametrize("door", DOORS)
def test_one_project_too_many_is_refused_with_what_helps(web: Web, door: str) -> None:
    make = DOORS[door]
    with web.client("ann") as ann, web.client() as admin:
        made, again = ANSWERS[door]
        assert [make(ann, f"A{number}").status_code for number in range(2)] == [made] * 2
        refused = make(ann, "A2")
        assert refused.status_code == 409
        assert "You have made 2 projects" in refused.text
        assert "ask an administrator" in refused.text
        assert ann.get("/api/v1/projects/A2").status_code == 404
        counted = ann.get("/metrics").text
        assert 'scandock_account_limits_total{limit="projects"}' in counted
        for number in range(4):  # more than others may
            assert make(admin, f"B{number}").status_code == made
        assert make(ann, "a1").status_code == again, "what is there goes on being there"


def test_a_deleted_project_makes_room_and_one_given_away_does_not(web: Web) -> None:
    make = DOORS["api"]
    with web.client("ann") as ann, web.client() as admin:
        for name in ("A0", "A1"):
            assert make(ann, name).status_code == 201
        assert admin.put("/data/projects/A0/users/Owners/admin").status_code == 200
        assert ann.delete("/data/projects/A0/users/Owners/ann").status_code == 200
        assert make(ann, "A2").status_code == 409
        assert ann.delete("/data/projects/A1").status_code == 200
        assert make(ann, "A2").status_code == 201


def test_projects_that_others_gave_do_not_count(web: Web) -> None:
    make = DOORS["api"]
    with web.client("ann") as ann, web.client() as admin:
        for number in range(3):
            assert make(admin, f"B{number}").status_code == 201
            assert admin.put(f"/data/projects/B{number}/users/Owners/ann").status_code == 200
        assert make(ann, "A0").status_code == 201
