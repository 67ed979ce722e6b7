"""What every page is asked with, and what it asks the permission matrix: a page that is not here fails the test.

As in `probes`, a probe changes nothing that another one needs. A page says no as people expect it: who is not logged
in is led to the login where they look at something (303), and is told so where they change something (401).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

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
    of_import: bool = False
    """Whether it is about an import: who may not read it does not learn that there is one."""


LISTS: Final = {
    ("GET", "/projects"),
    ("GET", "/activity"),
    ("GET", "/prearchive"),
    ("POST", "/prearchive"),
}
"""Pages that show each what they may see, asked of their services alone (`probes` has them): at most a login first."""

OPEN: Final = {
    ("GET", "/"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/logout"),
}
"""Pages that ask nobody for anything."""

PAGES: Final[dict[tuple[str, str], PageProbe]] = {
    ("POST", "/projects"): PageProbe(action=Action.PROJECT_CREATE, of="site", fields={"id": "P"}, good=(409,)),
    ("GET", "/projects/{project}"): PageProbe(action=Action.PROJECT_SEE),
    ("GET", "/projects/{project}/sessions/{label}"): PageProbe(action=Action.SESSION_READ, of="archived"),
    ("GET", "/imports/{uuid}/receipt"): PageProbe(action=Action.IMPORT_READ, of="ended", of_import=True),
    ("POST", "/imports/{uuid}/cancel"): PageProbe(action=Action.IMPORT_CANCEL, of="ended", of_import=True, good=(409,)),
    ("POST", "/imports/{uuid}/retry"): PageProbe(action=Action.IMPORT_CANCEL, of="ended", of_import=True, good=(409,)),
}
"""Every page that asks for a right."""
