"""`scandock admin receiver` and `peer`: what DICOM senders associate with, and whom we call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, Literal, NamedTuple, TypeVar

import typer

from scandock.cli import checks, options
from scandock.cli.accounts_cmd import local_request_info, print_list
from scandock.cli.command_errors import PeerMissing, ReceiverAmbiguous, ReceiverMissing, SizeUnreadable
from scandock.cli.consoles import print_line
from scandock.cli.rules_cmd import read_rules_file
from scandock.model.dataclass import dataclass

if TYPE_CHECKING:
    from scandock.model.receivers import DicomPeer, Receiver
    from scandock.services.context import ServiceContext
    from scandock.services.received_status import ReceiverState

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
NewTitle = Annotated[str | None, typer.Option("--ae-title", metavar="AE", help="Another AE title.")]
NewPort = Annotated[int | None, typer.Option("--port", metavar="PORT", min=1, max=65_535, help="Another port.")]


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

    def changes(self) -> dict[str, object]:
        """What was named. Usage for a size or a file that can't be read."""
        plain = (
            "host", "bind", "enabled", "label", "tls", "client_certificates", "allow_list_enabled", "account",
            "closing", "anonymize", "rules_enabled",
        )  # fmt: skip
        named = _named(**{name: getattr(self, name) for name in plain})
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
        return named


@dataclass(frozen=True, kw_only=True)
class PeerOptions:
    """What is set of a peer beside its address."""

    tls: Annotated[bool | None, typer.Option("--tls/--no-tls", help="Whether it speaks TLS.")] = None
    label: Annotated[str | None, typer.Option("--label", metavar="TEXT", help="What people call it.")] = None

    def changes(self) -> dict[str, object]:
        """What was named."""
        return _named(tls=self.tls, label=self.label)


@receiver.command("add")
@options.with_options(ReceiverOptions)
def receiver_add(ae_title: AeTitle, port: Port, *, data: options.Data, asked: ReceiverOptions) -> None:
    """Make a receiver. A server that runs listens within two seconds.

    It acts for the first administrator unless an account is named.
    """
    from scandock.services.receivers import add_receiver

    _add(_RECEIVER, data, add_receiver, asked.changes() | _named(ae_title=ae_title, port=port))


@receiver.command("list")
def receiver_list(data: options.ExistingData, as_json: options.AsJson = False) -> None:
    """List the receivers, one a line, with whether each listens."""
    from scandock.services.received_status import list_states
    from scandock.services.receiver_records import Receiver as Record
    from scandock.services.receivers import list_receivers

    with _open(data, must_exist=True) as context, context.catalog.read() as connection:
        receivers = list_receivers(connection, context.principal)
        states = {one.receiver: one for one in list_states(connection, context.principal)}
    lines = {one.uuid: _describe_state(one, states[one.uuid]) for one in receivers}
    rows: list[dict[str, object]] = []
    for one in receivers:
        state = states[one.uuid]
        rows.append(
            Record.of(one, context.settings.reception).to_json() | {"state": state.state, "message": state.message}
        )
    print_list(rows, as_json, lambda row: lines[str(row["id"])])


@receiver.command("set")
@options.with_options(ReceiverOptions)
def receiver_set(
    name: Name,
    *,
    data: options.ExistingData,
    asked: ReceiverOptions,
    new_title: NewTitle = None,
    new_port: NewPort = None,
) -> None:
    """Change a receiver. A server that runs heeds it within two seconds."""
    from scandock.services.receivers import set_receiver

    _set(_RECEIVER, data, name, set_receiver, asked.changes() | _named(ae_title=new_title, port=new_port))


@receiver.command("remove")
def receiver_remove(name: Name, *, data: options.ExistingData) -> None:
    """Remove a receiver. What it has received is imported."""
    from scandock.services.receivers import remove_receiver

    _remove(_RECEIVER, data, name, remove_receiver)


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
    from scandock.services.peers import add_peer

    _add(_PEER, data, add_peer, asked.changes() | _named(ae_title=ae_title, host=host, port=port))


