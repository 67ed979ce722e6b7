"""Accounts, logins, tokens, roles and the trail, on both databases."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from scandock.access import accounts, logins, members, passwords, tokens
from scandock.access.accounts import Account
from scandock.access.authentication import LoginState, authenticate, check_password
from scandock.access.bootstrap import ensure_admin
from scandock.access.logins import NewLogin
from scandock.access.principal import (
    ANONYMOUS,
    SYSTEM,
    AccessDenied,
    Door,
    Principal,
    ProjectRights,
    RequestInfo,
    decide_access_of,
)
from scandock.access.throttle import PAIR, Throttled
from scandock.access.visibility import projects_where
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.projects import ProjectRow, add_project, make_unassigned
from scandock.catalog.server_tables import account, api_token, audit, login, member, project_access
from scandock.catalog.tables import project
from scandock.model.durations import DAY_MS
from scandock.model.errors import Fault, Usage
from scandock.rules.permissions import AccessDecision, Accessibility, Action, Role, Scope
from scandock.services.accounts import Accounts
from scandock.services.audit import AuditFilter, AuditOutcome, export, record, search
from scandock.services.authentication import begin_login, change_own_password, end_login, make_gate
from scandock.services.cleaning.registry import delete_ended_access
from scandock.services.members import list_members, set_accessibility, set_member

HERE = RequestInfo("10.0.0.1", "req-1")


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    opened = open_catalog(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def gate(catalog: Catalog) -> LoginState:
    return make_gate(catalog)


@pytest.fixture
def admin(catalog: Catalog) -> Accounts:
    return Accounts(catalog, SYSTEM, HERE)


def enter(catalog: Catalog, gate: LoginState, name: str, password: str) -> Principal:
    return authenticate(catalog, basic=(name, password), request=HERE, gate=gate)


def sign_in(
    catalog: Catalog, gate: LoginState, name: str, password: str, request: RequestInfo
) -> tuple[Account, NewLogin]:
    """Log in by name and password."""
    one = check_password(catalog, name, password, request, gate)
    return one, begin_login(catalog, one, request, method="password")


def trail(catalog: Catalog, **wanted) -> list[tuple[str, str, str]]:
    with catalog.read() as connection:
        return [(row.actor, row.action, row.outcome) for row in search(connection, AuditFilter(**wanted))]


def assert_failed(call, *given, code="login_failed", **named):
    with pytest.raises(AccessDenied) as refused:
        call(*given, **named)
    assert (refused.value.code, refused.value.answer) == (code, AccessDecision.SIGN_IN)


def count_checks(monkeypatch) -> list[str]:
    """Names the passwords that argon2 looks at from now on."""
    checked: list[str] = []
    real = passwords.verify

    def verify(stored, password):
        checked.append(password)
        return real(stored, password)

    monkeypatch.setattr(passwords, "verify", verify)
    return checked


# --- the first administrator ---


def test_the_first_start_makes_admin_with_the_password_given_or_one_made_up(catalog, gate):
    first = ensure_admin(catalog, None)
    assert first is not None
    assert first.password is not None
    assert len(first.password) >= 20
    assert first.password not in repr(first)
    principal = enter(catalog, gate, "admin", first.password)
    assert (principal.admin, principal.door) == (True, Door.BASIC)
    assert ensure_admin(catalog, "another") is None
    assert_failed(enter, catalog, gate, "admin", "another")


def test_any_password_that_is_given_serves(catalog, gate):
    first = ensure_admin(catalog, "x")
    assert first is not None
    assert first.password is None
    assert enter(catalog, gate, "admin", "x").admin


def test_an_admin_of_that_name_is_made_beside_others(catalog, admin):
    admin.create("boss", "password", admin=True)
    assert ensure_admin(catalog, "x") is not None


# --- names and passwords ---


def test_a_name_and_password_open_and_anything_else_does_not(catalog, gate, admin):
    made = admin.create("Alice", "correct horse", email="alice@example.org")
    principal = enter(catalog, gate, "alice", "correct horse")
    assert (principal.uuid, principal.name, principal.admin, principal.scope) == (made.uuid, "Alice", False, Scope.ALL)
    assert_failed(enter, catalog, gate, "alice", "correct horsf")
    assert_failed(enter, catalog, gate, "alicf", "correct horse")
    assert_failed(enter, catalog, gate, "alice", "")
    assert_failed(enter, catalog, gate, "", "")
    assert authenticate(catalog, gate=gate) is ANONYMOUS


def test_no_password_is_kept(catalog, gate, admin):
    admin.create("alice", "correct horse")
    enter(catalog, gate, "alice", "correct horse")
    with catalog.read() as connection:
        for table in (account, audit):
            assert "correct horse" not in str(connection.execute(select(table)).all())


def test_an_account_without_a_password_has_none_that_fits(catalog, gate, admin):
    admin.create("alice", None)
    for password in ("", "None"):
        assert_failed(enter, catalog, gate, "alice", password)


@pytest.mark.parametrize(
    "name",
    ["", "a:b", "a b", "-a", "a" * 65, "guest", "System", "\u00fcmit", "a\n", "0b5a1c7e-33aa-4e1b-9b1f-0a8a6f1c2d3e"],
)
def test_names_that_no_account_can_have(catalog, admin, name):
    with pytest.raises(Usage) as refused:
        admin.create(name, "password")
    assert refused.value.code == "account_name_invalid"
    with pytest.raises(Usage):
        admin.create("alice", "password", email="no address")


@pytest.mark.postgresql
def test_a_name_is_taken_in_any_case(catalog, admin):
    admin.create("alice", "password")
    with pytest.raises(Usage) as refused:
        admin.create("ALICE", "password")
    assert refused.value.code == "account_exists"


@pytest.mark.postgresql
def test_two_who_make_one_account_at_once_make_one(catalog, monkeypatch):
    """The second one does not see the first one's row and meets it at the database."""
    with catalog.write() as connection:
        accounts.create(connection, "alice")
    monkeypatch.setattr(accounts, "find", lambda *_: None)
    with pytest.raises(Usage) as refused, catalog.write() as connection:
        accounts.create(connection, "alice")
    assert refused.value.code == "account_exists"


