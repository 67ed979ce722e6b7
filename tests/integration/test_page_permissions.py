"""Every page by every role, in projects of every accessibility: the answer is the matrix's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from scandock.rules.permissions import AccessDecision, Action
from scandock.web.pages.routing import PageRoute
from tests.integration.page_probes import LISTS, OPEN, PAGES, PageProbe
from tests.integration.sample_server import PERSONAS, Persona, SampleProject, SampleServer, serve_samples
from tests.integration.test_permission_matrix import matrix
from tests.integration.web import PASSWORD

pytestmark = pytest.mark.long

STATUS = {AccessDecision.FORBIDDEN: 403, AccessDecision.HIDDEN: 404}
KINDS = sorted({path.split("/")[1] for _, path in PAGES})
"""What the pages are about, by the first word of their addresses."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleServer]:
    with serve_samples(tmp_path_factory.mktemp("pages")) as ready:
        yield ready


def pages_of(made: SampleServer) -> list[PageRoute]:
    found: list[Any] = []
    for route in made.web.app.routes:
        included = getattr(route, "original_router", None)
        found += [route] if included is None else included.routes
    return [route for route in found if isinstance(route, PageRoute)]


def test_every_page_has_a_probe(made: SampleServer) -> None:
    pages = {(method, route.path) for route in pages_of(made) for method in route.methods or ()}
    assert pages == LISTS | OPEN | set(PAGES), "give a new page its probe"


def test_every_form_is_checked_to_be_a_pages(made: SampleServer) -> None:
    unchecked = {
        route.path
        for route in pages_of(made)
        if "POST" in (route.methods or ())
        and not any(one.call is not None and one.call.__name__ == "_make_form" for one in route.dependant.dependencies)
    }
    with_files = {path for (method, path), probe in PAGES.items() if method == "POST" and probe.has_file}
    assert unchecked == {"/login", "/upload", *with_files}  # no byte of a file is kept before the token is looked at


def test_a_form_with_a_file_is_none_of_another_sites(made: SampleServer) -> None:
    forms = [(path, probe) for (_, path), probe in PAGES.items() if probe.has_file]
    with made.web.asking() as client:
        assert client.post("/login", data={"name": "admin", "password": PASSWORD}).status_code == 303
        for path, probe in forms:
            address = path.format(project=made.places[0].project)
            told = client.post(address, data=dict(probe.fields), files={"file": ("a.dcm", b"x")})
            assert told.status_code == 403, path


def expected(probe: PageProbe, who: Persona, place: SampleProject) -> AccessDecision:
    own = who.owns and (probe.of_import or (place.unassigned and probe.of == "waiting"))
    if probe.of == "site":
        return matrix(probe.action, who, None)
    told = matrix(probe.action, who, place, own=own)
    readable = matrix(Action.IMPORT_READ, who, place, own=own) is AccessDecision.ALLOWED
    return AccessDecision.HIDDEN if probe.of_import and told is AccessDecision.FORBIDDEN and not readable else told


def ask(
    made: SampleServer, method: str, path: str, probe: PageProbe, place: SampleProject, who: Persona
) -> httpx.Response:
    about = getattr(place, probe.of, "")
    word = place.project.removesuffix("_project")
    values = {
        "project": place.project, "label": f"{word}_kept", "uuid": about, "session": about, "scan": "1",
        "subject": f"{word}_0", "account": "stranger", "alias": "none", "kind": "subject", "file": "0",
        "path": "viewer",
        "peer": "none",
    }  # fmt: skip
    if probe.of == "subject":
        values["subject"] = made.clients["admin"].get(f"/api/v1/subjects/{about}").json()["label"]
    if "{receiver}" in path:
        values["receiver"] = made.receiver(place)
    if "{timestamp}" in path:
        uri = made.clients["admin"].get(f"/api/v1/sessions/{about}").json()["uri"]
        values["timestamp"], values["folder"] = uri.split("/")[-2:]
    address = path.replace(":path}", "}").format_map(values)
    fields = {name: value.format_map(values) for name, value in probe.fields.items()}
    params = {name: value.format_map(values) for name, value in probe.params.items()}
    data = fields if method == "POST" else None
    files = {"file": ("a.dcm", b"")} if probe.has_file else None
    return made.clients[who.name].request(method, address, params=params, data=data, files=files)


def wrong(method: str, probe: PageProbe, right: AccessDecision, told: httpx.Response) -> str:
    if right is AccessDecision.ALLOWED:
        good = probe.good
    elif right is AccessDecision.SIGN_IN:
        good = (303,) if method == "GET" else (401,)
    else:
        good = (STATUS[right],)
    if told.status_code not in good:
        return f"{told.status_code} {told.text[:300]}, not {good} for {right}"
    if right is AccessDecision.SIGN_IN and method == "GET" and "/login?then=" not in told.headers["location"]:
        return f"led to {told.headers['location']}"
    heading = probe.heading if right is AccessDecision.ALLOWED else "<h1"
    return "" if told.status_code == 303 or heading in told.text else "no page"


def check(made: SampleServer, method: str, path: str) -> None:
    """Ask for one page by everybody in every project."""
    probe = PAGES[method, path]
    found, answers = {}, set()
    places = made.places[:1] if probe.of == "site" else [one for one in made.places if getattr(one, probe.of)]
    if probe.of == "project":
        places = [one for one in places if not one.unassigned]
    for place in places:
        for who in PERSONAS:
            right = expected(probe, who, place)
            off = wrong(method, probe, right, ask(made, method, path, probe, place, who))
            answers.add(right)
            if off:
                found[f"{who.name} in {place.project}"] = off
    assert not found, "\n".join(f"{where}: {off}" for where, off in found.items())
    assert len(answers) > 1, "nobody was refused, or nobody let through"


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_the_matrixs(made: SampleServer, kind: str, subtests: pytest.Subtests) -> None:
    for method, path in sorted(PAGES):
        if path.split("/")[1] == kind:
            with subtests.test(f"{method} {path}"):
                check(made, method, path)


def test_a_list_names_nothing_hidden(made: SampleServer, subtests: pytest.Subtests) -> None:
    for path in sorted(path for method, path in LISTS if method == "GET"):
        with subtests.test(path):
            for name in ("stranger", "anonymous"):
                told = made.clients[name].get(path)
                assert told.status_code == (303 if name == "anonymous" and path != "/projects" else 200)
                assert "Zebra" not in told.text


def test_what_is_hidden_is_told_in_the_words_for_what_is_not_there(made: SampleServer) -> None:
    private = made.places[0]
    for path, real, none in (
        ("/projects/{}", private.project, "Nowhere"),
        ("/projects/{}/sessions/Zebra_kept", private.project, "Nowhere"),
        ("/imports/{}/receipt", private.ended, "01900000-0000-7000-8000-000000000000"),
    ):
        said = [made.clients["stranger"].get(path.format(one)) for one in (real, none)]
        assert [one.status_code for one in said] == [404, 404]
        assert said[0].text.replace(real, "X") == said[1].text.replace(none, "X"), path
