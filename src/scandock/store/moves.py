"""What `Store.place` does with trees: each is one move, named with the mark of the tree that is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scandock.store.handles import Stage
    from scandock.store.paths import RelPath, TreePath
    from scandock.store.records import Mark


class PublishNew(NamedTuple):
    """A staged tree gets a name that is free; FileExistsError, with the name, where it is not."""

    stage: Stage
    rel: RelPath
    name: TreePath
    mark: Mark


class PublishReplace(NamedTuple):
    """A staged tree takes the name of another, which is in the stage at `rel` then; where none is, as `PublishNew`."""

    stage: Stage
    rel: RelPath
    name: TreePath
    mark: Mark


class MoveTree(NamedTuple):
    """A published tree gets another name; FileExistsError as `PublishNew`, FileNotFoundError."""

    old: TreePath
    new: TreePath
    mark: Mark


class TrashTree(NamedTuple):
    """A published tree goes to the trash, under an id of `Store.new_trash_id`; nothing where none, or another, is."""

    name: TreePath
    mark: Mark
    trash: str
    note: Mapping[str, object]


class TrashStaged(NamedTuple):
    """What is in a stage at `rel` goes to the trash, as what a `PublishReplace` took out; nothing where nothing is."""

    stage: Stage
    rel: RelPath
    trash: str
    note: Mapping[str, object]


class RestoreTree(NamedTuple):
    """A tree in the trash gets a name that is free; FileExistsError as `PublishNew`, FileNotFoundError."""

    trash: str
    name: TreePath
    mark: Mark


TreeMove = PublishNew | PublishReplace | MoveTree | TrashTree | TrashStaged | RestoreTree