def test_a_good_password_is_looked_at_once_a_minute(catalog, gate, admin, monkeypatch):
    admin.create("alice", "correct horse")
    checked = count_checks(monkeypatch)
    for _ in range(5):
        enter(catalog, gate, "alice", "correct horse")
    assert checked == ["correct horse"]
    for _ in range(2):
        assert_failed(enter, catalog, gate, "alice", "wrong")
    assert checked == ["correct horse", "wrong", "wrong"]


def test_a_wrong_name_takes_as_long_as_a_wrong_password(catalog, gate, admin, monkeypatch):
    admin.create("alice", "correct horse")
    admin.set_disabled("alice", True)
    checked = count_checks(monkeypatch)
    for name in ("alice", "nobody"):
        assert_failed(enter, catalog, gate, name, "correct horse")
    assert len(checked) == 2


def test_guessing_is_slowed_down_and_a_remembered_login_is_not(catalog, gate, admin):
    admin.create("alice", "correct horse")
    enter(catalog, gate, "alice", "correct horse")
    for _ in range(PAIR.burst):
        assert_failed(enter, catalog, gate, "alice", "wrong")
    with pytest.raises(Throttled) as refused:
        enter(catalog, gate, "alice", "wrong")
    assert refused.value.retry_after > 0
    assert enter(catalog, gate, "alice", "correct horse").name == "alice"
    assert trail(catalog, action="login") == [("alice", "login", "refused")]  # the others are counted


@pytest.mark.postgresql
def test_a_hash_by_older_parameters_is_made_anew_when_its_password_comes(catalog, gate, admin):
    admin.create("alice", "correct horse")
    old = PasswordHasher(time_cost=1, memory_cost=32, parallelism=1).hash("correct horse")
    with catalog.write() as connection:
        connection.execute(update(account).values(password=old))
    before = enter(catalog, gate, "alice", "correct horse")
    with catalog.read() as connection:
        one = accounts.get(connection, "alice")
    assert one.password is not None
    assert not passwords.is_outdated(one.password)
    assert one.epoch == 0
    assert enter(catalog, LoginState(), "alice", "correct horse") == before


# --- at once ---


