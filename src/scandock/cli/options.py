"""Options that several commands share, with their help."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

# typer reads these at run time; Literal gives the choices
Archives = Annotated[
    list[str], typer.Argument(metavar="ARCHIVE", help="Archive, folder or single object; several go in one by one.")
]
Data = Annotated[
    str,
    typer.Option(
        "--data", metavar="DIR", envvar="SCANDOCK_DATA", help="Folder of catalog and store; made where missing."
    ),
]
ExistingData = Annotated[
    str, typer.Option("--data", metavar="DIR", envvar="SCANDOCK_DATA", help="Folder of catalog and store.")
]
KnownData = Annotated[
    str | None,
    typer.Option(
        "--data", metavar="DIR", envvar="SCANDOCK_DATA", help="Data folder whose projects and rules count; not changed."
    ),
]
CreateProject = Annotated[bool, typer.Option("--create-project", help="Make the project where it is missing.")]
Project = Annotated[str | None, typer.Option("--project", metavar="P", help="Project that the sessions go to.")]
Subject = Annotated[str | None, typer.Option("--subject", metavar="S", help="Label of the subject.")]
Session = Annotated[str | None, typer.Option("--session", metavar="L", help="Label of the session.")]
Mapping = Annotated[
    str | None,
    typer.Option(
        "--mapping",
        metavar="FILE",
        help="CSV or JSON: study_uid | patient_id | folder, project, subject, session; the first row that fits wins.",
    ),
]
Destination = Annotated[
    Literal["prearchive", "archive"] | None,
    typer.Option("--destination", help="Where sessions go.", show_default="the project's policy"),
]
Overwrite = Annotated[
    Literal["none", "append", "delete"] | None,
    typer.Option(
        "--overwrite",
        help="A session that is archived already: none holds the new one, append adds what is new,"
        " delete replaces objects that came again.",
        show_default="append",
    ),
]
IgnoreUnparsable = Annotated[
    bool,
    typer.Option(
        "--ignore-unparsable/--no-ignore-unparsable",
        help="Leave out files that should be images and can't be read, or refuse the archive for them.",
    ),
]
Resources = Annotated[
    Literal["keep", "ignore"], typer.Option("--resources", help="Files beside the images: keep or leave out.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", min=1, max=64, help="Reader processes.", show_default="one a core, at most 4"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
Format = Literal["jsonl", "csv"]
Receipt = Annotated[
    str | None,
    typer.Option("--receipt", metavar="FILE", help="Write what became of every file, one line each, to FILE."),
]
ReceiptFormat = Annotated[Format, typer.Option("--receipt-format", help="JSON lines or CSV.")]
