"""DICOM receivers as administrators set them, and what an import of what they received is asked for.

The receiver process looks for changes each second, so that what is set here is in force without a restart.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from scandock.access import accounts
from scandock.access.errors import AccountUnknown
from scandock.access.principal import Principal, raise_denied
from scandock.catalog import receivers as rows
from scandock.catalog.server_tables import account, receiver
from scandock.catalog.tables import project
from scandock.model.errors import Usage
from scandock.model.patience import tries
from scandock.model.receivers import (
    ANY_HOST,
    MAX_PORT,
    TITLE_RULE,
    ClientCertificates,
    Closing,
    Receiver,
    parse_address,
    parse_allow_list,
    parse_title,
)
from scandock.queue.tokens import new_uuid
from scandock.rules.errors import ProjectUnknown
from scandock.rules.import_request import ImportRequest
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import AccessDecision, Action
from scandock.rules.routing_rules import parse_rules
from scandock.services import receiver_records, rights
from scandock.services.audit import AuditAction, DetailValue, describe_text, differences
from scandock.services.context import ServiceContext
from scandock.services.editing import check_if_match
from scandock.services.receiver_errors import ReceiverExists, ReceiverInvalid, ReceiverPortShared, ReceiversTooMany
from scandock.services.receiver_records import ReceiverChanges
from scandock.services.upload_rights import is_account_allowed

MAX_RECEIVERS: Final = 200
MAX_ALLOW_ENTRIES: Final = 1_000
_JOKERS: Final = frozenset("*?")
MAX_ALLOW_ENTRY: Final = 80
MAX_LABEL: Final = 200
MAX_RULES: Final = 64 * 1024
_HOST: Final = re.compile(r"(?!-)[A-Za-z0-9._-]{1,255}", re.ASCII)
_PORT_SECONDS: Final = 2.5
"""For which a port is waited for that a receiver has just given up."""
_NEEDED: Final = ("ae_title", "port")


def list_all_receivers(connection: Connection) -> list[Receiver]:
    """Every receiver, with whether its account may upload to its project now."""
    return [
        one
        if one.project is None or is_account_allowed(connection, one.account_id, Action.UPLOAD, one.project)
        else replace(one, may_upload=False)
        for one in rows.list_receivers(connection)
    ]


def list_receivers(connection: Connection, principal: Principal, project_name: str | None = None) -> list[Receiver]:
    """Every receiver to administrators, to others those of the projects that they own. AccessDenied.

    `project_name`: those of one project alone.
    """
    if project_name is not None:
        rights.check(connection, principal, Action.RECEIVERS_READ, project_name)
        key = project_name.casefold()
        return [one for one in list_all_receivers(connection) if (one.project or "").casefold() == key]
    if not principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    rights.check_scope(principal, Action.RECEIVERS_READ)
    return [one for one in list_all_receivers(connection) if _can_read(connection, principal, one)]


def find_receiver(connection: Connection, principal: Principal, uuid: str) -> Receiver:
    """The receiver of an id. AccessDenied, in the same words where there is none and where it is another's."""
    return _readable(connection, principal, rows.find_receiver(connection, uuid))


def find_receiver_number(connection: Connection, principal: Principal, number: int) -> Receiver:
    """The receiver of a number, as XNAT's clients call it. AccessDenied."""
    return _readable(connection, principal, rows.find_receiver_number(connection, number))


def find_receiver_title(connection: Connection, principal: Principal, title: str, port: int) -> Receiver:
    """The receiver of an AE title at a port. AccessDenied."""
    return _readable(connection, principal, rows.find_receiver_title(connection, title, port))


def add_receiver(context: ServiceContext, changes: ReceiverChanges) -> Receiver:
    """Make a receiver, which listens within a second or two.

    AccessDenied; ReceiverInvalid, ReceiverExists, ReceiverPortShared, ReceiversTooMany; Usage `project_unknown`,
    `account_unknown`, `rules_unreadable`.
    """
    for name in _NEEDED:
        if name not in changes:
            raise ReceiverInvalid(f"A receiver needs {'an AE title' if name == 'ae_title' else 'a port'}.", "Name it.")
    with context.catalog.read() as connection:
        planned = _apply(connection, context, _new_receiver(connection, context.principal), changes)
        _check_among(connection, planned)
        others = rows.list_receivers(connection)
    _check_port(planned, others)
    with context.catalog.write() as connection:
        planned = _apply(connection, context, _new_receiver(connection, context.principal), changes)
        _check_among(connection, planned)
        if len(rows.list_receivers(connection)) >= MAX_RECEIVERS:
            raise ReceiversTooMany(MAX_RECEIVERS)
        now = context.catalog.now()
        try:
            connection.execute(
                insert(receiver).values(uuid=planned.uuid, created=now, modified=now, **rows.receiver_columns(planned))
            )
        except IntegrityError:  # made by another transaction since
            raise ReceiverExists(planned.title, planned.port) from None
        _note(context, connection, AuditAction.RECEIVER_ADD, planned, {"fields": sorted(changes)})
        return _known(connection, planned.uuid)


