"""Words of import and inspect that are read without typer, beside what typer reads in them."""

from __future__ import annotations

from typing import Any

import pytest
from typer._click.exceptions import ClickException
from typer.main import get_command

from scandock.cli.app import app
from scandock.cli.plain_words import parse_plain_words

ALL = [
    "--data=d e", "--project", "P", "--subject", "S-1", "--session=L=1", "--mapping", "m.csv", "--overwrite", "delete",
    "--destination", "archive", "--resources=ignore", "--workers", "3", "--receipt", "r.csv", "--receipt-format", "csv",
    "--create-project", "--json", "--no-ignore-unparsable", "a.zip", "ä ö.zip",
]  # fmt: skip
PLAIN = [
    ["a.zip", "--data", "d"],
    ["--data", "d", "a.zip", "b.zip", "--json"],
    ["--ignore-unparsable", "a.zip", "--data", "d", "--workers", "64"],
    *([f"{option}={value}", "--data", "d", "a.zip"] for option in ("--destination", "--overwrite", "--resources")
      for value in ("prearchive", "archive", "none", "append", "delete", "keep", "ignore")),
    ["a.zip", "--data", "d", "--workers", "08"],
    ALL,
]  # fmt: skip
NOT_PLAIN = [
    [],
    ["--data", "d"],
    ["a.zip", "--data", ""],
    ["a.zip", "--data"],
    ["a.zip", "--data", "d", "--data", "e"],
    ["a.zip", "--data", "d", "--json", "--json"],
    ["a.zip", "--data", "d", "--json=1"],
    ["a.zip", "--data", "d", "--wrokers", "1"],
    ["a.zip", "--data", "d", "--session", "--json"],
    ["a.zip", "--data", "-d"],
    ["a.zip", "--data", "d", "-h"],
    ["--data", "d", "--", "-a.zip"],
    ["--data", "d", "-"],
    ["a.zip", "--data", "d", "--session", "\udcff"],
    ["\udcff.zip", "--data", "d"],
    *(["a.zip", "--data", "d", "--workers", number] for number in ("0", "65", "1e1", "+2", "١", "100", "")),
]


def read_by_typer(command: str, words: list[str]) -> dict[str, Any] | None:
    """Each parameter's value as the command is given it; None for wrong usage."""
    group: Any = get_command(app)
    made = group.get_command(None, command)
    try:
        values = made.make_context(command, list(words)).params
    except ClickException:
        return None
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCANDOCK_DATA", raising=False)


@pytest.mark.parametrize("command", ["import", "inspect"])
def test_plain_words_are_read_as_typer_reads_them(command: str, subtests: pytest.Subtests) -> None:
    unnamed = read_by_typer(command, ["a.zip", "--data", "d"])
    assert unnamed is not None
    for words in PLAIN:
        with subtests.test(" ".join(words)):
            plain = parse_plain_words(words)
            expected = read_by_typer(command, words)
            assert (plain is None) == (expected is None)
            assert plain is None or unnamed | plain == expected


def test_every_option_of_both_commands_may_be_plain() -> None:
    plain = parse_plain_words(ALL)
    assert plain is not None
    for command in ("import", "inspect"):
        assert plain.keys() == (read_by_typer(command, ["a.zip", "--data", "d"]) or {}).keys()


def test_what_is_not_plain_is_left_to_typer(subtests: pytest.Subtests) -> None:
    for words in NOT_PLAIN:
        with subtests.test(repr(words)):
            assert parse_plain_words(words) is None
