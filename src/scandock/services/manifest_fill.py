"""Manifests instead of rows of files, for trees of older versions, and the upkeep of the index of objects: by a worker,
beside all else that it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from scandock.catalog.engine import Catalog
from scandock.catalog.object_index import merge_blocks
from scandock.catalog.trees import move_rows, trees_with_rows

_BATCH: Final = 50


def fill_manifests(catalog: Catalog, seconds: float, stop: Callable[[], bool]) -> bool:
    """Bring over trees and merge the index for about so long, each share in a short transaction.

    Returns whether something is left.
    """
    until = time.monotonic() + seconds

    def is_over() -> bool:
        return stop() or time.monotonic() >= until

    after = -1
    while not merge_blocks(catalog, is_over):
        with catalog.read() as connection:
            trees = trees_with_rows(connection, after, _BATCH)
        if not trees:
            return False
        for tree_id in trees:
            is_unfinished = True
            while is_unfinished:
                with catalog.write() as connection:
                    is_unfinished = move_rows(connection, tree_id)
                if is_over():
                    return True
        after = trees[-1]
    return True
