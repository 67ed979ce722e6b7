"""`scandock admin import`: imports of all accounts, and those that can't be finished."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from scandock.cli import checks, options
from scandock.cli.accounts_cmd import local_request_info
from scandock.cli.consoles import print_line, tolerate_closed_pipe

imports = typer.Typer(
    help="List imports, and release those that can't be finished.", no_args_is_help=True, rich_markup_mode=None
)


@imports.command("list")
def import_list(
    *,
    data: options.ExistingData,
    stuck: Annotated[
        bool, typer.Option("--stuck", help="Only those that are decided and can't be finished, with the reason.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """List imports, the newest first."""
    checks.check_data(data, must_exist=True)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.data_catalog import open_data
    from scandock.services.stuck_imports import list_imports

    with open_data(data, load_settings()) as (catalog, store):
        rows = list_imports(catalog, store, stuck=stuck)
    with tolerate_closed_pipe(sys.stdout):
        if as_json:
            parts = [{"id": values.pop("uuid"), **values} for values in map(asdict, rows)]
            sys.stdout.write(json.dumps(parts, indent=2) + "\n")
            return
        for row in rows:
            created = datetime.fromtimestamp(row.created / 1000, UTC).strftime("%Y-%m-%d %H:%M")
            reason = f", {row.code}: {row.message}" if row.code else ""
            print_line(f"{row.uuid}: {row.archive}, {created} UTC, {row.state}{reason}", sys.stdout)


@imports.command("release")
def import_release(
    uuid: Annotated[str, typer.Argument(metavar="ID", help="Id of the import.")], *, data: options.ExistingData
) -> None:
    """End an import that can't be finished.

    What it has not placed is given up: sessions stay as they were, and the bytes that there are go to the trash folder.
    """
    checks.check_data(data, must_exist=True)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.data_catalog import open_data
    from scandock.services.stuck_imports import release_import

    with open_data(data, load_settings()) as (catalog, store):
        reason = release_import(catalog, store, uuid, local_request_info())
    print_line(f"Import {uuid} has ended. {reason}", sys.stdout)
