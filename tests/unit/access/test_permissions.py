"""The matrix, as xnat-behaviour.md 9 tells it: written out here once more, by hand."""

from __future__ import annotations

from functools import partial
from itertools import product

import pytest

from scandock.rules.permissions import (
    REQUIREMENTS,
    AccessDecision,
    Accessibility,
    Action,
    Role,
    Scope,
    answer,
    is_allowed,
    list_roles,
)

A = Action
READS = {
    A.PROJECT_SEE, A.PROJECT_READ, A.SUBJECT_READ, A.SESSION_READ, A.MEMBERS_READ, A.FILTER_READ, A.PRIVACY_READ,
}  # fmt: skip
MEMBER = READS | {
    A.UPLOAD, A.SUBJECT_EDIT, A.SESSION_EDIT, A.SESSION_ARCHIVE, A.PREARCHIVE_READ, A.PREARCHIVE_EDIT,
}  # fmt: skip
OWNER = MEMBER | {
    A.PROJECT_EDIT, A.PROJECT_DELETE, A.SUBJECT_DELETE, A.SESSION_ACTIVATE, A.SESSION_DELETE, A.PREARCHIVE_DELETE,
    A.TRASH_READ, A.TRASH_RESTORE, A.IMPORT_READ, A.IMPORT_CANCEL, A.IMPORT_DELETE, A.MEMBERS_EDIT, A.SETTINGS_EDIT,
    A.AUDIT_READ, A.DAMAGE_READ, A.DAMAGE_VERIFY, A.RECEIVERS_READ,
}  # fmt: skip
SITELESS = {A.ACCOUNT_READ, A.ACCOUNT_EDIT, A.PROJECT_CREATE}
PUBLIC = {A.PROJECT_SEE, A.PROJECT_READ, A.SUBJECT_READ, A.SESSION_READ}


def may(**who):
    return {action for action in Action if is_allowed(action, **who)}


def test_every_action_stands_in_the_matrix():
    assert set(REQUIREMENTS) == set(Action)


@pytest.mark.parametrize(
    ("role", "expected"), [(Role.OWNER, OWNER), (Role.MEMBER, MEMBER), (Role.COLLABORATOR, READS), (None, set())]
)
def test_roles_in_a_private_project(role, expected):
    assert may(role=role) - SITELESS == expected
    assert may(role=role) >= SITELESS


@pytest.mark.parametrize("role", [*Role, None])
def test_openness_adds_to_a_role_and_takes_nothing(role):
    private = may(role=role)
    assert may(role=role, accessibility=Accessibility.PROTECTED) == private | {A.PROJECT_SEE}
    assert may(role=role, accessibility=Accessibility.PUBLIC) == private | PUBLIC


def test_nobody_in_particular_reads_what_is_public_and_nothing_else():
    assert may(signed_in=False, accessibility=Accessibility.PUBLIC) == PUBLIC
    for accessibility in (Accessibility.PRIVATE, Accessibility.PROTECTED):
        assert may(signed_in=False, accessibility=accessibility) == set()
        assert may(signed_in=False, accessibility=accessibility, own=True, role=Role.OWNER, admin=True) == set()


def test_administrators_may_everything():
    assert may(admin=True) == set(Action)


def test_what_is_ones_own_is_seen_without_a_role_and_no_more():
    assert may(own=True) - SITELESS == {
        A.IMPORT_READ, A.IMPORT_CANCEL, A.IMPORT_DELETE, A.SESSION_READ, A.PREARCHIVE_READ, A.PREARCHIVE_EDIT,
        A.PREARCHIVE_DELETE,
    }  # fmt: skip


@pytest.mark.parametrize("who", [{"admin": True}, {"role": Role.OWNER}, {"own": True}])
def test_a_token_that_reads_changes_nothing(who):
    changes = {action for action in may(scope=Scope.READ, **who) if not action.value.endswith(("_read", "_see"))}
    assert changes == set()
    assert may(scope=Scope.READ, **who) < may(**who)


@pytest.mark.parametrize("who", [{"admin": True}, {"role": Role.OWNER, "own": True}])
def test_a_token_that_uploads_sees_no_sessions(who):
    assert may(scope=Scope.UPLOAD, **who) == {
        A.PROJECT_SEE, A.UPLOAD, A.IMPORT_READ, A.IMPORT_CANCEL, A.IMPORT_DELETE, A.ACCOUNT_READ,
        A.FILTER_READ, A.PRIVACY_READ,
    }  # fmt: skip


def test_a_token_never_gives_more_than_its_account_has():
    for role, accessibility, scope in product([*Role, None], Accessibility, Scope):
        assert may(role=role, accessibility=accessibility, scope=scope) <= may(role=role, accessibility=accessibility)


def test_a_refusal_is_403_to_those_who_may_know_and_404_to_others():
    assert answer(A.SESSION_DELETE, role=Role.MEMBER) is AccessDecision.FORBIDDEN
    assert answer(A.UPLOAD, role=None) is AccessDecision.HIDDEN
    assert answer(A.UPLOAD, accessibility=Accessibility.PROTECTED) is AccessDecision.FORBIDDEN
    assert answer(A.UPLOAD, accessibility=Accessibility.PUBLIC) is AccessDecision.FORBIDDEN
    assert answer(A.PROJECT_EDIT, own=True) is AccessDecision.FORBIDDEN
    assert answer(A.SITE_ADMIN) is AccessDecision.FORBIDDEN
    assert answer(A.UPLOAD, admin=True, scope=Scope.READ) is AccessDecision.FORBIDDEN
    assert answer(A.SESSION_READ, role=Role.COLLABORATOR) is AccessDecision.ALLOWED


def test_a_project_that_is_being_deleted_is_read_by_nobody_and_refuses_changes():
    assert answer(A.SESSION_READ, admin=True, deleting=True) is AccessDecision.HIDDEN
    assert (
        answer(A.PROJECT_SEE, accessibility=Accessibility.PUBLIC, signed_in=False, deleting=True)
        is AccessDecision.SIGN_IN
    )
    assert answer(A.UPLOAD, role=Role.MEMBER, deleting=True) is AccessDecision.DELETING
    assert answer(A.MEMBERS_EDIT, admin=True, deleting=True) is AccessDecision.DELETING
    assert answer(A.UPLOAD, role=Role.COLLABORATOR, deleting=True) is AccessDecision.FORBIDDEN
    assert answer(A.UPLOAD, deleting=True) is AccessDecision.HIDDEN
    assert answer(A.PROJECT_DELETE, role=Role.OWNER, deleting=True) is AccessDecision.ALLOWED
    assert answer(A.IMPORT_READ, own=True, deleting=True) is AccessDecision.ALLOWED


LEFT = {
    A.PROJECT_SEE, A.PROJECT_READ, A.SUBJECT_READ, A.SESSION_READ, A.SESSION_DELETE, A.PREARCHIVE_READ,
    A.PREARCHIVE_EDIT, A.PREARCHIVE_DELETE, A.TRASH_READ, A.TRASH_RESTORE, A.IMPORT_READ, A.IMPORT_DELETE, A.AUDIT_READ,
}  # fmt: skip


@pytest.mark.parametrize("action", [one for one in Action if one not in SITELESS | {A.SITE_ADMIN}])
def test_of_a_project_that_was_deleted_administrators_have_what_brings_back_and_others_nothing(action):
    aside = partial(answer, action, accessibility=Accessibility.PUBLIC, set_aside=True)
    assert aside(admin=True) is (AccessDecision.ALLOWED if action in LEFT else AccessDecision.HIDDEN)
    assert aside(role=Role.OWNER) is AccessDecision.HIDDEN
    assert aside(signed_in=False) is AccessDecision.SIGN_IN
    own = action in {A.IMPORT_READ, A.IMPORT_DELETE}
    assert not own or answer(action, own=True, set_aside=True) is AccessDecision.ALLOWED


@pytest.mark.parametrize("action", Action)
def test_what_is_hidden_answers_as_what_is_not_there(action):
    """Whatever a stranger asks of a private project, the answer is that of a project that does not exist."""
    if action not in SITELESS | {A.SITE_ADMIN}:
        assert answer(action) is answer(action, accessibility=None) is AccessDecision.HIDDEN
    for accessibility in (None, Accessibility.PRIVATE, Accessibility.PROTECTED):
        assert answer(action, accessibility=accessibility, signed_in=False) is AccessDecision.SIGN_IN
    assert answer(action, accessibility=None, admin=True) is AccessDecision.HIDDEN


@pytest.mark.parametrize("action", Action)
def test_the_roles_of_an_action_are_those_that_the_matrix_lets(action):
    if action not in SITELESS:
        assert list_roles(action) == {role for role in Role if is_allowed(action, role=role)}
