"""A DICOM object as a tree that can be changed: elements by tag, items below them.

What has not been changed is where it stood; changes are kept beside it, and `encoding` puts both together. Sequences of
defined length are walked when somebody asks for their items, at the latest by the encoding: ObjectUnreadable then where
they can't be walked to their end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import ref

from scandock.deidentification import texts
from scandock.deidentification.dictionary import UNKNOWN, dictionary_vr
from scandock.deidentification.errors import ObjectUnreadable, ValueUnfit
from scandock.deidentification.splicing import encode_element, encode_items
from scandock.deidentification.walking import Budget, Entry, Walked, walk_items, walk_unknown
from scandock.formats.dicom_encoding import (
    BIG,
    LITTLE,
    LONG_VRS,
    SHORT_VRS,
    UNDEFINED,
    Buffer,
    DeclinedError,
)
from scandock.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from scandock.deidentification.slow_path import SlowElement, SlowItem

_NAMES: Final = {
    big: {int.from_bytes(vr, "big" if big else "little"): vr.decode() for vr in SHORT_VRS + LONG_VRS}
    for big in (False, True)
}
_IMPLICIT: Final = {0: ""}
_LONG: Final = frozenset(vr.decode() for vr in LONG_VRS)
_NUL_PADDED: Final = texts.BINARY | {"UI"}
MOST_SHORT: Final = 65_534
"""Most bytes of a value whose VR has a length of two bytes."""
_SEQUENCES: Final = frozenset({"SQ", UNKNOWN})
_ITEMS: Final = frozenset({b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00"})
_MOST_LONG: Final = 0xFFFFFFFE
_PLAIN: Final = re.compile(rb"[ -~]*\0?")
_CHARACTER_SET: Final = 0x00080005
_LONGEST_CHARACTER_SET: Final = 1_024
"""Bytes of SpecificCharacterSet, which has some values of 16: what is made of it is kept for later objects."""
_PIXEL_REPRESENTATION: Final = 0x00280103


Change = tuple[str, Buffer | None, "list[DataSet] | None", bool, bytes | None]
"""What stands in the place of an element: its VR, a value or else items, and whether its length is undefined.

