"""Every route by every role, in projects of every accessibility, over HTTP: the answer is the matrix's."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from scandock.rules.permissions import REQUIREMENTS, AccessDecision, Accessibility, Action, answer
from scandock.web import urls
from scandock.web.pages.routing import PageRoute
from scandock.web.xnat.routing import XnatRoute
from tests.integration.probes import EACH_OBJECT, MORE_PROBES, OBJECT_LIST, OPEN, PROBES, SITE_ROUTE, Probe
from tests.integration.sample_server import PERSONAS, Persona, SampleProject, SampleServer, serve_samples

pytestmark = pytest.mark.long

STATUS = {AccessDecision.SIGN_IN: 401, AccessDecision.FORBIDDEN: 403, AccessDecision.HIDDEN: 404}
CODES = {
    AccessDecision.SIGN_IN: "login_needed",
    AccessDecision.FORBIDDEN: "forbidden",
    AccessDecision.HIDDEN: "not_found",
}
EVERY = [(method, path, probe) for (method, path), probe in PROBES.items()] + MORE_PROBES
KINDS = sorted({path.removeprefix("/api/v1/").partition("/")[0] for _, path, _ in EVERY})
"""What the routes are about, by the word after the API's version."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleServer]:
    with serve_samples(tmp_path_factory.mktemp("matrix")) as ready:
        yield ready


def every_route(app: FastAPI) -> set[tuple[str, str]]:
    """Method and path of all that the application answers, but for its pages, XNAT's dialect and DICOMweb.

    Those have `test_page_permissions`, `test_xnat_permissions` and `test_dicomweb_permissions`.
    """
    routes: list[Any] = []
    for route in app.routes:
        included = getattr(route, "original_router", None)
        routes += [route] if included is None else included.routes
    return {
        (method, route.path)
        for route in routes
        if not isinstance(route, PageRoute | XnatRoute)
        and route.path not in ("/static/{version}/{name:path}", "/ohif/static/{stamp}/{name:path}")
        and not route.path.startswith(urls.DICOMWEB)
        for method in route.methods or ()
    }


def test_every_route_has_a_rule(made: SampleServer) -> None:
    routes = every_route(made.web.app)
    assert len(routes) > 60
    assert routes == OPEN | set(PROBES), "give a new route its probe"


def expected(probe: Probe, who: Persona, place: SampleProject) -> AccessDecision:
    """What the matrix says: the first of a route's questions that is not answered well."""
    own = who.owns and ("import" in probe.also or (place.unassigned and probe.of == "waiting"))
    if probe.kind == SITE_ROUTE:
        return matrix(probe.action, who, None, own=False)
    if "import" in probe.also and matrix(Action.IMPORT_READ, who, place, own=own) is not AccessDecision.ALLOWED:
        return AccessDecision.HIDDEN if who.signed_in else AccessDecision.SIGN_IN
    told = [matrix(probe.action, who, place, own=own)]
    if "upload" in probe.also and not place.unassigned:
        told.append(matrix(Action.UPLOAD, who, place))
    if "own" in probe.also and not who.owns:
        told.append(AccessDecision.FORBIDDEN)
    return next((one for one in told if one is not AccessDecision.ALLOWED), AccessDecision.ALLOWED)


def matrix(action: Action, who: Persona, place: SampleProject | None, *, own: bool = False) -> AccessDecision:
    return answer(
        action,
        role=None if place is None or place.unassigned else who.role,
        accessibility=Accessibility.PRIVATE if place is None else place.accessibility,
        admin=who.admin,
        signed_in=who.signed_in,
        own=own,
        scope=who.scope,
    )


def names(made: SampleServer, probe: Probe, place: SampleProject, who: Persona) -> dict[str, str]:
    """What stands for the parameters of a route."""
    about = getattr(place, probe.of) if hasattr(place, probe.of) else ""
    target = made.places[0].project if place.unassigned else place.project
    values = {"project": place.project, "target": target, "session": about, "subject": about, "id": about}
    values |= {
        "kind": "subject",
        "scan": "1",
        "file": "0",
        "image": "0",
        "wish": "close",
        "project64": base64.b64encode(place.project.encode()).decode(),
    }
    if probe.fresh is not None:
        asker = who.name if who.signed_in else "stranger"
        values |= dict.fromkeys(
            ("upload", "alias", "subscription", "account", "login", "receiver", "peer", "path"),
            probe.fresh(made, place, asker),
        )
    return values


def filled(given: Any, values: Mapping[str, str]) -> Any:
    if isinstance(given, str):
        return given.format_map(values)
    return {key: filled(value, values) for key, value in given.items()} if isinstance(given, Mapping) else given


def ask(made: SampleServer, method: str, path: str, probe: Probe, place: SampleProject, who: Persona) -> httpx.Response:
    values = names(made, probe, place, who)
    body = filled(probe.json, values)
    if probe.kind == EACH_OBJECT:
        body = {**body, "sessions": [values["session"]]}
    return made.clients[who.name].request(
        method,
        path.replace(":path}", "}").format_map(values),
        params={**filled(probe.params, values), **({"limit": "500"} if probe.kind == OBJECT_LIST else {})},
        headers=filled(probe.headers, values),
        json=body,
        content=probe.content,
        data=probe.form,
        files=None if probe.form is None else {"file": ("a.dcm", b"")},
    )


