"""Whether the server's settings fit each other: asked once, before `serve` begins."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scandock.access.errors import SettingInvalid
from scandock.access.oidc_settings import safe_url
from scandock.model.errors import Usage

if TYPE_CHECKING:
    from scandock.services.settings import Settings


def check_server(settings: Settings) -> None:
    """Raises Usage `setting_invalid` naming every pair of settings that can't both be meant."""
    wrong = [*_check_hosts(settings), *_check_address(settings), *_check_mail(settings), *_check_oidc(settings)]
    if wrong:
        raise SettingInvalid(" ".join(wrong), "Set what is missing, or unset what is not meant.")


def _check_hosts(settings: Settings) -> Iterator[str]:
    if settings.host_folder is not None and settings.database_url is None:
        yield "SCANDOCK_HOST_FOLDER is set, but SCANDOCK_DATABASE_URL is not: with SQLite there is one host."


def _check_address(settings: Settings) -> Iterator[str]:
    if settings.base_path is not None and settings.public_url is not None:
        path = urlsplit(settings.public_url).path
        if path != settings.base_path:
            base_path = settings.base_path or "/"
            yield f"SCANDOCK_BASE_PATH says {base_path!r}, but the path of SCANDOCK_PUBLIC_URL is {path or '/'!r}."


def _check_mail(settings: Settings) -> Iterator[str]:
    if settings.smtp_host is None:
        yield from _check_unused(settings, "smtp_", "SCANDOCK_SMTP_HOST")
        return
    if (settings.smtp_user is None) != (settings.smtp_password is None):
        missing = "SCANDOCK_SMTP_USER" if settings.smtp_user is None else "SCANDOCK_SMTP_PASSWORD"
        yield f"Name and password for the mail server go together, but {missing} is not set."
    elif settings.smtp_user is not None and settings.smtp_security == "none" and not _is_local_host(settings.smtp_host):
        yield "SCANDOCK_SMTP_PASSWORD would travel unprotected: SCANDOCK_SMTP_SECURITY has to be starttls or tls."
    if settings.smtp_from is not None:
        from scandock.services.mail import check_address

        try:
            check_address(settings.smtp_from)
        except Usage:
            yield f"SCANDOCK_SMTP_FROM={settings.smtp_from!r} can't be an e-mail address."


def _check_oidc(settings: Settings) -> Iterator[str]:
    if settings.oidc_issuer is None:
        yield from _check_unused(settings, "oidc_", "SCANDOCK_OIDC_ISSUER")
        return
    if not safe_url(settings.oidc_issuer):
        yield f"SCANDOCK_OIDC_ISSUER={settings.oidc_issuer!r} is no https address."
    if not settings.oidc_client_id:
        yield "SCANDOCK_OIDC_ISSUER is set, but SCANDOCK_OIDC_CLIENT_ID is not."
    if "openid" not in settings.oidc_scopes.split():
        yield "SCANDOCK_OIDC_SCOPES lacks the scope openid."


def _check_unused(settings: Settings, prefix: str, missing: str) -> Iterator[str]:
    """What is set and does nothing, since what it belongs to is not."""
    from scandock.services.settings import variable_name

    variables = [variable_name(name) for name in sorted(settings.model_fields_set) if name.startswith(prefix)]
    if variables:
        yield f"{', '.join(variables)} {'is' if len(variables) == 1 else 'are'} set, but {missing} is not."


def _is_local_host(host: str) -> bool:
    """Whether a host is this very machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
