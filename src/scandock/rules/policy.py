"""What decides beside the headers and the request: the project's policy and the site's rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Literal

from scandock.model.dataclass import dataclass
from scandock.model.import_types import Destination, Overwrite
from scandock.rules.labels import PLACEHOLDERS, label_key
from scandock.rules.petmr import MapWords, PetMr
from scandock.rules.routing_rules import RoutingRule, rule_tags

if TYPE_CHECKING:
    from scandock.rules.import_request import ImportRequest

Identified = Literal["accept", "warn", "hold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPolicy:
    """Settings of one project (xnat-behaviour.md 5.5, 4.7; rules.md, "Which session" 9)."""

    id: str
    exists: bool = True
    may_upload: bool = True
    prearchive_code: int = 4
    """0: wait in the prearchive, 4: archive, 5: archive and overwrite."""
    identified: Identified = "accept"
    petmr: PetMr = "petmr"
    """What the project, or by default the site, says."""
    separate_secondary: bool = True
    quarantine: bool = False
    """Whether all that is archived in it is in quarantine at first (5.5: `quarantine_code` 1)."""

    @property
    def usable(self) -> bool:
        """Whether a study may go there: it exists, and the uploader may upload to it."""
        return self.exists and self.may_upload


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRules:
    """A project's own rules, asked before the site's for studies that go to it."""

    subject: tuple[RoutingRule, ...] = ()
    session: tuple[RoutingRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRules:
    """The administrators' rules for project, subject and session, the names that count as absent, and the site's
    settings for studies with PET and MR.
    """

    project: tuple[RoutingRule, ...] = ()
    subject: tuple[RoutingRule, ...] = ()
    session: tuple[RoutingRule, ...] = ()
    placeholders: tuple[str, ...] = field(default=PLACEHOLDERS)
    petmr: PetMr = "petmr"
    """For projects whose own setting is `default`."""
    map_words: MapWords = "mrac"
    projects: Mapping[str, ProjectRules] = field(default_factory=dict)
    """By the key of the project's name: of those that have rules of their own."""

    @property
    def tags(self) -> frozenset[int]:
        """The elements that the rules read: they must be among those that the reader tallies."""
        own = [rule for rules in self.projects.values() for rule in (*rules.subject, *rules.session)]
        return rule_tags((*self.project, *self.subject, *self.session, *own))

    def of_kind(self, kind: str, project: str) -> tuple[tuple[str, tuple[RoutingRule, ...]], ...]:
        """The rules that name subject or session of a study that goes to a project, and whose they are; in order."""
        own = self.projects.get(label_key(project), ProjectRules())
        if kind == "session":
            return ("project", own.session), ("site", self.session)
        return ("project", own.subject), ("site", self.subject)


def effective_overwrite(request: ImportRequest, policy: ProjectPolicy) -> Overwrite:
    """What an archived session gets: as named, else `delete` by the project's code 5 (1.6), else `append`."""
    if request.overwrite is not None:
        return request.overwrite
    return "delete" if policy.prearchive_code == 5 else "append"


def effective_destination(request: ImportRequest, policy: ProjectPolicy, auto_archive: bool | None) -> Destination:
    """Where sessions of a project go: as named, else `AA:` in the comments, else the project's code (5.5)."""
    if request.destination is not None:
        return request.destination
    if auto_archive is not None:
        return "archive" if auto_archive else "prearchive"
    return "prearchive" if policy.prearchive_code == 0 else "archive"
