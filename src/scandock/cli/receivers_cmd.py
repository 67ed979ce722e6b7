"""`scandock admin receiver` and `peer`: what DICOM senders associate with, and whom we call."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from scandock.cli import checks, options
from scandock.cli.accounts_cmd import local_request_info, print_list
from scandock.cli.command_errors import PeerMissing, ReceiverAmbiguous, ReceiverMissing, SizeUnreadable
from scandock.cli.consoles import print_line
from scandock.cli.rules_cmd import read_rules_file

if TYPE_CHECKING:
    from scandock.model.receivers import DicomPeer, Receiver
    from scandock.services.context import ServiceContext
    from scandock.services.receiver_records import PeerChanges, ReceiverChanges

receiver = typer.Typer(
    help="DICOM receivers: what scanners and archives send to.", no_args_is_help=True, rich_markup_mode=None
)
peer = typer.Typer(help="DICOM peers: other systems that Scandock calls.", no_args_is_help=True, rich_markup_mode=None)

AeTitle = Annotated[str, typer.Argument(metavar="AE", help="AE title: 1 to 16 characters, no backslash.")]
Port = Annotated[int, typer.Argument(metavar="PORT", min=1, max=65_535, help="Port to listen at.")]
Name = Annotated[
    str, typer.Argument(metavar="AE[:PORT]", help="AE title of the receiver, and its port where several have it.")
]
PeerName = Annotated[str, typer.Argument(metavar="AE", help="AE title of the peer.")]


@dataclass(frozen=True, kw_only=True)
class ReceiverOptions:
    """What is set of a receiver; None: as it is, or the default."""

    host: Annotated[
        str | None, typer.Option("--host", metavar="NAME", help="Host that listens; any: each that serves.")
    ] = None
    bind: Annotated[
        str | None, typer.Option("--bind", metavar="IP", help="Address to listen at; '' for all of the host.")
    ] = None
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="Whether it listens.")] = None
    label: Annotated[str | None, typer.Option("--label", metavar="TEXT", help="What people call it.")] = None
    tls: Annotated[bool | None, typer.Option("--tls/--no-tls", help="Whether it speaks TLS.")] = None
    client_certificates: Annotated[
        Literal["off", "optional", "required"] | None,
        typer.Option("--client-certificates", help="What it asks of peers with TLS."),
    ] = None
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="AE|CIDR|AE@CIDR",
            help="Peer that may associate; may be given several times, and replaces the list. '' empties it.",
        ),
    ] = None
    allow_list_enabled: Annotated[
        bool | None, typer.Option("--allow-list/--any-peer", help="Whether the allow list counts.")
    ] = None
    project: Annotated[
        str | None, typer.Option("--project", metavar="P", help="Where all objects go; '' by rules and headers.")
    ] = None
    destination: Annotated[
        Literal["prearchive", "archive", "project"] | None,
        typer.Option("--destination", help="Where sessions go; project: as its settings say."),
    ] = None
    account: Annotated[
        str | None, typer.Option("--account", metavar="NAME", help="Account that it acts for.", show_default=False)
    ] = None
    closing: Annotated[
        Literal["idle", "release"] | None,
        typer.Option("--closing", help="Import a study once nothing comes any more, or after the sender's release."),
    ] = None
    idle: Annotated[
        int | None,
        typer.Option("--idle", metavar="SECONDS", min=0, help="How long nothing has come then; 0 as the setting says."),
    ] = None
    max_associations: Annotated[
        int | None,
        typer.Option("--max-associations", metavar="N", min=0, help="Associations at once; 0 as the setting says."),
    ] = None
    max_object: Annotated[
        str | None,
        typer.Option("--max-object", metavar="SIZE", help="Largest object, as 2GB; 0 as the setting says."),
    ] = None
    anonymize: Annotated[
        bool | None,
        typer.Option("--anonymize/--anonymized", help="Whether the scripts run here, or senders have run them."),
    ] = None
    rules_enabled: Annotated[
        bool | None, typer.Option("--rules/--no-rules", help="Whether its own routing rules count, before the site's.")
    ] = None
    project_rules: Annotated[
        str | None, typer.Option("--project-rules", metavar="FILE", help="Its rules that name projects.")
    ] = None
    subject_rules: Annotated[
        str | None, typer.Option("--subject-rules", metavar="FILE", help="Its rules that name subjects.")
    ] = None
    session_rules: Annotated[
        str | None, typer.Option("--session-rules", metavar="FILE", help="Its rules that name sessions.")
    ] = None

    def changes(self) -> ReceiverChanges:
        """What was named. Usage for a size or a file that can't be read."""
        plain = (
            "host", "bind", "enabled", "label", "tls", "client_certificates", "allow_list_enabled", "account",
            "closing", "anonymize", "rules_enabled",
        )  # fmt: skip
        named: dict[str, Any] = {name: getattr(self, name) for name in plain if getattr(self, name) is not None}
        for name in ("project_rules", "subject_rules", "session_rules"):
            if getattr(self, name) is not None:
                named[name] = read_rules_file(getattr(self, name))
        if self.allow is not None:
            named["allow_list"] = [entry for entry in self.allow if entry]
        if self.project is not None:
            named["project"] = self.project or None
        if self.destination is not None:
            named["destination"] = None if self.destination == "project" else self.destination
        if self.idle is not None:
            named["idle_seconds"] = self.idle or None
        if self.max_associations is not None:
            named["max_associations"] = self.max_associations or None
        if self.max_object is not None:
            named["max_object_bytes"] = _parse_size(self.max_object) or None
        changes: ReceiverChanges = named  # type: ignore[assignment]
        return changes


