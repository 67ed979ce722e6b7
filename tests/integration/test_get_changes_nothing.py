"""No GET changes anything where a browser says that another site's page asks: every route that answers one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import select

from scandock.access.principal import SYSTEM
from scandock.catalog.server_tables import api_token, audit, file_md5, login, verification, verified_files
from scandock.catalog.tables import metadata
from scandock.rules.permissions import Scope
from scandock.services.accounts import Accounts
from tests.integration.sample_server import SampleServer, serve_samples

pytestmark = pytest.mark.long

ELSEWHERE = {"Sec-Fetch-Site": "cross-site"}
REFUSED = {
    "/data/JSESSION",
    "/data/JSESSIONID",
    "/data/auth",
    "/app/action/LogoutUser",
    "/data/services/tokens/issue",
    "/data/services/tokens/issue/user/{login}",
    "/data/services/tokens/invalidate/{alias}",
    "/data/services/tokens/invalidate/{alias}/{secret}",
}
"""What does change something, and is refused; by a name and password those of a login begin one."""
ENDLESS = {"/api/v1/imports/{id}/events", "/api/v1/events"}

BESIDE = {audit.name, verification.name, verified_files.name, file_md5.name}
"""What was looked at is written down, and files are verified beside all that is asked."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleServer]:
    with serve_samples(tmp_path_factory.mktemp("gets")) as ready:
        yield ready


def gets(made: SampleServer) -> list[str]:
    """The paths of all routes that answer a GET and end."""
    routes: list[Any] = []
    for route in made.web.app.routes:
        included = getattr(route, "original_router", None)
        routes += [route] if included is None else included.routes
    paths = {one.path for one in routes if isinstance(one, APIRoute) and "GET" in (one.methods or ())}
    return sorted(paths - ENDLESS)


def kept(made: SampleServer) -> dict[str, list[Any]]:
    """The rows of the catalog, but for when somebody was last seen."""
    with made.web.site.catalog.read() as connection:
        return {
            name: [
                {key: value for key, value in row.items() if key != "seen"}
                for row in connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()
            ]
            for name, table in metadata.tables.items()
            if name not in BESIDE
        }


def test_another_sites_page_changes_nothing_by_any_get(made: SampleServer) -> None:
    place, admin = made.places[0], made.clients["admin"]
    name = admin.get("/api/v1/auth/me").json()["name"]
    one = admin.get(f"/api/v1/sessions/{place.archived}").json()
    token = Accounts(made.web.site.catalog, SYSTEM).issue_token(scope=Scope.ALL, account_name=name)
    known = {
        "project": place.project, "projects": place.project, "session": place.archived, "uuid": place.waiting,
        "label": one["label"], "experiment": one["label"], "subject": one["subject"], "id": place.ended,
        "alias": token.alias, "secret": token.secret, "account": name, "kind": "project",
        "resource": "DICOM", "resources": "DICOM",
    }  # fmt: skip
    paths = gets(made)
    assert {*REFUSED, "/", "/projects", "/api/v1/projects/{project}"} <= set(paths)
    before = kept(made)
    refused = set()
    for path in paths:
        address = re.sub(r"\{(\w+)(:\w+)?\}", lambda found: known.get(found[1], "1"), path)
        answer = admin.get(address, headers=ELSEWHERE)
        assert answer.status_code < 500, path
        if answer.status_code == 403:
            refused.add(path)
    assert refused == REFUSED
    after = kept(made)
    assert {name for name in before if after[name] != before[name]} == set()
    assert before[login.name] == []
    assert before[api_token.name] != []
