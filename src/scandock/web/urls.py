"""Addresses of pages, API and dialect: each is built and parsed here, and nowhere else (XNAT's URIs: model/uris.py).

All are paths below the site's own (`root_of`). It imports nothing of the package: services, whose messages have links,
and the upload client import it too (pyproject.toml, import contracts). Templates have it as `urls`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import quote

from scandock.model import uris
from scandock.model.uris import quote_segment

# -- of every address --------------------------------------------------------------------------------------------------


def root_of(scope: Mapping[str, Any]) -> str:
    """The path under which a proxy serves this server, without a slash at its end, from an ASGI scope."""
    return str(scope.get("root_path", "")).rstrip("/")


def cookie_path_of(scope: Mapping[str, Any]) -> str:
    """The path that cookies of the site are for."""
    return root_of(scope) or "/"


def below_root(scope: Mapping[str, Any], path: str) -> str:
    """A path that was asked for, as this module has it."""
    return path.removeprefix(root_of(scope))


def encoded_path(scope: Mapping[str, Any]) -> str:
    """The path that was asked for, with its root, as an address has it."""
    raw = scope.get("raw_path")
    return path_segments(scope["path"]) if raw is None else raw.decode("latin-1")


def under_root(root: str, path: str) -> str:
    """A path of the site with its root, whether or not it was named with it."""
    return path if not root or path == root or path.startswith((f"{root}/", f"{root}?")) else root + path


def path_segments(path: str) -> str:
    """Several segments as one text, quoted all but for the slashes between them."""
    return quote(path, safe="/")


def with_query(path: str, query: Mapping[str, object]) -> str:
    """An address with these in its query, behind what it has there; what is None or empty is left out."""
    query_text = "&".join(f"{name}={quote_segment(value)}" for name, value in query.items() if value not in (None, ""))
    return _with(path, query_text)


def with_encoded(path: str, query: str) -> str:
    """An address with a query that is encoded already."""
    return _with(path, query)


def _with(path: str, query: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{query}" if query else path


# -- pages -------------------------------------------------------------------------------------------------------------

HOME: Final = "/"
LOGIN: Final = "/login"
LOGOUT: Final = "/logout"
UPLOAD: Final = "/upload"
ACTIVITY: Final = "/activity"
PREARCHIVE: Final = "/prearchive"
PROJECTS: Final = "/projects"
ACCOUNT: Final = "/account"

ProjectPart = Literal[
    "", "settings", "members", "trash", "damage", "audit", "manifest", "filter", "privacy", "rules", "receivers"
]
AdminPart = Literal[
    "", "accounts", "settings", "rules", "filter", "privacy", "receivers", "peers", "trash", "damage", "audit", "clock"
]


def login_page(then: str) -> str:
    """The login, which goes on to the path `then`."""
    return with_query(LOGIN, {"then": then})


def upload_page(project: str = "", upload: str = "") -> str:
    """The upload, with a project chosen; at an upload that waits to be continued."""
    return with_query(UPLOAD, {"project": project, "upload": upload})


def import_page(uuid: str, verb: Literal["", "receipt", "forget", "cancel", "retry", "close", "discard"] = "") -> str:
    """An import, its receipt, or what is done to it."""
    return f"/imports/{quote_segment(uuid)}{f'/{verb}' if verb else ''}"


def discard_study(uuid: str, project: str | None) -> str:
    """Where a study that is being received is discarded; it leads back to the receivers of a project or the site."""
    return with_query(import_page(uuid, "discard"), {"back": project or "."})


def receipt_page(uuid: str, verdict: str = "", q: str = "", start: int = 0) -> str:
    """A receipt from its entry number `start` on."""
    return with_query(import_page(uuid, "receipt"), {"verdict": verdict, "q": q, "from": start or None})


def project_page(project: str, part: ProjectPart = "") -> str:
    """A project, or one of the pages that only its owners have."""
    return f"{PROJECTS}/{quote_segment(project)}{f'/{part}' if part else ''}"


def subject_page(project: str, subject: str) -> str:
    return f"{project_page(project)}/subjects/{quote_segment(subject)}"


def session_page(project: str, label: str) -> str:
    """An archived session."""
    return f"{project_page(project)}/sessions/{quote_segment(label)}"


def session_form(uuid: str, verb: Literal["change", "delete", "quarantine"]) -> str:
    """Where an archived session is changed: by its id, which stays."""
    return f"/sessions/{quote_segment(uuid)}/{verb}"


def waiting_page(uuid: str) -> str:
    """A session of the prearchive."""
    return f"{PREARCHIVE}/{quote_segment(uuid)}"


def waiting_row(uuid: str) -> str:
    """The id of a waiting session's row within the list."""
    return f"s-{uuid}"


