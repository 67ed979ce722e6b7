"""What every route is asked with, and what it asks the permission matrix: a route that is not here fails the test.

A probe changes nothing that another one needs: verbs run dry, or are refused for what is behind the question of
rights (an import that has ended can't be cancelled).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from scandock.rules.permissions import Action
from tests.integration.sample_server import TUS, SampleProject, SampleServer

ONE_OBJECT = "one"
"""Answers for one thing: its status is the matrix's word."""
OBJECT_LIST = "list"
"""Answers everybody, with what they may see."""
EACH_OBJECT = "each"
"""A verb for many: 200, and the matrix's word in each one's place."""
SITE_ROUTE = "site"
"""In no project: the same answer whatever is asked for."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One request, and who is let through."""

    action: Action
    kind: str = ONE_OBJECT
    of: str = ""
    """What of a `Place` it is about; a place that has none is left out."""
    good: tuple[int, ...] = (200,)
    """Statuses once it is allowed."""
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    form: Mapping[str, str] | None = None
    """Fields of a multipart/form-data body."""
    fresh: Callable[[SampleServer, SampleProject, Any], str] | None = None
    """Makes what it is about, anew for each request; given who asks."""
    also: tuple[str, ...] = ()
    """Further questions: `signed_in` (no list for others), `import` (seen by its owners alone), `upload` (to where it
    is to go), `own` (nobody else's, whoever asks)."""


def _prearchive_verb(action: Action, json: Any = None, **more: Any) -> Probe:
    """A verb for one session of the prearchive, run dry."""
    return Probe(action=action, of="waiting", json=json, params={"dry_run": "true"}, **more)


def _many(action: Action, **more: Any) -> Probe:
    return Probe(action=action, kind=EACH_OBJECT, of="waiting", params={"dry_run": "true"}, json=more)


def _session(action: Action = Action.SESSION_READ, **more: Any) -> Probe:
    return Probe(action=action, of="archived", **more)


def _account(action: Action = Action.ACCOUNT_EDIT, **more: Any) -> Probe:
    return Probe(action=action, kind=SITE_ROUTE, **more)


def _import(action: Action = Action.IMPORT_READ, *, of: str = "ended", **more: Any) -> Probe:
    return Probe(action=action, of=of, also=("import",), **more)


def _tus(*also: str, headers: Mapping[str, str] | None = None, to_end: bool = False, **more: Any) -> Probe:
    return Probe(
        action=Action.IMPORT_CANCEL,
        of="project",
        headers={**TUS, **(headers or {})},
        fresh=lambda made, place, _: made.receiving(place, to_end=to_end),
        also=("import", "upload", *also),
        **more,
    )


def _setting(json: Any) -> Probe:
    """A setting of a project, with a value that can't be."""
    return Probe(action=Action.SETTINGS_EDIT, of="owned", json=json, good=(400,))


_V1: Final = "/api/v1"
_PROJECT: Final = f"{_V1}/projects/{{project}}"
_SESSION: Final = f"{_V1}/sessions/{{session}}"
_SCAN: Final = f"{_SESSION}/scans/{{scan}}"
_FILE: Final = f"{_SESSION}/files/{{file}}"
_WAITING: Final = f"{_V1}/prearchive/{{session}}"
_IMPORT: Final = f"{_V1}/imports/{{id}}"
_ACCOUNT: Final = f"{_V1}/accounts/{{account}}"
_MEMBERS: Final = f"{_V1}/projects/{{project}}/members"
_FILTERS: Final = f"{_V1}/projects/{{project}}/filters"
_UPLOAD: Final = f"{_V1}/uploads/{{upload}}"
_PATCH: Final = {"Upload-Offset": "5", "Content-Type": "application/offset+octet-stream"}
_MOVED: Final = {"project": "{target}"}
_ASKED: Final = {"session": "{session}"}
_TREE: Final = f"{_V1}/tree/{{path:path}}"

