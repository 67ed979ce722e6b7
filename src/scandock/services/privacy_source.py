"""Where an import learns what a site and its projects let be known, and have done to objects before they are stored.

That is the catalog. Whoever embeds Scandock, and its tests, may give another by `use_privacy`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scandock.rules.privacy import SitePrivacy

_privacy: SitePrivacy | None = None


def given_to_process() -> SitePrivacy | None:
    """What this process goes by, whatever the catalog says; None where it was given nothing."""
    return _privacy


@contextmanager
def use_privacy(privacy: SitePrivacy) -> Iterator[None]:
    """Let the imports of this process go by `privacy` within the context."""
    global _privacy  # noqa: PLW0603  one for the process, as imports may be started from any thread of it
    before, _privacy = _privacy, privacy
    try:
        yield
    finally:
        _privacy = before
