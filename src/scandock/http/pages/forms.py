"""Where the form of an address stands that takes nothing but what a form sends: reloading leads people back to it."""

from __future__ import annotations

import re
from typing import Final

_STANDS: Final = (
    (r"/account/.+", "/account"),
    (r"/projects/([^/]+)/members", r"/projects/\1/settings"),
    (r"/admin/accounts/[^/]+", "/admin/accounts"),
    (r"/admin/rules/[^/]+", "/admin/rules"),
    (r"/sessions/([^/]+)/quarantine", r"/sessions/\1/change"),
    (r"/imports/[^/]+/(cancel|retry)", "/activity"),
    (r"/logout", "/"),
)
"""Patterns of addresses as they are asked, and the page where the form is."""


def page_of_form(path: str) -> str:
    """The path of the page with the form; nothing where there is no one page."""
    for pattern, stands in _STANDS:
        if found := re.fullmatch(pattern, path):
            return found.expand(stands)
    return ""
