"""Who may do what: the one permission matrix, which every door asks (xnat-behaviour.md 9).

A pure table. What an action needs in a project is a role, or less where the project is protected or public; what is
somebody's own (an import, a session that waits in `Unassigned`) is theirs to see besides. Site administrators may
everything.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from scandock.model.dataclass import dataclass


class Role(StrEnum):
    """What an account is in a project."""

    OWNER = "owner"
    MEMBER = "member"
    COLLABORATOR = "collaborator"


class Accessibility(StrEnum):
    """What those see of a project who have no role in it."""

    PRIVATE = "private"
    PROTECTED = "protected"
    PUBLIC = "public"


class Scope(StrEnum):
    """What a token may be used for; a password or a login may be used for `ALL`."""

    READ = "read"
    UPLOAD = "upload"
    ALL = "all"


class AccessDecision(StrEnum):
    """What a door says to a wish."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"
    """403: they know that it is there."""
    HIDDEN = "hidden"
    """404: in the very words for what does not exist."""
    SIGN_IN = "sign_in"
    """401: nobody is signed in; says nothing of what exists."""
    DELETING = "deleting"
    """409: they might, but the project is being deleted and takes nothing any more."""


class Action(StrEnum):
    """Whatever a route, a page or a command wants to do."""

    # in a project
    PROJECT_SEE = "project_see"  # its id, title and description
    PROJECT_READ = "project_read"  # settings, sums, subjects
    PROJECT_EDIT = "project_edit"  # title, description; what is no setting
    PROJECT_DELETE = "project_delete"
    UPLOAD = "upload"
    SUBJECT_READ = "subject_read"
    SUBJECT_EDIT = "subject_edit"
    SUBJECT_DELETE = "subject_delete"
    SESSION_READ = "session_read"  # scans, resources, files, downloads too
    SESSION_EDIT = "session_edit"  # rename, move within the project, notes of scans
    SESSION_ACTIVATE = "session_activate"  # out of quarantine
    SESSION_DELETE = "session_delete"  # into the trash
    SESSION_ARCHIVE = "session_archive"  # from the prearchive
    PREARCHIVE_READ = "prearchive_read"
    PREARCHIVE_EDIT = "prearchive_edit"  # move, rebuild, resolve
    PREARCHIVE_DELETE = "prearchive_delete"
    TRASH_READ = "trash_read"
    TRASH_RESTORE = "trash_restore"
    IMPORT_READ = "import_read"  # with its events and receipt
    IMPORT_CANCEL = "import_cancel"  # and retry
    IMPORT_DELETE = "import_delete"  # its bytes and its row
    MEMBERS_READ = "members_read"
    MEMBERS_EDIT = "members_edit"
    FILTER_READ = "filter_read"  # its import filter
    PRIVACY_READ = "privacy_read"  # what is kept, hashed, dropped; not its scripts and tables
    SETTINGS_EDIT = "settings_edit"  # accessibility, prearchive code, who is told
    AUDIT_READ = "audit_read"  # of the project
    DAMAGE_READ = "damage_read"  # which stored files are damaged
    DAMAGE_VERIFY = "damage_verify"  # have them read again
    RECEIVERS_READ = "receivers_read"  # DICOM receivers whose objects go there, and what they do
    # of one's own account, and of the site
    ACCOUNT_READ = "account_read"
    ACCOUNT_EDIT = "account_edit"  # password, e-mail, who is told, tokens
    PROJECT_CREATE = "project_create"
    SITE_ADMIN = "site_admin"


@dataclass(frozen=True, slots=True)
class Requirement:
    """What an action asks for."""

    role: Role | None = None
    """The least role in the project; None: no role gives it."""
    open_to: frozenset[Accessibility] = frozenset()
    """Accessibilities under which no role is needed."""
    anonymous: bool = False
    """Whether those of `open_to` serve nobody in particular, too."""
    own: bool = False
    """Whether it may be done to what is one's own."""
    anywhere: bool = False
    """Whether it needs nothing but to be signed in, as it is in no project."""
    scopes: frozenset[Scope] = frozenset({Scope.ALL})
    """Scopes of a token that serve it."""


