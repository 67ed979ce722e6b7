"""What every page is asked with, and what it asks the permission matrix: a page that is not here fails the test.

As in `probes`, a probe changes nothing that another one needs. A page says no as people expect it: who is not logged
in is led to the login where they look at something (303), and is told so where they change something (401).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from scandock.rules.permissions import Action


@dataclass(frozen=True, kw_only=True)
class PageProbe:
    """One request for a page."""

    action: Action
    of: str = "project"
    """What of a `Place` it is about; a place that has none is left out. `site`: in no project."""
    good: tuple[int, ...] = (200,)
    """Statuses once it is allowed."""
    params: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    """Of the form that is sent."""
    heading: str = "<h1"
    """What a page has once it is allowed; of a piece of a page its own."""
    has_file: bool = False
    """Whether the form has a field for a file: it is sent as multipart/form-data."""
    of_import: bool = False
    """Whether it is about an import: who may not read it does not learn that there is one."""


LISTS: Final = {
    ("GET", "/upload"),
    ("POST", "/upload"),
    ("GET", "/projects"),
    ("GET", "/activity"),
    ("GET", "/prearchive"),
    ("POST", "/prearchive"),
    ("GET", "/ohif/all"),
    ("GET", "/ohif/all/{path:path}"),
    ("GET", "/ohif/all/app-config.js"),
}
"""Pages that show each what they may see, asked of their services alone (`probes` has them): at most a login first."""

OPEN: Final = {
    ("GET", "/"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/logout"),
}
"""Pages that ask nobody for anything."""


def _own(action: Action = Action.ACCOUNT_EDIT, **more: Any) -> PageProbe:
    return PageProbe(action=action, of="site", **more)


def _admin(**more: Any) -> PageProbe:
    return PageProbe(action=Action.SITE_ADMIN, of="site", **more)


def _viewer(heading: str = '<div id="root">') -> PageProbe:
    return PageProbe(action=Action.SESSION_READ, heading=heading)


_SETTINGS: Final = {
    "accessibility": "wide open",
    "prearchive_code": "4",
    "identified": "accept",
    "petmr": "petmr",
}
"""One of them is no value, so that nothing is changed for the probes that follow."""

PAGES: Final[dict[tuple[str, str], PageProbe]] = {
    ("POST", "/projects"): PageProbe(action=Action.PROJECT_CREATE, of="site", fields={"id": "P"}, good=(409,)),
    ("GET", "/projects/{project}"): PageProbe(action=Action.PROJECT_SEE),
    ("GET", "/projects/{project}/sessions/{label}"): PageProbe(action=Action.SESSION_READ, of="archived"),
    ("GET", "/projects/{project}/manifest"): PageProbe(
        action=Action.SESSION_READ, of="archived", heading="<cat:Catalog"
    ),
    ("GET", "/projects/{project}/sessions/{label}/manifest"): PageProbe(
        action=Action.SESSION_READ, of="archived", heading="<cat:Catalog"
    ),
    ("GET", "/app/action/LoadImageData/project/{project}/timestamp/{timestamp}/folder/{folder}"): PageProbe(
        action=Action.PREARCHIVE_READ, of="waiting", good=(303,)
    ),
    ("GET", "/projects/{project}/sessions/{label}/scans/{scan}"): PageProbe(action=Action.SESSION_READ, of="archived"),
    ("GET", "/ohif/projects/{project}"): _viewer(),
    ("GET", "/ohif/projects/{project}/{path:path}"): _viewer(),
    ("GET", "/ohif/projects/{project}/app-config.js"): _viewer("window.config"),
    ("GET", "/projects/{project}/subjects/{subject}"): PageProbe(action=Action.SUBJECT_READ, of="subject"),
    ("GET", "/prearchive/{uuid}"): PageProbe(action=Action.PREARCHIVE_READ, of="waiting"),
    ("GET", "/prearchive/{uuid}/scans/{scan}"): PageProbe(action=Action.PREARCHIVE_READ, of="waiting"),
    ("GET", "/projects/{project}/settings"): PageProbe(action=Action.SETTINGS_EDIT),
    ("POST", "/projects/{project}/settings"): PageProbe(action=Action.SETTINGS_EDIT, fields=_SETTINGS, good=(400,)),
    ("GET", "/projects/{project}/filter"): PageProbe(action=Action.FILTER_READ),
    ("POST", "/projects/{project}/filter"): PageProbe(
        action=Action.SETTINGS_EDIT,
        fields={"do": "set", "mode": "blacklist", "text": "a(b"},
        good=(400,),
        has_file=True,
    ),
    ("GET", "/projects/{project}/rules"): PageProbe(action=Action.SETTINGS_EDIT),
    ("POST", "/projects/{project}/rules"): PageProbe(
        action=Action.SETTINGS_EDIT, fields={"do": "set", "subject": "no rule"}, good=(400,), has_file=True
    ),
    ("GET", "/projects/{project}/privacy"): PageProbe(action=Action.PRIVACY_READ),
    ("POST", "/projects/{project}/privacy"): PageProbe(action=Action.SETTINGS_EDIT, fields={"do": "x"}, good=(400,)),
    ("GET", "/projects/{project}/privacy/script"): PageProbe(action=Action.SETTINGS_EDIT),
    ("POST", "/projects/{project}/privacy/script"): PageProbe(
        action=Action.SETTINGS_EDIT, fields={"do": "set", "text": "no script"}, good=(400,), has_file=True
    ),
    ("POST", "/projects/{project}/members"): PageProbe(
        action=Action.MEMBERS_EDIT, fields={"account": "nobody", "role": "member"}, good=(404,)
    ),
    ("GET", "/projects/{project}/audit"): PageProbe(action=Action.AUDIT_READ),
    ("GET", "/projects/{project}/trash"): PageProbe(action=Action.TRASH_READ),
    ("GET", "/projects/{project}/damage"): PageProbe(action=Action.DAMAGE_READ),
    ("GET", "/projects/{project}/receivers"): PageProbe(action=Action.RECEIVERS_READ),
    ("POST", "/damage/verify"): PageProbe(action=Action.DAMAGE_VERIFY, fields={"project": "{project}"}, good=(303,)),
    ("POST", "/damage/{session}/verify"): PageProbe(
        action=Action.DAMAGE_VERIFY, of="archived", fields={"project": "{project}"}, good=(303,)
    ),
    ("POST", "/trash/{session}/restore"): PageProbe(
        action=Action.TRASH_RESTORE,
        of="trashed",
        fields={"label": "no label / at all", "project": "{project}"},
        good=(400,),
    ),
    ("GET", "/account"): _own(Action.ACCOUNT_READ),
    ("POST", "/account/profile"): _own(fields={"display": "", "email": ""}, good=(303,)),
    ("POST", "/account/password"): _own(fields={"current": "wrong", "new": "new", "again": "new"}, good=(400,)),
    ("POST", "/account/tokens"): _own(fields={"scope": "read", "days": "0"}, good=(400,)),
    ("POST", "/account/tokens/{alias}/revoke"): _own(good=(404,)),
    ("POST", "/account/logins/end"): _own(good=(303,)),
    ("GET", "/admin"): _admin(),
    ("POST", "/admin/clock"): _admin(good=(303,)),
    ("GET", "/admin/accounts"): _admin(),
    ("POST", "/admin/accounts"): _admin(fields={"name": "admin"}, good=(409,)),
    ("POST", "/admin/accounts/{account}"): _admin(fields={"do": "nothing"}, good=(400,)),
    ("GET", "/admin/settings"): _admin(),
    ("GET", "/admin/rules"): _admin(),
    ("POST", "/admin/rules"): _admin(fields={"do": "set", "project": "no rule"}, good=(400,), has_file=True),
    ("GET", "/admin/filter"): _admin(),
    ("POST", "/admin/filter"): _admin(
        fields={"do": "set", "mode": "blacklist", "text": "a(b"}, good=(400,), has_file=True
    ),
    ("GET", "/admin/privacy"): _admin(),
    ("POST", "/admin/privacy"): _admin(fields={"do": "x"}, good=(400,)),
    ("GET", "/admin/privacy/script"): _admin(),
    ("POST", "/admin/privacy/script"): _admin(fields={"do": "set", "text": "no script"}, good=(400,), has_file=True),
    ("GET", "/admin/receivers"): _admin(),
    ("POST", "/admin/receivers"): _admin(fields={"ae_title": "A\\B", "port": "104"}, good=(400,)),
    ("GET", "/admin/receivers/{receiver}"): _admin(),
    ("POST", "/admin/receivers/{receiver}"): _admin(fields={"do": "nothing"}, good=(400,)),
    ("GET", "/admin/peers"): _admin(),
    ("POST", "/admin/peers"): _admin(fields={"ae_title": "A\\B", "host": "h", "port": "104"}, good=(400,)),
    ("GET", "/admin/peers/{peer}"): _admin(good=(404,)),
    ("POST", "/admin/peers/{peer}"): _admin(fields={"do": "nothing"}, good=(404,)),
    ("GET", "/admin/trash"): _admin(),
    ("GET", "/admin/damage"): _admin(),
    ("GET", "/admin/audit"): _admin(),
    ("GET", "/prearchive/{uuid}/change"): PageProbe(action=Action.PREARCHIVE_EDIT, of="waiting"),
    ("GET", "/sessions/{uuid}/change"): PageProbe(action=Action.SESSION_EDIT, of="archived"),
    ("POST", "/sessions/{uuid}/change"): PageProbe(
        action=Action.SESSION_EDIT, of="archived", fields={"label": "no label / at all"}
    ),
    ("GET", "/sessions/{uuid}/delete"): PageProbe(action=Action.SESSION_DELETE, of="archived"),
    ("POST", "/sessions/{uuid}/quarantine"): PageProbe(action=Action.SESSION_EDIT, of="archived", good=(303,)),
    ("POST", "/sessions/{uuid}/delete"): PageProbe(action=Action.SESSION_DELETE, of="archived"),
    ("GET", "/activity/{uuid}"): PageProbe(action=Action.IMPORT_READ, of="ended", of_import=True, heading="<h2"),
    ("GET", "/imports/{uuid}"): PageProbe(action=Action.IMPORT_READ, of="ended", of_import=True),
    ("GET", "/imports/{uuid}/forget"): PageProbe(action=Action.IMPORT_DELETE, of="ended", of_import=True),
    ("POST", "/imports/{uuid}/forget"): PageProbe(
        action=Action.IMPORT_DELETE, of="received", of_import=True, good=(409,)
    ),
    ("POST", "/imports/{uuid}/close"): PageProbe(action=Action.IMPORT_CANCEL, of="ended", of_import=True, good=(409,)),
    ("GET", "/imports/{uuid}/discard"): PageProbe(action=Action.IMPORT_CANCEL, of="ended", of_import=True, good=(409,)),
    ("POST", "/imports/{uuid}/discard"): PageProbe(
        action=Action.IMPORT_CANCEL, of="ended", of_import=True, good=(409,)
    ),
    ("GET", "/imports/{uuid}/receipt"): PageProbe(action=Action.IMPORT_READ, of="ended", of_import=True),
    ("POST", "/imports/{uuid}/cancel"): PageProbe(action=Action.IMPORT_CANCEL, of="ended", of_import=True, good=(409,)),
    ("POST", "/imports/{uuid}/retry"): PageProbe(action=Action.IMPORT_CANCEL, of="ended", of_import=True, good=(409,)),
}
"""Every page that asks for a right."""
