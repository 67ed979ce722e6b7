"""The commands and what holds for all of them: help, version, errors in a sentence, exit codes.

A command's module is imported once that command is asked for, and whatever is costly to import within it:
`scandock --help` has 0.2 s.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from scandock import __version__
from scandock.cli import errors

if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter

COMMANDS: Final = {
    "import": "Import archives of imaging sessions into a data folder.",
    "inspect": "Tell what import would make of archives, and store nothing.",
    "upload": "Upload session archives to a server, and wait for what becomes of them.",
    "deidentify": "Write de-identified copies of DICOM and ECAT files to a folder.",
    "export": "Write an archived session, or all of a project, to a folder: plain files, as the archive has them.",
    "check": "Check that the catalog and the stored files agree.",
    "backup": "Back up a data folder with its catalog, also while it is served.",
    "restore": "Restore a backup into a new data folder, and check it.",
    "serve": "Serve a data folder: uploads and the API, until SIGTERM or Ctrl-C.",
    "settings": "Print every setting, its value and where that comes from; below them the limits that are no settings.",
    "admin": "Projects, accounts, imports, and the rules that name sessions.",
}
"""What each does, as its own help begins."""


def _load(name: str) -> Callable[..., Any] | typer.Typer:
    """A command's function, or its commands."""
    match name:
        case "import":
            from scandock.cli.import_cmd import import_ as command
        case "inspect":
            from scandock.cli.inspect_cmd import inspect as command
        case "upload":
            from scandock.cli.upload_cmd import upload as command
        case "deidentify":
            from scandock.cli.deidentify_cmd import deidentify as command
        case "export":
            from scandock.cli.export_cmd import export as command
        case "check":
            from scandock.cli.check_cmd import check as command
        case "backup":
            from scandock.cli.backup_cmd import backup as command
        case "restore":
            from scandock.cli.backup_cmd import restore as command
        case "serve":
            from scandock.cli.serve_cmd import serve as command
        case "settings":
            from scandock.cli.settings_cmd import settings as command
        case _:
            from scandock.cli.admin_cmd import admin as command
    return command


class _Commands(TyperGroup):
    """All commands, each made of its function once it is asked for: to make them all takes longer than most."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401  as typer makes a group
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name, help=sentence) for name, sentence in COMMANDS.items()}
        self._made: set[str] = set()

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        if cmd_name in COMMANDS and cmd_name not in self._made:
            self.commands[cmd_name] = _make_command(cmd_name)
            self._made.add(cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        TyperGroup(commands=dict(self.commands)).format_commands(ctx, formatter)  # which makes none


def _make_command(name: str) -> Command:
    command = _build_command(name)
    if not gc.isenabled():  # `scandock.cli.main` let nothing be looked for as garbage up to here
        gc.freeze()
        gc.enable()
    return command


def _build_command(name: str) -> Command:
    loaded = _load(name)
    if isinstance(loaded, typer.Typer):
        command = typer.main.get_command(loaded)
        command.name = name
        return command
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name)(loaded)
    return typer.main.get_command(alone)


# rich_markup_mode None: help by typer alone takes 0.07 s, in rich's boxes twice that
app = typer.Typer(
    name="scandock",
    cls=_Commands,
    help="Compressed imaging sessions (DICOM, ECAT) in, archived sessions out.",
    no_args_is_help=True,
    epilog="Begin with: scandock inspect exam.zip, then: scandock import exam.zip --data data",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"scandock {__version__}")
        raise typer.Exit


@app.callback()
def _root_options(
    version: Annotated[
        bool | None,
        typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True),
    ] = None,
) -> None:
    """Compressed imaging sessions (DICOM, ECAT) in, archived sessions out."""


def main() -> int:
    """Run the command of sys.argv and return its exit code; errors end as one sentence on stderr."""
    return errors.run_to_exit_code(lambda: app(prog_name="scandock"))
