"""Paths followed through a data set: which elements they name, and the making of those that are missing.

A private step names elements by creator in the very item that they stand in, in any block and in several of one
creator. Creators themselves are named by no path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from scandock.deidentification.script.errors import ScriptFailed
from scandock.deidentification.script.syntax import (
    ANY_ITEM,
    PLAIN_PUBLIC,
    Path,
    Step,
    TagPattern,
    TagStep,
)

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet

PRIVATE: Final = 0x10000
"""The bit of a tag that private groups have."""
MOST_MADE: Final = 1_000
"""Items that one statement adds to a sequence."""
_FIRST_BLOCK, _LAST_BLOCK = 0x10, 0xFF


class Match(NamedTuple):
    """An element that a path names, and where its last step has the number of an item, that item."""

    data_set: DataSet
    tag: int
    item: int | None = None


def is_creator(tag: int) -> bool:
    """Whether a tag is that of a private creator."""
    return bool(tag & PRIVATE) and _FIRST_BLOCK <= tag & 0xFFFF <= _LAST_BLOCK


def find_matches(tops: Iterable[DataSet], paths: Iterable[Path], check_time: Callable[[], None]) -> list[Match]:
    """Every element that one of the paths names, each once, in the order of paths and tags."""
    found: dict[tuple[int, int, int | None], Match] = {}
    for path in paths:
        for top in tops:
            seen: set[tuple[int, int, bool]] = set()
            _follow(top, path.steps, 0, found, seen, check_time, starred=False)
    return list(found.values())


def _follow(
    data_set: DataSet,
    steps: tuple[Step, ...],
    index: int,
    found: dict[tuple[int, int, int | None], Match],
    seen: set[tuple[int, int, bool]],
    check_time: Callable[[], None],
    *,
    starred: bool,
) -> None:
    """Follow the steps from `index` on; `starred`: behind the first level of a `+`, which is like `*` then."""
    if (id(data_set), index, starred) in seen:
        return
    seen.add((id(data_set), index, starred))
    check_time()
    step, is_last = steps[index], index + 1 == len(steps)
    if isinstance(step, TagStep):
        for tag in find_tags(data_set, step.tag):
            if is_last:
                item = None if step.item == ANY_ITEM else step.item
                found[id(data_set), tag, item] = Match(data_set, tag, item)
                continue
            items = data_set.items(tag) or []
            if step.item is not None and step.item != ANY_ITEM:
                items = items[step.item : step.item + 1]
            for item_set in items:
                _follow(item_set, steps, index + 1, found, seen, check_time, starred=False)
        return
    if is_last:
        for tag in data_set.tags():
            if not is_creator(tag):
                found[id(data_set), tag, None] = Match(data_set, tag)
    elif step.kind == "*" or starred:
        _follow(data_set, steps, index + 1, found, seen, check_time, starred=False)
    if step.kind == "." and is_last:
        return
    for item_set in items_below(data_set):
        if step.kind == ".":
            _follow(item_set, steps, index + 1, found, seen, check_time, starred=False)
        else:
            _follow(item_set, steps, index, found, seen, check_time, starred=True)


def items_below(data_set: DataSet) -> list[DataSet]:
    """The items of every sequence of a data set."""
    return [item for tag in data_set.sequence_tags() for item in data_set.items(tag) or ()]


def find_tags(data_set: DataSet, pattern: TagPattern) -> list[int]:
    """The tags of a data set that a step names; of private ones in every block of the creator."""
    if pattern.creator is None:
        if pattern.mask == PLAIN_PUBLIC:
            return [pattern.value] if pattern.value in data_set else []
        return [tag for tag in data_set.tags() if tag & pattern.mask == pattern.value and not tag & PRIVATE]
    tags = [tag for tag in data_set.tags() if tag & PRIVATE]
    group_mask, group = pattern.mask & 0xFFFF0000, pattern.value & 0xFFFF0000
    blocks = {
        tag & 0xFFFF0000 | (tag & 0xFF) << 8
        for tag in tags
        if tag & group_mask == group and is_creator(tag) and creator_text(data_set, tag) == pattern.creator
    }
    return [tag for tag in tags if tag & 0xFFFFFF00 in blocks and tag & pattern.mask == pattern.value]


def creator_text(data_set: DataSet, tag: int) -> str:
    """The name in a private creator."""
    return (data_set.text(tag) or "").strip("\0 ")


def find_one(data_set: DataSet, path: Path) -> tuple[DataSet, int] | None:
    """The element that a singular path names, from the data set inwards; None where it, or its item, isn't there."""
    *outer, last = path.steps
    for step in outer:
        assert isinstance(step, TagStep)
        assert step.item is not None
        for tag in find_tags(data_set, step.tag):
            items = data_set.items(tag)
            if items is not None and step.item < len(items):
                data_set = items[step.item]
                break
        else:
            return None
    assert isinstance(last, TagStep)
    for tag in find_tags(data_set, last.tag):
        if last.item is None or last.item < len(data_set.items(tag) or ()):
            return data_set, tag
    return None


def make_place(data_set: DataSet, path: Path) -> tuple[DataSet, int]:
    """Where a singular path leads, with the sequences, items and private creators that are missing made on the way."""
    *outer, last = path.steps
    for step in outer:
        assert isinstance(step, TagStep)
        assert step.item is not None
        data_set = make_item(data_set, _make_tag(data_set, step.tag), step.item)
    assert isinstance(last, TagStep)
    return data_set, _make_tag(data_set, last.tag)


def make_item(data_set: DataSet, tag: int, number: int) -> DataSet:
    """An item of a sequence, made where it is missing with those before it."""
    items = data_set.items(tag) if tag in data_set else []
    if items is None:
        if data_set.value(tag):
            raise ScriptFailed("a path leads through an element that is no sequence")
        items = []
    missing = number + 1 - len(items)
    if missing > MOST_MADE:
        raise ScriptFailed(f"a path makes more than {MOST_MADE:,} items")
    if missing > 0:
        items = [*items, *(data_set.new_item() for _ in range(missing))]
        data_set.set_items(tag, items)
    return items[number]


def _make_tag(data_set: DataSet, pattern: TagPattern) -> int:
    """The tag of a plain step. For a private one whose creator is missing, the first free block gets its creator."""
    if pattern.creator is None:
        return pattern.value
    found = find_tags(data_set, pattern)
    if found:
        return found[0]
    group, element = pattern.value & 0xFFFF0000, pattern.value & 0xFF
    taken: set[int] = set()
    for tag in data_set.tags():
        if tag & 0xFFFF0000 != group:
            continue
        if is_creator(tag):
            if creator_text(data_set, tag) == pattern.creator:
                return group | (tag & 0xFF) << 8 | element
            taken.add(tag & 0xFF)
        else:
            taken.add(tag >> 8 & 0xFF)
    block = next((number for number in range(_FIRST_BLOCK, _LAST_BLOCK + 1) if number not in taken), None)
    if block is None:
        raise ScriptFailed("a private group has no free block")
    data_set.set_text(group | block, pattern.creator, "LO")
    return group | block << 8 | element