def waiting_form(uuid: str) -> str:
    """Where a waiting session gets another project, subject or label."""
    return f"{waiting_page(uuid)}/change"


def prearchive_of(project: str, state: str = "") -> str:
    """What waits of a project, or of all where none is named; in a state."""
    return with_query(PREARCHIVE, {"project": project, "state": state})


def activity_page(group: str) -> str:
    """One's own imports of a group."""
    return with_query(ACTIVITY, {"group": group})


def page_of_session(place: str, uuid: str, project: str, label: str) -> str:
    """The page of a session of the archive (`place` is "archive") or of the prearchive."""
    return waiting_page(uuid) if place == "prearchive" else session_page(project, label)


def is_prearchive(path: str) -> bool:
    """Whether a page is of what waits."""
    return path.startswith(PREARCHIVE)


def scan_page(session: str, scan: str) -> str:
    """A scan, below its session's page."""
    return f"{session}/scans/{quote_segment(scan)}"


def manifest_of(page: str) -> str:
    """The manifest of the sessions that a project's or a session's page shows."""
    return f"{page}/manifest"


def admin_page(part: AdminPart = "") -> str:
    """The site's administration."""
    return f"/admin{f'/{part}' if part else ''}"


def admin_account(name: str) -> str:
    return f"{admin_page('accounts')}/{quote_segment(name)}"


def admin_accounts_after(name: str) -> str:
    """The accounts whose names come after this one."""
    return with_query(admin_page("accounts"), {"after": name})


def receiver_page(uuid: str) -> str:
    """Where a DICOM receiver is changed; `new` where one is made."""
    return f"{admin_page('receivers')}/{quote_segment(uuid)}"


def receiver_associations(project: str | None, *, refused: bool) -> str:
    """The receivers of a project or (None) of the site, with all of the last associations or those with refusals."""
    return with_query(of_project_or_site(project, "receivers"), {"refused": "1" if refused else None})


def peer_page(uuid: str) -> str:
    """Where a DICOM peer is changed and called; `new` where one is made."""
    return f"{admin_page('peers')}/{quote_segment(uuid)}"


def of_project_or_site(
    project: str | None, part: Literal["trash", "damage", "audit", "filter", "privacy", "receivers"]
) -> str:
    """A page that a project has for its owners and the site for its administrators."""
    return project_page(project, part) if project else admin_page(part)


def rules_page(project: str | None) -> str:
    """Where the routing rules of a project, with None of the site, are edited and tried."""
    return project_page(project, "rules") if project else admin_page("rules")


def script_page(project: str | None) -> str:
    """Where the script of a project, with None of the site, is edited and tried."""
    return f"{of_project_or_site(project, 'privacy')}/script"


def account_form(part: Literal["profile", "password", "tokens", "logins/end"]) -> str:
    """Where one's own account is changed."""
    return f"{ACCOUNT}/{part}"


def revoke_token(alias: str) -> str:
    return f"{account_form('tokens')}/{quote_segment(alias)}/revoke"


def restore_from_trash(uuid: str) -> str:
    return f"/trash/{quote_segment(uuid)}/restore"


def verify_damage(uuid: str = "") -> str:
    """Where what is damaged is read again: of one session, or all that one answers for."""
    return f"/damage{f'/{quote_segment(uuid)}' if uuid else ''}/verify"


def static(stamp: str) -> str:
    """Where style sheets, scripts and pictures are; `stamp` changes with them."""
    return f"/static/{stamp}"


_FORMS: Final = (
    (re.compile(r"/account/.+"), ACCOUNT),
    (re.compile(r"/projects/([^/]+)/members"), r"/projects/\1/settings"),
    (re.compile(r"/admin/accounts/[^/]+"), "/admin/accounts"),
    (re.compile(r"/admin/clock"), "/admin"),
    (re.compile(r"/sessions/([^/]+)/quarantine"), r"/sessions/\1/change"),
    (re.compile(r"/imports/([^/]+)/(cancel|retry|close)"), r"/imports/\1"),
    (re.compile(r"/damage/.+"), HOME),
    (re.compile(r"/logout"), HOME),
)
"""Patterns of addresses that take nothing but what a form sends, as they are asked, and the page with the form."""


def page_of_form(path: str) -> str:
    """The page to which reloading leads people back; nothing where there is no one page."""
    for pattern, page in _FORMS:
        if match := pattern.fullmatch(path):
            return match.expand(page)
    return ""


