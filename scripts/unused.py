"""Find what nothing uses: `python -m scripts.unused`, part of `make lint`.

- Code of `src` that no other code of `src` uses, by vulture as `[tool.vulture]` in pyproject.toml sets it up: what
  tests alone use is unused. Words in the templates count as uses. What is used in ways that cannot be seen is in
  `scripts/unused_allowed.py`, a reason a line; a line that is needed no longer is told, too.
- Templates, their macros, classes and variables of the style sheets, and exports of the pages' scripts.

vulture goes by names: a method is used where any method of its name is. So functions, classes and constants of modules
are looked at once more, by the module that they are taken from.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from vulture import Vulture

ROOT = Path(__file__).resolve().parent.parent
PAGES = Path("src/scandock/web/pages")
WORD = re.compile(r"[A-Za-z_]\w*")


def unused_code(root: Path, config: dict[str, Any], allowed: frozenset[str]) -> Iterator[str]:
    """What vulture and `unused_globals` find below `root`, without `allowed`; and names in that which they do not."""
    paths = [path for top in config["paths"] for path in sorted((root / top).rglob("*.py"))]
    vulture = Vulture(ignore_names=config["ignore_names"], ignore_decorators=config["ignore_decorators"])
    vulture.scavenge([str(path) for path in paths])
    words = template_words(root)
    vulture.used_names |= words
    found = {
        (Path(item.filename).relative_to(root), item.first_lineno, item.name)
        for item in vulture.get_unused_code(min_confidence=config["min_confidence"])
    }
    found |= {one for one in unused_globals(root, paths, config) if one[2] not in words}
    for path, line, name in sorted(found):
        if name not in allowed:
            yield f"{path}:{line}: nothing uses {name}"
    for name in sorted(allowed - {name for _, _, name in found}):
        yield f"scripts/unused_allowed.py: {name} is used, or is not there any more"


def unused_globals(root: Path, paths: Iterable[Path], config: dict[str, Any]) -> Iterator[tuple[Path, int, str]]:
    """Path, line and name of what stands in a module, and is used neither there nor by who imports it from there."""
    nodes = {path: list(ast.walk(ast.parse(path.read_text(encoding="utf-8")))) for path in paths}
    used = taken_from({_module(path.relative_to(root)): of for path, of in nodes.items()})
    for path, of in nodes.items():
        everywhere, taken = _named(of), used[_module(path.relative_to(root))]
        for name, node in _definitions(of[0], config["ignore_decorators"]):
            if name in taken or name.startswith("__") or any(fnmatch(name, one) for one in config["ignore_names"]):
                continue
            if not everywhere[name] or everywhere[name] == _named(ast.walk(node))[name]:
                yield path.relative_to(root), node.lineno, name


def taken_from(modules: dict[str, list[ast.AST]]) -> dict[str, set[str]]:
    """By module the names that others import from it, or take as its attributes; `modules` has each one's nodes."""
    used: dict[str, set[str]] = defaultdict(set)
    for nodes in modules.values():
        known: dict[str, str] = {}
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and node.module:
                for name in node.names:
                    used[node.module].add(name.name)
                    known[name.asname or name.name] = f"{node.module}.{name.name}"
            elif isinstance(node, ast.Import):
                known.update({name.asname or name.name: name.name for name in node.names})
        for node in nodes:
            if isinstance(node, ast.Attribute):
                module = known.get(_dotted(node.value))
                if module in modules:
                    used[module].add(node.attr)
    return used


def _dotted(node: ast.expr) -> str:
    """`a.b.c` of such an expression, else nothing."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts[1:]).removesuffix(".__init__")


def _definitions(tree: ast.AST, ignored: list[str]) -> Iterator[tuple[str, ast.stmt]]:
    for node in getattr(tree, "body", ()):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            marks = [f"@{ast.unparse(one).split('(')[0]}" for one in node.decorator_list]
            if not any(fnmatch(mark, pattern) for mark in marks for pattern in ignored):
                yield node.name, node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name):
                        yield name.id, node


def _named(nodes: Iterable[ast.AST]) -> Counter[str]:
    """How often each name is read, and stands in a text that may be a type."""
    named: Counter[str] = Counter()
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            named[node.id] += 1
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 80:
            named.update(WORD.findall(node.value))
    return named


# -- pages ---------------------------------------------------------------------------------------------------------


def template_words(root: Path) -> set[str]:
    """Every word within `{{ }}` and `{% %}` of the templates."""
    return {
        word
        for text in _texts(root / PAGES / "templates", "*.html").values()
        for inner in re.findall(r"\{[{%](.*?)[%}]\}", text, re.DOTALL)
        for word in WORD.findall(inner)
    }


def unused_of_pages(root: Path) -> Iterator[str]:
    """Templates, macros, classes, variables and exports that no page has."""
    templates = _texts(root / PAGES / "templates", "*.html")
    scripts = _texts(root / PAGES / "static/js", "*.js")
    styles = _texts(root / PAGES / "static", "*.css")
    python = "\n".join(_texts(root / "src", "*.py").values())
    tests = "\n".join(_texts(root / "tests/node", "*.mjs").values())
    html, code, style = ("\n".join(one.values()) for one in (templates, scripts, styles))
    for path in templates:
        if path.name not in python + html:
            yield f"{path}: no page is made of it"
    for macro in re.findall(r"\{%-?\s*macro (\w+)", html):
        if len(re.findall(rf"\b{macro}\b", html)) < 2:
            yield f"{PAGES}/templates: no template uses the macro {macro}"
    words = {*re.findall(r"[\w-]+", html), *re.findall(r"[\w-]+", code), *re.findall(r"[\w-]+", python)}
    begun = tuple(re.findall(r"([\w-]+)\{\{", html) + re.findall(r"([\w-]+)\$\{", code))
    selectors = re.findall(r"([^{}]+)\{", re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL))
    for name in sorted({name for one in selectors for name in re.findall(r"\.([a-zA-Z][\w-]*)", one)}):
        if name not in words and not name.startswith(begun):
            yield f"{PAGES}/static: nothing has the class {name}"
    for name in sorted(set(re.findall(r"(--[\w-]+)\s*:", style))):
        if f"var({name}" not in style + code + html:
            yield f"{PAGES}/static: nothing uses the variable {name}"
    for path, text in scripts.items():
        others = "\n".join([tests, html, *(other for name, other in scripts.items() if name != path)])
        for name in re.findall(r"^export\s+(?:async\s+)?(?:function\*?|const|let|class)\s+(\w+)", text, re.MULTILINE):
            if not re.search(rf"\b{name}\b", others):
                yield f"{path.relative_to(root)}: no other script imports {name}"


def _texts(folder: Path, pattern: str) -> dict[Path, str]:
    paths = sorted(path for path in folder.rglob(pattern) if not {"vendor", "node_modules"} & set(path.parts))
    return {path: path.read_text(encoding="utf-8") for path in paths}


def main() -> int:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["vulture"]
    allowed = (ROOT / "scripts/unused_allowed.py").read_text(encoding="utf-8")
    names = frozenset(re.findall(r"^(\w+)  # ", allowed, re.MULTILINE))
    found = [*unused_code(ROOT, config, names), *unused_of_pages(ROOT)]
    sys.stderr.writelines(f"{line}\n" for line in found)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
