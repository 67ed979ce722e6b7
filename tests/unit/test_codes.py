"""Every code that the program can answer with stands on the page of codes, with the status that it has."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from scandock.access.throttle import Throttled
from scandock.http import problems
from scandock.http.problems import STATUS
from scandock.model import errors
from tests.documented import documented_codes

SOURCE = Path(problems.__file__).parent.parent
MODULES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCE.rglob("*.py"))}
AT = {
    **{name: 0 for name, made in vars(errors).items() if isinstance(made, type) and issubclass(made, Exception)},
    "Unparseable": 0,
    "Denied": 1,
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


NAMED = {name: value for tree in MODULES.values() for name, value in constants(tree)}


def texts(given: ast.expr) -> Iterator[str]:
    """The codes that an argument may be: written out, by a constant's name, or one of several."""
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        yield given.value
    elif isinstance(given, ast.Name) and given.id in NAMED:
        yield NAMED[given.id]
    elif isinstance(given, ast.IfExp):
        yield from (*texts(given.body), *texts(given.orelse))
    elif isinstance(given, ast.BoolOp):
        for one in given.values:
            yield from texts(one)


def codes_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            at = AT.get(name)
            given = node.args[at : at + 1] if at is not None else []
            for one in (*given, *(keyword.value for keyword in node.keywords if keyword.arg == "code")):
                yield from (text for text in texts(one) if text)
        if isinstance(node, ast.ClassDef) and {getattr(base, "id", "") for base in node.bases} & AT.keys():
            yield from (code for call in ast.walk(node) for code in inherited(call))


def inherited(node: ast.AST) -> Iterator[str]:
    """The code that an error of its own kind hands to its base."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__" and node.args:
        yield from texts(node.args[0])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_code_that_a_module_names_is_documented(path):
    assert [code for code in codes_in(MODULES[path]) if code not in documented_codes()] == []


def test_codes_are_found_wherever_they_are_written():
    found = {code for tree in MODULES.values() for code in codes_in(tree)}
    assert len(found) > 150
    by_denied, by_constant, by_base, by_problem = "csrf_failed", "attempts_exhausted", Throttled(1).code, "internal"
    assert {by_denied, by_constant, by_base, by_problem} <= found


@pytest.mark.parametrize("code", sorted(STATUS))
def test_a_code_that_has_a_status_of_its_own_is_documented_with_it(code):
    statuses = documented_codes()[code]
    assert not statuses or STATUS[code] in statuses
