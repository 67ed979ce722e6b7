"""All regular expressions of the source, and texts that make a bad one slow.

Patterns are found in the modules' syntax trees, so that a new one is there without being named anywhere. What is only
known at run time (`rf"{name}:"`) is filled in with a word.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from re import _constants as op
from re import _parser as parser
from typing import Any, Final

import scandock

ROOT: Final = Path(scandock.__file__).parent
METHODS: Final = frozenset({"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"})
_FLAGS_AT: Final = {"compile": 1, "match": 2, "fullmatch": 2, "search": 2, "findall": 2, "finditer": 2}
"""Where a function of `re` takes flags that are not named."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, where it stands, and how it is asked."""

    where: str
    """File and line within the package."""
    text: str
    flags: int
    methods: frozenset[str]


class _Word(str):
    """A word in place of a value that is not known: whatever is asked of it is a word again."""

    __slots__ = ()

    def __getattr__(self, name: str) -> _Word:
        return self


class _Names(dict[str, Any]):
    """A module's own names; all others are of a function, and no one knows what they hold."""

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name, _Word("name"))


def patterns() -> list[Pattern]:
    """The patterns of all modules of the package."""
    return [pattern for path in _modules() for pattern in _module_patterns(path)]


@cache
def _modules() -> dict[Path, str]:
    """All modules with their text."""
    return {path: path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(_modules()[path])


def unknown_patterns() -> set[str]:
    """Functions whose pattern is a variable of theirs, as `file:function`: what that holds can't be told."""
    return {
        f"{path.relative_to(ROOT)}:{function.name}"
        for path, text in _modules().items()
        if "re." in text
        for function in ast.walk(_tree(path))
        if isinstance(function, ast.FunctionDef) and any(_is_local(call.args[0], function) for call in _calls(function))
    }


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls of `re` that name a pattern."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
            and node.func.attr in METHODS | {"compile"}
        ):
            yield node


def _is_local(node: ast.expr, function: ast.FunctionDef) -> bool:
    """Whether a pattern is nothing but a variable of a function."""
    if not isinstance(node, ast.Name):
        return False
    stored = {
        node_.id for node_ in ast.walk(function) if isinstance(node_, ast.Name) and isinstance(node_.ctx, ast.Store)
    }
    return node.id in stored | {node_.arg for node_ in function.args.args}


def _module_patterns(path: Path) -> Iterator[Pattern]:
    text = _modules()[path]
    by_name = re.search(r"from re import (?!_)", text)
    assert by_name is None, f"{path} imports from re by name: its patterns would not be seen"
    if "re." not in text:
        return
    tree = _tree(path)
    targets = {
        id(call): name_node.id
        for statement in tree.body
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None
        for name_node in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
        if isinstance(name_node, ast.Name)
        for call in [statement.value]
    }
    module = "scandock." + ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    names: _Names | None = None
    for node in _calls(tree):
        assert isinstance(node.func, ast.Attribute)
        names = names or _Names(vars(importlib.import_module(module)))
        function = node.func.attr
        flags = [name_node.value for name_node in node.keywords if name_node.arg == "flags"]
        if (at := _FLAGS_AT.get(function)) is not None:
            flags += node.args[at : at + 1]
        methods = frozenset({function})
        if function == "compile":
            target = targets.get(id(node))
            methods = METHODS if target is None else _methods(target, tree, *_importing(module, target))
        text = _value(node.args[0], names)
        if isinstance(text, bytes):  # what it does to bytes it does to the characters with their numbers
            text = text.decode("latin-1")
        asked = _value(flags[0], names) if flags else 0
        known_flags = 0 if isinstance(asked, _Word) else int(asked)
        yield Pattern(f"{path.relative_to(ROOT)}:{node.lineno}", str(text), known_flags, methods)


def _value(node: ast.expr, names: _Names) -> Any:
    return eval(compile(ast.Expression(node), "<pattern>", "eval"), {"__builtins__": {}}, names)


def _methods(target: str, *trees: ast.Module) -> frozenset[str]:
    """The methods that a compiled pattern is asked by; all of them where it goes ways that can't be followed."""
    called = set().union(*(_methods_called(tree, target) for tree in trees))
    return frozenset(called & METHODS) or METHODS


def _importing(module: str, name: str) -> Iterator[ast.Module]:
    """The modules that import a name of another."""
    for path, text in _modules().items():
        if name in text and module in text:
            imports = (node for node in ast.walk(_tree(path)) if isinstance(node, ast.ImportFrom))
            if any(node.module == module and name in {alias.name for alias in node.names} for node in imports):
                yield _tree(path)


