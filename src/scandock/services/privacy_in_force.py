"""All of privacy that is in force at one moment, as imports take it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from scandock.catalog.privacy_texts import Kind, says_something, texts_by_project
from scandock.rules.labels import label_key
from scandock.rules.privacy import PrivacyRules, SitePrivacy
from scandock.rules.privacy_policy import PrivacySettings, Resources, in_force
from scandock.services.privacy_key import PrivacyKeys, load_keys
from scandock.services.sealing import unseal

if TYPE_CHECKING:
    from scandock.services.settings import Settings


def load_privacy(connection: Connection, data: str, settings: Settings) -> SitePrivacy | None:
    """What is in force for each project; None where nobody says anything: then no key is looked for.

    Fault `privacy_key` where the site's key is not there.
    """
    said = texts_by_project(connection)
    if not any(map(says_something, said.values())):
        return None
    keys = load_keys(connection, data, settings)
    site = said.pop("", {})
    return SitePrivacy(
        site=_combine(keys, site, {}, settings),
        projects={label_key(project): _combine(keys, site, texts, settings) for project, texts in said.items()},
    )


def without_scripts(privacy: SitePrivacy, projects: Collection[str], *, everywhere: bool) -> SitePrivacy:
    """The same without scripts and profile, everywhere or in some projects: a client has run them."""
    if everywhere:
        every = {key: _without_scripts(rules) for key, rules in privacy.projects.items()}
        return SitePrivacy(site=_without_scripts(privacy.site), projects=every)
    own = {label_key(project): _without_scripts(privacy.of(project)) for project in projects}
    return SitePrivacy(site=privacy.site, projects={**privacy.projects, **own})


def _without_scripts(rules: PrivacyRules) -> PrivacyRules:
    """Files that are no images were left out by a profile, and are."""
    resources: Resources = "keep" if rules.keeps_resources else "drop"
    return replace(rules, scripts=(), lookups="", profile="", resources=resources)


def _combine(keys: PrivacyKeys, site: dict[Kind, str], project: dict[Kind, str], settings: Settings) -> PrivacyRules:
    both = in_force(_settings_of(site), _settings_of(project))
    tables = [unseal(keys.every, texts["lookup"]) for texts in (project, site) if "lookup" in texts]
    return PrivacyRules(
        key=keys.newest,
        older_keys=keys.older,
        scripts=tuple(texts["script"] for texts in (site, project) if "script" in texts),
        lookups="\n".join(tables),
        profile=both.profile,
        residue="refuse" if both.residue == "refuse" else settings.deid_residue,
        resources=both.resources,
        policy=both.policy,
    )


def _settings_of(texts: dict[Kind, str]) -> PrivacySettings:
    return PrivacySettings.from_document(texts.get("settings", ""))
