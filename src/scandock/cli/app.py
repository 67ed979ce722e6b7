"""The commands and what holds for all of them: help, version, errors in a sentence, exit codes.

Whatever is costly to import is imported inside a command: `scandock --help` has 0.2 s.
"""

from __future__ import annotations

import errno
import sys
from typing import Annotated

import typer

from scandock import __version__
from scandock.cli import errors
from scandock.cli.admin_cmd import admin
from scandock.cli.backup_cmd import backup, restore
from scandock.cli.check_cmd import check
from scandock.cli.consoles import output_fault
from scandock.cli.deidentify_cmd import deidentify
from scandock.cli.export_cmd import export
from scandock.cli.import_cmd import import_
from scandock.cli.inspect_cmd import inspect
from scandock.cli.serve_cmd import serve
from scandock.cli.settings_cmd import settings
from scandock.cli.upload_cmd import upload
from scandock.model.errors import ScandockError

# rich_markup_mode None: help by typer alone takes 0.07 s, in rich's boxes twice that
app = typer.Typer(
    name="scandock",
    help="Compressed imaging sessions (DICOM, ECAT) in, archived sessions out.",
    no_args_is_help=True,
    epilog="Begin with: scandock inspect exam.zip, then: scandock import exam.zip --data data",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("import")(import_)
app.command("inspect")(inspect)
app.command("upload")(upload)
app.command("deidentify")(deidentify)
app.command("export")(export)
app.command("check")(check)
app.command("backup")(backup)
app.command("restore")(restore)
app.command("serve")(serve)
app.command("settings")(settings)
app.add_typer(admin, name="admin")


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
    try:
        app(prog_name="scandock")
    except SystemExit as exit_error:
        return exit_error.code if isinstance(exit_error.code, int) else int(exit_error.code is not None)
    except ScandockError as error:
        return errors.print_error(error)
    except KeyboardInterrupt:
        return errors.INTERRUPTED
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            return errors.print_unexpected(error)
        return errors.print_error(output_fault(error))  # typer's own printing, of --help
    except Exception as error:  # noqa: BLE001 -- the last fence: a person gets a sentence, whatever it was
        return errors.print_unexpected(error)
    finally:
        for stream in (sys.stdout, sys.stderr):
            errors.flush_stream(stream)
    return 0
