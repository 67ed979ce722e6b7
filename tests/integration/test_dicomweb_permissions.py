"""Every route of DICOMweb by every role, in projects of every accessibility: the answer is the permission matrix's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from scandock.catalog.tables import session
from scandock.rules.permissions import AccessDecision, Accessibility, Action, answer
from scandock.web import urls
from tests.integration.dicomweb_probes import PROBES, DicomwebProbe
from tests.integration.sample_server import PERSONAS, Persona, SampleProject, SampleServer, serve_samples
from tests.stored_files import session_files

pytestmark = pytest.mark.long

STATUS = {AccessDecision.SIGN_IN: 401, AccessDecision.FORBIDDEN: 403, AccessDecision.HIDDEN: 404}
BASES = (urls.DICOMWEB, f"{urls.DICOMWEB}/projects/{{project}}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleServer]:
    with serve_samples(tmp_path_factory.mktemp("dicomweb")) as ready:
        yield ready


def test_every_route_has_a_probe_at_both_bases(made: SampleServer) -> None:
    routes: list[Any] = []
    for route in made.web.app.routes:
        included = getattr(route, "original_router", None)
        routes += [route] if included is None else included.routes
    there = {
        (method, route.path)
        for route in routes
        if route.path.startswith(urls.DICOMWEB)
        for method in route.methods or ()
    }
    assert there == {(method, f"{base}{path}") for method, path in PROBES for base in BASES}


def uids(made: SampleServer, uuid: str) -> dict[str, str]:
    """The UIDs of a session's first object."""
    with made.web.site.catalog.read() as connection:
        files = session_files(connection, session.c.uuid == uuid)
    first = next(one for one in files if one.row.sop_uid is not None)
    return {
        "study": first.study_uid or "", "series": first.series_uid or "", "instance": first.row.sop_uid or "",
        "frame": "1", "frames": "1", "element": "7FE00010",
    }  # fmt: skip


def ask(
    made: SampleServer, who: Persona, method: str, path: str, probe: DicomwebProbe, values: dict[str, str]
) -> httpx.Response:
    return made.clients[who.name].request(
        method,
        path.replace(":path}", "}").format_map(values),
        params={name: value.format_map(values) for name, value in probe.params.items()},
        headers=dict(probe.headers),
        content=probe.content,
    )


def decide(action: Action, who: Persona, place: SampleProject, *, own: bool = True) -> AccessDecision:
    """What the matrix says; with `own` also of what they have uploaded themselves."""
    return answer(
        action,
        role=None if place.unassigned else who.role,
        accessibility=place.accessibility,
        admin=who.admin,
        signed_in=who.signed_in,
        own=own and who.owns and place.unassigned,
        scope=who.scope,
    )


def expected(probe: DicomwebProbe, who: Persona, place: SampleProject, *, waits: bool, union: bool) -> tuple[int, ...]:
    """The statuses that may be answered; of a session of the archive, or of one that `waits` in the prearchive."""
    unknown = (404,) if who.signed_in else (401,)
    if probe.stores and (union or not who.signed_in):
        may_upload = answer(Action.UPLOAD, admin=True, scope=who.scope) is AccessDecision.ALLOWED
        return (401,) if not who.signed_in else probe.good if may_upload else (403,)
    if probe.stores and place.unassigned:
        return (404,)  # headers alone route there
    if not union:
        of_project = decide(probe.action, who, place, own=False)  # nothing is archived there
        if of_project is not AccessDecision.ALLOWED:
            return (STATUS[of_project],)
        return unknown if waits and not (probe.search or probe.stores) else probe.good
    if who.signed_in and not _may_read(who):
        return (403,)
    needed = Action.PREARCHIVE_READ if waits else probe.action
    return probe.good if probe.search or decide(needed, who, place) is AccessDecision.ALLOWED else unknown


def _may_read(who: Persona) -> bool:
    return answer(Action.SESSION_READ, admin=True, scope=who.scope) is AccessDecision.ALLOWED


@pytest.mark.parametrize(("method", "path"), sorted(PROBES))
def test_the_answer_is_the_matrixs(made: SampleServer, method: str, path: str) -> None:
    probe = PROBES[method, path]
    off, statuses = [], set()
    for place in made.places:
        for uuid, waits in ((place.archived, False), (place.waiting, True)):
            if not uuid:
                continue
            values = {"project": place.project, **uids(made, uuid)}
            for base in BASES:
                for who in PERSONAS:
                    right = expected(probe, who, place, waits=waits, union=base == urls.DICOMWEB)
                    got = ask(made, who, method, base + path, probe, values)
                    statuses.add(got.status_code)
                    if got.status_code not in right:
                        off.append(f"{who.name} {base} {place.project} {waits=}: {got.status_code}, not {right}")
                    elif probe.search and got.status_code == 200:
                        union = base == urls.DICOMWEB
                        needed = Action.PREARCHIVE_READ if waits else probe.action
                        may_see = decide(needed, who, place) is AccessDecision.ALLOWED and (union or not waits)
                        if (values["study"] in got.text) is not may_see:
                            off.append(f"{who.name} {base} {place.project} {waits=}: listed, not {may_see=}")
    assert not off, "\n".join(off)
    assert len(statuses) > 1, "nobody was refused, or nobody let through"


def test_what_is_hidden_is_told_in_the_words_for_what_is_not_there(made: SampleServer) -> None:
    private = made.places[0]
    assert private.accessibility is Accessibility.PRIVATE
    study = uids(made, private.archived)["study"]
    accept = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
    for hidden, nowhere in (
        (urls.dicomweb_study(urls.dicomweb(), study), urls.dicomweb_study(urls.dicomweb(), "1.2.3")),
        (
            urls.dicomweb_study(urls.dicomweb(private.project), study),
            urls.dicomweb_study(urls.dicomweb("Nowhere"), study),
        ),
    ):
        for name, status in (("stranger", 404), ("anonymous", 401)):
            said = [made.clients[name].get(path, headers=accept) for path in (hidden, nowhere)]
            words = [{k: v for k, v in one.json().items() if k != "request_id"} for one in said]
            assert words[0] == words[1]
            assert {one.status_code for one in said} == {status}
            if name == "anonymous":
                assert all(one.headers["www-authenticate"].startswith("Basic") for one in said)
