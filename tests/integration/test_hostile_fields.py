"""Every route with all of its fields full of signs: refused or answered, never a fault, in time as long as the text."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from typing import Any, get_args

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from tests.builders import DataFolder, images, uploader_layout
from tests.integration.web import Web, serve_in_process

pytestmark = pytest.mark.long

SIGN = "["
SMALL, LARGE = 2_000, 20_000
"""Characters of each piece of an address, each parameter, each header and each field of a body."""
MOST = 20
FLOOR = 0.02
"""Seconds of processor time that any request may take."""
IN_DIALECT = ("columns", "xsiType", "sortBy", "format", "src", "field", "dest")
"""Parameters that the routes of XNAT's dialect read by themselves."""
HEADERS = ("accept", "cookie", "if-none-match", "if-match", "range", "upload-metadata", "idempotency-key")
BASIC = "Basic " + base64.b64encode(b"admin:correct horse").decode()
ENDLESS = re.compile(r"/events$")
"""Streams that end when the client goes."""


@pytest.fixture
def web(site: DataFolder) -> Iterator[Web]:
    with serve_in_process(site.data) as running:
        site.bring(uploader_layout("S1", "1", images(1)), session="S1", subject="Ann")
        yield running


def test_no_request_of_signs_is_a_fault_or_takes_longer_than_its_length(
    web: Web, subtests: pytest.Subtests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("httpx._urlparse.MAX_URL_LENGTH", 1 << 20)
    made = [getattr(one, "original_router", None) or one for one in web.app.routes]
    routes = [route for one in made for route in getattr(one, "routes", [one]) if isinstance(route, APIRoute)]
    assert len(routes) > 300
    for route in routes:
        if ENDLESS.search(route.path):
            continue
        for method in sorted(route.methods or ()):
            with subtests.test(method=method, path=route.path):
                answer, seconds = sent(web, request(web, method, route, LARGE))
                assert answer.status_code < 500, answer.text
                if seconds >= MOST * FLOOR:  # once more, as a search for garbage may have fallen into it
                    seconds = min(seconds, sent(web, request(web, method, route, LARGE))[1])
                    assert seconds < MOST * max(FLOOR, sent(web, request(web, method, route, SMALL))[1])


def sent(web: Web, asked: httpx.Request) -> tuple[httpx.Response, float]:
    """An answer, and the seconds of processor time that this process took for it.

    No client is asked: to look at such an address and such cookies takes httpx's ten times as long as the server.
    """
    begin = time.process_time()
    answer = web.transport().handle_request(asked)
    seconds = time.process_time() - begin
    answer.read()
    return answer, seconds


def request(web: Web, method: str, route: APIRoute, size: int) -> httpx.Request:
    """A request of the administrator's with something in every field that a route takes."""
    asked = list(dependants(route.dependant))
    names = list(dict.fromkeys(field.alias for one in asked for field in one.query_params))
    if route.path.startswith("/data"):
        names += IN_DIALECT
    pieces = re.findall(r"\{[^}]+\}", route.path)
    each = SIGN * size
    path = route.path
    for piece in pieces:
        path = path.replace(piece, each, 1)
    query = "&".join([*(f"{name}={each}" for name in names), f"xnat:{each}=x"])
    fields = dict.fromkeys(body_fields([field for one in asked for field in one.body_params]), SIGN * size)
    body: dict[str, Any] = {}
    if method in ("POST", "PUT", "PATCH"):
        body = {"json": fields} if route.path.startswith("/api") else {"data": fields or {"name": SIGN * size}}
    headers = {**dict.fromkeys(HEADERS, SIGN * size), "authorization": BASIC}
    return httpx.Request(method, f"{web.base}{path}?{query}", headers=headers, **body)


def dependants(top: Dependant) -> Iterator[Dependant]:
    """What a route asks for, and what that asks for."""
    yield top
    for one in top.dependencies:
        yield from dependants(one)


def body_fields(params: list[Any]) -> Iterator[str]:
    """The names of the fields of a body."""
    for param in params:
        kinds = [param.field_info.annotation, *get_args(param.field_info.annotation)]
        models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        yield from (name for model in models for name in model.model_fields)
        if not models:
            yield param.alias
