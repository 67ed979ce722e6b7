"""Conditions of a request on what it asks for (RFC 9110 13): If-Match, If-None-Match and the two by time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from scandock.model.errors import Usage
from scandock.services.session_errors import ChangedMeanwhile

_TAG: Final = re.compile(r'(?:W/)?"[^"]*"')


def tags(header: str) -> set[str]:
    """The entity tags of a list, weak ones with their W/; what is none is left out."""
    return set(_TAG.findall(header))


def is_known(header: str, tag: str) -> bool:
    """Whether If-None-Match names the tag, by weak comparison, or anything at all (`*`)."""
    return header.strip() == "*" or tag.removeprefix("W/") in {one.removeprefix("W/") for one in tags(header)}


def is_unchanged(headers: Mapping[str, str], tag: str, modified: int) -> bool:
    """Whether the client has it already: 304. `modified`: Unix seconds. Raises Usage `changed_meanwhile` (412).

    `headers` by their names in lower case. A date counts only where no tag is named, and not where it is none.
    """
    wanted, known = headers.get("if-match"), headers.get("if-none-match")
    since, until = _time(headers.get("if-modified-since")), _time(headers.get("if-unmodified-since"))
    if wanted is not None:
        if wanted.strip() != "*" and tag not in tags(wanted):
            raise _changed("If-Match names another state of it.")
    elif until is not None and modified > until:
        raise _changed("It is newer than If-Unmodified-Since says.")
    if known is not None:
        return is_known(known, tag)
    return since is not None and modified <= since


def _changed(how: str) -> Usage:
    return ChangedMeanwhile(how, "Read it anew, without the condition.")


def _time(header: str | None) -> float | None:
    """Unix seconds of an HTTP date; None for what is none, which is to be ignored."""
    if header is None:
        return None
    try:
        return parsedate_to_datetime(header).timestamp()
    except (ValueError, OverflowError):
        return None
