"""Rules by which imports of this process de-identify, given by a test: no setting, page or command writes any yet."""

from __future__ import annotations

from contextlib import AbstractContextManager

from scandock.services.privacy_source import PrivacySource, use_privacy


def given_privacy(source: PrivacySource) -> AbstractContextManager[None]:
    """Let imports go by the rules that `source` gives for a project (None for none) within the context."""
    return use_privacy(source)
