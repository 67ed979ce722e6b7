"""Why somebody may not who knows that the thing is there, and what would help: the words of 403."""

from __future__ import annotations

from scandock.rules.permissions import NEEDS, Action, Scope


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
        f"In this project that takes the role {need.role.value}, or a higher one.",
        "Ask an owner of the project for the right.",
    )
