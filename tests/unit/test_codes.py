"""Every code that the program can answer with stands on the page of codes, with the status that it has."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from scandock.access.throttle import Throttled
from scandock.model import errors
from scandock.web import problems
from scandock.web.tus.errors import UploadLocked
from scripts.codes import classes
from tests.documented_codes import read_documented_codes

pytestmark = pytest.mark.long

SOURCE = Path(problems.__file__).parent.parent
KINDS = {
    name
    for name, made in vars(errors).items()
    if isinstance(made, type) and issubclass(made, errors.ScandockError) and not issubclass(made, errors.Coded)
} | {"Unparseable"}
AT = {
    **dict.fromkeys(KINDS, 0),
    "problem": 2,
}
"""What makes an error or an answer, and which of its arguments is the code."""


def constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Texts that a module gives names to."""
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = getattr(node, "value", None)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield from ((target.id, value.value) for target in targets if isinstance(target, ast.Name))


def texts(given: ast.expr, named: Mapping[str, str]) -> Iterator[str]:
    """The codes that an argument may be: written out, by a constant's name (of `named`), or one of several."""
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        yield given.value
    elif isinstance(given, ast.Name) and given.id in named:
        yield named[given.id]
    elif isinstance(given, ast.IfExp):
        yield from (*texts(given.body, named), *texts(given.orelse, named))
    elif isinstance(given, ast.BoolOp):
        for value in given.values:
            yield from texts(value, named)


def name_of(call: ast.Call) -> str:
    """What a call calls, without where that is from."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def has_a_written_code(call: ast.Call) -> bool:
    """Whether it makes an error of a kind alone, with a code that is written out."""
    return name_of(call) in KINDS and any(isinstance(one, ast.Constant) for one in call.args[:1])


def arguments(tree: ast.Module) -> Iterator[ast.expr]:
    """The arguments that are codes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            at = AT.get(name_of(node))
            yield from node.args[at : at + 1] if at is not None else []
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "code")
        if isinstance(node, ast.ClassDef):
            yield from (one.value for one in node.body if isinstance(one, ast.Assign) and _is_code(one.targets[0]))


def _is_code(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == "CODE"


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """Each module's syntax, by its path."""
    paths = sorted(SOURCE.rglob("*.py"))
    return {str(path.relative_to(SOURCE)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@pytest.fixture(scope="module")
def written(trees) -> dict[str, set[str]]:
    """The codes that each module names, by its path."""
    named: dict[str, str] = {}
    given: dict[str, list[ast.expr]] = {}
    for module, tree in trees.items():
        named.update(constants(tree))
        given[module] = list(arguments(tree))
    return {
        module: {text for argument in codes for text in texts(argument, named) if text}
        for module, codes in given.items()
    }


def test_every_code_that_a_module_names_is_documented(written):
    undocumented = {module: codes - read_documented_codes().keys() for module, codes in written.items()}
    assert {module: codes for module, codes in undocumented.items() if codes} == {}


def test_codes_are_found_wherever_they_are_written(written):
    codes = set().union(*written.values())
    assert len(codes) > 150
    by_constant, by_notice = "attempts_exhausted", "inner_no_images"
    assert {by_constant, by_notice, Throttled.CODE, UploadLocked.CODE} <= codes


def test_a_code_is_documented_with_the_status_that_it_has():
    for made in classes():
        statuses = read_documented_codes()[made.CODE]
        assert not statuses or made.STATUS in statuses, made


def test_an_error_that_is_no_retold_one_is_of_a_class_of_its_own(trees):
    assert {"Usage", "BadInput", "Fault", "LimitExceeded"} <= KINDS
    written_out = {
        module: [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Call) and has_a_written_code(node)]
        for module, tree in trees.items()
    }
    assert {module: lines for module, lines in written_out.items() if lines} == {}
