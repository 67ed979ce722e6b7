"""`place` of the local store: every move of a tree is a rename, and one sync of the folders ends them all."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from scandock.store import paths
from scandock.store.moves import MoveTree, PublishNew, PublishReplace, RestoreTree, TrashTree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scandock.store.handles import Stage
    from scandock.store.moves import TreeMove
    from scandock.store.paths import DataPath
    from scandock.store.trash import Trash
    from scandock.store.trees import PublishedTrees


def place(moves: Iterable[TreeMove], trees: PublishedTrees, trash: Trash) -> None:
    """See port.Store.place."""
    restored = []
    for move in moves:
        if isinstance(move, PublishNew | PublishReplace | MoveTree):
            _publish(move, trees)
        elif isinstance(move, RestoreTree):
            _restore(move, trees, trash)
            restored.append(move.trash)
        elif isinstance(move, TrashTree):
            if trees.standing(move.name, move.mark) is not False:
                trash.retire(move.name, move.trash, move.note)
                trees.prune(move.name)
        else:
            trash.retire(paths.staged_path(_stage_path(move.stage), paths.parse_rel(move.rel)), move.trash, move.note)
    trees.settle()
    for entry in restored:
        trash.discard(entry)


def _publish(move: PublishNew | PublishReplace | MoveTree, trees: PublishedTrees) -> None:
    try:
        if isinstance(move, MoveTree):
            trees.rename(move.old, move.new, move.mark)
        elif isinstance(move, PublishNew):
            trees.publish_new(_stage_path(move.stage), move.rel, move.name, move.mark)
        else:
            trees.publish_replace(_stage_path(move.stage), move.rel, move.name, move.mark)
    except FileExistsError as error:
        raise _name_taken(move.new if isinstance(move, MoveTree) else move.name) from error


def _restore(move: RestoreTree, trees: PublishedTrees, trash: Trash) -> None:
    if trees.standing(move.name, move.mark):
        trees.touched(move.name)  # whoever moved it may have died before the sync
        return
    try:
        trees.bring(trash.tree_of(move.trash), move.name)
    except FileExistsError as error:
        raise _name_taken(move.name) from error


def _name_taken(name: str) -> FileExistsError:
    return FileExistsError(errno.EEXIST, "A tree stands there", name)


def _stage_path(stage: Stage) -> DataPath:
    return paths.stage_folder(stage.upload, stage.token)
