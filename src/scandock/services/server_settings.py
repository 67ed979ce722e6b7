"""The server's own settings: receiving, its address, logins by a provider, mail and webhooks."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from scandock.access.oidc_settings import OidcSettings
from scandock.services.setting_kinds import BasePath, Bytes, Count, Folders, Names, Networks, SiteUrl

GIB: Final = 1024**3
MIB: Final = 1024**2


class ServerSettings(BaseSettings):
    """What only `serve` and its processes ask for; a base of `Settings`, whose words on names hold here too.

    Whether they fit each other is seen by `server_checks.check_server`, once `serve` is asked for.
    """

    admin_password: SecretStr | None = Field(
        default=None,
        description="Password of the account admin, which the first start makes; not set: one is made up and printed.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that the server's log tells."
    )
    public_url: SiteUrl | None = Field(
        default=None,
        description="Address of the site as people write it, for links in messages and for logins by a provider.",
    )
    base_path: BasePath | None = Field(
        default=None,
        description="Path under which a reverse proxy shows the site; not set: that of SCANDOCK_PUBLIC_URL.",
    )
    trusted_proxies: Networks = Field(
        default=("127.0.0.1", "::1"),
        description="Addresses and networks of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are"
        " believed, with commas between; none: nobody's.",
    )
    max_connections: Annotated[int, Field(ge=16, le=1_000_000)] = Field(
        default=4096, description="Connections to the server at once; where there are more, those that wait give way."
    )
    max_connections_per_address: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=256,
        description="Connections of one address whose request is not complete; trusted proxies count as whom they"
        " name.",
    )
    max_upload_bytes: Annotated[Bytes, Field(ge=1)] = Field(
        default=256 * GIB, description="Bytes of one upload, as it comes over the network."
    )
    max_body_bytes: Annotated[Bytes, Field(ge=1)] = Field(
        default=1024**2, description="Bytes of a request's body that is no upload."
    )
    max_uploads_per_user: Count = Field(default=100, description="Uploads of one account that are not imported yet.")
    max_space_percent_per_user: Annotated[int, Field(ge=1, le=100)] = Field(
        default=50,
        description="Part of the free space that uploads of one account may take together, where it has several under"
        " way; one alone may take all of it.",
    )
    max_names: Count = Field(
        default=2000,
        description="Different names of sessions, scans and resources in one address of XNAT's dialect; ALL is one.",
    )
    upload_idle_seconds: Annotated[int, Field(ge=1, le=86_400)] = Field(
        default=120, description="How long a client may send nothing before it is let go."
    )
    upload_hours: Annotated[int, Field(ge=1, le=87_600)] = Field(
        default=72, description="Hours after which a resumable upload is removed that nobody goes on with."
    )
    answer_bytes: Annotated[Bytes, Field(ge=16 * 1024**2)] = Field(
        default=512 * 1024**2,
        description="Answers that wait until their clients take them, all together; one asker has half of what others"
        " leave.",
    )
    download_idle_seconds: Annotated[int, Field(ge=1, le=86_400)] = Field(
        default=600, description="How long the client of a file or a zip may take nothing before it is let go."
    )
    outage_hours: Annotated[int, Field(ge=0, le=8_760)] = Field(
        default=24,
        description="Hours that an import waits altogether for a disk, rights or a catalog that fail; then it has"
        " failed, and its bytes are kept.",
    )
    inbox_folders: Folders = Field(
        default=(),
        description="Folders of this machine whose content may be imported by XNAT's inbox, with commas between;"
        " not set: none.",
    )
    cache_bytes: Bytes = Field(default=2 * GIB, description="Thumbnails that are kept in the data folder; 0: none are.")
    verify_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        default=90, description="Days within which every stored file is read again and its checksum confirmed."
    )
    verify_bytes_per_second: Annotated[Bytes, Field(ge=65_536)] = Field(
        default=32 * MIB,
        description="Bytes a second that this reads at most; a quarter of them while imports run or wait.",
    )
    notify_labels: bool = Field(
        default=False,
        description="Messages may name projects, labels and archives, which may identify a person.",
    )
    notify_seconds: Annotated[int, Field(ge=1, le=600)] = Field(
        default=15, description="How long one attempt to send a message may take."
    )
    webhook_private: bool = Field(
        default=False, description="Webhooks may go to addresses that are not public: this machine, its networks."
    )
    smtp_host: str | None = Field(default=None, description="Server that mail is handed to; not set: none is sent.")
    smtp_port: Annotated[int, Field(ge=1, le=65_535)] = Field(default=25, description="Its port.")
    smtp_security: Literal["none", "starttls", "tls"] = Field(
        default="none", description="How the way to it is protected."
    )
    smtp_user: str | None = Field(default=None, description="Name to log in there with.")
    smtp_password: SecretStr | None = Field(default=None, description="Password to log in there with.")
    smtp_from: str | None = Field(default=None, description="Sender of mail; not set: scandock@ that host.")
    oidc_issuer: str | None = Field(
        default=None, description="OpenID Connect provider that people may log in by; not set: none."
    )
    oidc_client_id: str | None = Field(default=None, description="What this site is called there.")
    oidc_client_secret: SecretStr | None = Field(default=None, description="Its secret there, where it has one.")
    oidc_label: str = Field(default="Single sign-on", description="What the login is called on the page.")
    oidc_scopes: str = Field(default="openid email profile", description="Scopes that are asked for, with blanks.")
    oidc_name_claim: str = Field(
        default="preferred_username", description="Claim that a new account's name is taken from."
    )
    oidc_domains: Names = Field(
        default=(),
        description="Domains of verified e-mail addresses whose holders get an account at their first login, with"
        " commas between; *: everybody; not set: only accounts that an administrator linked.",
    )

    @property
    def root_path(self) -> str:
        """Where the site begins: `/dock`, or "" for the host's own root."""
        if self.base_path is not None:
            return self.base_path
        return urlsplit(self.public_url).path if self.public_url else ""

    @property
    def oidc(self) -> OidcSettings | None:
        """The provider of logins; None where there is none."""
        if self.oidc_issuer is None:
            return None
        return OidcSettings(
            issuer=self.oidc_issuer,
            client_id=self.oidc_client_id or "",
            client_secret=_open(self.oidc_client_secret),
            label=self.oidc_label,
            scopes=self.oidc_scopes,
            name_claim=self.oidc_name_claim,
            domains=self.oidc_domains,
        )


SECRETS: Final = frozenset({"admin_password", "smtp_password", "oidc_client_secret"})
"""Fields whose values are never shown."""


def _open(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()
