"""Logging in by OpenID Connect, against a provider that runs and answers over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
from joserfc.jwk import OctKey
from sqlalchemy import func, select, update

from scandock.access.authentication import LoginState, authenticate
from scandock.access.login_keys import SIGNS_MS, LoginKeys, read_login_keys
from scandock.access.oidc import OidcProvider
from scandock.access.oidc_settings import Identity, OidcSettings
from scandock.access.principal import SYSTEM, AccessDenied, RequestInfo
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.server_tables import login_key
from scandock.model.errors import Fault, Usage
from scandock.rules.permissions import AccessDecision
from scandock.services.accounts import Accounts
from scandock.services.audit import AuditFilter, search
from scandock.services.authentication import login_by_identity
from scandock.services.settings import Settings
from tests.integration import oidc_provider
from tests.integration.oidc_provider import CLIENT, SECRET

BACK = "http://127.0.0.1:8080/login/oidc"
HERE = RequestInfo("10.0.0.1", "req-1")
ALICE = {
    "sub": "1234",
    "preferred_username": "alice",
    "name": "Alice A.",
    "email": "alice@example.org",
    "email_verified": True,
}


@pytest.fixture(scope="module")
def running() -> Iterator[oidc_provider.OidcProvider]:
    with oidc_provider.run_provider() as one:
        yield one


@pytest.fixture
def there(running: oidc_provider.OidcProvider) -> oidc_provider.OidcProvider:
    """The provider, honest again."""
    fresh = oidc_provider.OidcProvider(issuer=running.issuer, keys=running.keys[:1], person=dict(ALICE))
    running.__dict__.update(fresh.__dict__)
    return running


@pytest.fixture
def here(there: oidc_provider.OidcProvider) -> Iterator[OidcProvider]:
    one = OidcProvider(settings(there), login_keys)
    yield one
    one.close()


def settings(there: oidc_provider.OidcProvider, **more) -> OidcSettings:
    return replace(provider_at(there.issuer), client_secret=SECRET, **more)


def provider_at(issuer: str) -> OidcSettings:
    """The settings of a provider, all else as it is where nothing is set."""
    made = Settings(oidc_issuer=issuer, oidc_client_id=CLIENT).oidc
    assert made is not None
    return made


def login_keys() -> LoginKeys:
    return LoginKeys([b"k" * 32], int(time.time() * 1000))


def log_in(here: OidcProvider, there: oidc_provider.OidcProvider, then: str = "/") -> tuple[Identity, str]:
    begun = here.begin(BACK, then)
    return here.finish(there.authorize(begun.url), begun.cookie, BACK)


def assert_failed(call, *given) -> None:
    with pytest.raises(AccessDenied) as refused:
        call(*given)
    assert (refused.value.code, refused.value.answer) == ("oidc_failed", AccessDecision.SIGN_IN)
    assert "Error" not in str(refused.value), "no exception's name is shown"


def test_a_login_goes_there_and_comes_back(here, there):
    identity, then = log_in(here, there, "/projects/P")
    assert identity == Identity(there.issuer, "1234", "alice", "Alice A.", "alice@example.org", True)
    assert identity.key == f"{there.issuer} 1234"
    assert then == "/projects/P"
    assert "/userinfo" not in there.asked


def test_metadata_and_keys_are_asked_for_once(here, there):
    log_in(here, there)
    log_in(here, there)
    assert there.asked.count("/.well-known/openid-configuration") == 1
    assert there.asked.count("/keys") == 1


def test_what_the_identity_token_leaves_out_is_asked_for(here, there):
    there.person = {"sub": "1234"}
    there.userinfo = {name: value for name, value in ALICE.items() if name != "sub"}
    identity, _ = log_in(here, there)
    assert (identity.name, identity.email, identity.email_verified) == ("alice", "alice@example.org", True)
    there.userinfo["sub"] = "5678"
    assert_failed(log_in, here, there)


def test_other_signatures_and_new_keys_are_followed(here, there):
    log_in(here, there)
    there.keys = [*there.keys, oidc_provider.elliptic_key()]
    there.algorithm = "ES256"
    assert log_in(here, there)[0].subject == "1234"
    assert there.asked.count("/keys") == 2


def test_a_token_of_another_key_does_not_hold(here, there):
    log_in(here, there)
    there.sign_with = oidc_provider.new_key()
    assert_failed(log_in, here, there)


@pytest.mark.parametrize("algorithm", ["HS256", "none"])
def test_a_token_signed_by_the_shared_secret_or_not_at_all_does_not_hold(here, there, algorithm):
    """Whoever knows the client's secret is not the provider."""
    there.algorithm = algorithm
    there.sign_with = OctKey.import_key(SECRET.encode() * 4)
    there.metadata = {"id_token_signing_alg_values_supported": ["RS256", "HS256", "none"]}
    assert_failed(log_in, here, there)


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"aud": None},
        {"aud": [CLIENT, "another"]},
        {"azp": "another"},
        {"iss": "http://127.0.0.1:1"},
        {"iss": None},
        {"sub": None},
        {"exp": 1},
        {"exp": None},
        {"iat": int(time.time()) + 3600},
        {"at_hash": "x"},
    ],
    ids=lambda claims: next(iter(claims)),
)
def test_an_identity_token_whose_claims_do_not_fit_does_not_hold(here, there, claims):
    there.claims = claims
    assert_failed(log_in, here, there)


