"""What `make lint` finds beside ruff, mypy and import-linter: names that nothing uses, and circles."""

from __future__ import annotations

from pathlib import Path

import pytest
from grimp import ImportGraph

from scripts.acyclic import AcyclicContract, circles_in
from scripts.unused import unused_code, unused_of_pages

CONFIG = {"paths": ["src"], "min_confidence": 60, "ignore_names": ["model_config"], "ignore_decorators": ["@router.*"]}
PAGES = "src/scandock/web/pages"


@pytest.fixture
def source(tmp_path: Path):
    files = {
        "src/scandock/a.py": "from scandock import b\nfrom scandock.b import used\n\nused()\nb.taken()\n",
        "src/scandock/b.py": (
            "def used(): ...\n\n\ndef taken(): ...\n\n\ndef shown(): ...\n\n\ndef _itself():\n    _itself()\n\n\n"
            "LEFT = 1\n\n\n@router.get('/')\ndef answer(): ...\n"
        ),
        "src/scandock/c.py": "def used(): ...\n",
        f"{PAGES}/templates/page.html": '{% macro of(x) %}{% endmacro %}<p class="one at-{{ b.shown() }}">{{ of(1) }}',
        f"{PAGES}/templates/left.html": "{% macro alone() %}{% endmacro %}",
        f"{PAGES}/static/all.css": ":root { --a: 1; --b: 2 }\n.one { top: var(--a) } .at-home { } .two { }",
        f"{PAGES}/static/js/one.js": "export const here = 1;\nexport function left() {}\n",
        f"{PAGES}/static/js/two.js": 'import { here } from "./one.js";\n',
        "src/scandock/pages.py": 'name = "page.html"\nprint(name)\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_code_that_nothing_uses_is_named_by_the_module_it_is_in(source):
    """`used` of c is not used, though that of b is; what calls but itself is not called."""
    assert list(unused_code(source, CONFIG, frozenset())) == [
        "src/scandock/b.py:10: nothing uses _itself",
        "src/scandock/b.py:14: nothing uses LEFT",
        "src/scandock/c.py:1: nothing uses used",
    ]


def test_what_is_allowed_must_be_needed(source):
    allowed = frozenset({"_itself", "LEFT", "used", "taken", "gone"})
    assert list(unused_code(source, CONFIG, allowed)) == [
        f"scripts/unused_allowed.py: {name} is used, or is not there any more" for name in ("gone", "taken")
    ]


def test_what_no_page_has_is_named(source):
    assert [one.split(": ")[1] for one in unused_of_pages(source)] == [
        "no page is made of it", "no template uses the macro alone", "nothing has the class two",
        "nothing uses the variable --b", "no other script imports left",
    ]  # fmt: skip


def test_circles_are_found_by_their_shortest_way():
    imports = {"a": {"b", "d"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": {"a"}, "f": {"g"}, "g": set()}
    assert circles_in(imports) == [["a", "d"], ["b", "c", "a"]]
    assert circles_in({"a": {"b"}, "b": set()}) == []


def test_the_contract_tells_of_a_circle_with_its_lines():
    graph = ImportGraph()
    for module in ("scandock", "scandock.a", "scandock.b", "other"):
        graph.add_module(module)
    for importer, imported, line in (
        ("scandock.a", "scandock.b", 3),
        ("scandock.b", "other", 1),
        ("other", "scandock.b", 1),
    ):
        graph.add_import(importer=importer, imported=imported, line_number=line, line_contents="")
    contract = AcyclicContract("circles", {"root_package": "scandock"}, {"root": "scandock"})
    assert contract.check(graph, verbose=False).kept  # what others do is theirs
    graph.add_import(importer="scandock.b", imported="scandock.a", line_number=9, line_contents="")
    found = contract.check(graph, verbose=False)
    assert not found.kept
    assert found.metadata["lines"] == {"scandock.a -> scandock.b": [3], "scandock.b -> scandock.a": [9]}
