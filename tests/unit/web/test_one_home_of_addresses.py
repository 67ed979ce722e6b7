"""No address is put together outside `web/urls.py` and `model/uris.py`: not in Python, in templates or in scripts.

The patterns of routes are left: what a router is given, texts with `{...}`, keys as `("GET", path)`. The scripts of the
pages have one module of their own, `addresses.js`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment

from scandock.services.settings import load_settings
from scandock.web.app import create_app

SOURCE = Path(__file__).parents[3] / "src/scandock"
PAGES = SOURCE / "web/pages"
HOMES = {"web/urls.py", "model/uris.py"}
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
REGISTERS = {*(one.lower() for one in METHODS), "add_api_route", "api_route"}
OF_FILES = (
    "store/",
    "pipeline/",
    "publishing/",
    "catalog/trees.py",
    "services/backup.py",
    "services/session_contents.py",
    "services/manifests.py",
    "services/next_tree.py",
    "services/header_refresh.py",
    "services/resource_zips.py",
)
"""Where `scans/.../resources/.../files` are folders, of trees and zips: only what begins as an address is one there."""
OF_LOCKS = re.compile(r"/timestamp/")
"""What names of locks have, as `P/timestamp/20240612_101112345`, and only patterns of routes besides."""


class Words:
    """The words of all routes: `heads`, by which addresses begin, and `all`."""

    def __init__(self, paths: set[str]) -> None:
        pieces = [[piece for piece in path.split("/") if piece and "{" not in piece] for path in paths]
        self.heads = {some[0] for some in pieces if some} | {"REST", "archive"}
        self.all = self.heads | {piece for some in pieces for piece in some}
        self.anywhere = re.compile(rf"""["'}}]/(?:{"|".join(map(re.escape, sorted(self.all)))})\b""")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Words:
    routes: list[Any] = list(create_app(str(tmp_path_factory.mktemp("words")), load_settings()).routes)
    inner = [getattr(one, "original_router", None) for one in routes]
    every = [[route] if router is None else router.routes for route, router in zip(routes, inner, strict=True)]
    return Words({route.path for some in every for route in some})


def begins(text: str, words: set[str]) -> bool:
    found = re.match(r"/([A-Za-z]+)(?=/|$|\?|#)", text)
    return found is not None and found[1] in words


# -- Python ------------------------------------------------------------------------------------------------------------


def in_python(source: str, words: Words, *, files: bool = False) -> Iterator[tuple[int, str]]:
    """Texts that are addresses or go on with one, by their lines; with `files` only such as begin one."""
    if not words.anywhere.search(source):  # most modules, which need not be parsed
        return
    tree = ast.parse(source)
    left = {id(node) for node in _left(tree)}
    pieces = {id(one) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for one in node.values}
    for node in ast.walk(tree):
        if id(node) in left:
            continue
        if isinstance(node, ast.JoinedStr):
            texts = [str(one.value) if isinstance(one, ast.Constant) else None for one in node.values]
            yield from ((node.lineno, text) for text in _of_fstring(texts, words, files))
        elif id(node) not in pieces and isinstance(node, ast.Constant) and isinstance(node.value, str):
            if begins(node.value, words.heads) and not re.search(r"[{ ]", node.value):
                yield node.lineno, node.value
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and isinstance(node.right, ast.Constant):
            text = str(node.right.value)
            if begins(text, words.all) and not begins(text, words.heads) and not files:
                yield node.lineno, text


