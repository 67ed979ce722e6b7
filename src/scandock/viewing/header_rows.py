"""All elements of a file as rows of text: tag, name, VR, value and depth. Nothing binary, nothing endless."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from scandock.formats.dicom_charset import decode_text
from scandock.formats.dicom_text import ENCODED
from scandock.formats.ecat import looks_like_ecat
from scandock.viewing.dicom_file import charsets_of, open_dicom, raw_value
from scandock.viewing.frames import NoPicture

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Row = tuple[int, str, str, str, str]
"""Depth, tag, name, VR, value."""

MOST_ROWS: Final = 20_000
_MOST_CHARACTERS: Final = 300
_DEEPEST: Final = 16
_BINARY: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_TEXTS: Final = ENCODED - {"UN"}
_SHOWN_BYTES: Final = 64


def rows_of(stream: BinaryIO) -> tuple[list[Row], str]:
    """The rows, and a note where there are more than are told. NoPicture where the file has no header."""
    head = os.pread(stream.fileno(), 1024, 0)
    if looks_like_ecat(head):
        return _of_ecat(stream), ""
    from scandock.viewing.imagery import is_dicom

    if not is_dicom(head):
        raise NoPicture("It has no header: it is neither DICOM nor ECAT 7.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = open_dicom(stream)
        rows: list[Row] = []
        whole = _add(rows, file.data.file_meta, 0) and _add(rows, file.data, 0)
    if file.pixels is not None:
        tag = {"PixelData": "(7FE0,0010)", "FloatPixelData": "(7FE0,0008)"}.get(file.pixels.keyword, "(7FE0,0009)")
        size = "compressed frames" if file.pixels.length is None else _bytes(file.pixels.length)
        rows.append((0, tag, _words(file.pixels.keyword), file.pixels.vr, size))
    return rows, "" if whole else f"The header goes on; the first {MOST_ROWS} elements are shown."


def _add(rows: list[Row], data: Dataset, depth: int, charsets: bytes = b"") -> bool:
    """The elements of a data set, those of its sequences beneath; False where they are too many.

    `charsets` is the SpecificCharacterSet of the data set around it, which holds where it has none of its own.
    """
    charsets = charsets_of(data) or charsets
    for tag in sorted(data.keys()):
        if len(rows) >= MOST_ROWS:
            return False
        name, vr, value, items = _element(data, tag, charsets)
        rows.append((depth, f"({tag.group:04X},{tag.element:04X})", name, vr, value))
        if depth >= _DEEPEST:
            continue
        for number, item in enumerate(items):
            if len(rows) >= MOST_ROWS:
                return False
            rows.append((depth + 1, "", f"Item {number + 1}", "", ""))
            if not _add(rows, item, depth + 2, charsets):
                return False
    return True


def _element(data: Dataset, tag: Any, charsets: bytes) -> tuple[str, str, str, list[Any]]:  # noqa: ANN401  a BaseTag
    """Name, VR, value as text and the items of one element, whatever is wrong with it."""
    raw = raw_value(data, tag)
    try:
        element = data[tag]
        name = element.name.strip("[]") if element.tag.is_private else element.name
        if element.VR == "SQ":
            items = list(element.value)
            return name, "SQ", f"{len(items)} item{'' if len(items) == 1 else 's'}", items
        if raw and element.VR in _TEXTS:  # by the decoder that an import uses: pydicom knows fewer character sets
            return name, element.VR, cut(decode_text(raw, charsets, element.VR).rstrip("\0 ")), []
        return name, element.VR, _value(element.VR, element.value), []
    except RecursionError:
        return "Too deep to be shown", "SQ", "", []
    except Exception:  # noqa: BLE001  any element of a stranger's file may be anything
        return _name(tag), "", f"{_bytes(len(raw))}: not a value of its representation.", []


def _name(tag: Any) -> str:  # noqa: ANN401  a BaseTag
    """What the dictionary calls an element."""
    from pydicom.datadict import dictionary_description

    try:
        return dictionary_description(tag)
    except KeyError:
        return "Unknown element"


def _value(vr: str, value: Any) -> str:  # noqa: ANN401  whatever an element holds
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray):
        text = bytes(value).rstrip(b"\0 ")
        if vr == "UN" and len(text) <= _SHOWN_BYTES and text.isascii() and text.decode("ascii").isprintable():
            return text.decode("ascii")
        return _bytes(len(value))
    if vr in _BINARY:
        return _bytes(len(value)) if hasattr(value, "__len__") else cut(str(value))
    if isinstance(value, str):
        name = str(getattr(value, "name", value)) if vr == "UI" else value
        return cut(f"{value} {name}" if name != value else value)
    if hasattr(value, "__iter__") and not hasattr(value, "family_name"):
        many = list(value)
        return cut("\\".join(str(one) for one in many[:64]) + (f"\\… ({len(many)} values)" if len(many) > 64 else ""))
    return cut(str(value))


def cut(text: str) -> str:
    """A value with its control characters made visible, and told where it was cut."""
    plain = "".join(one if one.isprintable() or one == "\n" else "\ufffd" for one in text[: _MOST_CHARACTERS + 1])
    plain = plain.strip()
    if len(text) > _MOST_CHARACTERS:
        return f"{plain[:_MOST_CHARACTERS]}… ({len(text)} characters)"
    return plain


def _bytes(count: int) -> str:
    return f"{count} byte{'' if count == 1 else 's'}"


def _words(keyword: str) -> str:
    return "".join(f" {one}" if one.isupper() else one for one in keyword).strip()


def _of_ecat(stream: BinaryIO) -> list[Row]:
    from scandock.viewing.ecat_frames import EcatFrames

    frames = EcatFrames(stream)
    rows: list[Row] = [(0, "", "Main header", "", "")]
    rows += _fields(frames.header.structarr, 1)
    for number, subheader in enumerate(frames.subheaders()[:512]):
        rows.append((0, "", f"Subheader of frame {number + 1}", "", ""))
        rows += _fields(subheader, 1)
        if len(rows) >= MOST_ROWS:
            break
    return rows[:MOST_ROWS]


def _fields(record: Any, depth: int) -> list[Row]:  # noqa: ANN401  a numpy record
    rows: list[Row] = []
    for name in record.dtype.names:
        value = record[name].tolist()
        shown = cut(value.decode("latin-1").strip("\0 ")) if isinstance(value, bytes) else cut(str(value))
        rows.append((depth, "", name.replace("_", " "), record.dtype[name].base.name, shown))
    return rows
