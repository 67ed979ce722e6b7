"""`scandock deidentify`: what identifies a person goes from DICOM and ECAT files, whose copies go to a folder."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from scandock.cli import checks, errors, options
from scandock.cli.command_errors import (
    KeyUnfit,
    OutputInInput,
    ScriptNotText,
    VariableInvalid,
    VariableTwice,
)
from scandock.cli.consoles import print_line
from scandock.cli.text_format import printable

if TYPE_CHECKING:
    from scandock.cli.deidentify_report import DeidentificationReport
    from scandock.deidentification.script.lookup_table import LookupTable
    from scandock.deidentification.scrub import Context, Rules
    from scandock.model.limits import Limits
    from scandock.workers.deidentification import Scrub

_VARIABLE: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_MOST_SCRIPT: Final = 64 * 1024
_MOST_TABLE: Final = 64 * 1024**2
_MOST_KEY: Final = 65_536
_SHORT_KEY: Final = 16
_STOPPING: Final = (
    "Stopping after the current file ...",
    "Still writing; Ctrl-C once more leaves at once, and leaves nothing half.",
)


def deidentify(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="DICOM or ECAT files, folders and archives of them (zip, tar)."),
    ],
    *,
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Folder for the copies; made where missing.")],
    scripts: Annotated[
        list[str] | None,
        typer.Option(
            "--script", metavar="FILE", help="DicomEdit 6 script; several run in the order given, then the profile."
        ),
    ] = None,
    lookups: Annotated[
        list[str] | None,
        typer.Option("--lookup", metavar="FILE", help="Table for lookup[...] in scripts: lines type/key = value."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="basic[,OPTION...]",
            help="Profile of PS3.15 Annex E, with options: retain-uids, retain-device, retain-institution,"
            " retain-patient, retain-full-dates, modified-dates, clean-descriptors, clean-structured, clean-graphics,"
            " safe-private.",
        ),
    ] = None,
    variables: Annotated[
        list[str] | None,
        typer.Option("--variable", metavar="NAME=VALUE", help="Variable of scripts: project, subject, session, ..."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="FILE",
            help="File with the key for UIDs and dates: with the same key, the same come out of every run.",
            show_default="a key of this run",
        ),
    ] = None,
    names: Annotated[
        Literal["keep", "number"],
        typer.Option("--names", help="Keep the names of files and folders, or number the files."),
    ] = "keep",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are in DIR already.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Write de-identified copies of DICOM and ECAT files to a folder.

    Inputs are read where they lie and never changed. Of what fails nothing is written.

    Exit codes: 0 all written or rejected by a script; 3 an input failed, or its output was refused; 2 a script was
    refused, or wrong usage: nothing was read; 1 a fault of the machine; 130 cancelled.
    """
    checks.check_archives(paths, readable=False)
    _check_out(out, paths)
    given = _read_variables(variables or ())
    secret = _read_key(key)
    from scandock.cli.deidentify_report import DeidentificationReport

    report = DeidentificationReport(out, as_json=as_json)
    from scandock.cli.settings_loading import load_settings

    settings = load_settings()
    rules = _read_rules(report, scripts or (), lookups or (), profile, settings.deid_residue)
    if rules is None:
        raise typer.Exit(errors.USAGE)
    if key is None and rules.needs_key:
        print_line(
            "Note: without --key, UIDs and dates are made with a key of this run: those of another run will differ."
        )
    if not rules.scripts and rules.profile is None:
        print_line("Warning: without --script and --profile nothing is removed: the copies hold what the files hold.")
    from scandock.deidentification.scrub import Context
    from scandock.workers.pixel_decoding import PixelDecoding

    with closing(PixelDecoding()) as decoding:
        scrub = _make_scrub(rules, Context(key=secret, variables=given, decode_pixels=decoding))
        raise typer.Exit(_run(paths, out, scrub, report, limits=settings.limits, names=names, overwrite=overwrite))