_RANK: Final = MappingProxyType({Role.COLLABORATOR: 1, Role.MEMBER: 2, Role.OWNER: 3})
_READ: Final = frozenset({Scope.READ, Scope.ALL})
_UPLOAD: Final = frozenset({Scope.UPLOAD, Scope.ALL})
_ANY: Final = frozenset(Scope)
_PUBLIC: Final = frozenset({Accessibility.PUBLIC})
_NOT_PRIVATE: Final = frozenset({Accessibility.PUBLIC, Accessibility.PROTECTED})


def _read_requirement(*, own: bool = False) -> Requirement:
    """What a collaborator may, and anybody where the project is public."""
    return Requirement(Role.COLLABORATOR, _PUBLIC, anonymous=True, own=own, scopes=_READ)


REQUIREMENTS: Final = MappingProxyType(
    {
        Action.PROJECT_SEE: Requirement(Role.COLLABORATOR, _NOT_PRIVATE, anonymous=True, scopes=_ANY),
        Action.PROJECT_READ: _read_requirement(),
        Action.PROJECT_EDIT: Requirement(Role.OWNER),
        Action.PROJECT_DELETE: Requirement(Role.OWNER),
        Action.UPLOAD: Requirement(Role.MEMBER, scopes=_UPLOAD),
        Action.SUBJECT_READ: _read_requirement(),
        Action.SUBJECT_EDIT: Requirement(Role.MEMBER),
        Action.SUBJECT_DELETE: Requirement(Role.OWNER),
        Action.SESSION_READ: _read_requirement(own=True),
        Action.SESSION_EDIT: Requirement(Role.MEMBER),
        Action.SESSION_ACTIVATE: Requirement(Role.OWNER),
        Action.SESSION_DELETE: Requirement(Role.OWNER),
        Action.SESSION_ARCHIVE: Requirement(Role.MEMBER),
        Action.PREARCHIVE_READ: Requirement(Role.MEMBER, own=True, scopes=_READ),
        Action.PREARCHIVE_EDIT: Requirement(Role.MEMBER, own=True),
        Action.PREARCHIVE_DELETE: Requirement(Role.OWNER, own=True),
        Action.TRASH_READ: Requirement(Role.OWNER, scopes=_READ),
        Action.TRASH_RESTORE: Requirement(Role.OWNER),
        Action.IMPORT_READ: Requirement(Role.OWNER, own=True, scopes=_ANY),
        Action.IMPORT_CANCEL: Requirement(Role.OWNER, own=True, scopes=_UPLOAD),
        Action.IMPORT_DELETE: Requirement(Role.OWNER, own=True, scopes=_UPLOAD),
        Action.MEMBERS_READ: Requirement(Role.COLLABORATOR, scopes=_READ),
        Action.MEMBERS_EDIT: Requirement(Role.OWNER),
        Action.FILTER_READ: Requirement(Role.COLLABORATOR, scopes=_ANY),
        Action.PRIVACY_READ: Requirement(Role.COLLABORATOR, scopes=_ANY),
        Action.SETTINGS_EDIT: Requirement(Role.OWNER),
        Action.AUDIT_READ: Requirement(Role.OWNER, scopes=_READ),
        Action.DAMAGE_READ: Requirement(Role.OWNER, scopes=_READ),
        Action.DAMAGE_VERIFY: Requirement(Role.OWNER),
        Action.RECEIVERS_READ: Requirement(Role.OWNER, scopes=_READ),
        Action.ACCOUNT_READ: Requirement(anywhere=True, scopes=_ANY),
        Action.ACCOUNT_EDIT: Requirement(anywhere=True),
        Action.PROJECT_CREATE: Requirement(anywhere=True),
        Action.SITE_ADMIN: Requirement(),
    }
)
"""The matrix: every action, and nothing is allowed that is not in it."""
_IN_DELETED: Final = frozenset(
    {
        Action.PROJECT_SEE,
        Action.PROJECT_READ,
        Action.SUBJECT_READ,
        Action.SESSION_READ,
        Action.SESSION_DELETE,
        Action.PREARCHIVE_READ,
        Action.PREARCHIVE_EDIT,
        Action.PREARCHIVE_DELETE,
        Action.TRASH_READ,
        Action.TRASH_RESTORE,
        Action.IMPORT_READ,
        Action.IMPORT_DELETE,
        Action.AUDIT_READ,
    }
)
"""What is left to do in a project that was deleted: to look, and to bring back, move away or delete what it had."""


