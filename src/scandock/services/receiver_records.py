"""DICOM receivers and peers as people see them, and what they set of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self, TypedDict

from pydantic import Field

from scandock.model import receivers
from scandock.model.dataclass import dataclass
from scandock.model.import_types import Destination
from scandock.model.json_records import JsonRecord, Moment
from scandock.model.reception import ReceptionSettings

NO_CERTIFICATE: Final = (
    "TLS is on, and the server has no certificate for it: the receiver can't listen."
    " Whoever runs the server has to name one in its settings."
)
UNKNOWN_HOST: Final = (
    "No host called {host} works here, so that this receiver does not listen."
    " Name one by the name of its machine, or any for all of them."
)
NO_PEERS: Final = "The allow list is empty, so that every peer is rejected. Add peers to it, or let any peer associate."

Certificates = Literal["off", "optional", "required"]
ClosingRule = Literal["idle", "release"]


class ReceiverChanges(TypedDict, total=False):
    """What is set of a receiver; what is not named stays, or has its default. None: as the settings of the server."""

    ae_title: str
    port: int
    host: str
    bind: str
    enabled: bool
    label: str
    tls: bool
    client_certificates: Certificates
    allow_list: Sequence[str]
    allow_list_enabled: bool
    project: str | None
    destination: Destination | None
    account: str
    closing: ClosingRule
    idle_seconds: int | None
    max_associations: int | None
    max_object_bytes: int | None
    anonymize: bool
    rules_enabled: bool
    project_rules: str
    subject_rules: str
    session_rules: str


class PeerChanges(TypedDict, total=False):
    """What is set of a peer; what is not named stays."""

    ae_title: str
    host: str
    port: int
    tls: bool
    label: str


@dataclass(frozen=True, kw_only=True)
class Receiver(JsonRecord):
    """A DICOM receiver."""

    id: str
    ae_title: str
    port: int
    host: Annotated[str, Field(description="Name of the host that listens, or any")]
    bind: Annotated[str, Field(description="Address that it listens at; empty for all of its host")]
    enabled: bool
    stopped: Annotated[bool, Field(description="Disabled with all others by /xapi/dicomscp/stop, until start")]
    label: str
    tls: bool
    client_certificates: Certificates
    allow_list: Annotated[list[str], Field(description="AE, CIDR or AE@CIDR")]
    allow_list_enabled: Annotated[bool, Field(description="Whether only peers of the allow list may associate")]
    project: Annotated[str | None, Field(description="Where all objects go; null: by the rules and the headers")]
    project_missing: Annotated[bool, Field(description="Its project was deleted: it rejects associations")]
    destination: Annotated[Destination | None, Field(description="null: by the project")]
    account: Annotated[str, Field(description="Name of the account that it acts for")]
    account_disabled: bool
    closing: Annotated[ClosingRule, Field(description="When a received study is imported")]
    idle_seconds: Annotated[int | None, Field(description="null: as the server's setting")]
    max_associations: Annotated[int | None, Field(description="At once; null: as the server's setting")]
    max_object_bytes: Annotated[int | None, Field(description="null: as the server's setting")]
    anonymize: Annotated[bool, Field(description="false: senders have run the anonymization scripts themselves")]
    rules_enabled: bool
    project_rules: Annotated[str, Field(description="Its own routing rules, which are asked before the site's")]
    subject_rules: str
    session_rules: str
    created: Moment
    modified: Moment
    warnings: Annotated[list[str], Field(description="Why it can't receive as it is set, and what to do")]

    @classmethod
    def of(cls, receiver: receivers.Receiver, settings: ReceptionSettings) -> Self:
        return cls(
            id=receiver.uuid,
            ae_title=receiver.title,
            port=receiver.port,
            host=receiver.host,
            bind=receiver.bind,
            enabled=receiver.enabled,
            stopped=receiver.stopped,
            label=receiver.label,
            tls=receiver.tls,
            client_certificates=receiver.client_certificates.value,
            allow_list=list(receiver.allow_list),
            allow_list_enabled=receiver.allow_list_enabled,
            project=receiver.project,
            project_missing=receiver.is_project_missing,
            destination=receiver.destination,
            account=receiver.account,
            account_disabled=receiver.account_disabled,
            closing=receiver.closing.value,
            idle_seconds=receiver.idle_seconds,
            max_associations=receiver.max_associations,
            max_object_bytes=receiver.max_object_bytes,
            anonymize=receiver.anonymize,
            rules_enabled=receiver.rules_enabled,
            project_rules=receiver.project_rules,
            subject_rules=receiver.subject_rules,
            session_rules=receiver.session_rules,
            created=receiver.created,
            modified=receiver.modified,
            warnings=find_warnings(receiver, settings),
        )


def find_warnings(receiver: receivers.Receiver, settings: ReceptionSettings) -> list[str]:
    """What keeps a receiver from receiving as it is set, by the settings of this process."""
    warnings = []
    if receiver.tls and not settings.tls_certificate:
        warnings.append(NO_CERTIFICATE)
    if not receiver.is_host_known:
        warnings.append(UNKNOWN_HOST.format(host=receiver.host))
    if receiver.allow_list_enabled and not receiver.allow_list:
        warnings.append(NO_PEERS)
    return warnings


@dataclass(frozen=True, kw_only=True)
class PeerEcho(JsonRecord):
    """What came of a C-ECHO."""

    seconds: Annotated[float, Field(description="From the connection to the answer")]


@dataclass(frozen=True, kw_only=True)
class Peer(JsonRecord):
    """A DICOM application entity that Scandock calls."""

    id: str
    ae_title: str
    host: str
    port: int
    tls: bool
    label: str
    created: Moment
    modified: Moment

    @classmethod
    def of(cls, peer: receivers.DicomPeer) -> Self:
        return cls(
            id=peer.uuid,
            ae_title=peer.title,
            host=peer.host,
            port=peer.port,
            tls=peer.tls,
            label=peer.label,
            created=peer.created,
            modified=peer.modified,
        )