@dataclass(frozen=True, kw_only=True)
class PeerOptions:
    """What is set of a peer beside its address."""

    tls: Annotated[bool | None, typer.Option("--tls/--no-tls", help="Whether it speaks TLS.")] = None
    label: Annotated[str | None, typer.Option("--label", metavar="TEXT", help="What people call it.")] = None

    def changes(self) -> PeerChanges:
        """What was named."""
        changes: PeerChanges = {}
        if self.tls is not None:
            changes["tls"] = self.tls
        if self.label is not None:
            changes["label"] = self.label
        return changes


@receiver.command("add")
@options.with_options(ReceiverOptions)
def receiver_add(ae_title: AeTitle, port: Port, *, data: options.Data, asked: ReceiverOptions) -> None:
    """Make a receiver. A server that runs listens within two seconds.

    It acts for the first administrator unless an account is named.
    """
    changes = asked.changes()
    changes["ae_title"] = ae_title
    changes["port"] = port
    with _open(data) as context:
        from scandock.services.receivers import add_receiver

        print_line(f"Receiver {_describe(add_receiver(context, changes))} is made.", sys.stdout)


@receiver.command("list")
def receiver_list(data: options.ExistingData, as_json: options.AsJson = False) -> None:
    """List the receivers, one a line."""
    with _open(data, must_exist=True) as context, context.catalog.read() as connection:
        from scandock.services.receiver_records import Receiver as Record
        from scandock.services.receivers import list_receivers

        receivers = list_receivers(connection, context.principal)
        lines = {one.uuid: _describe(one) for one in receivers}
        rows: list[dict[str, object]] = [Record.of(one).to_json() for one in receivers]
    print_list(rows, as_json, lambda row: lines[str(row["id"])])


@receiver.command("set")
@options.with_options(ReceiverOptions)
def receiver_set(
    name: Name,
    *,
    data: options.ExistingData,
    asked: ReceiverOptions,
    new_title: Annotated[str | None, typer.Option("--ae-title", metavar="AE", help="Another AE title.")] = None,
    new_port: Annotated[
        int | None, typer.Option("--port", metavar="PORT", min=1, max=65_535, help="Another port.")
    ] = None,
) -> None:
    """Change a receiver. A server that runs heeds it within two seconds; open associations go on as they began."""
    changes = asked.changes()
    if new_title is not None:
        changes["ae_title"] = new_title
    if new_port is not None:
        changes["port"] = new_port
    with _open(data, must_exist=True) as context:
        from scandock.services.receivers import set_receiver

        changed = set_receiver(context, _find(context, name).uuid, changes)
    print_line(f"Receiver {_describe(changed)} is set.", sys.stdout)


@receiver.command("remove")
def receiver_remove(name: Name, *, data: options.ExistingData) -> None:
    """Remove a receiver. What it has received is imported."""
    with _open(data, must_exist=True) as context:
        from scandock.services.receivers import remove_receiver

        found = _find(context, name)
        remove_receiver(context, found.uuid)
    print_line(f"Receiver {found.title} at port {found.port} is removed.", sys.stdout)


@peer.command("add")
@options.with_options(PeerOptions)
def peer_add(
    ae_title: AeTitle,
    host: Annotated[str, typer.Argument(metavar="HOST", help="Its name or address.")],
    port: Annotated[int, typer.Argument(metavar="PORT", min=1, max=65_535, help="Port that it listens at.")],
    *,
    data: options.Data,
    asked: PeerOptions,
) -> None:
    """Make a peer."""
    changes = asked.changes()
    changes["ae_title"] = ae_title
    changes["host"] = host
    changes["port"] = port
    with _open(data) as context:
        from scandock.services.peers import add_peer

        print_line(f"Peer {_describe_peer(add_peer(context, changes))} is made.", sys.stdout)


