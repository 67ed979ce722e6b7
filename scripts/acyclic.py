"""A contract for import-linter (pyproject.toml): no circles between modules, by whatever imports.

Imports within functions and those for type checking count, since a circle that only they close is one for who reads:
none of its modules can be understood, moved or taken out without the others. `acyclic_siblings`, which import-linter
has, is about packages, and of these a layer's may well know each other.
"""

from __future__ import annotations

import itertools

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class AcyclicContract(Contract):
    """`root`: the package in which no module leads back to itself."""

    root = fields.StringField()

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002  import-linter's own
        root = str(self.root)
        ours = {module for module in graph.modules if module == root or module.startswith(f"{root}.")}
        circles = circles_in({module: graph.find_modules_directly_imported_by(module) & ours for module in ours})
        lines = {
            f"{importer} -> {imported}": sorted(
                one["line_number"] for one in graph.get_import_details(importer=importer, imported=imported)
            )
            for circle in circles
            for importer, imported in itertools.pairwise([*circle, circle[0]])
        }
        return ContractCheck(kept=not circles, metadata={"circles": circles, "lines": lines})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for circle in check.metadata["circles"]:
            for importer, imported in itertools.pairwise([*circle, circle[0]]):
                step = f"{importer} -> {imported}"
                output.print_error(f"{step} (line {', '.join(map(str, check.metadata['lines'][step]))})", bold=False)
            output.new_line()


def circles_in(imports: dict[str, set[str]]) -> list[list[str]]:
    """A shortest circle through each module that is on one, modules of circles named before left out."""
    circles: list[list[str]] = []
    named: set[str] = set()
    for module in sorted(imports):
        if module not in named and (circle := _shortest_back(module, imports)):
            circles.append(circle)
            named.update(circle)
    return circles


def _shortest_back(start: str, imports: dict[str, set[str]]) -> list[str]:
    paths = {start: [start]}
    waiting = [start]
    for module in waiting:
        for other in sorted(imports.get(module, ())):
            if other == start:
                return paths[module]
            if other not in paths:
                paths[other] = [*paths[module], other]
                waiting.append(other)
    return []
