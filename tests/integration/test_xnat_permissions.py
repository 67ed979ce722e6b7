"""Every route of XNAT's dialect by every role, in projects of every accessibility: the answer is the matrix's.

What changes something is asked by those alone who may not: what they may do is tested where it is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest

from scandock.rules.permissions import AccessDecision, Action, Scope
from scandock.web.xnat.registration import ROUTERS
from tests.integration.sample_server import CANARY, PERSONAS, Persona, SampleProject, SampleServer, serve_samples
from tests.integration.test_permission_matrix import matrix
from tests.unit.web.test_xnat_documented import short

pytestmark = pytest.mark.long

STATUS = {AccessDecision.SIGN_IN: 401, AccessDecision.FORBIDDEN: 403, AccessDecision.HIDDEN: 404}


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One route, and what it asks of the matrix."""

    action: Action
    of: str = "project"
    params: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None


def _read(action: Action, of: str, *paths: str) -> dict[tuple[str, str], Ask]:
    return {("GET", path): Ask(action=action, of=of) for path in paths}


def _own_files(path: str, of: str, edit: Action, remove: Action) -> dict[tuple[str, str], Ask]:
    """What changes the files that a project or a subject has of its own."""
    return {
        ("PUT", path): Ask(action=edit, of=of),
        ("DELETE", path): Ask(action=remove, of=of),
        **{(method, f"{path}/files/{{path}}"): Ask(action=edit, of=of, body=b"x") for method in ("PUT", "POST")},
        ("DELETE", f"{path}/files/{{path}}"): Ask(action=remove, of=of),
    }


