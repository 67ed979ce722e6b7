"""Data sets as bytes: the original's own where nothing was changed, and each change in its place."""

from __future__ import annotations

import struct
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, Protocol

from scandock.deidentification.errors import ValueUnfit
from scandock.formats.dicom_encoding import ITEM, ITEM_END, LONG_VRS, SEQUENCE_END, UNDEFINED, Buffer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scandock.deidentification.walking import Entry


_LONG: Final = frozenset(vr.decode() for vr in LONG_VRS)
_PACK: Final = {
    big: tuple(struct.Struct((">" if big else "<") + form).pack for form in ("HH2sH", "HH2sHI", "HHI"))
    for big in (False, True)
}
"""Heads of elements by byte order: explicit VR with a short and with a long length, implicit VR (and items)."""
_MOST: Final = 0xFFFFFFFE

_HEADS: Final[dict[tuple[bool, bool], dict[tuple[int, str, int], bytes]]] = {
    (explicit, big): {} for explicit in (False, True) for big in (False, True)
}
"""Heads of elements by (explicit, big endian), then by tag, VR and length: many objects have the same."""
_MOST_HEADS: Final = 16_384


class Changed(Protocol):
    """What is spliced: where it stands in its original, and its changes (see `data_set`)."""

    @property
    def buf(self) -> Buffer: ...
    @property
    def elements(self) -> Mapping[int, Entry]: ...
    @property
    def changes(
        self,
    ) -> Mapping[int, tuple[str, Buffer | None, Sequence[Changed] | None, bool, bytes | None] | None]: ...
    @property
    def explicit(self) -> bool: ...
    @property
    def big(self) -> bool: ...
    @property
    def start(self) -> int: ...
    @property
    def stop(self) -> int: ...
    @property
    def undefined(self) -> bool: ...
    def prove(self) -> None: ...


def splice(data_set: Changed, into: list[Buffer], tags: Sequence[int], start: int, stop: int) -> None:
    """Append the bytes of a data set from `start` to `stop`, with the changes of `tags`, which are ascending."""
    buf, elements, changes, append = data_set.buf, data_set.elements, data_set.changes, into.append
    heads = _HEADS[data_set.explicit, data_set.big]
    find_head, find_entry = heads.get, elements.get
    cursor, original = start, None
    for tag in tags:
        entry = find_entry(tag)
        if entry is not None:
            at, _, _, end = entry
            if cursor < at:
                append(buf[cursor:at])
            cursor = end
        else:
            if original is None:
                original = list(elements)
            index = bisect_left(original, tag)
            at = elements[original[index]][0] if index < len(original) else data_set.stop
            if cursor < at:
                append(buf[cursor:at])
                cursor = at
        change = changes[tag]
        if change is None:
            continue
        if change[4] is not None:
            append(change[4])
            continue
        vr, value, items, undefined, _ = change
        if value is None:
            value = encode_items(items or (), big=data_set.big)
            if len(value) > _MOST:
                raise ValueUnfit(f"The sequence ({tag >> 16:04X},{tag & 0xFFFF:04X}) is too long: {len(value)} bytes.")
        key = tag, vr, UNDEFINED if undefined else len(value)
        head = find_head(key)
        if head is None:
            head = element_head(*key, explicit=data_set.explicit, big=data_set.big)
            if len(heads) >= _MOST_HEADS:
                heads.clear()
            heads[key] = head
        append(head)
        append(value)
        if undefined:
            append(_mark(SEQUENCE_END, 0, big=items[0].big if items else data_set.big))
    if cursor < stop:
        append(buf[cursor:stop])


def encode_items(items: Iterable[Changed], *, big: bool) -> bytes:
    """The items of a sequence of a data set in this byte order, without a delimiter."""
    into: list[Buffer] = []
    for item in items:
        item.prove()
        order, changes = item.big if item.elements or item.changes else big, item.changes
        content: list[Buffer] = []
        splice(item, content, sorted(changes) if len(changes) > 1 else list(changes), item.start, item.stop)
        if item.undefined:
            into.append(_mark(ITEM, UNDEFINED, big=order))
            into += content
            into.append(_mark(ITEM_END, 0, big=order))
        else:
            into.append(_mark(ITEM, sum(map(len, content)), big=order))
            into += content
    return b"".join(into)


def encode_element(tag: int, vr: str, value: Buffer, *, undefined: bool, explicit: bool, big: bool) -> bytes:
    """An element with its value, in the encoding of its data set; that of a sequence has its items."""
    head = element_head(tag, vr, UNDEFINED if undefined else len(value), explicit=explicit, big=big)
    return b"".join((head, value, _mark(SEQUENCE_END, 0, big=big) if undefined else b""))


def element_head(tag: int, vr: str, length: int, *, explicit: bool, big: bool) -> bytes:
    """Tag, VR and length of an element, in the encoding of its data set."""
    pack_short, pack_long, pack_implicit = _PACK[big]
    if not explicit:
        return pack_implicit(tag >> 16, tag & 0xFFFF, length)
    if vr in _LONG:
        return pack_long(tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)
    return pack_short(tag >> 16, tag & 0xFFFF, vr.encode(), length)


def _mark(tag: int, length: int, *, big: bool) -> bytes:
    return _PACK[big][2](tag >> 16, tag & 0xFFFF, length)
