"""Links from a session to other viewers, by the templates of addresses that the settings have (`SCANDOCK_VIEWERS`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from scandock.model.dataclass import dataclass

PLACES: Final = ("study", "project", "session", "subject", "dicomweb")
"""What a template may name in braces, each put in as a value of a query: letters, digits and what needs no quoting."""
_PLACE: Final = re.compile(r"\{([^{}]*)\}")
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_REFUSED: Final = frozenset({"about", "blob", "data", "file", "filesystem", "javascript", "vbscript", "view-source"})
"""Schemes of what would run in the page's place, or read the reader's own machine."""


@dataclass(frozen=True, slots=True)
class ViewerLink:
    """Another viewer, and where it shows a session."""

    name: str
    url: str


def parse_viewers(entries: Iterable[str]) -> list[tuple[str, str]]:
    """Name and template of each viewer. ValueError with what is right, for the settings."""
    viewers: list[tuple[str, str]] = []
    for entry in entries:
        name, separator, template = entry.partition("=")
        name = name.replace("_", " ").strip()
        scheme = _SCHEME.match(template)
        if not separator or not name or scheme is None or scheme[1].lower() in _REFUSED:
            raise ValueError("names no viewer; right is Name=https://viewer.example.org/?study={study}")
        unknown = [place for place in _PLACE.findall(template) if place not in PLACES]
        if unknown or "{study}" not in template:
            raise ValueError(f"has to name {{study}} in its address, and may name {', '.join(PLACES)}")
        if name in dict(viewers):
            raise ValueError(f"names {name} twice")
        viewers.append((name, template))
    return viewers


def make_links(
    entries: Iterable[str], *, study: str, project: str, session: str, subject: str, dicomweb: str
) -> list[ViewerLink]:
    """Where each viewer of the settings shows a session; `dicomweb` is the absolute address of its base."""
    values = {"study": study, "project": project, "session": session, "subject": subject, "dicomweb": dicomweb}
    return [
        ViewerLink(name, _PLACE.sub(lambda match: quote(values[match[1]], safe=""), template))
        for name, template in parse_viewers(entries)
    ]