def is_allowed(
    action: Action,
    *,
    role: Role | None = None,
    accessibility: Accessibility = Accessibility.PRIVATE,
    admin: bool = False,
    signed_in: bool = True,
    own: bool = False,
    scope: Scope = Scope.ALL,
) -> bool:
    """Whether somebody may: `role` is theirs in the project, `own` says that the thing is theirs."""
    need = REQUIREMENTS[action]
    if not signed_in:
        return need.anonymous and accessibility in _PUBLIC and accessibility in need.open_to
    if scope not in need.scopes:
        return False
    if admin or need.anywhere or (own and need.own):
        return True
    if accessibility in need.open_to:
        return True
    return role is not None and need.role is not None and _RANK[role] >= _RANK[need.role]


def answer(
    action: Action,
    *,
    role: Role | None = None,
    accessibility: Accessibility | None = Accessibility.PRIVATE,
    admin: bool = False,
    signed_in: bool = True,
    own: bool = False,
    scope: Scope = Scope.ALL,
    deleting: bool = False,
    set_aside: bool = False,
) -> AccessDecision:
    """What a door says; `accessibility` None where there is no such project, `deleting` where it is being deleted.

    `set_aside`: it was deleted, and is as one that there is not to everybody but for
    `is_allowed_in_deleted`.

    What is being deleted is read no more by anybody, and its refusals of changes say why. Any other refusal is 403 only
    to those who may know that the project is there: all others hear what they would hear if it were not. Those who are
    not signed in are asked to, whatever exists.
    """
    aside = set_aside and not is_allowed_in_deleted(action, admin=admin or (own and REQUIREMENTS[action].own))
    unread = deleting and Scope.READ in REQUIREMENTS[action].scopes and _ends_with_project(action, own)
    if accessibility is None or aside or unread:
        return AccessDecision.HIDDEN if signed_in else AccessDecision.SIGN_IN
    if is_allowed(
        action, role=role, accessibility=accessibility, admin=admin, signed_in=signed_in, own=own, scope=scope
    ):
        return AccessDecision.DELETING if deleting and _ends_with_project(action, own) else AccessDecision.ALLOWED
    if not signed_in:
        return AccessDecision.SIGN_IN
    is_visible = is_allowed(Action.PROJECT_SEE, role=role, accessibility=accessibility, admin=admin) or own
    return AccessDecision.FORBIDDEN if is_visible or _is_outside_projects(action) else AccessDecision.HIDDEN


def is_allowed_in_deleted(action: Action, *, admin: bool) -> bool:
    """Whether an action may be done in a deleted project whose row is kept for the trash: administrators' alone.

    And to the imports that came for it, by who sent them.
    """
    return admin and action in _IN_DELETED


def _ends_with_project(action: Action, own: bool) -> bool:
    """Whether nobody may any more once a project is being deleted: all but to delete it, and what is done to one's own.

    Imports are their uploaders' for as long as they are kept, wherever their sessions went.
    """
    return action is not Action.PROJECT_DELETE and not (own and REQUIREMENTS[action].own)


def _is_outside_projects(action: Action) -> bool:
    """Whether an action is in no project: there is nothing to hide."""
    return action in {Action.ACCOUNT_READ, Action.ACCOUNT_EDIT, Action.PROJECT_CREATE, Action.SITE_ADMIN}


def list_roles(action: Action) -> frozenset[Role]:
    """The roles that give an action, for queries over many projects."""
    least = REQUIREMENTS[action].role
    return frozenset() if least is None else frozenset(role for role in Role if _RANK[role] >= _RANK[least])


_WHO: Final = {
    Role.COLLABORATOR: "collaborators, members and owners",
    Role.MEMBER: "members and owners",
    Role.OWNER: "owners",
}
"""Whoever has a role or a higher one."""


def explain_forbidden(action: Action, scope: Scope = Scope.ALL) -> tuple[str, str]:
    """Sentence and remedy; `scope` is that of the token that asks, ALL for who came otherwise."""
    need = REQUIREMENTS[action]
    if scope not in need.scopes:
        serving = " or ".join(other_scope.value for other_scope in Scope if other_scope in need.scopes)
        return (
            f"The token's scope is {scope.value}, which does not serve for this.",
            f"Use a token with the scope {serving}, or a name and password.",
        )
    if need.role is None:
        return "Only site administrators may do this.", "Ask one of them."
    return (
        f"Only {_WHO[need.role]} of this project may do this.",
        "Ask an owner of the project for the right.",
    )