@pytest.fixture
def doors(catalog, gate, admin):
    """Every way in for one account, each seen to be open: a call for each."""
    admin.create("alice", "correct horse")
    _, cookie = sign_in(catalog, gate, "alice", "correct horse", HERE)
    made = admin.issue_token(scope=Scope.ALL, account_name="alice")

    def by_basic():
        return authenticate(catalog, basic=("alice", "correct horse"), gate=gate)

    def by_cookie():
        return authenticate(catalog, cookie=cookie.secret, gate=gate)

    def by_token():
        return authenticate(catalog, token=made.bearer, gate=gate)

    def by_alias():
        return authenticate(catalog, basic=(made.alias, made.secret), gate=gate)

    ways = {"basic": by_basic, "cookie": by_cookie, "token": by_token, "alias": by_alias}
    for name, way in ways.items():
        assert way().name == "alice", name
    return ways


def assert_shut(doors, *names):
    for name in names:
        if name == "cookie":
            assert doors[name]() is ANONYMOUS
        else:
            assert_failed(doors[name])


def test_a_disabled_account_is_out_at_once_by_every_door(doors, admin):
    admin.set_disabled("alice", True)
    assert_shut(doors, *doors)
    admin.set_disabled("alice", False)
    assert doors["basic"]().name == "alice"
    assert_shut(doors, "cookie", "token", "alias")


def test_a_new_password_ends_whatever_the_old_one_opened(doors, admin, catalog, gate):
    admin.set_password("alice", "battery staple")
    assert_shut(doors, *doors)
    assert enter(catalog, gate, "alice", "battery staple").name == "alice"


def test_an_epoch_alone_ends_logins_and_tokens(doors, catalog):
    """Also those that were being made while the epoch moved on, which no deletion saw."""
    with catalog.write() as connection:
        connection.execute(update(account).values(epoch=account.c.epoch + 1))
    assert_shut(doors, "cookie", "token", "alias")


@pytest.mark.postgresql
def test_a_password_that_is_changed_while_the_old_one_is_being_checked_does_not_open(catalog, gate, admin, monkeypatch):
    admin.create("alice", "correct horse")
    real = passwords.verify

    def slow(stored, password):
        answer = real(stored, password)
        admin.set_password("alice", "battery staple")
        return answer

    monkeypatch.setattr(passwords, "verify", slow)
    assert_failed(enter, catalog, gate, "alice", "correct horse")
    monkeypatch.setattr(passwords, "verify", real)
    assert_failed(enter, catalog, gate, "alice", "correct horse")


def test_a_role_and_being_administrator_have_effect_with_the_next_request(doors, catalog, admin):
    add_project(catalog, ProjectRow(name="P"))
    set_member(catalog, SYSTEM, "p", "ALICE", Role.MEMBER, HERE)
    admin.set_admin("alice", True)
    for name, way in doors.items():
        assert (way().roles, way().admin) == ({"P": Role.MEMBER}, True), name
    set_member(catalog, SYSTEM, "P", "alice", None, HERE)
    admin.create("other", "password", admin=True)
    admin.set_admin("alice", False)
    for name, way in doors.items():
        assert (way().roles, way().admin) == ({}, False), name


@pytest.mark.postgresql
def test_the_last_administrator_stays(catalog, admin):
    ensure_admin(catalog, "x")
    admin.create("other", "password", admin=True)
    admin.set_disabled("other", True)
    for change in (lambda: admin.set_disabled("admin", True), lambda: admin.set_admin("admin", False)):
        with pytest.raises(Usage) as refused:
            change()
        assert refused.value.code == "last_admin"
    admin.set_disabled("other", False)
    admin.set_admin("admin", False)


# --- logins by cookie ---


@pytest.mark.postgresql
def test_a_login_ends_by_logging_out_and_only_that_one(catalog, gate, admin):
    admin.create("alice", "correct horse")
    _, one = sign_in(catalog, gate, "alice", "correct horse", HERE)
    _, two = sign_in(catalog, gate, "alice", "correct horse", HERE)
    assert one.secret != two.secret
    assert one.csrf != two.csrf
    principal = authenticate(catalog, cookie=one.secret, gate=gate)
    assert (principal.door, principal.csrf) == (Door.COOKIE, one.csrf)
    end_login(catalog, principal, one.secret, HERE)
    assert authenticate(catalog, cookie=one.secret, gate=gate) is ANONYMOUS
    assert authenticate(catalog, cookie=two.secret, gate=gate).name == "alice"
    assert trail(catalog) == [
        ("alice", "logout", "done"),
        ("alice", "login", "done"),
        ("alice", "login", "done"),
        ("system", "account_create", "done"),
    ]


