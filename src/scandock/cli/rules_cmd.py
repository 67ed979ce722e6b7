"""`scandock admin rules`: which header gives project, subject and session, at this site."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scandock.cli import checks, options
from scandock.cli.accounts_cmd import local_request_info
from scandock.cli.command_errors import RulesMissing, RulesNotText, RulesTooLong
from scandock.cli.consoles import print_line, tolerate_closed_pipe

if TYPE_CHECKING:
    from scandock.rules.routing_rules import RoutingRule

rules = typer.Typer(
    help="Rules that name project, subject or session.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Kind = Annotated[Literal["project", "subject", "session"], typer.Argument(help="What the rules name.")]
MAX_RULES = 1_000_000
"""Bytes of a file of rules; nobody writes more by hand."""


@rules.command("set")
def rules_set(
    kind: Kind,
    file: Annotated[str, typer.Argument(metavar="FILE", help="One rule a line; an empty file takes all rules away.")],
    data: options.Data,
) -> None:
    """Set the rules of one kind.

    They replace those that were.
    A rule is (gggg,eeee):pattern[:group] [t:target] [r:replacement]; the first one that fits wins.
    """
    checks.check_data(data)
    text = read_rules_file(file)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.rules import set_rules

    set_rules(data, load_settings(), kind, text, local_request_info())
    print_line(f"The {kind} rules are set.", sys.stdout)


@rules.command("show")
def rules_show(
    *,
    data: options.ExistingData,
    kind: Annotated[
        Literal["project", "subject", "session"] | None, typer.Argument(help="One kind; without it, all three.")
    ] = None,
) -> None:
    """Show the rules as they were set."""
    checks.check_data(data, must_exist=True)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.rules import show_rules

    texts = show_rules(data, load_settings())
    with tolerate_closed_pipe(sys.stdout):
        for rule_kind in (kind,) if kind else ("project", "subject", "session"):
            text = texts.get(rule_kind, "")
            if kind is None:
                print_line(f"# {rule_kind} rules{':' if text.strip() else ': none are set'}", sys.stdout)
            for rule in text.splitlines():
                print_line(rule, sys.stdout)


@rules.command("test")
def rules_test(
    kind: Kind,
    objects: Annotated[list[str], typer.Argument(metavar="OBJECT", help="DICOM files, one or more of a study.")],
    *,
    data: Annotated[
        str | None,
        typer.Option(
            "--data", metavar="DIR", envvar="SCANDOCK_DATA", help="Try the rules that are set in this data folder."
        ),
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="Try the rules in FILE, before they are set.")
    ] = None,
) -> None:
    """Try the rules on DICOM objects.

    For each study: the rule that names it, what that reads, and what comes of it.
    """
    checks.check_archives(objects)
    trial_rules = _rules_to_try(kind, data, file)
    from scandock.cli.rules_trial import read_studies, try_rules

    with tolerate_closed_pipe(sys.stdout):
        for study in read_studies(objects, trial_rules):
            for output_line in try_rules(kind, trial_rules, study):
                print_line(output_line, sys.stdout)


def _rules_to_try(kind: str, data: str | None, file: str | None) -> tuple[RoutingRule, ...]:
    from scandock.rules.routing_rules import parse_rules

    if file is not None:
        return parse_rules(read_rules_file(file))
    if data is None:
        raise RulesMissing
    checks.check_data(data, must_exist=True)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.rules import show_rules

    return parse_rules(show_rules(data, load_settings()).get(kind, ""))


def read_rules_file(name: str, most: int = MAX_RULES) -> str:
    """The text of a file of rules, a filter, a script or a table; Usage where it can't be read or is no text."""
    checks.check_file("FILE", name)
    with open(name, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise RulesTooLong(name, most)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RulesNotText(name) from None
