"""Why somebody may not who knows that the thing is there, and what would help: the words of 403."""

from __future__ import annotations

from typing import Final

from scandock.rules.permissions import NEEDS, Action, Role, Scope

_WHO: Final = {
    Role.COLLABORATOR: "collaborators, members and owners",
    Role.MEMBER: "members and owners",
    Role.OWNER: "owners",
}
"""Whoever has a role or a higher one."""


def forbidden(action: Action, scope: Scope = Scope.ALL) -> tuple[str, str]:
    """Sentence and remedy; `scope` is that of the token that asks, ALL for who came otherwise."""
    need = NEEDS[action]
    if scope not in need.scopes:
        serving = " or ".join(one.value for one in Scope if one in need.scopes)
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
