"""What messages say of damage: figures for everybody, names only where the site allows them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scandock.services.damage import MAX_NAMED, DamageFigures
from scandock.services.notifications import build_damage_payload, format_damage_email
from scandock.services.records import Damage
from scandock.services.settings import load_settings
from scandock.store.paths import unchecked_path


def damaged(files: int) -> DamageFigures:
    named = [
        Damage(
            id=n, kind="changed", project="P", subject="Sub", session="", label="S1", place="archive", uri="", file=n,
            path=unchecked_path(f"scans/1/{n}.dcm"), bytes=1, stored_bytes=1, found=5,
        )
        for n in range(min(files, MAX_NAMED))
    ]  # fmt: skip
    return DamageFigures(files, 1, 5, files, named, "/admin/damage")


@pytest.mark.parametrize(
    ("files", "more"), [(1, ""), (MAX_NAMED, ""), (MAX_NAMED + 1, "- and 1 more"), (500, "- and 480 more")]
)
def test_a_letter_names_the_first_and_counts_the_rest(files: int, more: str) -> None:
    _, text = format_damage_email(damaged(files), replace(load_settings().notify, labels=True))
    listed = [line for line in text.splitlines() if line.startswith("- ")]
    assert listed[0] == "- P / S1 / scans/1/0.dcm: other bytes than were stored"
    assert listed[min(files, MAX_NAMED) :] == ([more] if more else [])
    assert f"Files: {files}" in text


def test_no_name_is_in_a_message_where_the_site_does_not_allow_it() -> None:
    settings = replace(load_settings().notify, public_url="https://dock.example.org")
    _, text = format_damage_email(damaged(2), settings)
    assert "S1" not in text
    assert build_damage_payload(damaged(2), settings) == {
        "event": "damage.found",
        "files": 2,
        "sessions": 1,
        "found": 5,
        "url": "https://dock.example.org/api/v1/damage",
    }
    assert "damage" in build_damage_payload(damaged(2), replace(load_settings().notify, labels=True))