OPEN: Final = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/api/openapi.json"),
    ("HEAD", "/api/openapi.json"),
    ("GET", f"{_V1}/tree"),
    ("OPTIONS", f"{_V1}/uploads"),
    ("OPTIONS", _UPLOAD),
    ("POST", f"{_V1}/auth/login"),
    ("POST", f"{_V1}/auth/logout"),
    ("GET", f"{_V1}/auth/oidc/login"),
    ("GET", f"{_V1}/auth/oidc/callback"),
}
"""Routes that ask nobody for anything: they name nothing, or are how one gets in and out."""

PROBES: Final[dict[tuple[str, str], Probe]] = {
    ("GET", f"{_V1}/auth/me"): _account(Action.ACCOUNT_READ),
    ("PATCH", f"{_V1}/auth/me"): _account(json={}),
    ("PUT", f"{_V1}/auth/password"): _account(json={"current": "wrong", "new": "battery staple"}, good=(400,)),
    ("GET", f"{_V1}/auth/logins"): _account(Action.ACCOUNT_READ),
    ("DELETE", f"{_V1}/auth/logins"): _account(),
    ("DELETE", f"{_V1}/auth/logins/{{login}}"): _account(good=(404,), fresh=lambda *_: "none"),
    ("GET", f"{_V1}/accounts"): _account(Action.SITE_ADMIN),
    ("POST", f"{_V1}/accounts"): _account(Action.SITE_ADMIN, json={"name": "admin"}, good=(409,)),
    ("GET", _ACCOUNT): _account(Action.SITE_ADMIN, fresh=lambda *_: "stranger"),
    ("PATCH", _ACCOUNT): _account(Action.SITE_ADMIN, json={}, fresh=lambda *_: "stranger"),
    ("PUT", f"{_ACCOUNT}/password"): _account(
        Action.SITE_ADMIN, json={"password": "x"}, good=(404,), fresh=lambda *_: "nobody"
    ),
    ("GET", f"{_V1}/clock"): _account(Action.SITE_ADMIN),
    ("POST", f"{_V1}/clock/confirm"): _account(Action.SITE_ADMIN, good=(204,)),
    ("GET", f"{_V1}/receivers"): Probe(action=Action.RECEIVERS_READ, of="owned", params={"project": "{project}"}),
    ("POST", f"{_V1}/receivers"): _account(Action.SITE_ADMIN, json={"ae_title": "BACK\\SLASH", "port": 1}, good=(400,)),
    ("GET", f"{_V1}/receivers/{{receiver}}"): Probe(
        action=Action.RECEIVERS_READ, of="owned", fresh=lambda made, place, _: made.receiver(place)
    ),
    ("PATCH", f"{_V1}/receivers/{{receiver}}"): _account(
        Action.SITE_ADMIN, json={}, fresh=lambda made, place, _: made.receiver(place)
    ),
    ("DELETE", f"{_V1}/receivers/{{receiver}}"): _account(
        Action.SITE_ADMIN, good=(204,), fresh=lambda made, place, _: made.receiver(place)
    ),
    ("GET", f"{_V1}/receivers/states"): Probe(
        action=Action.RECEIVERS_READ, of="owned", params={"project": "{project}"}
    ),
    ("GET", f"{_V1}/receivers/studies"): Probe(
        action=Action.RECEIVERS_READ, of="owned", params={"project": "{project}"}
    ),
    ("GET", f"{_V1}/receivers/associations"): Probe(
        action=Action.RECEIVERS_READ, of="owned", params={"project": "{project}"}
    ),
    ("POST", f"{_V1}/receivers/studies/{{id}}/{{wish}}"): _import(Action.IMPORT_CANCEL, good=(409,)),
    ("GET", f"{_V1}/peers"): _account(Action.SITE_ADMIN),
    ("POST", f"{_V1}/peers"): _account(
        Action.SITE_ADMIN, json={"ae_title": "PACS", "host": "not a host", "port": 104}, good=(400,)
    ),
    ("GET", f"{_V1}/peers/{{peer}}"): _account(Action.SITE_ADMIN, good=(404,), fresh=lambda *_: "none"),
    ("PATCH", f"{_V1}/peers/{{peer}}"): _account(Action.SITE_ADMIN, json={}, good=(404,), fresh=lambda *_: "none"),
    ("POST", f"{_V1}/peers/{{peer}}/echo"): _account(Action.SITE_ADMIN, good=(404,), fresh=lambda *_: "none"),
    ("DELETE", f"{_V1}/peers/{{peer}}"): _account(Action.SITE_ADMIN, good=(404,), fresh=lambda *_: "none"),
    ("GET", f"{_V1}/rules"): _account(Action.SITE_ADMIN),
    ("GET", f"{_V1}/rules/{{kind}}"): _account(Action.SITE_ADMIN),
    ("POST", f"{_V1}/rules/test"): _account(Action.SITE_ADMIN, form={"values": "PatientID: 1"}),
    ("POST", f"{_V1}/filters/test"): _account(
        Action.SITE_ADMIN, form={"mode": "blacklist", "text": "x", "values": "Modality: MR"}
    ),
    ("POST", f"{_FILTERS}/test"): Probe(
        action=Action.SETTINGS_EDIT, of="owned", form={"mode": "blacklist", "text": "x", "values": "Modality: MR"}
    ),
    ("PUT", f"{_V1}/rules/{{kind}}"): _account(Action.SITE_ADMIN, json={"text": ""}),
    ("GET", f"{_V1}/filters"): _account(Action.ACCOUNT_READ),
    ("PUT", f"{_V1}/filters"): _account(Action.SITE_ADMIN, json={"mode": "blacklist", "lines": "a(b"}, good=(400,)),
    ("GET", _FILTERS): Probe(action=Action.FILTER_READ, of="owned"),
    ("PUT", _FILTERS): Probe(
        action=Action.SETTINGS_EDIT, of="owned", json={"mode": "blacklist", "lines": "a(b"}, good=(400,)
    ),
    ("GET", f"{_V1}/privacy"): _account(Action.ACCOUNT_READ),
    ("PUT", f"{_V1}/privacy"): _account(Action.SITE_ADMIN, json={"profile": "none such"}, good=(400,)),
    ("GET", f"{_PROJECT}/privacy"): Probe(action=Action.PRIVACY_READ, of="owned"),
    ("PUT", f"{_PROJECT}/privacy"): _setting({"profile": "none such"}),
    ("GET", f"{_V1}/privacy/scripts"): _account(Action.SITE_ADMIN),
    ("PUT", f"{_V1}/privacy/scripts"): _account(Action.SITE_ADMIN, json={"text": "no script"}, good=(400,)),
    ("POST", f"{_V1}/privacy/scripts/check"): _account(Action.SITE_ADMIN, json={"text": "no script"}),
    ("POST", f"{_V1}/privacy/scripts/test"): _account(Action.SITE_ADMIN, form={"text": "no script"}, good=(400,)),
    ("GET", f"{_PROJECT}/routing"): Probe(action=Action.SETTINGS_EDIT, of="owned"),
    ("PUT", f"{_PROJECT}/routing"): _setting({"subject": "no rule"}),
    ("POST", f"{_PROJECT}/routing/test"): Probe(
        action=Action.SETTINGS_EDIT, of="owned", form={"values": "PatientID: 1"}
    ),
    ("GET", f"{_PROJECT}/scripts"): Probe(action=Action.SETTINGS_EDIT, of="owned"),
    ("PUT", f"{_PROJECT}/scripts"): _setting({"text": "no script"}),
    ("POST", f"{_PROJECT}/scripts/check"): Probe(action=Action.SETTINGS_EDIT, of="owned", json={"text": "no script"}),
    ("POST", f"{_PROJECT}/scripts/test"): Probe(
        action=Action.SETTINGS_EDIT, of="owned", form={"text": "no script"}, good=(400,)
    ),
    ("GET", f"{_V1}/privacy/lookups"): _account(Action.SITE_ADMIN),
    ("PUT", f"{_V1}/privacy/lookups"): _account(Action.SITE_ADMIN, json={"text": "no table"}, good=(400,)),
    ("GET", f"{_PROJECT}/lookups"): Probe(action=Action.SETTINGS_EDIT, of="owned"),
    ("PUT", f"{_PROJECT}/lookups"): _setting({"text": "no table"}),
    ("GET", _MEMBERS): Probe(action=Action.MEMBERS_READ, of="owned"),
    ("PUT", f"{_MEMBERS}/{{account}}"): Probe(
        action=Action.MEMBERS_EDIT, of="owned", json={"role": "member"}, fresh=lambda *_: "uploader"
    ),
    ("DELETE", f"{_MEMBERS}/{{account}}"): Probe(
        action=Action.MEMBERS_EDIT, of="owned", good=(204,), fresh=lambda *_: "admin"
    ),
    ("GET", f"{_V1}/tokens"): _account(Action.ACCOUNT_READ),
    ("POST", f"{_V1}/tokens"): _account(json={"scope": "read", "days": 1}, good=(201,)),
    ("DELETE", f"{_V1}/tokens/{{alias}}"): _account(good=(204,), fresh=lambda made, _, who: made.token(who)),
    ("POST", f"{_V1}/projects"): _account(Action.PROJECT_CREATE, json={"id": "P"}, good=(409,)),
    ("GET", f"{_V1}/projects"): Probe(action=Action.PROJECT_SEE, kind=OBJECT_LIST, of="project"),
    ("GET", f"{_V1}/projects/{{project}}"): Probe(action=Action.PROJECT_SEE, of="project"),
    ("PATCH", f"{_V1}/projects/{{project}}"): Probe(action=Action.PROJECT_EDIT, of="owned", json={}),
    ("GET", f"{_V1}/projects/{{project}}/download"): Probe(action=Action.SESSION_READ, of="owned"),
    ("GET", f"{_V1}/subjects"): Probe(action=Action.SUBJECT_READ, kind=OBJECT_LIST, of="subject"),
    ("GET", f"{_V1}/subjects/{{subject}}"): Probe(action=Action.SUBJECT_READ, of="subject"),
    ("PATCH", f"{_V1}/subjects/{{subject}}"): Probe(action=Action.SUBJECT_EDIT, of="subject", json={"label": "Kin"}),
    ("GET", f"{_V1}/sessions"): _session(kind=OBJECT_LIST),
    ("POST", f"{_V1}/sessions/known"): _account(Action.ACCOUNT_READ, json={"sessions": []}),
    ("GET", _SESSION): _session(),
    ("PATCH", _SESSION): _session(Action.SESSION_EDIT, json={"label": "Other"}, params={"dry_run": "true"}),
    ("DELETE", _SESSION): _session(Action.SESSION_DELETE, params={"dry_run": "true"}),
    ("POST", f"{_SESSION}/rebuild"): _session(Action.SESSION_EDIT, params={"dry_run": "true"}),
    ("GET", f"{_SESSION}/download"): _session(),
    ("GET", f"{_SESSION}/scans"): _session(),
    ("GET", _SCAN): _session(),
    ("PATCH", _SCAN): _session(Action.SESSION_EDIT, json={"note": "seen"}),
    ("GET", f"{_SCAN}/download"): _session(),
    ("GET", f"{_SCAN}/thumbnail"): _session(),
    ("GET", f"{_SCAN}/stack"): _session(),
    ("GET", f"{_SCAN}/frames/{{image}}"): _session(),
    ("GET", f"{_SCAN}/frames/{{image}}/picture"): _session(),
    ("GET", f"{_FILE}/header"): _session(),
    ("GET", _FILE): _session(),
    ("GET", f"{_FILE}/content"): _session(),
    ("HEAD", f"{_FILE}/content"): _session(),
    ("GET", _TREE): _session(fresh=lambda made, place, _: made.folder(place)),
    ("HEAD", _TREE): _session(fresh=lambda made, place, _: f"{made.folder(place)}scans/"),
    ("GET", f"{_V1}/scans"): _session(params=_ASKED),
    ("GET", f"{_V1}/resources"): _session(params=_ASKED),
    ("GET", f"{_V1}/files"): _session(params=_ASKED),
    ("GET", f"{_V1}/prearchive"): Probe(action=Action.PREARCHIVE_READ, kind=OBJECT_LIST, of="waiting"),
    ("GET", _WAITING): Probe(action=Action.PREARCHIVE_READ, of="waiting"),
    ("POST", f"{_V1}/prearchive/move"): _many(Action.PREARCHIVE_EDIT, project="{target}"),
    ("POST", f"{_V1}/prearchive/archive"): _many(Action.SESSION_ARCHIVE),
    ("POST", f"{_V1}/prearchive/rebuild"): _many(Action.PREARCHIVE_EDIT),
    ("POST", f"{_V1}/prearchive/resolve"): _many(Action.PREARCHIVE_EDIT, choice="keep_both"),
    ("POST", f"{_V1}/prearchive/delete"): _many(Action.PREARCHIVE_DELETE),
    ("POST", f"{_WAITING}/move"): _prearchive_verb(Action.PREARCHIVE_EDIT, _MOVED, also=("upload",)),
    ("POST", f"{_WAITING}/archive"): _prearchive_verb(Action.SESSION_ARCHIVE, {}, good=(200, 409)),
    ("POST", f"{_WAITING}/rebuild"): _prearchive_verb(Action.PREARCHIVE_EDIT),
    ("POST", f"{_WAITING}/resolve"): _prearchive_verb(Action.PREARCHIVE_EDIT, {"choice": "keep_both"}, good=(409,)),
    ("DELETE", _WAITING): _prearchive_verb(Action.PREARCHIVE_DELETE),
    ("GET", f"{_V1}/trash"): Probe(action=Action.TRASH_READ, kind=OBJECT_LIST, of="trashed"),
    ("POST", f"{_V1}/trash/{{session}}/restore"): Probe(
        action=Action.TRASH_RESTORE, of="trashed", params={"dry_run": "true"}
    ),
    ("GET", f"{_V1}/damage"): Probe(action=Action.DAMAGE_READ, of="owned", params={"project": "{project}"}),
    ("POST", f"{_V1}/damage/verify"): Probe(action=Action.DAMAGE_VERIFY, of="owned", params={"project": "{project}"}),
    ("POST", f"{_V1}/sessions/{{session}}/verify"): _session(Action.DAMAGE_VERIFY, good=(204,)),
    ("GET", f"{_V1}/audit"): Probe(action=Action.AUDIT_READ, of="owned", params={"project": "{project}"}),
    ("GET", f"{_V1}/audit/export"): Probe(action=Action.AUDIT_READ, of="owned", params={"project": "{project}"}),
    ("GET", f"{_V1}/subscriptions"): _account(),
    ("POST", f"{_V1}/subscriptions"): _account(
        json={"kind": "webhook", "target": "https://example.org/hook", "states": ["failed"]}, good=(201,)
    ),
    ("DELETE", f"{_V1}/subscriptions/{{subscription}}"): Probe(
        action=Action.SETTINGS_EDIT, of="owned", good=(204,), fresh=lambda made, place, _: made.subscribed(place)
    ),
    ("GET", f"{_V1}/subscriptions/{{subscription}}/deliveries"): Probe(
        action=Action.SETTINGS_EDIT, of="owned", fresh=lambda made, place, _: made.subscribed(place)
    ),
    ("POST", f"{_V1}/imports"): Probe(
        action=Action.UPLOAD, of="owned", good=(202,), params={"project": "{project}"}, content=b"x"
    ),
    ("GET", f"{_V1}/events"): _account(Action.ACCOUNT_READ, params={"follow": "false"}),
    ("GET", f"{_V1}/imports"): Probe(
        action=Action.IMPORT_READ, kind=OBJECT_LIST, of="ended", also=("signed_in", "import")
    ),
    ("GET", _IMPORT): _import(),
    ("GET", f"{_IMPORT}/events"): _import(),
    ("GET", f"{_IMPORT}/receipt"): _import(),
    ("GET", f"{_IMPORT}/sessions"): _import(),
    ("POST", f"{_IMPORT}/cancel"): _import(Action.IMPORT_CANCEL, good=(409,)),
    ("POST", f"{_IMPORT}/retry"): _import(Action.IMPORT_CANCEL, good=(409,)),
    ("DELETE", _IMPORT): _import(Action.IMPORT_DELETE, of="received", good=(409,)),
    ("GET", f"{_V1}/uploads"): _account(Action.ACCOUNT_READ),
    ("POST", f"{_V1}/uploads"): Probe(
        action=Action.UPLOAD,
        of="owned",
        good=(201,),
        headers={**TUS, "Upload-Length": "0", "Upload-Metadata": "project {project64}"},
    ),
    ("HEAD", _UPLOAD): _tus(),
    ("PATCH", _UPLOAD): _tus("own", headers=_PATCH, content=b"abc", good=(409,)),
    ("DELETE", _UPLOAD): _tus(to_end=True, good=(204,)),
    ("PUT", f"{_UPLOAD}/mapping"): _tus("own", content=b"folder,session\na,b\n", good=(204,)),
    ("POST", _UPLOAD): _tus(headers={"X-HTTP-Method-Override": "HEAD"}),
}
"""Every route that asks for a right."""