def test_the_secret_of_a_login_or_token_is_kept_as_a_hash_alone(catalog, gate, admin):
    admin.create("alice", "correct horse")
    _, made = sign_in(catalog, gate, "alice", "correct horse", HERE)
    issued = admin.issue_token(scope=Scope.ALL, account_name="alice")
    with catalog.read() as connection:
        kept = str([connection.execute(select(table)).all() for table in (login, api_token, audit)])
    assert made.secret not in kept
    assert issued.secret not in kept
    assert made.secret not in repr(made)
    assert issued.secret not in repr(issued)


@pytest.mark.postgresql
@pytest.mark.parametrize(("column", "age"), [("seen", logins.IDLE_MS), ("created", logins.ABSOLUTE_MS)])
def test_a_login_ends_by_idleness_and_in_any_case(catalog, gate, admin, column, age):
    admin.create("alice", "correct horse")
    _, made = sign_in(catalog, gate, "alice", "correct horse", HERE)

    def aged(by: int) -> dict[str, object]:
        return {"expires": login.c.expires - by, "created": login.c.created - by} if column == "created" else {
            "seen": login.c.seen - by
        }  # fmt: skip

    with catalog.write() as connection:
        connection.execute(update(login).values(aged(age - 30_000)))
    assert authenticate(catalog, cookie=made.secret, gate=gate).name == "alice"
    with catalog.write() as connection:
        connection.execute(update(login).values(aged(age + 30_000)))
    assert authenticate(catalog, cookie=made.secret, gate=gate) is ANONYMOUS
    assert delete_ended_access(catalog) == 1


@pytest.mark.postgresql
def test_a_login_that_is_used_stays_and_is_written_at_most_once_a_minute(catalog, gate, admin):
    admin.create("alice", "correct horse")
    _, made = sign_in(catalog, gate, "alice", "correct horse", HERE)

    def seen() -> int:
        with catalog.read() as connection:
            return int(connection.execute(select(login.c.seen)).scalar_one())

    first = seen()
    authenticate(catalog, cookie=made.secret, gate=gate)
    assert seen() == first
    with catalog.write() as connection:
        connection.execute(update(login).values(seen=first - logins.SEEN_MS))
    authenticate(catalog, cookie=made.secret, gate=gate)
    assert seen() >= first


def test_changing_ones_own_password_needs_the_present_one_and_begins_a_new_login(catalog, gate, admin):
    admin.create("alice", "correct horse")
    _, old = sign_in(catalog, gate, "alice", "correct horse", HERE)
    alice = authenticate(catalog, cookie=old.secret, gate=gate)
    with pytest.raises(Usage) as refused:
        change_own_password(catalog, gate, alice, "wrong", "battery staple", HERE)
    assert refused.value.code == "password_wrong"
    with pytest.raises(Usage) as refused:
        change_own_password(catalog, gate, alice, "correct horse", "short", HERE)
    assert refused.value.code == "password_unfit"
    new = change_own_password(catalog, gate, alice, "correct horse", "battery staple", HERE)
    assert new is not None
    assert authenticate(catalog, cookie=old.secret, gate=gate) is ANONYMOUS
    assert authenticate(catalog, cookie=new.secret, gate=gate).name == "alice"
    other = change_own_password(catalog, gate, alice, "battery staple", "correct horse", HERE, again=False)
    assert other is None
    assert authenticate(catalog, cookie=new.secret, gate=gate) is ANONYMOUS
    change_own_password(catalog, gate, alice, "correct horse", "battery staple", HERE)
    assert_failed(enter, catalog, gate, "alice", "correct horse")
    with pytest.raises(AccessDenied):
        change_own_password(catalog, gate, ANONYMOUS, "correct horse", "battery staple", HERE)


