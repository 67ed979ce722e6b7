"""`scandock admin user|member|token|audit`: as somebody at the server's own machine uses them."""

from __future__ import annotations

import csv
import io
import json
import os
import sys

import pytest

from scandock.access.authentication import LoginState, authenticate
from scandock.access.principal import ANONYMOUS, AccessDenied, ProjectRights, decide_access_of
from scandock.catalog.engine import open_catalog
from scandock.cli import main
from scandock.rules.permissions import AccessDecision, Action, Role, Scope

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in [name for name in os.environ if name.upper().startswith("SCANDOCK_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def admin(monkeypatch, capsys, data):
    def call(*args, stdin=""):
        monkeypatch.setattr(sys, "argv", ["scandock", "admin", *map(str, args), "--data", str(data)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main()
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def enter(data):
    def call(name, password):
        catalog = open_catalog(f"sqlite:///{data / 'scandock.db'}")
        try:
            return authenticate(catalog, basic=(name, password), gate=LoginState())
        except AccessDenied:
            return ANONYMOUS
        finally:
            catalog.dispose()

    return call


@pytest.mark.parametrize("typed", ["correct horse\n", "correct horse", "correct horse\r\n", "correct horse\nnext\n"])
def test_an_account_is_made_with_the_line_of_stdin(admin, enter, typed):
    code, out, err = admin("user", "add", "alice", "--password-stdin", stdin=typed)
    assert (code, out, err) == (0, "Account alice is made.\n", "")
    principal = enter("alice", "correct horse")
    assert (principal.name, principal.admin) == ("alice", False)
    assert admin("user", "add", "boss", "--password-stdin", "--role", "admin", stdin="battery staple")[0] == 0
    assert enter("boss", "battery staple").admin


def test_a_short_password_is_taken_with_a_word(admin, enter):
    code, _, err = admin("user", "add", "alice", "--password-stdin", stdin="pw\n")
    assert code == 0
    assert "fewer than 8" in err
    assert enter("alice", "pw").name == "alice"


@pytest.mark.parametrize(
    ("args", "stdin", "word"),
    [
        (["user", "add", "alice", "--password-stdin"], "", "at least 1"),
        (["user", "add", "alice", "--password-stdin"], "\n", "at least 1"),
        (["user", "add", "alice"], "correct horse", "--password-stdin"),
        (["user", "add", "a:b", "--password-stdin"], "correct horse", "can't be the name"),
        (["user", "add", "alice", "--password-stdin", "--email", "x"], "correct horse", "no e-mail"),
        (["user", "add", "alice", "--password-stdin", "--role", "king"], "correct horse", "--role"),
        (["user", "password", "nobody", "--password-stdin"], "correct horse", "no folder"),
    ],
)
def test_what_is_wrong_is_said_and_makes_no_data(admin, data, args, stdin, word):
    code, out, err = admin(*args, stdin=stdin)
    assert (code, out) == (2, "")
    assert word in err
    assert not data.exists()


def test_passwords_and_disabling_have_effect_at_once(admin, enter):
    admin("user", "add", "alice", "--password-stdin", stdin="correct horse")
    assert admin("user", "password", "ALICE", "--password-stdin", stdin="battery staple")[0] == 0
    assert enter("alice", "correct horse") is ANONYMOUS
    assert enter("alice", "battery staple").name == "alice"
    assert admin("user", "disable", "alice")[0] == 0
    assert enter("alice", "battery staple") is ANONYMOUS
    assert admin("user", "list")[1] == "alice: user, disabled\n"
    assert admin("user", "enable", "alice")[0] == 0
    assert admin("user", "role", "alice", "admin")[0] == 0
    assert enter("alice", "battery staple").admin
    assert admin("user", "disable", "alice")[0] == 2, "the last administrator"
    [listed] = json.loads(admin("user", "list", "--json")[1])
    assert (listed["name"], listed["role"], listed["disabled"]) == ("alice", "admin", False)
    assert "password" not in listed
    code, _, err = admin("user", "disable", "nobody")
    assert code == 2
    assert "no account 'nobody'" in err


def test_more_accounts_than_a_page(admin, data):
    admin("project", "add", "P")
    catalog = open_catalog(f"sqlite:///{data / 'scandock.db'}")
    from scandock.access import accounts

    with catalog.write() as connection:
        for number in range(501):
            accounts.create(connection, f"user{number:03}")
    catalog.dispose()
    assert admin("user", "list")[1].splitlines() == [f"user{number:03}: user" for number in range(501)]


def test_roles_and_openness(admin, enter, data):
    admin("user", "add", "alice", "--password-stdin", stdin="correct horse")
    admin("project", "add", "P")
    assert admin("member", "set", "p", "alice", "collaborator")[0] == 0
    assert admin("member", "set", "P", "alice", "member") == (0, "alice is member of P.\n", "")
    assert enter("alice", "correct horse").roles == {"P": Role.MEMBER}
    assert admin("member", "list", "P")[1] == "alice: member\n"
    assert admin("member", "remove", "P", "alice")[0] == 0
    assert json.loads(admin("member", "list", "P", "--json")[1]) == []

    catalog = open_catalog(f"sqlite:///{data / 'scandock.db'}")
    for accessibility, answer in (("public", AccessDecision.ALLOWED), ("protected", AccessDecision.FORBIDDEN)):
        assert admin("project", "access", "P", accessibility)[0] == 0
        with catalog.read() as connection:
            told = decide_access_of(
                enter("alice", "correct horse"), Action.SESSION_READ, "P", ProjectRights(connection)
            )
        assert told is answer
    catalog.dispose()

    for args in (
        ("member", "set", "Q", "alice", "owner"),
        ("member", "list", "Q"),
        ("project", "access", "Q", "public"),
    ):
        code, _, err = admin(*args)
        assert code == 2
        assert "no project 'Q'" in err
    assert admin("project", "access", "Unassigned", "public")[0] == 2
    assert admin("member", "set", "P", "nobody", "owner")[0] == 2
    assert admin("member", "set", "P", "alice", "king")[0] == 2


def test_a_token_is_printed_once_and_serves_as_name_and_password(admin, enter):
    admin("user", "add", "alice", "--password-stdin", stdin="correct horse")
    code, out, err = admin("token", "add", "alice", "--scope", "read", "--label", "nightly")
    assert code == 0
    alias, secret = out.strip().split(":")
    assert "this once" in err
    assert enter(alias, secret).scope is Scope.READ
    _, listed, _ = admin("token", "list", "alice")
    assert listed == f"{alias}: read nightly\n"
    assert secret not in admin("token", "list", "alice", "--json")[1]
    assert admin("token", "revoke", "alice", alias)[0] == 0
    assert enter(alias, secret) is ANONYMOUS
    assert admin("token", "revoke", "alice", alias)[0] == 2
    assert admin("token", "add", "alice", "--days", "0")[0] == 2


def test_the_trail_tells_what_was_done_here(admin):
    admin("user", "add", "alice", "--password-stdin", stdin="correct horse")
    admin("project", "add", "P")
    admin("member", "set", "P", "alice", "member")
    lines = [json.loads(line) for line in admin("audit")[1].splitlines()]
    assert [line["action"] for line in lines][-1] == "account_create"
    assert {line["address"] for line in lines} == {f"local uid {os.getuid()}"}
    [row] = csv.DictReader(
        io.StringIO(admin("audit", "--format", "csv", "--project", "P", "--action", "member_set")[1])
    )
    assert (row["actor"], row["project"], row["kind"]) == ("system", "P", "account")
    assert admin("audit", "--until", "2026-01-01")[1] == ""
    assert admin("audit", "--since", "2026-01-01T00:00Z", "--action", "member_set")[1].count("\n") == 1
    assert admin("audit", "--account", "alice")[1] == ""
    code, _, err = admin("audit", "--since", "yesterday")
    assert code == 2
    assert "'yesterday' is no time" in err