class _NotStopped(Exception):
    """The receiver is gone, or is no longer stopped."""


def set_receiver(
    context: ServiceContext,
    uuid: str,
    changes: ReceiverChanges,
    *,
    if_match: str | None = None,
    only_stopped: bool = False,
) -> Receiver:
    """Change a receiver; what is not named stays. Raises as `add_receiver`, and Usage `changed_meanwhile`.

    `only_stopped`: change it only while it is stopped (`stop_receivers`).
    What becomes of open associations is the receiver process's to see to (`Admissions.check_again`).
    """
    with context.catalog.read() as connection:
        rights.check(connection, context.principal, Action.SITE_ADMIN, None)
        before = _find_to_set(connection, context, uuid, only_stopped=only_stopped)
        planned = _apply(connection, context, before, changes)
        _check_among(connection, planned)
        others = [one for one in rows.list_receivers(connection) if one.uuid != uuid]
    if _endpoint(before) != _endpoint(planned):
        here = platform.node()
        is_ours = before.port == planned.port and before.listens_on(here)
        _check_port(planned, others, is_ours=is_ours)
    with context.catalog.write() as connection:
        before = _find_to_set(connection, context, uuid, only_stopped=only_stopped)
        planned = _apply(connection, context, before, changes)
        check_if_match(receiver_records.Receiver.of(before, context.settings.reception), if_match)
        _check_among(connection, planned)
        columns, columns_before = rows.receiver_columns(planned), rows.receiver_columns(before)
        if columns == columns_before:
            return before
        condition = receiver.c.uuid == uuid
        if only_stopped:  # another transaction of PostgreSQL may have changed it since it was read
            condition &= receiver.c.stopped
        statement = update(receiver).where(condition).values(modified=context.catalog.now(), **columns)
        if connection.execute(statement).rowcount == 0 and only_stopped:
            raise _NotStopped
        _note(context, connection, AuditAction.RECEIVER_SET, planned, _differences(context, before, planned))
        return _known(connection, uuid)


def _find_to_set(connection: Connection, context: ServiceContext, uuid: str, *, only_stopped: bool) -> Receiver:
    """AccessDenied; where only one that is stopped is to be set, _NotStopped."""
    if not only_stopped:
        return find_receiver(connection, context.principal, uuid)
    one = rows.find_receiver(connection, uuid)
    if one is None or not one.stopped:
        raise _NotStopped
    return one


def remove_receiver(context: ServiceContext, uuid: str) -> None:
    """Remove a receiver. What it has received is imported. AccessDenied."""
    with context.catalog.write() as connection:
        rights.check(connection, context.principal, Action.SITE_ADMIN, None)
        before = find_receiver(connection, context.principal, uuid)
        connection.execute(delete(receiver).where(receiver.c.uuid == uuid))
        _note(context, connection, AuditAction.RECEIVER_REMOVE, before, {})


def stop_receivers(context: ServiceContext) -> list[Receiver]:
    """Disable every receiver that is enabled, until `start_receivers`; those that were. AccessDenied."""
    with context.catalog.write() as connection:
        rights.check(connection, context.principal, Action.SITE_ADMIN, None)
        enabled = [one for one in rows.list_receivers(connection) if one.enabled]
        for before in enabled:
            connection.execute(
                update(receiver)
                .where(receiver.c.uuid == before.uuid)
                .values(enabled=False, stopped=True, modified=context.catalog.now())
            )
            planned = replace(before, enabled=False, stopped=True)
            _note(context, connection, AuditAction.RECEIVER_SET, planned, _differences(context, before, planned))
    return enabled


