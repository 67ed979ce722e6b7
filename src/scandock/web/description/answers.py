"""Which route answers with what, when all is well: by method and path, as the route table has them."""

from __future__ import annotations

from typing import Final

from scandock.web import urls
from scandock.web.description.imports import IMPORTS, UNFINISHED
from scandock.web.description.kinds import MAYBE_TEXT, MAYBE_WHOLE, Schema, items, ref

_V1: Final = urls.API
_SCAN: Final = f"{_V1}/sessions/{{session}}/scans/{{scan}}"
_FILE: Final = f"{_V1}/sessions/{{session}}/files/{{file}}"
_WAITING: Final = f"{_V1}/prearchive/{{session}}"
_MEMBERS: Final = f"{_V1}/projects/{{project}}/members"


def _page(name: str) -> Schema:
    return items(ref(name), following=MAYBE_TEXT)


ANSWERS: Final[dict[tuple[str, str], Schema]] = {
    ("GET", "/healthz"): ref("Health"),
    ("GET", "/readyz"): ref("Ready"),
    ("POST", f"{_V1}/imports"): ref("Import"),
    ("GET", f"{_V1}/imports"): IMPORTS,
    ("GET", f"{_V1}/imports/{{id}}"): ref("Import"),
    ("POST", f"{_V1}/imports/{{id}}/cancel"): ref("Import"),
    ("POST", f"{_V1}/imports/{{id}}/retry"): ref("Import"),
    ("GET", f"{_V1}/uploads"): UNFINISHED,
    ("POST", f"{_V1}/projects"): ref("MadeProject"),
    ("GET", f"{_V1}/projects"): _page("Project"),
    ("GET", f"{_V1}/projects/{{project}}"): ref("Project"),
    ("PATCH", f"{_V1}/projects/{{project}}"): ref("Project"),
    ("GET", _MEMBERS): items(ref("Member")),
    ("PUT", f"{_MEMBERS}/{{account}}"): ref("RoleNow"),
    ("GET", f"{_V1}/subjects"): _page("Subject"),
    ("GET", f"{_V1}/subjects/{{subject}}"): ref("Subject"),
    ("PATCH", f"{_V1}/subjects/{{subject}}"): ref("Subject"),
    ("GET", f"{_V1}/sessions"): _page("Session"),
    ("POST", f"{_V1}/sessions/known"): items(ref("Known")),
    ("GET", f"{_V1}/sessions/{{session}}"): ref("Session"),
    ("PATCH", f"{_V1}/sessions/{{session}}"): ref("Outcome"),
    ("DELETE", f"{_V1}/sessions/{{session}}"): ref("Outcome"),
    ("POST", f"{_V1}/sessions/{{session}}/rebuild"): ref("Outcome"),
    ("GET", f"{_V1}/scans"): _page("Scan"),
    ("GET", f"{_V1}/sessions/{{session}}/scans"): _page("Scan"),
    ("GET", _SCAN): ref("Scan"),
    ("PATCH", _SCAN): ref("Scan"),
    ("GET", f"{_SCAN}/stack"): ref("Stack"),
    ("GET", f"{_FILE}/header"): ref("Header"),
    ("GET", f"{_V1}/resources"): _page("Resource"),
    ("GET", f"{_V1}/files"): _page("File"),
    ("GET", _FILE): ref("File"),
    ("GET", f"{_V1}/prearchive"): _page("Session"),
    ("GET", _WAITING): ref("Session"),
    ("DELETE", _WAITING): ref("Outcome"),
    **{("POST", f"{_WAITING}/{verb}"): ref("Outcome") for verb in ("move", "archive", "rebuild", "resolve")},
    **{
        ("POST", f"{_V1}/prearchive/{verb}"): items(ref("Outcome"))
        for verb in ("move", "archive", "rebuild", "resolve", "delete")
    },
    ("GET", f"{_V1}/trash"): _page("Trashed"),
    ("POST", f"{_V1}/trash/{{session}}/restore"): ref("Outcome"),
    ("GET", f"{_V1}/damage"): _page("Damage"),
    ("POST", f"{_V1}/damage/verify"): ref("ReadAgain"),
    ("GET", f"{_V1}/audit"): items(ref("TrailLine"), following=MAYBE_WHOLE),
    ("GET", f"{_V1}/subscriptions"): items(ref("Subscription")),
    ("POST", f"{_V1}/subscriptions"): ref("Subscription"),
    ("GET", f"{_V1}/subscriptions/{{subscription}}/deliveries"): items(ref("Delivery")),
    ("POST", f"{_V1}/auth/login"): ref("LoggedIn"),
    ("GET", f"{_V1}/auth/me"): ref("Me"),
    ("PATCH", f"{_V1}/auth/me"): ref("Account"),
    ("PUT", f"{_V1}/auth/password"): ref("Renewed"),
    ("GET", f"{_V1}/auth/logins"): items(ref("Login")),
    ("DELETE", f"{_V1}/auth/logins"): ref("Ended"),
    ("POST", f"{_V1}/tokens"): ref("NewlyIssued"),
    ("GET", f"{_V1}/tokens"): items(ref("Token")),
    ("GET", f"{_V1}/accounts"): _page("Account"),
    ("POST", f"{_V1}/accounts"): ref("Account"),
    ("GET", f"{_V1}/accounts/{{account}}"): ref("Account"),
    ("PATCH", f"{_V1}/accounts/{{account}}"): ref("Account"),
    ("GET", f"{_V1}/clock"): ref("Clock"),
    ("GET", f"{_V1}/rules"): items(ref("Rules")),
    ("GET", f"{_V1}/rules/{{kind}}"): ref("Rules"),
    ("PUT", f"{_V1}/rules/{{kind}}"): ref("Rules"),
}
"""Those that answer with JSON; each is the answer of the route's own status."""