def test_the_present_password_is_not_guessed_at_through_a_stolen_login(catalog, gate, admin):
    admin.create("alice", "correct horse")
    _, stolen = sign_in(catalog, gate, "alice", "correct horse", HERE)
    alice = authenticate(catalog, cookie=stolen.secret, gate=gate)
    for _ in range(PAIR.burst):
        with pytest.raises(Usage):
            change_own_password(catalog, gate, alice, "wrong", "battery staple", HERE)
    with pytest.raises(Throttled):
        change_own_password(catalog, gate, alice, "correct horse", "battery staple", HERE)


# --- tokens ---


@pytest.mark.postgresql
def test_a_token_has_its_scope_expires_and_is_revoked(catalog, gate, admin):
    admin.create("alice", "correct horse")
    alice = Accounts(catalog, enter(catalog, gate, "alice", "correct horse"), HERE)
    made = alice.issue_token(scope=Scope.UPLOAD, days=1, name="nightly")
    principal = authenticate(catalog, basic=(made.alias, made.secret), gate=gate)
    assert (principal.name, principal.scope, principal.door) == ("alice", Scope.UPLOAD, Door.TOKEN)
    [listed] = alice.tokens()
    assert (listed.alias, listed.name, listed.scope) == (made.alias, "nightly", Scope.UPLOAD)
    assert listed.seen is not None
    for wrong in (f"{made.alias}.{made.secret}x", f"{made.alias}.", made.secret, made.alias, "x.y"):
        assert_failed(authenticate, catalog, token=wrong, gate=gate)
    with catalog.write() as connection:
        connection.execute(update(api_token).values(expires=api_token.c.expires - DAY_MS))
    assert_failed(authenticate, catalog, token=made.bearer, gate=gate)
    assert delete_ended_access(catalog) == 1

    other = alice.issue_token(scope=Scope.READ)
    alice.revoke_token(other.alias)
    assert_failed(authenticate, catalog, token=other.bearer, gate=gate)
    with pytest.raises(Usage) as refused:
        alice.revoke_token(other.alias)
    assert refused.value.code == "token_unknown"


def test_a_token_of_less_scope_makes_no_token_of_more(catalog, gate, admin):
    admin.create("alice", "correct horse")
    made = admin.issue_token(scope=Scope.READ, account_name="alice")
    with pytest.raises(AccessDenied):
        Accounts(catalog, authenticate(catalog, token=made.bearer, gate=gate), HERE).issue_token(scope=Scope.ALL)


def test_nobody_has_another_ones_tokens(catalog, gate, admin):
    admin.create("alice", "correct horse")
    admin.create("bob", "correct horse")
    made = admin.issue_token(scope=Scope.ALL, account_name="alice")
    bob = Accounts(catalog, enter(catalog, gate, "bob", "correct horse"), HERE)
    with pytest.raises(Usage):
        bob.revoke_token(made.alias)
    for call in (lambda: bob.revoke_token(made.alias, account_name="alice"), lambda: bob.tokens(account_name="alice")):
        with pytest.raises(AccessDenied) as refused:
            call()
        assert refused.value.answer is AccessDecision.FORBIDDEN
    assert authenticate(catalog, token=made.bearer, gate=gate).name == "alice"


def test_tokens_have_an_end_and_a_number(catalog, admin, monkeypatch):
    admin.create("alice", "correct horse")
    for days in (0, tokens.MAX_DAYS + 1):
        with pytest.raises(Usage):
            admin.issue_token(scope=Scope.ALL, days=days, account_name="alice")
    monkeypatch.setattr(tokens, "MAX_TOKENS", 2)
    for _ in range(2):
        admin.issue_token(scope=Scope.ALL, account_name="alice")
    with pytest.raises(Usage) as refused:
        admin.issue_token(scope=Scope.ALL, account_name="alice")
    assert refused.value.code == "too_many_tokens"


# --- rights ---


@pytest.fixture
def people(catalog, gate, admin):
    """Principals of every kind, in projects of every accessibility."""
    make_unassigned(catalog)
    ensure_admin(catalog, "correct horse")
    for name in ("owner", "member", "collaborator", "stranger"):
        admin.create(name, "correct horse")
    for kind in Accessibility:
        add_project(catalog, ProjectRow(name=f"P_{kind}"))
        set_accessibility(catalog, SYSTEM, f"P_{kind}", kind, HERE)
        for role in Role:
            set_member(catalog, SYSTEM, f"P_{kind}", role.value, role, HERE)
    names = ("admin", "owner", "member", "collaborator", "stranger")
    return {name: enter(catalog, gate, name, "correct horse") for name in names} | {"anonymous": ANONYMOUS}