Behind these the element as it is written, where that is known already. A plain tuple, as an object has many.
"""


class DataSet:
    """The elements of a data set, or of an item of a sequence. See the module; changes go through its methods alone."""

    __slots__ = (
        *("__weakref__", "_parent", "big", "budget", "buf", "candidates", "changes", "elements", "explicit"),
        *("level", "nested", "order", "pixels", "raw", "reads", "sequences", "start", "stop", "tag", "undefined"),
    )

    def __init__(
        self, walked: Walked, buf: Buffer, budget: Budget, parent: DataSet | None = None, tag: int = 0
    ) -> None:
        self.buf = buf
        self.budget = budget
        self._parent = ref(parent) if parent is not None else None
        self.tag = tag
        """Of the sequence in the parent that this is an item of."""
        self.level: int = 0 if parent is None else parent.level + 1
        self.order = walked.order
        self.explicit = walked.explicit
        self.big = walked.order.big
        self.start = walked.start
        self.stop = walked.stop
        self.undefined = walked.undefined
        """Of an item: its length is written as undefined."""
        self.elements: dict[int, Entry] = walked.elements
        self.sequences: list[int] = walked.sequences
        """Tags of SQ and UN where they are written so, of the original."""
        self.candidates: list[int] | None = None
        """Tags of what may be sequences of the original in implicit VR, once they were looked for."""
        self.nested: dict[int, list[DataSet]] = {}
        self.changes: dict[int, Change | None] = {}
        """By tag: what stands there now, None where it was removed."""
        self.raw: tuple[int, ...] = ()
        """Tags of sequences that were made as bytes, which nobody may have walked."""
        self.pixels: Pixels | None = None
        self.reads: set[int] | None = None
        """Where it is noted whose values and items were asked for, if somebody wants to know."""
        if walked.nested:
            self.nested = {
                number: [DataSet(item, buf, budget, self, number) for item in items]
                for number, items in walked.nested.items()
            }

    @property
    def parent(self) -> DataSet | None:
        """What this is an item of; None for the data set of an object, which has to be kept as long as its items are.

        Held weakly, so that an object's bytes go with it at once, and need no collector of garbage.
        """
        return self._parent() if self._parent is not None else None

    def __contains__(self, tag: int) -> bool:
        if tag in self.changes:
            return self.changes[tag] is not None
        return tag in self.elements

    def __iter__(self) -> Iterator[int]:
        return iter(self.tags())

    def __len__(self) -> int:
        return len(self.tags()) if self.changes else len(self.elements)

    def __bool__(self) -> bool:
        """Whether there is any element."""
        changes = self.changes
        return any(change is not None for change in changes.values()) or not changes.keys() >= self.elements.keys()

    def tags(self) -> list[int]:
        """The tags, ascending."""
        if not self.changes:
            return list(self.elements)
        changes = self.changes
        kept = [tag for tag in self.elements if tag not in changes]
        kept += [tag for tag, change in changes.items() if change is not None]
        kept.sort()
        return kept

    def vr(self, tag: int) -> str:
        """The VR as it is written; in implicit VR that of the dictionary. KeyError where there is no such element."""
        if tag in self.changes:
            change = self.changes[tag]
            if change is None:
                raise KeyError(tag)
            return change[0]
        if self.explicit:
            return _NAMES[self.big][self.elements[tag][1]]
        if tag not in self.elements:
            raise KeyError(tag)
        return self.default_vr(tag)

    @property
    def vr_names(self) -> Mapping[int, str]:
        """VRs by the numbers that the entries of elements have for them; of implicit VR the empty text."""
        return _NAMES[self.big] if self.explicit else _IMPLICIT

    def default_vr(self, tag: int) -> str:
        """The VR of the dictionary, one of its alternatives where it has several."""
        vr = dictionary_vr(tag)
        if len(vr) == 2:
            return vr
        if "OW" in vr:
            return "OW"
        return "SS" if self._is_signed() else "US"

    def _is_signed(self) -> bool:
        data_set: DataSet | None = self
        while data_set is not None:
            if _PIXEL_REPRESENTATION in data_set:
                return data_set.value(_PIXEL_REPRESENTATION)[:2] in {b"\1\0", b"\0\1"}
            data_set = data_set.parent
        return False

    def value(self, tag: int) -> bytes:
        """The raw value with its padding; of a sequence and of encapsulated pixel data the bytes of all items.

        KeyError where there is no such element.
        """
        if self.reads is not None:
            self.reads.add(tag)
        if tag in self.changes:
            change = self.changes[tag]
            if change is None:
                raise KeyError(tag)
            if change[1] is not None:
                return bytes(change[1])
            return encode_items(change[2] or (), big=self.big)
        _, vr, start, end = self.elements[tag]
        if vr in self.order.short:  # of explicit VR
            return bytes(self.buf[start:end])
        if self.pixels is not None and self.pixels.tag == tag:
            return self.pixels.read()
        if self.is_undefined(start):
            end -= 8
        return bytes(self.buf[start:end])

    def values(self, tags: Iterable[int]) -> list[bytes | None]:
        """The raw values of several elements, as `value` has them; None for those that are not there."""
        changes, find, buf, short = self.changes, self.elements.get, self.buf, self.order.short
        if self.reads is not None:
            tags = tuple(tags)
            self.reads.update(tags)
        values: list[bytes | None] = []
        for tag in tags:
            entry = find(tag)
            if tag in changes or (entry is not None and entry[1] not in short):
                values.append(self.value(tag) if tag in self else None)
            else:
                values.append(bytes(buf[entry[2] : entry[3]]) if entry is not None else None)
        return values

    def has_any(self, tags: frozenset[int]) -> bool:
        """Whether one of the elements is there."""
        if not self.changes.keys().isdisjoint(tags):
            return any(tag in self for tag in tags)
        return not self.elements.keys().isdisjoint(tags)

    def size(self, tag: int) -> int:
        """How many bytes a value has, padding and delimiters included; nothing is read or encoded for it but items."""
        if self.reads is not None:
            self.reads.add(tag)
        if tag in self.changes:
            change = self.changes[tag]
            if change is None:
                raise KeyError(tag)
            return len(self.value(tag) if change[1] is None else change[1])
        if self.pixels is not None and self.pixels.tag == tag:
            return self.pixels.place.end - self.pixels.place.start
        _, _, start, end = self.elements[tag]
        return end - start

    def is_undefined(self, start: int) -> bool:
        """Whether the value at `start`, of a VR with a length of four bytes, is of undefined length."""
        return self.order.length(self.buf, start - 4)[0] == UNDEFINED

    def items(self, tag: int) -> list[DataSet] | None:
        """The items of a sequence, also of one that is written as UN; None where the element is no sequence.

        The list itself is not to be changed. KeyError where there is no such element, ObjectUnreadable where its items
        can't be walked.
        """
        if tag in self.nested and tag not in self.changes:
            return self.nested[tag]
        vr = self.vr(tag)
        if vr not in _SEQUENCES:
            return None
        if self.reads is not None:
            self.reads.add(tag)
        change = self.changes.get(tag)
        if change is None:
            _, _, start, end = self.elements[tag]
            return self._walk_items(tag, vr, self.buf, start, end)
        _, value, items, _, _ = change
        return self._walk_items(tag, vr, value, 0, len(value)) if value is not None else items

    def plain_items(self, tag: int) -> list[DataSet]:
        """The items of a sequence, none of any other element, as our own walker reads them, else DeclinedError.

        Nothing is changed by that, so whoever removes the element needs not read it. KeyError.
        """
        if self.reads is not None:
            self.reads.add(tag)
        if tag in self.nested and tag not in self.changes:
            return self.nested[tag]
        vr, change, buf = self.vr(tag), self.changes.get(tag), self.buf
        if vr not in _SEQUENCES:
            return []
        if change is None:
            _, _, start, end = self.elements[tag]
        elif change[1] is None:
            return change[2] or []
        else:
            buf, start, end = change[1], 0, len(change[1])
        items = self._walk_plainly(tag, vr, buf, start, end)
        if change is None and items is not None:
            self.nested[tag] = items
        return items or []

    def sequence_tags(self) -> list[int]:
        """The tags of all elements that may have items (SQ and UN), ascending; the others have none."""
        tags = self.sequences if self.explicit else self._candidates()
        if not self.changes:
            return tags
        changed = [tag for tag, change in self.changes.items() if change is not None and change[0] in _SEQUENCES]
        return sorted({tag for tag in tags if tag not in self.changes} | set(changed))

    def _candidates(self) -> list[int]:
        """The original elements of implicit VR that may be sequences: known as one, or unknown and with an item."""
        if self.candidates is None:
            self.candidates = []
            for tag, (_, _, start, end) in self.elements.items():
                vr = dictionary_vr(tag)
                if vr == "SQ" or (vr == UNKNOWN and _begins_with_item(self.buf, start, end)):
                    self.candidates.append(tag)
        return self.candidates

    def _walk_items(self, tag: int, vr: str, buf: Buffer, start: int, end: int) -> list[DataSet] | None:
        """The items in [start, end) of a buffer, from now on known; None where UN does not begin with one."""
        try:
            items = self._walk_plainly(tag, vr, buf, start, end)
        except DeclinedError:
            items = self._read_items_slowly(tag, vr, buf, start, end)
            self._change(tag, (vr, None, items, False, None))
            return items
        if items is not None:
            change = self.changes.get(tag)
            if change is not None:
                self.changes[tag] = vr, None, items, change[3], None
            else:
                self.nested[tag] = items
        return items

    def _walk_plainly(self, tag: int, vr: str, buf: Buffer, start: int, end: int) -> list[DataSet] | None:
        """The same, known to nobody: DeclinedError where only pydicom might read them."""
        if vr == UNKNOWN and not _begins_with_item(buf, start, end):
            return None
        walk, level = walk_items if vr == "SQ" else walk_unknown, self.level + 1
        walked = walk(buf, start, end, self.order, self.budget, level, explicit=self.explicit)
        return [DataSet(item, buf, self.budget, self, tag) for item in walked]

    def _read_items_slowly(self, tag: int, vr: str, buf: Buffer, start: int, end: int) -> list[DataSet]:
        from scandock.deidentification.slow_path import read_items

        explicit, big = (self.explicit, self.big) if vr == "SQ" else (False, False)
        try:
            found = read_items(buf, start, end, explicit=explicit, big=big)
            return [self._slow_item(item, tag) for item in found]
        except DeclinedError as declined:
            raise ObjectUnreadable(f"The items of {tag_text(tag)} can't be read: {declined}.") from None

    def _slow_item(self, found: SlowItem, tag: int) -> DataSet:
        order = BIG if found.big else LITTLE
        item = DataSet(Walked({}, {}, [], 0, 0, 0, order, found.explicit, found.undefined), b"", self.budget, self, tag)
        item.add_slowly(found.elements)
        return item

    def add_slowly(self, found: Sequence[SlowElement]) -> None:
        """Enter elements that pydicom has read; DeclinedError where one can't be written again."""
        self.budget.spend(len(found) + 1)
        for tag, vr, value, items, undefined in found:
            if items is not None:
                self.changes[tag] = vr, None, [self._slow_item(item, tag) for item in items], undefined, None
            elif undefined:
                self.changes[tag] = vr, value, None, undefined, None
            elif vr in _SEQUENCES:
                # Items with an element of odd length make a value of odd length: padding comes as they are read.
                has_items = vr == "SQ" or _begins_with_item(value, 0, len(value))
                self.changes[tag] = vr, value if has_items else self._padded(tag, vr, value), None, False, None
                self.raw += (tag,)
            else:
                self.changes[tag] = vr, self._padded(tag, vr, value), None, False, None

    def set_value(self, tag: int, vr: str, value: bytes) -> None:
        """Make or replace an element; a value of odd length is padded. ValueUnfit where it is too long for its VR."""
        if vr in _SEQUENCES:
            self.raw += (tag,)
        self._change(tag, (vr, self._padded(tag, vr, value), None, False, None))

    def replacement(self, tag: int, vr: str, value: bytes) -> Change:
        """What takes the place of an element, for `change_all`; a value of odd length is padded, as by `set_value`."""
        if len(value) & 1 or len(value) > MOST_SHORT:
            value = self._padded(tag, vr, value)
        return vr, value, None, False, None

    def change_all(self, changes: Mapping[int, Change | None]) -> None:
        """Make or replace elements whose bytes need no look into, and remove those of None of the original."""
        if changes:
            self.changes.update(changes)
            self._mark_parents()

    def as_written(self, tag: int, change: Change) -> Change | None:
        """The same as bytes; None where items are of another byte order than their sequence."""
        vr, value, items, undefined, _ = change
        if value is None:
            items = items or []
            if any(item.big != self.big for item in items):
                return None
            value = encode_items(items, big=self.big)
        written = encode_element(tag, vr, value, undefined=undefined, explicit=self.explicit, big=self.big)
        return vr, value, None, undefined, written

    def _padded(self, tag: int, vr: str, value: bytes) -> bytes:
        if len(value) & 1:
            value += b"\0" if vr in _NUL_PADDED else b" "
        if len(value) > (_MOST_LONG if vr in _LONG or not self.explicit else MOST_SHORT):
            raise ValueUnfit(f"The value of {tag_text(tag)} is too long: {len(value)} bytes.")
        return value

    def set_items(self, tag: int, items: Iterable[DataSet]) -> None:
        """Make or replace a sequence; its items are ones of `new_item`, or of the same sequence."""
        items = list(items)
        undefined, vr = False, "SQ"
        if tag in self and self.items(tag) is not None:
            undefined, vr = self._written_undefined(tag), self.vr(tag)
        model = next((item for item in items if item.elements), None)
        if model is None:
            vr = "SQ"
        for item in items:
            item._parent, item.tag = ref(self), tag  # noqa: SLF001 - of its own class
            if not item.elements:
                item.write_like(model or self)
        self._change(tag, (vr, None, items, undefined, None))

    def _written_undefined(self, tag: int) -> bool:
        change = self.changes.get(tag)
        return change[3] if change is not None else self.is_undefined(self.elements[tag][2])

    def write_like(self, other: DataSet) -> None:
        """Be written in the encoding of another data set; for one that is all new."""
        if (self.explicit, self.big) == (other.explicit, other.big):
            return
        if self.changes and self.big != other.big:
            raise ValueUnfit(f"An item of {tag_text(self.tag)} is of another byte order than its data set.")
        self.explicit, self.big, self.order = other.explicit, other.big, other.order
        self.changes = {tag: change and (*change[:4], None) for tag, change in self.changes.items()}
        for change in self.changes.values():
            for item in (change[2] or []) if change is not None else []:
                item.write_like(other)

    def new_item(self) -> DataSet:
        """An empty item, for `set_items` of this data set."""
        return DataSet(Walked({}, {}, [], 0, 0, 0, self.order, self.explicit), b"", self.budget, self)

    def remove(self, tag: int) -> None:
        """Remove an element, if it is there."""
        if tag in self.elements:
            self._change(tag, None)
        elif tag in self.changes:
            del self.changes[tag]

    def _change(self, tag: int, change: Change | None) -> None:
        self.changes[tag] = change
        self._mark_parents()

    def _mark_parents(self) -> None:
        """Enter in what this stands in that it has changed."""
        data_set = self
        while (parent := data_set.parent) is not None:
            tag = data_set.tag
            if tag in parent.changes or tag not in parent.nested:
                return  # it says so already, or the item does not stand anywhere yet
            undefined = parent.is_undefined(parent.elements[tag][2])
            parent.changes[tag] = parent.vr(tag), None, parent.nested[tag], undefined, None
            data_set = parent

    @property
    def character_set(self) -> bytes:
        """The raw SpecificCharacterSet (0008,0005) in force here: its own, or that of what it stands in.

        ObjectUnreadable where it is far too long to be one.
        """
        data_set: DataSet | None = self
        while data_set is not None:
            if _CHARACTER_SET in data_set:
                value = data_set.value(_CHARACTER_SET)
                if len(value) > _LONGEST_CHARACTER_SET:
                    raise _unreadable_character_set()
                return value
            data_set = data_set.parent
        return b""

    def texts(self, tag: int) -> list[str]:
        """The values of an element as texts; [] where it is empty, absent or a sequence."""
        if tag not in self:
            return []
        vr = self._meaning(tag, self.vr(tag))
        return texts.decode(self.value(tag), vr, self.character_set, big=self.big) if vr != "SQ" else []

    def meant_vr(self, tag: int) -> str:
        """The VR by which an element is read; KeyError where there is no such element."""
        return self._meaning(tag, self.vr(tag))

    def _meaning(self, tag: int, vr: str) -> str:
        """The VR by which a value is read and made: that of the dictionary for UN of a known element."""
        if vr != UNKNOWN or tag & 0x10000:
            return vr
        known = self.default_vr(tag)
        return known if known != "SQ" else vr

    def text(self, tag: int) -> str | None:
        """The values of an element joined by backslashes; None where it is absent, "" where it is empty."""
        return "\\".join(self.texts(tag)) if tag in self else None

    def is_decodable(self, tag: int) -> bool:
        """Whether the bytes of an element's text are all of the character set in force."""
        return texts.is_decodable(self.value(tag), self._meaning(tag, self.vr(tag)), self.character_set)

    def set_text(self, tag: int, text: str, vr: str | None = None) -> None:
        """Make or replace an element by its text; `vr` is that there, else the dictionary's.

        A sequence is made empty, whatever the text. ValueUnfit where the VR or the character set can't hold it.
        """
        if vr is None:
            vr = self.vr(tag) if tag in self else self.default_vr(tag)
        if vr == "SQ":
            self.set_items(tag, [])
            return
        try:
            value = texts.encode(text, self._meaning(tag, vr), self.character_set, big=self.big)
        except ValueUnfit as unfit:
            raise ValueUnfit(f"{tag_text(tag)}: {unfit.message}") from None
        self.set_value(tag, vr, value)

    def walk(self) -> Iterator[tuple[DataSet, int]]:
        """Every element at all depths, as (data set, tag), parents before their children.

        What is removed while it is walked is not walked into.
        """
        for tag in self.tags():
            if tag not in self:
                continue
            yield self, tag
            if tag in self:
                for item in self.items(tag) or ():
                    yield from item.walk()

    def prove(self) -> None:
        """Walk the sequences that nobody has looked into: what goes along unchanged is read to its end, too.

        A character set that is no text is a reason to fail: nobody can say what the others mean.
        """
        changes, nested = self.changes, self.nested
        if (_CHARACTER_SET in self.elements or _CHARACTER_SET in changes) and not self._has_plain_character_set():
            raise _unreadable_character_set()
        for tag in self.sequences if self.explicit else self._candidates():
            if tag not in changes:
                for item in nested.get(tag) or self.items(tag) or ():
                    item.prove()
        for tag in self.raw:
            if tag in self:
                self.items(tag)

    def _has_plain_character_set(self) -> bool:
        """Whether SpecificCharacterSet, if there is one, can name character sets at all."""
        if _CHARACTER_SET not in self:
            return True
        return self.vr(_CHARACTER_SET) in {"CS", UNKNOWN} and _PLAIN.fullmatch(self.value(_CHARACTER_SET)) is not None