def test_an_answer_belongs_to_the_browser_and_the_login_that_asked(here, there):
    begun, other = here.begin(BACK), here.begin(BACK)
    brought = there.authorize(begun.url)
    assert_failed(here.finish, brought, other.cookie, BACK)
    assert_failed(here.finish, brought, None, BACK)
    assert_failed(here.finish, {**brought, "state": "x"}, begun.cookie, BACK)
    assert_failed(here.finish, {"code": brought["code"]}, begun.cookie, BACK)
    assert_failed(here.finish, {**brought, "iss": "https://another.example"}, begun.cookie, BACK)
    assert_failed(here.finish, {"state": brought["state"], "error": "access_denied"}, begun.cookie, BACK)
    assert here.finish(brought, begun.cookie, BACK)[0].subject == "1234"
    assert_failed(here.finish, brought, begun.cookie, BACK)


def test_a_code_that_was_taken_on_its_way_is_of_no_use(here, there):
    """PKCE: the attacker's own login has another verifier."""
    victim, attacker = here.begin(BACK), here.begin(BACK)
    stolen = there.authorize(victim.url)["code"]
    brought = there.authorize(attacker.url)
    assert_failed(here.finish, {**brought, "code": stolen}, attacker.cookie, BACK)


def test_the_issuer_has_to_be_named_where_the_provider_promises_it(here, there):
    there.metadata = {"authorization_response_iss_parameter_supported": True}
    begun = here.begin(BACK)
    brought = there.authorize(begun.url)
    del brought["iss"]
    assert_failed(here.finish, brought, begun.cookie, BACK)


def test_a_wrong_secret_is_told_as_a_failure(there):
    one = OidcProvider(replace(settings(there), client_secret="wrong"), login_keys)
    assert_failed(log_in, one, there)
    one.close()


@pytest.mark.parametrize("answer", [(500, b"oops"), (200, b"no json"), (200, b"[]"), (429, b"<html>")])
def test_a_provider_that_does_not_answer_as_it_should_is_a_fault_that_passes(here, there, answer):
    there.token_answer = answer
    with pytest.raises(Fault) as refused:
        log_in(here, there)
    assert refused.value.code == "oidc_unreachable"
    there.token_answer = None
    log_in(here, there)


def test_a_token_answer_without_an_identity_is_none(here, there):
    there.token_answer = (200, b'{"access_token": "x", "token_type": "Bearer"}')
    assert_failed(log_in, here, there)


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://another.example"},
        {"token_endpoint": "http://another.example/token"},
        {"jwks_uri": "ftp://127.0.0.1/keys"},
        {"userinfo_endpoint": "http://another.example/me"},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
    ids=str,
)
def test_metadata_that_are_not_the_issuers_own_or_not_safe_are_not_taken(here, there, metadata):
    there.metadata = metadata
    with pytest.raises(Fault) as refused:
        here.begin(BACK)
    assert refused.value.code == "oidc_unreachable"


def test_nobody_there_is_a_fault(there):
    one = OidcProvider(provider_at("http://127.0.0.1:9"), login_keys)
    with pytest.raises(Fault):
        one.begin(BACK)
    one.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://login.example"},
        {"issuer": "login.example"},
        {"client_id": ""},
        {"scopes": "profile"},
    ],
    ids=str,
)
def test_settings_that_cannot_be_right(wrong):
    with pytest.raises(Usage) as refused:
        OidcProvider(replace(provider_at("https://login.example"), **wrong), login_keys)
    assert refused.value.code == "setting_invalid"


# --- accounts ---


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    opened = open_catalog(database_url)
    yield opened
    opened.dispose()


def person(**more) -> Identity:
    facts = {
        "issuer": "https://login.example", "subject": "1234", "name": "alice", "display": "Alice A.",
        "email": "alice@example.org", "email_verified": True,
    }  # fmt: skip
    return Identity(**{**facts, **more})


def rule(*domains: str) -> OidcSettings:
    return replace(provider_at("https://login.example"), domains=domains)


def assert_refused(catalog, settings, identity, code):
    with pytest.raises(AccessDenied) as refused:
        login_by_identity(catalog, settings, identity, HERE)
    assert refused.value.code == code


