"""What a site and its projects say of names, UIDs and patients, put together."""

from __future__ import annotations

import pytest

from scandock.rules.privacy import PrivacyRules, SitePrivacy
from scandock.rules.privacy_policy import KEEP_ALL, Policy, PrivacySettings, in_force, laxer_items, with_profile

KEY = b"k" * 32


def test_a_project_is_as_strict_as_the_stricter_of_both() -> None:
    site = PrivacySettings(names="hash", patient="drop", residue="refuse", resources="keep")
    project = PrivacySettings(names="drop", study_uid="hash", patient="keep", residue="warn", resources="drop")

    result = in_force(site, project)

    assert result.policy == Policy("drop", "hash", "drop")
    assert (result.residue, result.resources) == ("refuse", "drop")


@pytest.mark.parametrize(
    ("site", "project", "result"),
    [
        ("", "", ""),
        ("basic", "", "basic"),
        ("", "basic,retain-uids", "basic,retain-uids"),
        ("basic,retain-uids,modified-dates", "basic,modified-dates", "basic,modified-dates"),
        ("basic", "basic,retain-uids", "basic"),
    ],
)
def test_options_stay_that_both_profiles_have(site: str, project: str, result: str) -> None:
    assert in_force(PrivacySettings(profile=site), PrivacySettings(profile=project)).profile == result


def test_a_profile_drops_names_and_patients_and_hashes_uids_where_nothing_else_is_said() -> None:
    assert with_profile(PrivacySettings(profile="basic")).policy == Policy("drop", "hash", "drop")
    assert with_profile(PrivacySettings(profile="basic,retain-uids")).policy == Policy("drop", "keep", "drop")
    said = PrivacySettings(profile="basic", names="keep", study_uid="drop", patient="hash")
    assert with_profile(said).policy == Policy("keep", "drop", "hash")
    assert with_profile(PrivacySettings()) == PrivacySettings()


def test_what_a_project_may_not_say_is_named() -> None:
    site = PrivacySettings(names="hash", profile="basic", residue="refuse", resources="drop")
    laxer = PrivacySettings(names="keep", patient="keep", profile="basic,retain-uids", residue="warn", resources="keep")

    assert laxer_items(site, laxer) == ["names", "profile", "residue", "resources"]
    assert laxer_items(site, PrivacySettings(names="drop", study_uid="hash")) == []


def test_settings_come_back_from_their_document() -> None:
    settings = PrivacySettings(names="drop", study_uid="hash", profile="basic,modified-dates", residue="refuse")

    assert PrivacySettings.from_document(settings.to_document()) == settings
    assert PrivacySettings.from_document("") == PrivacySettings()


def test_an_upload_that_names_no_project_is_held_to_the_strictest_of_all() -> None:
    site = PrivacyRules(key=KEY, policy=Policy("keep", "hash", "keep"))
    projects = {
        "a": PrivacyRules(key=KEY, policy=Policy("drop", "hash", "keep")),
        "b": PrivacyRules(key=KEY, policy=Policy("keep", "hash", "drop")),
    }
    privacy = SitePrivacy(site=site, projects=projects)

    assert privacy.at_door() == Policy("drop", "hash", "drop")
    assert privacy.at_door(["A"]) == Policy("drop", "hash", "keep")
    assert privacy.at_door(["other"]) == Policy("keep", "hash", "keep")
    assert privacy.at_door(["a", "b"]) == Policy("drop", "hash", "drop")


def test_only_what_changes_objects_is_done_to_them() -> None:
    names_alone = PrivacyRules(key=KEY, policy=Policy(names="drop"))
    privacy = SitePrivacy(site=names_alone, projects={"p": PrivacyRules(key=KEY, policy=Policy(patient="hash"))})

    assert privacy.rules_of("q") is None
    assert privacy.rules_of("P") is not None
    assert KEEP_ALL.is_open


def test_rules_come_back_from_the_wire() -> None:
    rules = PrivacyRules(key=KEY, scripts=("a",), profile="basic", policy=Policy("drop", "drop", "hash"))

    assert PrivacyRules.from_plain(rules.to_plain()) == rules
