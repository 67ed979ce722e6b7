"""Settings: SCANDOCK_* in the environment. Each is defined here alone: name, type, bounds, default and meaning.

They are checked once, by `load_settings`. Packages below get the values that they need: `limits`, `oidc`, `notify`.
"""

from __future__ import annotations

import ipaddress
import os
import re
from datetime import UTC, tzinfo
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_core import ErrorDetails

from scandock.access.errors import SettingInvalid
from scandock.access.oidc_settings import OidcSettings
from scandock.model.limits import Limits
from scandock.model.reception import MAX_STUDY_BYTES, MAX_STUDY_OBJECTS, ReceptionSettings
from scandock.rules.labels import PLACEHOLDERS
from scandock.rules.petmr import MapWords, PetMr
from scandock.services.byte_sizes import format_bytes, parse_bytes
from scandock.services.masking import MASK, mask
from scandock.services.notify_settings import NotifySettings
from scandock.services.viewer_links import parse_viewers

PREFIX: Final = "SCANDOCK_"
OUTSIDE: Final = {
    "SCANDOCK_DATA": "Folder of the catalog and the store, where a command is given no --data.",
    "SCANDOCK_DEBUG": "1: show the traceback of an unexpected error instead of writing it to a file.",
    "SCANDOCK_URL": "Address of the server, where scandock upload is given no --url.",
    "SCANDOCK_USER": "Account, where scandock upload is given no --user.",
    "SCANDOCK_PASSWORD": "Password of that account; not set: asked for on the terminal.",
    "SCANDOCK_TOKEN": "Token that scandock upload goes by where no account is named: ALIAS.SECRET.",
}
"""Variables that the command line itself reads: no part of `Settings`, but documented and known beside it."""

SECRETS: Final = frozenset({"admin_password", "smtp_password", "oidc_client_secret"})
"""Fields whose values are never shown."""

GIB: Final = 1024**3
MIB: Final = 1024**2
_BUCKET: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?")
_ENDPOINT: Final = re.compile(r"https?://[^/\s@?#]+(/[^\s@?#]*)?")
_SCHEMES: Final = {"sqlite": "sqlite"} | dict.fromkeys(
    ("postgres", "postgresql", "postgresql+psycopg"), "postgresql+psycopg"
)
"""Schemes that are taken, and how SQLAlchemy calls them with the driver that is installed."""

_LIMITS: Final = Limits()

# -- kinds of values ---------------------------------------------------------------------------------------------------

_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")


def _parse_byte_count(value: object) -> object:
    """Byte counts may come as `500MB`; everything else is left to pydantic."""
    if not isinstance(value, str):
        return value
    try:
        return parse_bytes(value)
    except ValueError:
        raise ValueError("is no size; right is a number of bytes, or one with a unit: 500MB, 2GiB") from None


def _split_commas(value: object) -> object:
    if isinstance(value, str):
        return tuple(name for name in (part.strip() for part in value.split(",")) if name)
    return value


def _squeeze(value: object) -> object:
    """A word whose case and blanks don't count."""
    return "".join(value.split()).lower() if isinstance(value, str) else value


def _clean_site_url(value: str) -> str:
    """An address of a site, without a slash at its end."""
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or "@" in parts.netloc or parts.query or parts.fragment or not _PATH.fullmatch(parts.path.rstrip("/")):
        raise ValueError("is no address of a site; right is https://dock.example.org or https://example.org/dock")
    return value.rstrip("/")


def _clean_base_path(value: str) -> str:
    if not _PATH.fullmatch(value.rstrip("/")):
        raise ValueError("is no path to serve under; right is /dock")
    return value.rstrip("/")


def _parse_networks(names: tuple[str, ...]) -> tuple[str, ...]:
    if names == ("none",):
        return ()
    try:  # with what is behind the prefix left out: uvicorn takes a network as it is defined alone
        return tuple(
            str(ipaddress.ip_network(name, strict=False)) if "/" in name else _parse_network(name) for name in names
        )
    except ValueError:
        raise ValueError("names no addresses; right is 127.0.0.1, 10.1.0.0/16 or none") from None


def _parse_network(name: str) -> str:
    return str(ipaddress.ip_address(name))


def _parse_folders(paths: tuple[str, ...]) -> tuple[str, ...]:
    if not all(path.startswith("/") and ".." not in path.split("/") and path.strip("/") for path in paths):
        raise ValueError("names no folder; right is /data/inbox, from the root on")
    return paths


def _split_blanks(value: object) -> object:
    return tuple(value.split()) if isinstance(value, str) else value


