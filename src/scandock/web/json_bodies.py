"""JSON bodies: how many names and values one may have.

What is over it is refused before it is compared with what a route takes: that makes an error of each name that means
nothing, on the loop, and an answer of many times the body's size.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request

from scandock.model import request_limits
from scandock.model.errors import Usage
from scandock.model.limit_counts import RequestLimit, count_exceeded
from scandock.model.request_errors import RequestInvalid

MAX_MEMBERS: Final = request_limits.JSON_MEMBERS
"""Members of one object."""
MAX_VALUES: Final = request_limits.JSON_VALUES
"""Values of all objects and lists of a body: 2,000 sessions that are looked for have 8,000."""


def check_json_body(request: Request) -> None:
    """Before every route: the JSON body that was read has so many values and no more.

    Routes that read their body by themselves have none yet. Raises Usage `request_invalid`.
    """
    check_json_values(vars(request).get("_json"))  # where Starlette keeps it; what a route does not take is not read


def check_json_values(body: object) -> None:
    r"""Raise Usage `request_invalid` for a body of too many members or values, of any depth, or with half a character.

    JSON can write one of the two halves of a character (`\ud800`), which no database takes and no answer can repeat.
    """
    pending: list[Any] = [body]
    count = 0
    while pending:
        value = pending.pop()
        if isinstance(value, dict) and len(value) > MAX_MEMBERS:
            raise _too_many_values(f"an object with more than {MAX_MEMBERS:,} members")
        if isinstance(value, str) and not value.isascii():
            _check_encodable(value)
        if isinstance(value, dict | list):
            count += len(value)
            if count > MAX_VALUES:
                raise _too_many_values(f"more than {MAX_VALUES:,} values")
            pending += [*value, *value.values()] if isinstance(value, dict) else value


def _check_encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RequestInvalid(
            "The body has half a character (of \\ud800 to \\udfff).", "Send it as JSON in UTF-8."
        ) from None


def json_unreadable() -> Usage:
    """The error of a body that can't be read as JSON at all."""
    return RequestInvalid(
        "The body is no JSON: it is no UTF-8, is nested too deeply, or has a number that is too long.",
        "Send it as JSON in UTF-8.",
    )


def _too_many_values(excess: str) -> Usage:
    remedy = "Leave out what the route does not take, or ask in parts."
    return count_exceeded(RequestLimit.MEMBERS, RequestInvalid(f"The body has {excess}.", remedy))