@pytest.mark.postgresql
def test_a_query_over_projects_finds_those_that_the_matrix_lets_through(catalog, gate, people):
    """The same answers by one condition of SQL as one by one; `Unassigned` is for administrators alone."""
    with catalog.write() as connection:
        number = connection.execute(select(project.c.id).where(project.c.name == "Unassigned")).scalar_one()
        connection.execute(insert(project_access).values(project_id=number, accessibility="public"))
        connection.execute(
            insert(member).values(project_id=number, account_id=people["stranger"].account_id, role="owner")
        )
    people["stranger"] = enter(catalog, gate, "stranger", "correct horse")
    with catalog.read() as connection:
        rights = ProjectRights(connection)
        names = connection.execute(select(project.c.name)).scalars().all()
        assert len(names) == 4
        for who, principal in people.items():
            for action in Action:
                if action in {Action.ACCOUNT_READ, Action.ACCOUNT_EDIT, Action.PROJECT_CREATE, Action.SITE_ADMIN}:
                    continue
                by_query = connection.execute(select(project.c.name).where(projects_where(principal, action)))
                by_matrix = {
                    name
                    for name in names
                    if decide_access_of(principal, action, name, rights) is AccessDecision.ALLOWED
                }
                assert set(by_query.scalars()) == by_matrix, (who, action)


def test_what_one_may_not_know_of_looks_like_what_is_not_there(catalog, people):
    with catalog.read() as connection:
        rights = ProjectRights(connection)
        for action in (Action.PROJECT_SEE, Action.UPLOAD, Action.SESSION_READ):
            assert decide_access_of(people["stranger"], action, "P_private", rights) is AccessDecision.HIDDEN
            assert decide_access_of(people["stranger"], action, "Nowhere", rights) is AccessDecision.HIDDEN
            assert decide_access_of(people["stranger"], action, "Unassigned", rights) is AccessDecision.HIDDEN
            for name in ("P_private", "Nowhere"):
                assert decide_access_of(ANONYMOUS, action, name, rights) is AccessDecision.SIGN_IN
        assert decide_access_of(people["stranger"], Action.UPLOAD, "P_protected", rights) is AccessDecision.FORBIDDEN
        assert decide_access_of(people["collaborator"], Action.UPLOAD, "p_PRIVATE", rights) is AccessDecision.FORBIDDEN
        assert decide_access_of(people["member"], Action.UPLOAD, "p_PRIVATE", rights) is AccessDecision.ALLOWED
        assert (
            decide_access_of(people["member"], Action.SESSION_DELETE, "P_private", rights) is AccessDecision.FORBIDDEN
        )
        assert (
            decide_access_of(people["stranger"], Action.PREARCHIVE_EDIT, "Unassigned", rights, own=True)
            is AccessDecision.ALLOWED
        )


def test_only_owners_give_roles_and_open_projects(catalog, people):
    for name in ("member", "collaborator", "stranger", "anonymous"):
        for change in (
            lambda who: set_member(catalog, who, "P_private", "stranger", Role.OWNER, HERE),
            lambda who: set_accessibility(catalog, who, "P_private", Accessibility.PUBLIC, HERE),
        ):
            with pytest.raises(AccessDenied):
                change(people[name])
    set_member(catalog, people["owner"], "P_private", "stranger", Role.COLLABORATOR, HERE)
    set_member(catalog, people["owner"], "P_private", "stranger", Role.MEMBER, HERE)
    found = {one.name: one.role for one in list_members(catalog, people["collaborator"], "P_private")}
    assert found["stranger"] is Role.MEMBER
    with catalog.read() as connection:
        assert members.get_accessibility(connection, "P_private") is Accessibility.PRIVATE
        [row] = search(connection, AuditFilter(action="member_set", project="P_private"), limit=1)
    assert json.loads(row.details) == {"before": "collaborator", "role": "member"}
    assert row.actor == "owner"


def test_one_changes_ones_own_shown_name_and_an_administrator_anybodys(catalog, people):
    own = Accounts(catalog, people["member"], HERE).set_profile(display="M. Ember", email="m@example.org")
    assert (own.name, own.display, own.email, own.epoch) == ("member", "M. Ember", "m@example.org", 0)
    cleared = Accounts(catalog, people["admin"], HERE).set_profile(display="", email="", account_name="member")
    assert (cleared.display, cleared.email) == ("member", "")