_SCAN = "{E}/scans/{scans}"
_RESOURCES = ("{E}/resources/{resources}", f"{_SCAN}/resources/{{resources}}")
_OF_PROJECT, _OF_SUBJECT = _OWN = ("{P}/resources/{resources}", "{S}/resources/{resources}")
_W = "{W}/scans/{scans}"
_INSIDE = (
    "{W}", "{W}/files", "{W}/logs", "{W}/resources", "{W}/scans", _W, f"{_W}/files", f"{_W}/resources",
    f"{_W}/resources/{{resources}}", f"{_W}/resources/{{resources}}/files",
)  # fmt: skip
_PETMR = "/data/projects/{project}/config/separatePETMR/config"
_FILTER = "/data/projects/{project}/config/seriesImportFilter"
_SCRIPT = "/xapi/anonymize/projects/{project}"
_OLD_SCRIPT = "/data/config/edit/projects/{project}/image/dicom"
_SCRIPTS = (_SCRIPT, f"{_SCRIPT}/enabled", f"{_OLD_SCRIPT}/script", f"{_OLD_SCRIPT}/status")
_ANON = "/data/projects/{project}/config/anon/projects/{name}"
_CODES = ("/data/projects/{project}/prearchive_code", "/data/projects/{project}/quarantine_code")
_QC = {"xsiType": "xnat:qcAssessmentData"}
_NEW = {"label": "NEW", "subject_ID": "NEW", "xsiType": "xnat:mrSessionData"}
READ = {
    **_read(Action.PROJECT_SEE, "project", "/data/projects/{project}", "/data/projects/{project}/config/{setting}"),
    **_read(Action.SUBJECT_READ, "project", "/data/projects/{project}/subjects"),
    **_read(Action.SESSION_READ, "project", "/data/projects/{project}/experiments"),
    **_read(
        Action.SESSION_READ, "project", *(f"/data/projects/{{project}}/{one}" for one in ("scanners", "scan_types"))
    ),
    **_read(Action.PROJECT_SEE, "project", "/data/projects/{project}/searches/{search}"),
    **_read(Action.MEMBERS_READ, "project", "/data/projects/{project}/users"),
    **_read(Action.PROJECT_READ, "project", *_CODES, _PETMR),
    **_read(Action.FILTER_READ, "project", _FILTER, f"{_FILTER}/config"),
    **_read(Action.SETTINGS_EDIT, "project", *_SCRIPTS),
    **_read(Action.PROJECT_SEE, "project", _ANON),
    **_read(Action.PROJECT_SEE, "project", "/data/projects/{project}/accessibility"),
    **_read(Action.PROJECT_READ, "project", "{P}/resources", "{P}/files"),
    **_read(Action.PROJECT_SEE, "project", "/data/projects/{project}/current_arc"),
    **_read(Action.SUBJECT_READ, "archived", "{S}", "{S}/resources", "{S}/files"),
    **_read(
        Action.SESSION_READ,
        "archived",
        "{E}/assessors",
        "{E}/assessors/{assessor}",
        "{E}/assessors/{assessor}/{part}",
        "{E}/reconstructions",
        "{E}/status",
        "{E}/history",
    ),
    **_read(Action.SESSION_READ, "archived", "{S}/experiments", "{E}", "{E}/files", "{E}/scans", "{E}/resources"),
    **_read(Action.SESSION_READ, "archived", _SCAN, f"{_SCAN}/files", f"{_SCAN}/resources", *_RESOURCES[1:]),
    **_read(Action.SESSION_READ, "archived", f"{_RESOURCES[1]}/files"),
    **_read(Action.PREARCHIVE_READ, "waiting", *_INSIDE),
}
CHANGE = {
    ("PUT", "/data/projects/{project}"): Ask(action=Action.PROJECT_EDIT, params={"name": "Other"}),
    ("DELETE", "/data/projects/{project}"): Ask(action=Action.PROJECT_DELETE),
    ("PUT", "/data/projects/{project}/prearchive_code/{code}"): Ask(action=Action.SETTINGS_EDIT),
    ("PUT", "/data/projects/{project}/quarantine_code/{code}"): Ask(action=Action.SETTINGS_EDIT),
    ("PUT", f"{_FILTER}/config"): Ask(action=Action.SETTINGS_EDIT, body=b'{"mode": "blacklist"}'),
    **{("PUT", one): Ask(action=Action.SETTINGS_EDIT, body=b"no script") for one in (*_SCRIPTS, _ANON)},
    ("PUT", _PETMR): Ask(action=Action.SETTINGS_EDIT, body=b"pet"),
    ("PUT", "/data/projects/{project}/accessibility/{value}"): Ask(action=Action.SETTINGS_EDIT),
    ("PUT", "{S}"): Ask(action=Action.SUBJECT_EDIT, of="archived"),
    ("DELETE", "{S}"): Ask(action=Action.SUBJECT_DELETE, of="archived"),
    ("PUT", "{E}"): Ask(action=Action.SESSION_EDIT, of="archived", params={"xsiType": "xnat:mrSessionData"}),
    ("POST", "{E}"): Ask(action=Action.SESSION_EDIT, of="archived"),
    ("DELETE", "{E}"): Ask(action=Action.SESSION_DELETE, of="archived"),
    ("PUT", _SCAN): Ask(action=Action.SESSION_EDIT, of="archived"),
    ("POST", "/data/projects/{project}/subjects"): Ask(action=Action.SUBJECT_EDIT, params={"label": "NEW"}),
    ("POST", "/data/projects/{project}/experiments"): Ask(action=Action.SESSION_EDIT, params=_NEW),
    ("POST", "{S}/experiments"): Ask(action=Action.SESSION_EDIT, of="archived", params=_NEW),
    ("POST", "{E}/scans"): Ask(action=Action.SESSION_EDIT, of="archived", params={"ID": "99"}),
    ("POST", "{E}/assessors"): Ask(action=Action.SESSION_EDIT, of="archived", params={**_QC, "label": "NEW"}),
    ("PUT", "{E}/assessors/{assessor}"): Ask(action=Action.SESSION_EDIT, of="archived", params=_QC),
    **{
        (method, "{E}/assessors/{assessor}/{part}"): Ask(action=action, of="archived", body=b"x")
        for method, action in (
            ("PUT", Action.SESSION_EDIT),
            ("POST", Action.SESSION_EDIT),
            ("DELETE", Action.SESSION_DELETE),
        )
    },
    ("DELETE", "{E}/assessors/{assessor}"): Ask(action=Action.SESSION_DELETE, of="archived"),
    ("DELETE", _SCAN): Ask(action=Action.SESSION_DELETE, of="archived"),
    ("POST", "{W}"): Ask(action=Action.PREARCHIVE_EDIT, of="waiting", params={"action": "build"}),
    ("DELETE", "{W}"): Ask(action=Action.PREARCHIVE_DELETE, of="waiting"),
    **{("PUT", one): Ask(action=Action.SESSION_EDIT, of="archived") for one in _RESOURCES},
    **{("DELETE", one): Ask(action=Action.SESSION_DELETE, of="archived") for one in _RESOURCES},
    **{
        (method, f"{one}/files/{{path}}"): Ask(action=Action.SESSION_EDIT, of="archived", body=b"x")
        for one in _RESOURCES
        for method in ("PUT", "POST")
    },
    **{("DELETE", f"{one}/files/{{path}}"): Ask(action=Action.SESSION_DELETE, of="archived") for one in _RESOURCES},
    **_own_files(_OF_PROJECT, "project", Action.SESSION_EDIT, Action.SESSION_DELETE),
    **_own_files(_OF_SUBJECT, "archived", Action.SUBJECT_EDIT, Action.SUBJECT_DELETE),
}
"""Of those that read and change by `src`, see `SOURCES`."""
SOURCES = {
    "/data/services/archive": Ask(action=Action.SESSION_ARCHIVE, of="waiting"),
    "/data/services/validate-archive": Ask(action=Action.SESSION_ARCHIVE, of="waiting"),
    "/data/services/prearchive/move": Ask(action=Action.PREARCHIVE_EDIT, of="waiting", params={"newProject": "Q"}),
    "/data/services/prearchive/delete": Ask(action=Action.PREARCHIVE_DELETE, of="waiting"),
    "/data/services/prearchive/rebuild": Ask(action=Action.PREARCHIVE_EDIT, of="waiting"),
}
SITE = {
    ("GET", "/xapi/users/username"): Action.ACCOUNT_READ,
    ("GET", "/xapi/users/profile"): Action.ACCOUNT_READ,
    ("DELETE", "/xapi/access/cache/flush"): Action.ACCOUNT_READ,
    ("GET", "/data/services/tokens/invalidate/{alias}"): Action.ACCOUNT_EDIT,
    ("GET", "/data/services/tokens/issue/user/{login}"): Action.SITE_ADMIN,
    ("POST", "/data/services/tokens/issue/user/{login}"): Action.SITE_ADMIN,
    **{
        (method, f"/xapi/dicomscp{path}"): Action.SITE_ADMIN
        for method, path in (
            ("GET", "/{number}"),
            ("PUT", "/{number}"),
            ("DELETE", "/{number}"),
            ("GET", "/title/{title}/{port}"),
            ("GET", "/{number}/enabled"),
            ("PUT", "/{number}/enabled/{flag}"),
            ("PUT", "/start"),
            ("PUT", "/stop"),
            ("PUT", "/identifiers"),
            ("PUT", "/identifiers/{name}"),
        )
    },
    ("GET", "/xapi/dicomscp/identifiers"): Action.ACCOUNT_READ,
    ("GET", "/xapi/dicomscp/identifiers/{name}"): Action.ACCOUNT_READ,
}
"""What is in no project; of `login` an account that is not the one that asks."""
MANIFESTS = {
    "/xapi/archive/download", "/xapi/archive/downloadwithsize", "/xapi/archive/download/{manifest}",
    "/xapi/archive/download/{manifest}/xml", "/xapi/archive/download/{manifest}/zip",
}  # fmt: skip
"""Of sessions that a body names, and then of one's own alone."""
ELSEWHERE = {
    # what one sees of lists, in test_xnat_reading and test_xnat_prearchive
    "/data/projects", "/data/subjects", "/data/experiments", "/data/prearchive", "/data/prearchive/projects",
    "/data/prearchive/projects/{projects}", "/data/prearchive/experiments",
    # members, accounts, and words of what one may read, in test_xnat_project_users
    "/data/projects/{project}/users/{group}/{login}", "/data/users", "/xapi/siteConfig/uptime", "/data/scanners",
    "/data/scan_types", "/xapi/users", "/xapi/users/profiles", "/xapi/users/profile/{login}", "/xapi/users/{login}",
    # the same of searches, in test_xnat_searches and test_xnat_saved_searches
    "/data/search", "/data/search/elements", "/data/search/elements/{kind}", "/data/search/saved",
    "/data/search/saved/{search}", "/data/search/saved/{search}/results",
    # one's own: test_xnat_login, test_xnat_cache, test_xnat_tracking, test_xnat_inbox
    "/data/services/auth", "/data/auth", "/data/JSESSION", "/data/JSESSIONID", "/app/action/LogoutUser",
    "/data/services/tokens/issue", "/data/services/tokens/validate/{alias}/{secret}",
    "/data/services/tokens/invalidate/{alias}/{secret}", "/data/user/cache/resources",
    "/data/user/cache/resources/{resource}", "/data/user/cache/resources/{resource}/files",
    "/data/user/cache/resources/{resource}/files/{name}", "/xapi/event_tracking/{key}",
    "/xapi/event_tracking/{key}/payload", "/data/status/{key}", "/xapi/dicom/{number}",
    # of the site, and said to everybody
    "/data/version", "/xapi/siteConfig/buildInfo", "/xapi/siteConfig/buildInfo/attributes",
    "/xapi/siteConfig/buildInfo/{key}", "/xapi/plugins", "/xapi/schemas", "/xapi/schemas/{name}",
    "/xapi/schemas/{namespace}/{name}", "/schemas/{namespace}/{name}", "/xapi/access/projects",
    "/data/config/{setting}",
    # the filter of the site, in test_import_filters_set
    "/data/config/seriesImportFilter", "/data/config/seriesImportFilter/config",
    # the script of the site, and its preferences, in test_privacy_surface
    "/xapi/anonymize/default", "/xapi/anonymize/site", "/xapi/anonymize/site/enabled", "/data/config/anon/script",
    "/data/config/edit/image/dicom/script", "/data/config/edit/image/dicom/status", "/xapi/siteConfig",
    "/xapi/siteConfig/{name}",
    # those that one may read, and making one: test_receivers_by_xnat
    "/xapi/dicomscp",
    # by what they name: test_xnat_import_service, test_xnat_creation, test_xnat_reading
    "/data/services/import", "/data/services/import/{name}", "/data/services/refresh/catalog",
    "/xapi/archive/upload/xml",
    "/data/services/dicomdump",
    # what is found by the routes above them, by the same function
    "{E}/resources/{resources}", "{E}/resources/{resources}/files", "{E}/files/{path}",
    "{E}/scans/{scans}/files/{path}", *(f"{one}/files/{{path}}" for one in _RESOURCES),
    *_OWN, "{P}/files/{path}", "{S}/files/{path}", *(f"{one}/files" for one in _OWN),
    *(f"{one}/files/{{path}}" for one in _OWN),
    "{W}/resources/{resources}", "{W}/resources/{resources}/files", "{W}/logs/{number}", "{W}/files/{path}",
    "{W}/resources/{resources}/files/{path}", f"{_W}/files/{{path}}", f"{_W}/resources/{{resources}}/files/{{path}}",
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleServer]:
    with serve_samples(tmp_path_factory.mktemp("xnat")) as ready:
        yield ready


