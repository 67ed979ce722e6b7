"""Limits of receiving, as the settings have them."""

from __future__ import annotations

from typing import Final

from scandock.model import request_limits
from scandock.model.errors import Usage
from scandock.model.limit_counts import RequestLimit, count_exceeded
from scandock.model.request_errors import RequestInvalid
from scandock.web.errors import BodyTooLarge

FIELD_BYTES: Final = request_limits.MAPPING_BYTES
"""Of one field beside the archive in a multipart body: a mapping of a big upload has some MB."""

MAX_FIELDS: Final = request_limits.FORM_FIELDS
"""Fields of one form, or parts, where a lower limit is not its own."""


def mapping_too_large() -> Usage:
    """The error of a mapping of more than `FIELD_BYTES`, however it is sent."""
    return BodyTooLarge(
        f"The mapping has more than {FIELD_BYTES // (1024 * 1024)} MiB ({FIELD_BYTES:,} bytes).",
        "Leave out columns that say nothing, or send the studies in several uploads, each with its own rows.",
    )


def too_many_fields() -> Usage:
    """The error of a form of more than `MAX_FIELDS`."""
    error = RequestInvalid(f"The form has more than {MAX_FIELDS:,} fields.", "Say less at once.")
    return count_exceeded(RequestLimit.FIELDS, error)
