"""How a session is to be archived, or moved, in the words of a request (xnat-behaviour.md 5.5, 5.6)."""

from __future__ import annotations

import re
from typing import Final

from scandock.model.import_types import Overwrite
from scandock.model.request_errors import RequestInvalid
from scandock.rules.session_fields import parse_scan_fields, parse_session_fields
from scandock.services.committing import ArchiveParameters, ScanParameters
from scandock.web import urls
from scandock.web.xnat.creation import make_scan_request
from scandock.web.xnat.import_parameters import is_true
from scandock.web.xnat.parameters import Parameters

_PATH: Final = re.compile(
    r"xnat:(?:\w+SessionData|experimentData|subjectAssessorData)/(?P<field>label|project|subject_id)", re.IGNORECASE
)
"""Paths to what a session is called and belongs to; `imageSessionData` is one of the first."""
_OVERWRITE: Final[dict[str, Overwrite]] = {"append": "append", "delete": "delete", "override": "delete"}


def read_archive_parameters(params: Parameters) -> ArchiveParameters:
    """How a session is to be archived: `overwrite` is append or delete, anything else is none (5.6)."""
    overwrite = _OVERWRITE.get(params.get("overwrite", "").strip().lower())
    if overwrite is None and params.get("overwrite", "").strip():
        overwrite = "none"
    if overwrite == "append" and is_true(params.get("overwrite_files")):
        overwrite = "delete"
    destination, paths = read_dest(params), _read_path_fields(params)
    auto = _first_value(params, "AA", "auto-archive")
    return ArchiveParameters(
        overwrite=overwrite,
        subject=_first_value(params, "subject", "SUBJECT_ID") or paths.get("subject_id") or destination.get("subject"),
        session=_first_value(params, "session")
        or paths.get("label")
        or _first_value(params, "EXPT_LABEL", "label")
        or destination.get("session"),
        one_patient=is_true(params.get("allowPatientMismatch")),
        auto=is_true(auto) if auto else None,
        quarantine=is_true(params.get("quarantine")),
        fields=parse_session_fields(params.multi_items()),
        scans=[
            ScanParameters(uri, make_scan_request(fields, uri.scan_id))
            for uri, fields in parse_scan_fields(params.multi_items()).items()
        ],
    )


def read_project_names(params: Parameters) -> tuple[str, ...]:
    """The projects that a request names as a session's, in whatever way."""
    names = (
        params.get("project", "").strip(),
        read_dest(params).get("project"),
        _read_path_fields(params).get("project"),
    )
    return tuple(name for name in names if name)


def _read_path_fields(params: Parameters) -> dict[str, str]:
    """Label, subject and project as paths into a session's document name them (5.7, 3 and 4)."""
    fields: dict[str, str] = {}
    for name, value in params.multi_items():
        path = _PATH.fullmatch(name)
        if path is not None and value.strip():
            fields.setdefault(path["field"].lower(), value.strip())
    return fields


def _first_value(params: Parameters, *names: str) -> str | None:
    return next((params[name].strip() for name in names if params.get(name, "").strip()), None)


def read_dest(params: Parameters) -> dict[str, str]:
    """What `dest` names of the archive; nothing where it is not there."""
    dest = params.get("dest", "").strip()
    if not dest:
        return {}
    pieces = urls.parse_archive_dest(dest)
    if pieces is None:
        raise RequestInvalid(
            "Parameter dest format error",
            "Right is /archive/projects/{project}/subjects/{subject}/experiments/{label}.",
        )
    return pieces


def read_new_project(params: Parameters) -> str:
    """The project that a session is to be moved to. Usage `request_invalid` where none is named."""
    name = params.get("newProject", "").strip()
    if not name:
        raise RequestInvalid("Required parameter newProject is missing.", "Name the project to move to.")
    return name
