"""`scandock upload`: archives go to a server, and what became of them is told as `scandock import` tells it."""

from __future__ import annotations

import sys
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from scandock.cli import checks, options
from scandock.cli.archive_commands import check_options
from scandock.cli.consoles import print_line
from scandock.cli.import_options import ImportOptions

Url = Annotated[
    str,
    typer.Option("--url", metavar="URL", envvar="SCANDOCK_URL", help="Address of the server, as https://host/folder."),
]
User = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="NAME",
        envvar="SCANDOCK_USER",
        help="Account; its password is asked for, or stands in SCANDOCK_PASSWORD. Without it SCANDOCK_TOKEN is used.",
    ),
]
_WORDS: Final = (
    "Cancelling ...",
    "Still waiting for the server; Ctrl-C once more leaves at once.",
)


@options.with_options(ImportOptions)
def upload(
    archives: options.Archives,
    *,
    url: Url,
    asked: ImportOptions,
    user: User = None,
    as_json: options.AsJson = False,
    receipt: options.Receipt = None,
    receipt_format: options.ReceiptFormat = "jsonl",
) -> None:
    """Upload session archives to a server, and wait for what becomes of them.

    Where the server or this command is ended in between, the same command goes on with what the server has already.

    Exit codes: those of import.
    """
    from scandock.cli.upload_client.login import check_url, find_login

    url = check_url(url)
    checks.check_archives(archives)
    check_options(asked)
    if receipt is not None:
        checks.check_receipt(receipt, archives)
    login = find_login(user, urlsplit(url).netloc)
    fields = {name: _as_field(value) for name, value in asked.request_fields().items()}
    if asked.mapping is not None:
        fields["mapping"] = _read_mapping(asked.mapping)

    # httpx loads a command line of its own where it can, with rich and pygments: that is two fifths of its time
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    from scandock.cli.upload_client.server import UploadServer

    if not _is_safe(url):
        print_line(f"Warning: {url} is not encrypted: password and images can be read on the way.")
    server = UploadServer(url, login)
    try:
        raise typer.Exit(_run(server, archives, fields, as_json=as_json, receipt=receipt, fmt=receipt_format))
    finally:
        server.close()


def _run(
    server: object,
    archives: list[str],
    fields: dict[str, str],
    *,
    as_json: bool,
    receipt: str | None,
    fmt: options.Format,
) -> int:
    from scandock.cli.command_run import CommandRun
    from scandock.cli.receipt_file import ReceiptFile
    from scandock.cli.summary import SummaryContext
    from scandock.cli.upload_client.server import UploadServer
    from scandock.cli.upload_client.transfer_display import TransferDisplay
    from scandock.cli.upload_client.upload_engine import Uploads

    assert isinstance(server, UploadServer)
    server.check()
    board = TransferDisplay(archives)
    file = ReceiptFile(receipt, fmt) if receipt is not None else None
    try:
        run = CommandRun(
            Uploads(server, archives, fields, board),
            SummaryContext(data=None, receipt=receipt, server=server.url),
            as_json=as_json,
            receipt=file,
            display=board.display,
            words=_WORDS,
            ahead=True,
        )
        return run.run(archives)
    finally:
        if file is not None:
            file.close()


def _as_field(value: str | bool) -> str:
    """As a form of the page sends it."""
    return str(value).lower() if isinstance(value, bool) else value


def _read_mapping(name: str) -> str:
    """A mapping as text; its rows are for the server to judge."""
    from scandock.rules.errors import MappingUnreadable

    try:
        with open(name, encoding="utf-8-sig") as file:
            return file.read()
    except UnicodeDecodeError:
        raise MappingUnreadable(f"--mapping {name!r} is no text in UTF-8.", "Save it as UTF-8.") from None


def _is_safe(url: str) -> bool:
    """Whether nobody on the way can read along: encrypted, or never on a wire."""
    host = urlsplit(url).hostname or ""
    return url.startswith("https:") or host in {"localhost", "::1"} or host.startswith("127.")
