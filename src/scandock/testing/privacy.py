"""Rules by which imports of this process de-identify, given by a test: no setting, page or command writes any yet."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType

from scandock.rules.labels import label_key
from scandock.rules.privacy import PrivacyRules, SitePrivacy
from scandock.services.privacy_source import use_privacy

_NONE: Mapping[str, PrivacyRules] = MappingProxyType({})


def given_privacy(
    site: PrivacyRules | None = None, projects: Mapping[str, PrivacyRules] = _NONE
) -> AbstractContextManager[None]:
    """Let imports go by the rules of `site`, and by those of `projects`, by name, for these, within the context.

    Where none are given for the site, they are empty ones, with the key of the projects'.
    """
    if site is None:
        site = PrivacyRules(key=next(iter(projects.values())).key)
    return use_privacy(SitePrivacy(site=site, projects={label_key(name): rules for name, rules in projects.items()}))