def test_every_route_is_asked_here_or_has_its_tests_elsewhere():
    served = {short(route.path) for router in ROUTERS for route in router.routes}
    asked = {path for _, path in (*READ, *CHANGE, *SITE)} | set(SOURCES) | MANIFESTS
    assert served - asked - ELSEWHERE == set()
    assert (asked | ELSEWHERE) - served == set()
    changing = {
        (method, short(route.path)) for router in ROUTERS for route in router.routes for method in route.methods
        if method in ("PUT", "POST", "DELETE") and short(route.path) in {path for _, path in (*READ, *CHANGE)}
    }  # fmt: skip
    nameless = {(method, f"{one}/files") for one in (*_RESOURCES, *_OWN) for method in ("PUT", "POST")}
    assert changing - nameless == set(CHANGE)  # without a name these are 400: test_xnat_files_by_hand


def kind_of(path: str) -> str:
    """What a route is about: a project, a subject, an experiment, or what waits (as `short` writes them)."""
    return path[:3] if path.startswith("{") else "/data/projects"


def address(made: SampleServer, path: str, place: SampleProject) -> str:
    """A route's address in a place, by ids and labels as an administrator sees them."""
    admin = made.clients["admin"]
    values = {
        "project": place.project, "setting": "none", "code": "4", "scans": "1", "resources": "DICOM",
        "path": "none.dcm", "number": "1", "value": "private", "search": "@xnat:mrSessionData",
        "part": "files", "name": "any",
    }  # fmt: skip
    if "{E}" in path or "{S}" in path:
        one = made.record(place.archived)
        values["S"] = f"/data/projects/{place.project}/subjects/{one['subject']}"
        values["E"] = f"{values['S']}/experiments/{one['label']}"
    if "{assessor}" in path:
        values["assessor"] = f"{CANARY}QC"
        assert admin.put(f"{values['E']}/assessors/{CANARY}QC", params=_QC).status_code in (200, 201)
    values["P"] = f"/data/projects/{place.project}"
    if "{W}" in path:
        values["W"] = made.record(place.waiting)["uri"]
    return path.format_map(values)


