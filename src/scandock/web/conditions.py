"""Conditions of a request on what it asks for (RFC 9110 13): If-Match, If-None-Match and the two by time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from scandock.model.errors import Usage
from scandock.services.session_errors import ChangedMeanwhile

_TAG: Final = re.compile(r'(?:W/)?"[^"]*"')


def parse_etags(header: str) -> set[str]:
    """The entity tags of a list, weak ones with their W/; what is none is left out."""
    return set(_TAG.findall(header))


def is_etag_known(header: str, tag: str) -> bool:
    """Whether If-None-Match names the tag, by weak comparison, or anything at all (`*`)."""
    return header.strip() == "*" or tag.removeprefix("W/") in {etag.removeprefix("W/") for etag in parse_etags(header)}


def is_not_modified(headers: Mapping[str, str], tag: str, modified: int) -> bool:
    """Whether the client has it already: 304. `modified`: Unix seconds. Raises Usage `changed_meanwhile` (412).

    `headers` by their names in lower case. A date counts only where no tag is named, and not where it is none.
    """
    if_match, if_none_match = headers.get("if-match"), headers.get("if-none-match")
    modified_since, unmodified_since = (
        _parse_http_date(headers.get("if-modified-since")),
        _parse_http_date(headers.get("if-unmodified-since")),
    )
    if if_match is not None:
        if if_match.strip() != "*" and tag not in parse_etags(if_match):
            raise _precondition_failed("If-Match names another state of it.")
    elif unmodified_since is not None and modified > unmodified_since:
        raise _precondition_failed("It is newer than If-Unmodified-Since says.")
    if if_none_match is not None:
        return is_etag_known(if_none_match, tag)
    return modified_since is not None and modified <= modified_since


def _precondition_failed(message: str) -> Usage:
    return ChangedMeanwhile(message, "Read it anew, without the condition.")


def _parse_http_date(header: str | None) -> float | None:
    """Unix seconds of an HTTP date; None for what is none, which is to be ignored."""
    if header is None:
        return None
    try:
        return parsedate_to_datetime(header).timestamp()
    except (ValueError, OverflowError):
        return None
