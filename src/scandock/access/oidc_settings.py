"""The site's OpenID Connect provider, as the settings name it, and whom it vouches for."""

from __future__ import annotations

from dataclasses import field
from urllib.parse import urlsplit

from scandock.access.errors import SettingInvalid
from scandock.model.dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """The site's provider, and who gets an account at the first login; made by `Settings.oidc`."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    label: str
    scopes: str
    name_claim: str
    domains: tuple[str, ...]
    """Domains of verified e-mail addresses whose holders get an account; `*`: everybody whom the provider knows;
    none: only accounts that an administrator linked."""

    def check(self) -> None:
        """Raises Usage `setting_invalid` for an issuer whose word could be changed on its way."""
        if not safe_url(self.issuer):
            raise SettingInvalid(f"The issuer {self.issuer!r} is no https address.", "Name it with https://.")
        if not self.client_id or "openid" not in self.scopes.split():
            raise SettingInvalid("OpenID Connect needs a client id and the scope openid.", "Set both.")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider says it is. Issuer and subject together never change; all else may."""

    issuer: str
    subject: str
    name: str
    display: str
    email: str
    email_verified: bool

    @property
    def key(self) -> str:
        return f"{self.issuer} {self.subject}"


def safe_url(url: str) -> bool:
    """Whether what comes from there can be believed: by TLS, or from this very machine."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"})
    )
