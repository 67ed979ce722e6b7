"""Objects in the DICOM JSON model (PS3.18 Annex F): all elements but bulk data, which is named by an address.

An element's address is its path, as `00081115/1/00281203`, behind `BULK`, in which whoever answers puts the object's
own: nothing else of a text looks like it, as a quotation mark within a value is escaped. Texts are decoded by the
character sets of their object or item, by the decoder that imports use; what can't be decoded becomes replacement
marks, never an error.
"""

from __future__ import annotations

import re
import struct
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring
from math import isfinite
from typing import Any, Final, Protocol, Self

from scandock.deidentification.dictionary import UNKNOWN, dictionary_vr, private_dictionary_vr
from scandock.formats.dicom_charset import decode_text

BULK: Final = '"BulkDataURI":"@'
"""How an element's address begins until the object's own is known."""
INLINE_BYTES: Final = 1024
"""Of a binary value; a longer one is bulk data."""
PIXELS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
MAX_DEPTH: Final = 64

_CHARSET: Final = 0x00080005
_SYNTAX: Final = 0x00083002
_SIGNED: Final = 0x00280103
_PADDING: Final = 0xFFFCFFFC
BINARY: Final = {"OB": 1, "OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8, "UN": 1}
"""Bytes of a value's units, which are turned in big-endian data."""
NUMBERS: Final = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
_UNSPLIT: Final = frozenset({"LT", "ST", "UT", "UR"})
"""VRs of one value, in which a backslash is a sign as any other."""
_LEADING: Final = frozenset({"LT", "ST", "UT", "UC"})
"""VRs whose leading spaces mean something."""
_CODED: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""VRs whose bytes are in the object's character sets."""
_TEXTS: Final = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"}) | _CODED
_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,40})?")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_EXACT: Final = 1 << 53
"""Whole numbers beyond it are no longer exact in JSON's readers."""
_UTF8: Final = '{"vr":"CS","Value":["ISO_IR 192"]}'
_KEPT_BYTES: Final = 512
"""Of a value that is remembered with its JSON: most elements of a series are alike."""
_KEPT: Final = 20_000
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")


class Node(Protocol):
    """A data set or an item, whoever has read it."""

    def tags(self) -> Sequence[int]:
        """The tags of its elements."""

    def vr(self, tag: int) -> str:
        """The VR as it is written, or that of the dictionary where none is."""

    def value(self, tag: int) -> bytes:
        """The raw value."""

    def items(self, tag: int) -> Sequence[Self] | None:
        """The items of a sequence; None of what is none."""

    def __contains__(self, tag: int) -> bool: ...

    @property
    def big(self) -> bool:
        """Whether it is big endian."""


