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
    default = NotifySettings()

    def of(name: str, otherwise: object) -> object:
        value = getattr(settings, name, None)
        return otherwise if value is None else value

    return NotifySettings(
        public_url=str(of("public_url", default.public_url)).rstrip("/"),
        labels=bool(of("notify_labels", default.labels)),
        smtp_host=str(of("smtp_host", default.smtp_host)),
        smtp_port=int(str(of("smtp_port", default.smtp_port))),
        smtp_security=str(of("smtp_security", default.smtp_security)),
        smtp_user=str(of("smtp_user", default.smtp_user)),
        smtp_password=str(of("smtp_password", default.smtp_password)),
        smtp_from=str(of("smtp_from", default.smtp_from)),
        webhook_private=bool(of("webhook_private", default.webhook_private)),
        seconds=float(str(of("notify_seconds", default.seconds))),
    )
