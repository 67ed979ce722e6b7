"""docs/api.md and the route table name each other: no route without a line, no line without a route."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from scandock.services.notifications import RETRY_PAUSES
from scandock.services.settings import Settings, load_settings, variable_name
from scandock.services.webhooks import sign
from scandock.web.app import create_app
from scandock.web.v1.subscriptions import State

pytestmark = pytest.mark.long

PAGE = (Path(__file__).parents[3] / "docs/api.md").read_text(encoding="utf-8")
PREFIX = "/api/v1"
ELSEWHERE = {("GET", "/auth/oidc/callback")}
"""Where the provider sends a browser: no client asks for it."""


def bare(path):
    return re.sub(r"\{[^}]*\}", "{}", path)


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    paths = create_app(str(tmp_path_factory.mktemp("documented")), load_settings()).openapi()["paths"]
    return {
        (method.upper(), bare(path.removeprefix(PREFIX))): operation
        for path, operations in paths.items()
        if path.startswith(PREFIX)
        for method, operation in operations.items()
        if method not in ("head", "options") and "uploads (tus 1.0)" not in operation["tags"]
    }


def documented():
    found = re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`? ]*)(\?[^`]*)?`", PAGE)
    return {(method, bare(path.removeprefix(PREFIX))): query for method, path, query in found}


def test_every_route_has_a_line(described):
    lines = documented()
    assert {one for one in described if one not in lines} - ELSEWHERE - {("POST", "/imports")} == set()
    assert "'https://dock/api/v1/imports?project=P' -X POST" in PAGE


def test_every_line_is_of_a_route(described):
    assert {one for one in documented() if one not in described and not one[1].startswith("/uploads")} == set()


def test_what_lists_take_in_the_query_is_what_they_take(described):
    for where, query in documented().items():
        if where[0] != "GET" or where not in described:
            continue
        told = set(re.findall(r"[?&](\w+)=", query))
        taken = {one["name"] for one in described[where].get("parameters", ()) if one["in"] == "query"}
        assert not told - taken, where
        if query and where != ("GET", "/auth/oidc/login"):
            assert not taken - told, where


def test_figures_and_names_on_the_page_are_those_of_the_program():
    variables = {variable_name(name) for name in Settings.model_fields}
    assert set(re.findall(r"`(SCANDOCK_\w+)`", PAGE)) <= variables
    assert RETRY_PAUSES == (60, 5 * 60, 30 * 60, 2 * 3600, 8 * 3600)
    assert "again after 1, 5 and 30 minutes, 2 and 8 hours" in PAGE
    for state in get_args(State):
        assert f"`{state}`" in PAGE


def test_the_page_s_way_to_prove_a_webhook_holds():
    code = "\n".join(
        line[4:]
        for line in PAGE.splitlines()
        if line.startswith(("    import hashlib", "    right =", "    assert hmac"))
    )
    assert code.count("\n") == 2
    body = b'{"event": "import.ended"}'
    t, v1 = (part.partition("=")[2] for part in sign("secret", 1764000000, body).split(","))
    exec(code, {"secret": "secret", "t": t, "v1": v1, "body": body})
    with pytest.raises(AssertionError):
        exec(code, {"secret": "other", "t": t, "v1": v1, "body": body})