TAGGED: Final = frozenset(
    {
        ("GET", f"{_V1}/imports/{{id}}"),
        ("GET", _WAITING),
        ("GET", _FILE),
        ("GET", f"{_FILE}/content"),
        ("HEAD", f"{_FILE}/content"),
        ("GET", f"{_FILE}/header"),
        *(("GET", f"{_SCAN}/{one}") for one in ("thumbnail", "stack", "frames/{image}", "frames/{image}/picture")),
        *(
            (method, path)
            for path in (f"{_V1}/projects/{{project}}", f"{_V1}/subjects/{{subject}}", _SCAN)
            for method in ("GET", "PATCH")
        ),
        ("GET", f"{_V1}/sessions/{{session}}"),
        ("GET", f"{_V1}/rules/{{kind}}"),
        ("PUT", f"{_V1}/rules/{{kind}}"),
    }
)
"""Those whose answer has an ETag."""

MATCHING: Final = frozenset(
    {
        ("PATCH", f"{_V1}/projects/{{project}}"),
        ("PATCH", f"{_V1}/subjects/{{subject}}"),
        ("PATCH", f"{_V1}/sessions/{{session}}"),
        ("PATCH", _SCAN),
        ("PUT", f"{_V1}/rules/{{kind}}"),
        ("GET", f"{_FILE}/content"),
        ("HEAD", f"{_FILE}/content"),
    }
)
"""Those that heed If-Match."""

LOCATED: Final = frozenset(
    {("POST", f"{_V1}/{one}") for one in ("imports", "uploads", "projects", "accounts", "subscriptions")}
)
"""Those that say where the thing stands that they made."""

OPEN: Final = frozenset(
    {
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("POST", f"{_V1}/auth/login"),
        ("GET", f"{_V1}/auth/oidc/login"),
        ("GET", f"{_V1}/auth/oidc/callback"),
        ("OPTIONS", f"{_V1}/uploads"),
    }
)
"""Those that ask nobody who they are."""
