"""A catalog and a store for tests that build trees, in which each example has uploads and trees of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from scandock.catalog import trees
from scandock.catalog.engine import Catalog, open_catalog
from scandock.publishing import tree_plan
from scandock.publishing.tree_plan import BuiltTree, TreePlan, build_trees
from scandock.queue.leases import begin
from scandock.store.local import LocalStore
from scandock.store.paths import TreePath, parse_tree
from scandock.store.stages import LocalStage
from scandock.testing.data import copy_catalog


@dataclass
class Room:
    catalog: Catalog
    store: LocalStore
    made: int = 0

    def stage(self) -> LocalStage:
        """The stage of a new upload."""
        self.made += 1
        return self.store.begin(f"u{self.made}", "t")

    def new_name(self) -> TreePath:
        self.made += 1
        return parse_tree(f"archive/P/S{self.made}")

    def build(self, stage: LocalStage, plan: TreePlan) -> BuiltTree:
        lease = begin(self.catalog, number=stage.upload, token=stage.token, archive="a.zip", request={})
        (built,) = build_trees(self.catalog, stage, lease, [plan], lambda: None)
        return built

    def published(self, name: TreePath) -> dict[str, bytes]:
        return files_in(Path(self.store.path) / name)


def files_in(folder: Path) -> dict[str, bytes]:
    """Bytes of all files below a folder, by their paths there."""
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@contextmanager
def opened_room(folder: Path) -> Iterator[Room]:
    """One below a folder, in which three rows are all that one transaction takes."""
    copy_catalog(folder / "scandock.db")
    store = LocalStore(folder / "data")
    store.prepare()
    with pytest.MonkeyPatch.context() as patched:
        for module in (trees, tree_plan):
            patched.setattr(module, "BATCH", 3)
        catalog = open_catalog(f"sqlite:///{folder}/scandock.db")
        yield Room(catalog, store)
        catalog.dispose()
    store.close()