@peer.command("list")
def peer_list(data: options.ExistingData, as_json: options.AsJson = False) -> None:
    """List the peers, one a line."""
    with _open(data, must_exist=True) as context, context.catalog.read() as connection:
        from scandock.services.peers import list_peers
        from scandock.services.receiver_records import Peer as Record

        peers = list_peers(connection, context.principal)
        lines = {one.uuid: _describe_peer(one) for one in peers}
        rows: list[dict[str, object]] = [Record.of(one).to_json() for one in peers]
    print_list(rows, as_json, lambda row: lines[str(row["id"])])


@peer.command("set")
@options.with_options(PeerOptions)
def peer_set(
    name: PeerName,
    *,
    data: options.ExistingData,
    asked: PeerOptions,
    new_title: Annotated[str | None, typer.Option("--ae-title", metavar="AE", help="Another AE title.")] = None,
    new_host: Annotated[str | None, typer.Option("--host", metavar="HOST", help="Another host.")] = None,
    new_port: Annotated[
        int | None, typer.Option("--port", metavar="PORT", min=1, max=65_535, help="Another port.")
    ] = None,
) -> None:
    """Change a peer."""
    changes = asked.changes()
    if new_title is not None:
        changes["ae_title"] = new_title
    if new_host is not None:
        changes["host"] = new_host
    if new_port is not None:
        changes["port"] = new_port
    with _open(data, must_exist=True) as context:
        from scandock.services.peers import set_peer

        changed = set_peer(context, _find_peer(context, name).uuid, changes)
    print_line(f"Peer {_describe_peer(changed)} is set.", sys.stdout)


@peer.command("remove")
def peer_remove(name: PeerName, *, data: options.ExistingData) -> None:
    """Remove a peer."""
    with _open(data, must_exist=True) as context:
        from scandock.services.peers import remove_peer

        found = _find_peer(context, name)
        remove_peer(context, found.uuid)
    print_line(f"Peer {found.title} is removed.", sys.stdout)


@peer.command("echo")
def peer_echo(name: PeerName, *, data: options.ExistingData) -> None:
    """Call a peer by C-ECHO, and say whether it answers."""
    with _open(data, must_exist=True) as context:
        from scandock.services.peers import echo_peer

        echo = echo_peer(context, _find_peer(context, name).uuid)
    print_line(f"{name} has answered within {echo.seconds * 1000:.0f} ms.", sys.stdout)


@contextmanager
def _open(data: str, *, must_exist: bool = False) -> Iterator[ServiceContext]:
    """DATA's catalog and store, worked with as the server's own machine."""
    checks.check_data(data, must_exist=must_exist)
    from scandock.access.principal import SYSTEM
    from scandock.cli.import_cmd import load_settings
    from scandock.services.context import ServiceContext
    from scandock.services.data_catalog import open_data

    settings = load_settings()
    with open_data(data, settings) as (catalog, store):
        yield ServiceContext(catalog, store, settings, SYSTEM, local_request_info())


def _find(context: ServiceContext, name: str) -> Receiver:
    """Usage `receiver_missing`, `receiver_ambiguous`."""
    from scandock.services.receivers import list_receivers

    title, _, port = name.rpartition(":")
    with context.catalog.read() as connection:
        receivers = list_receivers(connection, context.principal)
    fitting = [one for one in receivers if one.title == name or (one.title == title and str(one.port) == port)]
    if not fitting:
        raise ReceiverMissing(name)
    if len(fitting) > 1:
        raise ReceiverAmbiguous(name)
    return fitting[0]


def _find_peer(context: ServiceContext, name: str) -> DicomPeer:
    """Usage `peer_missing`."""
    from scandock.services.peers import list_peers

    with context.catalog.read() as connection:
        peers = list_peers(connection, context.principal)
    found = next((one for one in peers if one.title == name), None)
    if found is None:
        raise PeerMissing(name)
    return found


def _describe(one: Receiver) -> str:
    goes_to = one.project or ("a project that was deleted" if one.is_project_missing else "projects by rules")
    peers = f"{len(one.allow_list)} allowed" if one.allow_list_enabled else "any peer"
    words = [f"{one.title}:{one.port}", f"to {goes_to}", peers, *(["TLS"] if one.tls else [])]
    return ", ".join(words if one.enabled else [*words, "disabled"])


def _describe_peer(one: DicomPeer) -> str:
    return f"{one.title}, {one.host}:{one.port}{', TLS' if one.tls else ''}"


def _parse_size(text: str) -> int:
    """Usage `size_unreadable`."""
    from scandock.services.byte_sizes import parse_bytes

    try:
        return parse_bytes(text)
    except ValueError:
        raise SizeUnreadable(text) from None
