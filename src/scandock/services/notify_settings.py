"""The settings by which people are told of outcomes, as the sending takes them."""

from __future__ import annotations

from dataclasses import field

from scandock.model.dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifySettings:
    """Where mail goes out, what may stand in it, and where webhooks may go to; made by `Settings.notify`."""

    public_url: str
    """Address of the site as people write it, without a slash at its end; empty: messages have no link."""
    labels: bool
    """Whether messages may name projects, labels and archives, which may identify a person."""
    smtp_host: str
    """Empty: no mail is sent."""
    smtp_port: int
    smtp_security: str
    """none, starttls or tls."""
    smtp_user: str
    smtp_password: str = field(repr=False)
    smtp_from: str
    webhook_private: bool
    """Whether webhooks may go to addresses that are not public: the machine itself, its networks."""
    seconds: float
    """How long one attempt may take."""
