"""Options that several commands share, with their help."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, Final, Literal, get_type_hints

import typer

# typer reads these at run time; Literal gives the choices
Archives = Annotated[
    list[str],
    typer.Argument(
        metavar="ARCHIVE",
        help="A zip, a tar (also .gz, .bz2, .xz, .zst), a bundle of these, a folder, or one DICOM or ECAT file."
        " Several are taken one after the other.",
    ),
]
Data = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="DIR",
        envvar="SCANDOCK_DATA",
        help="Data folder, with the sessions and their catalog; made where missing.",
    ),
]
ExistingData = Annotated[
    str,
    typer.Option(
        "--data", metavar="DIR", envvar="SCANDOCK_DATA", help="Data folder, with the sessions and their catalog."
    ),
]
KnownData = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DIR",
        envvar="SCANDOCK_DATA",
        help="Data folder whose projects and rules hold; it is not changed.",
    ),
]
CreateProject = Annotated[bool, typer.Option("--create-project", help="Make project P where there is none.")]
Project = Annotated[
    str | None,
    typer.Option(
        "--project",
        metavar="P",
        help="Project that the sessions go to.",
        show_default="what site rules or headers name, else Unassigned",
    ),
]
Subject = Annotated[
    str | None,
    typer.Option(
        "--subject",
        metavar="S",
        help="Label of the subject.",
        show_default="by site rules or comments, else PatientName",
    ),
]
Session = Annotated[
    str | None,
    typer.Option(
        "--session",
        metavar="L",
        help="Label of the session.",
        show_default="by site rules, comments or folder, else PatientID",
    ),
]
Mapping = Annotated[
    str | None,
    typer.Option(
        "--mapping",
        metavar="FILE",
        help="CSV or JSON table that says where each study goes: study_uid, patient_id or folder choose it;"
        " project, subject and session are its place. The first row that fits wins.",
    ),
]
Destination = Annotated[
    Literal["prearchive", "archive"] | None,
    typer.Option(
        "--destination",
        help="Archive the sessions, or let them wait in the prearchive for a person.",
        show_default="the project's policy; of a new project: archive",
    ),
]
Overwrite = Annotated[
    Literal["none", "append", "delete"] | None,
    typer.Option(
        "--overwrite",
        help="What a session that is archived already gets: append adds what is new; delete also replaces objects that"
        " came again; none changes nothing, and what came waits in the prearchive.",
        show_default="append; delete in projects of prearchive-code 5",
    ),
]
IgnoreUnparsable = Annotated[
    bool,
    typer.Option(
        "--ignore-unparsable/--no-ignore-unparsable",
        help="Leave out files that should be images and can't be read, or refuse the whole archive for them.",
    ),
]
Resources = Annotated[
    Literal["keep", "ignore"],
    typer.Option("--resources", help="Files that are no images (logs, .bval, PDF): keep, or leave out."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        max=64,
        help="Processes that read the archive.",
        show_default="one a core, at most 4",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for programs, and nothing else there.")]
Format = Literal["jsonl", "csv"]
Receipt = Annotated[
    str | None,
    typer.Option("--receipt", metavar="FILE", help="Write to FILE what became of every file, one line each."),
]
ReceiptFormat = Annotated[
    Format, typer.Option("--receipt-format", help="JSON lines for programs, or CSV for spreadsheets.")
]


_ASKED: Final = "asked"


def with_options(record: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator: a command with the fields of a dataclass as options of its own, in the place of `asked`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**values: Any) -> None:  # noqa: ANN401  options, as typer reads them
            asked = record(**{field.name: values.pop(field.name) for field in fields(record)})
            command(asked=asked, **values)

        own = inspect.signature(command, eval_str=True)
        hints = get_type_hints(record, localns=globals(), include_extras=True)
        shared = [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
            )
            for field in fields(record)
        ]
        parameters: list[inspect.Parameter] = []
        for parameter in own.parameters.values():
            parameters += shared if parameter.name == _ASKED else [parameter]
        run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate
