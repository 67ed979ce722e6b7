"""Private elements: all of them gone, or all but some."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from scandock.deidentification.script.syntax import Path
from scandock.deidentification.script.tag_paths import PRIVATE, find_matches, is_creator, items_below

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet

Kept = dict[tuple[int, int], "set[int | None]"]
"""By data set and tag: the numbers of the items that stay, None for the whole element."""
_NONE: Final[set[int | None]] = set()


def remove_private(data_set: DataSet, check_time: Callable[[], None]) -> None:
    """Remove every element of an odd group at all depths, creators and what has no creator too."""
    check_time()
    for tag in data_set.tags():
        if tag & PRIVATE:
            data_set.remove(tag)
    for item in items_below(data_set):
        remove_private(item, check_time)


def retain_private(data_set: DataSet, paths: Iterable[Path], check_time: Callable[[], None]) -> None:
    """Remove every private element but those at or below the paths, with the creators that these need.

    What stands in a private sequence counts as private. Private items and sequences that are left empty go.
    """
    kept: Kept = {}
    for match in find_matches((data_set,), paths, check_time):
        kept.setdefault((id(match.data_set), match.tag), set()).add(match.item)
    _retain(data_set, kept, check_time, in_private=False)


def _retain(data_set: DataSet, kept: Kept, check_time: Callable[[], None], *, in_private: bool) -> bool:
    """Whether anything that a path names is left in a data set, or below it."""
    check_time()
    is_any_left = False
    needed: set[int] = set()
    tags = data_set.tags()
    for tag in tags:
        is_private = in_private or bool(tag & PRIVATE)
        named = kept.get((id(data_set), tag), _NONE)
        if None in named:
            is_left = True
        elif is_creator(tag):
            continue
        else:
            is_left = _retain_items(data_set, tag, kept, named, check_time, in_private=is_private)
            if is_private and not is_left:
                data_set.remove(tag)
        if is_left:
            is_any_left = True
            if tag & PRIVATE:
                needed.add(tag & 0xFFFF0000 | tag >> 8 & 0xFF)
    for tag in tags:
        if is_creator(tag) and tag not in needed and (id(data_set), tag) not in kept:
            data_set.remove(tag)
    return is_any_left


def _retain_items(
    data_set: DataSet,
    tag: int,
    kept: Kept,
    named: set[int | None],
    check_time: Callable[[], None],
    *,
    in_private: bool,
) -> bool:
    """Whether anything is left in the items of an element; those that are named stay as they are."""
    items = data_set.items(tag) or []
    left = [
        item
        for number, item in enumerate(items)
        if number in named or _retain(item, kept, check_time, in_private=in_private)
    ]
    if in_private and left and len(left) < len(items):
        data_set.set_items(tag, left)
    return bool(left)