def test_unassigned_has_no_members_and_is_never_open(catalog, people):
    for change in (
        lambda: set_member(catalog, SYSTEM, "Unassigned", "stranger", Role.OWNER),
        lambda: set_accessibility(catalog, SYSTEM, "unassigned", Accessibility.PUBLIC),
    ):
        with pytest.raises(Usage):
            change()


@pytest.mark.parametrize("who", ["owner", "anonymous"])
def test_only_administrators_change_accounts(catalog, people, who):
    accounts_of = Accounts(catalog, people[who], HERE)
    for change in (
        lambda: accounts_of.create("new", "password"),
        lambda: accounts_of.set_password("stranger", "password"),
        lambda: accounts_of.set_password("owner", "password"),
        lambda: accounts_of.set_disabled("stranger", True),
        lambda: accounts_of.set_admin("owner", True),
        lambda: accounts_of.set_identity("owner", "x y"),
        lambda: accounts_of.set_profile(display="x", email="", account_name="stranger"),
        lambda: accounts_of.issue_token(scope=Scope.ALL, account_name="stranger"),
        accounts_of.page,
    ):
        with pytest.raises(AccessDenied):
            change()


# --- the trail ---


def fill(catalog, number):
    with catalog.write() as connection:
        for n in range(number):
            who = Principal(n % 2 + 1, "", f"user{n % 2}")
            record(connection, who, "move", "session", f"id-{n}", project=f"P{n % 3}", request=HERE, details={"n": n})


@pytest.mark.parametrize("made", ["at once", "by migration"])
def test_nobody_rewrites_the_trail(bare_database_url, made, subtests):
    if made == "by migration":
        from sqlalchemy import create_engine

        from scandock.catalog.migrate import upgrade

        engine = create_engine(bare_database_url)
        with engine.begin() as connection:
            upgrade(connection, None)
        engine.dispose()
    catalog = open_catalog(bare_database_url)
    fill(catalog, 3)
    whole = "DELETE FROM audit WHERE id = 1" if catalog.sqlite else "TRUNCATE audit"
    for change in ("UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", whole):
        with subtests.test(change=change):
            with pytest.raises((Fault, DBAPIError), match="append only"), catalog.write() as connection:
                connection.execute(text(change))
            with catalog.read() as connection:
                assert [row.actor for row in search(connection, AuditFilter())] == ["user0", "user1", "user0"]
    catalog.dispose()