def _check_viewers(entries: tuple[str, ...]) -> tuple[str, ...]:
    parse_viewers(entries)
    return entries


Count = Annotated[int, Field(ge=1, le=2**53)]
Bytes = Annotated[int, BeforeValidator(_parse_byte_count), Field(ge=0, le=2**60)]
Seconds = Annotated[float, Field(gt=0, le=604_800)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split_commas)]
"""Names with commas between."""
SiteUrl = Annotated[str, AfterValidator(_clean_site_url)]
BasePath = Annotated[str, AfterValidator(_clean_base_path)]
Networks = Annotated[tuple[str, ...], BeforeValidator(_split_commas), AfterValidator(_parse_networks)]
"""IP addresses and networks, or `none`."""
Folders = Annotated[tuple[str, ...], BeforeValidator(_split_commas), AfterValidator(_parse_folders)]
"""Absolute paths of folders, with commas between."""
Viewers = Annotated[tuple[str, ...], BeforeValidator(_split_blanks), AfterValidator(_check_viewers)]
"""Names and templates of addresses, with blanks between."""


# -- the settings ------------------------------------------------------------------------------------------------------


class Settings(BaseModel):
    """Every setting, frozen; made by `load_settings`, which turns what is wrong into a `Usage` error.

    A field `max_depth` is the variable SCANDOCK_MAX_DEPTH. Those of `Limits` are here one by one with its defaults
    and come together again in `limits`. Whether the server's own fit each other is seen by
    `server_checks.check_server`, once `serve` is asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    database_url: str | None = Field(
        default=None,
        description="Database of the catalog; not set: SQLite, in the file scandock.db of the data folder.",
    )
    store: str | None = Field(
        default=None,
        description="Bucket that uploads, files and receipts are kept in, s3://BUCKET or s3://BUCKET/PREFIX; not set:"
        " the data folder. Only with PostgreSQL.",
    )
    s3_endpoint: str | None = Field(
        default=None, description="Address of the bucket's server, https://HOST[:PORT]; not set: AWS."
    )
    s3_region: str = Field(default="us-east-1", description="Region of the bucket.")
    garbage_days: Annotated[float, Field(ge=0, le=3650)] = Field(
        default=8.0,
        description="Days for which a bucket keeps the bytes of what was deleted from it for good, and of uploads whose"
        " import has ended: as many as its catalog may be restored by.",
    )
    compaction_bytes_per_second: Annotated[Bytes, Field(ge=0)] = Field(
        default=8 * MIB,
        description="Bytes a second, on the average of a minute and of all hosts together, that are copied to new packs"
        " of a bucket, so that old ones with deleted files can go; 0: none.",
    )
    upload_memory_bytes: Annotated[Bytes, Field(ge=16 * MIB)] = Field(
        default=64 * MIB,
        description="Memory of one process for uploads on their way to a bucket, all together: beyond it they come more"
        " slowly.",
    )
    host_folder: str | None = Field(
        default=None,
        description="Folder of this host alone, for its id and its server's lock, where several hosts share one data"
        " folder; not set: the data folder. Only with PostgreSQL.",
    )
    timezone: str = Field(
        default="UTC",
        description="Time zone of clock times that carry none (ECAT), by its IANA name; of pages' times where a"
        " reader's browser names none.",
    )
    workers: Annotated[int, Field(ge=1, le=64)] | None = Field(
        default=None, description="Reader processes of one import; not set: one a core, at most 4."
    )
    follow: Literal["on", "off"] = Field(
        default="on", description="Whether large zips and tars are read while the rest of them is still being received."
    )
    placeholder_names: Names = Field(
        default=PLACEHOLDERS,
        description="Patient names and ids that count as absent, with commas between, in any case;"
        " empty ones and those of * only always do.",
    )
    identified: Literal["accept", "warn", "hold"] = Field(
        default="accept",
        description="For new projects: what a session gets whose objects do not all say that they are de-identified.",
    )
    petmr: Annotated[PetMr, BeforeValidator(_squeeze)] = Field(
        default="petmr",
        description="For projects whose own setting is default: what a study with PET and MR becomes.",
    )
    petmr_maps: MapWords = Field(
        default="mrac",
        description="Where PET and MR are separated: by which words in its description an MR series is an attenuation"
        " map and goes with the PET.",
    )
    prevent_anon: Literal["nobody", "administrators", "owners", "members"] = Field(
        default="nobody",
        description="Whose clients may say by prevent_anon that they have run the scripts and the profile: imports run"
        " neither then. Members have those of owners too.",
    )
    privacy_key_file: str | None = Field(
        default=None,
        description="File with the keys by which names, UIDs and patients are hashed; not set: privacy.key in the data"
        " folder, made when it is first needed.",
    )
    deid_residue: Literal["warn", "refuse"] = Field(
        default="warn",
        description="What an object gets in which values of its patient are left after the de-identification profile.",
    )
    separate_secondary: bool = Field(
        default=True,
        description="For new projects: keep objects that are no primary images (reports, secondary captures,"
        " structure sets) in a resource of their own, 'secondary'.",
    )
    trash_days: Annotated[int, Field(ge=0, le=36500)] = Field(
        default=30, description="Days that replaced and deleted files stay in the trash of the data folder."
    )
    failed_hours: Annotated[int, Field(ge=0, le=876_000)] = Field(
        default=72,
        description="Hours that the archive of an import that failed is kept so that it can be tried again, where the"
        " privacy policy lets less be known than everything; elsewhere, and where a DICOM receiver took it, it is kept"
        " until the import is deleted.",
    )
    max_depth: Annotated[int, Field(ge=1, le=32)] = Field(
        default=_LIMITS.max_depth, description="Archives within archives; the upload itself is level 1."
    )
    max_entries: Count = Field(
        default=_LIMITS.max_entries,
        description="Entries of every kind (files, folders, links) in one upload, over all levels.",
    )
    max_entry_bytes: Bytes = Field(default=_LIMITS.max_entry_bytes, description="Unpacked bytes of one entry.")
    max_unpacked_bytes: Bytes = Field(
        default=_LIMITS.max_unpacked_bytes,
        description="Unpacked bytes of one upload, over all levels: an inner archive's own bytes count,"
        " and its content again.",
    )
    max_ratio: Count = Field(
        default=_LIMITS.max_ratio,
        description="Unpacked bytes for each received byte, counted beyond SCANDOCK_RATIO_FROM_BYTES.",
    )
    ratio_from_bytes: Bytes = Field(
        default=_LIMITS.ratio_from_bytes, description="Unpacked bytes up to which SCANDOCK_MAX_RATIO does not count."
    )
    max_dictionary_bytes: Bytes = Field(
        default=_LIMITS.max_dictionary_bytes,
        description="Window or dictionary that a lzma, xz or zstd stream may ask for.",
    )
    max_directory_bytes: Bytes = Field(default=_LIMITS.max_directory_bytes, description="Central directory of one zip.")
    max_name_bytes: Annotated[Bytes, Field(ge=1)] = Field(
        default=_LIMITS.max_name_bytes, description="Length of one entry's name, its folders included."
    )
    min_free_bytes: Bytes = Field(
        default=_LIMITS.min_free_bytes,
        description="Space that an import leaves free on the file system of the data folder.",
    )

    # The server's own: receiving, its address, logins by a provider, mail and webhooks. Commands do without.

    admin_password: SecretStr | None = Field(
        default=None,
        description="Password of the account admin, which the first start makes; not set: one is made up and printed.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that the server's log tells."
    )
    public_url: SiteUrl | None = Field(
        default=None,
        description="Address of the site as people write it, for links in messages, DICOMweb and logins by a provider.",
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
    stow_seconds: Annotated[int, Field(ge=0, le=3_600)] = Field(
        default=60,
        description="How long a client that stores objects by DICOMweb waits for their import before it is told that"
        " it goes on.",
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
    viewers: Viewers = Field(
        default=(),
        description="Other viewers that pages of sessions lead to, as Name=https://viewer.example.org/?study={study},"
        " with blanks between; not set: none.",
    )
    cache_bytes: Bytes = Field(default=2 * GIB, description="Thumbnails that are kept in the data folder; 0: none are.")
    metadata_bytes: Bytes = Field(
        default=20 * GIB,
        description="Metadata for DICOMweb that is kept in the data folder; 0: none is, and each is made anew.",
    )
    verify_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        default=90, description="Days within which every stored file is read again and its checksum confirmed."
    )
    verify_bytes_per_second: Annotated[Bytes, Field(ge=65_536)] = Field(
        default=32 * MIB,
        description="Bytes a second that this reads at most; a quarter of them while imports run or wait.",
    )
    gradual_seconds: Seconds = Field(
        default=5,
        description="How long no more objects of a study have to come one a request (XNAT's gradual-DICOM, STOW-RS into"
        " the prearchive) before its session is built; whoever asks for the session has it built at once.",
    )
    dicom_idle_seconds: Seconds = Field(
        default=60,
        description="How long nothing of a study has to come before a DICOM receiver hands it to its import, where the"
        " receiver itself names no time.",
    )
    dicom_release_seconds: Seconds = Field(
        default=5,
        description="The same after the release of the last association that sent some of it, for receivers that close"
        " at release.",
    )
    dicom_abort_seconds: Seconds = Field(
        default=300, description="The same where that association was aborted: senders come back."
    )
    dicom_open_seconds: Seconds = Field(
        default=1800, description="How long a study is received at most; what comes later joins its session."
    )
    dicom_associations: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=100, description="DICOM associations at once."
    )
    dicom_associations_per_address: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=20, description="DICOM associations of one address at once."
    )
    dicom_object_bytes: Annotated[Bytes, Field(ge=1)] = Field(
        default=50 * GIB, description="Bytes of one DICOM object that a receiver takes."
    )
    dicom_max_pdu: Annotated[int, Field(ge=16_384, le=1_048_576)] = Field(
        default=131_072, description="Length of a PDU that DICOM receivers announce, in bytes."
    )
    dicom_handshake_seconds: Seconds = Field(default=10, description="How long the TLS handshake of a peer may take.")
    dicom_request_seconds: Seconds = Field(
        default=30, description="How long a DICOM peer may take to ask for its association."
    )
    dicom_silence_seconds: Seconds = Field(
        default=60, description="How long a DICOM peer may send nothing in the middle of a message."
    )
    dicom_between_seconds: Seconds = Field(
        default=600, description="How long a DICOM peer may send nothing between two messages."
    )
    dicom_tls_certificate: str | None = Field(
        default=None, description="File with the certificate, and those above it, of DICOM receivers with TLS (PEM)."
    )
    dicom_tls_key: str | None = Field(
        default=None, description="File with its key (PEM); not set: it is in the certificate's file."
    )
    dicom_tls_client_ca: str | None = Field(
        default=None,
        description="File with the authorities whose certificates DICOM peers may show (PEM); not set: the system's.",
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

    def __init__(self, **values: Any) -> None:  # noqa: ANN401  of any type, as each field has its own
        """Of the environment, but for `values`. Not by pydantic-settings, which takes as long to load as pydantic."""
        super().__init__(**(_read_environment() | values))

    @field_validator("database_url")
    @classmethod
    def _database_is_known(cls, value: str | None) -> str | None:
        if value is None:
            return None
        scheme, separator, rest = value.partition("://")
        if not separator or not rest or scheme not in _SCHEMES:
            raise ValueError("is no database that is taken; right is postgresql://user:password@host/name")
        return f"{_SCHEMES[scheme]}://{rest}"

    @field_validator("store")
    @classmethod
    def _store_is_a_bucket(cls, value: str | None) -> str | None:
        if value is not None and not is_bucket(value):
            raise ValueError("is no bucket; right is s3://scans or s3://scans/site-a")
        return value

    @field_validator("s3_endpoint")
    @classmethod
    def _endpoint_is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not _ENDPOINT.fullmatch(value):
            raise ValueError("is no address; right is https://s3.example.org")
        return value

    @field_validator("timezone")
    @classmethod
    def _timezone_is_known(cls, value: str) -> str:
        try:
            find_zone(value)
        except (KeyError, ValueError, OSError):  # an unknown name, one that climbs out, one that is a folder
            raise ValueError("is no time zone; right is a name like UTC or Europe/Berlin") from None
        return value

    @field_validator("host_folder")
    @classmethod
    def _host_folder_is_absolute(cls, value: str | None) -> str | None:
        if value is not None and not os.path.isabs(value):
            raise ValueError("is no absolute path; right is /var/lib/scandock-host")
        return value

    @property
    def limits(self) -> Limits:
        """What an upload may hold, as the walkers take it."""
        return Limits(**{name: getattr(self, name) for name in Limits._fields})

    @property
    def zone(self) -> tzinfo:
        """The time zone of `timezone`."""
        return find_zone(self.timezone)

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
            client_secret=_reveal(self.oidc_client_secret),
            label=self.oidc_label,
            scopes=self.oidc_scopes,
            name_claim=self.oidc_name_claim,
            domains=self.oidc_domains,
        )

    @property
    def reception(self) -> ReceptionSettings:
        """How DICOM receivers take studies. A study closes before its upload would be over a limit of any upload."""
        return ReceptionSettings(
            idle_seconds=self.dicom_idle_seconds,
            release_seconds=self.dicom_release_seconds,
            abort_seconds=self.dicom_abort_seconds,
            open_seconds=self.dicom_open_seconds,
            associations=self.dicom_associations,
            associations_per_address=self.dicom_associations_per_address,
            object_bytes=min(self.dicom_object_bytes, self.max_entry_bytes),
            study_objects=min(MAX_STUDY_OBJECTS, self.max_entries),
            study_bytes=min(MAX_STUDY_BYTES, self.max_upload_bytes, self.max_unpacked_bytes),
            directory_bytes=self.max_directory_bytes,
            max_pdu=self.dicom_max_pdu,
            handshake_seconds=self.dicom_handshake_seconds,
            request_seconds=self.dicom_request_seconds,
            silence_seconds=self.dicom_silence_seconds,
            between_seconds=self.dicom_between_seconds,
            min_free=self.min_free_bytes,
            tls_certificate=self.dicom_tls_certificate or "",
            tls_key=self.dicom_tls_key or "",
            tls_client_ca=self.dicom_tls_client_ca or "",
        )

    @property
    def notify(self) -> NotifySettings:
        """How people are told of outcomes, as the sending takes it."""
        return NotifySettings(
            public_url=self.public_url or "",
            labels=self.notify_labels,
            smtp_host=self.smtp_host or "",
            smtp_port=self.smtp_port,
            smtp_security=self.smtp_security,
            smtp_user=self.smtp_user or "",
            smtp_password=_reveal(self.smtp_password),
            smtp_from=self.smtp_from or "",
            webhook_private=self.webhook_private,
            seconds=float(self.notify_seconds),
        )


def _read_environment() -> dict[str, str]:
    """The variables of fields, by these: in any case, as they are on all systems; empty ones are none."""
    variables = {name.lower(): value for name, value in os.environ.items() if value}
    names = {field: variable_name(field).lower() for field in Settings.model_fields}
    return {field: variables[name] for field, name in names.items() if name in variables}


def load_settings() -> Settings:
    """Settings of this process: the environment's, else the defaults.

    Raises Usage (`setting_invalid`) naming each variable that is off, its value and what is right.
    """
    environment = {name: value for name, value in os.environ.items() if name.upper().startswith(PREFIX)}
    return _parse_environment(tuple(sorted(environment.items())))


@lru_cache(maxsize=4)
def _parse_environment(_environment: tuple[tuple[str, str], ...]) -> Settings:
    """What the environment says, which is all that settings come from: to look at it takes some milliseconds."""
    try:
        return Settings()
    except ValidationError as error:
        sentences = [_error_sentence(detail) for detail in error.errors(include_url=False)]
        raise SettingInvalid(" ".join(sentences), "Set it right, or unset it for the default.") from None


def variable_name(name: str) -> str:
    """The environment's name of a field."""
    return PREFIX + name.upper()


