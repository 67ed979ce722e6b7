"""Which routers of the application are asked for a path: none that has no route for it; and what routes depend on."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from starlette.routing import Match
from starlette.types import Scope

from scandock.services.settings import load_settings
from scandock.web.app import create_app
from scandock.web.query_parameters import check_parameter_names
from scandock.web.request_checks import check_request

NONE = ["", "/", "/nothing", "/api/v1/projects/", "/data/projects/P/nothing/x", "/data/projects\n", "/api/v1/Projects"]


@pytest.fixture(scope="module")
def routers(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    app = create_app(str(tmp_path_factory.mktemp("asked")), load_settings())
    return [one for one in app.routes if hasattr(one, "original_router")]


@pytest.fixture(scope="module")
def paths(routers: list[Any]) -> list[str]:
    """One for each route, and some that no route has."""
    every = [route.path for one in routers for route in one.original_router.routes]
    assert len(every) > 400
    filled = ["/".join("a%2Fb c" if "{" in part else part for part in path.split("/")) for path in every]
    return [*filled, *(f"{path}/and/more" for path in filled[::10]), *NONE]


def asking(path: str, root: str = "", kind: str = "http") -> Scope:
    return {"type": kind, "method": "GET", "path": root + path, "root_path": root, "headers": []}


@pytest.mark.long
@pytest.mark.parametrize(("root", "step"), [("", 1), ("/dock", 9)])
def test_each_says_what_it_would_say_by_itself(routers: list[Any], paths: list[str], root: str, step: int) -> None:
    for path in paths[::step]:
        for one in routers:
            scope = asking(path, root)
            assert one.matches(scope)[0] == type(one).matches(one, scope)[0], (path, one.original_router.routes[0].path)


@pytest.mark.parametrize("path", ["/dock", "/docks/api/v1/projects", "/api/v1/projects"])
def test_what_is_not_below_the_root_is_left_to_them(routers: list[Any], path: str) -> None:
    for one in routers:
        scope = {**asking("", "/dock"), "path": path}
        assert one.matches(scope)[0] == type(one).matches(one, scope)[0]


def test_few_are_asked(routers: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    kind = type(routers[0].original_router)
    matches = kind.matches

    def note(self: Any, scope: Scope) -> tuple[Match, Scope]:
        asked.append(self)
        told: tuple[Match, Scope] = matches(self, scope)
        return told

    monkeypatch.setattr(kind, "matches", note)
    assert [one for one in routers if one.matches(asking("/data/projects"))[0] == Match.FULL]
    assert len(asked) <= 3 < len(routers)


def dependencies(dependant: Dependant) -> Iterator[Dependant]:
    for dependency in dependant.dependencies:
        yield dependency
        yield from dependencies(dependency)


def test_no_dependency_takes_a_turn_of_a_thread(routers: list[Any]) -> None:
    """As FastAPI gives one to each that is a class or a plain function."""
    checked = set()
    for router in routers:
        for route in router.effective_route_contexts():
            for dependency in dependencies(route.dependant):
                checked.add(dependency.call)
                assert inspect.iscoroutinefunction(dependency.call), f"{dependency.call} of {route.path}"
    assert {check_request, check_parameter_names} < checked
