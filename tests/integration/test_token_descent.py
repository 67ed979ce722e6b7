"""What a token makes, logins and further tokens, lives no longer than it, may no more, and ends with it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import create_engine, delete, event, func, inspect, select, text, update

from scandock.access import accounts, logins, tokens
from scandock.access.authentication import LoginState, authenticate, check_password, make_principal
from scandock.access.logins import NewLogin
from scandock.access.principal import ANONYMOUS, SYSTEM, AccessDenied, Door, Principal, RequestInfo
from scandock.access.secret import hash_secret
from scandock.access.tokens import NewToken
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.migrate import configuration
from scandock.catalog.server_tables import account, api_token, audit, login
from scandock.model.durations import DAY_MS
from scandock.model.errors import Usage
from scandock.rules.permissions import AccessDecision, Scope
from scandock.services.accounts import Accounts
from scandock.services.audit import AuditFilter, search
from scandock.services.authentication import begin_login, begin_login_for, change_own_password
from scandock.services.cleaning.registry import delete_ended_access

HERE = RequestInfo("10.0.0.1", "req-1")
PASSWORD = "correct horse"


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    opened = open_catalog(database_url)
    Accounts(opened, SYSTEM, HERE).create("alice", PASSWORD)
    yield opened
    opened.dispose()


@pytest.fixture
def first(catalog: Catalog) -> NewToken:
    """A token of two days, which nothing but the password made."""
    return Accounts(catalog, SYSTEM, HERE).issue_token(scope=Scope.ALL, days=2, account_name="alice")


def by(catalog: Catalog, made: NewToken | NewLogin) -> Principal:
    """Who asks by a token or by a login's cookie."""
    if isinstance(made, NewLogin):
        return authenticate(catalog, cookie=made.secret, gate=LoginState())
    return authenticate(catalog, token=made.bearer, gate=LoginState())


def issue(catalog: Catalog, asker: NewToken | NewLogin, *, days: int = 30, scope: Scope = Scope.ALL) -> NewToken:
    return Accounts(catalog, by(catalog, asker), HERE).issue_token(scope=scope, days=days)


def begin(catalog: Catalog, asker: NewToken | NewLogin) -> NewLogin:
    return begin_login_for(catalog, by(catalog, asker), HERE)


def holds(catalog: Catalog, made: NewToken | NewLogin) -> bool:
    try:
        return by(catalog, made) is not ANONYMOUS
    except AccessDenied:
        return False


@pytest.mark.postgresql
def test_a_revoked_token_ends_all_that_came_of_it_and_nothing_else(catalog, first):
    """To any depth: a login of the token, a token of that login, a login of that token."""
    login_of_it = begin(catalog, first)
    token_of_login = issue(catalog, login_of_it)
    deeper = begin(catalog, token_of_login)
    deepest = issue(catalog, deeper, days=1)
    descent: list[NewToken | NewLogin] = [login_of_it, token_of_login, deeper, deepest]
    other = Accounts(catalog, SYSTEM, HERE).issue_token(scope=Scope.ALL, account_name="alice")
    others: list[NewToken | NewLogin] = [other, begin(catalog, other), log_in(catalog)]
    assert all(holds(catalog, one) for one in [first, *descent, *others])

    Accounts(catalog, SYSTEM, HERE).revoke_token(first.alias, account_name="alice")

    assert not any(holds(catalog, one) for one in [first, *descent])
    assert all(holds(catalog, one) for one in others)


@pytest.mark.postgresql
def test_what_an_administrator_issues_for_another_account_ends_with_their_own_and_with_their_right(catalog):
    """A password, being shut out, revoking it among one's own, and whatever makes one of the two more or less."""
    system = Accounts(catalog, SYSTEM, HERE)
    system.create("root", PASSWORD, admin=True)
    system.create("chief", PASSWORD, admin=True)
    own = system.issue_token(scope=Scope.ALL, account_name="alice")
    ends = (
        lambda issued: system.set_password("chief", PASSWORD),
        lambda issued: system.set_disabled("chief", True),
        lambda issued: system.set_admin("chief", False),
        lambda issued: system.set_admin("alice", True),
        lambda issued: system.revoke_token(issued, account_name="chief"),
        lambda issued: system.revoke_token(issued, account_name="alice"),
    )
    for end, whose in zip(ends, (*["chief"] * 5, "alice"), strict=True):
        chief = begin_login(
            catalog, check_password(catalog, "chief", PASSWORD, HERE, LoginState()), HERE, method="password"
        )
        asker = Accounts(catalog, by(catalog, chief), HERE)
        made = asker.issue_token(scope=Scope.ALL, days=2, account_name="alice")
        assert by(catalog, made).name == "alice"
        child = issue(catalog, made)
        (listed,) = [one for one in asker.tokens() if one.name == "Issued for alice"]
        end(listed.alias if whose == "chief" else made.alias)
        assert not holds(catalog, made), end
        assert not holds(catalog, child), end
        assert holds(catalog, own)
        system.change("chief", admin=True, disabled=False)
        system.change("alice", admin=False)
        with catalog.write() as connection:
            connection.execute(delete(api_token).where(api_token.c.name == "Issued for alice"))
    for other in ("root",):
        with pytest.raises(AccessDenied) as refused:
            Accounts(catalog, admin_of(catalog, "chief"), HERE).issue_token(scope=Scope.ALL, account_name=other)
        assert refused.value.answer is AccessDecision.FORBIDDEN
    before = admin_of(catalog, "chief")
    system.set_admin("chief", False)
    with pytest.raises(AccessDenied):  # who was one when the request came
        Accounts(catalog, before, HERE).issue_token(scope=Scope.ALL, account_name="alice")


