"""Manifests for trees from before there were any: by a worker, beside all else that it does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from scandock.catalog.engine import Catalog
from scandock.catalog.trees import move_to_manifests, trees_without_manifests

_BATCH: Final = 50


def fill_manifests(catalog: Catalog, seconds: float, stop: Callable[[], bool]) -> bool:
    """Write manifests for about so long, each share in a short transaction; whether something is left."""
    until = time.monotonic() + seconds
    after = -1
    while True:
        with catalog.read() as connection:
            trees = trees_without_manifests(connection, after, _BATCH)
        if not trees:
            return False
        for tree_id in trees:
            is_unfinished = True
            while is_unfinished:
                with catalog.write() as connection:
                    is_unfinished = move_to_manifests(connection, tree_id)
                if stop() or time.monotonic() >= until:
                    return True
        after = trees[-1]
