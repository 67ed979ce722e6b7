"""What decides beside the headers: the request, the project's policy and the site's rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from scandock.model.importing import Destination, Overwrite
from scandock.rules.labels import PLACEHOLDERS
from scandock.rules.mapping import MappingRow
from scandock.rules.routing import RoutingRule, rule_tags

Identified = Literal["accept", "warn", "hold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was named at the door; None: not named."""

    project: str | None = None
    subject: str | None = None
    session: str | None = None
    destination: Destination | None = None
    overwrite: Overwrite | None = None
    mapping: tuple[MappingRow, ...] = ()
    dialect: bool = False
    """Came by the XNAT dialect (rules.md, "Which session" 1 and 5)."""
    keep_names: bool = False
    """Objects keep the archive's own base names (rules.md, "Which file")."""
    quarantine: bool = False
    """What is archived of it is in quarantine (1.4)."""
    one_patient: bool = False
    """Whoever sent it named subject and session by hand: several PatientIDs in a study are one patient's."""
    settles: bool = False
    """Whoever sent it may archive: what it brings of a session that was left in conflict is decided by it."""
    timestamp: str = ""
    """The prearchive's timestamp that what comes is to stand under, where it goes there."""
    folder: str = ""
    """What its folder there is called by whoever sent it, where that is not its label."""
    said: Mapping[str, str] = field(default_factory=dict)
    """What is said of every session, beside what its objects say."""

    @property
    def overwrite_named(self) -> bool:
        """Whether what happens to an archived session was named at all."""
        return self.overwrite is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPolicy:
    """Settings of one project (xnat-behaviour.md 5.5, 4.7; rules.md, "Which session" 9)."""

    id: str
    exists: bool = True
    may_upload: bool = True
    prearchive_code: int = 4
    """0: wait in the prearchive, 4: archive, 5: archive and overwrite."""
    identified: Identified = "accept"
    petmr: Literal["petmr", "pet"] = "petmr"
    separate_secondary: bool = True
    quarantine: bool = False
    """Whether all that is archived in it is in quarantine at first (5.5: `quarantine_code` 1)."""

    @property
    def usable(self) -> bool:
        """Whether a study may go there: it exists, and the uploader may upload to it."""
        return self.exists and self.may_upload


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRules:
    """The administrators' rules for project, subject and session, and the names that count as absent."""

    project: tuple[RoutingRule, ...] = ()
    subject: tuple[RoutingRule, ...] = ()
    session: tuple[RoutingRule, ...] = ()
    placeholders: tuple[str, ...] = field(default=PLACEHOLDERS)

    @property
    def tags(self) -> frozenset[int]:
        """The elements that the rules read: they must be among those that the reader tallies."""
        return rule_tags((*self.project, *self.subject, *self.session))


def effective_overwrite(request: Request, policy: ProjectPolicy) -> Overwrite:
    """What an archived session gets: as named, else `delete` by the project's code 5 (1.6), else `append`."""
    if request.overwrite is not None:
        return request.overwrite
    return "delete" if policy.prearchive_code == 5 else "append"


def destination_of(request: Request, policy: ProjectPolicy, auto_archive: bool | None) -> Destination:
    """Where sessions of a project go: as named, else `AA:` in the comments, else the project's code (5.5)."""
    if request.destination is not None:
        return request.destination
    if auto_archive is not None:
        return "archive" if auto_archive else "prearchive"
    return "prearchive" if policy.prearchive_code == 0 else "archive"
