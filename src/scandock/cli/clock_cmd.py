"""`scandock admin clock`: whether the clock is trusted with what is deleted for its age."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from scandock.cli import options
from scandock.cli.accounts_cmd import local_request_info, open_data_catalog
from scandock.cli.consoles import print_line


def clock(
    *,
    data: options.ExistingData,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Say that the clock is right though it has jumped: deletions go on.")
    ] = False,
) -> None:
    """Show whether deletions for age wait because the clock has jumped."""
    with open_data_catalog(data, must_exist=True) as catalog:
        from scandock.access.principal import SYSTEM
        from scandock.services import clock_check

        if confirm:
            clock_check.confirm_clock_state(catalog, SYSTEM, local_request_info())
        status = clock_check.read_clock_state(catalog)
    print_line(status.why or "The clock is trusted: what is too old is deleted.", sys.stdout)
    if status.confirmable:
        print_line("If the clock is right: scandock admin clock --confirm", sys.stdout)
