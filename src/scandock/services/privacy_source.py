"""Where an import learns what projects have done to their objects before they are stored.

Nothing is asked for anywhere yet: no page, command or setting writes rules. Whoever embeds Scandock, and its tests,
give them by `use_privacy`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scandock.rules.privacy import PrivacyRules

PrivacySource = Callable[[str], PrivacyRules | None]
"""Gives the rules of a project, None where its objects are stored as they come."""

_source: PrivacySource | None = None


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
