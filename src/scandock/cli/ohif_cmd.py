"""`scandock admin ohif`: the OHIF viewer as an add-on of a data folder."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from scandock.cli import checks, options
from scandock.cli.consoles import print_line

if TYPE_CHECKING:
    from scandock.services.ohif import OhifManifest

ohif = typer.Typer(
    help="The OHIF viewer as an add-on: install, show, remove.", no_args_is_help=True, rich_markup_mode=None
)


@ohif.command("install")
def install(
    file: Annotated[
        str, typer.Argument(metavar="FILE.tgz", help="npm package of @ohif/app 3.12 or 3.13, as npm pack gives it.")
    ],
    *,
    data: options.ExistingData,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete",
            help="Also what is for segmentation by models (ONNX runtime) and for microscopy: 30 MB more.",
        ),
    ] = False,
) -> None:
    """Install the viewer, in place of the one that is there; a running server serves it at once."""
    from scandock.services.ohif import install_ohif
    from scandock.services.settings import load_settings

    checks.check_data(data, must_exist=True)
    _print(install_ohif(data, file, load_settings().limits, complete=complete), "Installed")


@ohif.command("show")
def show(*, data: options.ExistingData) -> None:
    """Show which viewer is installed."""
    from scandock.services.ohif import OhifLookup

    checks.check_data(data, must_exist=True)
    installed = OhifLookup(data).find()
    if installed is None:
        print_line("The OHIF viewer is not installed.", sys.stdout)
    else:
        _print(installed.manifest, "Installed")


@ohif.command("remove")
def remove(*, data: options.ExistingData) -> None:
    """Remove the viewer."""
    from scandock.services.ohif import remove_ohif

    checks.check_data(data, must_exist=True)
    print_line("Removed." if remove_ohif(data) else "The OHIF viewer is not installed.", sys.stdout)


def _print(manifest: OhifManifest, word: str) -> None:
    from scandock.services.byte_sizes import format_bytes

    parts = "all of it" if manifest.complete else "without ONNX runtime and microscopy"
    print_line(f"{word}: OHIF {manifest.version}, {parts}", sys.stdout)
    print_line(f"Files: {manifest.files}, {format_bytes(manifest.bytes)}", sys.stdout)
    print_line(f"SHA-256 of the package: {manifest.sha256}", sys.stdout)
    print_line(f"Integrity as npm writes it: {manifest.integrity}", sys.stdout)
