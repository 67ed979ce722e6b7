"""`scandock settings`: every setting with its value and where that comes from."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scandock.cli import options
from scandock.cli.consoles import console, is_terminal, line, reader_may_leave

if TYPE_CHECKING:
    from scandock.services.settings import SettingRow


def settings(as_json: options.AsJson = False) -> None:
    """Print the settings, with values and sources.

    A setting is an environment variable, SCANDOCK_*. Passwords are masked.
    """
    from scandock.services.settings import describe, load_settings, unknown_variables

    rows = describe(load_settings())
    with reader_may_leave(sys.stdout):
        if as_json:
            parts = [{"name": r.name, "value": r.value, "source": r.source, "meaning": r.meaning} for r in rows]
            sys.stdout.write(json.dumps(parts, indent=2) + "\n")
        elif is_terminal(sys.stdout):
            _print_table(rows)
        else:
            for row in rows:
                line(f"{row.name}={row.shown} ({row.source})", sys.stdout)
    for name, near in unknown_variables().items():
        line(f"Warning: {name} is set, but no setting has that name" + (f"; {near} has." if near else "."))


def _print_table(rows: Sequence[SettingRow]) -> None:
    from rich.table import Table
    from rich.text import Text

    from scandock.cli.plain import plain

    terminal = console(sys.stdout)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Setting", no_wrap=True)
    table.add_column("Value", overflow="fold")
    wide = terminal.width >= 100
    if wide:
        table.add_column("From", no_wrap=True)
    table.add_column("Meaning", overflow="fold", ratio=1)
    for row in rows:
        named = row.source == "environment"
        cells = [Text(row.name), Text(plain(row.shown), style="bold" if named else "")]
        if wide:
            cells.append(Text(row.source, style="green" if named else "dim"))
        elif named:
            cells[1].append("\n(environment)", style="green")
        table.add_row(*cells, Text(row.meaning, style="dim"))
    terminal.print(table)
