"""`scandock admin filter`: which series imports leave out, for the site and for projects."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scandock.cli import checks, options
from scandock.cli.accounts_cmd import local_request_info
from scandock.cli.consoles import print_line, tolerate_closed_pipe
from scandock.cli.rules_cmd import read_rules_file

if TYPE_CHECKING:
    from scandock.services.import_filters import ImportFilter

filters = typer.Typer(
    help="Filters that leave series out of imports.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Owner = Annotated[str, typer.Argument(metavar="site|PROJECT", help="Whose filter: the site's, or a project's.")]


@filters.command("set")
def filter_set(
    owner: Owner,
    file: Annotated[str, typer.Argument(metavar="FILE", help="One pattern a line, or the JSON that XNAT has.")],
    *,
    data: options.Data,
    mode: Annotated[
        Literal["blacklist", "whitelist"],
        typer.Option("--mode", help="Whether the lines name what is left out, or what alone is taken."),
    ] = "blacklist",
) -> None:
    """Set the filter of the site or of a project.

    It replaces the one that was, for imports that begin from now on, and is switched on.
    A line is a pattern that is searched for in the series description; [Keyword] names another element for the lines
    below it. JSON says its mode itself.
    """
    checks.check_data(data)
    text = read_rules_file(file)
    from scandock.cli.settings_loading import load_settings
    from scandock.rules.series_filters import read_document, read_lines
    from scandock.services.import_filters import set_local_filter

    filter_text = read_document(text) if text.lstrip().startswith("{") else read_lines(text, mode)
    import_filter = set_local_filter(data, load_settings(), _project(owner), filter_text, local_request_info())
    print_line(f"{_whose(import_filter)} is set, and {_state(import_filter)}.", sys.stdout)


@filters.command("show")
def filter_show(owner: Owner, *, data: options.ExistingData) -> None:
    """Show a filter as it was set."""
    checks.check_data(data, must_exist=True)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.import_filters import show_local_filter

    import_filter = show_local_filter(data, load_settings(), _project(owner))
    with tolerate_closed_pipe(sys.stdout):
        if not import_filter.version:
            print_line(f"# {_whose(import_filter)}: none is set", sys.stdout)
            return
        print_line(f"# {_whose(import_filter)}: {import_filter.mode}, {_state(import_filter)}", sys.stdout)
        text = import_filter.text
        for line in text.lines.split("\n") if not text.conditions else [text.to_document()]:
            print_line(line, sys.stdout)


@filters.command("on")
def filter_on(owner: Owner, *, data: options.ExistingData) -> None:
    """Switch a filter on."""
    _switch(owner, data, enabled=True)


@filters.command("off")
def filter_off(owner: Owner, *, data: options.ExistingData) -> None:
    """Switch a filter off; its text stays."""
    _switch(owner, data, enabled=False)


def _switch(owner: str, data: str, *, enabled: bool) -> None:
    checks.check_data(data, must_exist=True)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.import_filters import enable_local_filter

    import_filter = enable_local_filter(
        data, load_settings(), _project(owner), enabled=enabled, request=local_request_info()
    )
    print_line(f"{_whose(import_filter)} is {_state(import_filter)}.", sys.stdout)


def _project(owner: str) -> str | None:
    return None if owner == "site" else owner


def _whose(import_filter: ImportFilter) -> str:
    return "The site's filter" if import_filter.project is None else f"The filter of {import_filter.project}"


def _state(import_filter: ImportFilter) -> str:
    return "switched on" if import_filter.enabled else "switched off"