# -- API ---------------------------------------------------------------------------------------------------------------

API: Final = "/api/v1"
OPENAPI: Final = "/api/openapi.json"
API_UPLOADS: Final = f"{API}/uploads"
API_IMPORTS: Final = f"{API}/imports"
API_ACCOUNTS: Final = f"{API}/accounts"
API_SUBSCRIPTIONS: Final = f"{API}/subscriptions"
API_DAMAGE: Final = f"{API}/damage"
API_RECEIVERS: Final = f"{API}/receivers"
API_PEERS: Final = f"{API}/peers"
API_ME: Final = f"{API}/auth/me"
API_TREE: Final = f"{API}/tree"
OIDC: Final = f"{API}/auth/oidc"
OIDC_CALLBACK: Final = f"{OIDC}/callback"

Damaged = Literal["", "omit", "include"]


def is_upload(path: str) -> bool:
    """Whether an address is tus's own."""
    return path == API_UPLOADS or path.startswith(f"{API_UPLOADS}/")


def is_oidc(path: str) -> bool:
    """Whether an address, with the site's path or not, is a step of a login by the provider."""
    return "/auth/oidc/" in path


def api_upload(uuid: str) -> str:
    return f"{API_UPLOADS}/{quote_segment(uuid)}"


def id_of_upload(location: str) -> str:
    """The id at the end of an upload's address."""
    return location.rstrip("/").rpartition("/")[2]


def api_import(uuid: str, verb: Literal["", "cancel", "receipt", "sessions"] = "") -> str:
    return f"{API_IMPORTS}/{quote_segment(uuid)}{f'/{verb}' if verb else ''}"


def api_receipt(uuid: str, verdict: str = "", fmt: Literal["", "csv"] = "") -> str:
    return with_query(api_import(uuid, "receipt"), {"format": fmt, "verdict": verdict})


def api_project(name: str) -> str:
    return f"{API}/projects/{quote_segment(name)}"


def api_script_check(project: str | None) -> str:
    """Where a script of a project, with None of the site, is read."""
    return f"{api_project(project)}/scripts/check" if project else f"{API}/privacy/scripts/check"


def api_tree(path: str = "") -> str:
    """A folder of the archive as people mount it: that of a project, a session, or one in it."""
    return f"{API_TREE}/{path_segments(path)}/" if path else f"{API_TREE}/"


def api_account(uuid: str) -> str:
    return f"{API_ACCOUNTS}/{quote_segment(uuid)}"


def api_subscription(uuid: str) -> str:
    return f"{API_SUBSCRIPTIONS}/{quote_segment(uuid)}"


def api_receiver(uuid: str) -> str:
    return f"{API_RECEIVERS}/{quote_segment(uuid)}"


def api_peer(uuid: str) -> str:
    return f"{API_PEERS}/{quote_segment(uuid)}"


def api_session(uuid: str) -> str:
    return f"{API}/sessions/{quote_segment(uuid)}"


def api_scan(session: str, scan: str) -> str:
    return f"{api_session(session)}/scans/{quote_segment(scan)}"


def api_download(part: str, damaged: Damaged = "") -> str:
    """The zip of a session or a scan, by that one's address; `damaged` says what becomes of damaged files."""
    return with_query(f"{part}/download", {"damaged": damaged})


def api_thumbnail(session: str, scan: str, tree: object) -> str:
    """`tree` changes with what is shown, as browsers keep it."""
    return with_query(f"{api_scan(session, scan)}/thumbnail", {"tree": tree})


def api_picture(scan: str, at: int, tree: object) -> str:
    """An image of a scan, by the scan's address, as a picture."""
    return with_query(f"{scan}/frames/{at}/picture", {"tree": tree})


def api_file_content(session: str, file: int) -> str:
    return f"{api_session(session)}/files/{file}/content"


def with_damaged(address: str) -> str:
    """The same, though what is there is damaged."""
    return with_query(address, {"damaged": "include"})


def api_audit_export(project: str | None) -> str:
    return with_query(f"{API}/audit/export", {"format": "csv", "project": project})


def oidc_login(then: str) -> str:
    """The login by the site's provider, which goes on to the path `then`."""
    return with_query(f"{OIDC}/login", {"then": then})


# -- DICOMweb ----------------------------------------------------------------------------------------------------------

DICOMWEB: Final = "/dicomweb"
"""The base of all that somebody may read; below it each project has its own."""


def dicomweb(project: str | None = None) -> str:
    """The base of a project, with None of all that somebody may read."""
    return DICOMWEB if project is None else f"{DICOMWEB}/projects/{quote_segment(project)}"