@pytest.mark.postgresql
def test_what_an_account_is_when_it_is_changed_counts_and_not_what_it_was_when_it_was_read(catalog):
    system = Accounts(catalog, SYSTEM, HERE)
    with catalog.read() as connection:
        before = accounts.get(connection, "alice")
    system.create("bob", PASSWORD)
    system.create("root", PASSWORD, admin=True)
    system.set_admin("alice", True)
    made = Accounts(catalog, admin_of(catalog, "alice"), HERE).issue_token(scope=Scope.ALL, account_name="bob")
    with catalog.write() as connection:
        accounts.set_admin(connection, before, False)
    assert not holds(catalog, made)


@pytest.mark.postgresql
def test_what_was_issued_for_others_and_has_ended_takes_no_place_among_ones_own(catalog, monkeypatch):
    """Whatever ended it; and one token is enough for an account, by which nobody can sign in."""
    monkeypatch.setattr(tokens, "MAX_TOKENS", 2)
    system = Accounts(catalog, SYSTEM, HERE)
    system.create("chief", PASSWORD, admin=True)
    chief = Accounts(catalog, admin_of(catalog, "chief"), HERE)
    for _ in range(3):
        made = chief.issue_token(scope=Scope.ALL, days=2, account_name="alice")
        system.revoke_token(made.alias, account_name="alice")
    for name in ("bob", "carl", "dora"):
        system.create(name, PASSWORD)
        chief.issue_token(scope=Scope.ALL, days=2, account_name=name)
        system.set_disabled(name, True)
    chief.issue_token(scope=Scope.ALL, days=2)
    named = sorted(one.name for one in chief.tokens())
    assert named == ["", *(f"Issued for {name}" for name in ("alice", "bob", "carl", "dora"))]
    with catalog.read() as connection:
        kept = connection.execute(select(api_token.c.secret_hash).where(api_token.c.name == "Issued for bob")).scalar()
    assert kept == bytes(32)


def admin_of(catalog: Catalog, name: str) -> Principal:
    with catalog.read() as connection:
        return make_principal(connection, accounts.get(connection, name), Door.BASIC)


@pytest.mark.parametrize("change", ["less", "more", "password"])
def test_what_is_issued_while_one_of_the_two_is_changed_ends_with_that(postgres_url, change):
    """The change waits for what is being issued, and then finds it."""
    catalog = open_catalog(postgres_url)
    waits = threading.Event()

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("UPDATE account") or "FOR UPDATE" in statement:
            waits.set()

    try:
        system = Accounts(catalog, SYSTEM, HERE)
        system.create("alice", PASSWORD)
        system.create("root", PASSWORD, admin=True)
        system.create("chief", PASSWORD, admin=True)
        changes = {
            "less": lambda: system.set_admin("chief", False),
            "more": lambda: system.set_admin("alice", True),
            "password": lambda: system.set_password("chief", PASSWORD),
        }
        event.listen(catalog.engine, "before_cursor_execute", note)
        with ThreadPoolExecutor() as threads:
            with catalog.write() as connection:
                names = [accounts.get(connection, name).id for name in ("alice", "chief")]
                alice, chief = (accounts.lock_accounts(connection, names)[n] for n in names)
                changing = threads.submit(changes[change])
                assert waits.wait(30)
                parent = tokens.get_issuing_token(connection, chief, alice, scope=Scope.ALL, days=2)
                made = tokens.issue(connection, alice, scope=Scope.ALL, days=2, parent=parent)
            changing.result(30)
        assert not holds(catalog, made)
    finally:
        catalog.dispose()


