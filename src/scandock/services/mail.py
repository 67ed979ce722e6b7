"""One e-mail by SMTP (RFC 5321): plain text, one recipient, as the site's settings say."""

from __future__ import annotations

import re
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final

from scandock.model.errors import CodedUsage
from scandock.services.message_errors import MailFailed, MailNotSent
from scandock.services.notify_settings import NotifySettings
from scandock.services.outbound_connections import connection_error_reason

_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")


class MailAddressInvalid(CodedUsage):
    CODE = "address_invalid"
    MEANING = "That can't be an e-mail address."
    SENTENCE = "That can't be an e-mail address."
    REMEDY = "Right is name@example.org."


def check_address(address: str) -> None:
    """Raise MailAddressInvalid where that can't be an e-mail address."""
    if not _ADDRESS.fullmatch(address) or ".." in address:
        raise MailAddressInvalid


def send_mail(settings: NotifySettings, to: str, subject: str, text: str) -> None:
    """Hand one e-mail to the site's mail server. Fault `mail_off`, `mail_failed`."""
    if not settings.smtp_host:
        raise MailNotSent
    message = EmailMessage()
    message["From"] = settings.smtp_from or f"scandock@{settings.smtp_host}"
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=settings.smtp_host)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    try:
        with _connect(settings) as server:
            if settings.smtp_user:
                server.login(settings.smtp_user, settings.smtp_password)
            server.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        raise MailFailed("The mail server refused the recipient.") from error
    except smtplib.SMTPAuthenticationError as error:
        raise MailFailed("The mail server refused name or password.") from error
    except (smtplib.SMTPException, OSError) as error:
        raise MailFailed(f"The mail server could not be used. {connection_error_reason(error)}") from error


def _connect(settings: NotifySettings) -> smtplib.SMTP:
    host, port, seconds = settings.smtp_host, settings.smtp_port, settings.seconds
    if settings.smtp_security == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=seconds, context=ssl.create_default_context())
    server = smtplib.SMTP(host, port, timeout=seconds)
    if settings.smtp_security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server