MORE_PROBES: Final[list[tuple[str, str, Probe]]] = [
    ("GET", f"{_V1}/sessions", _session(params={"project": "{project}"})),
    ("GET", f"{_V1}/subjects", Probe(action=Action.SUBJECT_READ, of="owned", params={"project": "{project}"})),
    ("GET", f"{_V1}/prearchive", Probe(action=Action.PREARCHIVE_READ, of="owned", params={"project": "{project}"})),
    ("GET", _SESSION, Probe(action=Action.PREARCHIVE_READ, of="waiting")),
    ("GET", _TREE, Probe(action=Action.SESSION_READ, of="owned", fresh=lambda made, place, _: f"{place.project}/")),
    ("GET", _TREE, _session(fresh=lambda made, place, _: made.note(place))),
    ("HEAD", _TREE, _session(fresh=lambda made, place, _: made.note(place))),
    ("GET", f"{_SESSION}/scans", Probe(action=Action.PREARCHIVE_READ, of="waiting")),
    ("GET", f"{_SESSION}/download", Probe(action=Action.PREARCHIVE_READ, of="waiting")),
    ("GET", f"{_FILE}/content", Probe(action=Action.PREARCHIVE_READ, of="waiting")),
    ("GET", f"{_SCAN}/thumbnail", Probe(action=Action.PREARCHIVE_READ, of="waiting")),
    ("GET", f"{_FILE}/header", Probe(action=Action.PREARCHIVE_READ, of="waiting")),
    ("PATCH", _SCAN, Probe(action=Action.PREARCHIVE_EDIT, of="waiting", json={"note": "seen"})),
    ("POST", f"{_SESSION}/rebuild", _prearchive_verb(Action.PREARCHIVE_EDIT)),
    ("PATCH", f"{_V1}/projects/{{project}}", Probe(action=Action.SETTINGS_EDIT, of="owned", json={"petmr": "petmr"})),
    ("GET", f"{_V1}/audit", _account(Action.SITE_ADMIN)),
    ("GET", f"{_V1}/audit/export", _account(Action.SITE_ADMIN)),
    (
        "GET",
        f"{_V1}/subscriptions",
        Probe(action=Action.SETTINGS_EDIT, of="owned", params={"project": "{project}"}),
    ),
]
"""The same routes by other questions: filters that name a project, sessions that stand elsewhere, the whole site."""
