"""Where an import learns what projects have done to their objects before they are stored.

Nothing is asked for anywhere yet: no page, command or setting writes rules. Whoever embeds Scandock, and its tests,
give them by `use_privacy`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Final

from scandock.rules.privacy import UNLIMITED, PrivacyRules, UploadPrivacy
from scandock.rules.privacy_policy import Policy, strictest

PrivacySource = Callable[[str], PrivacyRules | None]
"""Gives the rules of a project, None where its objects are stored as they come."""

NOTHING: Final = UploadPrivacy(policy=Policy("drop", "drop", "drop"))
"""Of an upload that may go to any project."""
_source: PrivacySource | None = None


def privacy_of_upload(source: PrivacySource | None, projects: Collection[str]) -> UploadPrivacy:
    """What may be known of an upload that names these projects before its studies have one."""
    if source is None:
        return UNLIMITED
    if not projects:
        return NOTHING
    every = [rules for project in projects if (rules := source(project)) is not None]
    return UploadPrivacy(policy=strictest(rules.policy for rules in every), key=every[0].key if every else b"")


def current_privacy() -> PrivacySource | None:
    """The rules by project; None where no project has any."""
    return _source


@contextmanager
def use_privacy(source: PrivacySource) -> Iterator[None]:
    """Let the imports of this process go by `source` within the context."""
    global _source  # noqa: PLW0603  one for the process, as imports may be started from any thread of it
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before