def _methods_called(tree: ast.Module, target: str) -> set[str]:
    called: set[str] = set()
    followed = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == target:
            called.add(node.attr)
            followed += 1
    loads = sum(
        isinstance(node, ast.Name) and node.id == target and isinstance(node.ctx, ast.Load) for node in ast.walk(tree)
    )
    return called | METHODS if loads > followed else called


# -- texts -------------------------------------------------------------------------------------------------------------

SIGNS: Final = "[](){}<>/\\\"'`.,:;!?*%+-=_^~@#$&| \t\n\x000aA\u00e9"
"""What is repeated for every pattern: signs with a meaning somewhere, and one of each class."""
TAIL: Final = "\x01\n"
"""What a text ends with, that hardly a pattern does: `.` takes no line break."""


def hostile_texts(pattern: Pattern) -> list[tuple[str, str]]:
    """Beginnings and what is repeated after them: each sign, and by its own parts what a pattern takes again and again.

    A pattern that tries again at each place, or shares what it takes out among its parts in every way, is slow for one
    of these.
    """
    tree = parser.parse(pattern.text, pattern.flags)
    texts = dict.fromkeys(("", sign) for sign in SIGNS)
    for before, again in _repeats(list(tree), ""):
        own = dict.fromkeys((again, before, before + again, *before[-1:], *(sign for sign in SIGNS if sign in again)))
        texts |= dict.fromkeys((head, unit) for head in ("", before) for unit in own if unit)
        texts |= dict.fromkeys((before, text) for text in dict.fromkeys(before + again + _sample(list(tree))))
    return list(texts)


@cache
def _member(items: Any) -> str:
    """A character of a class."""
    text = f"[{_class_text(items)}]"
    return next(char for char in "a0 _.-/:,;\x01\u00e9[" if re.match(text, char)) if text != "[]" else "a"


def _class_text(items: Any) -> str:
    out = ""
    for kind, value in items:
        if kind is op.NEGATE:
            out = "^" + out
        elif kind is op.LITERAL:
            out += re.escape(chr(value))
        elif kind is op.RANGE:
            out += f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
        elif kind is op.CATEGORY:
            out += {
                op.CATEGORY_DIGIT: r"\d", op.CATEGORY_NOT_DIGIT: r"\D", op.CATEGORY_SPACE: r"\s",
                op.CATEGORY_NOT_SPACE: r"\S", op.CATEGORY_WORD: r"\w", op.CATEGORY_NOT_WORD: r"\W",
            }[value]  # fmt: skip
    return out


_REPEATS: Final = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)


def _sample(items: list[Any]) -> str:
    """A short text that a part of a pattern takes."""
    out = ""
    for kind, value in items:
        if kind is op.LITERAL:
            out += chr(value)
        elif kind is op.NOT_LITERAL:
            out += "a" if value != ord("a") else "b"
        elif kind is op.ANY:
            out += "a"
        elif kind is op.IN:
            out += _any_of(value)
        elif kind is op.BRANCH:
            out += _sample(list(value[1][0]))
        elif kind is op.SUBPATTERN:
            out += _sample(list(value[3]))
        elif kind is op.ATOMIC_GROUP:
            out += _sample(list(value))
        elif kind in _REPEATS:
            out += _sample(list(value[2])) * min(max(value[0], 1), value[1], 100)
    return out


def _any_of(items: list[Any]) -> str:
    kind, value = items[0]
    if kind is op.LITERAL:
        return chr(value)
    if kind is op.RANGE:
        return chr(value[0])
    return _member(tuple((kind, value) for kind, value in items))


def _repeats(items: list[Any], before: str) -> Iterator[tuple[str, str]]:
    """What is taken before each repetition of a pattern, and what that takes."""
    for kind, value in items:
        if kind in _REPEATS:
            yield before, _sample(list(value[2]))
            yield from _repeats(list(value[2]), before)
        elif kind is op.BRANCH:
            for branch in value[1]:
                yield from _repeats(list(branch), before)
        elif kind is op.SUBPATTERN:
            yield from _repeats(list(value[3]), before)
        elif kind is op.ATOMIC_GROUP:
            yield from _repeats(list(value), before)
        elif kind in (op.ASSERT, op.ASSERT_NOT):
            yield from _repeats(list(value[1]), before)
        before += _sample([(kind, value)])
    yield before, ""
