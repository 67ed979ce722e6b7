"""What may be known of names, of StudyInstanceUIDs and of patients: kept, hashed or dropped, by site and by project.

Pure. A project may only be stricter than its site, and an import that names no project is as strict as the strictest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Final, Literal, NamedTuple

from scandock.model.dataclass import dataclass

Level = Literal["keep", "hash", "drop"]
Residue = Literal["warn", "refuse"]
Resources = Literal["keep", "drop"]

LEVELS: Final[tuple[Level, ...]] = ("keep", "hash", "drop")
"""From the most open to the strictest."""
ITEMS: Final = ("names", "study_uid", "patient")
RETAIN_UIDS: Final = "retain-uids"


class Policy(NamedTuple):
    """What may be known of what an archive says beside its images."""

    names: Level = "keep"
    """Of files, folders and archives."""
    study_uid: Level = "keep"
    patient: Level = "keep"
    """PatientID and PatientName."""

    @property
    def is_open(self) -> bool:
        """Whether everything is kept."""
        return self == KEEP_ALL

    @property
    def changes_objects(self) -> bool:
        """Whether elements of objects are to be replaced, be there scripts or not."""
        return self.study_uid != "keep" or self.patient != "keep"

    @property
    def uid_names(self) -> Level:
        """Of entries that are called by the UIDs of their objects: the stricter of that of names and that of UIDs."""
        return max(self.names, self.study_uid, key=LEVELS.index)

    def with_stricter(self, other: Policy) -> Policy:
        """The stricter of two, item by item."""
        return Policy(*(max(pair, key=LEVELS.index) for pair in zip(self, other, strict=True)))


KEEP_ALL: Final = Policy()


def strictest(policies: Iterable[Policy]) -> Policy:
    """The strictest of several, item by item; that which keeps everything, of none."""
    result = KEEP_ALL
    for policy in policies:
        result = result.with_stricter(policy)
    return result


@dataclass(frozen=True, kw_only=True)
class PrivacySettings:
    """What a site or a project says; "" for what it says nothing of."""

    names: Level | Literal[""] = ""
    study_uid: Level | Literal[""] = ""
    patient: Level | Literal[""] = ""
    profile: str = ""
    """A profile with its options, as `basic,modified-dates`."""
    residue: Residue | Literal[""] = ""
    resources: Resources | Literal[""] = ""
    """What becomes of files that are no images; by themselves they are left out where there is a profile."""

    @property
    def policy(self) -> Policy:
        """What it says of the three items; what it says nothing of is kept."""
        return Policy(self.names or "keep", self.study_uid or "keep", self.patient or "keep")

    @property
    def kept_resources(self) -> Resources:
        """What becomes of files that are no images, said or not."""
        return self.resources or ("drop" if self.profile else "keep")

    def to_document(self) -> str:
        """The text that is stored: JSON of what is said, in one form."""
        said = {name: value for name, value in asdict(self).items() if value}
        return json.dumps(said, sort_keys=True)

    @classmethod
    def from_document(cls, text: str) -> PrivacySettings:
        """The settings of `to_document`."""
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in json.loads(text or "{}").items() if name in known})


def with_profile(settings: PrivacySettings) -> PrivacySettings:
    """Settings as a profile makes them where they say nothing else: no names, no patients, UIDs hashed."""
    if not settings.profile:
        return settings
    uid: Level = "keep" if RETAIN_UIDS in settings.profile.split(",") else "hash"
    return PrivacySettings(
        **{
            **asdict(settings),
            "names": settings.names or "drop",
            "study_uid": settings.study_uid or uid,
            "patient": settings.patient or "drop",
        }
    )


def in_force(site: PrivacySettings, project: PrivacySettings) -> PrivacySettings:
    """What is in force for a project: of each item the stricter of what its site and it say."""
    policy = site.policy.with_stricter(project.policy)
    return PrivacySettings(
        names=policy.names,
        study_uid=policy.study_uid,
        patient=policy.patient,
        profile=_stricter_profile(site.profile, project.profile),
        residue="refuse" if "refuse" in (site.residue, project.residue) else "warn",
        resources="drop" if site.resources == "drop" else project.resources or site.resources,
    )


def _stricter_profile(site: str, project: str) -> str:
    """The profile of both: every option of one lets more through, so only those stay that both have."""
    if not site or not project:
        return site or project
    options = site.split(",")[1:]
    theirs = project.split(",")[1:]
    return ",".join(["basic", *(option for option in options if option in theirs)])


def laxer_items(site: PrivacySettings, project: PrivacySettings) -> list[str]:
    """The items by which a project would be more open than its site, which it may not."""
    laxer = [
        item
        for item in ITEMS
        if getattr(project, item) and LEVELS.index(getattr(project, item)) < LEVELS.index(getattr(site.policy, item))
    ]
    if site.profile and project.profile and set(project.profile.split(",")) - set(site.profile.split(",")):
        laxer.append("profile")
    if (site.residue, project.residue) == ("refuse", "warn"):
        laxer.append("residue")
    if (site.resources, project.resources) == ("drop", "keep"):
        laxer.append("resources")
    return laxer
