"""`scandock admin privacy|script|lookup`: what may be known of what is imported, and what is done to objects before."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from scandock.cli import checks, options
from scandock.cli.accounts_cmd import local_request_info, open_data_catalog
from scandock.cli.consoles import print_line, tolerate_closed_pipe
from scandock.cli.rules_cmd import read_rules_file
from scandock.cli.text_format import format_count

if TYPE_CHECKING:
    from scandock.services.privacy_settings import Privacy

privacy = typer.Typer(
    help="What may be known of names, UIDs and patients.", no_args_is_help=True, rich_markup_mode=None
)
key = typer.Typer(
    help="The key by which names, UIDs and patients are hashed.", no_args_is_help=True, rich_markup_mode=None
)
script = typer.Typer(
    help="Scripts that change objects before they are stored.", no_args_is_help=True, rich_markup_mode=None
)
lookup = typer.Typer(help="Tables that scripts look values up in.", no_args_is_help=True, rich_markup_mode=None)
privacy.add_typer(key, name="key")

ProjectOption = Annotated[
    str | None, typer.Option("--project", metavar="P", help="Of a project.", show_default="the site")
]
LevelOption = Literal["keep", "hash", "drop"]
Owner = Annotated[str, typer.Argument(metavar="site|PROJECT", help="Whose: the site's, or a project's.")]
MAX_TABLE: Final = 64 * 1024 * 1024
"""Bytes of a lookup table."""
_WORDS: Final = {"keep": "kept", "hash": "hashed", "drop": "dropped"}


@privacy.command("set")
def privacy_set(
    *,
    data: options.Data,
    project: ProjectOption = None,
    names: Annotated[
        LevelOption | None, typer.Option("--names", help="What becomes of names of files, folders and archives.")
    ] = None,
    study_uid: Annotated[
        LevelOption | None,
        typer.Option("--study-uid", help="What becomes of StudyInstanceUID and the other UIDs of a study."),
    ] = None,
    patient: Annotated[
        LevelOption | None, typer.Option("--patient", help="What becomes of PatientID and PatientName.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="basic[,OPTION...]", help='The profile that cleans objects; "" for none.'),
    ] = None,
    residue: Annotated[
        Literal["warn", "refuse"] | None,
        typer.Option("--residue", help="What objects get in which values of the patient are left."),
    ] = None,
    resources: Annotated[
        Literal["keep", "drop"] | None,
        typer.Option(
            "--resources",
            help="What becomes of files that are no images, which can't be cleaned.",
            show_default="drop with a profile",
        ),
    ] = None,
) -> None:
    """Say what imports that begin from now on keep, hash and drop.

    What isn't named stays as it was. A profile drops names and patients and hashes UIDs where nothing else is named
    with it. What is stored already stays as it is. A project may only be stricter than the site.
    """
    checks.check_data(data)
    given = {"names": names, "study_uid": study_uid, "patient": patient, "profile": profile, "residue": residue,
             "resources": resources}  # fmt: skip
    changes: dict[str, str] = {name: value for name, value in given.items() if value is not None}
    from scandock.cli.settings_loading import load_settings
    from scandock.services.privacy_settings import set_local_privacy

    changed = set_local_privacy(data, load_settings(), project, changes, local_request_info())
    _print_privacy(changed)


@privacy.command("show")
def privacy_show(*, data: options.Data, project: ProjectOption = None, as_json: options.AsJson = False) -> None:
    """Show what is kept, hashed and dropped."""
    checks.check_data(data)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.privacy_settings import show_local_privacy

    shown = show_local_privacy(data, load_settings(), project)
    with tolerate_closed_pipe(sys.stdout):
        if as_json:
            sys.stdout.write(json.dumps(shown.to_json(), indent=2) + "\n")
            return
        _print_privacy(shown)


def _print_privacy(shown: Privacy) -> None:
    """In plain words, a line for each."""
    now = shown.in_force
    whose = "The site" if shown.project is None else f"Project {shown.project}"
    print_line(f"{whose}, for imports that begin from now on:", sys.stdout)
    print_line(f"  names of files, folders and archives: {_WORDS[now.names]}", sys.stdout)
    print_line(f"  StudyInstanceUID: {_WORDS[now.study_uid]}", sys.stdout)
    print_line(f"  PatientID and PatientName: {_WORDS[now.patient]}", sys.stdout)
    print_line(f"  profile: {now.profile or 'none'}", sys.stdout)
    print_line(f"  scripts: {', '.join(now.scripts) or 'none'}", sys.stdout)
    if now.profile or now.study_uid != "keep" or now.patient != "keep":
        left = "warned of" if now.residue == "warn" else "refused"
        print_line(f"  objects in which values of the patient are left: {left}", sys.stdout)
    print_line(f"  files that are no images: {_WORDS[now.resources]}", sys.stdout)


@key.command("show")
def key_show(*, data: options.ExistingData) -> None:
    """Show where the keys are, and their fingerprints; never a key."""
    checks.check_data(data, must_exist=True)
    from scandock.access.principal import SYSTEM
    from scandock.cli.settings_loading import load_settings
    from scandock.services.data_errors import PrivacyKeyUnfit
    from scandock.services.privacy_key import key_path, list_keys, load_keys

    settings = load_settings()
    unfit = ""
    with open_data_catalog(data, must_exist=True) as catalog, catalog.read() as connection:
        keys = list_keys(connection, SYSTEM)
        if not keys:
            print_line("There is no key: none was needed yet.", sys.stdout)
            return
        try:
            load_keys(connection, data, settings)
        except PrivacyKeyUnfit as error:
            unfit = str(error)
    print_line(f"File: {key_path(data, settings)}", sys.stdout)
    if unfit:
        print_line(unfit, sys.stdout)
    for one in keys:
        print_line(f"{one.number}: {one.fingerprint}{', hashes now' if one.is_newest else ''}", sys.stdout)


@key.command("add")
def key_add(*, data: options.Data) -> None:
    """Add a key, which hashes from now on; what older ones hashed is still known again.

    UIDs, dates and labels that are made from now on differ from those before: of one patient, too.
    """
    checks.check_data(data)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.privacy_settings import add_local_key

    keys = add_local_key(data, load_settings(), local_request_info())
    print_line(f"Key {keys[-1].number} is added: {keys[-1].fingerprint}", sys.stdout)


@script.command("set")
def script_set(
    owner: Owner,
    file: Annotated[str, typer.Argument(metavar="FILE", help="DicomEdit 6; an empty file takes the script away.")],
    *,
    data: options.Data,
) -> None:
    """Set the script of the site or of a project, and switch it on."""
    checks.check_data(data)
    text = read_rules_file(file)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.privacy_scripts import set_local_script

    changed = set_local_script(data, load_settings(), _project(owner), text, local_request_info())
    state = "is set, and switched on" if changed.text else "is taken away"
    print_line(f"{_whose(changed.project, 'script')} {state}.", sys.stdout)


@script.command("show")
def script_show(owner: Owner, *, data: options.Data) -> None:
    """Show a script as it was set."""
    checks.check_data(data)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.privacy_scripts import show_local_script

    shown = show_local_script(data, load_settings(), _project(owner))
    with tolerate_closed_pipe(sys.stdout):
        state = "switched on" if shown.enabled else "switched off"
        whose = _whose(shown.project, "script")
        print_line(f"// {whose}: {state if shown.text else 'none is set'}", sys.stdout)
        for line in shown.text.splitlines():
            print_line(line, sys.stdout)


@script.command("on")
def script_on(owner: Owner, *, data: options.ExistingData) -> None:
    """Switch a script on."""
    _switch(owner, data, enabled=True)


@script.command("off")
def script_off(owner: Owner, *, data: options.ExistingData) -> None:
    """Switch a script off; its text stays."""
    _switch(owner, data, enabled=False)


def _switch(owner: str, data: str, *, enabled: bool) -> None:
    checks.check_data(data, must_exist=True)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.privacy_scripts import enable_local_script

    changed = enable_local_script(data, load_settings(), _project(owner), enabled=enabled, request=local_request_info())
    print_line(f"{_whose(changed.project, 'script')} is switched {'on' if changed.enabled else 'off'}.", sys.stdout)


@lookup.command("set")
def lookup_set(
    owner: Owner,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Lines type/key = value; an empty file takes the table away.")
    ],
    *,
    data: options.Data,
) -> None:
    """Set the lookup table of the site or of a project. It is stored sealed, as it identifies people."""
    checks.check_data(data)
    text = read_rules_file(file, MAX_TABLE)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.privacy_scripts import set_local_lookup

    changed = set_local_lookup(data, load_settings(), _project(owner), text, local_request_info())
    whose = _whose(changed.project, "lookup table")
    state = f"is set: {format_count(changed.keys, 'key')}" if changed.keys else "is taken away"
    print_line(f"{whose} {state}.", sys.stdout)


def _project(owner: str) -> str | None:
    return None if owner == "site" else owner


def _whose(project: str | None, what: str) -> str:
    return f"The site's {what}" if project is None else f"The {what} of {project}"
