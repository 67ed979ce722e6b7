"""`scandock check`: catalog and store agree, and the checksums hold."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from scandock.cli import checks, errors, options
from scandock.cli.consoles import is_terminal, make_console, print_line, tolerate_closed_pipe
from scandock.cli.text_format import format_count, printable

if TYPE_CHECKING:
    from scandock.services.consistency_check import Finding


def check(data: options.ExistingData, as_json: options.AsJson = False) -> None:
    """Check that the catalog and the stored files agree.

    Everything that is stored is read again, and its checksums are compared.
    DATA may be a read-only mount, as of a snapshot, where its catalog is in it.

    Exit codes: 0 clean, 3 findings, 1 a fault of the machine, 2 wrong usage.
    """
    from scandock.cli.interrupt import Interrupt
    from scandock.cli.progress import display
    from scandock.cli.settings_loading import load_settings
    from scandock.services.consistency_check import check_data as run
    from scandock.services.read_only_data import can_only_be_read

    settings = load_settings()
    checks.check_data(data, must_exist=True, is_read=can_only_be_read(data, settings))
    # nothing is written, so Ctrl-C may stop this at once: no handler is installed
    with display(data, Interrupt()) as on_progress:
        findings = list(run(data, settings, on_progress))
    with tolerate_closed_pipe(sys.stdout):
        print_findings(data, findings, settings.store, as_json=as_json)
    raise typer.Exit(errors.FINDINGS if findings else 0)


def print_findings(data: str, findings: Sequence[Finding], store: str | None, *, as_json: bool) -> None:
    """Print what a check of DATA found; `store`: the bucket where its files are, if they are in one."""
    if as_json:
        parts = [{"kind": finding.kind, "name": finding.name, "message": finding.message} for finding in findings]
        sys.stdout.write(json.dumps({"data": os.path.abspath(data), "findings": parts}) + "\n")
        return
    if not is_terminal(sys.stdout):
        for finding in findings:
            print_line(f"{finding.kind}: {finding.name}: {finding.message}", sys.stdout)
        if hint := _list_damage_hint(data, findings):
            print_line(hint, sys.stdout)
        print_line(f"{format_count(len(findings), 'finding')} in {store or os.path.abspath(data)}", sys.stdout)
        return
    from rich.text import Text

    terminal = make_console(sys.stdout)
    for finding in findings:
        terminal.print(
            Text.assemble(
                (printable(finding.kind), "yellow"), f" {printable(finding.name)}: {printable(finding.message)}"
            )
        )
    if hint := _list_damage_hint(data, findings):
        terminal.print(Text(printable(hint)))
    verdict = format_count(len(findings), "finding") if findings else "Clean: catalog and store agree"
    style = "bold yellow" if findings else "bold green"
    terminal.print(Text.assemble((verdict, style), f" in {printable(store or os.path.abspath(data))}"))


def _list_damage_hint(data: str, findings: Sequence[Finding]) -> str:
    """How the list of damage comes to have what was found: until it does, downloads give it as if it were whole."""
    sessions = dict.fromkeys(finding.session for finding in findings if finding.session)
    if not sessions:
        return ""
    command = shlex.join(["scandock", "admin", "verify", *sessions, "--data", os.path.abspath(data)])
    return f"To update the list of damage, which downloads go by: {command}"
