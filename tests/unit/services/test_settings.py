"""Settings: from the environment, checked with a sentence, described without secrets."""

from __future__ import annotations

from dataclasses import fields
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.model.errors import Usage
from scandock.model.limits import Limits
from scandock.rules.labels import PLACEHOLDERS
from scandock.services.byte_sizes import format_bytes, parse_bytes
from scandock.services.masking import mask
from scandock.services.settings import Settings, describe, load_settings, unknown_variables, variable


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    import os

    for name in os.environ:
        if name.upper().startswith("SCANDOCK_"):
            monkeypatch.delenv(name)


def test_without_any_variable_the_defaults_are_those_of_the_limits():
    settings = load_settings()
    assert settings.limits == Limits()
    assert settings.timezone == "UTC"
    assert settings.database_url is None
    assert settings.placeholder_names == PLACEHOLDERS
    assert settings.identified == "accept"


def test_every_limit_is_a_setting_of_its_own(monkeypatch):
    for number, field in enumerate(fields(Limits), start=3):
        monkeypatch.setenv(f"SCANDOCK_{field.name.upper()}", str(number))
    limits = load_settings().limits
    assert [getattr(limits, field.name) for field in fields(Limits)] == list(range(3, 3 + len(fields(Limits))))


def test_byte_sizes_take_units(monkeypatch):
    monkeypatch.setenv("SCANDOCK_MAX_ENTRY_BYTES", "500MB")
    monkeypatch.setenv("SCANDOCK_MAX_UNPACKED_BYTES", "2 GiB")
    limits = load_settings().limits
    assert (limits.max_entry_bytes, limits.max_unpacked_bytes) == (500_000_000, 2 * 1024**3)


def test_an_empty_variable_is_as_good_as_none(monkeypatch):
    monkeypatch.setenv("SCANDOCK_TIMEZONE", "")
    assert load_settings().timezone == "UTC"


def test_placeholder_names_stand_between_commas(monkeypatch):
    monkeypatch.setenv("SCANDOCK_PLACEHOLDER_NAMES", " nobody, No Name ,,")
    assert load_settings().placeholder_names == ("nobody", "No Name")


def test_the_time_zone_is_one(monkeypatch):
    monkeypatch.setenv("SCANDOCK_TIMEZONE", "Europe/Berlin")
    assert load_settings().zone == ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_gets_the_driver_that_is_installed(monkeypatch, scheme):
    monkeypatch.setenv("SCANDOCK_DATABASE_URL", f"{scheme}://me@db/scandock")
    assert load_settings().database_url == "postgresql+psycopg://me@db/scandock"


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        load_settings().max_depth = 9


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("TIMEZONE", "Mars/Olympus", "Europe/Berlin"),
        ("TIMEZONE", "../../etc/passwd", "Europe/Berlin"),
        ("TIMEZONE", "Europe", "Europe/Berlin"),
        ("MAX_DEPTH", "many", "whole number"),
        ("MAX_DEPTH", "0", "the least is 1"),
        ("MAX_DEPTH", "900", "the most is 32"),
        ("MAX_ENTRY_BYTES", "2G", "500MB, 2GiB"),
        ("MAX_ENTRY_BYTES", "-1", "500MB, 2GiB"),
        ("MAX_ENTRY_BYTES", "5 PiB 3", "500MB, 2GiB"),
        ("MAX_UNPACKED_BYTES", "9000000 TiB", "the most is 1024 PiB"),
        ("WORKERS", "0", "the least is 1"),
        ("IDENTIFIED", "maybe", "'accept', 'warn' or 'hold'"),
        ("SEPARATE_SECONDARY", "perhaps", "true or false"),
        ("TRASH_DAYS", "1.5", "whole number"),
        ("DATABASE_URL", "mysql://db/x", "postgresql://user:password@host/name"),
        ("DATABASE_URL", "scandock.db", "postgresql://user:password@host/name"),
    ],
)
def test_a_bad_value_is_a_sentence_with_name_value_and_what_is_right(monkeypatch, name, value, right):
    monkeypatch.setenv(f"SCANDOCK_{name}", value)
    with pytest.raises(Usage) as caught:
        load_settings()
    assert caught.value.code == "setting_invalid"
    assert f"SCANDOCK_{name}='{value}'" in caught.value.message
    assert right in caught.value.message


def test_several_bad_values_are_all_named(monkeypatch):
    monkeypatch.setenv("SCANDOCK_WORKERS", "x")
    monkeypatch.setenv("SCANDOCK_MAX_RATIO", "y")
    with pytest.raises(Usage, match=r"SCANDOCK_WORKERS='x'.*SCANDOCK_MAX_RATIO='y'"):
        load_settings()


def test_the_password_of_a_bad_database_url_is_in_no_message(monkeypatch):
    monkeypatch.setenv("SCANDOCK_DATABASE_URL", "mysql://me:geheim@db/x?password=geheim")
    with pytest.raises(Usage) as caught:
        load_settings()
    assert "geheim" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_rows_say_where_a_value_comes_from_and_mask_the_password(monkeypatch):
    monkeypatch.setenv("SCANDOCK_DATABASE_URL", "postgresql://me:geheim@db:5432/x?sslpassword=geheim")
    monkeypatch.setenv("SCANDOCK_MAX_ENTRY_BYTES", "2GB")
    rows = {row.name: row for row in describe(load_settings())}
    assert set(rows) == {variable(name) for name in Settings.model_fields}
    assert all(row.meaning for row in rows.values())
    url = rows["SCANDOCK_DATABASE_URL"]
    assert (url.source, "geheim" in f"{url.value}{url.shown}", "me:***@db:5432" in url.shown) == (
        "environment",
        False,
        True,
    )
    entry = rows["SCANDOCK_MAX_ENTRY_BYTES"]
    assert (entry.value, entry.shown, entry.source) == (2_000_000_000, "2 GB", "environment")
    assert rows["SCANDOCK_MAX_DEPTH"].source == "default"


@pytest.mark.parametrize("url", ["postgresql://db/x", "postgresql://me@db/x", "sqlite:////srv/scandock.db"])
def test_a_url_without_a_password_stays_as_it_is(url):
    assert mask(url) == url


def test_a_password_with_signs_in_it_is_masked_whole():
    assert mask("postgresql://me:a:b@c@db/x") == "postgresql://me:***@db/x"


def test_slips_of_the_pen_are_found():
    environ = {"SCANDOCK_MAX_DEPHT": "3", "SCANDOCK_XYZZY": "1", "SCANDOCK_DATA": "/d", "SCANDOCK_MAX_DEPTH": "3"}
    assert unknown_variables(environ) == {"SCANDOCK_MAX_DEPHT": "SCANDOCK_MAX_DEPTH", "SCANDOCK_XYZZY": None}


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("65_535", 65535), ("1.5 GB", 1_500_000_000), ("2gib", 2 * 1024**3), ("7 B", 7), ("0.001kB", 1)],
)
def test_sizes_are_read(text, count):
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "GB", "1,5GB", "1e9", "2G", "5 apples", "٣", "-1", "1.MB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match=r".*"):
        parse_bytes(text)


@given(st.integers(min_value=0, max_value=2**60))
def test_a_size_is_read_as_it_was_written(count):
    assert parse_bytes(format_bytes(count)) == count
