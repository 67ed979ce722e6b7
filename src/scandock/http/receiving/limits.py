"""Limits of receiving, as the settings have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scandock.services.receiving import ReceivingLimits

if TYPE_CHECKING:
    from scandock.services.settings import Settings

FIELD_BYTES: Final = 16 * 1024 * 1024
"""Of one field beside the archive in a multipart body: a mapping of a big upload has some MB."""

MAX_FIELDS: Final = 1_000
"""Fields of one form, or parts, where a lower limit is not its own."""


def limits_of(settings: Settings) -> ReceivingLimits:
    """What the settings allow."""
    return ReceivingLimits(
        upload_bytes=settings.max_upload_bytes,
        uploads=settings.max_uploads_per_user,
        min_free=settings.min_free_bytes,
        space_percent=settings.max_space_percent_per_user,
        idle_seconds=float(settings.upload_idle_seconds),
        lasts_ms=settings.upload_hours * 3_600_000,
    )