def _run(
    paths: Sequence[str],
    out: str,
    scrub: Scrub,
    report: DeidentificationReport,
    *,
    limits: Limits,
    names: Literal["keep", "number"],
    overwrite: bool,
) -> int:
    """Take every path and print what became of it; the exit code."""
    from scandock.cli.interrupt import Interrupt
    from scandock.cli.progress import display
    from scandock.model.errors import Fault
    from scandock.services.output_folder import OutputFolder
    from scandock.workers.deidentification import Cancelled, DeidentificationRun

    output = OutputFolder(out, overwrite=overwrite, inputs=_identities(paths))
    try:
        with Interrupt(_STOPPING) as interrupt:
            run = DeidentificationRun(scrub, output, limits, report.tell, interrupt.cancelled, names=names)
            try:
                for path in paths:
                    before = report.told
                    with display(path, interrupt) as run.on_progress:
                        run.take(path)
                    report.flush()
                    if report.told == before:
                        print_line(f"Note: no files were found below {printable(path)}.")
                output.sync()
            except Cancelled:
                report.end()
                print_line("Cancelled: what is written is whole, the other inputs were not read.")
                return errors.INTERRUPTED
            except Fault as error:
                report.end()
                return errors.print_error(error)
        report.end()
    finally:
        output.close()
    return report.exit_code


def _make_scrub(rules: Rules, context: Context) -> Scrub:
    from scandock.deidentification.scrub import scrub

    return partial(scrub, rules=rules, context=context)


def _read_rules(
    report: DeidentificationReport,
    scripts: Sequence[str],
    lookups: Sequence[str],
    profile: str | None,
    residue: Literal["warn", "refuse"],
) -> Rules | None:
    """The rules as they are in the files; None where a script was refused, each of which is told."""
    from scandock.deidentification.profile.options import parse_profile
    from scandock.deidentification.script.errors import ScriptRefused
    from scandock.deidentification.script.parser import parse_script
    from scandock.deidentification.scrub import Rules
    from scandock.workers.deidentification import Outcome

    parsed = []
    refused = False
    chosen_profile = None if profile is None else parse_profile(profile)
    for name in scripts:
        try:
            parsed.append(parse_script(_read_text("--script", name, _MOST_SCRIPT), os.path.basename(name)))
        except (ScriptRefused, ScriptNotText) as error:
            refused = True
            report.tell(Outcome(path=name, result="refused", code=error.code, message=errors.error_sentence(error)))
    table = _read_tables(lookups)
    return None if refused else Rules(scripts=tuple(parsed), lookups=table, profile=chosen_profile, residue=residue)


def _read_tables(names: Sequence[str]) -> LookupTable:
    """All tables as one; of several values of a key the first counts."""
    from scandock.deidentification.script.lookup_table import LookupTable, parse_lookup_table

    values: dict[tuple[str, str], str] = {}
    for name in names:
        for entry, value in parse_lookup_table(_read_text("--lookup", name, _MOST_TABLE), name).values.items():
            values.setdefault(entry, value)
    return LookupTable(values)


def _check_out(out: str, paths: Sequence[str]) -> None:
    """--out is a folder, or can be made one, and neither it nor a folder that is read is in the other."""
    checks.check_output_folder("--out", out)
    folder = Path(out).resolve()
    for path in paths:
        if os.path.isdir(path):
            read = Path(path).resolve()
            if folder.is_relative_to(read) or read.is_relative_to(folder):
                raise OutputInInput(out, path)


def _read_variables(texts: Sequence[str]) -> dict[str, str]:
    """The variables by name; of a name that is given twice nobody can say which value is meant."""
    given: dict[str, str] = {}
    for name, value in map(_parse_variable, texts):
        if name in given:
            raise VariableTwice(name)
        given[name] = value
    return given


def _parse_variable(text: str) -> tuple[str, str]:
    match = _VARIABLE.fullmatch(text)
    if match is None:
        raise VariableInvalid(text)
    return match[1], match[2]


def _read_key(name: str | None) -> bytes:
    """The bytes of the key's file, or a key of this run."""
    if name is None:
        return secrets.token_bytes(32)
    checks.check_file("--key", name)
    with open(name, "rb") as file:
        key = file.read(_MOST_KEY + 1)
    if not 0 < len(key) <= _MOST_KEY:
        raise KeyUnfit(name, len(key), _MOST_KEY)
    if len(key) < _SHORT_KEY:
        print_line(f"Warning: the key in {name!r} is short: who guesses it can tell which UID is whose.")
    return key


def _read_text(option: str, name: str, most: int) -> str:
    checks.check_file(option, name)
    with open(name, "rb") as file:
        data = file.read(most + 1)
    try:
        if len(data) > most:
            raise ScriptNotText(name, most)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ScriptNotText(name, most) from None


def _identities(paths: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Device and inode of each path that can be looked at."""
    for path in paths:
        with suppress(OSError):
            status = os.stat(path)
            yield status.st_dev, status.st_ino