def dicomweb_study(base: str, study: str) -> str:
    """A study, below a base that may be an absolute address."""
    return f"{base}/studies/{quote_segment(study)}"


def dicomweb_series(base: str, study: str, series: str) -> str:
    return f"{dicomweb_study(base, study)}/series/{quote_segment(series)}"


def dicomweb_instance(base: str, study: str, series: str, instance: str) -> str:
    return f"{dicomweb_series(base, study, series)}/instances/{quote_segment(instance)}"


# -- the OHIF viewer ---------------------------------------------------------------------------------------------------

OHIF: Final = "/ohif"


def ohif(project: str | None = None) -> str:
    """Where the viewer is for a project's archive, with None for all that somebody may read."""
    return f"{OHIF}/all" if project is None else f"{OHIF}/projects/{quote_segment(project)}"


def ohif_config(project: str | None = None) -> str:
    """What the viewer is told of the server."""
    return f"{ohif(project)}/app-config.js"


def ohif_study(study: str, project: str | None = None) -> str:
    """The viewer with a study, by the name that it has for that in its own addresses."""
    return with_query(f"{ohif(project)}/viewer", {"StudyInstanceUIDs": study})


def ohif_static(stamp: str) -> str:
    """The folder of its files."""
    return f"{OHIF}/static/{stamp}"


def dicomweb_bulk_data(instance: str, path: str) -> str:
    """The value of an element, by the object's address and the element's path."""
    return f"{instance}/bulkdata/{path}"


# -- for those who watch the server ------------------------------------------------------------------------------------

HEALTHZ: Final = "/healthz"
READYZ: Final = "/readyz"
METRICS: Final = "/metrics"

# -- XNAT's dialect ----------------------------------------------------------------------------------------------------

XNAT_PREFIXES: Final = ("/data", "/xapi", "/REST")
CACHE: Final = "/data/user/cache/resources"
"""The files that accounts keep for a while."""
PREARCHIVE_EXPERIMENTS: Final = "/prearchive/experiments"
"""How the addresses end that list what came to the prearchive of late."""

_REST: Final = re.compile(r"^/REST(?=/|$)")
_ARCHIVE: Final = re.compile(r"^/data/archive(?=/(projects|subjects|experiments|search|scanners|scan_types)(/|$))")
_PROJECT: Final = r"(?:/projects/(?P<project>[^/]+))?"
_SUBJECT: Final = r"(?:/subjects/(?P<subject>[^/]+))?"
_ARCHIVE_DEST: Final = re.compile(rf"(?:/data)?/archive{_PROJECT}{_SUBJECT}(?:/experiments/(?P<session>[^/]+))?/?")
_IMPORT_DEST: Final = re.compile(
    rf"(?:/data)?/(?:(?P<archive>archive){_PROJECT}{_SUBJECT}(?:/experiments/(?P<session>[^/]+))?"
    r"|prearchive(?:/projects/(?P<waiting>[^/]+)(?:/(?P<timestamp>[0-9]{8}_[0-9]{6,9})(?:/(?P<folder>[^/]+))?)?)?"
    r")/?"
)
_EXPERIMENT: Final = re.compile(
    rf"(?:/data)?(?:/archive)?{_PROJECT}{_SUBJECT}/experiments/(?P<experiment>[^/]+)"
    r"(?:/scans/(?P<scan>[^/]+))?(?:/.*)?"
)
_STORED: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{API}/sessions/(?P<uuid>[^/]+)/?",
        rf"{PROJECTS}/(?P<project>[^/]+)(?:/sessions/(?P<label>[^/]+))?/?",
        rf"(?:{API_TREE}|/archive)/(?P<project>[^/]+)(?:/(?P<label>[^/]+))?/?",
        r"/data(?:/archive)?/projects/(?P<project>[^/]+)/?",
        r"/data(?:/archive)?(?:/projects/(?P<project>[^/]+))?(?:/subjects/[^/]+)?/experiments/(?P<label>[^/]+)/?",
    )
)
"""Addresses of archived sessions and of projects: of the API, of pages, of folders, and XNAT's."""
_WAITING: Final = re.compile(
    r"(?:/data)?/prearchive/projects/(?P<project>[^/]+)/(?P<timestamp>[^/]+)/(?P<label>[^/]+)"
    r"(?:/scans/(?P<scan>[^/]+))?(?:/.*)?"
)
_HOLDER: Final = re.compile(
    rf"(?:/data)?(?:/archive)?{_PROJECT}{_SUBJECT}"
    r"(?:/experiments/(?P<experiment>[^/]+)(?:/.*)?|/resources(?:/.*)?|/files(?:/.*)?)?"
)
_SOURCE: Final = re.compile(
    r"/?(?:(?:data|REST)/)?prearchive/projects/(?P<project>[^/]+)/(?P<timestamp>\d{8}_\d{6,9})/(?P<label>[^/]+)/?"
)