def start_receivers(context: ServiceContext) -> list[tuple[Receiver, bool]]:
    """Enable those that `stop_receivers` has disabled, and no others; each with whether it could be. AccessDenied.

    Those that are removed, enabled or disabled by hand meanwhile are left out.
    """
    with context.catalog.read() as connection:
        rights.check(connection, context.principal, Action.SITE_ADMIN, None)
        stopped = [one for one in rows.list_receivers(connection) if one.stopped]
    started = []
    for one in stopped:
        with contextlib.suppress(_NotStopped):
            started.append((one, _start(context, one)))
    return started


def _start(context: ServiceContext, one: Receiver) -> bool:
    """Whether it could be enabled. AccessDenied, _NotStopped."""
    try:
        set_receiver(context, one.uuid, {"enabled": True}, only_stopped=True)
    except Usage:
        with context.catalog.read() as connection:
            _find_to_set(connection, context, one.uuid, only_stopped=True)
        return False
    return True


def make_import_request(receiver: Receiver) -> ImportRequest:
    """What is asked of the import of a study that a receiver took: nobody else names anything of it."""
    rules = {
        kind: text
        for kind, text in (
            ("project", receiver.project_rules),
            ("subject", receiver.subject_rules),
            ("session", receiver.session_rules),
        )
        if receiver.rules_enabled and text
    }
    request = ImportRequest(overwrite="append", ignore_unparsable=True)
    if receiver.project is not None:
        request = request.with_fields(project=receiver.project)
    if receiver.destination is not None:
        request = request.with_fields(destination=receiver.destination)
    if not receiver.anonymize:
        request = request.with_fields(prevent_anon=True)
    if rules:
        request = request.with_fields(receiver_rules=rules)
    return request


def _can_read(connection: Connection, principal: Principal, one: Receiver) -> bool:
    if rights.is_allowed(connection, principal, Action.SITE_ADMIN, None):
        return True
    if one.project is None:
        return False
    return rights.is_allowed(connection, principal, Action.RECEIVERS_READ, one.project)


def _readable(connection: Connection, principal: Principal, one: Receiver | None) -> Receiver:
    if not principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    rights.check_scope(principal, Action.RECEIVERS_READ)
    if one is not None and one.project is not None:
        rights.check(connection, principal, Action.RECEIVERS_READ, one.project)
    elif one is None or not principal.admin:
        raise_denied(AccessDecision.HIDDEN)
    return one


def _known(connection: Connection, uuid: str) -> Receiver:
    one = rows.find_receiver(connection, uuid)
    assert one is not None  # as it was written in this transaction
    return one


def _new_receiver(connection: Connection, principal: Principal) -> Receiver:
    """One with the defaults, which acts for who makes it; for the first administrator by the command line."""
    name, account_id = principal.name, principal.account_id
    if account_id is None:
        first = connection.execute(
            select(account.c.id, account.c.name)
            .where(account.c.admin.is_(True), account.c.disabled.is_(False))
            .order_by(account.c.id)
            .limit(1)
        ).first()
        account_id, name = (0, "") if first is None else (first.id, first.name)
    return Receiver(number=0, uuid=new_uuid(), title="", port=0, account_id=account_id, account=name)


def _apply(connection: Connection, context: ServiceContext, before: Receiver, changes: ReceiverChanges) -> Receiver:
    """The receiver as it would be, checked by itself. AccessDenied, Usage."""
    rights.check(connection, context.principal, Action.SITE_ADMIN, None)
    planned = _with_values(before, changes)
    if "project" in changes:
        planned = _with_project(connection, planned, changes["project"])
    if "account" in changes:
        planned = _with_account(connection, planned, changes["account"])
    if not planned.account_id:
        raise ReceiverInvalid("A receiver acts for an account, and none is named.", "Name one.")
    if planned.account_disabled:
        raise ReceiverInvalid(f"The account {planned.account} is disabled.", "Enable it, or name another.")
    if planned.project is not None and not is_account_allowed(
        connection, planned.account_id, Action.UPLOAD, planned.project
    ):
        raise ReceiverInvalid(
            f"The account {planned.account} can't upload to {planned.project}.",
            "Make it a member of the project, or name another account.",
        )
    return planned


