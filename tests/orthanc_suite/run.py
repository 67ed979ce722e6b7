"""Run tests of the suite in a process of their own.

`python -m tests.orthanc_suite.run CHECKOUT PORT NAME PASSWORD OUT TEST...`. A statement of a test that fails is noted,
and the test goes on with the next one: so what differs by intention hides nothing that comes after it. OUT gets what
failed, by test.
"""

from __future__ import annotations

import ast
import json
import sys
import unittest
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.orthanc_suite import httplib2
from tests.orthanc_suite.checkout import script

_LENGTH = 160
_NOTE = "_note_and_go_on"
_MISSING = "_missing"


class Missing:
    """What a variable has whose statement failed: whoever uses it fails too, which is not told again."""

    class Used(Exception):
        """That it was used."""

    def _fail(self, *_: object) -> Any:
        raise Missing.Used

    __getattr__ = __getitem__ = __len__ = __iter__ = __eq__ = __sub__ = __contains__ = __hash__ = __str__ = _fail


class GoingOn(ast.NodeTransformer):
    """Has each statement of a test that is a call (of an assertion, mostly) or an assignment go on where it fails."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return self._guarded(node, []) if isinstance(node.value, ast.Call) else node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        missing = ast.parse("\n".join(f"{name} = {_MISSING}" for name in names)).body
        return self._guarded(node, missing) if names else node

    def _guarded(self, node: ast.stmt, after: list[ast.stmt]) -> ast.AST:
        error = "error"
        note = ast.parse(f"{_NOTE}(self, {error})").body
        handler = ast.ExceptHandler(ast.Name("Exception", ast.Load()), error, [*note, *after])
        return ast.copy_location(ast.Try([node], [handler], [], []), node)


def compile_going_on(path: Path) -> Any:
    """The code of a module of the suite, whose tests and assertions go on."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith(("test_", "Assert")):
            node.body = [GoingOn().visit(one) for one in node.body]
    return compile(ast.fix_missing_locations(tree), str(path), "exec")


def load_tests(root: Path, notes: dict[str, list[str]]) -> type[unittest.TestCase]:
    """The class of the suite's tests, each of which notes what fails."""

    def note(test: unittest.TestCase, error: Exception) -> None:
        if not isinstance(error, Missing.Used):
            notes[test.id().rpartition(".")[2]].append(describe(error))

    unittest.main = lambda *_, **__: None  # type: ignore[assignment]  # what a module of tests does at its end
    own = {_NOTE: note, _MISSING: Missing()}
    toolbox = ModuleType("Toolbox")
    toolbox.__dict__.update(own, __file__=str(root / "Tests" / "Toolbox.py"))
    sys.modules["Toolbox"] = toolbox
    exec(compile_going_on(root / "Tests" / "Toolbox.py"), toolbox.__dict__)
    names: dict[str, Any] = {"__name__": "__main__", "__file__": str(script(root)), **own}
    exec(compile_going_on(script(root)), names)
    case: type[unittest.TestCase] = names["Orthanc"]
    return case


def describe(error: BaseException) -> str:
    """An exception as the table of outcomes has it."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"[:_LENGTH]


def main() -> None:
    root, port, user, password, out, *names = sys.argv[1:]
    warnings.simplefilter("ignore")
    sys.modules["httplib2"] = httplib2
    path = script(Path(root))
    sys.path.insert(0, str(path.parent))
    sys.argv = [
        str(path),
        "--force",
        "--server",
        "127.0.0.1",
        "--rest",
        port,
        "--username",
        user,
        "--password",
        password,
    ]
    notes: dict[str, list[str]] = {name: [] for name in names}
    case = load_tests(Path(root), notes)
    for name in names:
        test = case(name)
        try:
            test.setUp()
            getattr(test, name)()
        except Missing.Used:
            pass
        except Exception as error:  # noqa: BLE001  it ends the test: the last thing that is noted
            notes[name].append(describe(error))
    Path(out).write_text(json.dumps(notes, indent=1))


if __name__ == "__main__":
    main()
