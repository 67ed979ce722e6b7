"""DICOM peers as administrators set them: whom we call, for C-ECHO and reports of storage commitment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, delete, insert, update
from sqlalchemy.exc import IntegrityError

from scandock.access.principal import Principal, raise_denied
from scandock.catalog import receivers as rows
from scandock.catalog.server_tables import dicom_peer
from scandock.model.receivers import MAX_PORT, TITLE_RULE, DicomPeer, parse_title
from scandock.queue.tokens import new_uuid
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import receiver_records, rights
from scandock.services.audit import AuditAction, DetailValue, differences
from scandock.services.context import ServiceContext
from scandock.services.dicom_peers import peer_calls
from scandock.services.editing import check_if_match
from scandock.services.receiver_errors import PeerCallFailed, PeerExists, PeerInvalid, ReceiversTooMany
from scandock.services.receiver_records import PeerChanges, PeerEcho

MAX_PEERS: Final = 500
MAX_LABEL: Final = 200
_HOST: Final = re.compile(r"[A-Za-z0-9._:%-]{1,255}", re.ASCII)
_NEEDED: Final = ("ae_title", "host", "port")


def list_peers(connection: Connection, principal: Principal) -> list[DicomPeer]:
    """Every peer by its AE title. AccessDenied."""
    rights.check(connection, principal, Action.SITE_ADMIN, None)
    return rows.list_peers(connection)


def find_peer(connection: Connection, principal: Principal, uuid: str) -> DicomPeer:
    """The peer of an id. AccessDenied."""
    rights.check(connection, principal, Action.SITE_ADMIN, None)
    peer = rows.find_peer(connection, uuid)
    if peer is None:
        raise_denied(AccessDecision.HIDDEN)
    return peer


def add_peer(context: ServiceContext, changes: PeerChanges) -> DicomPeer:
    """Make a peer. AccessDenied, PeerInvalid, PeerExists, ReceiversTooMany."""
    for name in _NEEDED:
        if name not in changes:
            raise PeerInvalid("A peer needs an AE title, a host and a port.", "Name all of them.")
    with context.catalog.write() as connection:
        rights.check(connection, context.principal, Action.SITE_ADMIN, None)
        planned = _with_values(DicomPeer(number=0, uuid=new_uuid(), title="", host="", port=0), changes)
        peers = rows.list_peers(connection)
        if any(other.title == planned.title for other in peers):
            raise PeerExists(planned.title)
        if len(peers) >= MAX_PEERS:
            raise ReceiversTooMany(MAX_PEERS)
        now = context.catalog.now()
        try:
            connection.execute(
                insert(dicom_peer).values(uuid=planned.uuid, created=now, modified=now, **rows.peer_columns(planned))
            )
        except IntegrityError:  # made by another transaction since
            raise PeerExists(planned.title) from None
        _note(context, connection, AuditAction.PEER_ADD, planned, {"fields": sorted(changes)})
        return find_peer(connection, context.principal, planned.uuid)


def set_peer(context: ServiceContext, uuid: str, changes: PeerChanges, *, if_match: str | None = None) -> DicomPeer:
    """Change a peer; what is not named stays. AccessDenied, PeerInvalid, PeerExists, Usage `changed_meanwhile`."""
    with context.catalog.write() as connection:
        before = find_peer(connection, context.principal, uuid)
        check_if_match(receiver_records.Peer.of(before), if_match)
        planned = _with_values(before, changes)
        if any(other.title == planned.title and other.uuid != uuid for other in rows.list_peers(connection)):
            raise PeerExists(planned.title)
        columns, columns_before = rows.peer_columns(planned), rows.peer_columns(before)
        if columns == columns_before:
            return before
        changed = differences(receiver_records.Peer.of(before).to_json(), receiver_records.Peer.of(planned).to_json())
        try:
            connection.execute(
                update(dicom_peer).where(dicom_peer.c.uuid == uuid).values(modified=context.catalog.now(), **columns)
            )
        except IntegrityError:  # made by another transaction since
            raise PeerExists(planned.title) from None
        _note(context, connection, AuditAction.PEER_SET, planned, changed)
        return find_peer(connection, context.principal, uuid)


def remove_peer(context: ServiceContext, uuid: str) -> None:
    """Remove a peer. AccessDenied."""
    with context.catalog.write() as connection:
        before = find_peer(connection, context.principal, uuid)
        connection.execute(delete(dicom_peer).where(dicom_peer.c.uuid == uuid))
        _note(context, connection, AuditAction.PEER_REMOVE, before, {})


def echo_peer(context: ServiceContext, uuid: str) -> PeerEcho:
    """Call a peer by C-ECHO, which takes 10 seconds or more where nothing answers. AccessDenied, PeerCallFailed."""
    with context.catalog.read() as connection:
        peer = find_peer(connection, context.principal, uuid)
    reception = context.settings.reception
    calls = peer_calls(reception)
    try:
        seconds = calls.echo(peer)
    except PeerCallFailed:
        _note_echo(context, peer, answered=False)
        raise
    _note_echo(context, peer, answered=True)
    return PeerEcho(seconds=round(seconds, 4))


def _note_echo(context: ServiceContext, peer: DicomPeer, *, answered: bool) -> None:
    details: dict[str, DetailValue] = {"ae_title": peer.title, "answered": answered}
    with context.catalog.write() as connection:
        context.note(connection, AuditAction.PEER_ECHO, peer.uuid, "", details, kind="peer")


def _with_values(before: DicomPeer, changes: PeerChanges) -> DicomPeer:
    try:
        title = parse_title(changes.get("ae_title", before.title))
    except ValueError:
        raise PeerInvalid("That is no AE title.", TITLE_RULE) from None
    planned = replace(
        before,
        title=title,
        host=changes.get("host", before.host).strip(),
        port=changes.get("port", before.port),
        tls=changes.get("tls", before.tls),
        label=" ".join(changes.get("label", before.label).split()),
    )
    if not _HOST.fullmatch(planned.host):
        raise PeerInvalid(f"{planned.host[:80]!r} is no host.", "Write its name or its address.")
    if not 1 <= planned.port <= MAX_PORT:
        raise PeerInvalid(f"The port is {planned.port}.", f"Right is 1 to {MAX_PORT:,}.")
    if len(planned.label) > MAX_LABEL:
        raise PeerInvalid(f"The label has more than {MAX_LABEL} characters.", "Shorten it.")
    return planned


def _note(
    context: ServiceContext,
    connection: Connection,
    action: AuditAction,
    peer: DicomPeer,
    more: Mapping[str, DetailValue],
) -> None:
    details: dict[str, DetailValue] = {"ae_title": peer.title, **more}
    context.note(connection, action, peer.uuid, "", details, kind="peer")
