"""Where the form of an address stands that takes nothing but what a form sends: reloading leads people back to it."""

from __future__ import annotations

import re
from typing import Final

_STANDS: Final = (
    (re.compile(r"/account/.+"), "/account"),
    (re.compile(r"/projects/([^/]+)/members"), r"/projects/\1/settings"),
    (re.compile(r"/admin/accounts/[^/]+"), "/admin/accounts"),
    (re.compile(r"/admin/clock"), "/admin"),
    (re.compile(r"/admin/rules/[^/]+"), "/admin/rules"),
    (re.compile(r"/sessions/([^/]+)/quarantine"), r"/sessions/\1/change"),
    (re.compile(r"/imports/[^/]+/(cancel|retry)"), "/activity"),
    (re.compile(r"/damage/.+"), "/"),
    (re.compile(r"/logout"), "/"),
)
"""Patterns of addresses as they are asked, and the page where the form is."""


def page_of_form(path: str) -> str:
    """The path of the page with the form; nothing where there is no one page."""
    for pattern, stands in _STANDS:
        if found := pattern.fullmatch(path):
            return found.expand(stands)
    return ""
