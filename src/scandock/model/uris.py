"""XNAT's URIs: what catalog, receipts, API and dialect call the things that are stored (design: fixed surface).

Labels need no quoting, and names of scans, resources and files stand in a URI as they are: whoever asks for one by an
address quotes it by `segment`.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from scandock.model.dataclass import dataclass

DATA: Final = "/data"
"""What every URI begins with; many answers of the dialect leave it out."""


def quote_segment(text: object) -> str:
    """One segment of an address, or one value of its query."""
    return quote(str(text), safe="")


# -- sessions ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ArchivedSessionUri:
    """A session of the archive, as its URI names it."""

    project: str
    subject: str
    label: str

    @property
    def uri(self) -> str:
        return session("archive", self.project, "", self.subject, self.label)


@dataclass(frozen=True, slots=True)
class PrearchiveSessionUri:
    """A session of the prearchive, as its URI names it."""

    project: str
    timestamp: str
    label: str

    @property
    def uri(self) -> str:
        return session("prearchive", self.project, self.timestamp, "", self.label)


def session(place: str, project_name: str, timestamp: str, subject_label: str, label: str) -> str:
    """The URI of a session of the archive (`place` is "archive") or of the prearchive."""
    if place == "archive":
        return f"/data/archive/projects/{project_name}/subjects/{subject_label}/experiments/{label}"
    return f"/data/prearchive/projects/{project_name}/{timestamp}/{label}"


def parse_session(uri: str) -> ArchivedSessionUri | PrearchiveSessionUri:
    """The session that a URI names. Raises ValueError for any other text."""
    match uri.split("/"):
        case ["", "data", "prearchive", "projects", project_name, timestamp, label]:
            return PrearchiveSessionUri(project_name, timestamp, label)
    return parse_archived(uri)


def parse_archived(uri: str) -> ArchivedSessionUri:
    """The session of the archive that a URI names. Raises ValueError for any other text."""
    match uri.split("/"):
        case ["", "data", "archive", "projects", project_name, "subjects", subject_label, "experiments", label]:
            return ArchivedSessionUri(project_name, subject_label, label)
    raise ValueError(f"{uri!r} is no URI of a session")


def is_archived(uri: str) -> bool:
    """Whether a session's URI is of the archive."""
    return uri.startswith("/data/archive/")


def without_data(uri: str) -> str:
    """A URI as the dialect's messages and tables have it: `/archive/...`, `/prearchive/...`."""
    return uri.removeprefix(DATA)


# -- projects, subjects, experiments -----------------------------------------------------------------------------------


def project(name: str) -> str:
    return f"/data/projects/{name}"


def subject(project_name: str, label: str) -> str:
    """A subject by its label in its project."""
    return f"{project(project_name)}/subjects/{label}"


def subject_of_id(subject_id: str) -> str:
    """A subject by XNAT's id of it."""
    return f"/data/subjects/{subject_id}"


def experiment(experiment_id: str) -> str:
    """An archived session by XNAT's id of it."""
    return f"/data/experiments/{experiment_id}"


def resource_holder(project_name: str, subject_label: str | None = None) -> str:
    """The project or the subject whose own resources are meant."""
    whose = "" if subject_label is None else f"/subjects/{subject_label}"
    return f"/data/archive/projects/{project_name}{whose}"


# -- parts of them -----------------------------------------------------------------------------------------------------


def scan(above: str, scan_id: str) -> str:
    """A scan of the session whose URI is `above`."""
    return f"{above}/scans/{scan_id}"


def resource(above: str, scan_id: str | None, name: str) -> str:
    """A resource, by label or id, of a scan of what is `above`, or of that itself."""
    return f"{above if scan_id is None else scan(above, scan_id)}/resources/{name}"


def files(above: str, scan_id: str | None, name: str) -> str:
    """The files of that resource."""
    return f"{resource(above, scan_id, name)}/files"


def file(above: str, scan_id: str | None, resource_name: str, name: str) -> str:
    """One of them; its name may have folders before it."""
    return f"{files(above, scan_id, resource_name)}/{name}"