def is_bucket(text: str) -> bool:
    """Whether a text names a bucket, or a prefix in one."""
    return _BUCKET.fullmatch(text) is not None


def find_zone(name: str) -> tzinfo:
    """A time zone by its IANA name. KeyError, ValueError or OSError for what is none, also for a path."""
    return UTC if name == "UTC" else ZoneInfo(name)  # the default must not hang on a time zone database


def _reveal(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()


def plain_value(name: str, value: object) -> object:
    """A value as JSON has it, and without what is secret in it."""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, tuple):
        return list(value)
    return mask(cast("str | None", value)) if name == "database_url" else value


def shown_value(name: str, value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    sized = name.endswith(("_bytes", "_bytes_per_second"))
    return format_bytes(value) if isinstance(value, int) and sized else str(value)


def _error_sentence(error: ErrorDetails) -> str:
    """One of pydantic's errors in words of the environment."""
    name = str(error["loc"][0])
    value = MASK if name in SECRETS else plain_value(name, str(error["input"]))
    details = error.get("ctx", {})
    if error["type"] == "value_error":
        problem = str(details["error"])
    elif error["type"] == "literal_error":
        problem = f"is not one of them; right is {details['expected']}"
    elif "ge" in details:
        problem = f"is too small; the least is {shown_value(name, details['ge'])}"
    elif "le" in details:
        problem = f"is too large; the most is {shown_value(name, details['le'])}"
    elif error["type"].startswith("int"):
        problem = "is no whole number"
    elif error["type"].startswith("bool"):
        problem = "is neither; right is true or false"
    else:
        problem = f"is not right: {error['msg']}"
    return f"{variable_name(name)}={value!r} {problem}."