@pytest.mark.postgresql
def test_the_first_login_makes_an_account_and_the_next_finds_it(catalog):
    one, login = login_by_identity(catalog, rule("Example.org"), person(), HERE)
    assert (one.name, one.display, one.email, one.admin, one.password) == (
        "alice", "Alice A.", "alice@example.org", False, None,
    )  # fmt: skip
    assert authenticate(catalog, cookie=login.secret, gate=LoginState()).name == "alice"
    again, _ = login_by_identity(catalog, rule(), person(name="renamed", email="new@example.net"), HERE)
    assert again.id == one.id
    with catalog.read() as connection:
        rows = [(row.actor, row.action) for row in search(connection, AuditFilter())]
    assert rows == [("alice", "login"), ("alice", "login"), ("alice", "account_create")]


@pytest.mark.parametrize(
    ("domains", "more"),
    [
        ((), {}),
        (("example.com",), {}),
        (("example.org",), {"email_verified": False}),
        (("example.org",), {"email": "alice@evil.example.org"}),
        (("example.org",), {"email": "example.org"}),
        (("",), {"email": ""}),
    ],
)
def test_who_is_not_of_the_rule_gets_no_account(catalog, domains, more):
    if more.get("email") == "example.org":
        more = {"email": "alice@example.org@evil.example"}
    assert_refused(catalog, rule(*domains), person(**more), "oidc_not_allowed")


def test_everybody_gets_one_where_the_rule_says_so(catalog):
    one, _ = login_by_identity(catalog, rule("*"), person(email="x", email_verified=False), HERE)
    assert one.email == ""


def test_a_name_or_address_that_is_an_accounts_here_opens_nothing(catalog):
    admin = Accounts(catalog, SYSTEM, HERE)
    admin.create("alice", "correct horse", email="alice@example.org")
    assert_refused(catalog, rule("*"), person(), "oidc_name_taken")
    admin.set_identity("alice", person().key)
    assert login_by_identity(catalog, rule(), person(), HERE)[0].name == "alice"
    assert_refused(catalog, rule(), person(issuer="https://other.example"), "oidc_not_allowed")
    admin.set_identity("alice", None)
    assert_refused(catalog, rule(), person(), "oidc_not_allowed")


@pytest.mark.postgresql
def test_an_identity_logs_in_to_one_account(catalog):
    admin = Accounts(catalog, SYSTEM, HERE)
    for name in ("alice", "bob"):
        admin.create(name, None)
    admin.set_identity("alice", person().key)
    with pytest.raises(Usage) as refused:
        admin.set_identity("bob", person().key)
    assert refused.value.code == "identity_taken"


@pytest.mark.parametrize("name", ["", "...", "admin", "guest", "\u00fc"])
def test_names_that_a_provider_may_not_choose(catalog, name):
    Accounts(catalog, SYSTEM, HERE).create("Admin", "x", admin=True)
    assert_refused(catalog, rule("*"), person(name=name), "oidc_name_taken")


def test_a_name_is_made_one_that_can_be_an_accounts(catalog):
    one, _ = login_by_identity(catalog, rule("*"), person(name=" Ann Q. M\u00fcller (x)"), HERE)
    assert one.name == "Ann.Q..M.ller.x"


def test_a_disabled_account_stays_out(catalog):
    login_by_identity(catalog, rule("*"), person(), HERE)
    Accounts(catalog, SYSTEM, HERE).set_disabled("alice", True)
    assert_refused(catalog, rule("*"), person(), "login_failed")


@pytest.mark.postgresql
def test_a_login_comes_back_to_another_host(database_url, there):
    """The keys are in the catalog, which both hosts have."""
    catalogs = [open_catalog(database_url), open_catalog(database_url)]
    one, other = (OidcProvider(settings(there), partial(read_login_keys, catalog)) for catalog in catalogs)
    begun = one.begin(BACK, "/projects/P")
    assert other.finish(there.authorize(begun.url), begun.cookie, BACK)[1] == "/projects/P"
    for provider, catalog in zip((one, other), catalogs, strict=True):
        provider.close()
        catalog.dispose()


@pytest.mark.postgresql
def test_keys_are_made_anew_each_month_and_the_one_before_stays_good(catalog):
    def age(ms: int) -> None:
        with catalog.write() as connection:
            connection.execute(update(login_key).values(created=login_key.c.created - ms))

    first = read_login_keys(catalog)
    assert read_login_keys(catalog).keys == first.keys
    age(SIGNS_MS)
    second = read_login_keys(catalog)
    assert second.signing != first.signing
    assert second.keys[1] == first.signing
    age(-SIGNS_MS)  # made by a clock that was ahead: not one that signs for ever
    third = read_login_keys(catalog)
    assert third.keys[1] == second.signing
    with catalog.read() as connection:
        assert connection.execute(select(func.count()).select_from(login_key)).scalar_one() == 2, "older ones are gone"
