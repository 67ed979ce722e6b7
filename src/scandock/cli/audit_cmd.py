"""`scandock admin audit`: the trail of who did what, filtered, as lines that other tools read."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from scandock.cli import options
from scandock.cli.accounts_cmd import local_request_info, open_data_catalog
from scandock.cli.command_errors import TimeUnreadable
from scandock.cli.consoles import tolerate_closed_pipe


def audit(
    *,
    data: options.ExistingData,
    form: Annotated[Literal["jsonl", "csv"], typer.Option("--format", help="JSON lines or CSV.")] = "jsonl",
    project: Annotated[str | None, typer.Option("--project", metavar="P", help="Of this project alone.")] = None,
    account: Annotated[str | None, typer.Option("--account", metavar="NAME", help="By this account alone.")] = None,
    action: Annotated[str | None, typer.Option("--action", metavar="ACTION", help="Of this kind alone.")] = None,
    target: Annotated[str | None, typer.Option("--target", metavar="ID", help="On this thing alone.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="From this time on: 2026-11-24, 2026-11-24T08:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before this time.")] = None,
) -> None:
    """Print the trail of who did what, the newest first."""
    after, before = _parse_time("--since", since), _parse_time("--until", until)
    with open_data_catalog(data, must_exist=True) as catalog:
        from scandock.access.principal import SYSTEM
        from scandock.services.audit import AuditFilter
        from scandock.services.audit_export import begin_export

        filters = AuditFilter(
            project=project, earlier=True, actor=account, action=action, target=target, since=after, until=before
        )  # fmt: skip
        pieces = begin_export(catalog, SYSTEM, filters, form, local_request_info())
        with tolerate_closed_pipe(sys.stdout):
            for piece in pieces:
                sys.stdout.write(piece)


def _parse_time(option: str, text: str | None) -> int | None:
    """Unix milliseconds of a date or a time; without a zone it is UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TimeUnreadable(option, text) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