class JsonEncoder:
    """Makes JSON of the objects of a series, and remembers the elements that they have in common."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], str] = {}

    def encode(self, node: Node, *, syntax: str = "", pixels: Mapping[int, str] | None = None) -> str:
        """A data set; `syntax` is told as that in which it is stored, `pixels` are tag and VR of pixel data."""
        parts = {_CHARSET: f'"00080005":{_UTF8}'}
        if syntax:
            parts[_SYNTAX] = f'"00083002":{{"vr":"UI","Value":[{encode_basestring(syntax)}]}}'
        for tag, vr in (pixels or {}).items():
            parts[tag] = f'"{tag:08X}":{{"vr":"{vr}",{BULK}{tag:08X}"}}'
        self._add_elements(parts, node, b"", 0, "")
        return "{" + ",".join(parts[tag] for tag in sorted(parts)) + "}"

    def _item(self, node: Node, charset: bytes, depth: int, path: str) -> str:
        parts: dict[int, str] = {}
        self._add_elements(parts, node, charset, depth, path)
        return "{" + ",".join(parts[tag] for tag in sorted(parts)) + "}"

    def _add_elements(self, parts: dict[int, str], node: Node, charset: bytes, depth: int, path: str) -> None:
        """Add the elements of a data set or an item; `path` leads to it, `charset` is that of what it stands in."""
        if _CHARSET in node:
            charset = node.value(_CHARSET)[:_KEPT_BYTES]
            parts[_CHARSET] = f'"00080005":{_UTF8}'
        big, known = node.big, self._known
        for tag in node.tags():
            if tag in parts or tag >> 16 < 8 or tag & 0xFFFF == 0 or tag == _PADDING:
                continue
            try:
                vr = meant_vr(node, tag)
                items = node.items(tag) if vr in ("SQ", UNKNOWN) else None
                if items is not None:
                    parts[tag] = self._sequence(tag, items, charset, depth, path)
                    continue
                raw = node.value(tag)
                if len(raw) > _KEPT_BYTES or tag in PIXELS:
                    parts[tag] = _element(tag, vr, raw, charset, path, big=big)
                    continue
                key = (tag, vr, raw, charset if vr in _CODED else big)
                text = known.get(key)
                if text is None:
                    text = known[key] = _element(tag, vr, raw, charset, path, big=big)
                    if len(known) > _KEPT:
                        known.clear()
                parts[tag] = text
            except (KeyError, ValueError, TypeError, ArithmeticError, struct.error):
                continue  # one element that is none hides no other

    def _sequence(self, tag: int, items: Sequence[Node], charset: bytes, depth: int, path: str) -> str:
        if not items or depth >= MAX_DEPTH:
            return f'"{tag:08X}":{{"vr":"SQ"}}'
        here = f"{path}{tag:08X}"
        texts = [self._item(item, charset, depth + 1, f"{here}/{n}/") for n, item in enumerate(items, 1)]
        return f'"{tag:08X}":{{"vr":"SQ","Value":[{",".join(texts)}]}}'


def meant_vr(node: Node, tag: int) -> str:
    """The VR by which an element is read: for UN that of the dictionary, also that of a private creator."""
    vr = node.vr(tag)
    if vr != UNKNOWN:
        return vr if len(vr) == 2 else _alternative(node, vr)
    if tag & 0x10000 == 0:
        known = dictionary_vr(tag)
        return known if len(known) == 2 else _alternative(node, known)
    if 0x10 <= tag & 0xFFFF <= 0xFF:
        return "LO"
    reserved = tag & 0xFFFF0000 | (tag & 0xFF00) >> 8
    if tag & 0xFF00 == 0 or reserved not in node:
        return UNKNOWN
    creator = node.value(reserved).rstrip(b"\0 ").decode("latin-1")
    known = private_dictionary_vr(tag, creator)
    return known if known in _TEXTS or known in NUMBERS or known in BINARY or known in ("AT", "SQ") else UNKNOWN


def _alternative(node: Node, vr: str) -> str:
    if "OW" in vr:
        return "OW"
    signed = _SIGNED in node and node.value(_SIGNED)[:2] in (b"\1\0", b"\0\1")
    return "SS" if signed else "US"


def _element(tag: int, vr: str, raw: bytes, charset: bytes, path: str, *, big: bool) -> str:
    """An element that is no sequence: name, VR and value."""
    head = f'"{tag:08X}":{{"vr":"{vr}"'
    if not raw:
        return head + "}"
    if tag in PIXELS or (vr in BINARY and len(raw) > INLINE_BYTES):
        return f'{head},{BULK}{path}{tag:08X}"}}'
    if vr in BINARY:
        return f'{head},"InlineBinary":"{b64encode(to_little_endian(raw, vr, big=big)).decode()}"}}'
    values = _values(vr, raw, charset, big=big)
    return f'{head},"Value":[{",".join(values)}]}}' if values else head + "}"


def _values(vr: str, raw: bytes, charset: bytes, *, big: bool) -> list[str]:
    letter = NUMBERS.get(vr)
    if letter is not None:
        return _binary_numbers(raw, letter, big=big)
    if vr == "AT":
        halves = struct.unpack(f"{'>' if big else '<'}{len(raw) // 4 * 2}H", raw[: len(raw) // 4 * 4])
        return [f'"{group:04X}{element:04X}"' for group, element in zip(halves[::2], halves[1::2], strict=True)]
    text = decode_text(raw, charset, vr) if vr in _CODED else raw.decode("latin-1")
    if vr in _UNSPLIT:
        text = text.rstrip("\0 ")
        return [encode_basestring(text if vr in _LEADING else text.lstrip(" "))] if text else []
    pieces = [piece.rstrip("\0 ") for piece in text.rstrip("\0 ").split("\\")]
    if vr != "UC":
        pieces = [piece.lstrip(" ") for piece in pieces]
    if len(pieces) == 1 and not pieces[0]:
        return []
    make = _MAKERS.get(vr, encode_basestring)
    return [make(piece) if piece else "null" for piece in pieces]


def _name(text: str) -> str:
    groups = zip(_GROUPS, text.split("=")[:3], strict=False)
    stripped = [(name, group.strip("\0 ")) for name, group in groups]
    shown = ",".join(f'"{name}":{encode_basestring(group)}' for name, group in stripped if group)
    return f"{{{shown}}}" if shown else "null"


def _decimal(text: str) -> str:
    """A number where the text is one, else the text; what JSON writes alike goes as it is."""
    if _JSON_NUMBER.fullmatch(text):
        return text
    if _NUMBER.fullmatch(text):
        number = float(text)
        if isfinite(number):
            return repr(number)
    return encode_basestring(text)


def _integer(text: str) -> str:
    try:
        number = int(text) if "_" not in text else None
    except ValueError:
        return _decimal(text)
    return str(number) if number is not None and -_EXACT <= number <= _EXACT else encode_basestring(text)


_MAKERS: Final[Mapping[str, Callable[[str], str]]] = {"PN": _name, "DS": _decimal, "IS": _integer}


def _binary_numbers(raw: bytes, letter: str, *, big: bool) -> list[str]:
    width = struct.calcsize("=" + letter)
    count = len(raw) // width
    numbers: tuple[Any, ...] = struct.unpack(f"{'>' if big else '<'}{count}{letter}", raw[: count * width])
    if letter in "fd":
        return [repr(number) if isfinite(number) else _not_finite(number) for number in numbers]
    if letter in "qQ":
        return [str(number) if -_EXACT <= number <= _EXACT else f'"{number}"' for number in numbers]
    return [str(number) for number in numbers]


def _not_finite(number: float) -> str:
    return '"NaN"' if number != number else '"Infinity"' if number > 0 else '"-Infinity"'  # noqa: PLR0124


def to_little_endian(raw: bytes, vr: str, *, big: bool) -> bytes:
    """A binary value as it is in little endian."""
    width = BINARY.get(vr, 1)
    if not big or width == 1:
        return raw
    whole = len(raw) // width * width
    turned = bytearray(raw)
    for at in range(width):
        turned[at:whole:width] = raw[width - 1 - at : whole : width]
    return bytes(turned)