def places_of(made: SampleServer, probe: Probe) -> list[SampleProject]:
    if probe.kind == SITE_ROUTE:
        return made.places[:1]
    if probe.of == "owned":
        return [place for place in made.places if not place.unassigned]
    return [place for place in made.places if getattr(place, probe.of)]


def wrong(probe: Probe, who: Persona, place: SampleProject, told: httpx.Response) -> str:
    """What is off with an answer; empty where it is the matrix's."""
    right = expected(probe, who, place)
    if probe.kind == OBJECT_LIST:
        return _wrong_list(probe, right, place, who, told)
    if probe.kind == EACH_OBJECT:
        if told.status_code != 200:
            return f"{told.status_code}, not 200"
        [one] = told.json()["items"]
        denied = CODES.get(right)
        good = one.get("code") == denied if denied else one.get("code") not in CODES.values()
        return "" if good else f"{one}, not {right}"
    good_ones = probe.good if right is AccessDecision.ALLOWED else (STATUS[right],)
    if told.status_code not in good_ones:
        return f"{told.status_code} {told.text[:200]}, not {good_ones} for {right}"
    return ""


def _wrong_list(probe: Probe, right: AccessDecision, place: SampleProject, who: Persona, told: httpx.Response) -> str:
    if "signed_in" in probe.also and not who.signed_in:
        return "" if told.status_code == 401 else f"{told.status_code}, not 401"
    if (
        who.signed_in and who.scope not in REQUIREMENTS[probe.action].scopes
    ):  # an empty list would say that there is nothing
        return "" if told.status_code == 403 else f"{told.status_code}, not 403"
    if told.status_code != 200:
        return f"{told.status_code}, not 200"
    seen = getattr(place, probe.of) in {one["id"] for one in told.json()["items"]}
    return "" if seen is (right is AccessDecision.ALLOWED) else f"{'seen' if seen else 'not seen'}, though {right}"


def check(made: SampleServer, method: str, path: str, probe: Probe) -> None:
    """Ask one route by everybody in every project."""
    found = {}
    answers = set()
    for place in places_of(made, probe):
        for who in PERSONAS:
            off = wrong(probe, who, place, ask(made, method, path, probe, place, who))
            answers.add(expected(probe, who, place))
            if off:
                found[f"{who.name} in {place.project}"] = off
    assert not found, "\n".join(f"{where}: {off}" for where, off in found.items())
    assert len(answers) > 1, "nobody was refused, or nobody let through"


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_the_matrixs(made: SampleServer, kind: str, subtests: pytest.Subtests) -> None:
    for method, path, probe in EVERY:
        if path.removeprefix("/api/v1/").partition("/")[0] == kind:
            with subtests.test(f"{method} {path}", action=probe.action, of=probe.of):
                check(made, method, path, probe)


def test_the_mounted_tree_lists_the_projects_of_which_one_may_read_the_sessions(made: SampleServer) -> None:
    for who in PERSONAS:
        told = made.clients[who.name].get("/api/v1/tree/")
        if who.signed_in and who.scope not in REQUIREMENTS[Action.SESSION_READ].scopes:
            assert told.status_code == 403
            continue
        assert told.status_code == 200
        for place in made.places:
            may = matrix(Action.SESSION_READ, who, place) is AccessDecision.ALLOWED
            assert (f'href="{place.project}/"' in told.text) is may, (who.name, place.project)


def test_what_is_open_is_open_to_all(made: SampleServer, subtests: pytest.Subtests) -> None:
    for method, path in sorted(OPEN):
        with subtests.test(f"{method} {path}"):
            for client in made.clients.values():
                told = client.request(method, path.format(upload="x"))
                assert told.status_code not in (401, 403, 404) or "oidc_off" in told.text, told.text


def test_what_is_hidden_is_told_in_the_words_for_what_is_not_there(made: SampleServer) -> None:
    private = made.places[0]
    assert private.accessibility is Accessibility.PRIVATE
    nowhere = "01900000-0000-7000-8000-000000000000"
    for path, real, none in (
        ("/api/v1/sessions/{}", private.archived, nowhere),
        ("/api/v1/prearchive/{}", private.waiting, nowhere),
        ("/api/v1/subjects/{}", private.subject, nowhere),
        ("/api/v1/imports/{}", private.ended, nowhere),
        ("/api/v1/imports/{}/receipt", private.ended, nowhere),
        ("/api/v1/projects/{}", private.project, "Nowhere"),
        ("/api/v1/sessions?project={}", private.project, "Nowhere"),
        ("/api/v1/audit?project={}", private.project, "Nowhere"),
    ):
        for name in ("stranger", "anonymous"):
            said = [made.clients[name].get(path.format(one)) for one in (real, none)]
            words = [{k: v for k, v in one.json().items() if k != "request_id"} for one in said]
            assert words[0] == words[1], path
            assert said[0].status_code == (404 if name == "stranger" else 401)