def is_xnat(path: str) -> bool:
    """Whether an address is of the dialect."""
    return path.startswith(tuple(f"{prefix}/" for prefix in XNAT_PREFIXES)) or path in XNAT_PREFIXES


def is_for_programs(path: str) -> bool:
    """Whether an address is of the API, the dialect or DICOMweb, or begins as theirs do."""
    return path.startswith(("/api/", DICOMWEB, *XNAT_PREFIXES))


def canonical(path: str) -> str:
    """An address of the dialect as the routes have it; any other as it is."""
    if not is_xnat(path):
        return path
    path = _ARCHIVE.sub("/data", _REST.sub("/data", path))
    return path.rstrip("/")


def parse_archive_dest(dest: str) -> dict[str, str] | None:
    """Project, subject and session that a `dest` of archiving names, those that are there; None where it is none."""
    return _named(_ARCHIVE_DEST, dest)


def parse_import_dest(dest: str) -> dict[str, str] | None:
    """The same of the import service's `dest`, which names `archive`, or `waiting`, `timestamp` and `folder`."""
    return _named(_IMPORT_DEST, dest)


def parse_experiment(reference: str) -> dict[str, str] | None:
    """Project, subject, experiment and scan of what names an experiment or a part of it."""
    return _named(_EXPERIMENT, reference)


def parse_stored(reference: str) -> dict[str, str] | None:
    """Project, label (or XNAT's id) and UUID, those that are there, of any address of an archived session or of a
    project, as of its folder in the data folder; None where it is none.
    """
    path = re.sub(r"^https?://[^/]+", "", reference)
    parts = (_named(pattern, path if path.startswith("/") else f"/{path}") for pattern in _STORED)
    return next((names for names in parts if names is not None), None)


def parse_waiting(reference: str) -> dict[str, str] | None:
    """Project, timestamp, label and scan of what names a session of the prearchive or a part of it."""
    return _named(_WAITING, reference)


def parse_holder(reference: str) -> dict[str, str]:
    """Project, subject and experiment of what has resources; nothing where it names none."""
    return _named(_HOLDER, reference) or {}


def parse_source(src: str) -> uris.PrearchiveSessionUri | None:
    """The session of the prearchive that a `src` names, with or without `/data` before it."""
    parts = _named(_SOURCE, src)
    return None if parts is None else uris.PrearchiveSessionUri(**parts)


def _named(pattern: re.Pattern[str], text: str) -> dict[str, str] | None:
    match = pattern.fullmatch(text)
    return None if match is None else {name: value for name, value in match.groupdict().items() if value}


def xnat_project(name: str) -> str:
    return uris.project(quote_segment(name))


def xnat_subject(project: str, label: str) -> str:
    return uris.subject(quote_segment(project), quote_segment(label))


def xnat_file(holder: str, resource: str, name: str) -> str:
    """A file of a project's or a subject's own, by that one's address."""
    return uris.file(holder, None, quote_segment(resource), path_segments(name))


def xnat_zip(holder: str) -> str:
    """All files of a project's or a subject's own, as a zip."""
    return with_query(f"{holder}/files", {"format": "zip"})


def manifest_entry(experiment_id: str, scan: str | None, resource: str) -> str:
    """The files of a resource, as a manifest of XNAT's Desktop Client names them."""
    return uris.files(f"/archive/experiments/{experiment_id}", None if scan is None else quote_segment(scan), resource)


def posted(path: str, id_: str) -> str:
    """Where a thing stands that was made by a POST to the list of its kind, whose path was asked so."""
    return f"{quote(path)}/{quote(id_)}"


def inbox_import(number: int) -> str:
    """An import from the server's own folders, to be followed."""
    return f"/xapi/dicom/{number}"


def cached(resource: str, name: str | None = None) -> str:
    """A resource of an account's cache, or one of its files; their names stand as they are."""
    return f"{CACHE}/{resource}" if name is None else f"{CACHE}/{resource}/files/{name}"


def sent_session(project: str, timestamp: str, folder: str) -> str:
    """The link of XNAT's Desktop Client to a session that it has sent."""
    segments = (quote_segment(project), quote_segment(timestamp), quote_segment(folder))
    return "/app/action/LoadImageData/project/{}/timestamp/{}/folder/{}".format(*segments)