@pytest.mark.postgresql
def test_a_change_and_its_line_are_there_both_or_neither(catalog):
    def change() -> None:
        with catalog.write() as connection:
            accounts.create(connection, "alice")
            record(connection, SYSTEM, "account_create", "account", "x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change()
    with catalog.read() as connection:
        assert search(connection, AuditFilter()) == []
        assert accounts.find(connection, "alice") is None


@pytest.mark.postgresql
def test_the_trail_is_paged_and_filtered(catalog):
    fill(catalog, 25)
    with catalog.read() as connection:
        seen: list[str] = []
        before = None
        while page := search(connection, AuditFilter(), before=before, limit=10):
            assert len(page) <= 10
            seen += [row.target for row in page]
            before = page[-1].id
        assert seen == [f"id-{n}" for n in reversed(range(25))]

        def targets(**wanted) -> set[str]:
            return {row.target for row in search(connection, AuditFilter(**wanted))}

        assert targets(project="P0", earlier=True) == {f"id-{n}" for n in range(0, 25, 3)}
        assert targets(project="P0") == set()
        assert targets(account_id=2, project="P1", earlier=True) == {"id-1", "id-7", "id-13", "id-19"}
        assert targets(actor="user1", target="id-3") == {"id-3"}
        assert targets(request_id="req-1", action="move", kind="session", outcome="done", target="id-4") == {"id-4"}
        assert targets(request_id="req-2") == set()
        [newest] = search(connection, AuditFilter(), limit=1)
        assert targets(since=newest.at + 1) == set()
        assert targets(until=newest.at + 1) == {f"id-{n}" for n in range(25)}
        assert (newest.address, newest.request_id, newest.outcome) == ("10.0.0.1", "req-1", "done")


@pytest.mark.postgresql
def test_the_trail_is_exported_whole(catalog, monkeypatch):
    monkeypatch.setattr("scandock.services.audit.EXPORT_PAGE_ROWS", 4)
    fill(catalog, 10)
    lines = [json.loads(line) for line in "".join(export(catalog, AuditFilter(), "jsonl")).splitlines()]
    assert [line["target"] for line in lines] == [f"id-{n}" for n in reversed(range(10))]
    assert lines[0]["details"] == {"n": 9}
    assert lines[0]["time"].endswith("+00:00")
    rows = list(csv.DictReader(io.StringIO("".join(export(catalog, AuditFilter(project="P1", earlier=True), "csv")))))
    assert [row["target"] for row in rows] == ["id-7", "id-4", "id-1"]
    assert json.loads(rows[0]["details"]) == {"n": 7}


def test_a_spreadsheet_runs_nothing_of_the_trail(catalog):
    with catalog.write() as connection:
        record(connection, SYSTEM, "move", "session", "=1+1", request=RequestInfo("@x", "-1+2"))
    [row] = csv.DictReader(io.StringIO("".join(export(catalog, AuditFilter(), "csv"))))
    assert (row["target"], row["address"], row["request_id"]) == ("'=1+1", "'@x", "'-1+2")


def test_a_refused_login_names_the_account_but_never_what_was_typed_for_one(catalog, gate, admin):
    one = admin.create("alice", "correct horse")
    assert_failed(enter, catalog, gate, "alice", "wrong")
    assert_failed(enter, catalog, gate, "my secret passphrase", "")
    with catalog.read() as connection:
        unknown, refused = search(connection, AuditFilter(action="login"))
    assert (refused.actor, refused.account_id, refused.target) == ("alice", one.id, one.uuid)
    assert (unknown.actor, unknown.account_id, unknown.target) == ("unknown", None, "")
    assert unknown.outcome == refused.outcome == AuditOutcome.REFUSED
    assert "passphrase" not in str(unknown)


def test_every_change_of_accounts_leaves_its_line(catalog, admin):
    made = admin.create("alice", "correct horse", admin=True)
    admin.create("bob", "correct horse", admin=True)
    admin.set_password("alice", "battery staple")
    token = admin.issue_token(scope=Scope.READ, account_name="alice")
    admin.revoke_token(token.alias, account_name="alice")
    admin.set_admin("alice", False)
    admin.set_disabled("alice", True)
    admin.set_disabled("alice", False)
    admin.set_identity("alice", "https://issuer subject")
    with catalog.read() as connection:
        rows = search(connection, AuditFilter(target=made.uuid))
    assert [row.action for row in reversed(rows)] == [
        "account_create", "password", "token_create", "token_revoke", "account_admin", "account_disable",
        "account_enable", "account_edit",
    ]  # fmt: skip
    assert {(row.actor, row.kind, row.address, row.request_id) for row in rows} == {
        ("system", "account", "10.0.0.1", "req-1")
    }
    assert "https://issuer" not in str(rows)


@pytest.mark.postgresql
def test_a_project_takes_its_roles_along_when_it_goes(catalog, people):
    with catalog.write() as connection:
        connection.execute(delete(project).where(project.c.name == "P_public"))
        connection.execute(insert(project).values(name="P_public", key="p_public", created=0))
    with catalog.read() as connection:
        assert members.list_members(connection, "P_public") == []
        assert members.get_accessibility(connection, "P_public") is Accessibility.PRIVATE


def test_of_two_administrators_who_disable_each_other_one_waits(postgres_url):
    """On PostgreSQL alone: SQLite has one writer at a time."""
    catalog = open_catalog(postgres_url)
    try:
        with catalog.write() as connection:
            anna, otto = (accounts.create(connection, name, password="-", admin=True) for name in ("anna", "otto"))
        with catalog.write() as first:
            accounts.set_disabled(first, anna, True)
            with catalog.engine.connect() as second:
                second.execute(text("SET lock_timeout = '100ms'"))
                with pytest.raises(DBAPIError, match="lock timeout"):
                    accounts.set_disabled(second, otto, True)
    finally:
        catalog.dispose()
