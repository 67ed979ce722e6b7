"""Accounts, logins, tokens, members and the site's rules, as answers have them."""

from __future__ import annotations

from typing import Final

from scandock.web.description.kinds import (
    MAYBE_MOMENT,
    MAYBE_TEXT,
    MOMENT,
    TEXT,
    TRUTH,
    WHOLE,
    Schema,
    keyed,
    one_of,
    shape,
)

_ROLE: Final = one_of("owner", "member", "collaborator")
_SCOPE: Final = one_of("read", "upload", "all")

SCHEMAS: Final[dict[str, Schema]] = {
    "LoggedIn": shape(
        "A login by cookie; `csrf` goes into X-CSRF-Token of each change",
        {"name": TEXT, "id": TEXT, "admin": TRUTH, "csrf": TEXT, "expires": MOMENT},
    ),
    "Me": shape(
        "Who asks",
        {
            "id": TEXT,
            "name": TEXT,
            "admin": TRUTH,
            "roles": keyed(_ROLE),
            "door": one_of("basic", "cookie", "token"),
            "scope": _SCOPE,
            "csrf": MAYBE_TEXT,
        },
    ),
    "Renewed": shape("The new login of who came by cookie, else nulls", {"csrf": MAYBE_TEXT, "expires": MAYBE_MOMENT}),
    "Login": shape(
        "A login by cookie that holds",
        {"id": TEXT, "created": MOMENT, "seen": MAYBE_MOMENT, "expires": MOMENT, "current": TRUTH},
    ),
    "Ended": shape("How many logins were ended", {"ended": WHOLE}),
    "NewlyIssued": shape(
        "A token; `secret` and `token` are told this once",
        {"alias": TEXT, "secret": TEXT, "token": TEXT, "scope": _SCOPE, "name": TEXT, "expires": MOMENT},
    ),
    "Token": shape(
        "A token without its secret",
        {"alias": TEXT, "name": TEXT, "scope": _SCOPE, "created": MOMENT, "expires": MOMENT, "seen": MAYBE_MOMENT},
    ),
    "Account": shape(
        "An account; `password` says whether it has one",
        {
            "id": TEXT,
            "name": TEXT,
            "display": TEXT,
            "email": TEXT,
            "admin": TRUTH,
            "disabled": TRUTH,
            "password": TRUTH,
            "identity": MAYBE_TEXT,
            "created": MOMENT,
        },
    ),
    "Member": shape(
        "An account with a role in the project",
        {"id": TEXT, "name": TEXT, "display": TEXT, "role": _ROLE, "disabled": TRUTH},
    ),
    "RoleNow": shape("The role that an account has now", {"account": TEXT, "role": _ROLE}),
    "Rules": shape("The site's rules of one kind", {"kind": TEXT, "text": TEXT, "modified": MAYBE_MOMENT}),
}