def expected(asked: Ask, who: Persona, place: SampleProject) -> AccessDecision:
    own = who.owns and place.unassigned and asked.of == "waiting"
    return matrix(asked.action, who, place, own=own)


def wrong(told: httpx.Response, right: AccessDecision, *, read: bool) -> str:
    if not told.headers.get("content-type", "").startswith("text/plain") and told.status_code >= 400:
        return f"{told.headers['content-type']} for {told.status_code}"
    if right is AccessDecision.ALLOWED:
        fine = told.status_code in (200, 204, 404) if read else told.status_code not in (401, 403)
        return "" if fine else f"{told.status_code}: {told.text[:200]}"
    return "" if told.status_code == STATUS[right] else f"{told.status_code} where it is {right}: {told.text[:200]}"


def misread(made: SampleServer, method: str, path: str) -> dict[tuple[str, str], str]:
    """What is wrong with the answers to those who read, by who and where."""
    off = {}
    for place in (one for one in made.places if getattr(one, READ[method, path].of)):
        where = address(made, path, place)
        for who in PERSONAS:
            told = made.clients[who.name].request(method, where)
            right = expected(READ[method, path], who, place)
            why = wrong(told, right, read=True)
            if right is AccessDecision.HIDDEN and who.scope is not Scope.ALL and told.status_code == 403:
                why = ""  # a list says that the token is for other things before it looks for anything
            if right is AccessDecision.ALLOWED and told.status_code == 404 and "config" not in path:
                why = told.text
            if why:
                off[who.name, place.accessibility.value] = why
    return off


