"""`scandock settings`: every setting with its value and where that comes from."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from scandock.cli import options
from scandock.cli.consoles import is_terminal, make_console, print_line, tolerate_closed_pipe

if TYPE_CHECKING:
    from scandock.services.setting_rows import LimitRow, SettingRow

_TABLE: Final = 120
_FIXED: Final = "fixed"
"""Where the value of a limit that is no setting comes from."""


def settings(as_json: options.AsJson = False) -> None:
    """Print every setting, its value and where that comes from; below them the limits that are no settings.

    A setting is an environment variable, SCANDOCK_*. Passwords are masked.
    """
    from scandock.services.setting_rows import describe_limits, describe_settings, describe_unknown_variables
    from scandock.services.settings import load_settings

    rows, limits = describe_settings(load_settings()), describe_limits()
    with tolerate_closed_pipe(sys.stdout):
        if as_json:
            parts = [{"name": r.name, "value": r.value, "source": r.source, "meaning": r.meaning} for r in rows]
            parts += [{"name": r.name, "value": r.value, "source": _FIXED, "meaning": r.meaning} for r in limits]
            sys.stdout.write(json.dumps(parts, indent=2) + "\n")
        elif is_terminal(sys.stdout):
            _print_table(rows)
            _print_limits(limits)
        else:
            for row in rows:
                print_line(f"{row.name}={row.shown} ({row.source})", sys.stdout)
            for limit in limits:
                print_line(f"{limit.name}={limit.shown} ({_FIXED})", sys.stdout)
    for sentence in describe_unknown_variables():
        print_line(f"Warning: {sentence}")


def _print_table(rows: Sequence[SettingRow]) -> None:
    """A table where it is wide enough, else each meaning below its setting."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from scandock.cli.text_format import printable

    terminal = make_console(sys.stdout)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("Setting", "Value", "From", "Meaning"):
        table.add_column(
            name, overflow="fold", no_wrap=name in {"Setting", "From"}, ratio=1 if name == "Meaning" else None
        )
    for row in rows:
        style = "green" if row.source == "environment" else "dim"
        setting, value = Text(row.name), Text(printable(row.shown), style="bold")
        source, meaning = Text(row.source, style=style), Text(row.meaning, style="dim")
        if terminal.width >= _TABLE:
            table.add_row(setting, value, source, meaning)
        else:
            terminal.print(Text.assemble(setting, " = ", value, " (", source, ")"))
            terminal.print(Padding(meaning, (0, 0, 0, 4)))
    if table.row_count:
        terminal.print(table)


def _print_limits(rows: Sequence[LimitRow]) -> None:
    """As the settings, below them: nobody looks for what can't be set before what can."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    terminal = make_console(sys.stdout)
    terminal.print(Text("\nLimits that are no settings", style="bold"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for row in rows:
        name, value, meaning = Text(row.name), Text(row.shown, style="bold"), Text(row.meaning, style="dim")
        if terminal.width >= _TABLE:
            table.add_row(name, value, meaning)
        else:
            terminal.print(Text.assemble(name, " = ", value))
            terminal.print(Padding(meaning, (0, 0, 0, 4)))
    if table.row_count:
        terminal.print(table)