def _left(tree: ast.AST) -> Iterator[ast.AST]:
    """Docstrings, and what declares routes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value
        elif isinstance(node, ast.Call) and _registers(node.func):
            for one in (*node.args, *node.keywords):
                yield from ast.walk(one)
        elif isinstance(node, ast.Tuple) and node.elts and getattr(node.elts[0], "value", None) in METHODS:
            yield from ast.walk(node)


def _registers(func: ast.expr) -> bool:
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
        return func.attr in REGISTERS and func.value.id in {"router", "routes", "app"}
    return isinstance(func, ast.Name) and func.id == "APIRouter"


def _of_fstring(texts: list[str | None], words: Words, files: bool) -> Iterator[str]:
    if any(re.search(r"\{\w+(:\w+)?\}", text or "") for text in texts):  # of routes
        return
    for at, text in enumerate(texts):
        if text is None or (at and any(" " in (one or "") for one in texts[:at])):
            continue
        if begins(text, words.heads if at == 0 else words.all) and not (files and at) and not OF_LOCKS.match(text):
            yield text


def test_python_composes_no_address(words: Words) -> None:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if name not in HOMES:
            source = path.read_text(encoding="utf-8")
            found += [(name, *one) for one in in_python(source, words, files=name.startswith(OF_FILES))]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        'path = f"/projects/{name}"',
        'path = "/projects/" + name',
        'path = "/projects"',
        'at = f"{root}/prearchive/{uuid}"',
        'at = f"{uri}/scans/{n}"',
        'at = f"{uri}{where}/resources/{label}"',
        'at = f"{settings.public_url}/api/v1/damage"',
        'at = page + "/scans/" + n',
        'short = uri.removeprefix("/data")',
        'back(request, "/activity")',
        'is_one = path.startswith(("/api/", "/data"))',
        'answer = self.ask("POST", "/api/v1/uploads")',
        'headers = {"Location": f"{root}/api/v1/imports/{uuid}"}',
        'uri = "/data/archive/projects/%s" % name',
        'uri = "".join(("/data/experiments/", name))',
    ],
)
def test_what_composes_one_in_python_is_seen(source: str, words: Words) -> None:
    assert list(in_python(source, words))


@pytest.mark.parametrize(
    "source",
    [
        '"""/api/v1/scans: what is scanned."""',
        '@router.get("/projects")\ndef f(): ...',
        'routes.put(f"{_where}/scans")(f)',
        'SCAN = "/data/experiments/{experiment}"',
        'ANSWERS = {("GET", "/api/v1/scans"): 1, ("PUT", f"{_V1}/scans"): 2}',
        'Usage("x", "Right is it.", "GET /api/v1/uploads lists them.")',
        'router = APIRouter(prefix="/api/v1")',
        'path = f"{folder}/{name}"',
        'name = f"{project}/timestamp/{stamp}"',
        'remedy = "/readyz says what is wrong."',
    ],
)
def test_what_composes_none_in_python_is_left(source: str, words: Words) -> None:
    assert not list(in_python(source, words))


# -- templates ---------------------------------------------------------------------------------------------------------


def in_template(source: str, words: Words) -> Iterator[tuple[int, str]]:
    """Addresses, and what goes on with one or with its query, in the text of a template and in its expressions."""
    behind = False
    for line, kind, value in Environment().lex(source):
        if kind == "string" and begins(value[1:-1], words.all):
            yield line, value
        if kind == "data":
            found = [one[1] for one in re.finditer(r"""[=>]["']?(/[A-Za-z]+(?=[/?#"'<]))""", value)]
            if behind:
                found += re.findall(r"\A/[A-Za-z]+(?=[/?#\"'<]|\Z)|\A(?:\?|&amp;|&)\w+=", value)
            found += re.findall(r"""=["']\?\w+=""", value)
            yield from ((line, one) for one in found if one[0] != "/" or begins(one, words.all))
        if kind != "whitespace":
            behind = kind in ("variable_end", "block_end")


def test_templates_compose_no_address(words: Words) -> None:
    found = []
    for path in sorted(PAGES.rglob("*.html")):
        found += [(path.name, *one) for one in in_template(path.read_text(encoding="utf-8"), words)]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        '<a href="{{ root }}/upload">',
        '<a href="/upload">',
        '{% set path = "/projects/" ~ name %}',
        '<a href="?image={{ at }}">',
        '{{ crumbs(root, (("Projects", "/projects"),)) }}',
        '<a href="{{ root }}{{ path }}?sort={{ name }}">',
        '<a href="{{ root }}{% if x %}/prearchive/{{ id }}{% endif %}">',
        '<img src="{{ api }}/thumbnail?tree=1">',
        '<a href="{{ x }}{% if q %}&amp;q={{ q }}{% endif %}">',
    ],
)
def test_what_composes_one_in_a_template_is_seen(source: str, words: Words) -> None:
    assert list(in_template(source, words))


def test_what_composes_none_in_a_template_is_left(words: Words) -> None:
    source = (
        '<a href="{{ root }}{{ urls.UPLOAD }}">{{ n }}/{{ m }}</a>{{ static }}/js/main.js {{ a }} / projects &amp; more'
    )
    assert not list(in_template(source, words))


# -- scripts -----------------------------------------------------------------------------------------------------------


def in_script(source: str, words: Words) -> Iterator[tuple[int, str]]:
    """Texts of a script that are addresses or go on with one."""
    for number, line in enumerate(source.splitlines(), start=1):
        for text in re.findall(r'"[^"]*"|`[^`]*`', line.partition(" // ")[0]):
            pieces = re.split(r"\$\{[^}]*\}", text[1:-1])
            if any(
                begins(piece, words.all) or (at and re.match(r"[?&]\w+=", piece)) for at, piece in enumerate(pieces)
            ):
                yield number, text


def test_scripts_compose_no_address_but_in_their_own_module(words: Words) -> None:
    found = []
    for path in sorted((PAGES / "static/js").rglob("*.js")):
        if path.name != "addresses.js":
            found += [(path.name, *one) for one in in_script(path.read_text(encoding="utf-8"), words)]
    assert found == []
    assert list(in_script((PAGES / "static/js/addresses.js").read_text(encoding="utf-8"), words))


def test_addresses_of_scripts_are_of_routes(words: Words) -> None:
    """Each is one that Python makes too: no second spelling of any."""
    text = (PAGES / "static/js/addresses.js").read_text(encoding="utf-8")
    named = re.findall(r'"(/[^"]*)"|`(/[^`]*)`', text)
    assert named
    for one in ("".join(pair) for pair in named):
        assert all("$" in piece or piece in words.all or piece == "v1" for piece in one.split("/")[1:]), one
