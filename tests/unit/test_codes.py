"""Every code that the program can answer with stands on the page of codes, with the status that it has."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from scandock.access.throttle import Throttled
from scandock.model import errors
from scandock.web import problems
from scandock.web.problems import STATUS
from scandock.web.tus.errors import UploadLocked
from tests.documented import documented_codes

SOURCE = Path(problems.__file__).parent.parent
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


def arguments(tree: ast.Module) -> Iterator[ast.expr]:
    """The arguments that are codes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            at = AT.get(name)
            yield from node.args[at : at + 1] if at is not None else []
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "code")
        if isinstance(node, ast.ClassDef):
            yield from (one.value for one in node.body if isinstance(one, ast.Assign) and _is_code(one.targets[0]))
        if isinstance(node, ast.ClassDef) and {getattr(base, "id", "") for base in node.bases} & AT.keys():
            yield from (code for call in ast.walk(node) for code in inherited(call))


def _is_code(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == "CODE"


def inherited(node: ast.AST) -> list[ast.expr]:
    """The code that an error of its own kind hands to its base."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__":
        return node.args[:1]
    return []


@pytest.fixture(scope="module")
def written() -> dict[str, set[str]]:
    """The codes that each module names, by its path."""
    named: dict[str, str] = {}
    given: dict[str, list[ast.expr]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named.update(constants(tree))
        given[str(path.relative_to(SOURCE))] = list(arguments(tree))
    return {
        module: {text for argument in codes for text in texts(argument, named) if text}
        for module, codes in given.items()
    }


def test_every_code_that_a_module_names_is_documented(written):
    undocumented = {module: codes - documented_codes().keys() for module, codes in written.items()}
    assert {module: codes for module, codes in undocumented.items() if codes} == {}


def test_codes_are_found_wherever_they_are_written(written):
    codes = set().union(*written.values())
    assert len(codes) > 150
    by_denied, by_constant, by_base, by_problem = "csrf_failed", "attempts_exhausted", Throttled(1).code, "internal"
    by_class = UploadLocked.CODE
    assert {by_denied, by_constant, by_base, by_problem, by_class} <= codes


def test_a_code_that_has_a_status_of_its_own_is_documented_with_it():
    documented = {code: documented_codes().get(code) for code in STATUS}
    assert [code for code, statuses in documented.items() if statuses is None] == []
    assert {code: statuses for code, statuses in documented.items() if statuses and STATUS[code] not in statuses} == {}