def _unreadable_character_set() -> ObjectUnreadable:
    return ObjectUnreadable(f"The character set {tag_text(_CHARACTER_SET)} can't be read.")


def _begins_with_item(buf: Buffer, start: int, end: int) -> bool:
    return end - start >= 8 and bytes(buf[start : start + 4]) in _ITEMS


class Range(NamedTuple):
    """Bytes of the original object that are passed on as they are."""

    start: int
    end: int


PixelEdit = Callable[[bytearray, int], None]
"""Changes a piece of native pixel data in place, which stands at an offset of all: see `Pixels.pieces`."""
_PIECE: Final = 4 * 1024 * 1024


class Pixels(NamedTuple):
    """The top-level pixel data: where it stands in the original (a delimiter included), and how its bytes are had."""

    tag: int
    place: Range
    read_range: Callable[[int, int], Buffer]
    is_encapsulated: bool
    is_odd: bool = False
    """Its length is odd: it is written with a NUL behind it."""
    edits: tuple[PixelEdit, ...] = ()
    """What changes it as it is read, so that it never is in memory as a whole."""

    def read(self) -> bytes:
        """The value, without a delimiter, padded."""
        if self.edits:
            value = b"".join(self.pieces())
        else:
            value = bytes(self.read_range(self.place.start, self.place.end - (8 if self.is_encapsulated else 0)))
        return value + b"\0" if self.is_odd else value

    def pieces(self) -> Iterator[bytearray]:
        """Native pixel data with its edits, without padding; a piece begins at a multiple of 4 MB."""
        start, end = self.place
        for at in range(start, end, _PIECE):
            piece = bytearray(self.read_range(at, min(at + _PIECE, end)))
            size = len(piece)
            for edit in self.edits:
                edit(piece, at - start)
            if len(piece) != size:
                raise ValueError("an edit of pixels that changes their number")
            yield piece


class EditedPixels:
    """The pixel data of an object as it is written: read and edited by pieces, each time anew."""

    __slots__ = ("_pixels",)

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels

    def __len__(self) -> int:
        return self._pixels.place.end - self._pixels.place.start

    def __iter__(self) -> Iterator[bytearray]:
        return self._pixels.pieces()

    def __bytes__(self) -> bytes:
        return b"".join(self)


@dataclass(slots=True)
class DicomObject:
    """One object: its preamble, meta information and data set."""

    preamble: bool
    preamble_bytes: bytes
    """128 bytes, or none where there is no preamble; may be replaced."""
    meta: DataSet | None
    data: DataSet
    transfer_syntax: str
    """As the meta information says, "" where it does not."""
    original: Buffer
    """The bytes that were given; the whole object unless it was read by ranges."""
    pixels: Pixels | None = None
    deflated: bool = False
    trailing: int = 0
    """Bytes behind the data set, which are never written."""
    whole: bool = True
    """Whether `original` is the whole object, so that its pixels are passed on as a slice of it."""
    compressed: Range | None = None
    """Where the deflated data set stands in the original, with nothing behind it."""


def tag_text(tag: int) -> str:
    """A tag as people write it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