@pytest.mark.postgresql
def test_an_administrator_may_issue_for_more_accounts_than_one_has_tokens(catalog, monkeypatch):
    """As a portal does, for each of its users again and again: of the administrator's there is one for each account."""
    monkeypatch.setattr(tokens, "MAX_TOKENS", 3)
    system = Accounts(catalog, SYSTEM, HERE)
    system.create("chief", PASSWORD, admin=True)
    chief = begin_login(
        catalog, check_password(catalog, "chief", PASSWORD, HERE, LoginState()), HERE, method="password"
    )
    asker = Accounts(catalog, by(catalog, chief), HERE)
    names = [f"user{n}" for n in range(4)]
    for name in names:
        system.create(name, PASSWORD)
        made = [asker.issue_token(scope=Scope.ALL, days=days, account_name=name) for days in (1, 2, 1)]
        assert all(holds(catalog, one) for one in made)
        with pytest.raises(Usage, match="at most 3 tokens"):
            asker.issue_token(scope=Scope.ALL, account_name=name)
    own = asker.tokens()
    assert all(holds(catalog, asker.issue_token(scope=Scope.ALL)) for _ in range(3)), "they do not count"
    with pytest.raises(Usage, match="at most 3 tokens"):
        asker.issue_token(scope=Scope.ALL)
    assert sorted(one.name for one in own) == [f"Issued for {name}" for name in names]
    assert {-((one.created - one.expires) // DAY_MS) for one in own} <= {2, 3}, "as long as the longest of them"
    asker.revoke_token(next(one.alias for one in own if one.name == "Issued for user1"))
    assert not asker.tokens(account_name="user1")
    assert len(asker.tokens(account_name="user2")) == 3


def test_what_is_revoked_further_down_leaves_what_made_it(catalog, first):
    login_of_it = begin(catalog, first)
    token_of_login = issue(catalog, login_of_it)
    Accounts(catalog, by(catalog, first), HERE).revoke_token(token_of_login.alias)
    assert holds(catalog, first)
    assert holds(catalog, login_of_it)
    assert not holds(catalog, token_of_login)


def test_the_trail_tells_the_days_that_a_token_really_has(catalog, first):
    for days in (tokens.MAX_DAYS, 1):
        issue(catalog, first, days=days)
    with catalog.read() as connection:
        lines = connection.execute(select(audit.c.details).where(audit.c.action == "token_create").order_by(audit.c.id))
        told = [json.loads(one)["days"] for one in lines.scalars()]
    assert told == [2, 2, 1]


def log_in(catalog: Catalog) -> NewLogin:
    return begin_login(catalog, check_password(catalog, "alice", PASSWORD, HERE, LoginState()), HERE, method="password")


@pytest.mark.postgresql
def test_nothing_outlives_the_token_that_made_it(catalog, first):
    """Else two days would be as many as somebody likes who asks in time for the next."""
    token = issue(catalog, first, days=tokens.MAX_DAYS)
    session = begin(catalog, first)
    assert (token.expires, session.expires) == (first.expires, first.expires)
    assert issue(catalog, session, days=30).expires == first.expires
    assert issue(catalog, token, days=1).expires < first.expires
    with catalog.write() as connection:  # the time has come
        for table in (api_token, login):
            connection.execute(update(table).values(expires=table.c.expires - 2 * DAY_MS))
    assert not any(holds(catalog, one) for one in (first, token, session))
    delete_ended_access(catalog)
    with catalog.read() as connection:
        for table in (api_token, login):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0


def test_a_login_by_password_lives_as_long_as_ever_and_makes_tokens_of_any_length(catalog, first):
    session = log_in(catalog)
    assert session.expires > first.expires
    token = issue(catalog, session, days=30)
    assert token.expires > session.expires
    with catalog.write() as connection:
        logins.end(connection, session.secret)
    assert holds(catalog, token), "a person who logs out keeps the tokens of their scripts"


def test_no_token_makes_one_that_may_more(catalog):
    system = Accounts(catalog, SYSTEM, HERE)
    for scope in (Scope.READ, Scope.UPLOAD):
        narrow = system.issue_token(scope=scope, account_name="alice")
        for wanted in Scope:
            with pytest.raises(AccessDenied) as refused:
                issue(catalog, narrow, scope=wanted)
            assert refused.value.answer is AccessDecision.FORBIDDEN
        with pytest.raises(AccessDenied):
            begin(catalog, narrow)


def test_what_an_administrators_token_makes_for_others_is_its_own_too(catalog):
    system = Accounts(catalog, SYSTEM, HERE)
    system.create("boss", PASSWORD, admin=True)
    system.create("other", PASSWORD, admin=True)
    token = system.issue_token(scope=Scope.ALL, days=2, account_name="boss")
    for_alice = Accounts(catalog, by(catalog, token), HERE).issue_token(scope=Scope.ALL, days=30, account_name="alice")
    assert for_alice.expires == token.expires
    system.set_disabled("boss", True)
    assert not holds(catalog, for_alice)


def test_a_new_password_begins_a_login_that_is_no_tokens(catalog, first):
    session = begin(catalog, first)
    made = change_own_password(catalog, LoginState(), by(catalog, session), PASSWORD, "battery staple", HERE)
    assert made is not None
    assert made.expires > first.expires
    assert by(catalog, made).token is None


@pytest.mark.postgresql
def test_a_token_that_ends_in_this_moment_makes_nothing(catalog, first):
    asker = by(catalog, first)
    Accounts(catalog, SYSTEM, HERE).revoke_token(first.alias, account_name="alice")
    for make in (
        lambda: Accounts(catalog, asker, HERE).issue_token(scope=Scope.ALL),
        lambda: begin_login_for(catalog, asker, HERE),
    ):
        with pytest.raises(AccessDenied) as refused:
            make()
        assert refused.value.answer is AccessDecision.SIGN_IN


# --- how many logins an account has ---


@pytest.mark.postgresql
def test_for_one_login_too_many_the_longest_idle_one_ends_and_none_is_refused(catalog, monkeypatch):
    monkeypatch.setattr(logins, "MAX_LOGINS", 3)
    made = [log_in(catalog) for _ in range(3)]
    with catalog.write() as connection:
        for ago, one in zip((100_000, 300_000, 200_000), made, strict=True):
            mine = login.c.secret_hash == hash_secret(one.secret)
            connection.execute(update(login).where(mine).values(seen=login.c.seen - ago))
    fourth = log_in(catalog)
    assert (fourth.ended, [holds(catalog, one) for one in [*made, fourth]]) == (1, [True, False, True, True])
    with catalog.read() as connection:
        [line, *_] = search(connection, AuditFilter(action="login"))
    assert json.loads(line.details) == {"by": "password", "ended": 1}


def test_logins_that_have_ended_make_room_first(catalog, monkeypatch):
    monkeypatch.setattr(logins, "MAX_LOGINS", 2)
    one, two = log_in(catalog), log_in(catalog)
    with catalog.write() as connection:
        mine = login.c.secret_hash == hash_secret(two.secret)
        connection.execute(update(login).where(mine).values(expires=login.c.created))
    third = log_in(catalog)
    assert (third.ended, holds(catalog, one)) == (0, True)


def test_another_accounts_logins_are_not_touched(catalog, monkeypatch):
    monkeypatch.setattr(logins, "MAX_LOGINS", 1)
    Accounts(catalog, SYSTEM, HERE).create("bob", PASSWORD)
    alices = log_in(catalog)
    begin_login(catalog, check_password(catalog, "bob", PASSWORD, HERE, LoginState()), HERE, method="password")
    assert holds(catalog, alices)


# --- a catalog from before ---


def test_logins_and_tokens_of_an_older_catalog_go_on(bare_database_url):
    from alembic.command import upgrade

    engine = create_engine(bare_database_url)
    config = configuration("before_baseline")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        upgrade(config, "0007")
        columns = {one["name"] for one in inspect(connection).get_columns("login")}
        assert "token_alias" not in columns
        connection.execute(
            text(
                "INSERT INTO account (id, uuid, name, key, epoch, created, modified) VALUES (1, 'u', 'a', 'a', 0, 0, 0)"
            )
        )
        for alias in ("one", "two"):
            connection.execute(
                text(
                    "INSERT INTO api_token (alias, account_id, epoch, secret_hash, scope, created, expires)"
                    " VALUES (:alias, 1, 0, :hash, 'all', 0, 9)"
                ),
                {"alias": alias, "hash": b"t"},
            )
        connection.execute(
            text(
                "INSERT INTO login (secret_hash, account_id, epoch, csrf, created, seen, expires)"
                " VALUES (:hash, 1, 0, 'c', 0, 0, 9)"
            ),
            {"hash": b"l"},
        )
    engine.dispose()

    catalog = open_catalog(bare_database_url)
    with catalog.write() as connection:
        assert connection.execute(select(account.c.id)).scalars().all() == [1]
        assert connection.execute(select(login.c.token_alias)).scalars().all() == [None]
        connection.execute(update(login).values(token_alias="two"))
        connection.execute(update(api_token).where(api_token.c.alias == "two").values(parent_alias="one"))
        connection.execute(text("DELETE FROM api_token WHERE alias = 'one'"))
        for table in (api_token, login):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0
    catalog.dispose()