def _with_values(before: Receiver, changes: ReceiverChanges) -> Receiver:
    """With what needs no catalog; ReceiverInvalid, Usage `rules_unreadable`."""
    planned = replace(
        before,
        title=_parse_title(changes.get("ae_title", before.title)),
        port=changes.get("port", before.port),
        host=changes.get("host", before.host).strip() or ANY_HOST,
        bind=_parse_bind(changes.get("bind", before.bind)),
        enabled=changes.get("enabled", before.enabled),
        stopped=_stays_stopped(before, changes),
        label=" ".join(changes.get("label", before.label).replace("\0", " ").split()),
        tls=changes.get("tls", before.tls),
        client_certificates=ClientCertificates(changes.get("client_certificates", before.client_certificates)),
        allow_list=_parse_entries(changes.get("allow_list", before.allow_list)),
        allow_list_enabled=changes.get("allow_list_enabled", before.allow_list_enabled),
        destination=changes.get("destination", before.destination),
        closing=Closing(changes.get("closing", before.closing)),
        idle_seconds=changes.get("idle_seconds", before.idle_seconds),
        max_associations=changes.get("max_associations", before.max_associations),
        max_object_bytes=changes.get("max_object_bytes", before.max_object_bytes),
        anonymize=changes.get("anonymize", before.anonymize),
        rules_enabled=changes.get("rules_enabled", before.rules_enabled),
        project_rules=_one_line_ends(changes.get("project_rules", before.project_rules)),
        subject_rules=_one_line_ends(changes.get("subject_rules", before.subject_rules)),
        session_rules=_one_line_ends(changes.get("session_rules", before.session_rules)),
    )
    _check_range("The port", planned.port, 1, MAX_PORT)
    _check_range("The idle time in seconds", planned.idle_seconds, 1, 86_400)
    _check_range("The number of associations", planned.max_associations, 1, 1_000)
    _check_range("The size of an object in bytes", planned.max_object_bytes, 1, 1 << 50)
    if planned.host != ANY_HOST and not _HOST.fullmatch(planned.host):
        raise ReceiverInvalid(f"{planned.host[:80]!r} is no name of a host.", f"Name one, or {ANY_HOST}.")
    if len(planned.label) > MAX_LABEL:
        raise ReceiverInvalid(f"The label has more than {MAX_LABEL} characters.", "Shorten it.")
    if planned.client_certificates is not ClientCertificates.OFF and not planned.tls:
        raise ReceiverInvalid("Client certificates need TLS.", "Turn TLS on, or client certificates off.")
    for text in (planned.project_rules, planned.subject_rules, planned.session_rules):
        if len(text) > MAX_RULES:
            raise ReceiverInvalid(f"The rules have more than {MAX_RULES:,} characters.", "Shorten them.")
        parse_rules(text)
    return planned


def _stays_stopped(before: Receiver, changes: ReceiverChanges) -> bool:
    """Not where it is enabled, or disabled by itself: a form that has all fields does neither."""
    return before.stopped and not changes.get("enabled", False) and set(changes) != {"enabled"}


def _with_project(connection: Connection, planned: Receiver, name: str | None) -> Receiver:
    """Usage `project_unknown`."""
    if not name:
        return replace(planned, project=None, project_uuid=None)
    row = connection.execute(
        select(project.c.name, project.c.uuid).where(project.c.key == name.casefold(), project.c.name != UNASSIGNED)
    ).first()
    if row is None:
        raise ProjectUnknown(f"There is no project {name!r} to receive for.", "Check the id, or make it first.")
    return replace(planned, project=row.name, project_uuid=row.uuid)


def _with_account(connection: Connection, planned: Receiver, name: str) -> Receiver:
    """Usage `account_unknown`."""
    found = accounts.find(connection, name)
    if found is None:
        raise AccountUnknown(f"There is no account {name!r}.", "Check how it is written.")
    return replace(planned, account_id=found.id, account=found.name, account_disabled=found.disabled)


def _check_among(connection: Connection, planned: Receiver) -> None:
    """ReceiverExists, ReceiverPortShared."""
    for other in rows.list_receivers(connection):
        if other.uuid == planned.uuid or other.port != planned.port:
            continue
        if other.title == planned.title:
            raise ReceiverExists(planned.title, planned.port)
        if ANY_HOST not in (other.host, planned.host) and other.host != planned.host:
            continue
        if (other.bind, other.tls, other.client_certificates) != (
            planned.bind, planned.tls, planned.client_certificates,
        ):  # fmt: skip
            raise ReceiverPortShared(other.title, other.port)