@peer.command("list")
def peer_list(data: options.ExistingData, as_json: options.AsJson = False) -> None:
    """List the peers, one a line."""
    from scandock.services.peers import list_peers
    from scandock.services.receiver_records import Peer as Record

    with _open(data, must_exist=True) as context, context.catalog.read() as connection:
        peers = list_peers(connection, context.principal)
    lines = {one.uuid: _describe_peer(one) for one in peers}
    print_list([Record.of(one).to_json() for one in peers], as_json, lambda row: lines[str(row["id"])])


@peer.command("set")
@options.with_options(PeerOptions)
def peer_set(
    name: PeerName,
    *,
    data: options.ExistingData,
    asked: PeerOptions,
    new_title: NewTitle = None,
    new_host: Annotated[str | None, typer.Option("--host", metavar="HOST", help="Another host.")] = None,
    new_port: NewPort = None,
) -> None:
    """Change a peer."""
    from scandock.services.peers import set_peer

    changes = asked.changes() | _named(ae_title=new_title, host=new_host, port=new_port)
    _set(_PEER, data, name, set_peer, changes)


@peer.command("remove")
def peer_remove(name: PeerName, *, data: options.ExistingData) -> None:
    """Remove a peer."""
    from scandock.services.peers import remove_peer

    _remove(_PEER, data, name, remove_peer)


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
    from scandock.cli.settings_loading import load_settings
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


def _describe_state(one: Receiver, state: ReceiverState) -> str:
    """A receiver, and whether it listens."""
    words = _describe(one)
    if one.enabled:
        words += f", {state.state}"
    return f"{words}: {state.message}" if state.message else words


def _describe_peer(one: DicomPeer) -> str:
    return f"{one.title}, {one.host}:{one.port}{', TLS' if one.tls else ''}"


Item = TypeVar("Item", "Receiver", "DicomPeer")


class _Kind(NamedTuple, Generic[Item]):
    """What the commands of receivers and those of peers are told apart by."""

    word: str
    find: Callable[[ServiceContext, str], Item]
    describe: Callable[[Item], str]
    warnings: Callable[[Item, ServiceContext], list[str]]


def _receiver_warnings(one: Receiver, context: ServiceContext) -> list[str]:
    """By the settings that this command has: those of a server that runs should be the same."""
    from scandock.services.receiver_records import NO_CERTIFICATE, find_warnings

    settings = {NO_CERTIFICATE: "SCANDOCK_DICOM_TLS_CERTIFICATE"}
    return [
        f"{words} ({settings[words]})" if words in settings else words
        for words in find_warnings(one, context.settings.reception)
    ]


_RECEIVER: Final = _Kind("Receiver", _find, _describe, _receiver_warnings)
_PEER: Final = _Kind("Peer", _find_peer, _describe_peer, lambda _peer, _context: [])


def _add(
    kind: _Kind[Item], data: str, add: Callable[[ServiceContext, Any], Item], changes: Mapping[str, object]
) -> None:
    with _open(data) as context:
        added = add(context, changes)
        print_line(f"{kind.word} {kind.describe(added)} is made.", sys.stdout)
        _warn(kind.warnings(added, context))


def _set(
    kind: _Kind[Item], data: str, name: str, change: Callable[[ServiceContext, str, Any], Item],
    changes: Mapping[str, object],
) -> None:  # fmt: skip
    with _open(data, must_exist=True) as context:
        changed = change(context, kind.find(context, name).uuid, changes)
        print_line(f"{kind.word} {kind.describe(changed)} is set.", sys.stdout)
        _warn(kind.warnings(changed, context))


def _warn(warnings: list[str]) -> None:
    for words in warnings:
        print_line(f"Warning: {words}")


def _remove(kind: _Kind[Item], data: str, name: str, remove: Callable[[ServiceContext, str], None]) -> None:
    with _open(data, must_exist=True) as context:
        found = kind.find(context, name)
        remove(context, found.uuid)
        print_line(f"{kind.word} {kind.describe(found).partition(',')[0]} is removed.", sys.stdout)


def _named(**values: object) -> dict[str, object]:
    """Those of values that were given."""
    return {name: value for name, value in values.items() if value is not None}


def _parse_size(text: str) -> int:
    """Usage `size_unreadable`."""
    from scandock.services.byte_sizes import parse_bytes

    try:
        return parse_bytes(text)
    except ValueError:
        raise SizeUnreadable(text) from None
