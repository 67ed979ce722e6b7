"""Limits of receiving, as the settings have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scandock.services.receiving import ReceivingLimits

if TYPE_CHECKING:
    from scandock.services.settings import Settings

GIB: Final = 1024**3
UPLOAD_BYTES: Final = 256 * GIB
UPLOADS: Final = 100
IDLE_SECONDS: Final = 120
HOURS: Final = 72
FIELD_BYTES: Final = 16 * 1024 * 1024
"""Of one field beside the archive in a multipart body: a mapping of a big upload has some MB."""


def limits_of(settings: Settings) -> ReceivingLimits:
    """What the settings allow."""
    return ReceivingLimits(
        upload_bytes=getattr(settings, "max_upload_bytes", UPLOAD_BYTES),
        uploads=getattr(settings, "max_uploads_per_user", UPLOADS),
        min_free=settings.min_free_bytes,
        idle_seconds=float(getattr(settings, "upload_idle_seconds", IDLE_SECONDS)),
        lasts_ms=getattr(settings, "upload_hours", HOURS) * 3_600_000,
    )
