"""Why mail or a webhook can't be sent, or is not to be."""

from __future__ import annotations

from scandock.model.errors import Coded, CodedUsage, Fault, Usage, Worded


class MailOff(CodedUsage):
    CODE = "mail_off"
    STATUS = 409
    MEANING = "This site sends no e-mail: SCANDOCK_SMTP_HOST is not set."
    SENTENCE = "This site sends no e-mail."
    REMEDY = "Choose a webhook, or ask an administrator of this server to set up e-mail."


class MailNotSent(Coded, Fault):
    CODE = MailOff.CODE
    STATUS = MailOff.STATUS
    MEANING = MailOff.MEANING
    SENTENCE = MailOff.SENTENCE
    REMEDY = "Ask an administrator of this server to set up e-mail."


class MailFailed(Worded, Fault):
    CODE = "mail_failed"
    ANSWERED = False
    MEANING = "The mail server could not be used, or refused; it is tried again."


class WebhookFailed(Worded, Fault):
    CODE = "webhook_failed"
    ANSWERED = False
    MEANING = "The receiver of a webhook could not be reached, took too long, or refused; it is tried again."


class WebhookUrlInvalid(Worded, Usage):
    CODE = "url_invalid"
    MEANING = "No webhook may go to that address: http or https, no password, no network of the server's own."
