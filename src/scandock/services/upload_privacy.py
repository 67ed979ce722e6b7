"""What is removed from uploads before they are stored, by the project that they go to: for who uploads, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

from pydantic import Field
from sqlalchemy import Connection

from scandock.catalog.privacy_texts import Kind, says_something, texts_by_project
from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord
from scandock.rules.privacy_policy import Policy, PrivacySettings, in_force, strictest

if TYPE_CHECKING:
    from scandock.rules.privacy_policy import Level

_STATES = {"hash": "hashed", "drop": "dropped"}


@dataclass(frozen=True, kw_only=True)
class RemovedFromUploads(JsonRecord):
    """What is removed from uploads into one project."""

    names: str
    study_uid: str
    patient: str
    words: Annotated[str, Field(description="What is removed, in sentences; empty where nothing is")]


@dataclass(frozen=True, kw_only=True)
class SiteRemovals(JsonRecord):
    """What is removed from all of them."""

    NESTED = ("site", "unnamed")

    site: RemovedFromUploads
    """Of projects that say nothing themselves, and of sessions without one."""
    unnamed: RemovedFromUploads
    """Of uploads that name no project."""
    projects: dict[str, RemovedFromUploads]

    def of(self, project: str) -> RemovedFromUploads:
        """What holds for a project; for uploads that name none with ""."""
        return self.projects.get(project, self.site) if project else self.unnamed


def find_upload_privacy(connection: Connection, projects: Collection[str]) -> SiteRemovals | None:
    """What holds for uploads into these projects, which who asks may upload to; None where nobody says anything."""
    said = texts_by_project(connection)
    if not any(map(says_something, said.values())):
        return None
    site = said.get("", {})
    by_project = {name: _combine(site, texts) for name, texts in said.items() if name and says_something(texts)}
    policies = [_combine(site, {})[0], *(policy for policy, _ in by_project.values())]
    return SiteRemovals(
        site=_describe(*_combine(site, {})),
        unnamed=_describe_unnamed(strictest(policies)),
        projects={name: _describe(*by_project[name]) for name in projects if name in by_project},
    )


def _combine(site: dict[Kind, str], project: dict[Kind, str]) -> tuple[Policy, list[str]]:
    """The policy of a project, and what its images are changed by or lose."""
    both = in_force(*(PrivacySettings.from_document(texts.get("settings", "")) for texts in (site, project)))
    means = [f"the {whose}'s script" for whose, texts in (("site", site), ("project", project)) if "script" in texts]
    means += ["the de-identification profile"] if both.profile else []
    words = [f"Images are changed by {_join(means)}."] if means else []
    if both.kept_resources == "drop":
        words.append("Files that are no images are left out.")
    return both.policy, words


def _describe(policy: Policy, words: list[str]) -> RemovedFromUploads:
    return RemovedFromUploads(**policy._asdict(), words=" ".join([*words, *_policy_words(policy)]))


def _describe_unnamed(policy: Policy) -> RemovedFromUploads:
    """Of images it is known once each study has its project."""
    words = ["Images are changed as the project asks that each study goes to.", *_policy_words(policy)]
    return RemovedFromUploads(**policy._asdict(), words=" ".join(words))


def _policy_words(policy: Policy) -> list[str]:
    by_level: defaultdict[Level, list[str]] = defaultdict(list)
    for words, level in (
        ("names of files, folders and archives", policy.names),
        ("study UIDs", policy.study_uid),
        ("patient names and IDs", policy.patient),
    ):
        by_level[level].append(words)
    return [f"{_join(by_level[level])[0].upper()}{_join(by_level[level])[1:]} are {_STATES[level]}."
            for level in ("drop", "hash") if by_level[level]]  # fmt: skip


def _join(words: list[str]) -> str:
    return " and ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} and {words[-1]}"
