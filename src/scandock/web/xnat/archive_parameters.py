"""How a session is to be archived, or moved, in the words of a request (xnat-behaviour.md 5.5, 5.6)."""

from __future__ import annotations

import re
from typing import Final

from scandock.model.import_types import Overwrite
from scandock.model.request_errors import RequestInvalid
from scandock.rules.session_fields import parse_scan_fields, parse_session_fields
from scandock.services.committing import ArchiveParameters, ScanParameters
from scandock.web import urls
from scandock.web.xnat.import_parameters import true
from scandock.web.xnat.making import wanted_scan
from scandock.web.xnat.parameters import Parameters

_PATH: Final = re.compile(
    r"xnat:(?:\w+SessionData|experimentData|subjectAssessorData)/(?P<field>label|project|subject_id)", re.IGNORECASE
)
"""Paths to what a session is called and belongs to; `imageSessionData` is one of the first."""
_OVERWRITE: Final[dict[str, Overwrite]] = {"append": "append", "delete": "delete", "override": "delete"}


def wishes_of(asked: Parameters) -> ArchiveParameters:
    """How a session is to be archived: `overwrite` is append or delete, anything else is none (5.6)."""
    overwrite = _OVERWRITE.get(asked.get("overwrite", "").strip().lower())
    if overwrite is None and asked.get("overwrite", "").strip():
        overwrite = "none"
    if overwrite == "append" and true(asked.get("overwrite_files")):
        overwrite = "delete"
    place, paths = dest_of(asked), _by_paths(asked)
    auto = _first(asked, "AA", "auto-archive")
    return ArchiveParameters(
        overwrite=overwrite,
        subject=_first(asked, "subject", "SUBJECT_ID") or paths.get("subject_id") or place.get("subject"),
        session=_first(asked, "session")
        or paths.get("label")
        or _first(asked, "EXPT_LABEL", "label")
        or place.get("session"),
        one_patient=true(asked.get("allowPatientMismatch")),
        auto=true(auto) if auto else None,
        quarantine=true(asked.get("quarantine")),
        fields=parse_session_fields(asked.multi_items()),
        scans=[
            ScanParameters(where, wanted_scan(said, where.scan_id))
            for where, said in parse_scan_fields(asked.multi_items()).items()
        ],
    )


def projects_of(asked: Parameters) -> tuple[str, ...]:
    """The projects that a request names as a session's, in whatever way."""
    named = (asked.get("project", "").strip(), dest_of(asked).get("project"), _by_paths(asked).get("project"))
    return tuple(name for name in named if name)


def _by_paths(asked: Parameters) -> dict[str, str]:
    """Label, subject and project as paths into a session's document name them (5.7, 3 and 4)."""
    found: dict[str, str] = {}
    for name, value in asked.multi_items():
        path = _PATH.fullmatch(name)
        if path is not None and value.strip():
            found.setdefault(path["field"].lower(), value.strip())
    return found


def _first(asked: Parameters, *names: str) -> str | None:
    return next((asked[name].strip() for name in names if asked.get(name, "").strip()), None)


def dest_of(asked: Parameters) -> dict[str, str]:
    """What `dest` names of the archive; nothing where it is not there."""
    dest = asked.get("dest", "").strip()
    if not dest:
        return {}
    found = urls.parse_archive_dest(dest)
    if found is None:
        raise RequestInvalid(
            "Parameter dest format error",
            "Right is /archive/projects/{project}/subjects/{subject}/experiments/{label}.",
        )
    return found


def new_project(asked: Parameters) -> str:
    """The project that a session is to be moved to. Usage `request_invalid` where none is named."""
    name = asked.get("newProject", "").strip()
    if not name:
        raise RequestInvalid("Required parameter newProject is missing.", "Name the project to move to.")
    return name
