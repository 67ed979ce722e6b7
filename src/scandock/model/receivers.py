"""DICOM receivers and peers as administrators set them, and the words of an allow list: frozen values, no catalog."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Self

from scandock.model.dataclass import dataclass
from scandock.model.import_types import Destination

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

ANY_HOST: Final = "any"
"""Of a receiver that listens on each host that serves the catalog."""
TITLE_RULE: Final = "An AE title has 1 to 16 ASCII characters, no backslash and no control characters."
DEFAULT_TITLE: Final = "SCANDOCK"
"""AE title of the receiver that `serve --dicom-port` makes, and by which we call peers."""
MAX_TITLE: Final = 16
MAX_PORT: Final = 65_535
_ADDRESS_CHARACTERS: Final = frozenset("0123456789abcdefABCDEF.:/")


class ClientCertificates(StrEnum):
    """What a receiver with TLS asks of its peers."""

    OFF = "off"
    OPTIONAL = "optional"
    """One that is shown has to be valid; tools such as storescu show none."""
    REQUIRED = "required"


class Closing(StrEnum):
    """When a study that is received is handed to its import."""

    IDLE = "idle"
    """Once nothing has come for `idle_seconds`."""
    RELEASE = "release"
    """Soon after the last association that sent some of it was released, else as `IDLE`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A receiver as its row says it. What is None is decided by the settings of the server."""

    number: int
    uuid: str
    title: str
    """AE title, unique with the port."""
    port: int
    host: str = ANY_HOST
    """Name of the host whose receiver process listens, or `any`."""
    is_host_known: bool = True
    """Whether there is such a host, as far as that was looked at."""
    bind: str = ""
    """Address that it is bound to; empty for all of its host."""
    enabled: bool = True
    stopped: bool = False
    """It was disabled with all others, and is enabled with them."""
    label: str = ""
    """What people call it."""
    tls: bool = False
    """With the server's certificate and key, which are settings; receivers that share a port agree in it."""
    client_certificates: ClientCertificates = ClientCertificates.OFF
    allow_list: tuple[str, ...] = ()
    allow_list_enabled: bool = False
    """Whether the allow list counts: off, any peer may associate."""
    project_uuid: str | None = None
    """The project that all objects go to; None: routing decides."""
    project: str | None = None
    """Its name now; None where there is none, or where it was deleted (`is_project_missing`)."""
    destination: Destination | None = None
    """None: by the project."""
    account_id: int
    account: str
    """Name of the account that it acts for."""
    account_disabled: bool = False
    may_upload: bool = True
    """Whether the account may upload to the project, as far as that was looked at."""
    closing: Closing = Closing.IDLE
    idle_seconds: int | None = None
    max_associations: int | None = None
    max_object_bytes: int | None = None
    anonymize: bool = True
    """Off: senders have run the scripts, as a client's `prevent_anon` says; heeded of accounts that may say so."""
    rules_enabled: bool = False
    """Whether its own routing rules are asked, before the site's."""
    project_rules: str = ""
    subject_rules: str = ""
    session_rules: str = ""
    created: int = 0
    modified: int = 0

    @property
    def is_project_missing(self) -> bool:
        """Whether its project was deleted: associations are rejected until an administrator names another."""
        return self.project_uuid is not None and self.project is None

    def imports_like(self, other: Receiver) -> bool:
        """Whether what this one takes is imported as what another takes: one upload may have objects of both."""
        return self._importing == other._importing

    @property
    def _importing(self) -> tuple[object, ...]:
        rules = (self.project_rules, self.subject_rules, self.session_rules) if self.rules_enabled else ()
        return self.project_uuid, self.project, self.destination, self.account_id, self.anonymize, rules

    def listens_on(self, host: str) -> bool:
        """Whether the receiver process of a host listens for it."""
        return self.enabled and self.host in {ANY_HOST, host}


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomPeer:
    """Another application entity, which we call: C-ECHO and reports of storage commitment."""

    number: int
    uuid: str
    title: str
    """AE title, unique."""
    host: str
    port: int
    tls: bool = False
    label: str = ""
    created: int = 0
    modified: int = 0


@dataclass(frozen=True, slots=True)
class AllowEntry:
    """An entry of an allow list: an AE title, a network, or both, which must fit then."""

    title: str | None = None
    network: IpNetwork | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """`AE`, `CIDR` (or one address), `AE@CIDR`; ValueError for what is none of them."""
        title, at, address = text.strip().rpartition("@")
        if at:
            return cls(parse_title(title), _parse_network(address))
        if _looks_like_address(address):
            return cls(None, _parse_network(address))
        return cls(parse_title(address), None)

    def fits(self, calling: str, address: IpAddress) -> bool:
        """Whether a peer is one that it names; `address` as `parse_address` gives it."""
        if self.title is not None and self.title != calling.strip(" "):
            return False
        return self.network is None or (address.version == self.network.version and address in self.network)


def parse_allow_list(entries: Sequence[str]) -> tuple[AllowEntry, ...]:
    """Its entries; ValueError for one that can't be read."""
    return tuple(AllowEntry.parse(entry) for entry in entries)


def parse_title(text: str) -> str:
    """An AE title without spaces around it; ValueError for what can't be one (PS3.5: 1 to 16, no backslash)."""
    title = text.strip(" ")
    if not 1 <= len(title) <= MAX_TITLE:
        raise ValueError(TITLE_RULE)
    if "\\" in title or not all(" " <= character <= "~" for character in title):
        raise ValueError(TITLE_RULE)
    return title


def parse_address(text: str) -> IpAddress:
    """A peer's address, an IPv4 one that came over IPv6 as that; ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def _looks_like_address(text: str) -> bool:
    """Whether a text is meant as an address or a network, right or wrong: no AE title is looked for in it."""
    if ":" in text:
        return set(text) <= _ADDRESS_CHARACTERS
    return bool(text) and set(text) <= set("0123456789./") and ("." in text or "/" in text)


def _parse_network(text: str) -> IpNetwork:
    network = ipaddress.ip_network(text.strip(), strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network
