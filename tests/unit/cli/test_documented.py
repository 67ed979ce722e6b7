"""Every setting, command and option is documented, and nothing is that does not exist."""

from __future__ import annotations

import re

import pytest
import typer
from typer.core import TyperGroup

from scandock.cli.app import COMMANDS, app
from scandock.model.limit_counts import RequestLimit
from scandock.model.limits import Limits
from scandock.services.setting_rows import describe_limits, describe_settings
from scandock.services.settings import OUTSIDE, load_settings, variable_name


def page(project_root, name):
    return (project_root / "docs" / name).read_text(encoding="utf-8")


def walk(command, path=()):
    """(words of the command, option names) for each command and group below `command`."""
    yield path, [name for param in command.params if param.param_type_name == "option" for name in all_names(param)]
    for name in getattr(command, "commands", {}):
        yield from walk(made(command, name), (*path, name))


def made(group, name):
    """A command of a group, which makes those of the whole command line once they are asked for."""
    return group.get_command(typer.Context(group), name)


def all_names(param):
    return [name for name in (*param.opts, *param.secondary_opts) if name != "-h"]


@pytest.fixture(scope="module")
def commands():
    """The options of each command, by the command's words."""
    return dict(walk(typer.main.get_command(app)))


def test_the_outline_of_each_command_is_how_its_own_help_begins():
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for name, outline in list(group.commands.items()):
        command = made(group, name)
        assert command is not outline
        assert (command.name, command.get_short_help_str(1000)) == (name, outline.get_short_help_str(1000))
        assert command.help.partition("\n\n")[0].replace("\n", " ") == COMMANDS[name]


def test_every_command_is_on_its_page(project_root, commands):
    text = page(project_root, "command-line.md")
    assert len(commands) > 20
    assert [" ".join(path) for path in commands if " ".join(path) not in text] == []


def test_every_option_is_on_the_page_in_the_part_of_its_command(project_root, commands, subtests):
    text = page(project_root, "command-line.md")
    parts = dict(re.findall(r"^## scandock (\w+)[^\n]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    for path, options in commands.items():
        with subtests.test(" ".join(("scandock", *path))):
            part = parts[path[0]] if path else text.partition("\n## ")[0]
            assert [name for name in options if f"`{name}" not in part] == []


def test_the_page_names_no_option_that_does_not_exist(project_root, commands):
    known = {name for options in commands.values() for name in options} | {"--help"}
    written = set(re.findall(r"`(--[a-z-]+)", page(project_root, "command-line.md")))
    assert written - known == set()


def test_every_setting_is_on_its_page_with_its_default(project_root):
    table = defaults_on(page(project_root, "settings.md"))
    for row in describe_settings(load_settings()):
        assert table.pop(row.name) == row.shown
    assert set(table) == set(OUTSIDE)


def test_every_limit_is_on_its_page_with_its_default(project_root):
    shown = {row.name: row.shown for row in describe_settings(load_settings())}
    limits = [variable_name(name) for name in Limits._fields]
    table = defaults_on(page(project_root, "limits.md"))
    assert [name for name in limits if name not in table] == []
    assert table == {name: shown[name] for name in table}


def test_every_limit_of_requests_that_is_no_setting_is_on_its_page_with_its_value(project_root):
    text = page(project_root, "limits.md").partition("\n## Requests\n")[2]
    rows = re.findall(r"^\| (?!`|limit \||---)([^|]+) \| ([^|]+) \|", text, re.MULTILINE)
    table = {name: default.replace(",", "") for name, default in rows if "SCANDOCK_" not in default}
    table.pop("space of one upload")  # all that is free
    limits = {limit.name: limit.shown for limit in describe_limits()}
    assert table.keys() == limits.keys()
    assert {name: said for name, said in table.items() if not re.search(rf"\b{limits[name]}\b", said)} == {}


def test_every_label_of_ended_connections_and_refused_requests_is_on_the_page(project_root):
    text = page(project_root, "limits.md")
    http = project_root / "src" / "scandock" / "web"
    source = (http / "protocol.py").read_text() + (http / "connections.py").read_text()
    ended = set(re.findall(r"(?:_cut|_refuse|refused)\((?:\d.*?, )?\"(\w+)\"", source)) | {"total"}
    assert len(ended) == 9
    assert [name for name in (*ended, *RequestLimit) if f"`{name}`" not in text] == []


def defaults_on(text):
    found = re.findall(r"^\| `(SCANDOCK_\w+)` \| ([^|]+) \|", text, re.MULTILINE)
    return {name: default.strip() for name, default in found}
