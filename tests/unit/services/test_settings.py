"""Settings: from the environment, checked with a sentence, described without secrets."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.access.oidc_settings import OidcSettings
from scandock.model.errors import Usage
from scandock.model.limits import Limits
from scandock.rules.labels import PLACEHOLDERS
from scandock.services import settings as defined
from scandock.services.byte_sizes import format_bytes, parse_bytes
from scandock.services.masking import mask
from scandock.services.notify_settings import NotifySettings
from scandock.services.server_checks import check_server
from scandock.services.setting_rows import describe_settings, describe_unknown_variables, find_unknown_variables
from scandock.services.settings import OUTSIDE, Settings, load_settings, variable_name


@cache
def sources() -> dict[str, str]:
    """The text of every module, by its path."""
    root = Path(defined.__file__).parent.parent
    return {str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.py"))}


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
    for number, name in enumerate(Limits._fields, start=3):
        monkeypatch.setenv(f"SCANDOCK_{name.upper()}", str(number))
    limits = load_settings().limits
    assert list(limits) == list(range(3, 3 + len(limits)))


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
        ("PUBLIC_URL", "dock.example.org", "https://dock.example.org"),
        ("PUBLIC_URL", "https://me:x@dock.example.org", "https://dock.example.org"),
        ("PUBLIC_URL", "https://dock.example.org/?a=1", "https://dock.example.org"),
        ("PUBLIC_URL", "https://dock.example.org:99999", "https://dock.example.org"),
        ("BASE_PATH", "dock", "right is /dock"),
        ("BASE_PATH", "/a//b", "right is /dock"),
        ("BASE_PATH", "/a/<b>", "right is /dock"),
        ("TRUSTED_PROXIES", "*", "127.0.0.1"),
        ("TRUSTED_PROXIES", "10.0.0.1, proxy", "127.0.0.1"),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("SMTP_SECURITY", "ssl", "'none', 'starttls' or 'tls'"),
        ("UPLOAD_HOURS", "0", "the least is 1"),
        ("MAX_UPLOAD_BYTES", "0", "the least is 1 B"),
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


SECRET = {"SCANDOCK_ADMIN_PASSWORD", "SCANDOCK_SMTP_PASSWORD", "SCANDOCK_OIDC_CLIENT_SECRET"}


def test_passwords_and_secrets_are_shown_nowhere(monkeypatch):
    for name in SECRET:
        monkeypatch.setenv(name, "geheim")
    settings = load_settings()
    rows = {row.name: row for row in describe_settings(settings)}
    assert {name for name, row in rows.items() if row.value == "***"} == SECRET
    assert "geheim" not in repr(settings) + repr(rows)
    assert settings.admin_password is not None
    assert settings.admin_password.get_secret_value() == "geheim"


def test_the_path_of_the_site_is_that_of_its_address(monkeypatch):
    assert load_settings().root_path == ""
    monkeypatch.setenv("SCANDOCK_PUBLIC_URL", "https://example.org/dock/")
    assert load_settings().public_url == "https://example.org/dock"
    assert load_settings().root_path == "/dock"
    monkeypatch.setenv("SCANDOCK_BASE_PATH", "/")
    assert load_settings().root_path == ""


def test_proxies_are_addresses_and_networks_or_none(monkeypatch):
    monkeypatch.setenv("SCANDOCK_TRUSTED_PROXIES", "10.1.0.0/16, fd00::7")
    assert load_settings().trusted_proxies == ("10.1.0.0/16", "fd00::7")
    monkeypatch.setenv("SCANDOCK_TRUSTED_PROXIES", "none")
    assert load_settings().trusted_proxies == ()


def test_the_provider_of_logins_is_put_together(monkeypatch):
    assert load_settings().oidc is None
    monkeypatch.setenv("SCANDOCK_OIDC_ISSUER", "https://login.example.org")
    monkeypatch.setenv("SCANDOCK_OIDC_CLIENT_ID", "dock")
    monkeypatch.setenv("SCANDOCK_OIDC_DOMAINS", "example.org, example.net")
    found = load_settings().oidc
    assert found is not None
    assert (found.issuer, found.client_id, found.client_secret) == ("https://login.example.org", "dock", "")
    assert found.domains == ("example.org", "example.net")


FITTING = {
    "OIDC_ISSUER": "https://login.example.org",
    "OIDC_CLIENT_ID": "dock",
    "SMTP_HOST": "mail.example.org",
    "SMTP_SECURITY": "starttls",
    "SMTP_USER": "dock",
    "SMTP_PASSWORD": "geheim",
    "SMTP_FROM": "dock@example.org",
    "PUBLIC_URL": "https://example.org/dock",
    "BASE_PATH": "/dock",
}


def served_with(monkeypatch, **values):
    for name, value in values.items():
        if value is None:
            monkeypatch.delenv(f"SCANDOCK_{name}", raising=False)
        else:
            monkeypatch.setenv(f"SCANDOCK_{name}", value)
    check_server(load_settings())


def test_settings_that_fit_each_other_are_served_with(monkeypatch):
    check_server(load_settings())
    served_with(monkeypatch, **FITTING)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"OIDC_ISSUER": None}, "SCANDOCK_OIDC_CLIENT_ID is set, but SCANDOCK_OIDC_ISSUER is not."),
        ({"OIDC_CLIENT_ID": None}, "SCANDOCK_OIDC_CLIENT_ID is not."),
        ({"OIDC_ISSUER": "http://login.example.org"}, "is no https address"),
        ({"OIDC_SCOPES": "email"}, "SCANDOCK_OIDC_SCOPES lacks the scope openid."),
        ({"SMTP_HOST": None}, "SCANDOCK_SMTP_FROM, SCANDOCK_SMTP_PASSWORD, SCANDOCK_SMTP_SECURITY, SCANDOCK_SMTP_USER"),
        ({"SMTP_USER": None}, "SCANDOCK_SMTP_USER is not set"),
        ({"SMTP_PASSWORD": None}, "SCANDOCK_SMTP_PASSWORD is not set"),
        ({"SMTP_SECURITY": "none"}, "SCANDOCK_SMTP_SECURITY has to be starttls or tls"),
        ({"SMTP_FROM": "dock"}, "SCANDOCK_SMTP_FROM='dock' can't be an e-mail address."),
        ({"BASE_PATH": "/other"}, "SCANDOCK_BASE_PATH says '/other'"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_each_other_are_named(monkeypatch, change, said):
    with pytest.raises(Usage) as caught:
        served_with(monkeypatch, **{**FITTING, **change})
    assert caught.value.code == "setting_invalid"
    assert said in caught.value.message
    assert "geheim" not in str(caught.value)


def test_all_that_does_not_fit_is_told_at_once(monkeypatch):
    with pytest.raises(Usage, match=r"SMTP_HOST.*OIDC_CLIENT_ID is not"):
        served_with(monkeypatch, SMTP_PORT="587", OIDC_ISSUER="https://login.example.org")


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
    rows = {row.name: row for row in describe_settings(load_settings())}
    assert set(rows) == {variable_name(name) for name in Settings.model_fields}
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
    assert find_unknown_variables(environ) == {"SCANDOCK_MAX_DEPHT": "SCANDOCK_MAX_DEPTH", "SCANDOCK_XYZZY": None}
    assert describe_unknown_variables(environ) == [
        "SCANDOCK_MAX_DEPHT is set, but no setting has that name; SCANDOCK_MAX_DEPTH has.",
        "SCANDOCK_XYZZY is set, but no setting has that name.",
    ]


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


def test_every_variable_that_the_source_names_is_defined_with_the_settings():
    known = {variable_name(name) for name in Settings.model_fields} | OUTSIDE.keys()
    named = {name for text in sources().values() for name in re.findall(r"\bSCANDOCK_[A-Z_]*[A-Z]\b(?!_)", text)}
    others = {name for name in named - known if not name.startswith("SCANDOCK_CRASH_")}
    assert {"SCANDOCK_DATA", "SCANDOCK_TOKEN", "SCANDOCK_SMTP_HOST"} <= named
    assert others == set()


def test_settings_are_defined_in_one_module():
    of_settings = [name for name, text in sources().items() if re.search(r"\bclass Settings\b|BaseSettings", text)]
    assert of_settings == ["services/settings.py"]


def test_names_of_variables_have_any_case_and_empty_ones_are_not_set(monkeypatch):
    monkeypatch.setenv("scandock_Workers", "3")
    monkeypatch.setenv("SCANDOCK_TIMEZONE", "")
    settings = Settings(max_depth=2)
    assert (settings.workers, settings.timezone, settings.max_depth) == (3, "UTC", 2)


def test_what_packages_get_of_the_settings_has_no_defaults_of_its_own():
    for made in (NotifySettings, OidcSettings):
        assert [one.name for one in fields(made) if one.default is not MISSING] == []
