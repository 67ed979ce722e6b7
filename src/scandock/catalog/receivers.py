"""Receivers and DICOM peers in the catalog: listed, found, written."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, RowMapping, Select, and_, select

from scandock.catalog.projects import is_deleted
from scandock.catalog.server_tables import account, dicom_peer, receiver
from scandock.catalog.tables import project, project_deletion
from scandock.model.receivers import ClientCertificates, Closing, DicomPeer, Receiver

_RECEIVERS: Final = (
    select(receiver, project.c.name.label("project"), account.c.name.label("account"), account.c.disabled)
    .join(account, account.c.id == receiver.c.account_id)
    .outerjoin(
        project,
        and_(
            project.c.uuid == receiver.c.project_uuid,
            ~is_deleted(),
            project.c.id.not_in(select(project_deletion.c.project_id)),
        ),
    )
    .order_by(receiver.c.port, receiver.c.title)
)
"""Made once: the receiver process asks for all of them each second."""
_PEERS: Final = select(dicom_peer).order_by(dicom_peer.c.title)


def list_receivers(connection: Connection) -> list[Receiver]:
    """Every receiver, enabled or not, by port and AE title."""
    return _receivers(connection, _RECEIVERS)


def find_receiver(connection: Connection, uuid: str) -> Receiver | None:
    """The receiver of an id; None where there is none."""
    return next(iter(_receivers(connection, _RECEIVERS.where(receiver.c.uuid == uuid))), None)


def find_receiver_number(connection: Connection, number: int) -> Receiver | None:
    """The receiver of a number, by which XNAT's clients call it."""
    return next(iter(_receivers(connection, _RECEIVERS.where(receiver.c.id == number))), None)


def find_receiver_title(connection: Connection, title: str, port: int) -> Receiver | None:
    """The receiver of an AE title at a port."""
    query = _RECEIVERS.where(receiver.c.title == title, receiver.c.port == port)
    return next(iter(_receivers(connection, query)), None)


def list_peers(connection: Connection) -> list[DicomPeer]:
    """Every peer by its AE title."""
    return [_peer(row) for row in connection.execute(_PEERS).mappings()]


def find_peer(connection: Connection, uuid: str) -> DicomPeer | None:
    """The peer of an id; None where there is none."""
    row = connection.execute(_PEERS.where(dicom_peer.c.uuid == uuid)).mappings().first()
    return None if row is None else _peer(row)


def find_peer_title(connection: Connection, title: str) -> DicomPeer | None:
    """The peer of an AE title."""
    row = connection.execute(_PEERS.where(dicom_peer.c.title == title)).mappings().first()
    return None if row is None else _peer(row)


def receiver_columns(values: Receiver) -> dict[str, Any]:
    """The columns of a receiver's row that people set."""
    return {
        "title": values.title,
        "port": values.port,
        "host": values.host,
        "bind": values.bind,
        "enabled": values.enabled,
        "stopped": values.stopped,
        "label": values.label,
        "tls": values.tls,
        "client_certificates": values.client_certificates.value,
        "allow_list": "\n".join(values.allow_list),
        "allow_list_enabled": values.allow_list_enabled,
        "project_uuid": values.project_uuid,
        "destination": values.destination,
        "account_id": values.account_id,
        "closing": values.closing.value,
        "idle_seconds": values.idle_seconds,
        "max_associations": values.max_associations,
        "max_object_bytes": values.max_object_bytes,
        "anonymize": values.anonymize,
        "rules_enabled": values.rules_enabled,
        "project_rules": values.project_rules,
        "subject_rules": values.subject_rules,
        "session_rules": values.session_rules,
    }


def peer_columns(values: DicomPeer) -> dict[str, Any]:
    """The columns of a peer's row that people set."""
    return {
        "title": values.title,
        "host": values.host,
        "port": values.port,
        "tls": values.tls,
        "label": values.label,
    }


def _receivers(connection: Connection, query: Select[Any]) -> list[Receiver]:
    return [_receiver(row) for row in connection.execute(query).mappings()]


def _receiver(row: RowMapping) -> Receiver:
    return Receiver(
        number=row["id"],
        uuid=row["uuid"],
        title=row["title"],
        port=row["port"],
        host=row["host"],
        bind=row["bind"],
        enabled=row["enabled"],
        stopped=row["stopped"],
        label=row["label"],
        tls=row["tls"],
        client_certificates=ClientCertificates(row["client_certificates"]),
        allow_list=tuple(row["allow_list"].splitlines()),
        allow_list_enabled=row["allow_list_enabled"],
        project_uuid=row["project_uuid"],
        project=row["project"],
        destination=row["destination"],
        account_id=row["account_id"],
        account=row["account"],
        account_disabled=row["disabled"],
        closing=Closing(row["closing"]),
        idle_seconds=row["idle_seconds"],
        max_associations=row["max_associations"],
        max_object_bytes=row["max_object_bytes"],
        anonymize=row["anonymize"],
        rules_enabled=row["rules_enabled"],
        project_rules=row["project_rules"],
        subject_rules=row["subject_rules"],
        session_rules=row["session_rules"],
        created=row["created"],
        modified=row["modified"],
    )


def _peer(row: RowMapping) -> DicomPeer:
    return DicomPeer(
        number=row["id"],
        uuid=row["uuid"],
        title=row["title"],
        host=row["host"],
        port=row["port"],
        tls=row["tls"],
        label=row["label"],
        created=row["created"],
        modified=row["modified"],
    )