@pytest.mark.parametrize("kind", sorted({kind_of(path) for _, path in READ}))
def test_who_reads(made: SampleServer, kind: str, subtests: pytest.Subtests) -> None:
    for method, path in sorted(READ):
        if kind_of(path) == kind:
            with subtests.test(f"{method} {path}"):
                assert misread(made, method, path) == {}


@pytest.mark.parametrize("kind", sorted({kind_of(path) for _, path in CHANGE}))
def test_who_may_not_changes_nothing(made: SampleServer, kind: str, subtests: pytest.Subtests) -> None:
    for (method, path), asked in sorted(CHANGE.items(), key=lambda item: item[0]):
        if kind_of(path) == kind:
            more = {"params": asked.params, "content": asked.body}
            with subtests.test(f"{method} {path}"):
                assert refusals(made, method, path, asked, lambda _, more=more: more) == {}


def test_who_may_not_changes_nothing_by_src(made: SampleServer, subtests: pytest.Subtests) -> None:
    def more(place: SampleProject, asked: Ask) -> dict[str, Any]:
        return {"params": {**asked.params, "src": made.record(place.waiting)["uri"]}}

    for path, asked in sorted(SOURCES.items()):
        with subtests.test(path):
            assert refusals(made, "POST", path, asked, partial(more, asked=asked)) == {}


