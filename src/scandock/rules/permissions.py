"""Who may do what: the one permission matrix, which every door asks (xnat-behaviour.md 9).

A pure table. What an action needs in a project is a role, or less where the project is protected or public; what is
somebody's own (an import, a session that waits in `Unassigned`) is theirs to see besides. Site administrators may
everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


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


class Answer(StrEnum):
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
    SETTINGS_EDIT = "settings_edit"  # accessibility, prearchive code, who is told
    AUDIT_READ = "audit_read"  # of the project
    DAMAGE_READ = "damage_read"  # which stored files are damaged
    DAMAGE_VERIFY = "damage_verify"  # have them read again
    # of one's own account, and of the site
    ACCOUNT_READ = "account_read"
    ACCOUNT_EDIT = "account_edit"  # password, e-mail, who is told, tokens
    PROJECT_CREATE = "project_create"
    SITE_ADMIN = "site_admin"


@dataclass(frozen=True, slots=True)
class Need:
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
_TITLED: Final = frozenset({Accessibility.PUBLIC, Accessibility.PROTECTED})


def _reads(*, own: bool = False) -> Need:
    """What a collaborator may, and anybody where the project is public."""
    return Need(Role.COLLABORATOR, _PUBLIC, anonymous=True, own=own, scopes=_READ)


NEEDS: Final = MappingProxyType(
    {
        Action.PROJECT_SEE: Need(Role.COLLABORATOR, _TITLED, anonymous=True, scopes=_ANY),
        Action.PROJECT_READ: _reads(),
        Action.PROJECT_EDIT: Need(Role.OWNER),
        Action.PROJECT_DELETE: Need(Role.OWNER),
        Action.UPLOAD: Need(Role.MEMBER, scopes=_UPLOAD),
        Action.SUBJECT_READ: _reads(),
        Action.SUBJECT_EDIT: Need(Role.MEMBER),
        Action.SUBJECT_DELETE: Need(Role.OWNER),
        Action.SESSION_READ: _reads(own=True),
        Action.SESSION_EDIT: Need(Role.MEMBER),
        Action.SESSION_ACTIVATE: Need(Role.OWNER),
        Action.SESSION_DELETE: Need(Role.OWNER),
        Action.SESSION_ARCHIVE: Need(Role.MEMBER),
        Action.PREARCHIVE_READ: Need(Role.MEMBER, own=True, scopes=_READ),
        Action.PREARCHIVE_EDIT: Need(Role.MEMBER, own=True),
        Action.PREARCHIVE_DELETE: Need(Role.OWNER, own=True),
        Action.TRASH_READ: Need(Role.OWNER, scopes=_READ),
        Action.TRASH_RESTORE: Need(Role.OWNER),
        Action.IMPORT_READ: Need(Role.OWNER, own=True, scopes=_ANY),
        Action.IMPORT_CANCEL: Need(Role.OWNER, own=True, scopes=_UPLOAD),
        Action.IMPORT_DELETE: Need(Role.OWNER, own=True, scopes=_UPLOAD),
        Action.MEMBERS_READ: Need(Role.COLLABORATOR, scopes=_READ),
        Action.MEMBERS_EDIT: Need(Role.OWNER),
        Action.SETTINGS_EDIT: Need(Role.OWNER),
        Action.AUDIT_READ: Need(Role.OWNER, scopes=_READ),
        Action.DAMAGE_READ: Need(Role.OWNER, scopes=_READ),
        Action.DAMAGE_VERIFY: Need(Role.OWNER),
        Action.ACCOUNT_READ: Need(anywhere=True, scopes=_ANY),
        Action.ACCOUNT_EDIT: Need(anywhere=True),
        Action.PROJECT_CREATE: Need(anywhere=True),
        Action.SITE_ADMIN: Need(),
    }
)
"""The matrix: every action, and nothing is allowed that is not in it."""
_ASIDE: Final = frozenset(
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


def allowed(
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
    need = NEEDS[action]
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
) -> Answer:
    """What a door says; `accessibility` None where there is no such project, `deleting` where it is being deleted.

    `set_aside`: it was deleted, and is as one that there is not to everybody but for `serves_aside`.

    What is being deleted is read no more by anybody, and its refusals of changes say why. Any other refusal is 403 only
    to those who may know that the project is there: all others hear what they would hear if it were not. Those who are
    not signed in are asked to, whatever exists.
    """
    aside = set_aside and not serves_aside(action, admin=admin or (own and NEEDS[action].own))
    unread = deleting and Scope.READ in NEEDS[action].scopes and _ends_with_project(action, own)
    if accessibility is None or aside or unread:
        return Answer.HIDDEN if signed_in else Answer.SIGN_IN
    if allowed(action, role=role, accessibility=accessibility, admin=admin, signed_in=signed_in, own=own, scope=scope):
        return Answer.DELETING if deleting and _ends_with_project(action, own) else Answer.ALLOWED
    if not signed_in:
        return Answer.SIGN_IN
    seen = allowed(Action.PROJECT_SEE, role=role, accessibility=accessibility, admin=admin) or own
    return Answer.FORBIDDEN if seen or _siteless(action) else Answer.HIDDEN


def serves_aside(action: Action, *, admin: bool) -> bool:
    """Whether an action may be done in a deleted project whose row is kept for the trash: administrators' alone.

    And to the imports that came for it, by who sent them.
    """
    return admin and action in _ASIDE


def _ends_with_project(action: Action, own: bool) -> bool:
    """Whether nobody may any more once a project is being deleted: all but to delete it, and what is done to one's own.

    Imports are their uploaders' for as long as they are kept, wherever their sessions went.
    """
    return action is not Action.PROJECT_DELETE and not (own and NEEDS[action].own)


def _siteless(action: Action) -> bool:
    """Whether an action is in no project: there is nothing to hide."""
    return action in {Action.ACCOUNT_READ, Action.ACCOUNT_EDIT, Action.PROJECT_CREATE, Action.SITE_ADMIN}


def roles_for(action: Action) -> frozenset[Role]:
    """The roles that give an action, for queries over many projects."""
    least = NEEDS[action].role
    return frozenset() if least is None else frozenset(role for role in Role if _RANK[role] >= _RANK[least])
