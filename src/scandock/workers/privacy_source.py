"""Where an import learns what a site and its projects let be known, and have done to objects before they are stored.

That is the catalog. Whoever embeds Scandock, and its tests, may give another by `use_privacy`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from scandock.rules.privacy import PrivacyRules, SitePrivacy
    from scandock.services.settings import Settings

_privacy: SitePrivacy | None = None


def given_to_process() -> SitePrivacy | None:
    """What this process goes by, whatever the catalog says; None where it was given nothing."""
    return _privacy


def current_rules(connection: Connection, data: str, settings: Settings) -> Callable[[str], PrivacyRules | None]:
    """By what the objects of a project are de-identified now; of all None where the site's key is not there."""
    if _privacy is not None:
        return _privacy.rules_of
    from scandock.services.privacy_in_force import rules_in_force

    return rules_in_force(connection, data, settings)


@contextmanager
def use_privacy(privacy: SitePrivacy) -> Iterator[None]:
    """Let the imports of this process go by `privacy` within the context."""
    global _privacy  # noqa: PLW0603  one for the process, as imports may be started from any thread of it
    before, _privacy = _privacy, privacy
    try:
        yield
    finally:
        _privacy = before