@pytest.mark.parametrize(("method", "path"), sorted(SITE))
def test_what_is_in_no_project_is_for_whom_the_matrix_says(made: SampleServer, method: str, path: str) -> None:
    off, answers = {}, set()
    values = {"alias": "none", "number": "1", "title": "NONE", "port": "104", "flag": "true", "name": "none"}
    for who in PERSONAS:
        login = "stranger" if who.name == "collaborator" else "collaborator"
        right = matrix(SITE[method, path], who, None)
        told = made.clients[who.name].request(method, path.format_map(values | {"login": login}))
        answers.add(right)
        if why := wrong(told, right, read=True):
            off[who.name] = why
    assert off == {}
    assert len(answers) > 1


def test_a_manifest_is_made_and_fetched_by_who_may_read_the_session(made: SampleServer) -> None:
    off = {}
    for place in (one for one in made.places if one.archived):
        label = made.clients["admin"].get(f"/api/v1/sessions/{place.archived}").json()["label"]
        item = made.clients["admin"].get(f"/data/projects/{place.project}/experiments/{label}?format=json").json()
        number = item["items"][0]["data_fields"]["ID"]
        for who in PERSONAS:
            right = matrix(Action.SESSION_READ, who, place) if who.signed_in else AccessDecision.SIGN_IN
            client = made.clients[who.name]
            for path in ("/xapi/archive/download", "/xapi/archive/downloadwithsize"):
                told = client.post(path, json={"sessions": [number]})
                named = client.post(path, json={"sessions": [number], "projectIds": [place.project]})
                for answer in (told, named):
                    if why := wrong(answer, right, read=True):
                        off[who.name, place.accessibility.value, path] = why
            if right is AccessDecision.ALLOWED:
                name = told.json()["id"]
                for end in ("", "/xml", "/zip"):
                    assert client.get(f"/xapi/archive/download/{name}{end}").status_code == 200
                    for other in ("stranger", "admin"):
                        if other != who.name:
                            hidden = made.clients[other].get(f"/xapi/archive/download/{name}{end}")
                            assert hidden.status_code == 404, (who.name, other)
    assert off == {}


_ALIKE = ("/data/projects/{project}", "/data/services/archive")
"""Of `Unassigned` these are 400 to all alike: nobody makes it, and nothing is archived in it."""


def refusals(made: SampleServer, method: str, path: str, asked: Ask, more: Any) -> dict[tuple[str, str], str]:
    """What is wrong with the answers to those who may not, by who and where."""
    off = {}
    for place in (one for one in made.places if getattr(one, asked.of)):
        where = address(made, path, place)
        for who in PERSONAS:
            right = expected(asked, who, place)
            if right is AccessDecision.ALLOWED or (place.unassigned and path in _ALIKE):
                continue
            if right is AccessDecision.HIDDEN and (method, path) == ("PUT", "/data/projects/{project}"):
                continue  # an id that is taken is 409, as for who makes one by the API (docs/security.md)
            why = wrong(made.clients[who.name].request(method, where, **more(place)), right, read=False)
            if why:
                off[who.name, place.accessibility.value] = why
    return off