def _endpoint(one: Receiver) -> tuple[object, ...]:
    return one.port, one.bind, one.host, one.enabled


def _check_port(planned: Receiver, others: list[Receiver], *, is_ours: bool = False) -> None:
    """ReceiverInvalid where this host's receiver process could not listen at its port.

    Not where another receiver of this host listens there already, as they share it then. `is_ours`: this receiver
    listens at the port now, so that only its new address is tried.
    """
    here = platform.node()
    if not planned.listens_on(here) or any(one.port == planned.port and one.listens_on(here) for one in others):
        return
    problem: OSError | None = None
    for _ in tries(_PORT_SECONDS, 0.1):
        problem = _try_binding(planned.bind, 0 if is_ours else planned.port)
        if problem is None:
            return
        if problem.errno != errno.EADDRINUSE:
            break
    if problem is not None and problem.errno == errno.EADDRINUSE:
        raise ReceiverInvalid(f"Port {planned.port} is in use by another program.", "Choose another port.")
    if problem is not None and problem.errno == errno.EACCES:
        raise ReceiverInvalid(
            f"The server is not allowed to listen at port {planned.port}.", "Choose a port from 1024 on."
        )
    reason = os.strerror(problem.errno) if problem is not None and problem.errno else str(problem)
    raise ReceiverInvalid(
        f"{planned.bind or 'This host'} can't listen at port {planned.port}: {reason}.",
        "Choose another address or port.",
    )


def _try_binding(address: str, port: int) -> OSError | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error
    return None


def _parse_title(text: str) -> str:
    """ReceiverInvalid."""
    try:
        return parse_title(text)
    except ValueError:
        raise ReceiverInvalid(f"{text[:40]!r} is no AE title.", TITLE_RULE) from None


def _parse_bind(text: str) -> str:
    """An address of the host, as it is written the shortest; empty for all. ReceiverInvalid."""
    try:
        return str(parse_address(text.strip())) if text.strip() else ""
    except ValueError:
        raise ReceiverInvalid(
            f"{text[:60]!r} is no address.", "Write an IPv4 or IPv6 address, or nothing for all of the host."
        ) from None


def _parse_entries(entries: Sequence[str]) -> tuple[str, ...]:
    """The entries of an allow list, each once. ReceiverInvalid."""
    kept: dict[str, None] = {}
    for entry in entries:
        text = entry.strip()
        if not text:
            continue
        try:
            if len(text) > MAX_ALLOW_ENTRY or not _JOKERS.isdisjoint(text) or text.count("@") > 1:
                raise ValueError("It is too long, or matches nobody.")
            parse_allow_list([text])
        except ValueError:
            raise ReceiverInvalid(
                f"{text[:MAX_ALLOW_ENTRY]!r} is no entry of an allow list.",
                "Write an AE title, an address or network (10.1.2.0/24), or both (AE@10.1.2.0/24), without wildcards.",
            ) from None
        kept[text] = None
    if len(kept) > MAX_ALLOW_ENTRIES:
        raise ReceiverInvalid(f"The allow list has more than {MAX_ALLOW_ENTRIES:,} entries.", "Name networks.")
    return tuple(kept)


def _one_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").strip("\n")


def _check_range(what: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise ReceiverInvalid(f"{what} is {value}.", f"Right is {least:,} to {most:,}.")


def _differences(context: ServiceContext, before: Receiver, planned: Receiver) -> dict[str, DetailValue]:
    """The old and new values of what is changed, for the audit: of rules how long they are, as they may name people."""
    settings = context.settings.reception
    old, new = (_describe_rules(receiver_records.Receiver.of(one, settings).to_json()) for one in (before, planned))
    return differences(old, new)


def _describe_rules(values: dict[str, Any]) -> dict[str, Any]:
    texts = {name: values[name] for name in ("project_rules", "subject_rules", "session_rules")}
    return {name: value for name, value in values.items() if name != "warnings"} | {
        name: describe_text(text) if text else "" for name, text in texts.items()
    }


def _note(
    context: ServiceContext,
    connection: Connection,
    action: AuditAction,
    one: Receiver,
    more: Mapping[str, DetailValue],
) -> None:
    details: dict[str, DetailValue] = {"ae_title": one.title, "port": one.port, **more}
    context.note(connection, action, one.uuid, one.project or "", details, kind="receiver")
