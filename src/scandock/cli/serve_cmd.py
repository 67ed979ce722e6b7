"""`scandock serve`: the server in the foreground."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Literal

import typer

from scandock.cli import checks, options
from scandock.cli.command_errors import DicomPortInvalid
from scandock.cli.consoles import print_line


def serve(
    *,
    data: options.Data,
    host: Annotated[str, typer.Option("--host", metavar="HOST", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 8080,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="N", min=1, max=64, help="Imports at once.", show_default="one a core, 2 to 4"
        ),
    ] = None,
    dicom_port: Annotated[
        str,
        typer.Option("--dicom-port", metavar="N|off", help="Port of the DICOM receiver SCANDOCK; off: it is none."),
    ] = "off",
    role: Annotated[
        Literal["web", "worker", "all"],
        typer.Option("--role", help="What this host does, where several have one catalog in PostgreSQL."),
    ] = "all",
) -> None:
    """Serve a data folder: uploads and the API, until SIGTERM or Ctrl-C.

    The first start makes the account `admin`, with the password in SCANDOCK_ADMIN_PASSWORD, else with one that is
    printed once.
    """
    checks.check_data(data)
    receiver_port = None if dicom_port == "off" else _parse_port(dicom_port)
    from scandock.services.logs import configure_logging
    from scandock.services.server_checks import check_server
    from scandock.services.setting_rows import describe_unknown_variables
    from scandock.services.settings import load_settings
    from scandock.workers.supervisor import ServeOptions
    from scandock.workers.supervisor import serve as run

    settings = load_settings()
    check_server(settings)
    for sentence in describe_unknown_variables():
        configure_logging("supervisor", settings.log_level).warning("setting_unknown", message=sentence)
    serve_options = ServeOptions(
        data=os.path.abspath(data), host=host, port=port, slots=workers, dicom_port=receiver_port, role=role
    )
    raise typer.Exit(run(serve_options, settings, lambda text: print_line(text, sys.stdout)))


def _parse_port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= port <= 65_535:
        raise DicomPortInvalid(text)
    return port
