"""The settings by which people are told of outcomes, as the sending takes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scandock.services.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifySettings:
    """Where mail goes out, what may stand in it, and where webhooks may go to."""

    public_url: str = ""
    """Address of the site as people write it, without a slash at its end; empty: messages have no link."""
    labels: bool = False
    """Whether messages may name projects, labels and archives, which may identify a person."""
    smtp_host: str = ""
    """Empty: no mail is sent."""
    smtp_port: int = 25
    smtp_security: str = "none"
    """none, starttls or tls."""
    smtp_user: str = ""
    smtp_password: str = field(default="", repr=False)
    smtp_from: str = ""
    webhook_private: bool = False
    """Whether webhooks may go to addresses that are not public: the machine itself, its networks."""
    seconds: float = 15.0
    """How long one attempt may take."""


def notify_settings(settings: Settings) -> NotifySettings:
    """What the site's settings say of it."""
    password = settings.smtp_password
    return NotifySettings(
        public_url=settings.public_url or "",
        labels=settings.notify_labels,
        smtp_host=settings.smtp_host or "",
        smtp_port=settings.smtp_port,
        smtp_security=settings.smtp_security,
        smtp_user=settings.smtp_user or "",
        smtp_password=password.get_secret_value() if password is not None else "",
        smtp_from=settings.smtp_from or "",
        webhook_private=settings.webhook_private,
        seconds=float(settings.notify_seconds),
    )
